"""The fitted table as one ONNX graph: raw columns in, features out; scikit-learn's converters, and small ones of ours.

The graph does what `FittedTable.apply` does. Numbers come as float32 (infinite ones count as missing), text as strings
(missing: the empty one). Whether a choice can be exported at all stands in `exports.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from search.contract import NotExportable

from .encoding import TargetMeans
from .missing import Missing
from .outliers import Bound, Clip, RobustClip
from .preprocess import FittedTable
from .scaling import NEARLY_LOG, Magnitude, Power
from .whitening import Pca, Zca

if TYPE_CHECKING:
    import onnx

OPSET: Final = 18
ML_OPSET: Final = 3

OUTPUT: Final = "prepared.features"

Array = np.ndarray[Any, Any]


def to_onnx(fitted: FittedTable) -> onnx.ModelProto:
    """Return a graph with one input of shape (rows, 1) per raw column that is read, named like it.

    Its output `OUTPUT` is (rows, columns) float32.

    Raises:
        NotExportable: A step has no counterpart in ONNX.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    columns = fitted.columns
    inputs = [(name, FloatTensorType([None, 1])) for name in columns.numeric]
    inputs += [(name, StringTensorType([None, 1])) for name in (*columns.text, *columns.dates, *columns.words)]
    if "" in dict(inputs):
        raise NotExportable("a column has no name; give it one")
    try:
        model = convert_sklearn(
            fitted.pipeline,
            initial_types=inputs,
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
            custom_shape_calculators=dict.fromkeys(_CONVERTERS, _shape),
            custom_conversion_functions=_CONVERTERS,
        )
    except (MissingConverter, MissingShapeCalculator, NotImplementedError, RuntimeError) as error:
        raise NotExportable(f"this table's preparation has no counterpart in ONNX: {_why(fitted, error)}") from error
    return _named(model, [name for name, _ in inputs])


def _why(fitted: FittedTable, error: Exception) -> str:
    """Return the innermost step whose class an error names, and what it says where that is not all."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    named = re.search(r"<class '(?:[\w<>]+\.)*(\w+)'>", said)
    where = ""
    for name, step in _steps(fitted.pipeline):
        if re.search(rf"\b{type(step).__name__}\b", named[1] if named else said):
            where = f"step {name!r} ({type(step).__name__})"
    if named:
        return f"{where or named[1]} has no converter"
    return ": ".join(part for part in (where, shorten(said, 120, placeholder=" ...")) if part)


def _steps(step: Any) -> Iterator[tuple[str, Any]]:
    parts = step.transformers_ if isinstance(step, ColumnTransformer) else getattr(step, "steps", ())
    for name, inner, *_ in parts:
        yield name, inner
        yield from _steps(inner)


def _named(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """Return the graph with its inputs called like the raw columns, which skl2onnx spells as Python names.

    A number that is infinite becomes a missing one at the door.
    """
    from onnx import TensorProto, compose, helper, numpy_helper

    if OUTPUT in names:
        raise NotExportable(f"a column is called {OUTPUT!r}, as the output of the graph is; give it another name")
    # Inside, every name gets a prefix, so that no column can be called like a part of the graph.
    model = compose.add_prefix(model, "prepare/")
    graph = model.graph
    doors = [
        helper.make_node("Constant", [], ["prepare/nan"], value=numpy_helper.from_array(np.float32(np.nan).reshape(1)))
    ]
    for name, entry in zip(names, graph.input, strict=True):
        inside = entry.name
        entry.name = name
        if entry.type.tensor_type.elem_type == TensorProto.FLOAT:
            doors.append(helper.make_node("IsInf", [name], [f"{inside}/infinite"]))
            doors.append(helper.make_node("Where", [f"{inside}/infinite", "prepare/nan", name], [inside]))
        else:
            doors.append(helper.make_node("Identity", [name], [inside]))
    last = helper.make_node("Identity", [graph.output[0].name], [OUTPUT])
    graph.output[0].name = OUTPUT
    nodes = [*doors, *graph.node, last]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _shape(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    step = operator.raw_operator
    width = step.n_features_in_ * (len(step.encoders_) if isinstance(step, TargetMeans) else 1)
    if isinstance(step, Pca):
        width = step.matrix_.shape[1]
    operator.outputs[0].type = FloatTensorType([operator.inputs[0].get_first_dimension(), width])


class _Graph:
    """Adds nodes to a graph under construction; every method returns the name of what it makes."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def constant(self, values: Array) -> str:
        from onnx import helper

        name = str(self._scope.get_unique_variable_name("constant"))
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        self._container.add_initializer(name, kind, list(values.shape), values.ravel().tolist())
        return name

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        made = output or str(self._scope.get_unique_variable_name(kind))
        domain = {"op_domain": "ai.onnx.ml", "op_version": ML_OPSET - 1} if kind == "LabelEncoder" else {}
        self._container.add_node(
            kind, list(inputs), made, name=self._scope.get_unique_operator_name(kind), **domain, **attributes
        )
        return made

    def whole(self, operator: Any) -> str:
        """Return all inputs of an operator side by side."""
        names = [one.full_name for one in operator.inputs]
        return names[0] if len(names) == 1 else self.node("Concat", *names, axis=1)


