"""When each trial ran, and where: lanes of workers over the study's life, with their idle time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.history import Floats, History, Ints
from search.report import theme
from search.report.lanes import Lanes, lanes_of
from search.report.plot import Data, Plot, Words
from search.report.spans import spoken, unit_of
from search.status import STATES

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_BARS: Final = 2_000
_MOST_LANES: Final = 60
_MOST_PLACES: Final = 5_000
_MOST_CELLS: Final = 1_000
_LEAST_CELLS: Final = 40
_FAINT: Final = 0.45
_PATTERNS: Final = {"complete": "", "pruned": "/", "fail": "x", "running": ".", "paused": "-"}


class Info(NamedTuple):
    """Trials on their lanes, by when they began.

    Attributes:
        lanes: Names of them.
        trial: Numbers; one that was let go of and taken on again is there each time.
        state: Of each.
        lane: Place among `lanes`.
        begin_s: Second of the study's life at which that attempt began.
        end_s: At which it ended, or now.
        life_s: Seconds that the study was run.
        busy: Share of all lanes' time in which trials ran.
        idle_at_end_s: Seconds of all lanes after their last trial.
        runs_s: Second at which each launch or resume began.
        unknown: Trials that began and whose end is not known.
        best: Number of the best trial; None if there is none.
        gpu_idle: Share of each one's training in which its GPU waited; None where nobody measured it.
    """

    lanes: list[str]
    trial: list[int]
    state: list[str]
    lane: list[int]
    begin_s: list[float]
    end_s: list[float]
    life_s: float
    busy: float
    idle_at_end_s: float
    runs_s: list[float]
    unknown: int
    best: int | None
    gpu_idle: list[float | None]


def info(history: History) -> Info:
    found = lanes_of(history)
    return Info(
        lanes=[*found.names],
        trial=found.trial.tolist(),
        state=[STATES[code] for code in history.state[found.trial]],
        lane=found.lane.tolist(),
        begin_s=found.begin_s.round(3).tolist(),
        end_s=found.end_s.round(3).tolist(),
        life_s=found.life_s,
        busy=_busy(found),
        idle_at_end_s=found.idle_at_end_s,
        runs_s=[*history.runs_s],
        unknown=found.unknown,
        best=history.best,
        gpu_idle=[float(one) if one == one else None for one in history.gpu_idle[found.trial].round(4)],
    )


def _busy(found: Lanes) -> float:
    whole = found.life_s * len(found.names)
    return min(1.0, found.busy_s / whole) if whole > 0 else 0.0


def words(info: Info) -> Words:
    if not info.trial or info.life_s <= 0:
        left = f"; {info.unknown} began and are paused" if info.unknown else ""
        return Words("No trial has run", empty=f"no trial is known to have run on a worker of this study{left}")
    said = f"Workers were busy {info.busy:.0%} of {spoken(info.life_s)}"
    if info.idle_at_end_s >= max(0.5, 0.01 * info.life_s * len(info.lanes)):
        said += f"; {spoken(info.idle_at_end_s)} idle at the end"
    count, lanes = len({*info.trial}), len(info.lanes)
    note = f"{count:,} trial{'s' * (count != 1)} on {lanes:,} lane{'s' * (lanes != 1)}: "
    note += "a lane is a place for one trial at a time, on the machine that it is called after. "
    note += "Of a trial whose worker was lost, the attempts after that are shown."
    if info.unknown:
        note += f" {info.unknown:,} paused trials are left out."
    if len(info.trial) > _MOST_BARS:
        note += (
            f" Too many to draw one by one: each lane is cut into cells of {spoken(_cell_s(info))}, which show the "
            "state that trials spent most of them in, faint where there was longer no trial."
        )
    if lanes > _MOST_LANES:
        note += f" The first {_MOST_LANES} lanes are drawn."
    return Words(said, note)


def _cell_s(info: Info) -> float:
    lanes = min(len(info.lanes), _MOST_LANES)
    return info.life_s / min(_MOST_CELLS, max(_LEAST_CELLS, _MOST_BARS // lanes))


class _Bars(NamedTuple):
    state: list[str]
    lane: Ints
    begin: Floats
    end: Floats
    trial: Ints
    faint: NDArray[np.bool_]


def _bars(info: Info) -> _Bars:
    lane, begin, end = np.array(info.lane), np.array(info.begin_s), np.array(info.end_s)
    trial = np.array(info.trial)
    if len(trial) <= _MOST_BARS:
        shown = lane < _MOST_LANES
        state = [one for one, is_in in zip(info.state, shown, strict=True) if is_in]
        return _Bars(state, *_of(shown, lane, begin, end, trial, np.zeros(len(trial), bool)))
    return _merged(info, lane, begin, end)


def _of(shown: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(column[shown] for column in columns)


def _merged(info: Info, lane: Ints, begin: Floats, end: Floats) -> _Bars:
    """Return bars of equal cells, each of the state that trials spent most of it in, like neighbours joined."""
    names, state = [*_PATTERNS], np.array(info.state)
    edges = np.arange(0, info.life_s + _cell_s(info) / 2, _cell_s(info))
    made: list[tuple[str, int, float, float, bool]] = []
    for one in range(min(len(info.lanes), _MOST_LANES)):
        taken = np.zeros((len(names), len(edges) - 1))
        for place, name in enumerate(names):
            mine = (lane == one) & (state == name)
            if mine.any():
                taken[place] = _time_in(begin[mine], end[mine], edges)
        busy = taken.sum(axis=0)
        winner = np.where(busy > 0, taken.argmax(axis=0), -1)
        winner[(busy > 0) & (np.diff(edges) - busy > taken.max(axis=0))] += len(names)  # no trial for longer
        starts = np.flatnonzero(np.diff(winner, prepend=-2))
        ends = np.append(starts[1:], len(winner))
        made += [
            (names[winner[first] % len(names)], one, edges[first], edges[last], bool(winner[first] >= len(names)))
            for first, last in zip(starts, ends, strict=True)
            if winner[first] >= 0
        ]
    lanes, begins, ends, faint = (np.array([bar[place] for bar in made]) for place in (1, 2, 3, 4))
    return _Bars([bar[0] for bar in made], lanes, begins, ends, np.full(len(made), -1), faint)


def _time_in(begin: Floats, end: Floats, edges: Floats) -> Floats:
    """Return the seconds that spans which do not overlap, in order, take of each cell."""
    times = np.column_stack([begin, np.maximum(end, begin)]).ravel()
    times = np.maximum.accumulate(times)
    done = np.repeat(np.cumsum(end - begin), 2)
    done[::2] -= end - begin
    return np.diff(np.interp(edges, times, done, left=0.0))


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    bars, (unit, second) = _bars(info), unit_of(info.life_s)
    state = np.array(bars.state)
    traces = []
    for name, pattern in _PATTERNS.items():
        chosen = np.flatnonzero(state == name)
        if not len(chosen):
            continue
        alone = bars.trial[chosen[0]] >= 0
        waits = alone and any(one is not None for one in info.gpu_idle)
        hover = f"trial %{{customdata}}<br>%{{x:.3g}} {unit}" if alone else f"%{{x:.3g}} {unit}"
        hover += "%{hovertext}" if waits else ""
        traces.append(
            go.Bar(
                orientation="h",
                base=(bars.begin[chosen] / second).round(4).tolist(),
                x=((bars.end - bars.begin)[chosen] / second).round(4).tolist(),
                y=bars.lane[chosen].tolist(),
                customdata=bars.trial[chosen].tolist() if alone else None,
                hovertext=_waits(info, bars.trial[chosen].tolist()) if waits else None,
                name=name,
                width=0.8,
                marker={
                    "color": theme.COLORS[name],
                    "opacity": 1 if alone else np.where(bars.faint[chosen], _FAINT, 1.0).tolist(),
                    "line": {"width": 0},
                    "pattern": {"shape": pattern, "size": 5, "fillmode": "overlay"},
                },
                hovertemplate=f"{hover}<extra>{name}</extra>",
            )
        )
    names = [theme.short(name) for name in info.lanes[:_MOST_LANES]]
    found = theme.figure(
        traces,
        x=f"time in the study's life, {unit}",
        height=int(min(900, 130 + max(2, len(names)) * (34 if len(names) < 9 else 18))),
        margin={"t": 48},
        barmode="overlay",
        bargap=0.1,
    )
    found.update_xaxes(range=[0, info.life_s / second * 1.005])
    found.update_yaxes(
        tickvals=[*range(len(names))],
        ticktext=names,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        ticklabelstandoff=6,
    )
    for place, at_s in enumerate(info.runs_s[:20]):
        if place:  # the launch is where the axis begins
            found.add_vline(x=at_s / second, line={"dash": "dot", "width": 1})
            if len(info.runs_s) < 8:
                found.add_annotation(
                    text=f"resume {place}", x=at_s / second, y=1, yref="paper", yanchor="bottom", showarrow=False
                )
    found.update_layout(meta={"places": _places(info, second)})
    return found


def _waits(info: Info, trials: list[int]) -> list[str]:
    """Say of each trial how long its GPU waited, if that is known."""
    known = dict(zip(info.trial, info.gpu_idle, strict=True))
    shares = [known[trial] for trial in trials]
    return ["" if share is None else f"<br>GPU waited {share:.0%} of its training" for share in shares]


def _places(info: Info, second: float) -> dict[str, object]:
    """Say where a trial stands: the middle of its bar; of very many, of evenly chosen ones and the best."""
    order = np.arange(len(info.trial))
    if len(order) > _MOST_PLACES:
        order = order[np.linspace(0, len(order) - 1, _MOST_PLACES).astype(int)]
        if info.best in info.trial:
            order = np.unique(np.append(order, info.trial.index(info.best)))
    order = order[np.array(info.lane, int)[order] < _MOST_LANES]
    middle = (np.array(info.begin_s) + np.array(info.end_s))[order] / 2 / second
    trial, lane = np.array(info.trial, int)[order], np.array(info.lane, int)[order]
    x = [float(f"{one:.5g}") for one in middle.tolist()]
    return {"trial": trial.tolist(), "x": x, "y": lane.tolist(), "xaxis": "x", "yaxis": "y"}


def data(info: Info) -> Data:
    return {
        "trial": info.trial,
        "state": info.state,
        "lane": [info.lanes[place] for place in info.lane],
        "begin, s": info.begin_s,
        "end, s": info.end_s,
        **({"GPU waited, share": info.gpu_idle} if any(one is not None for one in info.gpu_idle) else {}),
    }


PLOT = Plot("timeline", "wasted", "Trials on their workers", info, words, figure, data, wide=True)
