"""A study that shares its cluster: it holds what it is granted, and pauses what it may not keep.

Mutations that turn these red: ignore the grant (`Allowance.is_used_up`), count those that are pausing as held, keep the
verdict of a trial that was to pause (`attempts.begin`), ask for more when there is nothing to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.plan import SweepPlan
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.study.shares import Bid, Grant, grants
from search.trial import Ending, Outcome, Progress, Verdict


def space(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 1.0)


def two_points(trial: Any) -> None:
    trial.suggest_categorical("x", ["a", "b"])


def opened(folder: Path, *, by_space: Any = space, **changes: Any) -> StudyOwner:
    given: dict[str, Any] = {"seed": 3, "trials": 20, "max_epochs": 9, "sampler": "random", **changes}
    given = {"pruner": "none", **given}
    names: dict[str, Any] = {"objective": "o", "space": "s", "study": "s", "results": str(folder)}
    plan = SweepPlan(**names, metrics=("loss",), directions=("minimize",), **given)
    return StudyOwner.open(plan, folder, by_space, slots=4, capacity=4, run=Run("first"), queues=True)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[StudyOwner]:
    owner = opened(tmp_path)
    yield owner
    owner.close()


def begin(owner: StudyOwner, turn: str, asks: int = 6) -> list[int]:
    """Ask so many times, and begin what is given."""
    specs = [owner.ask(f"{turn}-{index}:0").spec for index in range(asks)]
    begun = [spec.number for spec in specs if spec is not None]
    for number in begun:
        assert owner.begin(number, f"{turn}{number}").action != "skip"
    return begun


def report(owner: StudyOwner, number: int, turn: str, step: int) -> Verdict:
    return owner.report(number, f"{turn}{number}", Progress(step, {"loss": 1.0}, step))


def pause(owner: StudyOwner, number: int, turn: str, step: int) -> None:
    owner.tell(number, f"{turn}{number}", Outcome(Ending.PAUSED, step, {"loss": 1.0}))


def bid_of(owner: StudyOwner) -> Bid:
    return owner.bid("run", 1.0)


def test_nothing_begins_before_something_is_granted(owner: StudyOwner) -> None:
    assert begin(owner, "a") == []
    owner.allow(Grant(2))
    assert begin(owner, "b") == [0, 1]
    owner.allow(Grant(9))
    assert begin(owner, "c") == [2, 3]  # there is room for four


def test_an_equal_that_is_granted_less_goes_on_with_what_it_has(owner: StudyOwner) -> None:
    owner.allow(Grant(4))
    assert begin(owner, "a") == [0, 1, 2, 3]
    owner.allow(Grant(2))
    assert [report(owner, number, "a", 1) for number in range(4)] == [Verdict.CONTINUE] * 4
    assert begin(owner, "b") == []


def test_trials_that_may_not_be_kept_pause_and_go_on_under_their_numbers(owner: StudyOwner) -> None:
    owner.allow(Grant(3))
    assert begin(owner, "a") == [0, 1, 2]
    owner.allow(Grant(1, keep=1))
    said = [report(owner, number, "a", 1) for number in (2, 0, 1)]
    assert said == [Verdict.STOP, Verdict.STOP, Verdict.CONTINUE]
    assert report(owner, 2, "a", 1) is Verdict.STOP  # a repeated call
    for number in (2, 0):
        pause(owner, number, "a", 1)
    assert begin(owner, "b") == []
    assert owner.status().trials["paused"] == 2
    owner.allow(Grant(3))
    assert begin(owner, "c") == [2, 0]
    assert report(owner, 2, "c", 1) is Verdict.CONTINUE  # a training that repeats its steps
    assert report(owner, 0, "c", 2) is Verdict.CONTINUE


def test_a_trial_that_no_worker_has_begun_yet_begins_none_and_is_next_when_there_is_room(owner: StudyOwner) -> None:
    owner.allow(Grant(2))
    spec = owner.ask("a-0:0").spec
    assert spec is not None
    owner.allow(Grant(0, keep=0))
    assert owner.begin(spec.number, "t").action == "skip"
    owner.release("a-0")
    assert owner.status().trials["paused"] == 1
    assert bid_of(owner).held == 0
    owner.allow(Grant(1))
    again = owner.ask("b-0:0").spec
    assert again == spec
    assert owner.begin(spec.number, "u").action == "start"


def test_a_trial_that_makes_room_makes_it_at_once_and_no_other_pauses_in_its_stead(owner: StudyOwner) -> None:
    owner.allow(Grant(3))
    assert begin(owner, "a", 2) == [0, 1]
    late = owner.ask("b:0").spec
    assert late is not None
    owner.allow(Grant(2, keep=2))
    assert owner.begin(late.number, "late").action == "skip"
    assert [report(owner, number, "a", 1) for number in (0, 1)] == [Verdict.CONTINUE] * 2
    assert bid_of(owner).held == 2


def test_a_bid_of_trials_that_share_gpus_asks_their_share(tmp_path: Path) -> None:
    owner = opened(tmp_path, gpus=1.0, pack=True)
    owner.allow(Grant(1))
    (number,) = begin(owner, "a")
    assert bid_of(owner).asks == (1.0, 1.0, 0.0)
    report(owner, number, "a", 9)
    ended = Outcome(Ending.COMPLETE, 9, {"loss": 1.0}, gpu_peak_mb=15_000.0, gpu_mb=80_000.0)
    owner.tell(number, f"a{number}", ended)
    bid = bid_of(owner)
    assert bid.asks == (1.0, 0.25, 0.0)
    owner.allow(grants([(16.0, 1.0, 64e9)], [bid])["run"])
    assert len(begin(owner, "b")) == 4
    owner.close()


def test_a_bid_wants_what_budget_and_concurrency_allow(tmp_path: Path) -> None:
    owner = opened(tmp_path, trials=5, concurrency=3, priority=7, cpus=2.0)
    owner.allow(Grant(4))
    assert (bid_of(owner).want, bid_of(owner).priority, bid_of(owner).asks) == (3, 7, (2.0, 0.0, 0.0))
    for number in begin(owner, "a"):
        owner.tell(number, f"a{number}", Outcome(Ending.COMPLETE, 9, {"loss": 1.0}))
    assert (bid_of(owner).want, bid_of(owner).held) == (2, 0)
    owner.stop("stopped", "as you wish")
    assert bid_of(owner).want == 0
    owner.close()


def test_a_sweep_that_has_nothing_to_run_wants_no_more_until_something_changes(tmp_path: Path) -> None:
    owner = opened(tmp_path, by_space=two_points)
    owner.allow(Grant(3))
    assert bid_of(owner).want == 20
    begun = begin(owner, "a")
    assert len(begun) == 2  # the same parameters are not run twice: their result is waited for
    assert (bid_of(owner).want, bid_of(owner).held) == (2, 2)
    owner.allow(Grant(2))
    assert begin(owner, "b") == []
    assert bid_of(owner).want == 2
    owner.tell(begun[0], f"a{begun[0]}", Outcome(Ending.COMPLETE, 9, {"loss": 1.0}))
    assert bid_of(owner).want > 2
    owner.close()


def test_whom_a_sweep_waits_for_is_told_while_it_runs(owner: StudyOwner) -> None:
    owner.allow(Grant(0, queued="behind rain, 1st in line"))
    assert owner.status().queued == "behind rain, 1st in line"
    assert owner.status().to_json()["queued"] == "behind rain, 1st in line"
    owner.allow(Grant(1))
    assert "queued" not in owner.status().to_json()
    owner.allow(Grant(0, queued="behind rain, 1st in line"))
    owner.stop("stopped", "as you wish")
    assert owner.status().queued == ""
