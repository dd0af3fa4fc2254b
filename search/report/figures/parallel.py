"""Parallel coordinates: a line for each trial through its parameters to its value.

Lines are ordinary ones, not plotly's `parcoords`, which draws by WebGL: that needs a page which lets scripts make code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.ranks import ranks
from search.records.history import Floats, History, Ints
from search.report import theme
from search.report.figures import _panels
from search.report.figures._axis import Axis, at_of, axis_of, spread
from search.report.figures._chosen import LEAST, best_of, completed, important, missed, region, said_missed
from search.report.figures._coordinates import ABSENT, last, names, strokes
from search.report.figures._marks import by, ringed
from search.report.plot import Data, Plot, Words, joined
from search.report.scale import Scale, scale_of
from search.status import STATES

if TYPE_CHECKING:
    import plotly.graph_objects as go

AXES: Final = 12
LINES: Final = 300
BINS: Final = 8
"""Colours of completed trials."""

_BEST: Final = 30
"""Of the lines, those of the best trials."""

_FRONT: Final = 60
"""Of several metrics: those of the Pareto front, at most."""

_PRUNED: Final = 80
"""Of the lines, those of pruned trials, where there are more of both than are drawn."""

_SPREAD: Final = 0.6
"""Of the room of one choice, how much its lines take."""

_FADED: Final = 0.35


class Info(NamedTuple):
    """The trials whose lines are drawn: completed ones, the best first, then pruned ones.

    Attributes:
        metric: The searched one, the first of several.
        metrics: How many are searched.
        axes: Parameters that vary, the most important first.
        chosen: How they were chosen, in words; "" if all are there.
        number: Of each trial.
        state: `complete` or `pruned`.
        value: Of each; of a pruned trial its last report.
        at: By axis and trial: the parameter; of a choice the index; None where a trial does not have it.
        height: Of each trial on the last axis, from 0 to 1, better being higher.
        rank: Of each: which share of all completed trials is better; None of a pruned one.
        ends: The values at the lower and the upper end of the last axis.
        log: Whether the last axis is logarithmic.
        beyond: Completed trials below its lower end, which are drawn there.
        front: Number of the best trial, of several metrics those of the Pareto front.
        trials: Completed and pruned trials with a value.
        missed: Completed trials that miss a constraint, and are left out.
        found: What the best ones have in common, in words.
    """

    metric: str
    metrics: int
    axes: list[Axis]
    chosen: str
    number: list[int]
    state: list[str]
    value: list[float]
    at: list[list[float | None]]
    height: list[float]
    rank: list[float | None]
    ends: tuple[float, float]
    log: bool
    beyond: int
    front: list[int]
    trials: int
    missed: int
    found: str


def info(history: History) -> Info:
    done, losses = completed(history), history.losses
    done = done[np.argsort(losses[done], kind="stable")]
    value = history.values[:, 0]
    pruned = np.flatnonzero(history.are("pruned") & np.isfinite(losses))
    drawn = _drawn(done, pruned, np.array(history.front[:_FRONT], np.int64))
    chosen = important(history, AXES)
    parameters = chosen.parameters
    rank = np.full(len(history), np.nan)
    rank[done] = ranks(losses[done]) / max(len(done) - 1, 1)
    axes = [axis_of(one) for one in parameters]
    sign = float(history.signs[0])
    valued = value[done if len(done) else pruned]
    scale = scale_of(valued, sign=sign)
    ends = _ends(valued, scale, sign)
    return Info(
        metric=history.metrics[0],
        metrics=len(history.metrics),
        axes=axes,
        chosen=chosen.said(),
        number=drawn.tolist(),
        state=[STATES[code] for code in history.state[drawn]],
        value=value[drawn].tolist(),
        at=[at_of(one.values[drawn]) for one in parameters],
        height=_heights(value[drawn], ends, scale.log).tolist(),
        rank=at_of(rank[drawn]),
        ends=ends,
        log=scale.log,
        beyond=scale.beyond,
        front=[*history.front],
        trials=len(done) + len(pruned),
        missed=missed(history),
        found=_found(
            [(axis, one.values[done]) for axis, one in zip(axes, parameters, strict=True)],
            losses[done],
            chosen.of,
            by(history.metrics[0], len(history.metrics)),
        ),
    )


def words(info: Info) -> Words:
    if not info.number:
        kept = " that keeps to the constraints" if info.missed else ""
        return Words("No trial has a value yet", empty=f"no trial{kept} has completed or was pruned with a value")
    if not info.axes:
        return Words("No parameter varies", empty="all trials have the same parameters, so there is nothing to compare")
    spread_out = "the best, and the others evenly from good to poor" if len(info.number) < info.trials else ""
    notes = (
        "The further up on the last axis, the better; brighter lines are better.",
        said_missed(info.missed),
        "Thin grey ones were pruned." if "pruned" in info.state else "",
        info.chosen,
        f"{len(info.number):,} of {info.trials:,} trials, in the table too: {spread_out}." if spread_out else "",
        f"{info.beyond:,} completed trials are worse than its lower end, where they stand." if info.beyond else "",
        "Drag over an axis to pick trials.",
    )
    return Words(info.found, " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    heights = [*(_along(axis, np.array(at, float), info) for axis, at in zip(info.axes, info.at, strict=True))]
    heights.append(np.array(info.height))
    lines = np.round(np.array(heights).T, 4)  # (trials, axes + 1)
    count = lines.shape[1]
    traces = [*_lines(info, lines)]
    texts = [[theme.plain(axis.said(value)) for value in at] for axis, at in zip(info.axes, info.at, strict=True)]
    texts.append([theme.number(value) for value in info.value])
    x = np.tile(np.arange(count), len(lines))
    y, number = lines.ravel(), np.repeat(info.number, count)
    traces.append(
        go.Scatter(
            x=x,
            y=y,
            customdata=number,
            text=[texts[axis][row] for row in range(len(lines)) for axis in range(count)],
            mode="markers",
            marker={"opacity": 0, "size": 8, "color": [0.0] * len(x), "coloraxis": "coloraxis"},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            hovertemplate="trial %{customdata}: %{text}<extra></extra>",
            showlegend=False,
        )
    )
    named = names(info.axes, [None in at for at in info.at])
    named += last(len(info.axes), info.metric, info.ends, log=info.log)
    found = theme.figure(traces, height=430, dragmode="select", annotations=named, shapes=strokes(count))
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    found.update_xaxes(**bare, range=[-0.4, count - 0.6])
    found.update_yaxes(**bare, range=[ABSENT - 0.08 if any(None in at for at in info.at) else -0.1, 1.2])
    found.update_layout(coloraxis=_panels.ranks(info.metric), margin={"l": 16, "b": 12}, legend={"y": 1.0})
    places = {"trial": number.tolist(), "x": x.tolist(), "y": y.tolist(), "xaxis": "x", "yaxis": "y"}
    found.update_layout(meta={"places": places})
    return found


def data(info: Info) -> Data:
    """Return the trials whose lines are drawn."""
    columns = joined({"trial": info.number, "state": info.state}, "metric", [(info.metric, info.value)])
    axes = zip(info.axes, info.at, strict=True)
    return joined(columns, "param", ((axis.name, [axis.cell(value) for value in at]) for axis, at in axes))


def _drawn(done: Ints, pruned: Ints, front: Ints) -> Ints:
    """Return the trials whose lines are drawn, of completed ones, best first, and pruned ones."""
    if len(done) + len(pruned) <= LINES:
        return np.concatenate([done, pruned])
    room = LINES - min(len(pruned), max(_PRUNED, LINES - len(done)))
    first = done[: min(_BEST, room)]
    rest = done[len(first) :]
    others = rest[_evenly(len(rest), room - len(first))]
    kept = np.setdiff1d(np.setdiff1d(front, first), others)
    return np.concatenate([kept, first, others, pruned[_evenly(len(pruned), LINES - room)]])


def _evenly(count: int, most: int) -> Ints:
    """Return at most so many places of `count`, evenly spread."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).astype(np.int64))


