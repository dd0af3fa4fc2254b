"""Studies side by side, derived from what is stored: the `Comparison`, which terminal and page are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from search.errors import InputError
from search.records import differing
from search.records.anytime import AXES, Axis, Curve, bests_at, curves, is_volume, shared_reference
from search.records.best_of import Difference, difference, losses_of
from search.records.differing import Row, Unfair
from search.records.events import finite
from search.records.history import ENDED, History
from search.status import Status, TrialScore

FEWEST: Final = 2
MOST: Final = 8
"""Studies in one comparison: as many as people tell apart by colour and dash."""

QUANTILES: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Of the values of completed trials, from the best to the worst."""


@dataclass(frozen=True, slots=True)
class Side:
    """One study of a comparison.

    Attributes:
        name: What tells it from the others: its name, with its results folder where two have one name.
        status: Where it stands.
        ended: Trials that have ended.
        ran: Of them, those that did not take another's result; the values below are of these.
        curves: Its best so far, on each axis that is known.
        quantiles: Of `values`, at `QUANTILES`; () if there are none.
        values: The first metric of those that may be its best, in order of numbers.
        numbers: Of those trials.
        best: Its best trial; of several metrics the first of the front.
        noise: Standard deviation of the measurement of its best; 0 where that is not known.
    """

    name: str
    status: Status
    ended: int
    ran: int
    curves: Mapping[Axis, Curve]
    quantiles: tuple[float, ...]
    values: tuple[float, ...]
    numbers: tuple[int, ...]
    best: TrialScore | None
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What each study had when all of them had spent as much.

    Attributes:
        spent: As much as the study that spent least.
        bests: By study, None where it had none yet.
    """

    axis: Axis
    spent: float
    bests: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies of the same metrics side by side.

    Attributes:
        unfair: What makes it unfair, the worst first.
        budgets: The best of each at common budgets.
        differences: How far apart their bests are at as many trials, each pair of them; () with several metrics.
        bests: Parameters of the best trials.
        spaces: What each parameter may be.
        choices: Choices of the plans that differ.
        fingerprints: Of data, split, code and versions.
    """

    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    sides: tuple[Side, ...]
    unfair: tuple[Unfair, ...]
    budgets: tuple[Budget, ...]
    differences: tuple[Difference, ...]
    bests: tuple[Row, ...]
    spaces: tuple[Row, ...]
    choices: tuple[Row, ...]
    fingerprints: tuple[Row, ...]

    @property
    def measure(self) -> str:
        """What curves and budgets are of."""
        return "hypervolume" if is_volume(self.metrics) else self.metrics[0]

    @property
    def more_is_better(self) -> bool:
        """Of that measure."""
        return is_volume(self.metrics) or self.directions[0] == "maximize"

    @property
    def ranking(self) -> tuple[int, ...]:
        """Places of the studies with a best, the best one first; of a front by the hypervolume at as many trials."""
        if is_volume(self.metrics):
            found = {place: one.at(self._common) for place, one in self._by_trials().items()}
            volumes = {place: -1.0 if volume is None else volume for place, volume in found.items()}
            return tuple(sorted(volumes, key=lambda place: -volumes[place]))
        sign = -1.0 if self.more_is_better else 1.0
        known = {place: side.best.values[0] for place, side in enumerate(self.sides) if side.best is not None}
        return tuple(sorted(known, key=lambda place: sign * known[place]))

    def verdict(self) -> str:
        """Say in one sentence which study is ahead, and whether that can be told from chance."""
        names = [side.name for side in self.sides]
        order = self.ranking
        if not order:
            return "no study has a best yet"
        if len(order) == 1:
            return f"{names[order[0]]} alone has a completed trial"
        level = [place for place in order if self._reached(place) == self._reached(order[0])]
        leader = " and ".join(names[place] for place in level)
        leads = f"{leader} {'has' if len(level) == 1 else 'share'}"
        if is_volume(self.metrics):
            return f"{leads} the largest hypervolume at {self._common:,.0f} trials each"
        if len(self.metrics) > 1:
            return f"{leads} the best {self.metrics[0]} of {len(self.metrics)} metrics"
        against = [one for one in self.differences if order[0] in (one.better, one.worse)]
        beaten = [one for one in against if one.better == order[0] and one.apart]
        lost = [
            f"at {one.trials:,} trials each {names[one.better]} is ahead by more than chance"
            for one in against
            if one.worse == order[0] and one.apart
        ]
        if lost:
            after = f" after {self.sides[order[0]].ran:,} trials" if len(level) == 1 else ""
            return f"{leads} the best {self.metrics[0]}{after}, but {' and '.join(lost)}"
        if len(level) > 1:
            return f"{leads} the best {self.metrics[0]}"
        if len(against) < len(order) - 1:
            return f"{leader} has the best {self.metrics[0]}; there are too few trials to tell it from chance"
        if len(beaten) == len(order) - 1:
            return f"{leader} is ahead of {'all others' if len(beaten) > 1 else names[order[1]]} by more than chance"
        near = [names[one.worse if one.better == order[0] else one.better] for one in against if one not in beaten]
        return f"{leader} has the best {self.metrics[0]}, but cannot be told apart from {' and '.join(near)}"

    def _reached(self, place: int) -> float | None:
        """Return what a study is ranked by."""
        if is_volume(self.metrics):
            return self._by_trials()[place].at(self._common)
        best = self.sides[place].best
        return None if best is None else best.values[0]

    @property
    def _common(self) -> float:
        """Ended trials of the study that has fewest, among those that have a best."""
        return min((one.total for one in self._by_trials().values()), default=0.0)

    def _by_trials(self) -> dict[int, Curve]:
        known = {place: side.curves["trials"] for place, side in enumerate(self.sides) if "trials" in side.curves}
        return {place: one for place, one in known.items() if one.y}

    def to_json(self) -> dict[str, Any]:
        """Return what `sweep compare --json` prints."""
        names = [side.name for side in self.sides]
        told = {
            "metrics": list(self.metrics),
            "directions": list(self.directions),
            "verdict": self.verdict(),
            "unfair": [{"what": one.what, "message": one.text} for one in self.unfair],
            "studies": [_told(side) for side in self.sides],
            "measure": self.measure,
            "budgets": [
                {"axis": one.axis, "spent": one.spent, "bests": dict(zip(names, one.bests, strict=True))}
                for one in self.budgets
            ],
            "differences": [
                {**one.to_json(), "better": names[one.better], "worse": names[one.worse]} for one in self.differences
            ],
            **{
                key: {row.name: dict(zip(names, row.values, strict=True)) for row in getattr(self, key)}
                for key in ("bests", "spaces", "choices", "fingerprints")
            },
        }
        return {key: finite(value) for key, value in told.items()}


