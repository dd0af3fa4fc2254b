"""A page in a real browser without a network: the `Look`, which notes whatever the page should not do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, sync_playwright

AXE = Path(__file__).parents[2] / ".venv" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
OPTIONS = {"resultTypes": ["violations"]}
WIDE, PHONE = (1400, 900), (360, 740)
SCROLLED: Final = """
async () => {
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
    scrollTo(0, y);
    await new Promise((seen) => requestAnimationFrame(() => setTimeout(seen, 30)));
  }
  scrollTo(0, 0);
}
"""
PLACED: Final = """
([key, trial]) => {
  const plot = document.querySelector(`#figure-${key} .plot`);
  plot.scrollIntoView({ block: "center" });
  const of = (one) => (Array.isArray(one) || ArrayBuffer.isView(one) ? one[0] : one);
  for (const trace of plot._fullData.filter((one) => one.customdata && one.meta !== "selected")) {
    const at = Array.from(trace.customdata, of).indexOf(trial);
    if (at < 0) continue;
    const [x, y] = [trace.xaxis, trace.yaxis].map((id) => plot._fullLayout[id.replace(/^([xy])/, "$1axis")]);
    const box = plot.getBoundingClientRect();
    return [box.left + x._offset + x.d2p(trace.x[at]), box.top + y._offset + y.d2p(trace.y[at])];
  }
  return null;
}
"""
"""Where a trial's point of a figure is on the screen, by plotly's own axes."""
MARKED: Final = """
(trial) => [...document.querySelectorAll("figure[data-drawn]")].filter((one) => one.querySelector(".plot").data
  .some((trace) => trace.meta === "selected" && trace.customdata.includes(trial))).map((one) => one.dataset.key)
"""
BOXED: Final = """
(key) => {
  window.boxed = false;
  document.querySelector(`#figure-${key} .plot`).once("plotly_selected", () => { window.boxed = true; });
}
"""
"""Plotly tells of a box a moment after the pointer is up."""
VIOLATIONS: Final = """
window.violations = [];
addEventListener("securitypolicyviolation", (one) => violations.push(`${one.violatedDirective}: ${one.blockedURI}`));
"""


@dataclass
class Look:
    """A page that is open.

    Attributes:
        page: The browser's.
        url: Its file.
        requests: URLs that it asked for, beside its own file.
        said: Errors and warnings of its scripts.
        dialogs: Texts of what a script popped up.
    """

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Return all that no page of ours may do."""
        violations: list[str] = self.page.evaluate("window.violations")
        return [*self.requests, *self.said, *self.dialogs, *violations]

    def draw_all(self) -> None:
        """Scroll through the page, and wait until every figure on the way is drawn."""
        self.page.evaluate(SCROLLED)
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('figure .plot')].every((one) => one.closest('[hidden]') "
            "|| one.hidden || one.querySelector('.main-svg'))",
            timeout=20_000,
        )

    def figures(self) -> list[str]:
        """Return the keys of the figures that are drawn."""
        return [
            *self.page.evaluate(
                "() => [...document.querySelectorAll('figure')].filter((one) => one.querySelector('.plot .main-svg'))"
                ".map((one) => one.id.replace('figure-', ''))"
            )
        ]

    def point(self, key: str, trial: int) -> tuple[float, float]:
        """Return where a trial's point of a figure is, having scrolled there."""
        x, y = self.page.evaluate(PLACED, [key, trial])
        return x, y

    def box(
        self, key: str, start: tuple[float, float], end: tuple[float, float], *, held: str | None = None
    ) -> list[int]:
        """Draw a box in a figure, from and to shares of its width and height, and return which trials are picked then.

        Args:
            key: Of the figure.
            start: Where the pointer goes down.
            end: Where it goes up.
            held: A key that is held meanwhile.
        """
        self.page.evaluate("(id) => document.getElementById(id).scrollIntoView({ block: 'center' })", f"figure-{key}")
        found = self.page.locator(f"#figure-{key} .nsewdrag").first.bounding_box()
        assert found is not None
        places = [(found["x"] + x * found["width"], found["y"] + y * found["height"]) for x, y in (start, end)]
        self.page.evaluate(BOXED, key)
        self.page.mouse.move(*places[0])
        if held:
            self.page.keyboard.down(held)
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=4)
        self.page.mouse.up()
        if held:
            self.page.keyboard.up(held)
        self.page.wait_for_function("() => window.boxed", timeout=10_000)
        return [*self.page.evaluate("() => sweepPage.selection()")]

    def marking(self, trial: int) -> list[str]:
        """Return the keys of the figures that mark a trial."""
        return [*self.page.evaluate(MARKED, trial)]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(
            self.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )

    def fits(self) -> None:
        """Wait until nothing is wider than the window: figures follow their boxes a moment later.

        Raises:
            TimeoutError: Something stays wider (playwright's).
        """
        self.page.wait_for_function(
            "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth "
            "&& [...document.querySelectorAll('.plot')].every((one) => one.scrollWidth <= one.clientWidth + 1)",
            timeout=10_000,
        )

    def text(self) -> str:
        return self.page.inner_text("body")

    def _ask(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")) and request.url.split("#")[0] != self.url:
            self.requests.append(request.url)

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.type}: {message.text}")


def serious(page: Page) -> list[str]:
    """Return the faults that axe calls serious or critical, with the elements that have them."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed (make axe)")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(
        "async (options) => (await axe.run(document, options)).violations", OPTIONS
    )
    return [
        f"{fault['id']}: {node['target']} {node['html'][:120]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def chromium() -> str | None:
    """Return the path of Debian's Chromium, or of another one; None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start a browser.

    While it runs, this thread has a running event loop: nothing else may start one.
    """
    with sync_playwright() as playwright:
        # containers have no sandbox, and little shared memory
        started = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield started
        started.close()


@contextmanager
def look(
    started: Browser,
    file: Path,
    *,
    size: tuple[int, int] = WIDE,
    scheme: Literal["light", "dark"] = "light",
    fragment: str = "",
) -> Iterator[Look]:
    """Open a file without a network, and note what it does."""
    context = started.new_context(
        offline=True,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce",
        accept_downloads=True,
    )
    try:
        yield _opened(context, file.resolve().as_uri(), fragment)
    finally:
        context.close()


def _opened(context: BrowserContext, url: str, fragment: str) -> Look:
    context.route(lambda one: not one.startswith(("file:", "data:", "blob:")), lambda route: route.abort())
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    found = Look(page, url)
    page.on("request", found._ask)
    page.on("console", found._hear)
    page.on("pageerror", lambda error: found.said.append(f"exception: {error}"))
    page.on("dialog", found._dismiss)
    page.goto(url + fragment)
    return found
