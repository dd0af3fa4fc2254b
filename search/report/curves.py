"""The learning curves that cards and marks draw: `curves`."""

from __future__ import annotations

from typing import Any

import numpy as np

from search.plan import SweepPlan
from search.records.history import History, Ints
from search.report.chosen import MOST_VALUES
from search.report.packing import rounded


def curves(history: History, numbers: Ints) -> dict[str, Any]:
    """Return the reports of these trials.

    Returns:
        `metrics`: names, the searched ones first, as many as there is room for. `unit`: of a step. `last`: the longest
        budget. `of`: by number of a trial its steps, None where they are 1, 2, 3 and so on, then its values by metric.
    """
    reports = history.reports
    sizes = np.diff(reports.starts)[numbers]
    total = int(sizes.sum())
    names = [*history.metrics, *(name for name in reports.values if name not in history.metrics)]
    names = names[: max(len(history.metrics), MOST_VALUES // max(1, total))]
    packed = [rounded(reports.values[name], 4 if total > MOST_VALUES // 4 else 5) for name in names]
    of: dict[str, Any] = {}
    for number in numbers[sizes > 0].tolist():
        where = reports.of(number)
        steps = reports.step[where].tolist()
        plain = steps == [*range(1, len(steps) + 1)]
        of[str(number)] = [None if plain else steps, *(values[where] for values in packed)]
    return {"metrics": names, "unit": unit(history.plan), "last": history.plan.max_epochs, "of": of}


def unit(plan: SweepPlan) -> str:
    """Return what a report is of: an epoch, or a step where replicates, folds or the objective number them."""
    return "step" if plan.replicates > 1 or plan.folds or plan.by_hand or not plan.max_epochs else "epoch"
