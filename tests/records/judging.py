"""Trials for tests of importances: parameters and values as given, taken through Optuna's own types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.plan import SweepPlan
from search.records.judged import Judged
from search.study import attributes
from search.study.record import from_frozen

PLAN = SweepPlan("o.py:O", "s.py:s", "known", ".", ("loss",), ("minimize",), seed=0)


def trials(
    space: Mapping[str, BaseDistribution], columns: Mapping[str, Sequence[Any]], losses: Sequence[float]
) -> list[FrozenTrial]:
    """Return completed trials; one does not have a parameter where its column says None."""
    made = []
    for row, loss in enumerate(losses):
        given = {name: column[row] for name, column in columns.items() if column[row] is not None}
        made.append(ended("complete", given, space, loss))
    return made


def ended(
    state: str,
    params: Mapping[str, Any],
    space: Mapping[str, BaseDistribution],
    value: float | None = None,
    *,
    steps: int = 0,
    reason: str | None = None,
    constraints: Mapping[str, float] | None = None,
) -> FrozenTrial:
    """Return a trial that has ended."""
    system: dict[str, Any] = {attributes.END: {"reason": reason}}
    system |= {f"constraints:{name}": excess for name, excess in (constraints or {}).items()}
    return create_trial(
        state=TrialState[state.upper()],
        values=None if value is None else [value],
        params=dict(params),
        distributions={name: space[name] for name in params},
        intermediate_values={step: value for step in range(1, steps + 1) if value is not None},
        system_attrs=system,
    )


def judged(given: Sequence[FrozenTrial]) -> Judged:
    return Judged.of_records([from_frozen(one) for one in given], PLAN, len(given))


def floats(column: NDArray[np.floating[Any]]) -> list[float]:
    found: list[float] = column.tolist()
    return found
