"""`sweep compare`: studies side by side, in the terminal or as one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Final

import click

from search.cli import console, pages, words
from search.cli.options import Common, common, example
from search.durations import duration
from search.errors import ExitCode

if TYPE_CHECKING:
    from search.records.anytime import Axis, Curve
    from search.records.best_of import Difference
    from search.records.comparison import Comparison, Side
    from search.records.differing import Row

_MOST_BARS: Final = 40
_LEAST_BARS: Final = 8
_VALUE: Final = 10
"""Characters of a value beside a curve."""


@click.command(
    "compare",
    short_help="Studies side by side: bests, curves, what differs.",
    epilog=example(
        "sweep compare tab-random tab-tpe",
        "sweep compare tab-random tab-tpe tab-gp -o compare.html",
        "sweep compare tab-random tab-tpe --json",
    ),
)
@click.argument("studies", nargs=-1, required=True, metavar="STUDY STUDY...")
@click.option("-o", "--output", metavar="FILE", help="Write it as one HTML page, which needs no network, to FILE.")
@common
def compare_command(shared: Common, *, studies: tuple[str, ...], output: str | None) -> int:
    """Compare two to eight studies of the same metrics: what makes it unfair, which is ahead, and by how much."""
    from search.records import find
    from search.records.comparison import compare
    from search.records.history import History
    from search.records.study import read
    from search.report.uncertainty import uncertainty

    path = None if output is None else pages.file_of(output)
    histories = [History.of(read(find.study_folder(shared.results, study))) for study in studies]
    found = compare(histories, [sure.error if (sure := uncertainty(one)) is not None else 0.0 for one in histories])
    if path is not None:
        from search.output import write_output
        from search.report.compare import page

        write_output(path, page(found), field="--output")
    if shared.json:
        console.out_json({**found.to_json(), **({"file": str(path)} if path is not None else {})})
    elif path is not None:
        console.out(str(path))
    else:
        console.out(*lines(found, columns=console.width(sys.stdout)))
        console.say("", "next", f"  {shared.command(f'compare {_quoted(studies)} -o compare.html')}")
    if path is not None:
        console.say(*(f"unfair: {one.text}" for one in found.unfair), found.verdict())
    return ExitCode.DONE


def lines(found: Comparison, *, columns: int | None = None) -> list[str]:
    """Return a comparison as text."""
    searched = ", ".join(f"{one} ({how})" for one, how in zip(found.metrics, found.directions, strict=True))
    names = [side.name for side in found.sides]
    told = [f"  ! {one.text}" for one in found.unfair]
    told = ["THIS COMPARISON IS UNFAIR:", *told, ""] if told else []
    told += [found.verdict(), *(_difference(one, names) for one in found.differences)]
    if any(one.is_open for one in found.differences):
        told.append("  open: as many trials of one of the two are often without a completed one")
    told += ["", f"searched {searched}", *_table(found, columns)]
    told += [line for axis in ("trials", "epochs", "seconds") for line in _curves(found, axis, columns)]
    if found.budgets:
        rows = [[_spent(one.axis, one.spent), *map(words.number, one.bests)] for one in found.budgets]
        told += ["", *_fitted([f"{found.measure} after", *names], rows, columns)]
    for title, rows_, all_of_them in (
        ("parameters of the bests", found.bests, True),
        ("spaces that differ", found.spaces, False),
        ("choices that differ", found.choices, True),
        ("fingerprints", found.fingerprints, True),
    ):
        told += _rows(title, names, rows_ if all_of_them else [row for row in rows_ if row.differs], columns)
    return told


def _quoted(studies: Sequence[str]) -> str:
    from shlex import join

    return join(studies)


def _difference(one: Difference, names: Sequence[str]) -> str:
    low, high = (words.number(end) if isfinite(end) else "open" for end in (one.low, one.high))
    told = "told apart" if one.apart else "not told apart"
    ahead = f"{names[one.better]} is ahead of {names[one.worse]}, of which as many are mostly without a completed one,"
    if isfinite(one.value):
        ahead = f"{names[one.better]} is ahead of {names[one.worse]} by {words.number(one.value)}"
    if one.value == 0:
        ahead = f"{names[one.better]} and {names[one.worse]} are level"
    return f"  {ahead} [{low}, {high}] at {one.trials} trials each: {told}"


def _table(found: Comparison, columns: int | None) -> list[str]:
    with_baseline = any(found.metrics[0] in side.status.baseline for side in found.sides)
    heads = ["study", "state", "trials", "complete", "pruned", "fail", "epochs", "time"]
    of = f" {found.metrics[0]}" if len(found.metrics) > 1 else ""
    heads += [*([f"baseline{of}"] if with_baseline else []), f"best{of}", "trial", f"median{of}"]
    rows = []
    for side in found.sides:
        status, counts = side.status, side.status.trials
        naive = [words.number(status.baseline.get(found.metrics[0]))] if with_baseline else []
        best = [words.number(side.best.values[0]), f"#{side.best.number}"] if side.best else ["-", "-"]
        middle = words.number(side.quantiles[3]) if side.quantiles else "-"
        row = [side.name, status.state, side.ended, *(counts.get(state, 0) for state in ("complete", "pruned", "fail"))]
        rows.append([*row, status.epochs_run, duration(status.seconds), *naive, *best, middle])
    return _fitted(heads, rows, columns)


def _curves(found: Comparison, axis: Axis, columns: int | None) -> list[str]:
    """Return the best so far of each study on one axis, all on one scale, whose worst tenth is cut off."""
    known: list[tuple[Side, Curve]] = [
        (side, side.curves[axis]) for side in found.sides if axis in side.curves and side.curves[axis].y
    ]
    if not known:
        return []
    most = max(curve.total for _, curve in known)
    wide = max(len(console.one_line(side.name)) for side, _ in known)
    bars = _MOST_BARS if columns is None else max(_LEAST_BARS, min(_MOST_BARS, columns - wide - _VALUE - 6))
    looks = [most * (place + 1) / bars for place in range(bars)]
    drawn = [[curve.at(look) for look in looks] for _, curve in known]  # a best stays one when its study has ended
    seen = sorted(value for one in drawn for value in one if value is not None)
    if not seen:
        return []
    cut_off = len(seen) // 10
    low, high = (seen[cut_off], seen[-1]) if found.more_is_better else (seen[0], seen[-1 - cut_off])
    told = ["", f"best {found.measure} so far, over {_spent(axis, most)}"]
    for (side, curve), values in zip(known, drawn, strict=True):
        drawn_as = words.spark(values, low=low, high=high)
        line = f"  {console.one_line(side.name).ljust(wide)}  {drawn_as}  {words.number(curve.y[-1])}"
        told.append(console.cut(line, columns))
    return told


def _spent(axis: Axis, spent: float) -> str:
    return duration(spent) if axis == "seconds" else f"{spent:.0f} {axis}"


def _rows(title: str, names: Sequence[str], rows: Sequence[Row], columns: int | None) -> list[str]:
    if not rows:
        return []
    cells = [[row.name, *("-" if value is None else value for value in row.values)] for row in rows]
    return ["", *_fitted([title, *names], cells, columns)]


def _fitted(heads: Sequence[str], rows: Sequence[Sequence[object]], columns: int | None) -> list[str]:
    """Return a table; where a terminal is too narrow for it each row as a block, so that nothing of it is lost."""
    whole = console.table(heads, rows)
    if columns is None or max(map(len, whole)) <= columns:
        return whole
    told = [heads[0]]
    for first, *others in rows:
        told.append(f"  {console.one_line(first)}")
        told += [f"    {line}" for line in console.table(["", ""], [*zip(heads[1:], others, strict=True)])[1:]]
    return [console.cut(line, columns) for line in told]