def _ends(value: Floats, scale: Scale, sign: float) -> tuple[float, float]:
    """Return the worst and the best value that the last axis has room for."""
    if not len(value):
        return 0.0, 1.0
    low = float(value.min()) if scale.low is None else scale.low
    high = float(value.max()) if scale.high is None else scale.high
    return (high, low) if sign > 0 else (low, high)


def _heights(value: Floats, ends: tuple[float, float], log: bool) -> Floats:
    """Return how high values stand, from 0 to 1."""
    worst, best = ends
    if worst == best:
        return np.full(len(value), 0.5)
    if log:
        value, worst, best = np.log10(value), float(np.log10(worst)), float(np.log10(best))
    at = (value / 4 - worst / 4) / (best / 4 - worst / 4)  # quarters, so that no difference of huge values overflows
    heights: Floats = np.clip(at, 0, 1)
    return heights


def _found(axes: list[tuple[Axis, Floats]], losses: Floats, of: int, by_metric: str) -> str:
    """Return what the best trials have in common."""
    if len(losses) < LEAST:
        return f"{len(losses)} trials completed: too few to tell what the best have in common"
    best = best_of(losses)
    told = [region(axis.name, values, best, axis.choices, of)[0] for axis, values in axes]
    shared = [one for one in told if one]
    if not shared:
        return "Nothing that the best trials share is told apart from chance"
    more = f", and {len(shared) - 3} more" if len(shared) > 3 else ""
    trials = f"The best {len(best):,} of {len(losses):,} completed trials{by_metric}"
    return f"{trials} share {', '.join(shared[:3])}{more}"


