"""Trains boosted trees, and takes their errors after each batch of trees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import lightgbm
import numpy as np

from benchmarks.quality_problems import Configuration, Curves, Problem
from benchmarks.quality_tables import EPOCHS

TREES: Final = 10
"""Rounds of boosting that count as an epoch."""
_ALWAYS: Final[dict[str, Any]] = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "max_bin": 63,
    "min_data_in_bin": 3,
    "verbosity": -1,
    "metric": "none",
    "bagging_freq": 1,
}
_TREE_S: Final = 1e-4
_ENTRY_S: Final = 3e-9
"""Modelled costs: of a tree, and of an entry of the data for each doubling of its leaves."""


def curves(problem: Problem, configurations: Sequence[Configuration]) -> Curves:
    """Boost trees for each configuration: learning_rate, leaves, l2, feature_share, leaf_rows, row_share."""
    data = lightgbm.Dataset(problem.x[: problem.training], problem.y[: problem.training], params=_ALWAYS).construct()
    parts = {
        name: data.create_valid(
            problem.x[rows.start : rows.stop], problem.y[rows.start : rows.stop], params=_ALWAYS
        ).construct()
        for name, rows in (("val", problem.validated), ("test", problem.tested))
    }
    made = Curves.empty(len(configurations))
    for row, one in enumerate(configurations):
        val, test = _errors(problem, data, parts, _parameters(problem, one, seed=row))
        made.val[row], made.test[row], made.seconds[row] = val, test, _seconds(problem, one)
    return made


def _parameters(problem: Problem, one: Configuration, *, seed: int) -> dict[str, Any]:
    kind = {0: "regression", 2: "binary"}.get(problem.classes, "multiclass")
    return {
        **_ALWAYS,
        "objective": kind,
        **({"num_class": problem.classes} if kind == "multiclass" else {}),
        "learning_rate": one["learning_rate"],
        "num_leaves": one["leaves"],
        "lambda_l2": one["l2"],
        "feature_fraction": one["feature_share"],
        "min_data_in_leaf": one["leaf_rows"],
        "bagging_fraction": one.get("row_share", 1.0),
        "seed": seed,
    }


def _errors(
    problem: Problem, data: lightgbm.Dataset, parts: dict[str, lightgbm.Dataset], parameters: dict[str, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the errors of one configuration on both parts, (epochs,) each."""
    booster = lightgbm.Booster(parameters, data)
    for name, part in parts.items():
        booster.add_valid(part, name)

    def error(scores: np.ndarray[Any, Any], part: lightgbm.Dataset) -> tuple[str, float, bool]:
        return "error", _sum(problem, scores, part.get_label()), False

    seen = np.zeros((EPOCHS, 2))
    for epoch in range(EPOCHS):
        for _ in range(TREES):
            booster.update()
        seen[epoch] = [value for _, _, value, _ in booster.eval_valid(error)]
    return problem.errors(seen[:, 0], problem.validated), problem.errors(seen[:, 1], problem.tested)


def _sum(problem: Problem, scores: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
    if problem.classes == 0:
        return float(np.square(scores - y).sum())
    guess = scores > 0.5 if problem.classes == 2 else scores.argmax(axis=1)
    return float((guess != y).sum())


def _seconds(problem: Problem, one: Configuration) -> float:
    entries: float = (
        problem.training * problem.x.shape[1] * float(one["feature_share"]) * float(one.get("row_share", 1.0))
    )
    trees = float(TREES * (problem.classes if problem.classes > 2 else 1))
    return trees * (_TREE_S + entries * math.log2(float(one["leaves"])) * _ENTRY_S)
