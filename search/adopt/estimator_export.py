"""A trained estimator of scikit-learn's as ONNX graphs, by the converters of skl2onnx: raw columns to a prediction."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.adopt.estimator_texts import mend_categories, with_empty_texts
from search.adopt.estimator_trees import BOOSTED, convert, send_missing, shape_of, trees_of
from search.contract import Context, Exported, NotExportable

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

_OPSETS: Final = {"": 18, "ai.onnx.ml": 3}
_FEATURES: Final = "features"
_SCORES: Final = "scores"
_PREPARED: Final = "prepared.features"


def exported(head: Any | None, last: Any, features: Any, context: Context) -> Exported:
    """Return fitted steps as two graphs, and what they say themselves.

    Args:
        head: A pipeline of the steps before the last one; None for none.
        last: What predicts.
        features: Raw rows of the training.
        context: Of the trial.

    Raises:
        NotExportable: A step has no converter, the classifier gives no probabilities, or the training held what a
            bundle takes for missing.
    """
    _check_served(features)
    is_classifier = context.task.is_classification
    if is_classifier and not hasattr(last, "predict_proba"):
        raise NotExportable(f"{type(last).__name__} gives no probabilities (predict_proba), which a bundle holds")
    prepare = _prepare(head, features)
    model = _model(last, len(context.classes) if is_classifier else 0)

    def predict(rows: Any) -> Array:
        rows = _as_served(rows)
        prepared = rows if head is None else head.transform(rows)
        if not is_classifier:
            return np.asarray(last.predict(prepared), dtype=np.float64).reshape(-1)
        found = np.asarray(last.predict_proba(prepared), dtype=np.float64)
        whole = np.zeros((len(found), len(context.classes)))
        whole[:, last.classes_] = found
        return whole

    return Exported(prepare.SerializeToString(), model.SerializeToString(), predict)


def _prepare(head: Any | None, features: Any) -> onnx.ModelProto:
    """Return the graph of the steps before the last one."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer

    numeric = _numeric(features)
    head = None if head is None else with_empty_texts(head)
    if "" in numeric:
        raise NotExportable("a column has no name; give it one")
    if head is not None and isinstance(head[0], ColumnTransformer):
        kinds = [(name, FloatTensorType if is_number else StringTensorType) for name, is_number in numeric.items()]
        made = _converted(head, [(name, kind([None, 1])) for name, kind in kinds])
        return _with_doors(made, numeric, together=False)
    if texts := [name for name, is_number in numeric.items() if not is_number]:
        raise NotExportable(f"column {texts[0][:60]!r} is text, which is exported only behind a ColumnTransformer")
    if head is None:
        return _side_by_side(list(numeric))
    return _with_doors(_converted(head, [("raw", FloatTensorType([None, len(numeric)]))]), numeric, together=True)


def _check_served(features: Any) -> None:
    """Refuse rows of a training that mean something else to a served model, which `_as_served` would hide."""
    most = float(np.finfo(np.float32).max)
    for name, is_number in _numeric(features).items():
        if isinstance(features, np.ndarray):
            values = features.reshape(len(features), -1)[:, int(name[1:])]
        else:
            values = features[name].dropna().to_numpy(np.float64 if is_number else object)
        if bool((np.abs(values) > most).any() if is_number else (values == "").any()):
            what = "numbers beyond float32" if is_number else "empty texts"
            raise NotExportable(f"column {name[:60]!r} was trained with {what}, which a bundle takes for missing")


def _as_served(rows: Any) -> Any:
    """Return rows as a served model gets them: numbers beyond float32 and empty texts are missing."""
    most = float(np.finfo(np.float32).max)
    if isinstance(rows, np.ndarray):
        far = np.abs(rows) > most
        return np.where(far, np.nan, rows) if far.any() else rows
    changed: dict[str, Any] = {}
    for name, is_number in _numeric(rows).items():
        if not is_number:
            texts = rows[name].astype(object)
            changed[name] = texts.mask(texts.isna() | (texts == ""), np.nan)  # also None, which encoders tell from NaN
            continue
        values = rows[name].to_numpy(np.float64, na_value=np.nan)
        if (far := np.abs(values) > most).any():
            changed[name] = np.where(far, np.nan, values)
    return rows.assign(**changed) if changed else rows


