"""The steps at which the pruner of a study judges trials: its `Ladder`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import InputError
from search.plan import SweepPlan


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The rungs of a study.

    Attributes:
        rule: Name of the pruner.
        steps: Of all rungs below the last step, rising; () of a pruner without rungs.
        first: (trials,): of each trial the first rung that it meets, a step; 0 where it meets none.
    """

    rule: str
    steps: tuple[int, ...]
    first: NDArray[np.int64]


def ladder(plan: SweepPlan, trials: int = 0) -> Ladder:
    """Return the rungs of a study with so many trials.

    Args:
        plan: Of the study. A pruner that is not known here, as of a study of a later version, has no rungs.
        trials: Hyperband lets trials begin at different rungs, by their numbers.
    """
    from search.study import pruners  # which loads Optuna
    from search.study.choice import Choice

    first = np.zeros(trials, np.int64)
    try:
        choice = Choice.parse(plan.pruner)
        last = plan.max_epochs or pruners.NO_LIMIT
        pruners.check(choice, last)
    except InputError:
        return Ladder(plan.pruner.partition(":")[0], (), first)
    rule = pruners.make(choice, directions=plan.directions, seed=plan.seed, max_epochs=last, metrics=plan.metrics)
    lists = [rule.rungs_of(number) for number in range(_SAMPLE)]
    if any(steps != lists[0] for steps in lists):
        lists += [rule.rungs_of(number) for number in range(_SAMPLE, trials)]
        first[:] = [steps[0] if steps else 0 for steps in lists[:trials]]
    elif lists[0]:
        first[:] = lists[0][0]
    return Ladder(choice.name, tuple(sorted({step for steps in lists for step in steps})), first)


_SAMPLE = 1_000
"""Numbers that tell whether all trials meet the same rungs; enough to find every bracket."""
