"""How trials of an earlier space stand in the space of today: the `SpaceMapping`.

The new space is run on the trial's own values. So conditions, and ranges that depend on other parameters, are those of
the space itself, and the trial is shown with exactly the parameters and distributions that the space would give it.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from search.contract import Space
from search.plan import SweepPlan
from search.study.choice import Choice
from search.study.edits import SpaceEdit
from search.study.ranges import choice_in, fault_of
from search.trial import ParamValue

Fit = Literal["inside", "filled", "partial", "outside"]
FITS: Final[tuple[Fit, ...]] = ("inside", "filled", "partial", "outside")

NEED_ALL: Final = ("cmaes", "gp", "grid", "nsga2", "qmc")
"""Samplers that search parameters together, those that all trials share: a trial that lacks one would take it out."""

_OF_A_GENERATION: Final = ("cma:", "sepcma:", "x_for_tell")
"""What CMA-ES keeps with a trial that it drew: a point of the space of then."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A trial in the new space.

    Attributes:
        fit: How it stands there.
        params: Those of its values that the space asks for, and those that were filled in.
        distributions: As the space has them.
    """

    fit: Fit
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]


class SpaceMapping:
    """Shows the trials of earlier spaces to a sampler.

    Args:
        space: Of today.
        fills: Values of parameters that a trial may lack.
        before: Trials with lower numbers are of another space.
        sampler: Name of the sampler that they are shown to.
    """

    def __init__(self, space: Space, fills: Mapping[str, ParamValue], *, before: int, sampler: str = "") -> None:
        self._space, self._fills, self._before, self._sampler = space, fills, before, sampler
        self._shown: dict[int, FrozenTrial | None] = {}

    def __call__(self, trial: FrozenTrial) -> FrozenTrial | None:
        """Return a trial as the sampler is to see it; None hides it."""
        if trial.number >= self._before or trial.state is TrialState.WAITING:
            return trial
        if trial.number in self._shown:
            return self._shown[trial.number]
        shown = self._show(trial)
        if trial.state.is_finished():  # it stays as it is
            self._shown[trial.number] = shown
        return shown

    def counts(self, trials: Iterable[FrozenTrial]) -> dict[str, int]:
        """Return how many trials of earlier spaces are of each fit; enqueued ones are left out."""
        found = Counter(
            self._place(trial).fit
            for trial in trials
            if trial.number < self._before and trial.state is not TrialState.WAITING
        )
        return {fit: found[fit] for fit in FITS}

    def _show(self, trial: FrozenTrial) -> FrozenTrial | None:
        placed = self._place(trial)
        if placed.fit == "outside" or (placed.fit == "partial" and self._sampler in NEED_ALL):
            return None
        shown = copy.copy(trial)
        shown.params, shown.distributions = placed.params, placed.distributions
        if self._sampler == "cmaes" and (placed.fit == "filled" or _moved(trial, placed)):
            shown.system_attrs = {
                key: value for key, value in trial.system_attrs.items() if not key.startswith(_OF_A_GENERATION)
            }
        return shown

    def _place(self, trial: FrozenTrial) -> _Placed:
        walk = _Walk(trial, self._fills)
        try:
            self._space(walk)  # type: ignore[arg-type]  # it suggests as a trial does
        except Exception:  # the space cannot be evaluated with these values, so it does not hold them
            return _Placed("outside", {}, {})
        return _Placed(walk.fit, walk.taken, walk.asked)


def is_lacked(name: str, trials: Iterable[FrozenTrial]) -> bool:
    """Tell whether a trial that was tried lacks a parameter."""
    return any(name not in trial.params for trial in trials if trial.state is not TrialState.WAITING)


def _moved(trial: FrozenTrial, placed: _Placed) -> bool:
    """Tell whether CMA-ES would draw this trial's numbers from another box: its generation was of the old one."""
    numbers = {name: one for name, one in placed.distributions.items() if not isinstance(one, CategoricalDistribution)}
    return any(trial.distributions.get(name) != one for name, one in numbers.items())


class _OutsideError(Exception):
    """The space does not allow a value that the trial has."""


class _Walk(FrozenTrial):
    """A trial that has its values already, for a space to suggest them.

    Attributes:
        fit: How it stands in the space, as far as that has been run.
        taken: Values that the space asked for.
        asked: The distributions that it gave for them.
    """

    def __init__(self, trial: FrozenTrial, fills: Mapping[str, ParamValue]) -> None:
        self.__dict__.update(copy.copy(trial).__dict__)
        self._has, self._fills = trial.params, fills
        self._params: dict[str, Any] = {}  # what has been suggested, as a space may look at it
        self.fit: Fit = "inside"
        self.taken: dict[str, Any] = {}
        self.asked: dict[str, BaseDistribution] = {}

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self._params:
            return self._params[name]
        if name in self._has:
            if fault_of(name, self._has[name], distribution) is not None:
                raise _OutsideError(name)
            return self._take(name, self._has[name], distribution)
        if name in self._fills and fault_of(name, self._fills[name], distribution) is None:
            return self._fill(name, self._fills[name], distribution)
        if distribution.single():  # no other value could have been suggested
            return self._fill(name, _first(distribution), distribution)
        self.fit = "partial"
        self._params[name] = _first(distribution)
        return self._params[name]

    def _fill(self, name: str, value: Any, distribution: BaseDistribution) -> Any:
        self.fit = "partial" if self.fit == "partial" else "filled"
        return self._take(name, value, distribution)

    def _take(self, name: str, value: Any, distribution: BaseDistribution) -> Any:
        self.asked[name] = distribution
        if isinstance(distribution, CategoricalDistribution):
            index = choice_in(value, distribution)
            assert index is not None
            self.taken[name] = distribution.choices[index]
        else:
            self.taken[name] = int(value) if isinstance(distribution, IntDistribution) else float(value)
        self._params[name] = self.taken[name]
        return self.taken[name]


def _first(distribution: BaseDistribution) -> Any:
    """Return a value to go on with where a trial has none."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return distribution.low


def mapping_of(edit: SpaceEdit, space: Space, plan: SweepPlan) -> SpaceMapping:
    """Return how the trials before an edit are shown to the plan's sampler."""
    return SpaceMapping(space, edit.fills, before=edit.at, sampler=Choice.parse(plan.sampler).name)
