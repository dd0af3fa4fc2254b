"""A model that keeps learning in words: the lines of `sweep watch` of one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from search.cli import words
from search.cli.console import cut, one_line, table
from search.durations import duration
from search.online.status import RIVALS, Alarm, Status, Swap

SHIFTED: Final = 0.1
MOVED: Final = 0.25
"""Stability index from which on a column has shifted, and has moved far (Siddiqi, Credit Risk Scorecards, 2006)."""

_FEWEST_EVENTS: Final = 3
_MOST_EVENTS: Final = 10
_MOST_CLASSES: Final = 8
_MOST_COLUMNS: Final = 6
_NAME: Final = 28
_ROLES: Final = {"served": "served", "previous": "before", "winner": "re-sweep"}
_NEWEST: Final = 40


def live(status: Status, *, now_s: float, columns: int, rows: int) -> list[str]:
    """Return the display of a model, at most `rows` lines.

    Args:
        status: Of the model.
        now_s: Unix time.
        columns: Of the terminal.
        rows: The same.
    """
    lines = [*_head(status, now_s), *_scores(status), *_classes(status), *_drift(status), *_resweep(status)]
    room = max(_FEWEST_EVENTS, min(rows - len(lines) - 2, _MOST_EVENTS))
    lines += [f"  {event(one)}" for one in status.events()[:room]]
    return [cut(line, columns) for line in lines[: max(1, rows - 1)]]


def log_line(status: Status, now_s: float) -> str:
    """Return where a model stands as one line for a log."""
    parts = [f"{status.champion.label}: {_count(status.rows.labelled, 'labelled row')}"]
    if scores := _rolling(status):
        parts.append(f"{status.score} " + "  ".join(f"{role} {words.number(one)}" for role, one in scores.items()))
    if (test := status.tests.get("challenger")) is not None:
        parts.append(f"evidence {_evidence(test.log_evidence)} of {_evidence(test.needed)}")
    if status.behind:
        parts.append(f"{_count(status.behind, 'event')} behind")
    return one_line("; ".join([*parts, *filter(None, [standing(status, now_s)])]))


def standing(status: Status, now_s: float) -> str:
    """Say why nothing is learnt; "" if it is."""
    if status.is_silent(now_s):
        return f"the server is not running, or nothing learns: its last word is {duration(now_s - status.at_s)} old"
    return {
        "on": "",
        "paused": "learning is paused by an administrator",
        "held": "learning is held, since labels have shifted suddenly",
    }[status.learning]


def event(one: Alarm | Swap) -> str:
    """Return an alarm or a change of the champion as one line."""
    at = time.strftime("%H:%M:%S", time.localtime(one.at_s))
    if isinstance(one, Swap):
        return one_line(f"{at} row {one.row:,}  {one.how} {one.was} -> {one.to}: {one.why}")
    of = f" {one.column}" if one.column else ""
    return one_line(f"{at} row {one.row:,}  alarm of {one.detector}{of}: {one.sentence}")


def _head(status: Status, now_s: float) -> Iterator[str]:
    champion, counts = status.champion, status.rows
    since = "" if champion.since_s is None else f"   for {duration(max(0.0, now_s - champion.since_s))}"
    behind = f"   {_count(status.behind, 'event')} behind" if status.behind else ""
    yield one_line(f"{status.name}   {champion.label} answers{since}{behind}")
    yield f"state    {standing(status, now_s) or 'learning'}"
    yield f"rows     {counts.shown:,} shown   {counts.labelled:,} labelled   {counts.waiting:,} waiting"
    put_by = (("held out", counts.holdout), ("trusted", counts.trusted), ("aside", counts.aside), ("held", counts.held))
    others = "".join(f"   {value:,} {name}" for name, value in (*put_by, ("unknown", counts.unknown)) if value)
    yield f"labels   {counts.learnt:,} learnt{others}"


def _scores(status: Status) -> Iterator[str]:
    """Yield a table of all that are measured, the curve of two of them, and who has which evidence."""
    names = list(dict.fromkeys(name for one in status.metrics.values() for name in one.rolling))
    heads = ("", "rows", *(name.replace("_", " ") for name in names), f"fading {status.score}")
    cells = [
        (
            _ROLES.get(role, role),
            f"{one.rows:,}",
            *map(words.number, (*map(one.rolling.get, names), one.fading.get(status.score))),
        )
        for role, one in status.metrics.items()
    ]
    if cells:
        yield from table(heads, cells)
    newest = status.settled()[-_NEWEST:]
    both = {"champion": [one.champion for one in newest], "challenger": [one.challenger for one in newest]}
    known = [value for curve in both.values() for value in curve if value is not None]
    if len(newest) > 1 and known:
        for role, curve in both.items():
            yield f"{role:<11}{words.spark(curve, columns=_NEWEST, low=min(known), high=max(known))}"
    for role in RIVALS:
        if (test := status.tests.get(role)) is not None:
            share = max(0.0, (test.log_evidence or 0.0) / test.needed) if test.needed else 0.0
            of = f"{_evidence(test.log_evidence)} of {_evidence(test.needed)} needed"
            rows = f"over {test.since:,} of {test.rows:,} rows"
            yield f"evidence {words.bar(share)} {_ROLES.get(role, role)}: {of}, {rows}"
            if test.objection:
                yield f"         it did not take over: {one_line(test.objection)}"


def _classes(status: Status) -> Iterator[str]:
    scores = status.metrics.get("champion") or status.metrics.get("served")
    if scores is None or not scores.classes:
        return
    shown = [*scores.classes.items()][:_MOST_CLASSES]
    cells = [
        (cut(one_line(name), _NAME), f"{one.rows:,}", words.number(one.recall), words.number(one.precision))
        for name, one in shown
    ]
    yield from table(("class", "rows", "recall", "precision"), cells)
    if len(scores.classes) > len(shown):
        yield f"  … and {len(scores.classes) - len(shown)} more classes"


def _drift(status: Status) -> Iterator[str]:
    known = {name: value for name, value in status.drift.stability.items() if value is not None}
    if not known:
        return
    most = sorted(known.items(), key=lambda one: -one[1])[:_MOST_COLUMNS]
    told = "   ".join(f"{cut(name, _NAME)} {value:.2f}{_moved(value)}" for name, value in most)
    more = f"   … and {len(known) - len(most)} more" if len(known) > len(most) else ""
    yield one_line(f"columns  {told}{more}")


def _resweep(status: Status) -> Iterator[str]:
    found = status.resweep
    if found.state == "none":
        return
    used = "" if found.used_s is None else f"   {duration(found.used_s)} used"
    study = f" {found.study}" if found.study else ""
    why = f": {found.why}" if found.why else ""
    yield one_line(f"re-sweep {found.state}{study}{used}{why}")


def _rolling(status: Status) -> Mapping[str, float]:
    found = ((role, status.metrics.get(role)) for role in ("served", "champion", "challenger"))
    return {role: value for role, one in found if one and (value := one.rolling.get(status.score)) is not None}


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'s' * (number != 1)}"


def _moved(value: float) -> str:
    return " (moved far)" if value >= MOVED else " (shifted)" if value >= SHIFTED else ""


def _evidence(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"  # without the sign of -0.0
