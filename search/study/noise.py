"""What the best result of a study is uncertain by, from the best thing that is known of it: the `Noise`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from optuna.trial import FrozenTrial

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import attributes
from search.trialfiles import evaluation_of
from search.variation import ROUNDING, error_of_folds, measured, scores_of_folds

TOP: Final = 5
"""Best trials whose spread is put together, where that of one alone says little."""

LAST: Final = 8
"""Reports at the end of a training, where it changes slowly."""

_LEAST_BENDS: Final = 5  # together; a median of fewer says little
_NORMAL: Final = 0.6745 * math.sqrt(20.0)
"""Median size of a third difference of results with noise 1: its weights are 1, -3, 3, -1."""


class Noise(NamedTuple):
    """A standard deviation, in the metric's unit, and what it was taken from, in words."""

    value: float
    source: str


def noise_of(
    ranked: Sequence[FrozenTrial], plan: SweepPlan, folder: Path | None, *, around_model: float
) -> Noise | None:
    """Return what the best result would vary by; None where nothing varies.

    Args:
        ranked: Completed trials, the best one first.
        plan: Of their study.
        folder: Of the study, None of one in memory.
        around_model: Standard deviation of results around a model of all of them, the last resort.
    """
    for found in _known(ranked, plan, folder, around_model):
        if math.isfinite(found.value) and found.value > ROUNDING * abs(ranked[0].values[0]):
            return found
    return None


def _known(ranked: Sequence[FrozenTrial], plan: SweepPlan, folder: Path | None, around_model: float) -> Iterator[Noise]:
    """Yield what is known of the noise, the surest first."""
    best, top = ranked[0], ranked[:TOP]
    best_five = f"the best {len(top)} trials" if len(top) > 1 else "the best trial"
    if plan.replicates > 1:
        told = f"the standard error of {plan.replicates} trainings with different seeds, from {best_five}"
        yield Noise(_of_trainings(top, plan), told)
    elif plan.folds > 1:
        yield Noise(_of_folds(best, plan), f"the standard error of trial {best.number} over {plan.folds} folds")
    else:
        found = _of_rows(best, folder)
        if found is not None:
            yield Noise(found[0], f"the standard error of trial {best.number} over {found[1]:,} validation rows")
        yield Noise(_of_reports(top), f"the scatter of the last reports of {best_five} around their trend")
    yield Noise(around_model, "the scatter of all results around a model of them")


def _of_trainings(top: Sequence[FrozenTrial], plan: SweepPlan) -> float:
    ends = [one.system_attrs.get(attributes.END, {}).get("metrics", {}) for one in top]
    spreads = [end[name] for end in ends if (name := f"{plan.metrics[0]}_sd") in end]
    return math.sqrt(np.mean(np.square(spreads)) / plan.replicates) if spreads else 0.0


def _of_folds(best: FrozenTrial, plan: SweepPlan) -> float:
    reported = _reports(best)[1]
    if len(reported) != plan.folds or not np.isfinite(reported).all():
        return 0.0
    scores = scores_of_folds(reported, float(best.values[0]), compared="wilcoxon" in plan.pruner)
    return 0.0 if scores is None else error_of_folds(scores)


def _of_rows(best: FrozenTrial, folder: Path | None) -> tuple[float, int] | None:
    """Return the standard error over the validation rows, and how many there are."""
    evaluation = None if folder is None else evaluation_of(StudyFolder(folder), best.number)
    found = None if evaluation is None else measured(evaluation, float(best.values[0]))
    return None if found is None else (found.error, found.rows)


def _of_reports(top: Sequence[FrozenTrial]) -> float:
    """Return what reports at the end of a training scatter by: by third differences, which a smooth course has not."""
    bends: list[float] = []
    for one in top:
        steps, values = (each[-LAST:] for each in _reports(one))
        if len(steps) < 4:
            continue
        windows = np.lib.stride_tricks.sliding_window_view
        even = np.ptp(windows(np.diff(steps), 3), axis=1) == 0
        bends += np.abs(windows(values, 4) @ np.array([1.0, -3.0, 3.0, -1.0]))[even].tolist()
    finite = [bend for bend in bends if math.isfinite(bend)]
    return float(np.median(finite)) / _NORMAL if len(finite) >= _LEAST_BENDS else 0.0


def _reports(trial: FrozenTrial) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return steps and values of the searched metric, in order."""
    told = sorted(trial.intermediate_values.items())
    return np.array([step for step, _ in told]), np.array([value for _, value in told], float)
