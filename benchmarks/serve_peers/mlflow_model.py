"""Saves the same ONNX file as an MLflow model, for `mlflow models serve`: `python mlflow_model.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow.onnx
import onnx
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    model = onnx.load(folder / "bundle" / "model.onnx")
    texts = [one.type.tensor_type.elem_type == onnx.TensorProto.STRING for one in model.graph.input]
    columns = [ColSpec("string" if text else "float", one.name) for one, text in zip(model.graph.input, texts, strict=True)]
    mlflow.onnx.save_model(
        model,
        folder / "mlflow",
        signature=ModelSignature(Schema(columns)),
        onnx_execution_providers=["CPUExecutionProvider"],
        onnx_session_options={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
    )
