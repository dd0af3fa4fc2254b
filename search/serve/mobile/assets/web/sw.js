// Keeps every file of the app, and answers from there: after the first visit no network is needed.
const MINE = `sweep-mobile ${registration.scope} `;
const VERSION = `${MINE}{{version}}`;
const FILES = {{files}};

addEventListener("install", (event) => {
  // asks whether the browser's own cache is right, which may hold files of the version before
  const all = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(all)));
});

// A new version waits until no page of the old one is open: none gets files of both.

addEventListener("activate", (event) => {
  const old = (name) => name.startsWith(MINE) && name !== VERSION;
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))));
});

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !event.request.url.startsWith(registration.scope)) return;
  const file = event.request.mode === "navigate" && !event.request.url.includes("licenses/") ? "./" : event.request;
  event.respondWith(caches.open(VERSION)
    .then((cache) => cache.match(file, { ignoreSearch: true }))
    .then((found) => found ?? fetch(event.request)));
});
