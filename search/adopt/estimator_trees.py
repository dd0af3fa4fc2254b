"""What skl2onnx leaves to be mended in graphs of trees: where missing values go, and attributes that onnx refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import BaseDecisionTree

if TYPE_CHECKING:
    import onnx

BOOSTED: Final = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_FORESTS: Final = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)


def trees_of(model: Any) -> list[Any]:
    """Return the trees of a forest, or a tree; [] of anything else."""
    if isinstance(model, _FORESTS):
        return [one.tree_ for one in model.estimators_]
    return [model.tree_] if isinstance(model, BaseDecisionTree) else []


def send_missing(model: onnx.ModelProto, trees: Sequence[Any]) -> None:
    """Send a missing value to the side that the trees send it to, which skl2onnx leaves out."""
    from onnx import helper

    for node in model.graph.node if trees else ():
        if not node.op_type.startswith("TreeEnsemble"):
            continue
        given = {one.name: one for one in node.attribute}
        places = zip(given["nodes_treeids"].ints, given["nodes_nodeids"].ints, strict=True)
        left = [int(trees[tree].missing_go_to_left[place]) for tree, place in places]
        if known := given.get("nodes_missing_value_tracks_true"):
            node.attribute.remove(known)
        node.attribute.append(helper.make_attribute("nodes_missing_value_tracks_true", left))


class _Plain:
    """A container of skl2onnx that makes plain numbers of truth values and numpy's numbers in lists.

    Its converter of boosted trees gives such, and onnx 1.23 refuses them.
    """

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *given: Any, **attributes: Any) -> Any:
        plain = {
            name: [int(one) if isinstance(one, (bool, np.bool_, np.integer)) else one for one in value]
            if isinstance(value, list)
            else value
            for name, value in attributes.items()
        }
        return self._container.add_node(*given, **plain)


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Convert boosted trees on histograms."""
    from skl2onnx.common._registration import get_converter

    get_converter(operator.type)(scope, operator, _Plain(container))


def shape_of(operator: Any) -> None:
    """Tell the shape of what they predict."""
    from skl2onnx.common._registration import get_shape_calculator

    get_shape_calculator(operator.type)(operator)
