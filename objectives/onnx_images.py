"""Fitted images as an ONNX graph: pixels in [0, 1] in, prepared images out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .onnx_parts import OPSET
from .pixels import FittedImages

if TYPE_CHECKING:
    import onnx

INPUT: Final = "image"
OUTPUT: Final = "prepared.image"

Array = np.ndarray[Any, Any]


def to_onnx(fitted: FittedImages) -> onnx.ModelProto:
    """Return a graph that does what `FittedImages.apply` does with float32 images (rows, channels, height, width)."""
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def step(kind: str, first: str, second: Array | str | None = None, *, swap: bool = False, **attributes: Any) -> str:
        inputs = [first]
        if isinstance(second, str):
            inputs.append(second)
        elif second is not None:
            constants.append(numpy_helper.from_array(np.ascontiguousarray(second), f"constant{len(constants)}"))
            inputs.append(constants[-1].name)
        made = f"step{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs[::-1] if swap else inputs, [made], **attributes))
        return made

    last = INPUT
    if fitted.rows is not None and fitted.columns is not None:
        last = step("MatMul", step("MatMul", last, fitted.rows, swap=True), fitted.columns)
    last = step("Mul", step("Sub", last, fitted.shift), fitted.factor)
    if fitted.mean is not None and fitted.matrix is not None:
        shape = step("Shape", last)
        flat = step("Cast", step("Flatten", last), to=TensorProto.DOUBLE)
        white = step("MatMul", step("Sub", flat, fitted.mean), fitted.matrix)
        last = step("Cast", step("Reshape", white, shape), to=TensorProto.FLOAT)
    nodes.append(helper.make_node("Identity", [last], [OUTPUT]))
    sides = ["rows", fitted.shift.shape[1], "height", "width"]
    made = ["rows", fitted.shift.shape[1], "prepared height", "prepared width"]
    graph = helper.make_graph(
        nodes,
        "prepare",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, made)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
