"""Saves the same ONNX file as an MLflow model, for `mlflow models serve`: `python mlflow_model.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    model = onnx.load(folder / "bundle" / "model.onnx")
    texts = [one.type.tensor_type.elem_type == onnx.TensorProto.STRING for one in model.graph.input]
    kinds = [np.dtype("str" if text else "float32") for text in texts]
    tensors = [TensorSpec(kind, (-1, 1), one.name) for one, kind in zip(model.graph.input, kinds, strict=True)]
    mlflow.onnx.save_model(
        model,
        folder / "mlflow",
        signature=ModelSignature(Schema(tensors)),
        onnx_execution_providers=["CPUExecutionProvider"],
        onnx_session_options={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
    )
