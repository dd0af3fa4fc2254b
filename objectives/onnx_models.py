"""Fitted scikit-learn models as ONNX graphs: prepared features in, probabilities or values out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from .onnx_parts import ML_OPSET, OPSET

if TYPE_CHECKING:
    import onnx

INPUT: Final = "features"


def to_onnx(model: Any, columns: int) -> onnx.ModelProto:
    """Return a graph of a linear model, a forest or boosted trees.

    Its last output is (rows, classes) probabilities, or (rows, 1) values, float32.

    Args:
        model: Fitted.
        columns: Of the prepared features.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    return convert_sklearn(
        model,
        initial_types=[(INPUT, FloatTensorType([None, columns]))],
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
        options={id(model): {"zipmap": False}} if is_classifier(model) else None,
        custom_shape_calculators=dict.fromkeys(_BOOSTED, _shape),
        custom_conversion_functions=dict.fromkeys(_BOOSTED, _boosted),
    )


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
