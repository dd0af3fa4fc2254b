"""The best so far of studies side by side, against what each had spent: in trials, in epochs or in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from search.records.anytime import Axis
from search.records.comparison import Comparison
from search.report import theme
from search.report.figures import compare_look
from search.report.plot import Data, Words

if TYPE_CHECKING:
    import plotly.graph_objects as go

TITLES: Final[dict[Axis, str]] = {
    "trials": "trials that have ended",
    "epochs": "epochs run",
    "seconds": "time since the launch (s)",
}
_NEVER: Final[dict[Axis, str]] = {
    "trials": "no trial has ended in any of them",
    "epochs": "no study has reported an epoch",
    "seconds": "the studies do not know when their trials ended",
}


class Info(NamedTuple):
    """Steps of each study that has a best on this axis.

    Attributes:
        axis: What was spent.
        measure: What the best is of.
        more_is_better: Of that measure.
        place: Of each study among those compared, which its look follows.
        name: Of each.
        spent: By study, when its best moved, and what it had spent in all at the end.
        best: By study, the best from then on; the last one twice.
        common: As much as all of them spent; None if that is not known of all.
        at_common: The best of each study then, in the order of all studies; None if it had none yet.
        names: Of all studies.
        known: Whether any study has spent something that is known on this axis.
    """

    axis: Axis
    measure: str
    more_is_better: bool
    place: list[int]
    name: list[str]
    spent: list[list[float]]
    best: list[list[float]]
    common: float | None
    at_common: list[float | None]
    names: list[str]
    known: bool


def info(axis: Axis) -> Callable[[Comparison], Info]:
    """Return what reads a comparison on one axis."""

    def read(found: Comparison) -> Info:
        shown = [place for place, side in enumerate(found.sides) if axis in side.curves and side.curves[axis].y]
        curves = [found.sides[place].curves[axis] for place in shown]
        budget = next((one for one in found.budgets if one.axis == axis), None)
        return Info(
            axis=axis,
            measure=found.measure,
            more_is_better=found.more_is_better,
            place=shown,
            name=[found.sides[place].name for place in shown],
            spent=[[*curve.x, curve.total] for curve in curves],
            best=[[*curve.y, curve.y[-1]] for curve in curves],
            common=None if budget is None else budget.spent,
            at_common=[] if budget is None else [*budget.bests],
            names=[side.name for side in found.sides],
            known=any(axis in side.curves for side in found.sides),
        )

    return read


def words(info: Info) -> Words:
    if not info.place:
        why = "" if info.known else f": {_NEVER[info.axis]}"
        return Words(f"Nothing to show against {info.axis}", empty=f"no study has a best yet{why}")
    note = "An epoch counts when its trial ends." if info.axis == "epochs" else ""
    if info.axis == "seconds":
        note = (
            "Time is that of all runs of a study together, as it went by on its own machine; the start of the workers,"
            " which may take longer than short trials do, is in it."
        )
    known = {place: best for place, best in enumerate(info.at_common) if best is not None}
    if info.common is None or len(known) < 2:
        return Words(f"Best so far against {info.axis}", note)
    sign = -1.0 if info.more_is_better else 1.0
    first, second = sorted(known, key=lambda place: sign * known[place])[:2]
    spent = f"{theme.number(info.common)} s" if info.axis == "seconds" else f"{info.common:,.0f} {info.axis}"
    if known[first] == known[second]:
        return Words(f"After {spent} {info.names[first]} and {info.names[second]} are level", note)
    found = f"After {spent} {info.names[first]} is ahead: {theme.number(known[first])}"
    return Words(f"{found} against {theme.number(known[second])} of {info.names[second]}", note)


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    traces = [
        go.Scatter(
            x=spent,
            y=best,
            mode="lines",
            line={"shape": "hv", **compare_look.line(place)},
            name=theme.short(name),
            hovertemplate=f"%{{x:.5g}} {info.axis}<br>best %{{y:.5g}}<extra>{theme.short(name)}</extra>",
        )
        for place, name, spent, best in zip(info.place, info.name, info.spent, info.best, strict=True)
    ]
    found = theme.figure(
        traces,
        x=TITLES[info.axis],
        y=f"best {theme.plain(info.measure)} so far",
        showlegend=True,
        xaxis={"rangemode": "tozero"},
        yaxis={"range": _range(info)},
    )
    if info.common is not None:
        found.add_vline(x=info.common, line={"dash": "dot", "width": 1, "color": "#8C8C8C"})
    return found


def data(info: Info) -> Data:
    rows = [
        (name, spent, best)
        for name, spents, bests in zip(info.name, info.spent, info.best, strict=True)
        for spent, best in zip(spents, bests, strict=True)
    ]
    return {
        "study": [row[0] for row in rows],
        info.axis: [row[1] for row in rows],
        f"best {info.measure}": [row[2] for row in rows],
    }


def _range(info: Info) -> list[float]:
    """Return the ends of the vertical axis: all but what a study had before its first tenth was spent."""
    early = [
        next(
            (best for at, best in zip(reversed(spent), reversed(bests), strict=True) if at <= spent[-1] / 10), bests[0]
        )
        for spent, bests in zip(info.spent, info.best, strict=True)
    ]
    ends = [*early, *(bests[-1] for bests in info.best)]
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.05 * abs(low) or 1.0
    return [low - margin, high + margin]
