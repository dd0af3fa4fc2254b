"""Several sweeps on one cluster: equal ones share it, a higher one has it, and each takes what another leaves.

Mutations that turn these red: keep idle workers (`give_back_idle_workers`), pause nobody (`Allowance.is_exceeded`),
never drop a sweep (`Queue.tell`), begin without a grant (`Allowance.is_used_up`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.study.shares import Bid, Sizes
from search.tuner.queue import LEASE_S, Queue
from search.tuner.unused import UNUSED_S, end_once
from tests.tuner.sweeps import launch_of, sleeping, stored, write

ROOT = Path(__file__).parents[2]

NODES: list[Sizes] = [(4.0, 0.0, 0.0)]
WAIT_S = 60.0


def told(queue: Queue, name: str, *, held: int = 0, priority: int = 0) -> int:
    bid = Bid(name, name, float(ord(name[0])), priority, (1.0, 0.0, 0.0), 10, held)
    trials: int = queue.tell(bid.to_json())["trials"]
    return trials


def test_a_sweep_that_says_nothing_is_dropped_after_its_lease() -> None:
    now = [0.0]
    queue = Queue(lambda: NODES, lambda: now[0])
    assert told(queue, "a", held=4) == 4
    assert told(queue, "b") == 0
    now[0] = LEASE_S - 0.1
    assert told(queue, "b") == 0
    now[0] = LEASE_S + 0.1
    assert told(queue, "b") == 4


def test_a_sweep_that_leaves_is_dropped_at_once() -> None:
    queue = Queue(lambda: NODES)
    assert told(queue, "a", held=4) == 4
    queue.leave("a")
    assert told(queue, "b") == 4


@pytest.mark.parametrize(
    ("held", "gpus", "wanted"), [(0, 0.0, True), (10, 0.0, False), (0, 1.0, False)], ids=["waits", "has all", "on GPUs"]
)
def test_a_sweep_is_told_that_another_one_waits_for_cpus(held: int, gpus: float, wanted: bool) -> None:
    queue = Queue(lambda: [(4.0, 1.0, 0.0)])
    told(queue, "a")
    assert not queue.is_wanted("a")
    queue.tell(Bid("b", "b", 0.0, 0, (1.0, gpus, 0.0), 10, held).to_json())
    assert queue.is_wanted("a") is wanted


def test_a_queue_that_no_sweep_speaks_to_is_unused_after_a_while() -> None:
    now = [0.0]
    queue = Queue(lambda: NODES, lambda: now[0])
    now[0] = UNUSED_S
    told(queue, "a")
    now[0] += UNUSED_S - 1.0
    assert not queue.is_unused()
    now[0] += 2.0
    assert queue.is_unused()


def test_a_detached_actor_that_is_unused_is_gone_for_good(ray_session: None) -> None:
    import ray

    options = {"name": "unused", "namespace": "other", "lifetime": "detached", "max_restarts": -1, "num_cpus": 0}
    actor = ray.remote(Unused).options(**options).remote()
    deadline = time.monotonic() + WAIT_S
    why = ""
    while "killed by `ray.kill`" not in why:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with suppress(ray.exceptions.ActorUnavailableError):
            try:
                assert ray.get(actor.is_here.remote())
            except ray.exceptions.ActorDiedError as error:
                why = str(error)
    with pytest.raises(ValueError, match="unused"):
        ray.get_actor("unused", namespace="other")


class Unused:
    """An actor that nobody uses."""

    def __init__(self) -> None:
        end_once(lambda: True)

    def is_here(self) -> bool:
        return True


def test_a_queue_that_is_restarted_knows_everything_once_all_have_told_it_again() -> None:
    before, after = Queue(lambda: NODES), Queue(lambda: NODES)
    for queue in (before, after):
        for name, held, priority in (("c", 1, 2), ("a", 3, 0), ("b", 0, 0)):
            told(queue, name, held=held, priority=priority)
    for name, held, priority in (("b", 0, 0), ("c", 1, 2), ("a", 3, 0)):
        assert told(before, name, held=held, priority=priority) == told(after, name, held=held, priority=priority)


def test_sweeps_of_one_cluster_share_it(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, sleeping(0.3))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.tuner.test_queue", "cluster", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["queued"] == "behind second (priority 5), 1st in line"
    assert seen["equal"] == [2, 2]
    assert seen["higher"] == [0, 4]
    assert seen["paused"]
    for name in ("first", "second"):
        trials = stored(tmp_path / name, name)
        assert [trial.number for trial in trials] == list(range(len(trials)))
        for trial in trials:
            assert trial.state.name == "COMPLETE"
            assert sorted(trial.intermediate_values) == list(range(1, 11))
            assert trial.system_attrs["sweep:end"]["lost"] == 0
    first = stored(tmp_path / "first", "first")
    assert any(first[number].system_attrs["sweep:attempt"]["resumed"] for number in seen["paused"])


# --- in processes of their own, whose Ray is a cluster of one node ---


def main(role: str, folder: str, *others: str) -> None:
    if role == "drive":
        drive(Path(folder), *others)
        os._exit(0)
    try:
        watch(Path(folder))
    finally:
        for process in psutil.Process().children(recursive=True):  # agents, too, which outlive their raylet
            process.kill()


def drive(folder: Path, address: str) -> None:
    """Run a sweep on the cluster until an edit ends it."""
    from search.tuner import cluster
    from search.tuner.driver import sweep as run

    cluster.set_environment(address)
    import ray

    ray.init(address=address, namespace=cluster.NAMESPACE, log_to_driver=False, logging_level="CRITICAL")
    flags = {"trials": 9999, "max_epochs": 10, "pruner": "none", "patience": 0, "study": folder.name}
    run(launch_of(folder / "problem.py", folder, address=address, **flags), view=lambda status: None)


def watch(folder: Path) -> None:
    """Run two sweeps beside one another, raise the priority of the second, and note who holds how many trials."""
    from search.tuner import cluster

    cluster.set_environment(None)
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 4})
    places = [folder / "first", folder / "second"]

    def start(place: Path) -> subprocess.Popen[bytes]:
        order = [sys.executable, "-m", "tests.tuner.test_queue", "drive", str(place), nodes.address]
        return subprocess.Popen(order, cwd=ROOT)

    seen: dict[str, Any] = {}
    drivers = [start(places[0])]
    wait(lambda: held(places) == [4, 0])
    drivers.append(start(places[1]))
    wait(lambda: held(places) == [2, 2])
    seen["equal"] = stays(places)
    wait(lambda: just_begun(places[0]))  # or it might end before it hears of it
    edit(places[1], priority="5")
    wait(lambda: held(places) == [0, 4])
    seen["higher"] = stays(places)
    seen["queued"] = standing(places[0]).get("queued", "").partition(", about")[0]
    seen["paused"] = [trial.number for trial in stored(places[0], "first") if not trial.state.is_finished()]
    edit(places[1], trials=few_more(places[1]))
    assert drivers[1].wait(WAIT_S) == 0
    wait(lambda: held(places)[0] == 4)
    edit(places[0], trials=few_more(places[0]))
    assert drivers[0].wait(WAIT_S) == 0
    (folder / "seen.json").write_text(json.dumps(seen))


def standing(place: Path) -> dict[str, Any]:
    from search.errors import SweepError
    from search.paths import StudyFolder
    from search.records import study

    try:
        return study.status(study.read(StudyFolder.of(place, place.name))).to_json()
    except SweepError:  # it has not begun
        return {}


def edit(place: Path, **changes: str) -> None:
    """Change a running sweep as `sweep edit` does."""
    from search.cli.steer import ask_for
    from search.editing import Wanted, propose
    from search.paths import StudyFolder
    from search.records import study

    stored_ = study.read(StudyFolder.of(place, place.name))
    body = {name: one for name, one in propose(stored_, Wanted(changes)).edit.to_json().items() if name != "wish"}
    assert not ask_for(stored_, "edit", body).late


def few_more(place: Path) -> str:
    """Return a budget of trials with which a sweep ends soon, all of its trials complete."""
    return str(len(stored(place, place.name)) + 4)


def just_begun(place: Path) -> bool:
    """Tell whether a trial has begun to report and has long to go."""
    unended = [trial for trial in stored(place, place.name) if not trial.state.is_finished()]
    return any(1 <= len(trial.intermediate_values) <= 2 for trial in unended)


def stays(places: list[Path]) -> list[int]:
    """Return how many trials each sweep holds at most times in two seconds."""
    seen = []
    for _ in range(10):
        time.sleep(0.2)
        seen.append(held(places))
    return max(seen, key=seen.count)


def held(places: list[Path]) -> list[int]:
    return [standing(place).get("trials", {}).get("running", 0) for place in places]


def wait(until: Any, *, limit_s: float = WAIT_S) -> None:
    begun = time.monotonic()
    while not until():
        if time.monotonic() - begun > limit_s:
            raise TimeoutError(until)
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
