"""A suggestion that is drawn apart from the study's owner: the same one, and only where it still fits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.plan import SweepPlan
from search.study.drafts import SLOW_IN_A_ROW
from search.study.drawing import Draw, Replica
from search.study.edits import Edit
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress, Verdict

BEFORE = SLOW_IN_A_ROW - 1
"""Trials that the study has already: one more that is slow to suggest, and it knows that they are."""

PLAN = SweepPlan(
    objective="objectives/a.py:A",
    space="spaces/a.py:space",
    study="s",
    results="results",
    seed=0,
    metrics=("val_loss",),
    directions=("minimize",),
    trials=100,
    max_epochs=3,
    sampler="tpe:n_startup_trials=3",
)


def slow_space(trial: Any) -> None:
    """Suggest two numbers, longer than a suggestion may take that verdicts wait for."""
    time.sleep(0.06)
    trial.suggest_float("x", -1.0, 1.0)
    trial.suggest_int("n", 1, 9)


def quick_space(trial: Any) -> None:
    trial.suggest_float("x", -1.0, 1.0)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[StudyOwner]:
    opened = StudyOwner.open(PLAN, tmp_path, slow_space, slots=4, run=Run("a"))
    for number in range(BEFORE):
        run_one(opened, f"before:{number}")
    yield opened
    opened.close()


def run_one(owner: StudyOwner, request: str) -> dict[str, Any]:
    """Run a trial to its end, and return its parameters."""
    spec = owner.ask(request).spec
    assert spec is not None
    owner.begin(spec.number, "t")
    metrics = {"val_loss": float(spec.params["x"]) ** 2}  # type: ignore[arg-type]
    owner.report(spec.number, "t", Progress(3, metrics, 3))
    owner.tell(spec.number, "t", Outcome(Ending.COMPLETE, 3, metrics, units=3))
    return dict(spec.params)


def test_a_replica_draws_what_the_owner_would_and_follows_the_journal(owner: StudyOwner, tmp_path: Path) -> None:
    run_one(owner, "a:0")
    replica = Replica(PLAN, tmp_path / "study.journal", slow_space)
    for number in range(1, 8):
        drawn = replica.draw(Draw(BEFORE + number, {}))
        assert dict(drawn.params) == run_one(owner, f"a:{number}")


def test_a_slow_suggestion_is_foreseen_and_what_is_brought_is_the_answer_once(
    owner: StudyOwner, tmp_path: Path
) -> None:
    assert owner.foresee("a:0") is None  # nobody knows yet that it is slow, and not by chance
    run_one(owner, "a:0")
    wanted = owner.foresee("a:1")
    assert wanted == Draw(BEFORE + 1, {})
    made = Replica(PLAN, tmp_path / "study.journal", slow_space).draw(wanted)
    made.params = {"x": 0.125, "n": 7}  # told from what the owner would draw
    owner.bring(wanted, made)
    assert owner.foresee("a:1") is None
    assert run_one(owner, "a:1") == {"x": 0.125, "n": 7}
    assert owner.foresee("a:1") is None  # it has its answer
    assert owner.foresee("a:2") == owner.foresee("ahead-b:0") == Draw(BEFORE + 2, {})
    owner.ask("ahead-b:0")
    assert owner.foresee("a:2") is None  # that one comes first


def test_nothing_is_drawn_for_an_ask_that_a_resting_trial_answers(tmp_path: Path) -> None:
    plan = replace(PLAN, max_epochs=9, pruner="asha:promote=true")
    owner = StudyOwner.open(plan, tmp_path, slow_space, slots=4, run=Run("a"))
    woken = 0
    for turn in range(12):
        foreseen, spec = owner.foresee(f"a:{turn}"), owner.ask(f"a:{turn}").spec
        assert spec is not None
        if owner.begin(spec.number, f"t{turn}").action == "resume":
            woken += 1
            assert foreseen is None
        told = {"val_loss": float(spec.number)}
        step, verdict = 0, Verdict.CONTINUE
        while verdict is Verdict.CONTINUE and step < 9:
            step += 1
            verdict = owner.report(spec.number, f"t{turn}", Progress(step, told, step))
        ending = Ending.COMPLETE if verdict is Verdict.CONTINUE else Ending.PAUSED
        owner.tell(spec.number, f"t{turn}", Outcome(ending, step, told, units=step))
    owner.close()
    assert woken


def test_parameters_that_are_known_are_drawn_again(owner: StudyOwner, tmp_path: Path) -> None:
    known = run_one(owner, "a:0")
    wanted = owner.foresee("a:1")
    assert wanted is not None
    replica = Replica(PLAN, tmp_path / "study.journal", slow_space)
    made = replica.draw(wanted)
    made.params = dict(known)
    owner.bring(wanted, made)
    again = owner.foresee("a:1")
    assert again == Draw(BEFORE + 1, {}, redraw=1)
    owner.bring(again, replica.draw(again))
    assert owner.foresee("a:1") is None
    assert run_one(owner, "a:1") == dict(replica.draw(again).params)


def test_what_was_drawn_for_a_trial_that_another_ask_got_is_not_taken(owner: StudyOwner, tmp_path: Path) -> None:
    run_one(owner, "a:0")
    wanted = owner.foresee("a:1")
    assert wanted is not None
    made = Replica(PLAN, tmp_path / "study.journal", slow_space).draw(wanted)
    made.params = {"x": 0.125, "n": 7}
    run_one(owner, "b:0")
    owner.bring(wanted, made)
    assert owner.foresee("a:1") == Draw(BEFORE + 2, {})
    assert run_one(owner, "a:1") != {"x": 0.125, "n": 7}


def test_what_was_drawn_before_an_edit_is_not_taken(owner: StudyOwner, tmp_path: Path) -> None:
    run_one(owner, "a:0")
    wanted = owner.foresee("a:1")
    assert wanted is not None
    made = Replica(PLAN, tmp_path / "study.journal", slow_space).draw(wanted)
    owner._parts.follow(replace(PLAN, fixed={"n": 3}), Edit("wish", {"fixed": {"n": 3}}, {"fixed": {}}, "", ""))
    owner.bring(wanted, made)
    assert owner.foresee("a:1") == Draw(BEFORE + 1, {"n": 3}, edition=1)
    assert run_one(owner, "a:1")["n"] == 3


@pytest.mark.parametrize(
    ("plan", "space", "slots"),
    [(PLAN, quick_space, 4), (replace(PLAN, sampler="random"), slow_space, 4), (PLAN, slow_space, 1)],
    ids=["quick", "random", "alone"],
)
def test_quick_suggestions_samplers_that_learn_nothing_and_what_nobody_else_waits_for_are_drawn_at_once(
    tmp_path: Path, plan: SweepPlan, space: Any, slots: int
) -> None:
    owner = StudyOwner.open(plan, tmp_path, space, slots=slots, run=Run("a"))
    for number in range(SLOW_IN_A_ROW):
        run_one(owner, f"a:{number}")
    foreseen = owner.foresee(f"a:{SLOW_IN_A_ROW}")
    owner.close()
    assert foreseen is None
