"""Every trial as columns, as the page's table, marks and cards read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from search.records.history import Floats, History
from search.records.parameters import Parameter
from search.report.chosen import ranked
from search.report.packing import DIGITS, rounded
from search.status import STATES

MANY: Final = 20_000
"""Trials beyond which numbers have one digit less."""

MOST_CELLS: Final = 1_500_000
"""Values of parameters that the page carries at most."""


def columns(history: History) -> dict[str, Any]:
    """Return the trials, a column after the other, and what of them is left out.

    Each column has a `key`, the `name` that people read, a `kind` and its `values` in order of trials. Of kind `level`
    they are places in `levels`; of `number` and `int` they are rounded; missing ones are None.
    """
    digits = DIGITS - (len(history) > MANY)
    kept = _kept(history)
    made = [
        _ranks(history),
        _levels("state", "state", STATES, history.state),
        *(
            _numbers(f"value:{name}", name, history.values[:, place], digits, better=_better(direction))
            for place, (name, direction) in enumerate(zip(history.metrics, history.plan.directions, strict=True))
        ),
        *(_parameter(one, digits) for one in history.parameters[:kept]),
        *(
            _numbers(f"metric:{name}", name, values, digits)
            for name, values in history.measured.items()
            if name not in history.metrics
        ),
        *(
            _numbers(f"constraint:{name}", f"beyond {name}", values, digits)
            for name, values in history.constraints.items()
        ),
        _numbers("epochs", "epochs", history.epochs, digits, kind="int"),
        _numbers("best_step", "best at", np.where(history.epochs > 0, history.best_step, np.nan), digits, kind="int"),
        _numbers("seconds", "seconds", history.held_s, digits, unit="s"),
        _numbers("begun", "begun", history.begun_s, digits + 1, unit="s"),
        _numbers("ended", "ended", history.ended_s, digits + 1, unit="s"),
        _levels("worker", "worker", history.workers, history.worker),
        _reasons(history),
        _origins(history),
        _numbers("same_as", "same as", _none_at(history.same_as, -1), digits, kind="int"),
        _numbers("lost", "workers lost", history.lost, digits, kind="int") if np.any(history.lost) else None,
    ]
    return {
        "count": len(history),
        "front": [*history.front],
        "list": [one for one in made if one is not None],
        "note": _note(history, kept, digits),
    }


def _kept(history: History) -> int:
    """Return how many parameters find room."""
    return len(history.parameters) if not len(history) else min(len(history.parameters), MOST_CELLS // len(history))


def _note(history: History, kept: int, digits: int) -> str:
    told = f"Numbers of the table have {digits} digits; `sweep table` writes all of them."
    if kept < len(history.parameters):
        told += f" It has {kept} of {len(history.parameters)} parameters, the first that trials had."
    return told


def _better(direction: str) -> str:
    return "less" if direction == "minimize" else "more"


def _none_at(values: np.ndarray, missing: int) -> Floats:
    return np.where(values == missing, np.nan, values.astype(float))


def _numbers(
    key: str, name: str, values: np.ndarray, digits: int, *, kind: str = "number", **more: str
) -> dict[str, Any] | None:
    """Return a column of numbers; None where no trial has one."""
    known = np.asarray(values, float)
    if key != "epochs" and not key.startswith("value:") and np.all(np.isnan(known)):
        return None
    return {"key": key, "name": name, "kind": kind, "values": rounded(known, 12 if kind == "int" else digits), **more}


def _levels(key: str, name: str, levels: Iterable[object], codes: Sequence[int] | np.ndarray) -> dict[str, Any] | None:
    listed = [str(level) for level in levels]
    if not listed:
        return None
    written = [int(code) if code >= 0 else None for code in np.asarray(codes).tolist()]
    return {"key": key, "name": name, "kind": "level", "levels": listed, "values": written}


def _ranks(history: History) -> dict[str, Any] | None:
    """Return the places of those that completed, 1 the best; with several metrics nothing is first of all."""
    if len(history.metrics) > 1:
        return None
    best = ranked(history)
    places = np.full(len(history), np.nan)
    places[best] = np.arange(1, len(best) + 1)
    return _numbers("rank", "rank", places, 12, kind="int")


def _reasons(history: History) -> dict[str, Any] | None:
    levels = list(dict.fromkeys(history.reason.values()))
    codes = np.full(len(history), -1, np.int64)
    for number, reason in history.reason.items():
        codes[number] = levels.index(reason)
    return _levels("reason", "failed by", levels, codes)


def _origins(history: History) -> dict[str, Any] | None:
    levels = list(dict.fromkeys(one.by for one in history.origins.values() if one.by))
    codes = np.full(len(history), -1, np.int64)
    for number, one in history.origins.items():
        if one.by:
            codes[number] = levels.index(one.by)
    return _levels("suggested", "suggested by", levels, codes)


def _parameter(one: Parameter, digits: int) -> dict[str, Any]:
    key = f"param:{one.name}"
    if one.is_choice:
        codes = np.where(np.isnan(one.values), -1, one.values).astype(np.int64)
        found = _levels(key, one.name, one.choices, codes)
        assert found is not None
        return found
    values = rounded(one.values, 12 if one.kind == "int" else digits)
    return {
        "key": key,
        "name": one.name,
        "kind": "int" if one.kind == "int" else "number",
        "low": one.low,
        "high": one.high,
        "log": one.log,
        "values": values,
    }
