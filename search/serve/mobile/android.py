"""The Android app: a project for Android Studio, with the model among its assets."""

from __future__ import annotations

from typing import Final

from search.serve.mobile import naming
from search.serve.mobile.app import App, template, texts
from search.serve.mobile.icons import colour

RUNTIME: Final = "1.24.3"
"""Of `com.microsoft.onnxruntime:onnxruntime-android`."""

_ASSETS: Final = "app/src/main/assets"


def android_files(app: App) -> dict[str, bytes]:
    """Return the files of the project by their paths."""
    red, green, blue = colour(app.name)
    values = {
        "id": naming.identifier(app.name),
        "title": naming.in_android(app.title),
        "about": naming.in_android(f"{app.origin}. What you enter stays on this phone."),
        "colour": f"#{red:02x}{green:02x}{blue:02x}",
        "runtime": RUNTIME,
    }
    made = {path: naming.filled(text, values).encode() for path, text in texts(template("android")).items()}
    made[f"{_ASSETS}/model.ort"], made[f"{_ASSETS}/signature.json"] = app.model, app.signature
    return made
