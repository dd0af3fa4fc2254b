"""Models with shorter numbers: INT8 and FP16 variants of the part between a graph's seams."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import onnx

FEATURES: Final = "m{}/features"
SCORES: Final = "m{}/scores"
"""Between which a member's model stands in the graph of a bundle."""

LEAST: Final = 64
"""Numbers of an array that is worth shortening."""

_TREES: Final = ("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble")
_DENSE: Final = ("MatMul", "Gemm")
_WHOLE: Final = ("MatMulInteger", "QLinearMatMul", "DequantizeLinear")
_DOMAINS: Final = {"": 18, "ai.onnx.ml": 3, "com.microsoft": 1}


class Precision(StrEnum):
    """How the numbers of a model are stored."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class NotShrunk(ValueError):
    """A model has nothing that this precision would shorten; the text says why."""


def shrunk(graph: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Return the same graph with its members' models in a shorter precision; preparation and head stay as they are.

    INT8 reckons dense layers with whole numbers (`quantize_dynamic`: weights of a scale for each column, inputs of a
    scale for each call) and stores filters of convolutions as whole numbers of a scale for each filter. FP16 stores
    arrays with 16 bits and reckons with 32: phones' processors have no kernels for less, but storage.

    Raises:
        NotShrunk: No member has something to shorten.
    """
    import onnx

    if precision is Precision.FP32:
        return graph
    made = onnx.ModelProto.FromString(graph.SerializeToString())
    kinds: set[str] = set()
    changed = False
    for member in range(members(graph)):
        part = extracted(made, member)
        kinds |= {node.op_type for node in part.graph.node}
        copy = onnx.ModelProto.FromString(part.SerializeToString())
        short = _halved(copy) if precision is Precision.FP16 else _whole(copy)
        if short is not None:
            _put_back(made, part, short, f"q{member}/")
            changed = True
    if not changed:
        raise NotShrunk(_why_not(kinds))
    del made.opset_import[:]
    made.opset_import.extend(onnx.helper.make_opsetid(name, version) for name, version in _DOMAINS.items())
    onnx.checker.check_model(made)
    return made


def _why_not(kinds: Iterable[str]) -> str:
    if set(_TREES) & set(kinds):
        return "trees are not quantised: their thresholds decide, and shorter ones decide otherwise"
    return f"no array of {LEAST} numbers or more to shorten"


def members(graph: onnx.ModelProto) -> int:
    """Return how many models vote in a graph."""
    made = {name for node in graph.graph.node for name in node.output}
    count = 0
    while SCORES.format(count) in made:
        count += 1
    return count


