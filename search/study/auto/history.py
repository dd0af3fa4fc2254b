"""A study's trials as arrays, kept up to date trial by trial: the `History`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from operator import is_not
from typing import Any, Final, TypeAlias

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from search.study import attributes
from search.study.auto.ladder import Ladder
from search.study.auto.preparations import Key, Preparations, key_of
from search.study.constraints import is_infeasible
from search.study.encoding import Encoding, widest
from search.study.reports import Reports
from search.study.seen import is_of_the_configuration
from search.trial import ParamValue

Array: TypeAlias = np.ndarray[Any, Any]
Shown: TypeAlias = Callable[[FrozenTrial], FrozenTrial | None]

_SOME: Final = 64
"""Trials that there is room for at first."""

FINISH: Final = "finish"
"""The `by` of a trial that is being trained to its end."""

NO_CHANCE: Final = "no-chance"
"""The `by` of a point that was drawn anywhere, as the model gave nothing a chance to be better than the best."""

SAFE: Final = "safe"
"""The `by` of a point that was drawn anywhere but where trials failed."""

SPREAD: Final = ("start", "uniform", NO_CHANCE)
"""What a trial's `by` says that was drawn without regard to the others."""


class State(IntEnum):
    """What may become of a trial."""

    HIDDEN = 0  # nothing is learnt from it
    ENDED = 1
    HELD = 2  # somebody trains it, or is to go on with it
    RESTING = 3


