"""What a trial that takes too much memory does: it alone ends, and says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.errors import SurroundingsError
from search.tuner import cluster
from tests.tuner.sweeps import run, stored, write

pytestmark = pytest.mark.usefixtures("ray_session")

TAKES = """
import ctypes, os, time
import numpy as np

def space(trial):
    trial.suggest_categorical("model.takes", ["little", "numpy", "array", "torch", "objects", "bytes", "native", "stubborn"])

@objective(space=space, metrics={"val_loss": "minimize"})
def takes(run):
    kept, takes = [], run.params["model.takes"]
    print(os.getpid())
    yield {"val_loss": 1.0}
    while takes == "numpy" and len(kept) < 150:
        kept.append(np.ones(2**20))
    if takes == "array":
        kept.append(np.ones(2**30 // 8))
    if takes == "torch":
        import torch
        while len(kept) < 150:
            kept.append(torch.ones(2**20) @ torch.ones(2**20, 2))
            kept.append(torch.ones(2**21))
    while takes == "objects" and len(kept) < 2 * 10**7:
        kept.append([len(kept)])
    if takes == "bytes":
        grown = bytearray()
        while len(grown) < 2**30:
            grown.extend(b"x" * 2**20)
    if takes == "native":
        ctypes.CDLL("libstdc++.so.6")._Znwm(ctypes.c_size_t(2**40))
    while takes == "stubborn" and len(kept) < 120:
        try:
            kept.append(np.ones(2**20))
            time.sleep(0.1)
        except MemoryError:
            pass
    yield {"val_loss": 0.5}
"""

KINDS = ["little", "numpy", "array", "torch", "objects", "bytes", "native", "stubborn"]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> dict[str, Any]:
    """One sweep in which trials take memory in every way, a small one after each; by kind, how it ended."""
    folder = tmp_path_factory.mktemp("takes")
    points = folder / "points.jsonl"
    points.write_text("\n".join(json.dumps({"model.takes": kind}) for kind in KINDS))
    path = write(folder, TAKES)
    run(path, folder, enqueue=str(points), trials=len(KINDS), memory="300m", concurrency=1, pruner="none", retries=1)
    return {trial.params["model.takes"]: trial for trial in stored(folder)}


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_trial_that_takes_more_than_its_memory_says_so(taken: dict[str, Any], kind: str) -> None:
    end = taken[kind].system_attrs["sweep:end"]
    assert (taken[kind].state.name, end["reason"]) == ("FAIL", "out_of_memory")
    assert end["text"] == "it took more than 300 MB of memory"


def test_a_trial_that_stays_within_it_completes(taken: dict[str, Any]) -> None:
    assert taken["little"].state.name == "COMPLETE"


def test_its_peak_is_in_its_record(taken: dict[str, Any]) -> None:
    little, numpy = (taken[kind].system_attrs["sweep:end"]["peak_mb"] for kind in ("little", "numpy"))
    assert 300 < numpy - little < 500


def test_a_demand_that_no_node_can_meet_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SurroundingsError, match=r"a trial asks 9999\.0 GB of memory, the largest node has \d+\.\d GB"):
        run(write(tmp_path, TAKES), tmp_path, trials=1, memory="9999g")
    assert not (tmp_path / "s").exists()
    with pytest.raises(SurroundingsError, match=r"a trial asks 9999\.0 GB of memory, the largest node has \d+\.\d GB"):
        cluster.this_machine(1, 0, 9999 * 2**30)


def test_no_more_trials_run_at_once_than_memory_allows() -> None:
    whole = int(cluster.capacity(1, 0).node_memory)
    assert [cluster.capacity(1, 0, size).slots for size in (whole, whole // 2)] == [1, 2]