def extracted(graph: onnx.ModelProto, member: int) -> onnx.ModelProto:
    """Return what leads from a member's features to its scores, as a model of its own."""
    from onnx import TensorProto, helper

    first, last = FEATURES.format(member), SCORES.format(member)
    makers = {name: node for node in graph.graph.node for name in node.output}
    wanted, needed = [last], set[str]()
    while wanted:
        name = wanted.pop()
        if name in needed or name == first or name not in makers:
            continue
        needed |= set(makers[name].output)
        wanted.extend(_read(makers[name]))
    nodes = [node for node in graph.graph.node if needed & set(node.output)]
    for index, node in enumerate(nodes):
        node.name = f"{member}/{index}"  # the quantiser goes by names
    read = {name for node in nodes for name in _read(node)}
    return helper.make_model(
        helper.make_graph(
            nodes,
            "part",
            [helper.make_tensor_value_info(first, TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
            [one for one in graph.graph.initializer if one.name in read],
        ),
        opset_imports=graph.opset_import,
        ir_version=graph.ir_version,
    )


def _read(node: onnx.NodeProto) -> Iterable[str]:
    """Yield what a node reads, in its branches, too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                yield from _read(inner)


def _put_back(graph: onnx.ModelProto, part: onnx.ModelProto, short: onnx.ModelProto, prefix: str) -> None:
    """Replace a part of a graph by its shorter form; names that the shorter form has made up get a prefix."""
    old = {name for node in part.graph.node for name in node.output}
    arrays = {one.name for one in part.graph.initializer}
    nodes = [node for node in graph.graph.node if not old & set(node.output)]
    place = next(
        index + 1 for index, node in enumerate(nodes) if part.graph.input[0].name in node.output
    )  # all that a part needs stands before its seam
    known = old | arrays | {part.graph.input[0].name}
    for node in short.graph.node:
        node.name = f"{prefix}{node.name}" if node.name else ""
        node.input[:] = [name if not name or name in known else prefix + name for name in node.input]
        node.output[:] = [name if name in known else prefix + name for name in node.output]
    for one in short.graph.initializer:
        if one.name not in known:
            one.name = prefix + one.name
    others = {name for node in nodes for name in _read(node)}
    kept = [one for one in graph.graph.initializer if one.name not in arrays or one.name in others]
    there = {one.name for one in kept}
    kept.extend(one for one in short.graph.initializer if one.name not in there)
    del graph.graph.node[:], graph.graph.initializer[:], graph.graph.value_info[:]
    graph.graph.node.extend([*nodes[:place], *short.graph.node, *nodes[place:]])
    graph.graph.initializer.extend(kept)


def _halved(part: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a model whose large arrays are stored with 16 bits; None where it has none that fit."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for one in part.graph.initializer:
        values = _large(one)
        if values is None or float(np.abs(values).max()) > np.finfo(np.float16).max:
            continue
        name = one.name
        one.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/short"))
        casts.append(helper.make_node("Cast", [f"{name}/short"], [name], to=TensorProto.FLOAT))
    return _with_first(part, casts)


def _whole(part: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a model whose dense layers and filters are whole numbers; None where it has none."""
    import onnx
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType, quantize_dynamic

    large = {one.name for one in part.graph.initializer if _large(one) is not None}
    dense = [node for node in part.graph.node if node.op_type in _DENSE and large & set(node.input)]
    if dense:
        with tempfile.TemporaryDirectory(prefix="sweep-mobile-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target = Path(folder) / "int8.onnx"
            # or it asks for a preparation, by way of the root logger, that a graph this plain gains nothing from
            onnx.helper.set_model_props(part, {"onnx.quant.pre_process": "onnxruntime.quant"})
            quantize_dynamic(
                part,
                target,
                op_types_to_quantize=[*_DENSE],
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # its inference does not know all shapes
            )
            part = onnx.load(target)
    scaled: list[Any] = []
    filters = {node.input[1] for node in part.graph.node if node.op_type in ("Conv", "ConvTranspose")}
    for one in [*part.graph.initializer]:
        values = _large(one)
        if values is None or one.name not in filters:
            continue
        scaled.append(_dequantized(part, one.name, values))
        one.CopyFrom(numpy_helper.from_array(_rounded(values), f"{one.name}/short"))
    made = _with_first(part, scaled) if scaled else part
    return made if {node.op_type for node in part.graph.node} & set(_WHOLE) else None


def _dequantized(part: onnx.ModelProto, name: str, values: np.ndarray[Any, Any]) -> onnx.NodeProto:
    from onnx import helper, numpy_helper

    part.graph.initializer.append(numpy_helper.from_array(_scales(values), f"{name}/scale"))
    return helper.make_node("DequantizeLinear", [f"{name}/short", f"{name}/scale"], [name], axis=0)


def _scales(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    most = np.abs(values).reshape(len(values), -1).max(axis=1) / 127
    scales: np.ndarray[Any, Any] = np.where(most > 0, most, 1).astype(np.float32)
    return scales


def _rounded(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    scales = _scales(values).reshape(-1, *[1] * (values.ndim - 1))
    whole: np.ndarray[Any, Any] = np.clip(np.rint(values / scales), -127, 127).astype(np.int8)
    return whole


def _with_first(part: onnx.ModelProto, nodes: list[Any]) -> onnx.ModelProto | None:
    if not nodes:
        return None
    rest = [*part.graph.node]
    del part.graph.node[:]
    part.graph.node.extend([*nodes, *rest])
    return part


def _large(one: onnx.TensorProto) -> np.ndarray[Any, Any] | None:
    """Return the values of a float32 array that is worth shortening."""
    from onnx import TensorProto, numpy_helper

    if one.data_type != TensorProto.FLOAT:
        return None
    values: np.ndarray[Any, Any] = numpy_helper.to_array(one)
    return values if values.size >= LEAST else None
