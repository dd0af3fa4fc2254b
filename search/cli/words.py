"""A `Status` in words: the lines of the live display, of a log, and of a sweep's end."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from search.cli.console import cut, one_line, table
from search.durations import duration
from search.status import LostNode, RunningTrial, Status, TrialScore
from search.study.constraints import missed
from search.study.hypervolume import Hypervolume
from search.trial import ParamValue

_BAR = 12
_SPARKS = "▁▂▃▄▅▆▇█"
_LEAST_SPARK = 4
_BEST_SPARK = 20


def number(value: float | None) -> str:
    """Return a measured value for people."""
    if value is None:
        return "-"
    return f"{value:.5g}" if abs(value) < 1e5 else f"{value:.4e}"


def params(values: Mapping[str, ParamValue]) -> str:
    """Return parameters as `name=value`, apart by spaces."""
    return "  ".join(f"{one_line(name)}={param(value)}" for name, value in values.items())


def param(value: ParamValue) -> str:
    return number(value) if isinstance(value, float) else one_line(value)


def bar(share: float) -> str:
    """Return a bar of fixed width, filled to `share` of 1."""
    full = round(_BAR * min(1.0, max(0.0, share)))
    return "█" * full + "░" * (_BAR - full)


def spark(
    values: Sequence[float | None], *, columns: int = 40, low: float | None = None, high: float | None = None
) -> str:
    """Return a curve as one line of small bars, with a space for None; long curves are thinned.

    Args:
        values: Of the curve.
        columns: Characters, at most.
        low: What the lowest bar stands for, and all below it; the least value if left out.
        high: What the highest bar stands for, and all above it; the greatest value if left out.
    """
    thin = values[:: max(1, -(-len(values) // columns))]
    known = [value for value in thin if value is not None]
    low = min(known, default=0.0) if low is None else low
    high = max(known, default=0.0) if high is None else high
    top, span = len(_SPARKS) - 1, high - low
    return "".join(
        " " if value is None else _SPARKS[round((min(high, max(low, value)) - low) / span * top) if span else 0]
        for value in thin
    )


def course(status: Status, columns: int = _BEST_SPARK) -> str:
    """Return the best so far as a line of small bars, from the first trial that had a result to the last that ended."""
    if not status.moves:
        return ""
    first, last = status.moves[0][0], max(ended(status), status.moves[-1][0])
    count = min(columns, _BEST_SPARK, last - first + 1)
    places = [last if count == 1 else first + (last - first) * place // (count - 1) for place in range(count)]
    so_far = [[value for at, value in status.moves if at <= place][-1] for place in places]
    return spark(so_far, columns=columns) if all(map(math.isfinite, so_far)) else ""


_RAISED: Final = {
    r"the time budget of \S+ s is used up": "--time +1h",
    r"\S+ of \S+ epochs": "--epochs +1000",
    r"\S+ of \S+ CPU hours": "--cpu-hours +1",
    r"\S+ of \S+ GPU hours": "--gpu-hours +1",
    r"the best has not moved for .*": "--plateau +20",
    r"the best is \S+, which reaches --until .*": "--until none",
    r".* --until-confident .*": "--until-confident none",
    r".* --min-gain .*": "--min-gain none",
}
"""What raises the budget that a sentence speaks of."""


def resume(status: Status) -> str:
    """Return how to go on with a study: where its budget is used up, with more of that."""
    is_over = status.state in ("finished", "failed")  # the second where no trial completed
    more = raised(status.why_stopped, ended(status), status.target_trials) if is_over else ""
    return f"resume {status.study} {more}".rstrip()


def raised(why: str, over: int, trials: int | None) -> str:
    """Return the option that raises a budget; "" if the sentence is about none.

    Args:
        why: The sentence that says that it is used up.
        over: Trials that have ended.
        trials: The budget's, if they are limited.
    """
    if re.fullmatch(r"\d+ of \d+ trials|\d+ trials, and --trials is \d+", why):
        return "--trials +20" if trials is None or trials >= over else f"--trials {over + 20}"
    return next((flag for pattern, flag in _RAISED.items() if re.fullmatch(pattern, why)), "")


def ended(status: Status) -> int:
    """Return how many trials have ended."""
    return sum(status.trials.get(state, 0) for state in ("complete", "pruned", "fail"))


def left_s(status: Status) -> float | None:
    """Estimate the seconds until the budget is used up: what time is left, or the pace of trials so far."""
    estimates = [] if status.left_s is None else [status.left_s]
    done = ended(status)
    if status.target_trials is not None and done:
        estimates.append(max(0, status.target_trials - done) * status.seconds / done)
    return min(estimates, default=None)


def live(status: Status, *, columns: int, rows: int) -> list[str]:
    """Return the display of a running sweep."""
    left = left_s(status)
    time_left = f"   about {duration(left)} left" if left is not None else ""
    of = f" of {status.target_trials}" if _counts(status) else ""
    progress = f"   {bar(ended(status) / status.target_trials)}" if status.target_trials else ""
    lines = [
        f"{status.study}   {duration(status.seconds)}{time_left}",
        f"trials   {ended(status)}{of} ended{progress}   {_by_state(status)}",
        _beside(f"best     {_best(status)}", partial(course, status), columns - 1) + _baseline(status),
        f"epochs   {epochs(status)}",
    ]
    if status.queued:
        lines.append(f"queued   {one_line(status.queued)}")
    if status.lost_nodes:
        lines.append(f"nodes    {_nodes(status)}")
    room = max(0, min(rows - len(lines) - 2, 12))
    lines += [_beside(_running(one, status), partial(_latest, one.curve), columns) for one in status.running[:room]]
    if len(status.running) > room:
        lines.append(f"  … and {len(status.running) - room} more running")
    return [cut(line, columns) for line in lines]


def _beside(line: str, draw: Callable[[int], str], columns: int) -> str:
    """Return a line with a curve beside it, in so many bars as there is room for; one bar says nothing."""
    room = columns - len(line) - 3
    bars = draw(room) if room >= _LEAST_SPARK else ""
    return f"{line}   {bars}" if len(bars) > 1 else line


def _latest(curve: Sequence[float], columns: int) -> str:
    return spark(curve[-columns:], columns=columns)


def _counts(status: Status) -> bool:
    """Tell whether ended trials can be held against their budget: those that were run again do not count."""
    return status.target_trials is not None and ended(status) <= status.target_trials


def log_line(status: Status) -> str:
    """Return where a sweep stands as one line for a log."""
    of = f"/{status.target_trials}" if _counts(status) else ""
    if status.queued:
        return f"[{duration(status.seconds)}] {ended(status)}{of} trials; queued: {status.queued}"
    return f"[{duration(status.seconds)}] {ended(status)}{of} trials: {_by_state(status)}; best {best(status)}"


def best(status: Status) -> str:
    """Return the best trial with its age, beside the naive baseline."""
    return _best(status) + _baseline(status)


def _best(status: Status) -> str:
    if status.best is None and status.nearest is not None:
        return f"none: {_nearest(status.nearest)}"
    if status.best is None:
        return "none yet"
    if len(status.metrics) > 1:
        count = len(status.front)
        return f"{count} trial{'s'[: count != 1]} on the Pareto front of {', '.join(status.metrics)}"
    age = "now" if status.best_age == 0 else f"{status.best_age} trial{'s'[: status.best_age > 1]} ago"
    mean = f" (mean of {status.replicates})" if status.replicates > 1 else ""
    return f"{scores(status.best, status.metrics)}{mean} by trial {status.best.number}, {age}"


def _nearest(score: TrialScore) -> str:
    """Say how near the nearest of trials came that all miss a constraint."""
    kept = "no completed trial keeps to its constraints"
    return f"{kept}; the nearest is trial {score.number}, which misses {missed(score.constraints, score.metrics)}"


def scores(score: TrialScore, metrics: Sequence[str]) -> str:
    """Return the searched values of a trial by their names."""
    return "  ".join(f"{name} {number(value)}" for name, value in zip(metrics, score.values, strict=True))


def epochs(status: Status) -> str:
    """Return what was trained and what pruning spared."""
    if not status.max_epochs:  # nobody knows how long the pruned ones would have gone on
        return f"{status.epochs_run} run"
    whole = status.epochs_run + status.epochs_saved
    share = f" ({status.epochs_saved / whole:.0%})" if whole else ""
    return f"{status.epochs_run} run, {status.epochs_saved} saved by pruning{share}"


def state(status: Status) -> str:
    """Return what a sweep does: one that runs may still have to wait for others of its cluster."""
    return "queued" if status.queued else status.state


def summary(status: Status) -> list[str]:
    """Return what a sweep came to: states, best, epochs, why it stopped, where its results lie."""
    rank = f"   priority {status.priority}" if status.priority else ""
    lines = [f"study    {status.study}   {state(status)}   {duration(status.seconds)}{rank}"]
    if status.queued:
        lines.append(f"queued   {one_line(status.queued)}")
    if status.why_stopped:
        lines.append(f"stopped  {one_line(status.why_stopped)}")
    lines += [f"trials   {ended(status)} ended: {_by_state(status)}", f"best     {best(status)}"]
    lines += [f"epochs   {epochs(status)}", f"results  {one_line(status.results)}"]
    if status.best is not None and status.missed:
        lines.append(f"misses   {status.missed} of {status.trials['complete']} completed trials miss a constraint")
    if (volume := status.hypervolume) is not None:
        lines.append(f"volume   {hypervolume(volume)}")
    if status.prepared:
        lines.append(f"prepared {prepared(status)}")
    lines += [f"machine  {lost_node(node)}" for node in status.lost_nodes]
    if status.failures:
        reasons = ", ".join(f"{count} {reason}" for reason, count in status.failures.items())
        lines.append(f"failed   {reasons}")
    return lines


def lost_node(node: LostNode) -> str:
    """Say that a machine is gone, or about to be taken away, and what becomes of its trials."""
    said = f"{node.address} {'was taken away' if node.leaving else 'was lost'}"
    if not node.trials:
        return f"{said}: no trial ran on it"
    many = len(node.trials) > 1
    which = f"{len(node.trials)} trials" if many else f"trial {next(iter(node.trials))}"
    steps = sorted(set(node.trials.values()))
    from_ = "the beginning" if steps == [0] else f"epoch {steps[0]}" + (f" to {steps[-1]}" if len(steps) > 1 else "")
    return f"{said}: {which} {'go' if many else 'goes'} on elsewhere from {from_}"


def _nodes(status: Status) -> str:
    there = f"{status.nodes}; " if status.nodes else ""
    more = f" (and {len(status.lost_nodes) - 1} before)" if len(status.lost_nodes) > 1 else ""
    return f"{there}{lost_node(status.lost_nodes[-1])}{more}"


def hypervolume(volume: Hypervolume) -> str:
    """Return what a Pareto front is worth, and against which reference."""
    whose = {name: "naive baseline" if name in volume.naive else "worst seen" for name in volume.reference}
    against = ", ".join(f"{name} {number(value)} ({whose[name]})" for name, value in volume.reference.items())
    return f"{number(volume.value)} is the hypervolume of the front, from {against}"


def prepared(status: Status) -> str:
    """Say how often prepared rows were there already, and what that saved."""
    total = sum(status.prepared.values())
    made = status.prepared.get("made", 0) + status.prepared.get("unkept", 0)
    reused = total - made
    trials = f"{made} trial{'s' * (made != 1)}"
    unkept = f" ({status.prepared['unkept']} not kept)" if status.prepared.get("unkept") else ""
    saved = f", {duration(status.saved_s)} saved" if reused else ""
    return f"data was made for {trials}{unkept} and reused by {reused} ({reused / total:.0%}){saved}"


def leaderboard(scores_: Sequence[TrialScore], metrics: Sequence[str], *, columns: int | None) -> list[str]:
    """Return the best trials as a table."""
    bad = any(score.violation > 0 for score in scores_)
    rows = [
        [
            f"#{score.number}",
            *(number(value) for value in score.values),
            score.step,
            *([missed(score.constraints, score.metrics)] if bad else []),
            params(score.params),
        ]
        for score in scores_
    ]
    heads = ["trial", *metrics, "epoch", *(["misses"] if bad else []), "parameters"]
    return table(heads, rows, columns=columns) if rows else []


def _by_state(status: Status) -> str:
    shown = [f"{count} {state}" for state, count in status.trials.items() if count]
    return ", ".join(shown) or "none yet"


def _baseline(status: Status) -> str:
    naive = [f"{name} {number(status.baseline[name])}" for name in status.metrics if name in status.baseline]
    return f"   (naive baseline: {', '.join(naive)})" if naive else ""


def _running(trial: RunningTrial, status: Status) -> str:
    share = trial.step / status.max_epochs if status.max_epochs else 0.0
    values = trial.values or ((trial.value,) if trial.value is not None else ())
    told = "  ".join(f"{name} {number(value)}" for name, value in zip(status.metrics, values, strict=False))
    value = told or "no report yet"
    if not status.max_epochs:  # an objective that numbers its reports by itself
        return f"  #{trial.number:<5d} step {trial.step}   {value}"
    return f"  #{trial.number:<5d} {bar(share)} epoch {trial.step} of {status.max_epochs}   {value}"
