"""What the pruner did: how many trials came to each rung, ended there, or went on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.ranks import ranks
from search.records.history import History
from search.records.rungs import Ladder, ladder
from search.report import theme
from search.report.curves import unit
from search.report.figures._rung_bars import bars
from search.report.plot import Data, Plot, Words
from search.report.sofar import at_steps, reported_losses
from search.report.thinning import thinned

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST: Final = 8
"""Completed trials below which no rank correlation is told."""


class Rung(NamedTuple):
    """One step at which the pruner judges.

    Attributes:
        step: On the sweep's scale.
        came: Trials that came there.
        pruned: Of those, pruned there.
        rests: Of those, resting there until they are promoted.
        cutoff: What the last one that was pruned there had to reach; None if it is not known.
        agreement: Rank correlation of what completed trials had there with their results; None of too few.
        compared: How many completed trials that is from.
    """

    step: int
    came: int
    pruned: int
    rests: int
    cutoff: float | None
    agreement: float | None
    compared: int

    @property
    def on(self) -> int:
        return self.came - self.pruned - self.rests


class Info(NamedTuple):
    """A pruner's work.

    Attributes:
        rule: Its name.
        unit: What a step is.
        metric: The searched one.
        of: Trials that have reported.
        pruned: Those of them that were pruned.
        rungs: Of a pruner with rungs; else [].
        done: Trials that completed.
        step: Of a pruner without rungs: the steps that trials reported, rising.
        reached: Trials that came so far.
        ended: Trials that were pruned there.
    """

    rule: str
    unit: str
    metric: str
    of: int
    pruned: int
    rungs: list[Rung]
    done: int
    step: list[int]
    reached: list[int]
    ended: list[int]


def info(history: History) -> Info:
    known = ladder(history.plan, len(history))
    ran = (np.diff(history.reports.starts) > 0) & (history.same_as < 0)
    pruned = ran & history.are("pruned")
    found = Info(
        rule=known.rule,
        unit=unit(history.plan),
        metric=history.metrics[0],
        of=int(np.count_nonzero(ran)),
        pruned=int(np.count_nonzero(pruned)),
        rungs=[],
        done=int(np.count_nonzero(ran & history.are("complete"))),
        step=[],
        reached=[],
        ended=[],
    )
    if known.steps:
        return found._replace(rungs=_rungs(history, known, ran, pruned))
    steps, last = np.unique(history.reports.step), np.sort(history.epochs[ran])
    ends = np.sort(history.epochs[pruned])
    ended = np.searchsorted(ends, steps, side="right") - np.searchsorted(ends, steps)
    reached = len(last) - np.searchsorted(last, steps)
    return found._replace(step=steps.tolist(), reached=reached.tolist(), ended=ended.tolist())


def words(info: Info) -> Words:
    if not info.of:
        return Words("Nothing was pruned", empty="no trial has reported yet, so the pruner had nothing to judge")
    if info.rule == "none" and not info.pruned:
        return Words("Nothing was pruned", empty="the pruner is none: every trial runs to its end")
    if not info.rungs and not info.pruned and max(info.step, default=0) < _LEAST_STEPS:
        return Words("Nothing was pruned", empty=f"no trial has come to a step at which {info.rule} prunes")
    notes = [f"From {_trials(info.of)} that reported."]
    for rung in info.rungs:
        if rung.agreement is not None:
            notes.append(
                f"The order at rung {rung.step} agrees with that of the results by a rank correlation of "
                f"{rung.agreement:.2f} ({rung.compared:,} completed trials; those pruned are not in it)."
            )
            break
    if info.rungs and info.done > info.rungs[-1].on:
        notes.append(f"{_trials(info.done - info.rungs[-1].on)} completed before rung {info.rungs[-1].step}.")
    return Words(_finding(info), " ".join(notes))


def figure(info: Info) -> go.Figure:
    return bars(info.rungs, info.unit, info.of, info.done) if info.rungs else _survival(info)


def data(info: Info) -> Data:
    if not info.rungs:
        return {info.unit: info.step, "came so far": info.reached, "pruned there": info.ended}
    return {
        info.unit: [rung.step for rung in info.rungs],
        "came there": [rung.came for rung in info.rungs],
        "pruned there": [rung.pruned for rung in info.rungs],
        "rests there": [rung.rests for rung in info.rungs],
        "went on": [rung.on for rung in info.rungs],
        "last cutoff": [rung.cutoff for rung in info.rungs],
        "rank correlation with the result": [rung.agreement for rung in info.rungs],
    }


_LEAST_STEPS: Final = 2
"""Steps below which a pruner without rungs had nothing to cut."""

_LONGEST: Final = 500
"""Steps of the line, at most."""


def _rungs(history: History, known: Ladder, ran: NDArray[np.bool_], pruned: NDArray[np.bool_]) -> list[Rung]:
    """Count what happened at each rung that somebody came to."""
    steps = np.array(known.steps)
    numbers = np.flatnonzero(pruned)
    stored = np.array([history.pruning.get(int(number), {}).get("rung") or 0 for number in numbers], np.int64)
    last = steps[np.maximum(np.searchsorted(steps, history.epochs[numbers], side="right") - 1, 0)]
    at = np.where(stored > 0, stored, last)  # of a study of another program only its last step is known
    # One report may be behind several rungs, and end its trial at the first of them.
    furthest = history.epochs.copy()
    furthest[numbers] = at
    furthest[[*history.resting]] = [*history.resting.values()]
    cutoffs = dict(zip(at.tolist(), (history.pruning.get(int(one), {}).get("cutoff") for one in numbers), strict=True))
    complete = np.flatnonzero(ran & history.are("complete") & np.isfinite(history.losses))
    losses = reported_losses(history)
    rests = np.array([*history.resting.values()], np.int64)
    found = []
    for step in steps:
        came = int(np.count_nonzero(ran & (known.first <= step) & (furthest >= step)))
        if not came:
            continue
        there = complete[(known.first[complete] <= step) & (history.epochs[complete] >= step)]
        agreement, compared = _agreement(
            at_steps(history.reports, losses, there, np.full(len(there), step)), history.losses[there]
        )
        found.append(
            Rung(
                step=int(step),
                came=came,
                pruned=int(np.count_nonzero(at == step)),
                rests=int(np.count_nonzero(rests == step)),
                cutoff=cutoffs.get(int(step)),
                agreement=agreement,
                compared=compared,
            )
        )
    return found


def _agreement(there: NDArray[np.float64], results: NDArray[np.float64]) -> tuple[float | None, int]:
    """Return Spearman's rank correlation, and of how many; None of too few, or where all are equal."""
    both = np.isfinite(there) & np.isfinite(results)
    count = int(np.count_nonzero(both))
    if count < LEAST:
        return None, count
    places = ranks(there[both]), ranks(results[both])
    if any(one.min() == one.max() for one in places):
        return None, count
    return float(np.corrcoef(*places)[0, 1]), count


