"""Parts of Ray that are killed: on one machine the sweep ends in a sentence, in a cluster it goes on elsewhere.

Mutations that turn these red: watch for neither raylet nor GCS (`search.tuner.cluster.what_is_lost`); hold the loss of
a node against its trial (`endings.lose`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.test_resume import family_of, reports, survivors, sweep, wait_for
from tests.together import together
from tests.tuner.sweeps import SLOW, launch_of, leave, stored, write

ROOT = Path(__file__).parents[2]
LIMIT_S = 60


def test_without_a_part_of_ray_a_sweep_ends_within_a_minute_and_leaves_nothing(tmp_path: Path) -> None:
    together({name: partial(ends_without, name, tmp_path / name) for name in ("raylet", "gcs_server")})


def ends_without(name: str, folder: Path) -> None:
    """See what a sweep does when a part of its Ray is killed."""
    folder.mkdir()
    objective, results = write(folder, SLOW), folder / "results"
    flags = ("--max-epochs", "4", "--trials", "3", "--study", "s", "--pruner", "none")
    process = sweep(results, "run", str(objective), *flags, "--patience", "0")
    wait_for(lambda: reports(results) >= 3, process)
    family = family_of(process)
    (part,) = [one for one in family if one.name() == name]
    begun = time.monotonic()
    part.kill()
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3, err
    assert time.monotonic() - begun < LIMIT_S
    assert f"Ray's {name} ended unexpectedly; `sweep resume s" in err
    assert "Traceback" not in err
    assert not survivors(family, 10)

    process = sweep(results, "resume", "s")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["trials"]["complete"] == 3
    assert {trial.system_attrs["sweep:end"]["lost"] for trial in stored(results)} == {0}


def test_trials_of_a_lost_node_go_on_elsewhere_under_their_numbers(tmp_path: Path) -> None:
    write(tmp_path, SLOW)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.test_nodes", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert (seen["state"], seen["trials"]["complete"]) == ("finished", 6)
    trials = stored(tmp_path)
    assert [trial.number for trial in trials] == list(range(6))
    for trial in trials:
        assert sorted(trial.intermediate_values) == list(range(1, 11))
        assert trial.system_attrs["sweep:end"]["lost"] == 0
    assert seen["there"]
    for number in seen["there"]:
        assert trials[number].system_attrs["sweep:attempt"]["node"] != seen["node"]
        assert trials[number].system_attrs["sweep:attempt"]["resumed"]


# --- in a process of its own, whose Ray is a cluster of two nodes ---


def main(folder: str) -> None:
    """Run a sweep on two nodes, end the one that is not the head while it runs a trial, and say what was seen."""
    from search.tuner import cluster
    from search.tuner.driver import sweep as run

    cluster.set_environment(None)
    import ray
    from ray.cluster_utils import Cluster

    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_initial_delay_ms": 0}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": health})
    other = nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, namespace=cluster.NAMESPACE, log_to_driver=False, logging_level="CRITICAL")
    path = Path(folder) / "problem.py"
    launch = launch_of(path, Path(folder), trials=6, max_epochs=10, pruner="none", patience=0, concurrency=2)
    seen: dict[str, Any] = {"node": other.node_id, "there": []}

    def lose_a_node() -> None:
        while not seen["there"]:
            time.sleep(0.2)
            for trial in stored(Path(folder)) if launch.folder.journal.exists() else []:
                here = trial.system_attrs.get("sweep:attempt", {}).get("node") == other.node_id
                if here and not trial.state.is_finished() and len(trial.intermediate_values) > 3:
                    seen["there"].append(trial.number)
        nodes.remove_node(other, allow_graceful=False)

    thread = threading.Thread(target=lose_a_node, daemon=True)
    thread.start()
    ended = run(launch, view=lambda status: None)
    thread.join(timeout=10)
    (Path(folder) / "seen.json").write_text(json.dumps({**seen, **ended.status.to_json()}))
    leave(nodes)


if __name__ == "__main__":
    main(*sys.argv[1:])
