"""The full circle of a model that keeps learning: a drift, a sweep over the newest rows, its winner, and back again.

Mutations that turn this file red: `_look_back` starts nothing, `Sweeps` promotes nothing or hands nothing out,
`Reading.look` brings no winner, a winner's test is not looked at (`_decide`), `_to_keep` keeps nobody, a restart
forgets the rivals (`Reading._versions`), `restore` moves nothing.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

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


def opened(results: Path) -> Reading:
    sweeps = Sweeps(results, "rain", SweepOptions(trials=4, confirm=("--top", "1", "--seeds", "1")), lambda _: None)
    return Reading.open(results, "rain", Choices(resweep=True), sweeps)


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


def test_a_lasting_drift_starts_a_sweep_whose_winner_takes_over_and_is_rolled_back_when_the_drift_reverses(
    tmp_path: Path,
) -> None:
    values, targets = rows(np.random.default_rng(9), 600, drifted=False)
    table = pd.DataFrame(values, columns=["a", "b", "c"]).assign(answer=np.array(["no", "yes"])[targets])
    table.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "families.py").write_text(SPACE)
    stored = confirmed.study(
        "tabular",
        tmp_path,
        points=(LINEAR,),
        data=str(tmp_path / "table.csv"),
        target="answer",
        space=str(tmp_path / "families.py"),
        max_epochs=8,
    )
    promote(stored, Promotion.of("rain", {"trial": "0"}))
    folder, clients = OnlineFolder.of(tmp_path, "rain"), Clients(tmp_path)

    def told() -> dict[str, Any]:
        return dict(json.loads(folder.status.read_bytes()))

    reading = opened(tmp_path)
    try:
        clients.ask(800, drifted=False)
        read_on(reading)
        assert told()["resweep"]["state"] == "none"
        assert told()["metrics"]["served"]["rolling"]["accuracy"] > 0.9

        for _ in range(12):  # the concept is another one, and no linear model follows
            clients.ask(100, drifted=True)
            read_on(reading)
            if told()["resweep"]["state"] != "none":
                break
        assert told()["resweep"]["study"] == "s-online-1"
        assert "the error is" in told()["resweep"]["why"]
        assert clients.production() == 1, told()["swaps"]

        deadline_s = time.monotonic() + 300
        while told()["resweep"]["state"] == "running" and time.monotonic() < deadline_s:
            time.sleep(0.2)
            read_on(reading)
        assert told()["resweep"]["state"] == "finished", told()["resweep"]
        assert dict(clients.registry.read().aliases) == {"production": 1, "candidate": 2}
        assert told()["tests"]["winner"]["rows"] == 0  # it has to show itself first, like any other

        for _ in range(6):
            clients.ask(100, drifted=True)
            read_on(reading)
        assert clients.production() == 2
        swap = told()["swaps"][-1]
        assert (swap["from"], swap["to"], swap["how"]) == ("rain:1", "rain:2", "take-over")
        family = clients.registry.bundle(2).manifest.members[0].params["model.family"]
        assert family == "boosting"
        assert told()["metrics"]["champion"]["rolling"]["accuracy"] > 0.8

        reading.close()
        reading = opened(tmp_path)  # whoever comes after a restart has the same to go back to
        before = told()
        read_on(reading)
        assert told()["champion"] == before["champion"]
        assert told()["tests"] == before["tests"]

        for _ in range(6):
            clients.ask(100, drifted=False)
            read_on(reading)
        assert clients.production() == 1
        swap = told()["swaps"][-1]
        assert (swap["from"], swap["to"], swap["how"]) == ("rain:2", "rain:1", "rollback")
        assert [move.how for move in clients.registry.read().history if move.alias == "production"] == [
            *("add", "move", "rollback"),
        ]
        events = [json.loads(line)["event"] for line in folder.audit.read_text().splitlines()]
        for event in ("alarm", "resweep", "winner", "take-over", "rollback"):
            assert event in events
    finally:
        reading.close()
        clients.close()