def _numeric(features: Any) -> dict[str, bool]:
    """Return for each raw column whether it holds numbers."""
    if isinstance(features, np.ndarray):
        return {f"x{index}": True for index in range(features.reshape(len(features), -1).shape[1])}
    from pandas.api.types import is_numeric_dtype

    return {str(name): is_numeric_dtype(column.dtype) for name, column in features.items()}


def _model(last: Any, classes: int) -> onnx.ModelProto:
    """Return the graph of what predicts; a class that it was never shown gets probability 0."""
    from onnx import TensorProto, helper, numpy_helper
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    options = {id(last): {"zipmap": False}} if classes else None
    trees = trees_of(last)
    try:
        # scikit-learn reckons in float64, but for trees, whose thresholds are between values of float32
        kind = FloatTensorType if trees or _is_boosted(last) else DoubleTensorType
        made = _converted(last, [(_FEATURES, kind([None, last.n_features_in_]))], options)
    except NotExportable:
        made = _converted(last, [(_FEATURES, FloatTensorType([None, last.n_features_in_]))], options)
    send_missing(made, trees)
    graph = made.graph
    graph.node.append(helper.make_node("Cast", [graph.output[-1].name], ["found"], to=TensorProto.FLOAT))
    found = "found"
    if graph.input[0].type.tensor_type.elem_type == TensorProto.DOUBLE:
        for node in graph.node:
            node.input[:] = ["exact" if name == _FEATURES else name for name in node.input]
        graph.node.insert(0, helper.make_node("Cast", [_FEATURES], ["exact"], to=TensorProto.DOUBLE))
        graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    if classes:
        places = np.zeros((len(last.classes_), classes), dtype=np.float32)
        places[np.arange(len(last.classes_)), last.classes_] = 1
        graph.initializer.append(numpy_helper.from_array(places, "places"))
        graph.node.append(helper.make_node("MatMul", [found, "places"], [_SCORES]))
    else:
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 1]), "one column"))
        graph.node.append(helper.make_node("Reshape", [found, "one column"], [_SCORES]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(_SCORES, TensorProto.FLOAT, ["rows", max(classes, 1)]))
    return made


def _is_boosted(model: Any) -> bool:
    return "Boosting" in type(model).__name__


def _converted(step: Any, inputs: Sequence[tuple[str, Any]], options: Any = None) -> onnx.ModelProto:
    from skl2onnx import convert_sklearn

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of converters about themselves
            made: onnx.ModelProto = convert_sklearn(
                step,
                name="graph",
                initial_types=list(inputs),
                target_opset=_OPSETS,
                options=options,
                custom_shape_calculators=dict.fromkeys(BOOSTED, shape_of),
                custom_conversion_functions=dict.fromkeys(BOOSTED, convert),
            )
            return made
    except Exception as error:  # a converter may fail at anything
        said = " ".join(str(error).split())
        named = re.search(r"type '?<class '(?:[\w<>]+\.)*(\w+)'", said)
        where = _at_fault(step, named[1] if named else said)
        if named:
            raise NotExportable(f"skl2onnx has no converter of {where}") from error
        raise NotExportable(f"skl2onnx cannot convert {where}: {shorten(said, 100, placeholder=' ...')}") from error


def _at_fault(step: Any, said: str) -> str:
    """Return the innermost step whose class an error names, with that class."""
    found = type(step).__name__
    for name, inner in _inside(step):
        if re.search(rf"\b{type(inner).__name__}\b", said):
            found = f"{type(inner).__name__} (step {name[:40]!r})"
    return found


def _inside(step: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a pipeline, or what stands side by side, is made of, and what that is made of."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline

    parts: list[Any] = []
    if isinstance(step, Pipeline):
        parts = step.steps
    elif isinstance(step, ColumnTransformer):
        parts = step.transformers_
    elif isinstance(step, FeatureUnion):
        parts = step.transformer_list
    for name, inner, *_ in parts:
        if not isinstance(inner, str):  # drop, passthrough
            yield name, inner
            yield from _inside(inner)


def _with_doors(model: onnx.ModelProto, numeric: dict[str, bool], *, together: bool) -> onnx.ModelProto:
    """Return the graph with inputs called like the raw columns; an infinite number becomes a missing one.

    Args:
        model: As converted: with an input for each column, or one for all.
        numeric: Whether a column holds numbers, by name.
        together: Whether it has one for all.
    """
    from onnx import compose, helper

    if _PREPARED in numeric:
        raise NotExportable(f"a column is called {_PREPARED!r}, as the output of the graph is; give it another name")
    mend_categories(model.graph)
    model = compose.add_prefix(model, "prepare/")
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    inside = [entry.name for entry in graph.input]
    nodes, inputs = _doors(numeric)
    if together:
        nodes.append(helper.make_node("Concat", [f"door/{index}" for index in range(len(numeric))], inside, axis=1))
    else:
        for index, name in enumerate(inside):
            nodes.append(helper.make_node("Identity", [f"door/{index}"], [name]))
        inputs = [one for one, name in zip(inputs, inside, strict=True) if name in read]
        doors = {f"door/{index}" for index, name in enumerate(inside) if name in read}
        nodes = [one for one in nodes if _feeds(one, doors)]
    nodes += [*graph.node, helper.make_node("Cast", [graph.output[0].name], [_PREPARED], to=1)]
    return _rebuilt(model, nodes, inputs)


def _feeds(node: onnx.NodeProto, doors: set[str]) -> bool:
    """Tell whether a node stands behind or before a door that is used."""
    names = [*node.input, *node.output]
    return node.op_type == "Constant" or any(name.removesuffix("/infinite") in doors for name in names)


def _side_by_side(names: Sequence[str]) -> onnx.ModelProto:
    """Return the graph that puts columns beside each other, and does nothing else."""
    from onnx import helper

    nodes, inputs = _doors(dict.fromkeys(names, True))
    nodes.append(helper.make_node("Concat", [f"door/{index}" for index in range(len(names))], [_PREPARED], axis=1))
    empty = helper.make_model(
        helper.make_graph([], "prepare", [], []), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    return _rebuilt(empty, nodes, inputs)


def _doors(numeric: dict[str, bool]) -> tuple[list[Any], list[Any]]:
    """Return nodes from each raw column to `door/INDEX`, and the graph's inputs."""
    from onnx import TensorProto, helper, numpy_helper

    missing = numpy_helper.from_array(np.float32(np.nan).reshape(1))
    nodes = [helper.make_node("Constant", [], ["door/nan"], value=missing)]
    inputs = []
    for index, (name, is_number) in enumerate(numeric.items()):
        door = f"door/{index}"
        if is_number:
            nodes.append(helper.make_node("IsInf", [name], [f"{door}/infinite"]))
            nodes.append(helper.make_node("Where", [f"{door}/infinite", "door/nan", name], [door]))
        else:
            nodes.append(helper.make_node("Identity", [name], [door]))
        kind = TensorProto.FLOAT if is_number else TensorProto.STRING
        inputs.append(helper.make_tensor_value_info(name, kind, ["rows", 1]))
    return nodes, inputs


def _rebuilt(model: onnx.ModelProto, nodes: list[Any], inputs: list[Any]) -> onnx.ModelProto:
    from onnx import TensorProto, helper

    graph = model.graph
    for part, content in ((graph.node, nodes), (graph.input, inputs)):
        del part[:]
        part.extend(content)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(_PREPARED, TensorProto.FLOAT, ["rows", "columns"]))
    return model