class History:
    """What is known of all trials.

    Args:
        ladder: Of the steps that are told apart.
        reports: How trials are read.

    Attributes:
        version: Another one after each change.
        costs: (trials, rungs, metrics): the newest report of each rung, lower is better; NaN where there is none.
        steps: (trials, rungs): the steps of those reports.
        state: (trials,): each one's `State`.
        last: (trials,): the last step reported.
        until: (trials,): the step up to which somebody trains it before it is judged; 0: not decided.
        finishes: (trials,): whether it is being trained to the end.
        failed: (trials,): whether it failed, and was not run again.
        lost: (trials,): whether it ended and cannot be the best: it failed, was pruned, or missed a constraint.
        branches: (trials,): which trials had parameters of the same names.
        spared: (trials,): the step up to which it need not be trained again to go on.
        params: Of each trial.
        names: Of all parameters.
        groups: Which parameter each column of `points` is of.
        points: (trials, columns): places of the parameters.
        structures: Trials by the names of their parameters, in the order in which those were first seen.
        decisions: How often a trial was begun or taken on.
        preparations: Of rows, which are there already.
    """

    def __init__(self, ladder: Ladder, reports: Reports) -> None:
        self.ladder, self._reports = ladder, reports
        self.version = 0
        self._seen: list[FrozenTrial] = []
        self._went_on = 0
        self._retried: set[int] = set()
        self.params: list[Mapping[str, ParamValue]] = []
        self.structures: dict[tuple[str, ...], list[int]] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        self._places: dict[tuple[str, ...], int] = {}
        self._choices: dict[tuple[str, ...], dict[str, dict[ParamValue, None]]] = {}
        self._spread: dict[tuple[str, ...], int] = {}
        self._tried: set[Key] = set()
        self._optional: frozenset[str] = frozenset()
        self.preparations = Preparations()
        self._encoding = Encoding({})
        self._encoded = -1
        self.names: tuple[str, ...] = ()
        self.groups = np.zeros(0, int)
        self._points = np.zeros((0, 0))
        self._size = 0
        self._room(_SOME)

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def decisions(self) -> int:
        return len(self._seen) + self._went_on

    @property
    def costs(self) -> Array:
        return self._costs[: len(self)]

    @property
    def steps(self) -> Array:
        return self._steps[: len(self)]

    @property
    def state(self) -> Array:
        return self._state[: len(self)]

    @property
    def last(self) -> Array:
        return self._last[: len(self)]

    @property
    def until(self) -> Array:
        return self._until[: len(self)]

    @property
    def finishes(self) -> Array:
        return self._finishes[: len(self)]

    @property
    def failed(self) -> Array:
        return self._failed[: len(self)]

    @property
    def lost(self) -> Array:
        return self._lost[: len(self)]

    @property
    def branches(self) -> Array:
        return self._branches[: len(self)]

    @property
    def spared(self) -> Array:
        return self._spared[: len(self)]

    @property
    def points(self) -> Array:
        return self._points[: len(self)]

    def weights(self) -> list[tuple[tuple[str, ...], int]]:
        """Return each structure with how often a point that was drawn anywhere had it, and once more."""
        return [(names, 1 + self._spread.get(names, 0)) for names in self.structures]

    def choices_of(self, names: tuple[str, ...], name: str) -> list[ParamValue]:
        """Return the choices of a category that trials with just these parameters had."""
        return list(self._choices[names].get(name, {})) or [self.params[self.structures[names][0]][name]]

    def branch_of(self, point: Mapping[str, ParamValue]) -> int:
        """Return which branch a point is of; -1 if no trial had parameters of these names."""
        return self._places.get(tuple(sorted(point)), -1)

    def is_tried(self, point: Mapping[str, ParamValue]) -> bool:
        """Tell whether a trial has these parameters."""
        return key_of(point) in self._tried

    def update(self, trials: Sequence[FrozenTrial], shown: Shown | None = None) -> None:
        """Take in what has changed since the last call.

        Args:
            trials: All of the study's, in order of numbers; one that has changed is another object.
            shown: How a trial stands in the space of today, if not as it is; None of one that does not.
        """
        before = len(self._seen)
        differ = np.fromiter(map(is_not, trials, self._seen), bool, min(len(trials), before))
        changed = [*np.flatnonzero(differ).tolist(), *range(before, len(trials))]
        if not changed:
            return
        self.version += 1
        self._room(len(trials))
        self._seen[:] = trials
        for index in changed:
            one = trials[index]
            retried = one.system_attrs.get(attributes.RETRY_OF)
            if type(retried) is int and retried not in self._retried:
                self._retried.add(retried)
                if retried < index:
                    self._state[retried], self._failed[retried] = State.HIDDEN, False
            self._read(index, one if shown is None else shown(one), new=index >= before)
        self._encode()

    # --- one trial ---

    def _read(self, index: int, trial: FrozenTrial | None, *, new: bool) -> None:
        if new:
            self.params.append({})
        self._costs[index], self._steps[index], self._last[index], self._spared[index] = math.nan, 0, 0, 0
        self._until[index], self._finishes[index], self._lost[index] = 0, False, False
        self._failed[index] = False
        if trial is None or trial.state is TrialState.WAITING or attributes.SAME_AS in trial.system_attrs:
            self._state[index] = State.HIDDEN
            return
        attrs = trial.system_attrs
        self._know(index, trial)
        self._state[index] = _state_of(trial)
        if trial.number in self._retried:
            self._state[index] = State.HIDDEN
        went_on = attrs.get(attributes.WENT_ON)
        went_on = went_on if isinstance(went_on, list | tuple) else []
        self._went_on += len(went_on) - self._went[index]
        self._went[index] = len(went_on)
        told = went_on[-1] if went_on else attrs.get(attributes.WHY)
        told = told if isinstance(told, Mapping) else {}
        until = told.get("to" if went_on else "until")
        self._until[index] = until if type(until) is int and until > 0 else self.ladder.first
        self._finishes[index] = told.get("by") == FINISH
        of_a_loop = trial.state is TrialState.FAIL and attributes.END not in attrs  # which tells no reason
        failed = of_a_loop or is_of_the_configuration(trial)
        infeasible = is_infeasible(attrs)
        self._lost[index] = infeasible or (trial.state.is_finished() and trial.state is not TrialState.COMPLETE)
        steps = self._reports.steps(trial)
        for step in steps:
            rung = self.ladder.rung_of(step)
            costs = self._reports.costs(trial, step)
            self._costs[index, rung] = np.inf if infeasible else [math.inf if math.isnan(one) else one for one in costs]
            self._steps[index, rung] = min(step, self.ladder.last)
        if not steps and trial.state is TrialState.COMPLETE:  # of an objective that reports nothing
            self._costs[index, -1] = np.inf if infeasible else self._reports.of_values(trial.values)
            self._steps[index, -1] = self.ladder.last
        whole = self.ladder.last if trial.state is TrialState.COMPLETE and not steps else 0
        self._last[index] = min(max(steps, default=whole), self.ladder.last)
        took = attrs.get(attributes.END) or attrs.get(attributes.TOOK) or {}
        trained = int(self._last[index]) if attributes.END in attrs else took.get("step", 0)
        self.preparations.take(index, self._seen[index].params, took, trained)
        replays = self._state[index] == State.RESTING and bool(took.get("replays"))
        self._spared[index] = 0 if replays else self._last[index]
        self._failed[index] = failed and self._state[index] != State.HIDDEN
        if failed:  # there, and at its end, else it would look like one that is poor at first, as others are
            rung = min(self.ladder.rung_of(int(self._last[index]) + 1), self._costs.shape[1] - 1)
            for place in {rung, self._costs.shape[1] - 1}:
                self._costs[index, place], self._steps[index, place] = np.inf, self.ladder.steps[place]

    def _know(self, index: int, trial: FrozenTrial) -> None:
        """Take in the parameters of a trial."""
        if self.params[index] == trial.params:
            return
        self.params[index] = trial.params
        names = tuple(sorted(trial.params))
        self.structures.setdefault(names, []).append(index)
        self._branches[index] = self._places.setdefault(names, len(self._places))
        told = trial.system_attrs.get(attributes.WHY)
        if isinstance(told, Mapping) and told.get("by") in SPREAD:
            self._spread[names] = self._spread.get(names, 0) + 1
        seen = self._choices.setdefault(names, {})
        for name, value in trial.params.items():
            if isinstance(trial.distributions[name], CategoricalDistribution):
                seen.setdefault(name, {})[value] = None
        self._tried.add(key_of(trial.params))
        before = dict(self.distributions)
        self.distributions = widest([self.distributions, trial.distributions])
        if self.distributions != before:
            self._encoded = -1
        if index < self._encoded:
            self._points[index] = self.rows([trial.params])[0]

    # --- all of them ---

    def _encode(self) -> None:
        """Bring the rows of numbers up to date; all of them, if there are new parameters or wider ranges."""
        optional = frozenset(
            name for name in self.distributions if any(name not in names for names in self.structures if names)
        )
        if self._encoded < 0 or optional != self._optional:
            self._optional = optional
            self.names = tuple(self.distributions)
            self._encoding = Encoding(self.distributions, optional=optional, choice=math.sqrt(0.5))
            widths = [len(columns) for columns in self._encoding.groups]
            self.groups = np.repeat(np.arange(len(widths)), widths)
            self._points = np.zeros((len(self._state), len(self.groups)))
            self._encoded = 0
        if len(self._points) < len(self._state):
            grown = np.zeros((len(self._state), len(self.groups)))
            grown[: len(self._points)] = self._points
            self._points = grown
        if self._encoded < len(self):
            self._points[self._encoded : len(self)] = self.rows(self.params[self._encoded :])
        self._encoded = len(self)

    def rows(self, points: Sequence[Mapping[str, ParamValue]]) -> Array:
        """Return points, of parameters that are known, as rows of `points`."""
        return self._encoding.rows(points)

    def _room(self, trials: int) -> None:
        """Have room for so many trials."""
        had = self._size
        if trials <= had:
            return
        size, rungs, metrics = max(trials, 2 * had), len(self.ladder.steps), self._reports.dimensions

        def grown(shape: tuple[int, ...], fill: Any, dtype: Any, name: str) -> Array:
            made = np.full(shape, fill, dtype)
            if had:
                made[:had] = getattr(self, name)
            return made

        self._costs = grown((size, rungs, metrics), math.nan, float, "_costs")
        self._steps = grown((size, rungs), 0, np.int64, "_steps")
        self._last = grown((size,), 0, np.int64, "_last")
        self._branches = grown((size,), -1, np.int64, "_branches")
        self._spared = grown((size,), 0, np.int64, "_spared")
        self._until = grown((size,), 0, np.int64, "_until")
        self._finishes = grown((size,), False, bool, "_finishes")
        self._lost = grown((size,), False, bool, "_lost")
        self._failed = grown((size,), False, bool, "_failed")
        self._went = grown((size,), 0, np.int64, "_went")
        self._state = grown((size,), State.HIDDEN, np.int8, "_state")
        self._size = size


def _state_of(trial: FrozenTrial) -> State:
    attrs = trial.system_attrs
    if trial.state is not TrialState.RUNNING:
        return State.ENDED
    lease, token = attrs.get(attributes.LEASE, {}), attrs.get(attributes.ATTEMPT, {}).get("token", "")
    is_free = lease.get("held") is False and lease.get("token", token) == token
    return State.RESTING if is_free and attrs.get(attributes.RUNG, {}).get("rests") else State.HELD
