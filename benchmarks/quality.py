"""Measures searches side by side on learning curves of real training: ours, and what else there is.

    python -m benchmarks.quality_tables
    python -m benchmarks.quality run [--arms NAME ...] [--tables NAME ...] [--seeds 100] [--jobs 2]
    python -m benchmarks.quality show [--write]
    python -m benchmarks.quality arms

`run` replays each arm on each table with each seed, by the clock of `quality_clock`, and adds a row a run to
`FOLDER/results.jsonl`. It can be ended at any time: it leaves out what is there, unless the table or the code that
decides is another one. Arms of a library that is not installed are left out with a word; the same command in that
library's own virtual environment adds them to the same file. `show` prints what was measured, and with `--write` makes
docs/quality.md and its figure anew.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarks import quality_arms
from benchmarks.quality_page import text, write
from benchmarks.quality_runs import FILE, Cell, Row, Setting, append, key_of, rows, run
from benchmarks.quality_shown import sheets
from benchmarks.quality_tables import DEVELOPMENT, FOLDER, REPORT

_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_GROUPS: Final = {"dev": DEVELOPMENT, "report": REPORT, "all": DEVELOPMENT + REPORT}


def tables_of(names: Sequence[str], folder: Path) -> list[str]:
    """Return the tables that are meant by names of tables and of groups of tables; of groups those that are there."""
    there = {path.stem for path in folder.glob("*.npz")}
    found = [one for name in names for one in ([t for t in _GROUPS[name] if t in there] if name in _GROUPS else [name])]
    unknown = [name for name in found if name not in there]
    if unknown:
        sys.exit(f"no table {', '.join(unknown)} in {folder}; there are: {', '.join(sorted(there))}")
    return found


def arms_of(given: Sequence[str]) -> list[str]:
    """Return the arms that can be run here, of those that are named; of none all that are known."""
    wanted = list(given) or list(quality_arms.libraries())
    found: list[str] = []
    for one in wanted:
        library = quality_arms.library_of(one)
        lacks = quality_arms.missing(library)
        if lacks is not None:
            print(f"{one} is left out: {lacks}", file=sys.stderr)
        elif one in quality_arms.libraries():
            found += quality_arms.names(one)
        else:
            found.append(one)
    return list(dict.fromkeys(found))


def made(cells: Iterable[Cell], folder: Path, jobs: int) -> Iterator[Row | str]:
    """Make runs, some at a time; yield a row for each, or what went wrong."""
    os.environ.update(_ONE_THREAD)  # read when a job's process imports numpy
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_run, cell, folder) for cell in cells]):
            yield future.result()


def _run(cell: Cell, folder: Path) -> Row | str:
    try:
        return run(cell, folder)
    except Exception as error:  # of whichever library: the others go on
        return f"{cell.arm} on {cell.table} with seed {cell.seed}: {type(error).__name__}: {str(error)[:300]}"


def run_all(given: argparse.Namespace) -> int:
    """Make the runs that are wanted and not there yet; return how many went wrong."""
    file = given.folder / FILE
    there = {row.key for row in rows(file)}
    setting = Setting(given.workers, given.budget, given.epoch_s)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    # seeds outermost: at any time all arms have about as many
    grid = product(seeds, tables_of(given.tables or ["all"], given.folder), arms_of(given.arms))
    wanted = [Cell(arm, table, seed, setting) for seed, table, arm in grid]
    cells = [cell for cell in wanted if key_of(cell, given.folder) not in there]
    print(f"{len(wanted) - len(cells):,} runs are there, {len(cells):,} are to be made", flush=True)
    began, told, faults = time.monotonic(), time.monotonic(), 0
    for count, row in enumerate(made(cells, given.folder, given.jobs), start=1):
        if isinstance(row, str):
            faults += 1
            print(row, file=sys.stderr, flush=True)
            continue
        append(file, row)
        if time.monotonic() - told > 60 or count == len(cells):
            told = time.monotonic()
            print(f"{count:,} of {len(cells):,} after {told - began:,.0f} s", flush=True)
    return faults


def list_arms() -> None:
    """Print the arms that there are, and which libraries are missing."""
    for library in quality_arms.libraries():
        lacks = quality_arms.missing(library)
        if lacks is not None:
            print(f"{library} cannot be run here: {lacks}")
        for arm in quality_arms.names(library) if lacks is None else ():
            print(f"{arm}  ({quality_arms.version(arm)})")


def show(given: argparse.Namespace) -> None:
    """Print what was measured, or make the page of it anew."""
    names = tables_of(given.tables or (["all"] if given.write else ["dev"]), given.folder)
    found = sheets(rows(given.folder / FILE), names, given.folder)
    ours = [arm for arm in given.arms if quality_arms.library_of(arm) == quality_arms.OURS]
    ours = ours or sorted({one.arm for sheet in found for one in sheet.ours})
    if given.write:
        write(found, ours)
    else:
        print("\n".join(text(found, ours, figures=False)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("run", "show", "arms"))
    parser.add_argument(
        "--arms",
        nargs="+",
        default=[],
        metavar="ARM",
        help="LIBRARY:NAME, or a library for all of it; with show: of ours, which are compared",
    )
    parser.add_argument(
        "--tables", nargs="+", metavar="TABLE", help="names, or dev, report, all (default; to show on screen: dev)"
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--budget", type=int, default=1200, help="epochs of a search")
    parser.add_argument("--epoch-s", type=float, help="seconds of an average epoch; decisions take their time, too")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, of one thread each")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of tables and results")
    parser.add_argument("--write", action="store_true", help="with show: make the page in docs anew")
    given = parser.parse_args()
    if given.do == "arms":
        list_arms()
    elif given.do == "run":
        sys.exit(1 if run_all(given) else 0)
    else:
        show(given)


if __name__ == "__main__":
    main()
