"""Large checkpoints travel in pieces, beside a trial's training, and arrive whole or not at all.

Mutations that turn these red: leave the size out of `TrialFiles.save_pieces`; let `save_piece` make a file again whose
beginning is gone; let `Parcels.send` not wait for the one before, or not copy; let `Blobs.admit` admit everybody.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from search.checkpoint import Checkpoint, CheckpointDamaged
from search.contract import REPLAY, State
from search.flat import PIECE_BYTES, Flat, arrays_in, is_large
from search.session import SessionLost
from search.trialfiles import TrialFiles, decode
from search.tuner.blobs import AT_ONCE, Blobs, Parcels
from tests.faults.test_full_disk import LEARNS
from tests.tuner.sweeps import run, stored

KINDS: dict[str, np.ndarray[Any, Any]] = {
    "floats": np.linspace(0, 1, 7, dtype=np.float32),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "one number": np.array(3),
    "none": np.zeros((0, 3), np.float16),
    "switches": np.array([True, False, True]),
    "other byte order": np.arange(5, dtype=">i4"),
    "ünï": np.arange(3, dtype=np.uint8),
}


def checkpoint(step: int = 1, megabytes: float = 2.5, **others: Any) -> Checkpoint:
    return Checkpoint(
        step, step, State({"w": np.full(int(megabytes * 131_072), step, np.float64)}, {"at": step}), **others
    )


def plainly(method: Any, *arguments: Any) -> Any:
    """Call as a worker calls an actor, in this process."""
    return method(*arguments)


def parcels_of(root: Path, number: int = 0, blobs: Any = None) -> Parcels:
    return Parcels(number, TrialFiles(root), blobs or Blobs(root), plainly)


@pytest.mark.parametrize("piece", [1, 13, 1 << 20])
def test_what_is_flat_is_what_the_library_writes_and_reads(piece: int) -> None:
    flat = Flat(KINDS, copies=True)
    content = b"".join(one.tobytes() for one in flat.pieces(piece))
    assert len(content) == flat.size
    native = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in KINDS.items()}
    for found in (load(content), arrays_in(np.frombuffer(content, np.uint8))):
        assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in KINDS.items()}
    written = arrays_in(np.frombuffer(save({n: np.asarray(a, order="C") for n, a in native.items()}), np.uint8))
    assert {name: array.tolist() for name, array in written.items()} == {n: a.tolist() for n, a in KINDS.items()}


def test_a_state_without_arrays_is_flat_too() -> None:
    assert load(b"".join(one.tobytes() for one in Flat({}, copies=True).pieces())) == {}


@pytest.mark.parametrize("size", [0, 7, 8, 40, -1])
def test_a_file_that_is_cut_off_is_none(size: int) -> None:
    content = b"".join(one.tobytes() for one in Flat(KINDS, copies=False).pieces())
    with pytest.raises(ValueError, match=r"."):
        arrays_in(np.frombuffer(content[:size], np.uint8))


def test_a_type_that_the_format_lacks_is_left_to_the_library() -> None:
    assert is_large([np.zeros(9)], 8)
    assert not is_large([np.zeros(9, np.complex128)], 8)
    assert not is_large([np.zeros(1)], 8)


@pytest.mark.parametrize("megabytes", [0.1, 2.5, 20])
def test_a_checkpoint_comes_back_as_it_was_sent(tmp_path: Path, megabytes: float) -> None:
    parcels = parcels_of(tmp_path)
    parcels.send("latest", checkpoint(3, megabytes, memory={"best_step": 2}))
    found = parcels.fetch("latest")
    assert found is not None
    assert isinstance(found.state, State)
    assert (found.step, found.units, dict(found.memory), dict(found.state.meta)) == (3, 3, {"best_step": 2}, {"at": 3})
    assert np.array_equal(found.state.arrays["w"], np.full(int(megabytes * 131_072), 3.0))
    assert decode(TrialFiles(tmp_path).load(0, "latest")) is not None  # as whoever reads it from the disk does
    assert len(list((tmp_path / "trials/00000/checkpoint").iterdir())) == 2


def test_a_replayed_state_and_a_missing_one_come_back(tmp_path: Path) -> None:
    parcels = parcels_of(tmp_path)
    assert parcels.fetch("best") is None
    parcels.send("best", Checkpoint(1, 1, REPLAY))
    found = parcels.fetch("best")
    assert found is not None
    assert found.state is REPLAY


class Slow(Blobs):
    """Takes no piece before it is let."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.let, self.asked = threading.Event(), threading.Event()

    def take(self, *arguments: Any) -> None:
        self.asked.set()
        assert self.let.wait(20)
        super().take(*arguments)


def test_training_goes_on_and_changes_nothing_of_what_is_on_its_way(tmp_path: Path) -> None:
    slow = Slow(tmp_path)
    parcels, sent = parcels_of(tmp_path, blobs=slow), checkpoint(1)
    parcels.send("latest", sent)
    assert slow.asked.wait(20)
    assert isinstance(sent.state, State)
    np.asarray(sent.state.arrays["w"])[:] = 9  # as a learner does whose state is its weights
    assert not TrialFiles(tmp_path).step_kept(0)
    slow.let.set()
    found = parcels.fetch("latest")
    assert found is not None
    assert isinstance(found.state, State)
    assert found.state.arrays["w"][0] == 1


