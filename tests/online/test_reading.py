"""A model that learns on this machine: what others do to its registry and its files while nobody reads.

Mutations that turn these red: `Reading` takes the registry as it finds it for known (`_state`), looks before all is
read, keeps the champion of the snapshot (`_succeed`), publishes what it has published (`Registering.publish`), takes a
snapshot of another log (`_check_log`), forgets the salt or the choices of its beginning.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from search.errors import RefusedError
from search.online.competitor import Fixed
from search.paths import OnlineFolder
from search.registry.registry import Registry
from tests.online.circle import Clients, opened, promoted, read_on


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with the model, that tests copy: its study is found by paths, so a copy takes its place."""
    results = tmp_path_factory.mktemp("reading") / "results"
    results.mkdir()
    promoted(results)
    return results


@pytest.fixture
def results(made: Path) -> Path:
    """The results without anything that was learnt."""
    shutil.rmtree(made / "online", ignore_errors=True)
    registry = Registry.of(made, "rain")
    if registry.read().aliases["production"] != 1:
        registry.move("production", 1, "as it was")
    return made


def version_of(reading: object) -> int | None:
    champion = reading.engine.champion  # type: ignore[attr-defined]
    assert isinstance(champion, Fixed)
    return champion.served.version


def add_version(results: Path) -> int:
    """Register what a model that has learnt a little would be, in production."""
    clients = Clients(results)
    reading = opened(results, resweep=False)
    clients.ask(200, drifted=False)
    read_on(reading)
    challenger = reading.engine.challenger
    registering = reading._publisher
    found = registering.publish(challenger, "by hand", "for a test")
    reading.close()
    clients.close()
    shutil.rmtree(results / "online")
    assert found.served.version is not None
    return found.served.version


def test_a_version_that_is_put_into_production_while_nobody_reads_is_the_champion_afterwards(results: Path) -> None:
    other = add_version(results)
    registry = Registry.of(results, "rain")
    registry.move("production", 1, "as it was")
    clients = Clients(results)
    reading = opened(results, resweep=False)
    clients.ask(400, drifted=False)
    read_on(reading)
    assert version_of(reading) == 1
    reading.snapshot()
    reading.close()
    registry.move("production", other, "we like it better")
    reading = opened(results, resweep=False)
    assert version_of(reading) == 1  # what is in the log yet is read as it was
    read_on(reading)
    assert version_of(reading) == other
    swap = reading.engine.state.swaps[-1]
    assert (swap["how"], swap["why"]) == ("by hand", "we like it better")
    reading.close()
    reading = opened(results, resweep=False)  # and it is so from now on
    assert version_of(reading) == other
    reading.close()
    clients.close()


def test_a_log_that_is_not_the_one_of_the_snapshot_is_refused(results: Path) -> None:
    clients = Clients(results)
    reading = opened(results, resweep=False)
    clients.ask(200, drifted=False)
    read_on(reading)
    reading.snapshot()
    reading.close()
    clients.close()
    shutil.rmtree(OnlineFolder.of(results, "rain").log)
    clients = Clients(results)
    clients.ask(600, drifted=False)
    with pytest.raises(RefusedError, match="another log"):
        opened(results, resweep=False)
    clients.close()


def test_who_begins_and_who_goes_on_count_each_label_once(results: Path) -> None:
    clients = Clients(results)
    for _ in range(4):
        reading = opened(results, resweep=False)
        clients.ask(250, drifted=False)
        read_on(reading)
        reading.close()  # without a snapshot but those that were due
    reading = opened(results, resweep=False)
    read_on(reading)
    counts = reading.engine.state.counts
    assert counts["labelled"] + reading.engine.behind == 1000
    assert counts["unknown"] == 0
    told = json.loads(OnlineFolder.of(results, "rain").status.read_bytes())
    assert told["rows"]["labelled"] == counts["labelled"]
    reading.close()
    clients.close()


def test_a_model_whose_snapshots_are_gone_does_not_begin_anew_with_the_log_of_another_time(results: Path) -> None:
    clients = Clients(results)
    reading = opened(results, resweep=False)
    clients.ask(200, drifted=False)
    read_on(reading)
    reading._publisher.audit(1, {"event": "alarm", "why": "for a test"})
    reading.close()
    clients.close()
    shutil.rmtree(OnlineFolder.of(results, "rain").state)
    with pytest.raises(RefusedError, match="tells of what was learnt"):
        opened(results, resweep=False)