def _along(axis: Axis, values: Floats, info: Info) -> Floats:
    """Return where lines pass an axis."""
    if axis.choices:
        room = 1 / len(axis.choices)
        at = (values + 0.5) * room + spread(info.number, _SPREAD * room)
    else:
        at = np.clip(axis.unit(values), 0, 1)
    return np.where(np.isnan(values), ABSENT + spread(info.number, 0.06), at)


def _lines(info: Info, lines: Floats) -> list[go.Scatter]:
    """Return a trace for the pruned trials and for each colour of the completed ones, the best one last."""
    import plotly.graph_objects as go
    from plotly.colors import sample_colorscale

    rank = np.array(info.rank, float)
    bins = np.where(np.isnan(rank), -1, np.minimum(np.nan_to_num(rank) * BINS, BINS - 1).astype(np.int64))
    ramp = sample_colorscale(theme.RAMP, [1 - (place + 0.5) / BINS for place in range(BINS)])
    found = []
    for place in (-1, *range(BINS - 1, -1, -1)):
        chosen = lines[bins == place]
        if not len(chosen):
            continue
        x, y = _joined(chosen)
        color, width = (theme.COLORS["pruned"], 0.6) if place < 0 else (ramp[place], 1.0 + (BINS - place) / BINS)
        opacity = _FADED if place < 0 else 0.9 - 0.05 * place
        line = {"color": color, "width": width}
        found.append(go.Scatter(x=x, y=y, mode="lines", line=line, opacity=opacity, hoverinfo="skip", showlegend=False))
    front = np.flatnonzero(np.isin(info.number, info.front))
    if len(front):
        x, y = _joined(lines[front])
        marker = {"symbol": theme.SYMBOLS["best"], "size": 10, "color": theme.COLORS["best"], "line": {"width": 2}}
        line = {"color": theme.COLORS["best"], "width": 3 if len(front) == 1 else 1.5}
        name = ringed(info.metrics)
        found.append(go.Scatter(x=x, y=y, mode="lines+markers", line=line, marker=marker, name=name, hoverinfo="skip"))
    return found


def _joined(lines: Floats) -> tuple[list[float], list[float | None]]:
    """Return lines one after the other, with a gap after each."""
    count = lines.shape[1]
    x = np.tile([*range(count), count - 1], len(lines))
    y = np.column_stack([lines, np.full(len(lines), np.nan)]).ravel()
    return x.tolist(), at_of(y)


PLOT = Plot("parallel", "good", "Parallel coordinates", info, words, figure, data, wide=True)