def compare(histories: Sequence[History], noise: Sequence[float] = ()) -> Comparison:
    """Put studies side by side.

    Args:
        histories: Two to eight studies.
        noise: Standard deviation of the measurement of each one's best, 0 where it is not known; () if of none.

    Raises:
        InputError: They are too few or too many, the same one twice, or search other metrics.
    """
    _check(histories)
    noise = noise or [0.0] * len(histories)
    names = _names(histories)
    reference = shared_reference(histories) if is_volume(histories[0].metrics) else ()
    sides = tuple(map(_side, names, histories, noise, [reference] * len(histories)))
    found = [bests_at([side.curves for side in sides], axis) for axis in AXES]
    return Comparison(
        metrics=histories[0].metrics,
        directions=histories[0].plan.directions,
        sides=sides,
        unfair=differing.unfair(histories),
        budgets=tuple(
            Budget(axis, *one)
            for axis, one in zip(AXES, found, strict=True)
            if one is not None and set(one[1]) != {None}
        ),
        differences=_differences(histories, noise),
        bests=differing.bests(histories, [side.best.number if side.best else None for side in sides]),
        spaces=differing.spaces(histories),
        choices=differing.choices(histories),
        fingerprints=differing.fingerprints(histories),
    )


def _check(histories: Sequence[History]) -> None:
    if not FEWEST <= len(histories) <= MOST:
        said = f"`sweep compare` takes {FEWEST} to {MOST} studies, got {len(histories)}"
        raise InputError(said, field="STUDY", hint="`sweep list` shows all")
    places = [history.folder.root.resolve() for history in histories]
    for place, history in zip(places, histories, strict=True):
        if places.count(place) > 1:
            raise InputError(f"study {history.folder.name!r} was given twice", field="STUDY")
    first = histories[0]
    for other in histories[1:]:
        mine, theirs = _searched(first), _searched(other)
        if mine != theirs:
            said = f"{first.folder.name} searches {mine} and {other.folder.name} {theirs}: there is nothing to compare"
            raise InputError(said, field="STUDY", hint="compare studies of the same metrics and directions")


def _searched(history: History) -> str:
    return ", ".join(f"{one} ({how})" for one, how in zip(history.metrics, history.plan.directions, strict=True))


def _names(histories: Sequence[History]) -> list[str]:
    names = [history.folder.name for history in histories]
    if len(set(names)) == len(names):
        return names
    return [f"{history.folder.root.resolve().parent.name}/{history.folder.name}" for history in histories]


def _side(name: str, history: History, noise: float, reference: Sequence[float]) -> Side:
    sign = history.signs[0]
    own = history.same_as < 0
    completed = np.flatnonzero(history.candidates & own)
    losses = history.losses[completed]
    quantiles = np.quantile(losses, QUANTILES) * sign if len(losses) else np.empty(0)
    return Side(
        name=name,
        status=history.status,
        ended=int(history.are(*ENDED).sum()),
        ran=int((history.are(*ENDED) & own).sum()),
        curves=curves(history, reference),
        quantiles=tuple(quantiles.tolist()),
        values=tuple((losses * sign).tolist()),
        numbers=tuple(completed.tolist()),
        best=history.status.best,
        noise=noise,
    )


def _differences(histories: Sequence[History], noise: Sequence[float]) -> tuple[Difference, ...]:
    if len(histories[0].metrics) > 1:
        return ()
    losses = [losses_of(history) for history in histories]
    found = []
    for one, other in combinations(range(len(histories)), 2):
        drawn = difference((one, other), (losses[one], losses[other]), (noise[one], noise[other]))
        if drawn is not None and drawn.value < 0:
            drawn = difference((other, one), (losses[other], losses[one]), (noise[other], noise[one]))
        if drawn is not None:
            found.append(drawn)
    return tuple(found)


def _told(side: Side) -> dict[str, Any]:
    status = side.status.to_json()
    keys = ("study", "state", "trials", "best", "best_trials", "epochs", "seconds", "baseline", "failures", "results")
    return {
        "name": side.name,
        **{key: status[key] for key in keys},
        "quantiles": {f"{quantile:g}": value for quantile, value in zip(QUANTILES, side.quantiles, strict=False)},
        "curves": {axis: curve.to_json() for axis, curve in side.curves.items()},
        "noise": side.noise,
    }
