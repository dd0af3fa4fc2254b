"""GPUs of trials: what each sees, over real Ray with GPUs that are numbers; and a worker's memory, read from values.

Mutations that turn these red: ask Ray for the plan's GPUs whatever the study says (`driver.resources`); let a part of a
GPU be cut out of two (`capacity._fit`); wait for memory without an end; take a process for clean that holds tensors.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from search.paths import StudyFolder
from search.records.study import read
from search.resume import prepare
from search.study.owner import StudyOwner
from search.study.packing import one_of
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress
from search.tuner.capacity import room
from search.tuner.driver import sweep
from search.tuner.gpu import CONTEXT_MB, LEFT_MB, Bay, gpu_of
from tests.study.studies import flat_space
from tests.tuner.sweeps import launch_of, run, stored, write

SEEN = """
import os, time

def space(trial):
    trial.suggest_float("x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def seen(run):
    began = time.time()
    time.sleep(0.5)
    print(os.environ["CUDA_VISIBLE_DEVICES"], began, time.time())
    yield {"val_loss": run.params["x"]}
"""

SHORT = """
import os

def space(trial):
    trial.suggest_float("x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def short(run):
    print(os.environ["CUDA_VISIBLE_DEVICES"])
    tries = HERE / f"tries-{run.params['x']}"
    with tries.open("a") as file:
        file.write("x")
    if tries.stat().st_size < 2:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    yield {"val_loss": run.params["x"]}
"""


READY = """
    if not (HERE / "ready").exists():  # a trial that ends well, and is not measured, has all after it take whole GPUs
        raise RuntimeError("not yet")
    began ="""


def logs(results: Path) -> list[list[str]]:
    return [log.read_text().split() for log in sorted((results / "s" / "trials").rglob("log.txt"))]


def most_at_once(rows: list[list[str]]) -> dict[str, int]:
    """Return how many trials saw the same devices at the same moment, at most."""
    most: dict[str, int] = {}
    for devices, began, _ in rows:
        together = [row for row in rows if row[0] == devices and float(row[1]) <= float(began) < float(row[2])]
        most[devices] = max(most.get(devices, 0), len(together))
    return most


# --- over Ray: two CPUs, two GPUs ---


@pytest.mark.usefixtures("ray_session")
def test_a_trial_with_two_gpus_sees_both(tmp_path: Path) -> None:
    run(write(tmp_path, SEEN), tmp_path, trials=1, gpus=2, cpus=0.25)
    assert [row[0] for row in logs(tmp_path)] == ["0,1"]


@pytest.mark.usefixtures("ray_session")
def test_trials_with_a_quarter_share_a_gpu_by_four(tmp_path: Path) -> None:
    run(write(tmp_path, SEEN), tmp_path, trials=5, gpus=0.25, cpus=0.25, concurrency=3, pruner="none")
    rows = logs(tmp_path)
    assert {row[0] for row in rows} <= {"0", "1"}  # never "0,1"
    assert max(most_at_once(rows).values()) <= 4
    assert {trial.system_attrs["sweep:attempt"]["gpus"] for trial in stored(tmp_path)} == {0.25}


@pytest.mark.usefixtures("ray_session")
def test_a_trial_that_runs_out_of_gpu_memory_goes_on_with_more_of_it(tmp_path: Path) -> None:
    ended = run(write(tmp_path, SHORT), tmp_path, trials=1, gpus=0.5, cpus=0.25)
    assert ended.status.trials["complete"] == 1
    (trial,) = stored(tmp_path)
    end = trial.system_attrs["sweep:end"]
    assert [one["share"] for one in end["short"]] == [0.5]
    assert end["gpus"] == trial.system_attrs["sweep:attempt"]["gpus"] == 1.0
    assert {row[-1] for row in logs(tmp_path)} <= {"0", "1"}


@pytest.mark.usefixtures("ray_session")
def test_what_trials_used_sets_how_many_share_a_gpu(tmp_path: Path) -> None:
    path = write(tmp_path, SEEN.replace("    began =", READY))
    run(path, tmp_path, trials=1, gpus="auto", cpus=0.25, pruner="none", concurrency=3)
    (first,) = stored(tmp_path)
    (tmp_path / "ready").touch()
    assert first.system_attrs["sweep:end"]["gpus"] == 1.0
    folder = StudyFolder(tmp_path / "s")
    plan = replace(read(folder).plan, trials=5)
    owner = StudyOwner.open(plan, folder.root, flat_space, slots=1, run=Run("measured"))  # as where there are GPUs
    spec = owner.ask("a:0").spec
    assert spec is not None
    owner.begin(spec.number, "t")
    owner.report(spec.number, "t", Progress(4, {"val_loss": 0.5}, 4))
    used = Outcome(Ending.COMPLETE, 4, {"val_loss": 0.5}, 4, gpu_peak_mb=30_000.0, gpu_mb=80_000.0)
    owner.tell(spec.number, "t", used)
    owner.finish()
    owner.close()
    ended = sweep(prepare(read(folder), plan, accept_changes=True), view=lambda status: None)
    assert ended.status.trials["complete"] == 4
    later = [trial.system_attrs["sweep:attempt"]["gpus"] for trial in stored(tmp_path)[2:]]
    assert later == [0.5] * 3
    assert max(most_at_once([row for row in logs(tmp_path) if len(row) == 3]).values()) <= 2


@pytest.mark.parametrize(
    ("gpus", "trials"),
    [(0.25, 8), (0.4, 4), (0.5, 4), (0.6, 2), (one_of(3), 6), (one_of(6), 12), (1.0, 2), (2.0, 1)],
)
def test_a_part_of_a_gpu_is_never_cut_out_of_two(gpus: float, trials: int) -> None:
    assert room([{"CPU": 64.0, "GPU": 2.0}], 1.0, gpus) == trials


def test_more_than_one_gpu_is_refused_but_in_whole_ones(tmp_path: Path) -> None:
    from search.errors import InputError

    sentence = re.escape("--gpus above 1 must be a whole number, got '1.5'")
    with pytest.raises(InputError, match=sentence):
        launch_of(write(tmp_path, SEEN), tmp_path, gpus=1.5)
    plan = launch_of(write(tmp_path, SEEN), tmp_path, gpus="auto").plan
    assert (plan.gpus, plan.pack, plan.asked_gpus) == (1.0, True, "auto")


# --- a worker's memory ---


@dataclass
class Told:
    """A GPU whose figures are told beforehand; those of what is free one after the other."""

    free: list[float]
    total: float = 10_000.0
    peak: float | None = None
    held: float = 0.0
    taken: float = 0.0
    limits: list[float] = field(default_factory=list)

    def begin(self) -> None:
        self.peak = None

    def peak_mb(self) -> float | None:
        return self.peak

    def held_mb(self) -> float:
        return self.held

    def taken_mb(self) -> float:
        return self.taken

    def memory_mb(self) -> tuple[float, float]:
        return (self.free.pop(0) if len(self.free) > 1 else self.free[0]), self.total

    def give_back(self) -> None:
        self.taken = self.held

    def limit(self, part: float) -> None:
        self.limits.append(part)


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def bay(gpu: Told, share: float = 1.0, *, bound: bool = False, wait_s: float = 2.0) -> tuple[Bay, Time]:
    time = Time()
    return Bay(gpu, share, bound=bound, wait_s=wait_s, clock=lambda: time.now, sleep=time.sleep), time


def test_a_trial_waits_until_its_gpu_is_free() -> None:
    there, time = bay(Told([1_000, 4_000, 9_500]))
    assert there.wait() == ""
    assert time.now == 0.5


def test_what_the_worker_itself_keeps_is_free_for_its_trial() -> None:
    there, time = bay(Told([3_000], taken=6_500))
    assert there.wait() == ""
    assert time.now == 0


def test_it_does_not_wait_for_ever_and_says_so_once() -> None:
    gpu = Told([4_000])
    there, time = bay(gpu)
    assert there.wait() == "only 4000 of its GPU's 10000 MB were free when it began, after 2 s of waiting"
    assert time.now == 2
    assert there.wait() == ""  # what is there for good is not waited for again
    gpu.free = [1_000]
    assert there.wait() != ""


def test_a_part_that_others_may_take_is_not_waited_for() -> None:
    assert bay(Told([100]), 0.5)[0].wait() == ""
    assert bay(Told([100]), 0.5, bound=True)[0].wait() != ""
    assert bay(Told([4_600]), 0.5, bound=True)[0].wait() == ""


def test_a_packed_trial_takes_no_more_than_its_share() -> None:
    gpu = Told([10_000])
    bay(gpu, 0.25, bound=True)
    assert gpu.limits == [pytest.approx(0.25 - CONTEXT_MB / 10_000)]
    for share, bound in ((1.0, True), (0.25, False), (2.0, True)):
        other = Told([10_000])
        bay(other, share, bound=bound)
        assert other.limits == []


@pytest.mark.parametrize(("left", "is_clean"), [(0.0, True), (LEFT_MB, True), (LEFT_MB + 1, False)])
def test_a_process_that_holds_tensors_after_its_trial_is_not_clean(left: float, is_clean: bool) -> None:
    gpu = Told([10_000], held=left, taken=5_000)
    there, _ = bay(gpu)
    there.clear()
    assert there.is_clean is is_clean
    assert gpu.taken == left


def test_the_end_of_a_trial_says_what_it_took() -> None:
    gpu = Told([10_000], peak=5_000.0)
    there, _ = bay(gpu)
    ended = there.measured(Outcome(Ending.COMPLETE))
    assert (ended.gpu_peak_mb, ended.gpu_mb) == (5_000.0, 10_000.0)
    there.begin()
    assert there.measured(Outcome(Ending.COMPLETE)) == Outcome(Ending.COMPLETE)


def test_a_worker_without_a_gpu_that_torch_can_use_has_nothing_to_read() -> None:
    assert gpu_of([]) is None
    assert (gpu_of([0]) is None) is not torch.cuda.is_available()


OF_A_FIRST_TRIAL = """
import torch
from search.tuner.gpu import gpu_of
gpu = gpu_of([0])
if gpu is not None:
    gpu.begin()
print(torch.cuda.is_initialized())
"""


def test_the_first_trial_of_a_process_is_measured_before_torch_has_opened_its_gpu() -> None:
    done = subprocess.run([sys.executable, "-c", OF_A_FIRST_TRIAL], check=False, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