def _finding(info: Info) -> str:
    rests = sum(rung.rests for rung in info.rungs)
    more = f"; {rests:,} rest at a rung" if rests else ""
    if not info.pruned:
        return f"{info.rule} has pruned none of {_trials(info.of)}{more}"
    if info.rungs:
        step, most = max(((rung.step, rung.pruned) for rung in info.rungs), key=lambda one: one[1], default=(0, 0))
    else:
        most = max(info.ended)
        step = info.step[info.ended.index(most)]
    there = "" if info.pruned == 1 else "all " if most == info.pruned else f"{most:,} of them "
    who = "the objective itself" if info.rule == "none" else info.rule
    at = f"{'rung' if info.rungs else info.unit} {step}"
    return f"{who} ended {info.pruned:,} of {_trials(info.of)}, {there}at {at}{more}"


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count:,} trials"


def _survival(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    step, reached = np.array(info.step), 100 * np.array(info.reached) / info.of
    kept = 100 - 100 * np.cumsum(info.ended) / info.of
    drawn = thinned(step.astype(float), reached, most=_LONGEST)
    lines = (("complete", "came so far", reached, "solid"), ("pruned", "not pruned so far", kept, "dash"))
    traces = [
        go.Scatter(
            x=step[drawn],
            y=share[drawn],
            mode="lines",
            name=name,
            line={"shape": "hv", "color": theme.COLORS[state], "dash": dash},
            hovertemplate=f"{info.unit} %{{x}}<br>%{{y:.3g}}% {name}<extra></extra>",
        )
        for state, name, share, dash in lines
    ]
    found = theme.figure(traces, x=info.unit, y="trials, %", yaxis_range=[0, 104])
    found.update_xaxes(tickformat="d")
    return found


PLOT = Plot("rungs", "wasted", "Rung survival", info, words, figure, data)