def test_at_most_one_is_on_its_way_and_they_arrive_in_order(tmp_path: Path) -> None:
    slow = Slow(tmp_path)
    parcels = parcels_of(tmp_path, blobs=slow)
    parcels.send("latest", checkpoint(1))
    second = threading.Thread(target=parcels.send, args=("latest", checkpoint(2, 0.1)))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    slow.let.set()
    second.join(20)
    assert TrialFiles(tmp_path).step_kept(0) == 2


def test_an_actor_admits_a_few_workers_at_once_and_the_next_when_one_is_done(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert [blobs.admit(str(one)) for one in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    assert blobs.admit("0"), "it may ask again"
    assert not blobs.keep(0, "latest", "0", 10, "x" * 64, "{}"), "nothing of it has come"
    assert blobs.admit("next")


class Careless(Blobs):
    """Loses what has come of the first sendings."""

    def __init__(self, root: Path, times: int) -> None:
        super().__init__(root)
        self.times, self.root = times, root

    def take(self, number: int, kind: Any, transfer: str, at: int, piece: Any) -> None:
        super().take(number, kind, transfer, at, piece)
        if self.times and at == 0:
            self.times -= 1
            TrialFiles(self.root).drop([number])


def test_what_was_lost_on_its_way_is_sent_again(tmp_path: Path) -> None:
    parcels = parcels_of(tmp_path, blobs=Careless(tmp_path, 1))
    parcels.send("latest", checkpoint(4, 20))
    assert parcels.fetch("latest") is not None
    assert not parcels.notes


def test_what_is_lost_again_is_told_and_the_trial_goes_on(tmp_path: Path) -> None:
    parcels = parcels_of(tmp_path, blobs=Careless(tmp_path, 2))
    parcels.send("latest", checkpoint(4, 20))
    assert parcels.fetch("latest") is None
    assert parcels.notes == ["its latest checkpoint of step 4 was lost on its way"]


def test_a_lost_actor_is_told_at_the_next_checkpoint_or_the_end(tmp_path: Path) -> None:
    class Dead(Blobs):
        def take(self, *arguments: Any) -> None:
            raise SessionLost("the actor is gone")

    parcels = parcels_of(tmp_path, blobs=Dead(tmp_path))
    parcels.send("latest", checkpoint(1))
    with pytest.raises(SessionLost):
        parcels.settle()
    parcels.settle()  # once


def test_the_checkpoint_before_stays_until_the_next_is_whole(tmp_path: Path) -> None:
    parcels, files = parcels_of(tmp_path), TrialFiles(tmp_path)
    parcels.send("latest", checkpoint(1))
    parcels.settle()
    files.save_piece(0, "latest", "lost", 0, np.zeros(100, np.uint8))
    assert not files.save_pieces(0, "latest", "lost", 101, "0" * 64, "{}")
    assert parcels.fetch("latest") is not None
    parcels.send("latest", checkpoint(2))
    parcels.settle()
    assert not list((tmp_path / "trials/00000/checkpoint").glob(".*")), "what a lost worker left goes"


def test_a_checkpoint_put_in_place_twice_is_there_once(tmp_path: Path) -> None:
    files = TrialFiles(tmp_path)
    files.save_piece(0, "latest", "a", 0, np.zeros(100, np.uint8))
    meta = json.dumps({"step": 1})
    assert files.save_pieces(0, "latest", "a", 100, "0" * 64, meta)
    assert files.save_pieces(0, "latest", "a", 100, "0" * 64, meta), "whoever sent it may not have heard"


@pytest.mark.parametrize("harm", ["cut", "flip", "gone", "no json", "leads out"])
def test_a_damaged_checkpoint_is_called_damaged(tmp_path: Path, harm: str) -> None:
    parcels = parcels_of(tmp_path)
    parcels.send("latest", checkpoint(1, PIECE_BYTES / 1e6 + 1))
    parcels.settle()
    folder = tmp_path / "trials/00000/checkpoint"
    (path,) = folder.glob("*.safetensors")
    content, told = bytearray(path.read_bytes()), json.loads((folder / "latest.json").read_text())
    if harm == "cut":
        path.write_bytes(content[:-1])
    elif harm == "flip":
        content[-1] ^= 1
        path.write_bytes(content)
    elif harm == "gone":
        path.unlink()
    elif harm == "no json":
        (folder / "latest.json").write_text("{")
    else:
        (folder / "latest.json").write_text(json.dumps({**told, "arrays": "../../../../etc/passwd"}))
    with pytest.raises(CheckpointDamaged):
        parcels.fetch("latest")


def test_the_best_trial_of_a_sweep_leaves_its_large_checkpoint(ray_session: None, tmp_path: Path) -> None:
    path = tmp_path / "problem.py"
    path.write_text(LEARNS.replace("2000", "400_000"))
    ended = run(path, tmp_path / "results", trials=2, max_epochs=9, patience=0, pruner="none")
    assert ended.status.trials == {**ended.status.trials, "complete": 2}
    assert ended.status.best is not None
    kept = {
        int(one.parent.name): decode(TrialFiles(tmp_path / "results/s").load(int(one.parent.name), "best"))
        for one in (tmp_path / "results/s/trials").glob("*/checkpoint")
    }
    assert list(kept) == [ended.status.best.number]
    best = kept[ended.status.best.number]
    assert best is not None
    assert isinstance(best.state, State)
    trial = stored(tmp_path / "results")[ended.status.best.number]
    assert float((best.state.arrays["weights"] ** 2).mean()) / best.units == pytest.approx(trial.value)
