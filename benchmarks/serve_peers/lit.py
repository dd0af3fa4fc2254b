"""LitServe around the same ONNX file: `python lit.py FOLDER PORT`; one process has clients, one the model."""

import sys
from pathlib import Path
from typing import Any

import litserve
from graph import Graph


class Predictor(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.graph = Graph(Path(sys.argv[1]) / "bundle" / "model.onnx")

    def decode_request(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = request["rows"]
        return rows

    def predict(self, x: list[dict[str, Any]]) -> list[list[float]]:
        found: list[list[float]] = self.graph.predict(x)
        return found

    def encode_response(self, output: list[list[float]]) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Predictor(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
