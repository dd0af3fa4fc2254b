"""Trials that hang in every way are ended soon after their time-out, told as that, and the sweep goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import hung
from search.plan import SweepPlan
from search.study.attempts import OVERDUE_S
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, Outcome, Overdue
from search.tuner.hung import Hung
from search.tuner.watchdog import LATE_S
from tests.study.studies import flat_space

LIMIT_S = 2.0


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Any:
    return hung.sweep(tmp_path_factory.mktemp("hung"), trials=len(hung.WAYS), limit_s=LIMIT_S)


@pytest.mark.parametrize("way", hung.WAYS)
def test_a_trial_that_hangs_ends_as_timeout_within_seconds_of_its_limit(ended: Any, way: str) -> None:
    assert (ended[way].count, ended[way].timeouts) == (1, 1)
    assert LATE_S / 2 < ended[way].latest_s < hung.LATEST_S


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def owner(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An owner of a study whose trials may run for two seconds."""
    plan = SweepPlan(
        objective="objective",
        space="space",
        study="a",
        results=str(tmp_path.parent),
        metrics=("val_loss",),
        directions=("minimize",),
        seed=1,
        trials=50,
        pruner="none",
        trial_timeout_s=LIMIT_S,
    )
    from search.study.storage import open_for_writing

    storage = open_for_writing(tmp_path / "study.journal", study="a", folder=tmp_path)
    owner = StudyOwner(plan, storage, flat_space, slots=2, run=Run("run"), clock=clock)
    yield owner
    owner.close()


def begun(owner: StudyOwner, token: str) -> int:
    spec = owner.ask(f"{token}:0").spec
    assert spec is not None
    owner.begin(spec.number, token, worker="here:7", node="n")
    return spec.number


def test_only_a_trial_that_nobody_ended_in_time_is_overdue(owner: StudyOwner, clock: Clock) -> None:
    hangs, ends = begun(owner, "a"), begun(owner, "b")
    clock.now_s += LIMIT_S + OVERDUE_S - 0.1
    assert owner.overdue() == ()
    owner.tell(ends, "b", Outcome(Ending.COMPLETE, 1, {"val_loss": 1.0}))
    clock.now_s += 0.2
    assert owner.overdue() == (Overdue(hangs, "a", "here:7", "n"),)


def test_a_trial_whose_worker_was_ended_for_it_is_a_timeout_and_no_longer_overdue(
    owner: StudyOwner, clock: Clock
) -> None:
    number = begun(owner, "a")
    clock.now_s += LIMIT_S + OVERDUE_S + 0.1
    owner.time_out(number, "another")
    assert len(owner.overdue()) == 1
    owner.time_out(number, "a")
    assert owner.overdue() == ()
    assert owner.status().failures == {"timeout": 1}
    assert owner.begin(number, "b").action == "skip"


def test_a_worker_that_was_lost_near_its_limit_did_not_hang(owner: StudyOwner, clock: Clock) -> None:
    number = begun(owner, "a")
    clock.now_s += LIMIT_S + OVERDUE_S + 1.0  # which the new worker took to begin
    assert owner.begin(number, "b").action == "resume"


def test_another_node_is_sent_a_task_for_a_trial_once_in_a_while_though_it_never_answers() -> None:
    here, there, again = (
        Overdue(0, "a", "h:1", "here"),
        Overdue(1, "b", "t:1", "there"),
        Overdue(1, "c", "t:2", "there"),
    )
    hung = Hung(None, "study")
    assert hung.due([here, there], "here", now=0.0) == [here, there]
    assert hung.due([here, there], "here", now=9.0) == [here]
    assert hung.due([here, there], "here", now=10.0) == [here, there]
    assert hung.due([again], "here", now=11.0) == [again]
    assert hung.due([], "here", now=12.0) == []
