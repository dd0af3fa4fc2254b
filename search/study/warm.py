"""A warm start: the good trials of earlier studies propose some of a study's own, as far as the problems are alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.trial import FrozenTrial, TrialState

from search.errors import InputError
from search.study import attributes
from search.study.constraints import is_infeasible
from search.study.encoding import from_unit, to_unit
from search.study.known import is_result
from search.study.likeness import Likeness
from search.study.ranges import fault_of
from search.trial import ParamValue

MOST_TRIALS: Final = 150
"""Trials that are taken of an earlier study: its best half, and an even choice of the others."""

MOST_TEXT: Final = 300_000
"""Characters of JSON that the trials of one earlier study may take in this study's storage."""

OPENING: Final = 1
"""The first so many proposals are the earlier studies' best points as they are."""

SHARE: Final = 0.7
"""Share of trials that are proposed while an earlier study orders this one's trials as they are, and those are few."""

HALF_LIFE: Final = 30
"""Trials of its own after which a study takes half as many proposals: by then its sampler knows more."""

_GOOD: Final = 0.15
"""Share of an earlier study's trials that proposals are made from; at least `_LEAST_GOOD`."""

_LEAST_GOOD: Final = 4
_STEP: Final = 0.08
"""Standard deviation of a proposal's step from such a trial, as a share of a parameter's range."""

_SWITCH: Final = 0.1
"""Chance that a category is drawn anew."""


