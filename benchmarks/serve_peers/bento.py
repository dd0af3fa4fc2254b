"""BentoML around the same ONNX file: `FOLDER=... bentoml serve bento:Predictor --port PORT`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
from graph import Graph


@bentoml.service(workers=1, traffic={"timeout": 30, "max_concurrency": 256})
class Predictor:
    def __init__(self) -> None:
        self.graph = Graph(Path(os.environ["FOLDER"]) / "bundle" / "model.onnx")

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"predictions": self.graph.predict(rows)}
