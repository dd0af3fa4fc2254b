"""The web app: a folder of files that any server can hand out, and that then needs no network."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from typing import Final

from search.bundle.bundle import as_json
from search.serve.mobile import naming
from search.serve.mobile.app import App, template
from search.serve.mobile.icons import colour, icon

RUNTIME: Final = "1.30.0"
"""Of onnxruntime-web, as its npm package has it; `docs/mobile.md` says how to take another one."""

_TEXTS: Final = ("app.css", "app.js", "form.js", "model.js", "picture.js")
_BINARY: Final = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm.gz", "licenses/onnxruntime.txt")
_SIDES: Final = (180, 192, 512)


def web_files(app: App) -> dict[str, bytes]:
    """Return the files of the web app by their paths."""
    made = {name: template("web", *name.split("/")).read_bytes() for name in (*_TEXTS, *_BINARY)}
    made["licenses/third-party.txt"] = gzip.decompress(template("web", "licenses", "third-party.txt.gz").read_bytes())
    made["index.html"] = _filled("index.html", {"title": naming.in_markup(app.title)})
    made["model.ort"], made["signature.json"] = app.model, app.signature
    made["app.json"] = as_json({"text": app.origin, "precision": app.precision, "digest": app.bundle.digest})
    made["manifest.webmanifest"] = _manifest(app)
    for side in _SIDES:
        made[f"icon-{side}.png"] = icon(app.name, side)
    kept = sorted("./" if name == "index.html" else name for name in made if name != "licenses/third-party.txt")
    made["sw.js"] = _filled("sw.js", {"version": _version(made), "files": naming.in_json(kept)})
    return made


def _filled(name: str, values: Mapping[str, str]) -> bytes:
    return naming.filled(template("web", name).read_text(encoding="utf-8"), values).encode()


def _version(made: Mapping[str, bytes]) -> str:
    """Return a name for exactly these files: another one makes browsers fetch them anew."""
    whole = hashlib.sha256()
    for name in sorted(made):
        whole.update(name.encode() + b"\0" + hashlib.sha256(made[name]).digest())
    return whole.hexdigest()[:16]


def _manifest(app: App) -> bytes:
    red, green, blue = colour(app.name)
    icons = [
        {"src": f"icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png", "purpose": purpose}
        for side in (192, 512)
        for purpose in ("any", "maskable")
    ]
    return as_json(
        {
            "id": "./",
            "name": app.title,
            "short_name": app.title[:12].strip(),
            "description": f"Predicts {app.bundle.signature.target or 'on the device'}; needs no network.",
            "lang": "en",
            "start_url": "./",
            "scope": "./",
            "display": "standalone",
            "background_color": f"#{red:02x}{green:02x}{blue:02x}",
            "theme_color": f"#{red:02x}{green:02x}{blue:02x}",
            "icons": icons,
        }
    )