def _drawn(scope: Any, operator: Any, container: Any) -> None:
    """Compare and choose instead of taking a minimum: a comparison with a missing value is false, so it stays."""
    graph, step = _Graph(scope, container), operator.raw_operator
    values = graph.whole(operator)
    if isinstance(step, Magnitude):
        values = graph.node("Mul", values, graph.constant(np.asarray(step.factor_, dtype=np.float32)))
    low, high = (graph.constant(np.asarray(one, dtype=np.float32)) for one in (step.low_, step.high_))
    raised = graph.node("Where", graph.node("Less", values, low), low, values)
    graph.node("Where", graph.node("Greater", raised, high), high, raised, output=operator.outputs[0].full_name)


def _affine(scope: Any, operator: Any, container: Any) -> None:
    """Scale as scikit-learn does, to the last bit, or a tree that splits at a training value would see another side.

    In-place arithmetic of numpy rounds to float32 after each step, whatever the type of the constants.
    """
    graph, step = _Graph(scope, container), operator.raw_operator
    if isinstance(step, MinMaxScaler):
        parts = [("Mul", step.scale_), ("Add", step.min_)]
    elif isinstance(step, RobustScaler):
        parts = [("Sub", step.center_), ("Div", step.scale_)]
    else:  # a StandardScaler, whose constants are rounded as well
        parts = [("Sub", step.mean_.astype(np.float32)), ("Div", step.scale_.astype(np.float32))]
    last = graph.node("Cast", graph.whole(operator), to=1)
    for index, (kind, values) in enumerate(parts):
        exact = graph.node(kind, graph.node("Cast", last, to=11), graph.constant(values.astype(np.float64)))
        is_last = index == len(parts) - 1
        last = graph.node("Cast", exact, to=1, output=operator.outputs[0].full_name if is_last else None)


def _powers(scope: Any, operator: Any, container: Any) -> None:
    """Compute in float64, as the step does."""
    graph, step = _Graph(scope, container), operator.raw_operator
    values = graph.node("Cast", graph.whole(operator), to=11)
    lambdas = step.lambdas_.astype(np.float64)
    zero, one = graph.constant(np.array(0.0)), graph.constant(np.array(1.0))

    def side(compare: str, size: str, exponents: Array) -> str:
        is_log = np.abs(exponents) < NEARLY_LOG
        bent = graph.constant(np.where(is_log, 1.0, exponents))
        more = graph.node("Add", graph.node("Where", graph.node(compare, values, zero), size, zero), one)
        power = graph.node("Div", graph.node("Sub", graph.node("Pow", more, bent), one), bent)
        return graph.node("Where", graph.constant(is_log), graph.node("Log", more), power)

    up = side("Greater", values, lambdas)
    down = side("Less", graph.node("Neg", values), 2 - lambdas)
    graph.node("Cast", graph.node("Sub", up, down), to=1, output=operator.outputs[0].full_name)


def _missing(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, container)
    graph.node("Cast", graph.node("IsNaN", graph.whole(operator)), to=1, output=operator.outputs[0].full_name)


