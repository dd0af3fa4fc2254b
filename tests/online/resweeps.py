"""A promoted model of a small table, newer rows of it, and a learner that only sweeps: it can be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from search.online.buffer import Buffer
from search.online.resweep_commands import SweepOptions
from search.online.resweeping import Sweeps
from search.promote.choices import Promotion
from search.promote.feeding import columns_of
from search.promote.promoting import promote
from search.registry.registry import Registry
from search.serve.backend import Served
from tests.promote import confirmed

OPTIONS: Final = SweepOptions(trials=2, confirm=("--trial", "0"))
"""Of a sweep that is over soon."""

OWN: Final = "from objectives.tabular import Tabular\n\n\nclass Mine(Tabular):\n    pass\n"


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return rows with text, gaps, and a column that says nothing."""
    random = np.random.default_rng(seed)
    town, a, b = random.choice(["Ulm", "Köln", "Bonn"], rows), random.normal(size=rows), random.normal(size=rows)
    answer = np.where(a + b + (town == "Ulm") + random.normal(0, 0.3, rows) > 0.3, "yes", "no")
    a[random.random(rows) < 0.05] = np.nan
    some = pd.Series(town).mask(random.random(rows) < 0.05)
    return pd.DataFrame({"town": some, "a": a, "b": b, "same": 7, "answer": answer})


def champion(folder: Path, **flags: Any) -> Served:
    """Run a study of an objective of its own in this process, and put its first trial into production as `rain`."""
    table(300).to_csv(folder / "table.csv", index=False)
    (folder / "mine.py").write_text(OWN)
    given = {"data": "table.csv", "target": "answer", "trials": 2, "set": ("model.family=linear",), "space": "tabular"}
    stored = confirmed.study(f"{folder / 'mine.py'}:Mine", folder, **{**given, **flags})
    promote(stored, Promotion.of("rain", {"trial": "0"}))
    return served(folder)


def served(results: Path) -> Served:
    """Return version 1 of `rain`."""
    return Served(Registry.of(results, "rain").bundle(1), "rain", 1)


def buffer_of(rows: pd.DataFrame, model: Served) -> Buffer:
    """Return a buffer of rows that have come since."""
    signature = model.bundle.signature
    buffer = Buffer()
    targets = np.array([signature.classes.index(one) for one in rows["answer"]], np.int64)
    buffer.add(columns_of(rows, signature), targets, np.zeros((len(rows), 1), np.float32))
    return buffer


def main(results: Path) -> None:
    """Start a sweep and look after it, until somebody kills this process."""
    model = served(results)
    sweeps = Sweeps(results, "rain", OPTIONS, lambda _: None)
    sweeps.start(buffer_of(table(300, 1), model), model, "the error has risen")
    while True:
        sweeps.look()
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
