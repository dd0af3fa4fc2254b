"""The tables of learning curves that `benchmarks.quality` replays, and where they are kept.

    python -m benchmarks.quality_tables [NAME ...] [--folder .cache/quality] [--shown]

Makes the named tables (default: those that are not there yet) by real training on one thread, the same numbers every
time, and prints what share of the configurations reaches which error. A table has two errors of each configuration
after each epoch: `val`, all that a search sees, and `test`, of rows of their own. Reading one needs numpy alone.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

EPOCHS: Final = 27
TARGET_SHARES: Final = (0.015, 0.0035)
"""The loose and the tight target are the test errors that these shares of all configurations give their user."""
DEVELOPMENT: Final = (
    "dev-mlp",
    "dev-cnn",
    "dev-trees",
    "dev-linear",
    "dev-mixed",
    "dev-crossing",
    "dev-slow",
    "dev-hills",
)
"""Rules are tuned on these."""
REPORT: Final = (
    "cnn-digits",
    "mlp-photos",
    "linear-photos",
    "mlp-friedman",
    "cnn-photos",
    "mlp-blue",
    "trees-two",
    "linear-tiles",
    "mixed-friedman",
)
"""Results are told of these, on which nothing was tuned."""
NAMES: Final = DEVELOPMENT + REPORT
FOLDER: Final = Path(".cache/quality")
INACTIVE: Final = -1
"""Index of a parameter that a configuration does not have."""

Value: TypeAlias = float | int | str
Point: TypeAlias = tuple[int, ...]
Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter.

    Attributes:
        name: Of the parameter.
        kind: "float", "int" or "categorical".
        values: In increasing order, unless a category.
        log: Whether equal steps multiply.
        when: The value of the first parameter that makes this one active; None: always active.
    """

    name: str
    kind: str
    values: tuple[Value, ...]
    log: bool = False
    when: str | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """Learning curves of every configuration of a space.

    Attributes:
        name: Of the table.
        family: Kind of model.
        problem: What is predicted from what, in words.
        axes: Parameters.
        val: Errors on the validation rows, (configurations, epochs), float32.
        test: Errors on the test rows, (configurations, epochs), float32.
        points: Index of each parameter's value, `INACTIVE` where it has none, (configurations, parameters).
        seconds: Modelled seconds of an epoch, of mean 1, (configurations,), float32.
    """

    name: str
    family: str
    problem: str
    axes: tuple[Axis, ...]
    val: Array
    test: Array
    points: Array
    seconds: Array

    @property
    def epochs(self) -> int:
        return int(self.val.shape[1])

    @cached_property
    def rows(self) -> dict[Point, int]:
        """Which row has a point."""
        return {tuple(point): row for row, point in enumerate(self.points.tolist())}

    @cached_property
    def returned(self) -> Array:
        """Return the test error of each configuration at the (first) epoch of its lowest validation error."""
        errors: Array = self.test[np.arange(len(self.test)), self.val.argmin(axis=1)]
        return errors

    def targets(self) -> tuple[float, ...]:
        """Return the test errors that count as good and as very good, by rank among all configurations."""
        return tuple(ranked(self.returned, share) for share in TARGET_SHARES)

    @property
    def defaults(self) -> int:
        """Return the row in the middle of every range, and of the first of each parameter's categories."""
        first = [0 if axis.kind == "categorical" else (len(axis.values) - 1) // 2 for axis in self.axes]
        family = self.axes[0].values[first[0]]
        active = [axis.when is None or axis.when == family for axis in self.axes]
        return self.rows[tuple(one if on else INACTIVE for one, on in zip(first, active, strict=True))]

    def save(self, folder: Path) -> None:
        """Write `NAME.npz`, in a folder that git leaves alone."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n")
        np.savez_compressed(
            folder / f"{self.name}.npz",
            val=self.val,
            test=self.test,
            points=self.points,
            seconds=self.seconds,
            spec=json.dumps([asdict(axis) for axis in self.axes]),
            family=self.family,
            problem=self.problem,
        )


def read(name: str, folder: Path = FOLDER) -> Table:
    """Read a table that was made before.

    Raises:
        FileNotFoundError: It was not; the text says how.
    """
    path = folder / f"{name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"no {path}: make it with python -m benchmarks.quality_tables {name} --folder {folder}")
    with np.load(path) as kept:
        spec = json.loads(str(kept["spec"]))
        axes = tuple(Axis(**{**one, "values": tuple(one["values"])}) for one in spec)
        arrays = {key: kept[key] for key in ("val", "test", "points", "seconds")}
        return Table(name=name, family=str(kept["family"]), problem=str(kept["problem"]), axes=axes, **arrays)


def ranked(errors: Array, share: float) -> float:
    """Return the error that this share of all reaches."""
    return float(np.sort(errors)[max(int(share * len(errors)), 1) - 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--shown", action="store_true", help="of tables that are there: print, make nothing")
    given = parser.parse_args()
    unknown = set(given.names) - set(NAMES)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    there = [name for name in NAMES if (given.folder / f"{name}.npz").exists()]
    from benchmarks.quality_grids import make  # here, as readers of tables need neither torch nor LightGBM
    from benchmarks.quality_spread import spread

    if given.shown:
        for name in given.names or there:
            print(spread(read(name, given.folder)), flush=True)
        return
    for name in given.names or [name for name in NAMES if name not in there]:
        began = time.process_time()
        table = make(name)
        table.save(given.folder)
        print(f"{spread(table)}\n  {time.process_time() - began:.0f} s of one core", flush=True)


if __name__ == "__main__":
    main()
