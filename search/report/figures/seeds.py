"""The best trial beside the runners-up and the naive baseline, with intervals: can they be told apart?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.records.history import History
from search.report import theme
from search.report.plot import Data, Plot, Words, joined
from search.report.uncertainty import Uncertainty, fold_scores, uncertainty, width
from search.variation import error_of_folds

if TYPE_CHECKING:
    import plotly.graph_objects as go

_RUNNERS_UP: Final = 5
_FAR: Final = 1.5  # a baseline that lies so many times as far away as all trials spread is told, not drawn


class Info(NamedTuple):
    """The best trials, the best one first.

    Attributes:
        metric: The searched one.
        number: Of each trial.
        value: Of each.
        low: Of its 95% interval; NaN where that is not known.
        high: The same.
        how: What the best one's interval is reckoned from; "" without one.
        apart: Whether the best and the runner-up differ by more than chance; None where that is not known.
        baseline: Value of a naive prediction; None if there is none.
        beats: Whether the best is better than it: "yes", "no", "perhaps" where the interval holds it, or "better" where
            there is none.
        completed: Trials that the best was chosen from.
        metrics: How many are searched.
    """

    metric: str
    number: list[int]
    value: list[float]
    low: list[float]
    high: list[float]
    how: str
    apart: bool | None
    baseline: float | None
    beats: str
    completed: int
    metrics: int


def info(history: History) -> Info:
    losses = history.losses
    ran = history.candidates & (history.same_as < 0)
    order = np.flatnonzero(ran)[np.argsort(losses[ran], kind="stable")]
    best = history.best
    if best is not None:
        order = np.concatenate([[best], order[order != best]])
    shown = [int(number) for number in order[: 1 + _RUNNERS_UP]] if best is not None else []
    known = [uncertainty(history, number) for number in shown]
    baseline = history.status.baseline.get(history.metrics[0])
    first = known[0] if known else None
    return Info(
        metric=history.metrics[0],
        number=shown,
        value=[float(history.values[number, 0]) for number in shown],
        low=[math.nan if one is None else one.low for one in known],
        high=[math.nan if one is None else one.high for one in known],
        how="" if first is None else first.how,
        apart=_apart(history, shown[0], shown[1], first, known[1]) if len(shown) > 1 else None,
        baseline=baseline,
        beats="" if baseline is None or not shown else _beats(history, shown[0], baseline, first),
        completed=int(ran.sum()),
        metrics=len(history.metrics),
    )


def words(info: Info) -> Words:
    if info.metrics > 1:
        said = f"{info.metrics} metrics are searched: no trial is best in all of them"
        return Words("No single best", empty=said)
    if not info.number:
        return Words("No best yet", empty="no trial has completed yet that could be compared")
    name = f"#{info.number[0]}"
    against = "" if info.baseline is None else " against ".join(theme.apart(info.value[0], info.baseline))
    said = {
        "yes": f"{name} beats the naive baseline, {against}",
        "better": f"{name} is better than the naive baseline, {against}",
        "no": f"NOT better than the naive baseline: {info.metric} {against}",
        "perhaps": f"{name} may be no better than the naive baseline: {against}, within its interval",
        "": f"{name} is the best of {info.completed:,}" if info.completed > 1 else f"{name} alone has completed",
    }[info.beats]
    if len(info.number) > 1:
        other = f"the runner-up #{info.number[1]}"
        said += {
            True: f"; {other} is worse by more than chance",
            False: f"; {other} cannot be told from it",
            None: f"; whether {other} is worse by more than chance is not known",
        }[info.apart]
    note = f"Bars are 95% intervals; that of {name} is {info.how}." if info.how else _UNKNOWN
    if info.completed > 1:
        note += f" The best of {info.completed:,} was chosen by these values, so its own flatters it."
    return Words(said, note)


_UNKNOWN: Final = "How sure these values are is not known. --replicates 3 or --folds 5 measures it."


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    places = list(range(len(info.number)))
    traces = []
    for is_best in (True, False):
        chosen = [place for place in places if (place == 0) == is_best]
        if not chosen:
            continue
        value = [info.value[place] for place in chosen]
        bars = [(info.low[place], info.high[place]) for place in chosen]
        kind = "best" if is_best else "complete"
        traces.append(
            go.Scatter(
                x=value,
                y=chosen,
                customdata=[info.number[place] for place in chosen],
                mode="markers",
                name="best" if is_best else "runners-up",
                marker={"color": theme.COLORS[kind], "symbol": "diamond" if is_best else "circle", "size": 10},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [
                        high - one if math.isfinite(high) else 0 for one, (_, high) in zip(value, bars, strict=True)
                    ],
                    "arrayminus": [
                        one - low if math.isfinite(low) else 0 for one, (low, _) in zip(value, bars, strict=True)
                    ],
                    "thickness": 1.5,
                    "width": 5,
                },
                hovertemplate="trial %{customdata}<br>%{x:.5g}<extra></extra>",
            )
        )
    ends = [one for one in (*info.value, *info.low, *info.high) if math.isfinite(one)]
    found = theme.figure(traces, x=theme.plain(info.metric), height=130 + 36 * max(2, len(places)), margin={"t": 44})
    found.update_yaxes(
        tickvals=places,
        ticktext=[f"#{number}" for number in info.number],
        range=[len(places) - 0.4, -0.6],
        title="trial",
    )
    if info.baseline is not None:
        _draw_baseline(found, info.baseline, min(ends), max(ends))
    meta = {"places": {"trial": info.number, "x": info.value, "y": places, "xaxis": "x", "yaxis": "y"}}
    found.update_layout(meta=meta)
    return found


def data(info: Info) -> Data:
    columns: Data = {"trial": info.number, "low": info.low, "high": info.high}
    return joined(columns, "metric", [(info.metric, info.value)])


def _draw_baseline(found: go.Figure, baseline: float, low: float, high: float) -> None:
    """Draw the baseline as a line; one that is far off would leave no room for the trials, and is told instead."""
    span = max(high - low, 1e-12 * max(abs(low), abs(high)), 1e-300)
    if low - _FAR * span <= baseline <= high + _FAR * span:
        found.add_vline(x=baseline, line={"dash": "dot", "width": 1}, annotation_text="naive baseline")
        return
    is_left = baseline < low
    text = f"naive baseline {theme.number(baseline)}"
    found.add_annotation(
        text=f"← {text}" if is_left else f"{text} →",
        xref="paper",
        yref="paper",
        x=0 if is_left else 1,
        y=1,
        xanchor="left" if is_left else "right",
        yanchor="bottom",
        showarrow=False,
    )


def _beats(history: History, best: int, baseline: float, known: Uncertainty | None) -> str:
    sign = history.signs[0]
    if not sign * float(history.values[best, 0]) < sign * baseline:
        return "no"
    if known is None:
        return "better"
    worst = known.high if sign > 0 else known.low
    return "yes" if sign * worst < sign * baseline else "perhaps"


def _apart(
    history: History, best: int, other: int, first: Uncertainty | None, second: Uncertainty | None
) -> bool | None:
    """Tell whether two trials differ by more than chance.

    On the same folds their scores are compared fold by fold. Trainings with seeds of their own are compared by Welch's
    test. Of a runner-up that is measured on the same rows, and not known row by row, the error is taken to be that of
    the best and independent of it, which errs towards not telling them apart.
    """
    if first is None:
        return None
    gap = abs(float(history.values[best, 0] - history.values[other, 0]))
    ours, theirs = fold_scores(history, best), fold_scores(history, other)
    if ours is not None and theirs is not None:
        return gap > width(len(ours) - 1) * error_of_folds(ours - theirs)
    one, two = first.error**2, (first if second is None else second).error ** 2
    if second is None or math.isinf(first.freedom):
        return gap > width(math.inf) * math.sqrt(one + two)
    freedom = (one + two) ** 2 / (one**2 / first.freedom + two**2 / second.freedom)
    return gap > width(freedom) * math.sqrt(one + two)


PLOT = Plot("seeds", "winner", "Seeds and baseline", info, words, figure, data)
