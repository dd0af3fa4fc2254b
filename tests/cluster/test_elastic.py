"""Machines of a cluster come and go while a sweep runs; none of them sees the head's disk.

Mutations that turn these red: hold the loss of a machine against its trials (`losing.verdict_on`); ask what the
cluster has only once (`Watcher._look_around`); let a trial go on on a machine that is about to be taken away
(`judging._judge`); take no SIGTERM in a worker (`Notice`); have each machine open the data of a sweep without a
cache by itself (`keeping._keeps_rows`).
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.cluster.nodes import CHECKOUT, Network
from tests.cluster.walks import PROJECT, RESULTS, command, enough, walk

LOOKED_INTO: Final = [*(str(CHECKOUT / name) for name in ("search", "objectives", "spaces", "tests")), PROJECT, RESULTS]

# its trials say what they see of the head's disk, and where our code came from
LOOKS: Final = f"""
import json, search

class Learns(Learns):
    def data(self, source):
        return source.table("sklearn:diabetes")

    def preprocess(self, params, train, validation, context):
        assert len(train.features) + len(validation.features) <= 60
        return Prepared(train, validation)

    def learner(self, params, prepared, context):
        seen = {{folder: sorted(os.listdir(folder)) if os.path.isdir(folder) else None for folder in {LOOKED_INTO}}}
        print(json.dumps({{"sees": seen, "ours": search.__file__, "on": socket.gethostname()}}))
        return Learner(params, context)
"""


@pytest.fixture(autouse=True)
def no_sweep_outlives_its_test(cluster: Network) -> Iterator[None]:
    yield
    for process in cluster.head.processes("-m search"):
        process.kill()


def whole(count: int) -> list[int]:
    return list(range(1, count + 1))


def test_machines_that_see_no_disk_of_the_head_run_trials_on_rows_of_a_file_that_it_has(cluster: Network) -> None:
    rows = "".join(f"{number},{number * 1.5}\n" for number in range(60))
    cluster.head.path("/tmp/rows.csv").write_text(f"x,y\n{rows}")
    flags = ("--data", "/tmp/rows.csv", "--target", "y", "--cache", "none", "--trials", "2")
    swept = walk(cluster, "sees", *flags, extra=LOOKS)
    swept.wait(lambda: all(swept.on(machine, epochs=1) for machine in cluster.nodes), "trials on both machines")
    enough(cluster)
    ended, _ = swept.end()
    assert ended["trials"]["complete"] == 2
    told = [json.loads(swept.folder.trial(number).log.read_text().splitlines()[0]) for number in range(2)]
    assert {one["on"] for one in told} == {"a", "b"}
    for one in told:
        assert not any(one["sees"].values()), one
        assert one["ours"].startswith("/tmp/ray/")


def test_a_machine_that_is_taken_away_has_its_trial_saved_and_one_that_joins_takes_it(cluster: Network) -> None:
    a, b = cluster.nodes
    swept = walk(cluster, "leaves", "--trials", "2")
    swept.wait(lambda: swept.on(a, epochs=5) and swept.on(b, epochs=5), "trials on both machines")
    (number,) = swept.on(a)
    a.process("ray.scripts.scripts").send_signal(signal.SIGTERM)
    c = cluster.add_node("c", cpus=2, wait=False)
    swept.wait(lambda: number in swept.on(c), "the trial on the machine that joined")
    went = len(swept.epochs(number))
    swept.wait(lambda: len(swept.epochs(number)) > went + 2, "some epochs there")
    enough(cluster)
    ended, shown = swept.end()
    assert ended["trials"]["complete"] == 2
    epochs = swept.epochs(number)
    assert [epoch for epoch, _ in epochs] == whole(len(epochs))  # none of them twice
    left = sum(machine == "a" for _, machine in epochs)
    assert [machine for _, machine in epochs] == ["a"] * left + ["c"] * (len(epochs) - left)
    (gone,) = ended["lost_nodes"]
    assert gone == {"address": a.address, "leaving": True, "trials": [{"number": number, "step": left}]}
    assert f"{a.address} was taken away: trial {number} goes on elsewhere from epoch {left}" in shown
    assert {trial.system_attrs["sweep:end"]["lost"] for trial in swept.trials()} == {0}


def test_a_machine_that_dies_a_cable_that_is_out_and_a_driver_that_is_killed_cost_no_trial(cluster: Network) -> None:
    _, b, c = cluster.nodes
    swept = walk(cluster, "dies", "--trials", "3")
    swept.wait(lambda: swept.on(b) and len(swept.on(c)) == 2, "trials on both machines")
    (number,) = swept.on(b)
    swept.wait(lambda: all(map(swept.has_checkpoint, range(3))), "checkpoints of all")
    cluster.cut(c)
    time.sleep(1.0)  # Ray is more patient
    cluster.heal(c)
    b.process("raylet/raylet").kill()
    d = cluster.add_node("d", cpus=1, wait=False)
    swept.wait(lambda: swept.has_lost_a_machine, "word of the machine that died")
    for process in cluster.head.processes("-m search run"):
        process.kill()
    swept.process.communicate(timeout=60)

    resumed = command(cluster.head, "dies", "resume", "dies")

    def epochs_elsewhere() -> list[int]:
        return [epoch for epoch, machine in resumed.epochs(number) if machine != "b"]

    resumed.wait(lambda: len(resumed.on(c)) == 2 and resumed.on(d) and epochs_elsewhere(), "all trials")
    enough(cluster)
    ended, _ = resumed.end()
    assert ended["trials"]["complete"] == 3
    assert [node["address"] for node in ended["lost_nodes"]] == [b.address]
    for trial in resumed.trials():
        assert sorted(trial.intermediate_values) == whole(len(trial.intermediate_values))
        assert trial.system_attrs["sweep:end"]["lost"] == 0
        assert trial.system_attrs["sweep:attempt"]["resumed"]
    first = epochs_elsewhere()[0]
    assert first > 1, "it began anew"
    assert first == ended["lost_nodes"][0]["trials"][0]["step"] + 1
