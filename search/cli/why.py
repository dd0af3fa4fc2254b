"""Why a trial was pruned, rests at a rung, or went on, in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search.cli import words
from search.records.reasons import prospect, rests

if TYPE_CHECKING:
    from search.study.record import TrialRecord


def why(
    record: TrialRecord,
    metrics: Sequence[str],
    directions: Sequence[str],
    standings: Sequence[Mapping[str, Any]],
    unit: str = "epoch",
) -> list[str]:
    """Say what a pruner made of a trial.

    Args:
        record: The trial.
        metrics: The searched metrics.
        directions: `minimize` or `maximize`, of each.
        standings: How it stands at each rung that it came to, as of now.
        unit: What a report is of: `epoch` or `step`.
    """
    enough = "or more" if directions[0] == "maximize" else "or less"
    if record.pruning:
        return [_pruned(record, metrics, enough, unit)]
    if record.rung.get("rests") and (said := rests(record.rung.get("told") or {}, metric=metrics[0], unit=unit)):
        return [f"rests at {unit} {record.rung['rung']}: {said}"]
    if record.rung.get("rests") and standings:
        return [_rests(record, metrics, enough, standings[-1])]
    passed = [f"{one['rung']} ({_place(one)})" for one in standings]
    if record.state == "fail":
        return []
    found = [f"passed rung{'s'[: len(passed) > 1]} {', '.join(passed)}: its places as of now"] if passed else []
    if record.state == "paused" and record.last_step and not record.rests:
        found.append(f"paused at {unit} {record.last_step}, and goes on from there")
    return found


def _pruned(record: TrialRecord, metrics: Sequence[str], enough: str, unit: str) -> str:
    told = record.pruning
    rule, rung = str(told.get("rule")), told.get("rung")
    at = f"pruned by {rule} at {unit} {told.get('step')}" + (f" (rung {rung})" if rung is not None else "")
    if record.rung.get("rests"):
        at += ", where it rested to the end"
    value, cutoff, of = told.get("value"), told.get("cutoff"), told.get("of")
    if value is None:
        return f"{at}: {metrics[0]} was not a number"
    if said := prospect(told, metric=metrics[0], unit=unit):
        return f"{at}: {said}"
    needed = f"it needed {words.number(cutoff)} {enough}"
    if told.get("front") is not None:
        return f"{at}: {_values(record, told, metrics)}; {_place(told)}; {_went_on(told)}"
    if rule == "wilcoxon":
        p = f"worse than the best trial with p {words.number(value)} over {of} {unit}s"
        return f"{at}: {p}; it needed p {words.number(cutoff)} or more"
    if rule == "patient":
        return f"{at}: the best of its last reports was {metrics[0]} {words.number(value)}; {needed}, as it had before"
    if rung is None:  # of those that look at COMPLETE trials at the same step
        compared = f", {_ordinal(told['rank'])} beside {of - 1} completed" if told.get("rank") and of else ""
        return f"{at}: {metrics[0]} {words.number(value)} at best, cutoff {words.number(cutoff)}{compared}; {needed}"
    place = f"{metrics[0]} {words.number(value)}, {_place(told)}"
    if "keep" not in told:  # of a study of an earlier version
        return f"{at}: {place}; {needed}"
    went_on = _went_on(told) if cutoff is None else f"{needed}, the best {told['keep']} of {of}"
    return f"{at}: {place}; {went_on}"


def _rests(record: TrialRecord, metrics: Sequence[str], enough: str, now: Mapping[str, Any]) -> str:
    at = f"rests at rung {now['rung']}: {_values(record, now, metrics)}, {_place(now)} as of now"
    if not now["keep"]:
        return f"{at}; it waits for more trials to come there: of {now['of']} none goes on yet"
    cutoff = f", {words.number(now['cutoff'])} {enough}" if now["cutoff"] is not None else ""
    return f"{at}; it goes on once it is among the best {now['keep']} of {now['of']}{cutoff}, whose number grows"


def _values(record: TrialRecord, told: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """Return what was compared: with several metrics what the trial had reported when it came there."""
    step = next((one for one in record.metrics if one >= (told.get("rung") or 0)), 0)
    values = record.metrics.get(step, {}) if len(metrics) > 1 else {metrics[0]: told["value"]}
    return "  ".join(f"{name} {words.number(values.get(name))}" for name in metrics)


def _place(told: Mapping[str, Any]) -> str:
    parts = [] if told.get("cutoff") is None else [f"cutoff {words.number(told['cutoff'])}"]
    if told.get("front") is not None:
        parts.append(f"in front {told['front']} of {told['fronts']}")
    if told.get("rank") is not None:
        parts.append(f"{_ordinal(told['rank'])} of {told['of']}")
    return ", ".join(parts)


def _went_on(told: Mapping[str, Any]) -> str:
    keep, of = told.get("keep"), told.get("of")
    return f"the first {keep} of {of} went on" if keep else f"of {of} none had earned to go on"


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
