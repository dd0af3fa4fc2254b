"""FastAPI around the same ONNX file: `python fastapi_onnx.py FOLDER PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from graph import Graph
from pydantic import BaseModel

app = FastAPI()
graph = Graph(Path(sys.argv[1]) / "bundle" / "model.onnx")


class Rows(BaseModel):
    rows: list[dict[str, float | str | None]]


@app.post("/predict")
async def predict(body: Rows) -> dict[str, list[list[float]]]:
    return {"predictions": graph.predict(body.rows)}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
