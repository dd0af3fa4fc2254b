"""Bundles worth shrinking: small networks and trees in real graphs, written in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from search.bundle.bundle import write_bundle
from search.bundle.signature import IMAGE, Signature
from search.contract import Exported
from search.promote.graph import IR, ML_OPSET, OPSET, Head, whole
from tests.bundle.bundles import CLASSES, Task, contents, exported, manifest_of, signature_of

NUMBERS, TEXTS = ("age", "income"), ("town",)
IMAGES = (1, 8, 8)


def dense(root: Path, task: Task = "binary", *, members: int = 1, threshold: float | None = None) -> str:
    """Write a network of two dense layers over numbers and texts, or several that vote, and return its digest."""
    signature = signature_of(task, NUMBERS, TEXTS, threshold=threshold)
    prepare = _filling(exported(task, NUMBERS, TEXTS).prepare)
    parts = [Exported(prepare, _dense(task, seed), lambda rows: rows) for seed in range(members)]
    return _written(root, parts, signature)


def filters(root: Path, shape: tuple[int, int, int] = IMAGES) -> str:
    """Write a network of one convolution over images, and return its digest."""
    return _written(
        root,
        [Exported(_unchanged(shape), _filters(shape), lambda rows: rows)],
        signature_of("multiclass", image=shape),
    )


def trees(root: Path) -> str:
    """Write a regression of one tree, and return its digest."""
    prepare = exported("regression", NUMBERS, TEXTS).prepare
    return _written(root, [Exported(prepare, _tree(), lambda rows: rows)], signature_of("regression", NUMBERS, TEXTS))


def _filling(prepare: bytes, filled: float = 67.5) -> bytes:
    """Return a toy's preparation that takes a missing number for another one than 0."""
    graph = onnx.load_from_string(prepare)
    zero = next(one for one in graph.graph.initializer if one.name == "zero")
    zero.CopyFrom(numpy_helper.from_array(np.asarray(filled, np.float32), "zero"))
    made: bytes = graph.SerializeToString()
    return made


def _written(root: Path, parts: Sequence[Exported], signature: Signature) -> str:
    graph = whole(parts, Head(signature.classes, threshold=signature.threshold))
    return write_bundle(root, manifest_of(), contents(graph, signature, {"bias": np.zeros(1, np.float32)}))


def _model(nodes: list[Any], inputs: list[Any], outputs: int, arrays: dict[str, Any]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", outputs])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in arrays.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR).SerializeToString()
    return made


def _dense(task: Task, seed: int, hidden: int = 96) -> bytes:
    random = np.random.default_rng(seed)
    width, outputs = len(NUMBERS) + len(TEXTS), len(CLASSES[task]) or 1
    arrays = {
        "w0": random.normal(0, 0.05, (width, hidden)).astype(np.float32),
        "b0": random.normal(0, 1, hidden).astype(np.float32),
        "w1": random.normal(0, 0.2, (hidden, hidden)).astype(np.float32),
        "b1": random.normal(0, 1, hidden).astype(np.float32),
        "w2": random.normal(0, 0.1, (hidden, outputs)).astype(np.float32),
        "b2": np.zeros(outputs, np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["features", "w0", "b0"], ["h0"]),
        helper.make_node("Relu", ["h0"], ["r0"]),
        helper.make_node("Gemm", ["r0", "w1", "b1"], ["h1"]),
        helper.make_node("Relu", ["h1"], ["r1"]),
        helper.make_node("Gemm", ["r1", "w2", "b2"], ["out"]),
        helper.make_node("Softmax" if CLASSES[task] else "Identity", ["out"], ["scores"]),
    ]
    return _model(nodes, ["rows", width], outputs, arrays)


def _filters(shape: tuple[int, int, int], hidden: int = 64) -> bytes:
    random = np.random.default_rng(5)
    arrays = {
        "k0": random.normal(0, 0.3, (hidden, shape[0], 3, 3)).astype(np.float32),
        "k1": random.normal(0, 0.1, (hidden, hidden, 3, 3)).astype(np.float32),
        "w": random.normal(0, 1, (hidden, 3)).astype(np.float32),
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["features", "k0"], ["c0"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "k1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("ReduceMean", ["r1", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["out"]),
        helper.make_node("Softmax", ["out"], ["scores"]),
    ]
    return _model(nodes, ["rows", *shape], 3, arrays)


def _unchanged(shape: tuple[int, int, int]) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Identity", [IMAGE], ["prepared"])],
        "prepare",
        [helper.make_tensor_value_info(IMAGE, TensorProto.FLOAT, ["rows", *shape])],
        [helper.make_tensor_value_info("prepared", TensorProto.FLOAT, ["rows", *shape])],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR).SerializeToString()
    return made


def _tree() -> bytes:
    """Return a tree of one question: whether the first feature is above 40."""
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["scores"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[40.0, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.5, 7.25],
    )
    return _model([node], ["rows", 3], 1, {})
