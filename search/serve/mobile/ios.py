"""The iOS app: a Swift package that Xcode opens as an app, with the model among its resources."""

from __future__ import annotations

from typing import Final

from search.serve.mobile import naming
from search.serve.mobile.app import App, template, texts

RUNTIME: Final = "1.24.2"
"""Of microsoft's `onnxruntime-swift-package-manager`."""

_RESOURCES: Final = "App.swiftpm/Sources/Resources"


def ios_files(app: App) -> dict[str, bytes]:
    """Return the files of the package by their paths."""
    values = {
        "id": naming.identifier(app.name),
        "title": naming.in_swift(app.title),
        "runtime": RUNTIME,
    }
    made = {path: naming.filled(text, values).encode() for path, text in texts(template("ios")).items()}
    made[f"{_RESOURCES}/model.ort"], made[f"{_RESOURCES}/signature.json"] = app.model, app.signature
    return made
