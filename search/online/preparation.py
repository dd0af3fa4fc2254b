"""What a bundle does to raw columns before its model sees them, taken out of its graph: the `Preparation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from search.bundle.signature import Kind, Signature
from search.online.events import Array
from search.promote.graph import FEATURES, Head, prefix

if TYPE_CHECKING:
    import onnx

_OUTPUT = FEATURES.format(prefix(0))


class Preparation:
    """The part of a graph from raw columns to prepared features, as its first member reads them.

    Args:
        graph: Of a bundle, as checked.
        signature: Of the same bundle.
    """

    def __init__(self, graph: onnx.ModelProto, signature: Signature) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        part = _up_to(graph, _OUTPUT).SerializeToString()
        self._session = onnxruntime.InferenceSession(part, options, providers=["CPUExecutionProvider"])
        reads = {entry.name for entry in self._session.get_inputs()}
        self._reads = [one for one in signature.inputs if one.name in reads]

    def __call__(self, columns: Mapping[str, Array]) -> Array:
        """Return prepared features, (rows, ...) float32."""
        feeds = {
            one.name: columns[one.name] if one.kind is Kind.IMAGE else columns[one.name].reshape(-1, 1)
            for one in self._reads
        }
        return np.ascontiguousarray(self._session.run([_OUTPUT], feeds)[0], dtype=np.float32)


def head_of(graph: onnx.ModelProto, signature: Signature) -> Head:
    """Return what the graph of a bundle does with the mean of its members."""
    from onnx import numpy_helper

    there = {one.name: one for one in graph.graph.initializer if one.name == "head/temperature"}
    temperature = float(numpy_helper.to_array(there["head/temperature"])) if there else 1.0
    return Head(signature.classes, temperature, signature.threshold)


def _up_to(graph: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """Return the part of a graph that one of its values depends on."""
    from onnx import TensorProto, helper

    made_by = {name: node for node in graph.graph.node for name in node.output}
    needed: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if node := made_by.get(name):
            waiting += [*node.input, *_inner(node)]
    nodes = [node for node in graph.graph.node if needed.intersection(node.output)]
    part = helper.make_graph(
        nodes,
        "preparation",
        [entry for entry in graph.graph.input if entry.name in needed],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [one for one in graph.graph.initializer if one.name in needed],
    )
    made: onnx.ModelProto = helper.make_model(part, opset_imports=graph.opset_import, ir_version=graph.ir_version)
    return made


def _inner(node: Any) -> list[str]:
    """Return the names that the graphs inside a node read, their own among them, which does no harm."""
    inside = [graph for one in node.attribute for graph in (*one.graphs, *([one.g] if one.HasField("g") else []))]
    return [name for graph in inside for inner in graph.node for name in (*inner.input, *_inner(inner))]
