"""The same ONNX file for every peer: one session, and rows to what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class Graph:
    """The file of a bundle, run as its signature says.

    Args:
        path: `model.onnx`.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.texts = {one.name: "string" in one.type for one in self.session.get_inputs()}

    def predict(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Return the probabilities of rows."""
        feeds = {
            name: np.array([[row[name] or ""] for row in rows], object)
            if is_text
            else np.array([[np.nan if row[name] is None else row[name]] for row in rows], np.float32)
            for name, is_text in self.texts.items()
        }
        found: list[list[float]] = self.session.run(["prediction.probabilities"], feeds)[0].tolist()
        return found
