"""Shares of GPUs: the pure rules, and a study's owner that goes by them; nothing here has a GPU.

Mutations that turn these red: leave `HEADROOM` out; round a share to the nearest 1/10000; forget `shorts`; let a slot
answer for another share (`Packed._suits`); give a retried trial its old share again; count a peak of a trial that ran
out of memory to the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.blame import speaks_of_gpu_memory
from search.errors import FailReason
from search.study import attributes
from search.study.owner import StudyOwner
from search.study.packing import MOST, Need, after_shortage, fitting, has_room, larger, one_of, share_of, tried
from search.study.runs import Run
from search.study.storage import open_for_writing
from search.trial import Ending, Outcome, Progress, Verdict
from tests.records.owners import folder_of
from tests.study.studies import flat_space

SHORT = "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"


# --- the rules ---


@pytest.mark.parametrize(
    ("peaks", "gpu_mb", "shorts", "count"),
    [
        ([], 80_000, [], 1),  # nothing is known: a whole one
        ([9_000], None, [], 1),
        ([0.0], 80_000, [], 1),
        ([9_000], 80_000, [], 7),
        ([9_000, 19_000, 100], 80_000, [], 3),  # the largest counts, with headroom
        ([20_000], 80_000, [], 3),  # a fourth would have none
        ([100], 80_000, [], MOST),
        ([70_000], 80_000, [], 1),
        ([90_000], 80_000, [], 1),  # of another, larger GPU
        ([9_000], 24_000, [], 2),
        ([9_000], 80_000, [one_of(7)], 7),  # once may be chance
        ([9_000], 80_000, [one_of(7)] * 2, 6),
        ([9_000], 80_000, [one_of(7), 0.5], 6),  # who ran out with a half shows that a seventh is too small, too
        ([9_000], 80_000, [0.5, 0.5], 1),
    ],
)
def test_the_share_holds_the_largest_peak_so_far(
    peaks: list[float], gpu_mb: float | None, shorts: list[float], count: int
) -> None:
    assert share_of(peaks, gpu_mb, shorts) == one_of(count)


@given(st.lists(st.floats(1, 1e5), min_size=1), st.floats(1e3, 2e5), st.lists(st.integers(1, MOST).map(one_of)))
def test_a_share_is_a_whole_part_of_a_gpu_and_no_smaller_than_the_peaks(
    peaks: list[float], gpu_mb: float, shorts: list[float]
) -> None:
    share = share_of(peaks, gpu_mb, shorts)
    count = fitting(share)
    assert share == one_of(count)
    assert 1 <= count <= MOST
    assert count == 1 or share * gpu_mb >= max(peaks)
    assert share_of(peaks, gpu_mb, [*shorts, share]) >= share
    assert share_of([*peaks, max(peaks) * 2], gpu_mb, shorts) >= share


@pytest.mark.parametrize("count", range(1, 65))
def test_so_many_trials_fit_by_rays_arithmetic(count: int) -> None:
    assert fitting(one_of(count)) == count
    assert sum(round(one_of(count) * 10_000) for _ in range(count)) <= 10_000


@pytest.mark.parametrize(
    ("share", "again", "then"),
    [
        (0.25, False, 0.5),
        (0.25, True, 1.0),
        (0.5, False, 1.0),
        (0.3, False, 1.0),
        (1 / 8, False, 1 / 4),
        (0.2, True, 1),
    ],
)
def test_a_trial_gets_twice_its_share_and_then_a_whole_gpu(share: float, again: bool, then: float) -> None:
    assert larger(share, again=again) == then


def course(need: Need, *, splits: bool) -> list[Need]:
    """Return all that a trial is given that runs out of memory each time."""
    given_ = [need]
    while (more := after_shortage(given_[-1], again=len(given_) > 1, splits=splits)) is not None:
        given_.append(more)
    return given_


@pytest.mark.parametrize(
    ("need", "splits", "then"),
    [
        (Need(0.25), False, [Need(0.5), Need(1.0)]),
        (Need(0.25), True, [Need(0.5), Need(1.0), Need(1.0, 2), Need(1.0, 4)]),
        (Need(1.0), False, []),
        (Need(1.0), True, [Need(1.0, 2), Need(1.0, 4)]),
        (Need(2.0), False, []),
        (Need(0.1), False, [Need(0.2), Need(1.0)]),
    ],
)
def test_a_trial_is_never_tried_twice_with_the_same(need: Need, splits: bool, then: list[Need]) -> None:
    assert course(need, splits=splits)[1:] == then


@given(st.floats(0.01, 1), st.booleans())
def test_every_trial_comes_to_an_end(share: float, splits: bool) -> None:
    given_ = course(Need(share), splits=splits)
    assert len(given_) == len({*given_}) <= 5
    assert given_[-1].share == 1


def test_there_is_room_by_the_sum() -> None:
    assert has_room([0.5, 0.5], 1.0, 2)
    assert not has_room([0.5] * 3, 1.0, 2)
    assert has_room([one_of(3)] * 2, one_of(3), 1)
    assert has_room([], 2.0, 2)
    assert not has_room([], 2.0, 1)


def test_needs_go_through_json_and_are_told_in_words() -> None:
    needs = [Need(0.25), Need(1.0), Need(1.0, 4), Need(2.0)]
    assert [Need.from_json(need.to_json()) for need in needs] == needs
    assert tried(needs) == "0.25 GPU, then 1 GPU, then 1 GPU in 4 micro-batches, then 2 GPUs"


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        (SHORT, True),
        ("RuntimeError: CUDA error: out of memory", True),
        ("RuntimeError: cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", True),
        ("XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8589934592 bytes", True),
        ("HIP out of memory. Tried to allocate 20.00 MiB", True),
        ("MemoryError: Unable to allocate 8 GiB: out of memory", False),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory", False),
        ("XlaRuntimeError: RESOURCE_EXHAUSTED: Failed to allocate request for 2.0GiB on device ordinal 0", True),
        ("ResourceExhaustedError: OOM when allocating tensor, cannot allocate memory by allocator GPU_0_bfc", True),
        ("RuntimeError: cudaErrorMemoryAllocation: out of memory", True),
        ("ResourceExhausted: StatusCode.RESOURCE_EXHAUSTED: quota exceeded", False),
        ("OSError: [Errno 12] Cannot allocate memory: '/data/gpu_run/x.npy'", False),
        ("RuntimeError: out of memory while loading ship_dates", False),
        ("RuntimeError: CUDA error: device-side assert triggered", False),
    ],
)
def test_a_gpus_memory_is_told_from_other_memory_and_other_errors(text: str, is_so: bool) -> None:
    assert speaks_of_gpu_memory(text) is is_so


# --- the owner ---


class Sweep:
    """An owner, and the trials that it gave to slots."""

    def __init__(self, folder: Path, total: float, **changes: Any) -> None:
        self.place, self.plan = folder_of(folder, "s", **changes)
        self.total, self.runs, self.made, self.parts, self.now = total, 0, 0, 1, 0.0
        self.owner = self.open()

    def open(self, *, new: bool = True) -> StudyOwner:
        self.runs += new
        given_: dict[str, Any] = {"slots": 16, "run": Run(f"run-{self.runs}"), "gpus": self.total}
        root = self.place.root
        storage = open_for_writing(root / "study.journal", study=self.plan.study, folder=root)
        owner = StudyOwner(self.plan, storage, flat_space, **given_, clock=lambda: self.now)
        owner.prepare({})
        return owner

    def reopen(self, *, new: bool = False) -> None:
        """As after a crash of its process, or in a new run."""
        self.owner.close()
        self.owner = self.open(new=new)

    def begin(self, request: str = "") -> tuple[int, float | None, str] | None:
        """Ask as a new slot does, and begin; the trial, its share, its token."""
        self.made += 1
        asked = self.owner.ask(request or f"slot{self.made}:0")
        if asked.spec is None:
            return None
        token = f"t{self.made}"
        begun = self.owner.begin(asked.spec.number, token)
        assert begun.action != "skip"
        self.parts = begun.micro_batches
        return asked.spec.number, asked.gpus, token

    def end(self, number: int, token: str, *, peak_mb: float | None = None, gpu_mb: float | None = 80_000) -> None:
        verdict = self.owner.report(number, token, Progress(9, {"val_loss": 0.5}, 9))
        assert verdict is Verdict.CONTINUE
        ended = Outcome(Ending.COMPLETE, 9, {"val_loss": 0.5}, 9, gpu_peak_mb=peak_mb, gpu_mb=gpu_mb)
        self.owner.tell(number, token, ended)

    def run_out(self, number: int, token: str, *, text: str = SHORT, splits: bool = False) -> None:
        failed = Outcome(Ending.FAIL, reason=FailReason.OUT_OF_MEMORY, text=text, gpu_peak_mb=79_000.0, gpu_mb=80_000)
        self.owner.tell(number, token, Outcome(**{**_fields(failed), "splits_batches": splits}))

    def begin_all(self) -> list[tuple[int, float | None, str]]:
        begun = []
        while (one := self.begin()) is not None:
            begun.append(one)
        return begun

    def attribute(self, number: int, key: str) -> Any:
        return self.owner._parts.study.get_trials(deepcopy=False)[number].system_attrs[key]


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in Outcome.__slots__}


AUTO: dict[str, Any] = {"gpus": 1.0, "pack": True}


def test_the_first_trials_have_a_gpu_each_and_later_ones_share_them_by_what_was_used(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 2, **AUTO)
    first = sweep.begin_all()
    assert [share for _, share, _ in first] == [1.0, 1.0]
    sweep.end(first[0][0], first[0][2], peak_mb=15_000.0)
    assert [share for _, share, _ in sweep.begin_all()] == [0.25] * 4
    sweep.end(first[1][0], first[1][2], peak_mb=30_000.0)
    assert [share for _, share, _ in sweep.begin_all()] == [0.5, 0.5]  # those that run keep what they have
    assert sweep.attribute(first[0][0], attributes.END)["gpus"] == 1.0
    assert sweep.attribute(first[0][0], attributes.END)["gpu_peak_mb"] == 15_000.0


@pytest.mark.parametrize("new", [False, True])
def test_what_was_used_is_known_after_a_crash_and_in_a_new_run(tmp_path: Path, new: bool) -> None:
    sweep = Sweep(tmp_path, 1, **AUTO)
    (number, _, token), *_ = sweep.begin_all()
    sweep.end(number, token, peak_mb=15_000.0)
    sweep.reopen(new=new)
    assert [share for _, share, _ in sweep.begin_all()] == [0.25] * 4


def test_without_a_figure_every_trial_has_a_whole_gpu(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 2, **AUTO)
    for _ in range(3):
        number, share, token = sweep.begin() or (0, 0.0, "")
        assert share == 1.0
        sweep.end(number, token, peak_mb=None, gpu_mb=None)


def test_one_that_nobody_could_measure_has_all_after_it_have_a_whole_gpu(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 2, **AUTO)
    for peak_mb, share in ((15_000.0, 1.0), (15_000.0, 0.25), (None, 0.25), (15_000.0, 1.0)):
        number, had, token = sweep.begin() or (0, 0.0, "")
        assert had == share
        sweep.end(number, token, peak_mb=peak_mb)
    sweep.reopen()
    assert (sweep.begin() or (0, 0.0, ""))[1] == 1.0


def test_a_trial_that_nobody_has_begun_keeps_its_share_when_the_study_is_opened_again(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 1, gpus=1.0)
    assert sweep.owner.ask("a:0").gpus == 1.0
    sweep.reopen()
    assert sweep.owner.ask("b:0").spec is None  # it is taken
    number, had, token = sweep.begin("a:0") or (-1, 0.0, "")
    assert (number, had) == (0, 1.0)
    sweep.end(number, token)
    assert sweep.attribute(number, attributes.END)["gpus"] == 1.0


@pytest.mark.parametrize("reopened", [None, False, True])
def test_time_on_gpus_counts_each_attempt_with_the_part_that_it_had(tmp_path: Path, reopened: bool | None) -> None:
    sweep = Sweep(tmp_path, 1, gpus=0.125)
    number, _, token = sweep.begin() or (0, 0.0, "")
    sweep.now += 1000
    sweep.run_out(number, token)
    assert sweep.owner._course.spent().gpu_s == 125.0
    if reopened is not None:
        sweep.reopen(new=reopened)
    number, _, token = sweep.begin() or (0, 0.0, "")
    sweep.now += 10
    assert sweep.owner._course.spent().gpu_s == pytest.approx(127.5)
    sweep.end(number, token)
    sweep.reopen()
    assert sweep.owner._course.spent().gpu_s == pytest.approx(127.5)


def test_the_smallest_gpu_counts(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 4, **AUTO)
    for total in (80_000, 24_000):
        number, _, token = sweep.begin() or (0, 0.0, "")
        sweep.end(number, token, peak_mb=9_000.0, gpu_mb=total)
    assert (sweep.begin() or (0, 0.0, ""))[1] == 0.5


def test_a_slot_keeps_its_share_and_ends_where_the_next_trial_is_to_have_another(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 2, **AUTO)
    number, _, token = sweep.begin("a:0") or (0, 0.0, "")
    failed = Outcome(Ending.FAIL, reason=FailReason.EXCEPTION, text="ValueError: 0")
    sweep.owner.tell(number, token, failed)  # nothing was measured: the share stays
    number, share, token = sweep.begin("a:1") or (0, 0.0, "")
    assert share == 1.0
    sweep.end(number, token, peak_mb=15_000.0)
    assert sweep.begin("a:2") is None
    assert (sweep.begin("b:0") or (0, 0.0, ""))[1] == 0.25
    assert sweep.owner.ask("b:0").gpus == 0.25  # asked again


@pytest.mark.parametrize(("gpus", "shares"), [(0.25, [0.5, 1.0]), (0.5, [1.0]), (1.0, []), (2.0, [])])
def test_a_trial_that_runs_out_of_gpu_memory_gets_more_and_then_fails_with_what_it_had(
    tmp_path: Path, gpus: float, shares: list[float]
) -> None:
    sweep = Sweep(tmp_path, 2, gpus=gpus)
    number, had, token = sweep.begin() or (0, 0.0, "")
    assert had == gpus
    for share in shares:
        sweep.run_out(number, token)
        sweep.owner.tell(number, token, Outcome(Ending.FAIL, reason=FailReason.OUT_OF_MEMORY, text=SHORT))  # again
        assert sweep.owner.status().trials["paused"] == 1
        assert sweep.owner.status().trials["fail"] == 0
        sweep.reopen()  # what it is to have is stored
        again, had, token = sweep.begin() or (-1, 0.0, "")
        assert (again, had) == (number, share)
        assert sweep.attribute(number, attributes.ATTEMPT)["gpus"] == share
    sweep.run_out(number, token)
    status = sweep.owner.status()
    assert status.trials["fail"] == 1
    assert dict(status.failures) == {"out_of_memory": 1}
    end = sweep.attribute(number, attributes.END)
    assert end["gpu_peak_mb"] == 79_000.0
    assert [one["share"] for one in end.get("short", [])] == [gpus, *shares][:-1]
    if shares:
        assert end["text"].endswith(f"it had {tried([Need(one) for one in (gpus, *shares)])}")


def test_a_learner_that_splits_its_batches_is_tried_with_halves_and_quarters_on_a_whole_gpu(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 2, **AUTO)
    number, _, token = sweep.begin() or (0, 0.0, "")
    for parts in (2, 4):
        sweep.run_out(number, token, splits=True)
        again, _, token = sweep.begin() or (-1, 0.0, "")
        assert (again, sweep.parts) == (number, parts)
    sweep.run_out(number, token, splits=True)
    end = sweep.attribute(number, attributes.END)
    assert end["micro_batches"] == 4
    assert end["text"].endswith("it had 1 GPU, then 1 GPU in 2 micro-batches, then 1 GPU in 4 micro-batches")


def test_one_that_had_too_little_to_the_end_says_nothing_of_the_others(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 1, **AUTO)
    number, _, token = sweep.begin() or (0, 0.0, "")
    sweep.end(number, token, peak_mb=15_000.0)
    number, _, token = sweep.begin() or (0, 0.0, "")
    for _ in range(3):
        sweep.run_out(number, token)
        number, _, token = sweep.begin() or (number, 0.0, token)
    assert dict(sweep.owner.status().failures) == {"out_of_memory": 1}
    assert (sweep.begin() or (0, 0.0, ""))[1] == 0.25


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (FailReason.OUT_OF_MEMORY, "MemoryError: out of memory"),
        (FailReason.EXCEPTION, "RuntimeError: CUDA error: device-side assert triggered"),
        (FailReason.NAN, "metric 'val_loss' is nan"),
    ],
)
def test_no_other_failure_is_tried_again(tmp_path: Path, reason: FailReason, text: str) -> None:
    sweep = Sweep(tmp_path, 2, gpus=0.25)
    number, _, token = sweep.begin() or (0, 0.0, "")
    sweep.owner.tell(number, token, Outcome(Ending.FAIL, reason=reason, text=text))
    assert sweep.owner.status().trials["fail"] == 1


def test_a_trial_without_a_gpu_is_not_tried_again(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 2, gpus=0.0)
    number, share, token = sweep.begin() or (0, 0.0, "")
    assert share is None
    sweep.run_out(number, token)
    assert sweep.owner.status().trials["fail"] == 1
    assert "gpus" not in sweep.attribute(number, attributes.END)


def test_a_trial_that_needs_a_whole_gpu_is_not_overtaken_by_small_ones(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, 2, gpus=0.5)
    begun = sweep.begin_all()
    assert len(begun) == 4
    sweep.run_out(begun[0][0], begun[0][2])
    assert sweep.begin() is None  # a half is free, and it is kept for the one that is next
    sweep.end(begun[1][0], begun[1][2])
    assert (sweep.begin() or (-1, 0.0, ""))[:2] == (begun[0][0], 1.0)
    assert sweep.begin() is None
