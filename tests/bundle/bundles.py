"""Small bundles for tests: real graphs of a few nodes, written in milliseconds and the same every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from search.bundle.bundle import CARD, MODEL, SIGNATURE, WEIGHTS, as_json, write_bundle
from search.bundle.manifest import Manifest, Member
from search.bundle.signature import IMAGE, Input, Kind, Signature
from search.contract import Exported
from search.promote.graph import IR, ML_OPSET, OPSET, Head, whole

Task = Literal["binary", "multiclass", "regression"]
CLASSES: dict[str, tuple[str, ...]] = {
    "binary": ("no", "yes"),
    "multiclass": ("red", "green", "blue"),
    "regression": (),
}
TOWNS = ("Bonn", "Köln", "東京")
"""What a text may be; the model gives them 1, 2 and 3, and everything else 0."""


def tiny(
    root: Path,
    *,
    task: Task = "binary",
    numbers: Sequence[str] = ("age", "income"),
    texts: Sequence[str] = ("town",),
    image: tuple[int, int, int] | None = None,
    unused: Sequence[str] = (),
    shift: float = 0.0,
    threshold: float | None = None,
    study: str = "toy",
    number: int = 7,
) -> str:
    """Write a bundle and return its digest.

    Its scores are linear: a missing number counts as 0, a text as its place in `TOWNS`.

    Args:
        root: Its folder to be.
        task: What it predicts.
        numbers: Its columns of numbers.
        texts: Its columns of texts.
        image: Shape (channels, height, width) of the image that it takes in place of columns.
        unused: Columns of numbers that it takes and ignores.
        shift: Added to the last score, so that versions are told apart.
        threshold: Of a binary one: from which probability on it says "yes".
        study, number: Where it says that it comes from.
    """
    signature = signature_of(task, numbers, texts, image, unused, threshold)
    graph = whole_graph(exported(task, numbers, texts, image, shift), task, threshold)
    return write_bundle(
        root, manifest_of(study, number), contents(graph, signature, {"bias": np.array([shift], np.float32)})
    )


def contents(
    graph: onnx.ModelProto | bytes, signature: Signature, weights: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, bytes]:
    """Return the files of a bundle, as `write_bundle` takes them."""
    return {
        MODEL: graph if isinstance(graph, bytes) else graph.SerializeToString(deterministic=True),
        WEIGHTS: save(dict(weights)),
        SIGNATURE: as_json(signature.to_json()),
        CARD: "# Toy\n\nA *toy* for tests: ½ < 1 & 2 > 1.\n".encode(),
    }


def whole_graph(member: Exported, task: Task = "binary", threshold: float | None = None) -> onnx.ModelProto:
    """Return the graph of one member."""
    return whole([member], Head(CLASSES[task], threshold=threshold))


def manifest_of(study: str = "toy", number: int = 7) -> Manifest:
    """Return where a toy comes from."""
    member = Member(number, {"model.kind": "linear", "train.lr": 0.1, "preprocess.scale": True}, seed=3, units=5)
    return Manifest(study, "tabular", (member,), "val_loss", "d" * 64, "s" * 64, "c" * 64, {"onnx": onnx.__version__})


def signature_of(
    task: Task = "binary",
    numbers: Sequence[str] = ("age", "income"),
    texts: Sequence[str] = ("town",),
    image: tuple[int, int, int] | None = None,
    unused: Sequence[str] = (),
    threshold: float | None = None,
) -> Signature:
    """Return what a toy takes and gives."""
    inputs = [Input(name, Kind.NUMBER, 40.0, low=-3.5, high=99.0, missing=0.25) for name in numbers]
    inputs += [Input(name, Kind.TEXT, TOWNS[0], levels=TOWNS) for name in texts]
    inputs += [Input(name, Kind.NUMBER, 1.0, low=0.0, high=2.0, used=False, whole=True) for name in unused]
    if image is not None:
        inputs = [Input(IMAGE, Kind.IMAGE, shape=image)]
    bounds = (-1.0, 9.0) if task == "regression" else (None, None)
    return Signature(task, "target", tuple(inputs), CLASSES[task], threshold, *bounds)


def exported(
    task: Task = "binary",
    numbers: Sequence[str] = ("age", "income"),
    texts: Sequence[str] = ("town",),
    image: tuple[int, int, int] | None = None,
    shift: float = 0.0,
) -> Exported:
    """Return a toy as an objective exports it."""
    width = image[0] if image is not None else len(numbers) + len(texts)
    outputs = len(CLASSES[task]) or 1
    weight = np.linspace(-0.05, 0.05, width * outputs, dtype=np.float32).reshape(width, outputs)
    bias = np.zeros(outputs, np.float32)
    bias[-1] = shift
    nodes = [helper.make_node("Gemm", ["features", "weight", "bias"], ["linear"])]
    nodes.append(helper.make_node("Softmax" if CLASSES[task] else "Identity", ["linear"], ["scores"]))
    model = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", outputs])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    prepare = _of_image(image) if image is not None else _of_columns(numbers, texts)
    return Exported(_serialized(prepare), _serialized(model), lambda rows: np.zeros((len(rows), outputs)))


def _of_columns(numbers: Sequence[str], texts: Sequence[str]) -> onnx.GraphProto:
    nodes, parts = [], []
    for index, name in enumerate(numbers):
        nodes.append(helper.make_node("IsNaN", [name], [f"n{index}/missing"]))
        nodes.append(helper.make_node("Where", [f"n{index}/missing", "zero", name], [f"n{index}/filled"]))
        parts.append(f"n{index}/filled")
    for index, name in enumerate(texts):
        encoder: dict[str, Any] = {"keys_strings": TOWNS, "values_floats": [1.0, 2.0, 3.0], "default_float": 0.0}
        nodes.append(helper.make_node("LabelEncoder", [name], [f"t{index}/place"], domain="ai.onnx.ml", **encoder))
        parts.append(f"t{index}/place")
    nodes.append(helper.make_node("Concat", parts, ["features"], axis=1))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1]) for name in numbers]
    inputs += [helper.make_tensor_value_info(name, TensorProto.STRING, ["rows", 1]) for name in texts]
    outputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", len(parts)])]
    return helper.make_graph(nodes, "prepare", inputs, outputs, [numpy_helper.from_array(np.float32(0), "zero")])


def _of_image(shape: tuple[int, int, int]) -> onnx.GraphProto:
    nodes = [helper.make_node("GlobalAveragePool", [IMAGE], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["f"])]
    inputs = [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, ["rows", *shape])]
    outputs = [helper.make_tensor_value_info("f", TensorProto.FLOAT, ["rows", shape[0]])]
    return helper.make_graph(nodes, "prepare", inputs, outputs)


def _serialized(graph: onnx.GraphProto) -> bytes:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR).SerializeToString()
    return made
