"""A promoted linear model whose clients write its log, read on as its learner does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from search.online.choices import Choices
from search.online.competitor import Fixed
from search.online.eventlog import EventLog
from search.online.events import Labels, Shown
from search.online.reading import Reading
from search.online.records import encode
from search.online.resweep_commands import SweepOptions
from search.online.resweeping import Sweeps
from search.paths import OnlineFolder
from search.promote.choices import Promotion
from search.promote.promoting import promote
from search.registry.registry import Registry
from search.serve.backend import Served
from tests.promote import confirmed

SPACE = """
def space(trial):
    family = trial.suggest_categorical("model.family", ["linear", "boosting"])
    trial.suggest_categorical("preprocess.scale", ["standard"])
    if family == "boosting":
        trial.suggest_float("model.shrinkage", 0.1, 0.3)
"""
"""Of two families, one of which knows no exclusive or."""

LINEAR = {"model.family": "linear", "preprocess.scale": "standard"}


def rows(random: np.random.Generator, count: int, *, drifted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return (count, 3) values and (count,) classes: of the sign of the first value, or of that of two of them."""
    values = random.uniform(-1, 1, (count, 3)).astype(np.float32)
    sign = values[:, 0] * (values[:, 1] if drifted else 1.0)
    return values, ((sign > 0) ^ (random.random(count) < 0.05)).astype(np.int64)


class Clients:
    """Everybody who asks and labels: they write the log as a server does, answered by what is in production."""

    def __init__(self, results: Path) -> None:
        self.registry = Registry.of(results, "rain")
        self._random = np.random.default_rng(0)
        self._log = EventLog.open(OnlineFolder.of(results, "rain"), seen=lambda _: None)
        self._at_s = 1000.0

    def production(self) -> int:
        return self.registry.read().aliases["production"]

    def ask(self, count: int, *, drifted: bool) -> None:
        """Have rows predicted, ten at a time, and labelled a little later."""
        version = self.production()
        model = Fixed(Served(self.registry.bundle(version), "rain", version))
        signature = model.served.bundle.signature
        for _ in range(count // 10):
            values, targets = rows(self._random, 10, drifted=drifted)
            columns = {name: values[:, place] for place, name in enumerate(("a", "b", "c"))}
            self._at_s += 1.0
            base = f"n-{self._at_s:.0f}"
            ids = tuple(f"{base}.{row}" for row in range(10))
            answers = model.answer(columns).astype(np.float64)
            self._log.append(encode(Shown(0, self._at_s, ids, columns, answers, model.label), signature))
            self._log.append(encode(Labels(0, self._at_s, ids, targets, "desk"), signature))

    def close(self) -> None:
        self._log.close()


def opened(results: Path, *, resweep: bool = True) -> Reading:
    sweeps = Sweeps(results, "rain", SweepOptions(trials=4, confirm=("--top", "1", "--seeds", "1")), lambda _: None)
    return Reading.open(results, "rain", Choices(resweep=resweep), sweeps)


def read_on(reading: Reading) -> None:
    """Read all there is, as a learner does."""
    for events in reading.events(64):
        if not events:
            break
        reading.take(events)
        if reading.changed:
            reading.snapshot()
    reading.look()
    if reading.changed:
        reading.snapshot()
    reading.tell()


def promoted(results: Path) -> None:
    """Put a linear model of the plain concept into production as `rain`."""
    values, targets = rows(np.random.default_rng(9), 600, drifted=False)
    table = pd.DataFrame(values, columns=["a", "b", "c"]).assign(answer=np.array(["no", "yes"])[targets])
    table.to_csv(results / "table.csv", index=False)
    (results / "families.py").write_text(SPACE)
    stored = confirmed.study(
        "tabular",
        results,
        points=(LINEAR,),
        data=str(results / "table.csv"),
        target="answer",
        space=str(results / "families.py"),
        max_epochs=8,
    )
    promote(stored, Promotion.of("rain", {"trial": "0"}))