def _turned(scope: Any, operator: Any, container: Any) -> None:
    """Compute in float64, as the step does: columns that are nearly one have small directions of large factors."""
    graph, step = _Graph(scope, container), operator.raw_operator
    exact = graph.node("Cast", graph.whole(operator), to=11)
    centred = graph.node("Sub", exact, graph.constant(step.centre_ if isinstance(step, Pca) else step.mean_))
    whitened = graph.node("MatMul", centred, graph.constant(step.matrix_))
    graph.node("Cast", whitened, to=1, output=operator.outputs[0].full_name)


def _quantiles(scope: Any, operator: Any, container: Any) -> None:
    """Interpolate between the quantiles of the training rows, once from below and once from above, as `np.interp` does.

    skl2onnx's own converter gives the same, but takes 4 s for 50 quantiles and 16 s for 100.
    """
    graph, step = _Graph(scope, container), operator.raw_operator
    values = graph.node("Cast", graph.whole(operator), to=11)
    known = step.quantiles_.astype(np.float64)
    last, width = len(known) - 1, known.shape[1]
    ranks = np.repeat(step.references_.astype(np.float64)[:, None], width, axis=1)
    if last == 0:
        known, ranks, last = np.repeat(known, 2, axis=0), np.repeat(ranks, 2, axis=0), 1
    table, heights = graph.constant(known), graph.constant(ranks)
    spread = graph.node("Unsqueeze", values, graph.constant(np.array([1])))
    one = graph.constant(np.array(1))

    def counted(compare: str) -> str:
        """Return how many quantiles of its column lie below each value."""
        below = graph.node("Cast", graph.node(compare, spread, table), to=7)
        return graph.node("ReduceSum", below, graph.constant(np.array([1])), keepdims=0)

    def between(low: str, high: str, start: str) -> str:
        x0, x1, y0, y1 = (
            graph.node("GatherElements", source, index, axis=0) for source in (table, heights) for index in (low, high)
        )
        slope = graph.node("Div", graph.node("Sub", y1, y0), graph.node("Sub", x1, x0))
        x, y = (x0, y0) if start == "low" else (x1, y1)
        return graph.node("Add", graph.node("Mul", slope, graph.node("Sub", values, x)), y)

    def held(index: str, least: int, most: int) -> str:
        return graph.node("Clip", index, graph.constant(np.array(least)), graph.constant(np.array(most)))

    low = held(graph.node("Sub", counted("GreaterOrEqual"), one), 0, last - 1)
    high = held(counted("Greater"), 1, last)
    ways = (between(low, graph.node("Add", low, one), "low"), between(graph.node("Sub", high, one), high, "high"))
    made = graph.node("Mul", graph.node("Add", *ways), graph.constant(np.array(0.5)))
    ends = ((known[last], "GreaterOrEqual", 1.0), (known[0], "LessOrEqual", 0.0))
    for end, compare, height in ends:
        outside = graph.node(compare, values, graph.constant(end))
        made = graph.node("Where", outside, graph.constant(np.array(height)), made)
    graph.node("Cast", made, to=1, output=operator.outputs[0].full_name)


def _target_means(scope: Any, operator: Any, container: Any) -> None:
    graph, step = _Graph(scope, container), operator.raw_operator
    texts = graph.whole(operator)
    made = []
    for encoder in step.encoders_:
        for index, means in enumerate(encoder.encodings_):
            column = graph.node("Gather", texts, graph.constant(np.array([index])), axis=1)
            keys = [str(one) for one in step.categories[index]]
            made.append(
                graph.node(
                    "LabelEncoder",
                    column,
                    keys_strings=keys,
                    values_floats=[float(one) for one in means],
                    default_float=float(encoder.target_mean_),
                )
            )
    graph.node("Concat", *made, axis=1, output=operator.outputs[0].full_name)


_CONVERTERS: Final = {
    Clip: _drawn,
    RobustClip: _drawn,
    Bound: _drawn,
    Magnitude: _drawn,
    Power: _powers,
    Missing: _missing,
    Zca: _turned,
    Pca: _turned,
    StandardScaler: _affine,
    MinMaxScaler: _affine,
    RobustScaler: _affine,
    TargetMeans: _target_means,
    QuantileTransformer: _quantiles,
}