@dataclass(frozen=True, slots=True)
class Source:
    """An earlier study, as another one takes it up.

    Attributes:
        study: Its name.
        trials: Those of its trials that have a result.
        parameters: Of the new study's space.
        shared: Those that both have, by their range in the new one's space.
        points: Parameters of its trials within that space, the best first.
        ranks: Of those, 0 the best to 1 the worst of all its trials.
    """

    study: str
    trials: int
    parameters: int
    shared: Mapping[str, BaseDistribution]
    points: tuple[Mapping[str, ParamValue], ...]
    ranks: tuple[float, ...]

    def sentence(self) -> str:
        """Say what was taken."""
        several = "s" * (self.trials != 1)
        of = f"{len(self.shared)} of {self.parameters} parameters shared"
        return f"warm start from {self.study} ({self.trials} trial{several}, {of})"

    def to_json(self) -> dict[str, Any]:
        """Return what the new study keeps of it."""
        return {
            "study": self.study,
            "trials": self.trials,
            "parameters": self.parameters,
            "shared": {name: distribution_to_json(one) for name, one in self.shared.items()},
            "points": [dict(point) for point in self.points],
            "ranks": [*self.ranks],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        shared = {name: json_to_distribution(one) for name, one in values["shared"].items()}
        points, ranks = tuple(values["points"]), tuple(values["ranks"])
        return cls(values["study"], values["trials"], values["parameters"], shared, points, ranks)


def take(
    study: str,
    trials: Sequence[FrozenTrial],
    directions: Sequence[str],
    *,
    space: Mapping[str, BaseDistribution],
    wanted: Sequence[str],
) -> Source:
    """Return an earlier study as a source of proposals.

    Args:
        study: Its name.
        trials: All of its trials.
        directions: `minimize` or `maximize`, for each of its metrics.
        space: Every parameter of the new study.
        wanted: The new study's directions.

    Raises:
        InputError: It searched in another direction, has no COMPLETE trial, or shares no parameter.
    """
    if len(directions) > 1:
        raise _fault(f"study {study!r} has {len(directions)} metrics, and one can be learnt from", "leave it out")
    if tuple(directions) != tuple(wanted):
        raise _fault(f"study {study!r} is to {directions[0]} its metric, and this sweep to {wanted[0]}", "leave it out")
    ordered = _in_order(trials, 1.0 if directions[0] == "minimize" else -1.0)
    if not any(one.state is TrialState.COMPLETE for one in ordered):
        raise _fault(f"study {study!r} has no completed trial", "name another study")
    before: dict[str, BaseDistribution] = {}
    for one in ordered:
        before |= one.distributions
    shared = {name: one for name, one in space.items() if name in before and _alike(before[name], one)}
    ranks = [rank / max(1, len(ordered) - 1) for rank in range(len(ordered))]
    both = [(point, rank) for one, rank in zip(ordered, ranks, strict=True) if (point := _within(one.params, shared))]
    if not both:
        raise _fault(f"study {study!r} shares no parameter with this sweep's space", "name another study")
    both = _thinned(both)
    return Source(study, len(ordered), len(space), shared, *(tuple(side) for side in zip(*both, strict=True)))


class WarmStart:
    """Proposes points for a study's trials, from its earlier studies and its own history alone.

    How many, and from which, follows from how well each earlier study orders the trials that this one has had. A
    proposal is one of an earlier study's good trials with a small step in each of its numbers: a draw from a kernel
    density over them. What it leaves open, the study's sampler suggests.

    Args:
        sources: The earlier studies.
        study: This one, read for its history.
        seed: Of the sweep.
    """

    def __init__(self, sources: Sequence[Source], study: optuna.Study, *, seed: int) -> None:
        self._sources, self._study, self._seed = sources, study, seed
        self._sign = 1.0 if study.directions[0] is optuna.study.StudyDirection.MINIMIZE else -1.0
        self._likeness = [Likeness(one.shared, one.points, one.ranks, seed=seed) for one in sources]
        self._opening = _best_of(sources)

    @classmethod
    def of(cls, sources: Sequence[Mapping[str, Any]], study: optuna.Study, *, seed: int) -> Self:
        """Return the warm start whose sources a study's storage holds."""
        return cls([Source.from_json(one) for one in sources], study, seed=seed)

    def propose(self, number: int, redraw: int = 0) -> tuple[str, dict[str, ParamValue]] | None:
        """Return a point for the next trial and the study that it is from, or None: the sampler is to suggest it.

        Args:
            number: Of the trial.
            redraw: How often it has been drawn before.
        """
        trials = self._study.get_trials(deepcopy=False)
        proposed = sum(attributes.WARM in one.system_attrs for one in trials)
        if proposed + redraw < len(self._opening):
            return self._opening[proposed + redraw]
        random = np.random.default_rng((self._seed, number, redraw))
        shares = self._shares(trials)
        drawn = random.random()
        for source, share in zip(self._sources, shares, strict=True):
            if drawn < share:
                return source.study, _near(source, random)
            drawn -= share
        return None

    def weights(self, trials: Sequence[FrozenTrial]) -> list[float]:
        """Return how well each source orders these trials: 0, no better than chance, to 1."""
        mine = [one for one in trials if is_result(one)]
        good = {one.number: self._sign * one.values[0] for one in mine if not _is_poor(one)}
        behind = max(good.values(), default=0.0) + 1.0
        costs = [good.get(one.number, behind) for one in mine]
        numbers, points = [one.number for one in mine], [one.params for one in mine]
        return [one.agreement(numbers, points, costs) for one in self._likeness]

    def _shares(self, trials: Sequence[FrozenTrial]) -> list[float]:
        """Return the share of trials that each source proposes; together at most `SHARE`."""
        weights = self.weights(trials)
        ended = sum(one.state.is_finished() for one in trials)
        if not any(weights):
            return weights
        together = SHARE * max(weights) / (1.0 + ended / HALF_LIFE)
        return [together * one / sum(weights) for one in weights]


def _near(source: Source, random: np.random.Generator) -> dict[str, ParamValue]:
    """Draw a point near one of the good trials of a source."""
    good = min(len(source.points), max(_LEAST_GOOD, round(_GOOD * len(source.points))))
    point = source.points[int(random.integers(good))]
    drawn: dict[str, ParamValue] = {}
    for name, value in point.items():
        one = source.shared[name]
        step, switch = random.normal() * _STEP, random.random() < _SWITCH
        if isinstance(one, CategoricalDistribution):
            if not switch:  # else the sampler draws it
                drawn[name] = value
            continue
        assert isinstance(value, int | float)
        drawn[name] = from_unit(to_unit(float(value), one) + step, one)
    return drawn


def _best_of(sources: Sequence[Source]) -> list[tuple[str, dict[str, ParamValue]]]:
    """Return the best points of all sources, one of each in turn."""
    turns = [
        (source.study, dict(source.points[turn]))
        for turn in range(OPENING)
        for source in sources
        if turn < len(source.points)
    ]
    distinct = [one for index, one in enumerate(turns) if one[1] not in [before for _, before in turns[:index]]]
    return distinct[: max(OPENING, len(sources))]


def _in_order(trials: Sequence[FrozenTrial], sign: float) -> list[FrozenTrial]:
    """Return the trials that have a result, the best first: those that were pruned, or miss a constraint, last."""

    def key(one: FrozenTrial) -> tuple[bool, float, int]:
        return _is_poor(one), sign * one.values[0], one.number

    return sorted((one for one in trials if is_result(one)), key=key)


def _is_poor(trial: FrozenTrial) -> bool:
    """Tell whether a trial that has a result is behind the others whatever that is: pruned, or misses a constraint."""
    return trial.state is not TrialState.COMPLETE or is_infeasible(trial.system_attrs)


def _alike(one: BaseDistribution, other: BaseDistribution) -> bool:
    """Tell whether values of a parameter can be taken over."""
    if isinstance(one, CategoricalDistribution) and isinstance(other, CategoricalDistribution):
        return any(fault_of("", choice, other) is None for choice in one.choices)
    return type(one) is type(other)


def _within(params: Mapping[str, ParamValue], shared: Mapping[str, BaseDistribution]) -> dict[str, ParamValue]:
    """Return the parameters that the new space allows."""
    return {
        name: params[name] for name, one in shared.items() if name in params and not fault_of(name, params[name], one)
    }


def _thinned(both: list[tuple[dict[str, ParamValue], float]]) -> list[tuple[dict[str, ParamValue], float]]:
    """Return the best half of what is kept, and an even choice of the rest; few enough to be stored."""
    most = MOST_TRIALS
    while True:
        if len(both) > most:
            best, rest = both[: most // 2], both[most // 2 :]
            places = np.linspace(0, len(rest) - 1, most - most // 2).round().astype(int)
            both = [*best, *(rest[int(place)] for place in places)]
        if len(json.dumps(both, default=str)) <= MOST_TEXT or most < 2:
            return both
        most //= 2


def _fault(said: str, hint: str) -> InputError:
    return InputError(f"--warm-start {said}"[:190], field="--warm-start", hint=hint)
