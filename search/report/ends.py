"""How a trial ended, and by which rule, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.records.history import History
from search.records.reasons import prospect, rests, suggested
from search.report.curves import unit
from search.report.theme import number as shown
from search.status import STATES


def origin(history: History, number: int) -> list[str]:
    """Return why a trial was suggested, and when it was taken on, a sentence each; [] if nothing is known."""
    found = history.origins.get(number)
    if found is None:
        return []
    metric, where = history.metrics[0], history.reports.of(number)
    steps, values = history.reports.step[where].tolist(), history.reports.values[metric][where].tolist()
    reports = {step: value for step, value in zip(steps, values, strict=True) if value == value}
    return suggested(found, reports, metric=metric, unit=unit(history.plan))


def end(history: History, number: int) -> str:
    """Return the sentence of a trial."""
    state = STATES[history.state[number]]
    text = history.text.get(number, "")
    steps = int(history.epochs[number])
    so_far = f" after {_steps(history, steps)}" if steps else ""
    if history.same_as[number] >= 0:
        return f"it has the parameters of trial {history.same_as[number]}, and took its result"
    if state == "fail":
        return f"failed ({history.reason.get(number, 'unknown')}){so_far}: {text or 'no word was left'}"
    if state == "pruned":
        return _pruned(history, history.pruning.get(number, {}), steps)
    if state == "complete":
        best = int(history.best_step[number])
        at = f", best at {unit(history.plan)} {best} of {steps}" if best and steps > 1 else ""
        misses = "; it misses a constraint" if history.violation[number] > 0 else ""
        return f"complete: {text or 'its budget was used'}{at}{misses}"
    told = history.prospects.get(number, {})
    if said := rests(told, metric=history.metrics[0], unit=unit(history.plan)):
        return f"rests at {unit(history.plan)} {history.resting[number]}: {said}"
    return {"running": f"runs{so_far}", "paused": f"paused{so_far}, and goes on from there"}.get(state, "waits")


def _pruned(history: History, told: Mapping[str, Any], steps: int) -> str:
    """Return `pruned at epoch 9 by asha: 0.412 against 0.371, 31st of 33`."""
    at = f"pruned at {unit(history.plan)} {told.get('step') or steps}"
    if told.get("rule"):
        at += f" by {told['rule']}"
    if prospects := _prospect(history, told):
        return f"{at}: {prospects}"
    value, cutoff, rank, of = (told.get(key) for key in ("value", "cutoff", "rank", "of"))
    said = []
    if told and value is None and told.get("front") is None:
        said.append(f"{history.metrics[0]} was not a number")
    elif isinstance(value, int | float):
        against = f" against {shown(cutoff)}" if isinstance(cutoff, int | float) else ""
        said.append(f"{'p ' if told.get('rule') == 'wilcoxon' else ''}{shown(value)}{against}")
    if told.get("front") is not None:
        said.append(f"in front {told['front']} of {told.get('fronts')}")
    if isinstance(rank, int) and of:
        said.append(f"{_ordinal(rank)} of {of}")
    return f"{at}: {', '.join(said)}" if said else at


def _prospect(history: History, told: Mapping[str, Any]) -> str:
    """Return what a rule that predicts expected of a trial; "" of other rules."""
    return prospect(told, metric=history.metrics[0], unit=unit(history.plan))


def _steps(history: History, steps: int) -> str:
    return f"{steps} {unit(history.plan)}{'s' * (steps != 1)}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
