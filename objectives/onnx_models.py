"""Trained models as ONNX graphs: prepared features in, probabilities of all classes or values of the target out."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from .onnx_parts import ML_OPSET, OPSET

if TYPE_CHECKING:
    import onnx

INPUT: Final = "features"
OUTPUT: Final = "prediction"

Array = np.ndarray[Any, Any]


def estimator(model: Any, columns: int, *, classes: int) -> onnx.ModelProto:
    """Return the graph of a fitted scikit-learn model.

    Args:
        model: Fitted.
        columns: Of the prepared features.
        classes: In all; those that the model was never shown get probability 0. 0 for a regression.
    """
    from onnx import helper, numpy_helper
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    made = convert_sklearn(
        model,
        name="model",
        initial_types=[(INPUT, FloatTensorType([None, columns]))],
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
        options={id(model): {"zipmap": False}} if is_classifier(model) else None,
        custom_shape_calculators=dict.fromkeys(_BOOSTED, _shape),
        custom_conversion_functions=dict.fromkeys(_BOOSTED, _boosted),
    )
    graph, last = made.graph, made.graph.output[-1].name
    if classes:
        # also where no class is missing, so that the graph has one shape
        places = np.zeros((len(model.classes_), classes), dtype=np.float32)
        places[np.arange(len(model.classes_)), model.classes_] = 1
        graph.initializer.append(numpy_helper.from_array(places, "places"))
        graph.node.append(helper.make_node("MatMul", [last, "places"], [OUTPUT]))
    else:
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 1]), "one column"))
        graph.node.append(helper.make_node("Reshape", [last, "one column"], [OUTPUT]))
    _only_output(graph, max(classes, 1))
    return made


def linear(coefficients: Array, *, classes: int) -> onnx.ModelProto:
    """Return the graph of a linear model, which reckons in float64 as the model itself does.

    Args:
        coefficients: (outputs, columns + 1) float64, the intercept last.
        classes: 0 for a regression.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", [INPUT], ["exact"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["exact", "slopes"], ["products"]),
        helper.make_node("Add", ["products", "intercepts"], ["outputs"]),
    ]
    last = "outputs"
    if classes:
        nodes.append(helper.make_node("Softmax", [last], ["shares"], axis=1))
        last = "shares"
    nodes.append(helper.make_node("Cast", [last], [OUTPUT], to=TensorProto.FLOAT))
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(coefficients[:, :-1].T), "slopes"),
        numpy_helper.from_array(np.ascontiguousarray(coefficients[:, -1]), "intercepts"),
    ]
    columns = coefficients.shape[1] - 1
    entry = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", columns])
    graph = helper.make_graph(nodes, "model", [entry], [], constants)
    _only_output(graph, max(classes, 1))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def network(net: Any, example: Array, *, classes: int, shift: float = 0.0, scale: float = 1.0) -> onnx.ModelProto:
    """Return the graph of a network, with the softmax of its logits, or its output in units of the target.

    Args:
        net: A torch module that gives logits, or (rows, 1).
        example: Prepared rows, float32.
        classes: 0 for a regression.
        shift, scale: Of a regression: the target is shift + scale * output.
    """
    import torch
    from torch import nn

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = self.net(features)
            return output.softmax(dim=1) if classes else output * scale + shift

    rows = torch.export.Dim("rows", min=1)
    inputs = torch.tensor(np.repeat(example[:1], 2, axis=0))
    training = net.training
    device = next(net.parameters()).device
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of packages that it does not need
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of torch's exporter about itself
            program = torch.onnx.export(
                Whole().cpu().eval(),
                (inputs,),
                dynamo=True,
                dynamic_shapes=({0: rows},),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        log.setLevel(level)
        net.to(device).train(training)
    assert program is not None
    made: onnx.ModelProto = program.model_proto
    return made


def _only_output(graph: onnx.GraphProto, width: int) -> None:
    from onnx import TensorProto, helper

    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", width]))


_BOOSTED: Final = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


class _Plain:
    """A container of skl2onnx that takes attributes as its converter of boosted trees gives them.

    They are truth values and numpy's numbers in lists, which onnx 1.23 refuses.
    """

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *given: Any, **attributes: Any) -> Any:
        return self._container.add_node(*given, **{name: _plain(value) for name, value in attributes.items()})


def _plain(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [int(one) if isinstance(one, (bool, np.bool_, np.integer)) else one for one in value]


def _boosted(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common._registration import get_converter

    get_converter(operator.type)(scope, operator, _Plain(container))


def _shape(operator: Any) -> None:
    from skl2onnx.common._registration import get_shape_calculator

    get_shape_calculator(operator.type)(operator)
