"""Trials that are drawn before a slot asks for them, told by plain calls; `test_owner_model` has their crashes.

Mutations that turn these red: count those that are drawn ahead as running (`Hands.busy`), draw ahead beyond the slots,
give the oldest although another one is ready (`Aheads.next`), or before a point that was enqueued; end the sweep where
nothing is left to draw; tell that a trial paused which nobody has begun (`search.records.events`), or resume it
(`attempts.begin`); hide it from the sampler (`seen._unpaused`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.plan import SweepPlan
from search.records.events import between
from search.study.owner import StudyOwner
from search.study.record import from_frozen
from search.study.runs import Run
from search.study.seen import view_of
from search.study.shares import Grant
from search.study.storage import open_for_reading
from search.trial import Ending, Outcome, Progress, Verdict
from tests.study.studies import flat_space


def two_points(trial: Any) -> None:
    trial.suggest_categorical("x", ["a", "b"])


def opened(folder: Path, *, run: str = "first", queues: bool = False, by: Any = flat_space, **given: Any) -> StudyOwner:
    names: dict[str, Any] = {"objective": "o", "space": "s", "study": "s", "results": str(folder)}
    given = {"seed": 3, "trials": 9, "max_epochs": 9, "pruner": "none", "sampler": "random", **given}
    plan = SweepPlan(**names, metrics=("loss",), directions=("minimize",), **given)
    return StudyOwner.open(plan, folder, by, slots=2, capacity=2, run=Run(run), queues=queues)


def ask(owner: StudyOwner, *names: str) -> list[int | None]:
    """Ask once for each; return the trials."""
    specs = [owner.ask(f"{name}:0").spec for name in names]
    return [None if spec is None else spec.number for spec in specs]


def end(owner: StudyOwner, number: int) -> None:
    assert owner.begin(number, f"t{number}").action == "start"
    owner.tell(number, f"t{number}", Outcome(Ending.COMPLETE, 9, {"loss": 1.0}))


def crash(owner: StudyOwner, folder: Path, *, lines: int | None = None) -> None:
    """Leave lock and journal as a kill would, which so many lines of it survive."""
    journal = folder / "study.journal"
    owner._parts.storage._lock.forget()
    owner._parts.storage._close()
    kept = journal.read_bytes().splitlines(keepends=True)[:lines]
    os.truncate(journal, sum(map(len, kept)))


def test_as_many_are_drawn_ahead_as_run_at_once_and_none_of_them_runs(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    assert ask(owner, "ahead-a", "ahead-b", "ahead-c", "ahead-a") == [0, 1, None, 0]
    counts = owner.status().trials
    assert (counts["running"], counts["paused"]) == (0, 2)
    assert ask(owner, "x", "y", "z") == [0, 1, None]
    assert ask(owner, "ahead-d", "ahead-e", "ahead-f") == [2, 3, None]
    end(owner, 1)
    assert ask(owner, "z") == [2]
    owner.close()


def test_who_is_ready_comes_first_then_who_is_being_prepared_then_a_new_one(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    assert ask(owner, "ahead-a", "ahead-b") == [0, 1]
    owner.release("ahead-b")
    assert ask(owner, "x", "y") == [1, 0]
    end(owner, 0)
    assert ask(owner, "z") == [2]
    owner.close()


@pytest.mark.parametrize("run", ["first", "second"], ids=["the study's server is started again", "it is resumed"])
def test_those_that_were_drawn_ahead_are_given_out_once_after(tmp_path: Path, run: str) -> None:
    owner = opened(tmp_path)
    assert ask(owner, "ahead-a", "ahead-b") == [0, 1]
    if run != "first":
        owner.finish()
    owner.close()
    owner = opened(tmp_path, run=run)
    assert ask(owner, "ahead-a") == [None]  # as many wait as run at once
    assert ask(owner, "x", "y") == [0, 1]
    assert ask(owner, "ahead-a") == [2]
    end(owner, 0)  # it starts: nobody had begun it
    owner.close()


def test_one_that_was_drawn_ahead_and_begun_is_offered_to_nobody_else_after_a_crash(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    before = len((tmp_path / "study.journal").read_bytes().splitlines())
    assert ask(owner, "ahead-a") == [0]
    crash(owner, tmp_path, lines=before + 1)  # it is stored, and not that it was drawn ahead
    owner = opened(tmp_path)
    assert owner.begin(0, "t").action == "start"
    crash(owner, tmp_path)
    owner = opened(tmp_path)
    assert ask(owner, "x") == [1]
    owner.close()


def test_points_that_were_enqueued_come_before_those_that_were_drawn_ahead(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    assert ask(owner, "ahead-a") == [0]
    for number in (1, 2):
        owner.steering.enqueue({"x": number / 10}, wish=f"wish {number}")
    assert ask(owner, "x") == [1]
    assert ask(owner, "ahead-b") == [2]
    owner.release("ahead-a")
    assert ask(owner, "y") == [2]
    end(owner, 1)
    assert ask(owner, "z") == [0]
    owner.close()


def test_a_sampler_that_keeps_away_from_running_trials_does_so_from_those_drawn_ahead(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    assert ask(owner, "ahead-a", "x") == [0, 0]
    assert ask(owner, "ahead-b", "y") == [1, 1]
    owner.begin(1, "t1")
    owner.tell(1, "t1", Outcome(Ending.PAUSED, 0, {}))
    assert ask(owner, "ahead-c") == [2]
    owner.close()
    study = optuna.load_study(study_name="s", storage=open_for_reading(tmp_path / "study.journal"))
    seen = view_of("tpe", study)
    assert seen is not None
    states = [seen(trial).state for trial in study.get_trials(deepcopy=False)]
    assert states == [TrialState.RUNNING, TrialState.WAITING, TrialState.RUNNING]


def test_nothing_is_told_of_a_trial_before_a_slot_takes_it(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    told, before = [], None
    for name in ("ahead-a", "x"):
        ask(owner, name)
        now = from_frozen(open_for_reading(tmp_path / "study.journal").get_all_trials(0)[0])
        told.append([event.kind for event in between(before, now, owner.plan, None)])
        before = now
    assert told == [[], ["started"]]
    owner.close()


def test_a_budget_is_kept_to_and_all_that_were_drawn_ahead_are_run(tmp_path: Path) -> None:
    owner = opened(tmp_path, trials=3)
    assert ask(owner, "x", "ahead-a", "ahead-b", "ahead-c") == [0, 1, 2, None]
    end(owner, 0)
    for slot in ("y", "z"):
        (number,) = ask(owner, slot)
        assert number is not None
        end(owner, number)
    assert owner.ask("ahead-d:0").done == owner.ask("x:1").done == "3 of 3 trials"
    owner.close()


def test_a_sweep_that_waits_for_others_of_its_cluster_draws_none_ahead(tmp_path: Path) -> None:
    owner = opened(tmp_path, queues=True)
    assert ask(owner, "ahead-a") == [None]
    owner.allow(Grant(1))
    assert ask(owner, "ahead-a", "ahead-b", "x", "y") == [0, None, 0, None]
    owner.close()


def test_where_no_point_is_left_a_slot_ends_the_sweep_and_nobody_else(tmp_path: Path) -> None:
    owner = opened(tmp_path, by=two_points, sampler="grid")
    assert ask(owner, "ahead-a", "ahead-b", "x") == [0, 1, 0]
    assert owner.ask("ahead-c:0").spec is None
    assert ask(owner, "y") == [1]
    end(owner, 0)
    end(owner, 1)
    assert owner.ask("ahead-c:0").done is None
    assert owner.ask("z:0").done == "every point of the grid has been tried"
    owner.close()


def test_a_trial_that_is_promoted_goes_before_those_that_were_drawn_ahead(tmp_path: Path) -> None:
    owner = opened(tmp_path, pruner="asha:promote=true")
    assert ask(owner, "ahead-a") == [0]
    for slot in ("x", "y", "z"):
        (number,) = ask(owner, slot)
        assert number is not None
        owner.begin(number, f"t{number}")
        assert owner.report(number, f"t{number}", Progress(1, {"loss": float(number)}, 1)) is Verdict.PAUSE
        owner.tell(number, f"t{number}", Outcome(Ending.PAUSED, 1, {"loss": float(number)}))
    assert ask(owner, "ahead-b", "ahead-c") == [3, 4]
    owner.release("ahead-b")
    assert ask(owner, "x2", "y2") == [0, 3]
    owner.close()
