"""Rules of one training on several devices: it comes to what one device does, and its ranks end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from objectives.augment import Augmentation
from objectives.ddp import Place, _abort_if_lost
from objectives.torch_learner import TorchLearner
from objectives.training import Training
from tests.objectives.training import convolutional, images, learner, trained


def _processes(made: TorchLearner) -> list[int]:
    assert made._crew is not None
    return [process.pid for process, _ in made._crew._ranks]


def _is_gone(pid: int, within_s: float = 20.0) -> bool:
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 16, 17])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("micro_batches", [1, 2, 5])
def test_ranks_and_parts_share_out_each_row_once(rows: int, world: int, micro_batches: int) -> None:
    shares = [Place(rank, world).parts(rows, micro_batches) for rank in range(world)]
    if rows < world:
        assert shares == [[slice(0, rows)]] * world
        return
    assert len({len(parts) for parts in shares}) == 1, "a rank that has fewer parts would be waited for"
    seen = sorted(row for parts in shares for part in parts for row in range(rows)[part])
    assert seen == [*range(rows)]
    assert all(part.stop > part.start for parts in shares for part in parts)


WHOLE: dict[str, tuple[Any, Any, dict[str, Any], dict[str, Any]]] = {
    "weighted classes, in parts": (None, None, {"class_weights": np.array([1.0, 3.0])}, {"micro_batches": 2}),
    "batch norms, augmentation, and a last batch of one row": (
        convolutional,
        images(49),
        {"augment": Augmentation(shift=0.2, rotate_deg=10.0, flip=True)},
        {},
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_two_devices_train_what_one_does(name: str) -> None:
    build, prepared, more, context = WHOLE[name]
    given = {"more": more, **context, **({"build": build, "prepared": prepared} if build else {})}
    losses, weights = trained(learner(**given))
    theirs, their_weights = trained(learner(**given, devices=2))
    assert theirs == pytest.approx(losses, rel=1e-5)
    for weight, array in weights.items():
        np.testing.assert_allclose(their_weights[weight], array, rtol=1e-4, atol=1e-6, err_msg=weight)


def test_a_training_goes_on_from_a_checkpoint_on_more_devices() -> None:
    adam = Training("adamw", lr=0.01, batch=16)
    whole, begun, going_on = learner(training=adam), learner(training=adam), learner(training=adam, devices=2)
    losses, _ = trained(whole)
    begun.fit_epoch()
    going_on.load_state(begun.state())
    assert trained(going_on, epochs=1)[0] == pytest.approx(losses[2:], rel=1e-4)


def test_a_rank_that_dies_fails_the_training_with_a_sentence_and_the_others_end() -> None:
    made = learner(devices=3)
    made.fit_epoch()
    assert made._crew is not None
    (first, second), folder = _processes(made), Path(made._crew._folder)
    assert folder.stat().st_mode & 0o077 == 0
    os.kill(first, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"rank 1 of 3 ended \(killed by signal 9\): the trial cannot go on without"):
        made.fit_epoch()
    made.close()
    assert _is_gone(second)
    assert not folder.exists()


def test_whoever_looks_for_lost_ranks_ends_with_them() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as rank:
        closing = threading.Event()
        looking = threading.Thread(target=_abort_if_lost, args=([(rank, None)], closing), daemon=True)
        looking.start()
        assert looking.is_alive()
        closing.set()
        looking.join(5)
        assert not looking.is_alive()
        rank.communicate(b"\n")


class Failing(nn.Module):
    """A network that fails in other processes than the one that built it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.home = os.getpid()

    def forward(self, features: Any) -> Any:
        if os.getpid() != self.home:
            raise ValueError("no such layer")
        return self.linear(features)


def test_what_goes_wrong_in_a_rank_is_told_as_its_own() -> None:
    made = learner(Failing, devices=2)
    with pytest.raises(RuntimeError, match="rank 1 of 2 failed: ValueError: no such layer"):
        made.fit_epoch()
    made.close()


def test_a_network_that_cannot_be_sent_is_told_before_training() -> None:
    class Local(nn.Linear):
        pass

    made = learner(lambda: Local(4, 2), devices=2)
    with pytest.raises(RuntimeError, match="its network and augmentation must be of classes at the top of a module"):
        made.fit_epoch()
    made.close()


def test_ranks_die_with_a_trial_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "trial.py"
    script.write_text(
        textwrap.dedent("""
        import time
        from tests.objectives.training import learner
        made = learner(devices=2)
        made.fit_epoch()
        print(made._crew._ranks[0][0].pid, flush=True)
        time.sleep(60)
        """)
    )
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    ) as trial:
        assert trial.stdout is not None
        rank = int(trial.stdout.readline())
        trial.kill()
    assert _is_gone(rank)
