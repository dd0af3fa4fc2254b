"""What a million rows of 50 mixed columns cost to load, profile, split and fingerprint, beside plain pandas.

    python benchmarks/million_rows.py                  # a million rows, as CSV and as Parquet
    python benchmarks/million_rows.py --rows 100000

The table is generated from a seed: 25 numbers with gaps, 10 whole numbers, 5 truth values, 8 texts of 5 to 5,000
levels, a date and an identifier, beside a target of two classes. Each reader runs in a process of its own, which is not
warm. Plain pandas reads, describes, counts distinct values and duplicated rows, and splits with scikit-learn, which is
what people write by hand in place of the first three steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ROWS: Final = 1_000_000
LEVELS: Final = (5, 10, 30, 100, 300, 1_000, 3_000, 5_000)
LIMIT_S: Final = 60.0
LIMIT_GB: Final = 6.0
READERS: Final = ("sweep", "pandas")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where the files are made; else a temporary folder")
    parser.add_argument("--measure", choices=READERS, help=argparse.SUPPRESS)  # a child process
    parser.add_argument("file", nargs="?", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        steps = with_sweep(given.file) if given.measure == "sweep" else with_pandas(given.file)
        print(json.dumps(steps))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        return compare(given.folder or Path(temporary), given.rows)


def compare(folder: Path, rows: int) -> int:
    """Measure both readers on both files; return 1 where the aim is missed."""
    files = generate(folder, rows)
    print(f"{rows:,} rows; aim: load, profile and split under {LIMIT_S:.0f} s and {LIMIT_GB:.0f} GB")
    print("| file | MB | by | load s | profile s | split s | sum s | peak GB | fingerprint s |")
    print("|---|---|---|---|---|---|---|---|---|")
    missed = False
    for file in files:
        for reader in READERS:
            steps = measure(file, reader)
            total = steps["load"] + steps["profile"] + steps["split"]
            missed |= reader == "sweep" and not (total < LIMIT_S and steps["peak_gb"] < LIMIT_GB)
            shown = [f"{steps[name]:.1f}" for name in ("load", "profile", "split")]
            after = f"{steps['fingerprint']:.1f}" if "fingerprint" in steps else ""
            print(
                f"| {file.name} | {file.stat().st_size / 1e6:.0f} | {reader} | {' | '.join(shown)} | {total:.1f} "
                f"| {steps['peak_gb']:.1f} | {after} |",
                flush=True,
            )
    print("the aim is missed" if missed else "the aim is met")
    return int(missed)


def measure(file: Path, reader: str) -> Mapping[str, float]:
    """Return the seconds of each step and the peak memory, taken in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", reader, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{reader} failed on {file.name}:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def generate(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write the table as CSV and as Parquet; files that are there already are kept."""
    csv, parquet = folder / f"mixed_{rows}.csv", folder / f"mixed_{rows}.parquet"
    if not (csv.exists() and parquet.exists()):
        frame = mixed(rows)
        frame.to_parquet(parquet, index=False)
        frame.to_csv(csv, index=False)
    return csv, parquet


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return the generated table."""
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for index in range(25):
        values = np.round(random.normal(10 * index, 1 + index, rows), 4)
        values[random.random(rows) < 0.02 * (index % 6)] = np.nan
        columns[f"number_{index}"] = values
    for index in range(10):
        columns[f"count_{index}"] = random.integers(0, 10 ** (1 + index % 6), rows)
    for index in range(5):
        columns[f"flag_{index}"] = random.random(rows) < 0.1 * (index + 1)
    for count in LEVELS:
        names = np.array([f"level {number} of {count}" for number in range(count)], dtype=object)
        columns[f"text_{count}"] = names[(count * random.random(rows) ** 2).astype(np.int64)]
    days = np.datetime64("2015-01-01") + random.integers(0, 3650, rows).astype("timedelta64[D]")
    columns["day"] = np.datetime_as_string(days, unit="D")
    columns["id"] = np.char.add("row-", np.char.zfill(random.permutation(rows).astype(str), 8))
    score = columns["number_1"] - 10 + 3 * columns["flag_2"] + random.normal(0, 3, rows)
    columns["target"] = np.where(np.nan_to_num(score) > 0, "yes", "no")
    return pd.DataFrame(columns)


def with_sweep(file: Path) -> dict[str, float]:
    """Take the four steps with this project."""
    steps: dict[str, float] = {}

    def load() -> Any:
        from search.data.source import FileSource

        return FileSource(str(file), "target", Path()).table("")

    def described() -> Any:
        from search.data.profile import profile

        return profile(dataset)

    def split_up() -> Any:
        from search.data.splits import split

        return split(dataset, seed=0).parts(dataset)

    def hashed() -> Any:
        from search.data.fingerprint import fingerprint

        return fingerprint(dataset)

    dataset = _timed(steps, "load", load)
    _timed(steps, "profile", described)
    _timed(steps, "split", split_up)
    steps["peak_gb"] = _peak_gb()
    _timed(steps, "fingerprint", hashed)
    return steps


def with_pandas(file: Path) -> dict[str, float]:
    """Take the steps as they are written by hand."""
    steps: dict[str, float] = {}

    def load() -> pd.DataFrame:
        return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)

    def described() -> Any:
        return frame.describe(include="all"), frame.nunique(), frame.duplicated().sum(), frame.isna().mean()

    def split_up() -> Any:
        from sklearn.model_selection import train_test_split

        rest, test = train_test_split(frame, test_size=0.2, random_state=0, stratify=frame["target"])
        train, validation = train_test_split(rest, test_size=0.25, random_state=0, stratify=rest["target"])
        return train, validation, test

    frame = _timed(steps, "load", load)
    _timed(steps, "profile", described)
    _timed(steps, "split", split_up)
    steps["peak_gb"] = _peak_gb()
    return steps


def _timed(steps: dict[str, float], name: str, step: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    made = step()
    steps[name] = time.perf_counter() - start
    return made


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    sys.exit(main())
