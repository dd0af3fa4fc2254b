"""The best of a study against what it has cost so far, in trials, epochs and seconds: the `Curve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from search.records.front import growth
from search.records.history import ENDED, Floats, History
from search.study.hypervolume import MOST_METRICS

Axis = Literal["trials", "epochs", "seconds"]
AXES: Final[tuple[Axis, ...]] = ("trials", "epochs", "seconds")


@dataclass(frozen=True, slots=True)
class Curve:
    """The best so far as steps: from `x[i]` on it is `y[i]`, until the next one.

    Attributes:
        x: What had been spent when the best moved, rising.
        y: The best from then on, in natural sign.
        total: What has been spent in all; the last step ends there.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    total: float

    def at(self, spent: float) -> float | None:
        """Return the best that there was when so much had been spent; None if there was none."""
        place = int(np.searchsorted(self.x, spent, side="right"))
        return self.y[place - 1] if place else None

    def to_json(self) -> dict[str, Any]:
        return {"spent": list(self.x), "best": list(self.y), "total": self.total}


def in_order(history: History) -> NDArray[np.int64]:
    """Return the numbers of the trials that ended, in the order of their ends; those without a time are last."""
    ended = np.flatnonzero(history.are(*ENDED))
    return ended[np.lexsort((ended, history.ended_s[ended]))]


def curves(history: History, reference: Sequence[float] = ()) -> dict[Axis, Curve]:
    """Return the best so far of a study on each axis that is known for it.

    An epoch counts when its trial ends. With several metrics the best is the hypervolume of the front so far, and with
    more metrics than it is reckoned for the best of the first.

    Args:
        history: The study.
        reference: With several metrics, the point that the hypervolume is measured from, in natural sign.
    """
    order = in_order(history)
    ran = np.where(history.same_as[order] < 0, history.epochs[order], 0)
    spent: dict[Axis, Floats] = {
        "trials": np.arange(1, len(order) + 1, dtype=float),
        "epochs": np.cumsum(ran).astype(float),
        "seconds": history.ended_s[order],
    }
    at, best = _steps(history, order, reference)
    found: dict[Axis, Curve] = {}
    for axis, x in spent.items():
        if not len(x) or np.isnan(x).any() or (axis == "epochs" and not x[-1]):
            continue
        total = max(float(x[-1]), history.status.seconds) if axis == "seconds" else float(x[-1])
        found[axis] = Curve(tuple(x[at].tolist()), tuple(best.tolist()), total)
    return found


def is_volume(metrics: Sequence[str]) -> bool:
    """Tell whether curves are of the hypervolume of a front."""
    return 1 < len(metrics) <= MOST_METRICS


def shared_reference(histories: Sequence[History]) -> tuple[float, ...]:
    """Return the worst value of each metric over all these studies, from which their fronts are measured."""
    losses = [history.values[history.candidates] * history.signs for history in histories]
    together = np.concatenate(losses) if losses else np.empty((0, 1))
    if not len(together):
        return ()
    return tuple((together.max(axis=0) * histories[0].signs).tolist())


def _steps(history: History, order: NDArray[np.int64], reference: Sequence[float]) -> tuple[NDArray[np.int64], Floats]:
    """Return where in the order the best moved, and to what."""
    places = np.flatnonzero(history.candidates[order])
    if not len(places):
        return places, np.empty(0)
    if is_volume(history.metrics) and reference:
        return _volumes(history, order, places, reference)
    so_far = np.minimum.accumulate(history.losses[order][places])
    moved = np.flatnonzero(np.diff(so_far, prepend=np.inf) < 0)
    return places[moved], so_far[moved] * history.signs[0]


def _volumes(
    history: History, order: NDArray[np.int64], places: NDArray[np.int64], reference: Sequence[float]
) -> tuple[NDArray[np.int64], Floats]:
    """Do the same for the hypervolume, 0 from the first candidate on until one beats the reference."""
    losses = history.values[order[places]] * history.signs
    grown, volumes, _ = growth(losses, (np.array(reference) * history.signs).tolist())
    if not len(grown) or grown[0] > 0:
        grown, volumes = np.concatenate([[0], grown]), np.concatenate([[0.0], volumes])
    return places[grown], volumes


def bests_at(curve_of: Sequence[Mapping[Axis, Curve]], axis: Axis) -> tuple[float, tuple[float | None, ...]] | None:
    """Return the largest spending that all studies have come to, and what each had then; None if one is not known."""
    known = [one[axis] for one in curve_of if axis in one]
    if len(known) < len(curve_of) or not known:
        return None
    common = min(curve.total for curve in known)
    return common, tuple(curve.at(common) for curve in known)
