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

from search.paths import OnlineFolder
from tests.online.circle import Clients, opened, promoted, read_on


def test_a_lasting_drift_starts_a_sweep_whose_winner_takes_over_and_is_rolled_back_when_the_drift_reverses(
    tmp_path: Path,
) -> None:
    promoted(tmp_path)
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
