"""Rows that are prepared where there is no GPU: where that is, and two nodes of a real cluster in a process of its own.

Mutations that turn these red: start preparers on machines with a GPU (`places`); start none again that was lost
(`Preparers.look`), or keep its trial from others; hold CPUs that others wait for (`Preparers.allow`); prepare rows
under another key than training does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.tuner.preparing import places, preparers
from search.tuner.shelves import Directory
from tests.tuner.sweeps import launch_of, leave, stored, write

ROOT = Path(__file__).parents[2]
TRIALS = 4

# A trial trains until somebody has prepared the next one's rows, or was killed over them: that happens once.
NOTED = """
import os, signal, time
import numpy as np
import ray
from search.contract import REPLAY, Metric, Part, Prepared

TRIALS = 4

def prepared():
    path = HERE / "prepared"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

def is_next_prepared():
    killed = {path.name.removeprefix("killed-") for path in HERE.glob("killed-*")}
    return len({*prepared(), *killed}) > min(len(list(HERE.glob("trained-*"))) + 1, TRIALS - 1)

class Learner:
    budget = 1
    def fit_epoch(self):
        deadline = time.monotonic() + 60
        while not is_next_prepared() and time.monotonic() < deadline:
            time.sleep(0.05)
        (HERE / f"trained-{time.monotonic_ns()}").touch()
        return {}
    def evaluate(self):
        return {"val_loss": 1.0}
    def state(self):
        return REPLAY

class Noted:
    def space(self, trial):
        trial.suggest_int("preprocess.kind", 0, 10**6)
    def data(self, source):
        return source.table("sklearn:diabetes")
    def metrics(self, dataset):
        return (Metric("val_loss", "minimize"),)
    def preprocess(self, params, train, validation, context):
        time.sleep(0.2)
        if (HERE / "kill").exists() and not ray.get_gpu_ids() and len(prepared()) == 2:
            (HERE / "kill").rename(HERE / f"killed-{params['kind']}")
            os.kill(os.getpid(), signal.SIGKILL)
        with (HERE / "prepared").open("a") as file:
            file.write(f"{params['kind']} {ray.get_runtime_context().get_node_id()}\\n")
        parts = [part.features.to_numpy(dtype=np.float64) for part in (train, validation)]
        return Prepared(Part(parts[0], train.target), Part(parts[1], validation.target))
    def learner(self, params, prepared, context):
        return Learner()
