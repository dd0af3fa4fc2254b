"""The figures of where it is good: each of them stands every study."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from search.records.history import History
from search.report.figures import contour, hypervolume, parallel, pareto, preprocessing, rank, slices
from search.report.plot import Plot
from tests.report.extremes import extreme as extreme
from tests.report.standing import stands


def _varies(history: History) -> bool:
    return any(one.varies for one in history.parameters)


def _valued(history: History, *states: str) -> int:
    return int(np.isfinite(history.losses[history.are(*states)]).sum())


SHOWN: list[tuple[Plot, Callable[[History], bool]]] = [
    (slices.PLOT, lambda study: _varies(study) and bool(np.isfinite(study.losses).any())),
    (parallel.PLOT, lambda study: _varies(study) and _valued(study, "complete", "pruned") > 0),
    (contour.PLOT, lambda study: sum(one.varies for one in study.parameters) > 1 and _valued(study, "complete") >= 10),
    (rank.PLOT, lambda study: sum(one.varies for one in study.parameters) > 1 and _valued(study, "complete") >= 10),
    (preprocessing.PLOT, lambda study: any(one.name == "preprocess.scale" for one in study.parameters)),
    (pareto.PLOT, lambda study: len(study.metrics) > 1),
    (hypervolume.PLOT, lambda study: len(study.metrics) > 1),
]


def test_each_stands_every_study_and_is_drawn_where_it_has_something_to_show(extreme: History) -> None:
    for plot, is_shown in SHOWN:
        assert bool(stands(plot, extreme)) == is_shown(extreme), plot.key
