"""Runs that were measured, one JSON line each in a file that only grows: the `Row`."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from benchmarks import quality_arms
from benchmarks.quality_clock import VERSION, Change, milliseconds, replay
from benchmarks.quality_tables import Table, read

FILE: Final = "results.jsonl"


class Setting(NamedTuple):
    """How searches are run that are compared with each other.

    Attributes:
        workers: That train side by side.
        budget: Epochs of a search, of all workers together.
        epoch_s: Seconds of an average epoch, where decisions take time; None: an epoch is the unit of time.
    """

    workers: int
    budget: int
    epoch_s: float | None = None


class Cell(NamedTuple):
    """One run that is wanted."""

    arm: str
    table: str
    seed: int
    setting: Setting


Key: TypeAlias = tuple[Cell, str, str]
"""A run, what it depends on (of its library and the clock), and the table's hash."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run that was made.

    Attributes:
        arm: The search.
        version: What its results depend on beside table and seed.
        table: Its name.
        content: A hash of the table.
        seed: Of the search.
        workers: As in `Setting`, like `budget` and `epoch_s`.
        epochs: Trained.
        trials: Different configurations.
        asks: How often a free worker asked.
        ask_ms: Mean processor time of an answer.
        ask_p99_ms: Its 99th percentile.
        report_ms: Mean processor time of a verdict.
        cpu_s: Processor time of the whole run.
        first: Epochs until what would be returned first met the loose and the tight target; infinite if it never did.
        for_good: Epochs until it met them to the end of the run.
        changes: Of what would be returned: epochs, time, test error.
    """

    arm: str
    version: str
    table: str
    content: str
    seed: int
    workers: int
    budget: int
    epoch_s: float | None
    epochs: int
    trials: int
    asks: int
    ask_ms: float
    ask_p99_ms: float
    report_ms: float
    cpu_s: float
    first: tuple[float, ...]
    for_good: tuple[float, ...]
    changes: tuple[tuple[int, float, float], ...]

    @property
    def setting(self) -> Setting:
        return Setting(self.workers, self.budget, self.epoch_s)

    @property
    def key(self) -> Key:
        return Cell(self.arm, self.table, self.seed, self.setting), self.version, self.content


def key_of(cell: Cell, folder: Path) -> Key:
    """Return what a run is found again by."""
    return cell, _version(cell.arm), content(cell.table, folder)


def run(cell: Cell, folder: Path) -> Row:
    """Make one run."""
    table, setting = _table(cell.table, folder), cell.setting
    began = time.process_time()
    search = quality_arms.make(cell.arm, table, cell.seed)
    made = replay(search, table, workers=setting.workers, budget=setting.budget, epoch_s=setting.epoch_s)
    ask_ms, ask_p99_ms = milliseconds(made.asks_s)
    return Row(
        arm=cell.arm,
        version=_version(cell.arm),
        table=cell.table,
        content=content(cell.table, folder),
        seed=cell.seed,
        **setting._asdict(),
        epochs=made.epochs,
        trials=made.trials,
        asks=len(made.asks_s),
        ask_ms=round(ask_ms, 4),
        ask_p99_ms=round(ask_p99_ms, 4),
        report_ms=round(milliseconds(made.reports_s)[0], 4),
        cpu_s=round(time.process_time() - began, 3),
        first=tuple(first(made.changes, target) for target in aims(table)),
        for_good=tuple(for_good(made.changes, target) for target in aims(table)),
        changes=tuple((one.epochs, round(one.clock, 3), round(one.test, 7)) for one in made.changes),
    )


def aims(table: Table) -> tuple[float, ...]:
    """Return the test errors that count as good and as very good.

    By rank, as the table has them; where even who trains every configuration would return a worse one, since the
    validation error cannot tell the best apart, what he returns: else it would be met by luck, and lost again.
    """
    lowest = table.val.min(axis=1)
    exhaustive = float(table.returned[lowest == lowest.min()].max())
    return tuple(max(target, exhaustive) for target in table.targets())


def first(changes: Iterable[Change], target: float) -> float:
    """Return the epochs until what would be returned first met a target."""
    return next((one.epochs for one in changes if one.test <= target), math.inf)


def for_good(changes: Sequence[Change], target: float) -> float:
    """Return the epochs from which on what would be returned met a target to the end."""
    met = math.inf
    for one in reversed(changes):
        if one.test > target:
            break
        met = one.epochs
    return met


def append(file: Path, row: Row) -> None:
    """Add a row; one write, so that several processes can add to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(asdict(row)) + "\n")


def rows(file: Path) -> Iterator[Row]:
    """Read all rows, in the order they were made."""
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        kept = json.loads(line)
        kept["changes"] = tuple(tuple(one) for one in kept["changes"])
        yield Row(**{**kept, "first": tuple(kept["first"]), "for_good": tuple(kept["for_good"])})


@cache
def _table(name: str, folder: Path) -> Table:
    return read(name, folder)


@cache
def content(name: str, folder: Path) -> str:
    """Return a hash of a table."""
    table = _table(name, folder)
    told = 0
    for array in (table.val, table.test, table.points, table.seconds):
        told = zlib.crc32(array.tobytes(), told)
    return f"{told:08x}"


@cache
def _version(arm: str) -> str:
    return f"{quality_arms.version(arm)}, clock {VERSION}"