"""


def test_a_preparer_is_where_a_trial_without_its_gpu_has_room_and_one_on_every_machine_comes_first(
    tmp_path: Path,
) -> None:
    plan = replace(launch_of(write(tmp_path, NOTED), tmp_path).plan, cpus=2.0, memory_bytes=10**9)
    nodes = {
        "a": {"CPU": 5.0, "memory": 4e9},
        "b": {"CPU": 64.0, "memory": 64e9, "GPU": 8.0},
        "c": {"CPU": 2.0, "memory": 4e9},
        "d": {"CPU": 1.0, "memory": 4e9},
        "e": {"CPU": 8.0, "memory": 1e8},
    }
    assert [*places(nodes, plan)] == [("ahead-a-0", "a"), ("ahead-c-0", "c"), ("ahead-a-1", "a")]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"gpus": 0.0, "pack": True}, True),
        ({"gpus": 0.0}, False),
        ({"address": None}, False),
        ({"cache_bytes": 0}, False),
        ({"by_hand": True}, False),
    ],
)
def test_rows_are_prepared_ahead_where_a_gpu_of_a_cluster_would_wait_for_rows_that_are_kept(
    tmp_path: Path, changes: dict[str, Any], wanted: bool
) -> None:
    plan = replace(launch_of(write(tmp_path, NOTED), tmp_path).plan, address="h:6379", gpus=0.5)
    assert (preparers(None, {}, replace(plan, **changes)) is not None) is wanted


class Study:
    """What a study hears of its preparers."""

    def __init__(self) -> None:
        self._released: list[str] = []

    def release(self, name: str) -> None:
        self._released.append(name)

    def released(self) -> list[str]:
        return self._released


def test_preparers_hold_cpus_only_while_they_may_and_their_trials_are_released(
    tmp_path: Path, ray_session: None
) -> None:
    import ray

    plan = replace(launch_of(write(tmp_path, NOTED), tmp_path).plan, address="h:6379", gpus=1.0)
    study, node = ray.remote(num_cpus=0)(Study).remote(), ray.get_runtime_context().get_node_id()
    names = {"study": "nobody", "directory": "shelves", "namespace": ray.get_runtime_context().namespace}
    directory = ray.remote(num_cpus=0)(Directory).options(name="shelves").remote()
    assert directory is not None
    one, nodes = preparers(study, names, plan), {node: {"CPU": 1.0}}
    assert one is not None

    def looked(*, until: Callable[[], bool]) -> list[str]:
        deadline = time.monotonic() + 60
        one.look(nodes, 1)
        while not until():
            assert time.monotonic() < deadline
            time.sleep(0.1)
            one.look(nodes, 1)
        released: list[str] = ray.get(study.released.remote())
        return released

    def free() -> float:
        return float(ray.available_resources().get("CPU", 0.0))

    assert looked(until=lambda: free() == 2.0) == []
    one.allow(True)
    one.look(nodes, 1)
    one.allow(False)
    assert looked(until=lambda: free() == 2.0) == [f"ahead-{node}-0"]
    one.allow(True)  # and it fails, since there is no study of that name
    assert looked(until=lambda: len(ray.get(study.released.remote())) == 2) == [f"ahead-{node}-0"] * 2
    assert looked(until=lambda: free() == 2.0) == [f"ahead-{node}-0"] * 2
    one.end()


def test_gpus_train_on_rows_that_others_prepared_and_a_killed_preparer_costs_no_trial(tmp_path: Path) -> None:
    (tmp_path / "kill").touch()
    command = [sys.executable, "-m", "tests.tuner.test_preparing", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr[-3000:]
    seen = json.loads((tmp_path / "seen.json").read_text())
    trials = stored(tmp_path)
    assert seen["trials"]["complete"] == len(trials) == TRIALS
    assert {trial.system_attrs["sweep:end"]["lost"] for trial in trials} == {0}
    assert {trial.system_attrs["sweep:attempt"]["node"] for trial in trials} == {seen["with"]}
    rows = dict(line.split() for line in (tmp_path / "prepared").read_text().splitlines())
    assert len((tmp_path / "prepared").read_text().splitlines()) == len(rows) == TRIALS
    (killed,) = (path.name.removeprefix("killed-") for path in tmp_path.glob("killed-*"))
    first = str(trials[0].params["preprocess.kind"])  # before anybody prepared
    where = Counter(node for kind, node in rows.items() if kind not in (first, killed))
    assert where == {seen["without"]: TRIALS - 2}
    assert rows[first] == seen["with"]
    hows = Counter(trial.system_attrs["sweep:end"]["prepared"]["how"] for trial in trials)
    assert hows == {"made": 2, "moved": TRIALS - 2}


# --- in a process of its own, whose Ray is a cluster of two nodes ---


def main(place: str) -> None:
    """Run a sweep on a node with a GPU and the head, which has none, and say which is which."""
    from search.tuner import cluster
    from search.tuner.driver import sweep

    folder = Path(place)
    os.environ["SWEEP_STORE"] = str(folder / "without")
    cluster.set_environment(None)
    import ray
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
    other = nodes.add_node(num_cpus=1, num_gpus=1, env_vars={"SWEEP_STORE": str(folder / "with")})
    ray.init(address=nodes.address, namespace=cluster.NAMESPACE, log_to_driver=False, logging_level="CRITICAL")
    given = {"trials": TRIALS, "gpus": 1, "sampler": "random", "pruner": "none", "max_epochs": 1, "patience": 0}
    launch = launch_of(write(folder, NOTED), folder, **given, address=nodes.address)
    ended = sweep(launch, view=lambda status: None)
    seen = {"with": other.node_id, "without": nodes.head_node.node_id, **ended.status.to_json()}
    (folder / "seen.json").write_text(json.dumps(seen))
    leave(nodes)


if __name__ == "__main__":
    main(*sys.argv[1:])
