"""Stores of several machines: what the directory says of them, and two nodes of a real cluster that share no store.

Mutations that turn these red: let `Directory.claim` forget who makes an entry; do not look whether a maker still lives
(`OtherMachines`); wait for a node that is gone, or for ever for one that hangs; announce nothing (`announced`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from search.store import Store
from search.tuner.shelves import Claim, Directory, OtherMachines, Reader, Shelf
from tests.tuner.counted import KINDS, counted, laid_out
from tests.tuner.sweeps import launch_of, leave, stored

ROOT = Path(__file__).parents[2]
ONE, TWO, THREE = (Shelf(name, Path(name), name) for name in ("one", "two", "three"))
MAKE = Claim("make")


# --- the directory ---


def test_the_first_to_ask_makes_it_and_the_others_wait_for_that_one() -> None:
    directory = Directory()
    assert directory.claim("k", ONE) == MAKE
    assert directory.claim("k", TWO) == Claim("wait", ONE)
    assert directory.claim("k", ONE) == MAKE  # another process of that machine, whose lock says that it is its turn
    assert directory.claim("other", TWO) == MAKE


def test_what_is_made_is_taken_by_the_others() -> None:
    directory = Directory()
    directory.claim("k", ONE)
    directory.have(["k"], ONE)
    assert directory.claim("k", TWO) == Claim("take", ONE)
    directory.have(["k"], TWO)
    assert directory.claim("k", THREE) in (Claim("take", ONE), Claim("take", TWO))


def test_a_machine_that_lost_its_own_copy_takes_that_of_another_or_makes_it() -> None:
    directory = Directory()
    directory.have(["k"], ONE)
    assert directory.claim("k", ONE) == MAKE
    directory.have(["k"], TWO)
    assert directory.claim("k", ONE) == Claim("take", TWO)


def test_when_the_maker_gives_up_the_next_to_ask_makes_it() -> None:
    directory = Directory()
    directory.claim("k", ONE)
    directory.free("k", TWO)  # which did not make it
    assert directory.claim("k", TWO) == Claim("wait", ONE)
    directory.free("k", ONE)
    assert directory.claim("k", TWO) == MAKE


def test_what_is_lost_is_made_again() -> None:
    directory = Directory()
    directory.have(["k", "l"], ONE)
    directory.lost("k", ONE)
    directory.lost("nothing", ONE)
    assert directory.claim("k", TWO) == MAKE
    assert directory.claim("l", TWO) == Claim("take", ONE)


def test_whoever_takes_from_a_machine_is_told_who_reads_there() -> None:
    directory = Directory()
    directory.lend(ONE.node, "reader")
    directory.claim("k", ONE)
    assert directory.claim("k", TWO) == Claim("wait", ONE, "reader")
    directory.have(["k"], ONE)
    assert directory.claim("k", TWO) == Claim("take", ONE, "reader")


def test_a_preparer_that_hangs_is_waited_for_a_while_only(tmp_path: Path, ray_session: None) -> None:
    import ray

    shelf, over = Shelf("one", tmp_path / "one", ray.get_runtime_context().get_node_id()), threading.Event()

    def hang(_: Path) -> None:
        over.wait(60)

    hangs = threading.Thread(target=lambda: Store(shelf.root).get("abc", hang))
    hangs.start()
    directory, reader = (ray.remote(num_cpus=0)(kind).remote() for kind in (Directory, Reader))
    ray.get([directory.lend.remote(shelf.node, reader), directory.claim.remote("abc", shelf)])
    began = time.monotonic()
    try:
        assert not OtherMachines(directory, TWO, patience_s=1.0).bring("abc", tmp_path)
        assert time.monotonic() - began >= 1.0
        assert ray.get(directory.claim.remote("abc", THREE)) == Claim("wait", TWO)
    finally:
        over.set()
        hangs.join()


# --- two nodes, in a process of its own ---


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("nodes")
    command = [sys.executable, "-m", "tests.tuner.test_shelves", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return dict(json.loads((folder / "seen.json").read_text()))


def test_each_key_is_computed_once_over_both_nodes_and_moved_to_the_other(seen: dict[str, Any]) -> None:
    once = seen["once"]
    assert once["counted"] == [*KINDS]
    assert once["trials"] == 14
    assert once["nodes"] == 2
    assert once["prepared"]["made"] == len(KINDS)
    assert once["prepared"]["moved"] == len(KINDS)
    assert once["moved"] == [1 + once["prepared"]["moved"], 1 + len(KINDS)]  # the rows of the sweep, too


def test_what_is_there_already_is_moved_to_a_node_that_is_new(seen: dict[str, Any]) -> None:
    again = seen["again"]
    assert again["counted"] == [*KINDS]  # as before
    assert "made" not in again["prepared"]
    assert again["prepared"]["moved"] == len(KINDS)
    assert again["values"] == seen["once"]["values"]


def test_a_maker_that_is_killed_on_the_other_node_is_noticed(seen: dict[str, Any]) -> None:
    killed = seen["killed"]
    assert killed["counted"] == ["a", "b", "b", "c"]
    assert killed["trials"] == 14


def test_a_node_that_is_lost_while_it_computes_is_not_waited_for(seen: dict[str, Any]) -> None:
    lost = seen["lost"]
    assert len(lost["counted"]) == 1 + len(KINDS)
    assert {*lost["counted"]} == {*KINDS}
    assert lost["trials"] == 14


def main(place: str) -> None:
    """Run sweeps on two nodes, and say what was seen."""
    from search.tuner import cluster
    from search.tuner.driver import sweep

    folder = Path(place)
    os.environ["SWEEP_STORE"] = str(folder / "head")
    cluster.set_environment(None)
    import ray
    from ray.cluster_utils import Cluster

    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_initial_delay_ms": 0}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": health})
    other = nodes.add_node(num_cpus=1, env_vars={"SWEEP_STORE": str(folder / "other")})
    ray.init(address=nodes.address, namespace=cluster.NAMESPACE, log_to_driver=False, logging_level="CRITICAL")
    path, flags = laid_out(folder)
    flags |= {"enqueue": str(folder / "points"), "address": nodes.address}

    def swept(study: str, seed: int, kinds: str = "aabbccc") -> dict[str, Any]:
        first = [{"preprocess.kind": kind, "train.x": 0.5 + index / 100} for index, kind in enumerate(kinds)]
        (folder / "points").write_text("\n".join(map(json.dumps, first)))
        for met in folder.glob("met-*"):
            met.unlink()
        ended = sweep(launch_of(path, folder, **flags, study=study, seed=seed), view=lambda status: None)
        trials = stored(folder, study)
        return {
            "counted": counted(folder),
            "trials": ended.status.trials["complete"],
            "prepared": ended.status.to_json()["prepared"],
            "nodes": len({trial.system_attrs["sweep:attempt"]["node"] for trial in trials}),
            "values": [trial.values for trial in trials],
        }

    (folder / "meet-each").touch()
    seen = {"once": swept("once", 0)}
    entries = {store: {one.parent.name for one in (folder / store).glob("*/value.json")} for store in ("head", "other")}
    both = entries["head"] & entries["other"]
    seen["once"]["moved"] = [len(both), len(entries["head"] | entries["other"])]
    for key in entries["other"]:  # as if this node were new; a node is heard of when its first worker opens
        (folder / "other" / key).rename(folder / f"gone-{key}")
    seen["again"] = swept("again", 0)

    (folder / "count").unlink()
    (folder / "do-kill-b").touch()
    seen["killed"] = swept("killed", 1)

    (folder / "count").unlink()
    (folder / "meet-each").unlink()
    (folder / "do-lose").touch()

    def lose() -> None:
        while not (folder / "losing").exists():
            time.sleep(0.05)
        (folder / "do-lose").unlink()
        nodes.remove_node(other, allow_graceful=False)

    threading.Thread(target=lose, daemon=True).start()
    seen["lost"] = swept("lost", 2, "abababc")  # each node computes one
    (folder / "seen.json").write_text(json.dumps(seen))
    leave(nodes)


if __name__ == "__main__":
    main(*sys.argv[1:])
