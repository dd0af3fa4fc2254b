"""What a study does as machines of its cluster come and go, told by plain calls.

Mutations that turn these red: keep the capacity of the launch (`StudyOwner.hear_of`); let a trial go on on a machine
that is about to be taken away; forget who was lost when the study is opened again; count a lost machine as the trial's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from search.cli import words
from search.plan import SweepPlan
from search.status import LostNode
from search.study.nodes import Members
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress, Verdict
from tests.study.studies import flat_space

A, B = {"a": "10.0.0.2"}, {"b": "10.0.0.3"}


def opened(folder: Path, *, concurrency: int | None = None, run: str = "first") -> StudyOwner:
    plan = SweepPlan(
        objective="x.py:X",
        space="x.py:space",
        study="s",
        results=str(folder),
        seed=0,
        metrics=("loss",),
        directions=("minimize",),
        trials=20,
        max_epochs=9,
        pruner="none",
        retries=0,
        concurrency=concurrency,
    )
    return StudyOwner.open(plan, folder / "s", flat_space, slots=2, capacity=2, run=Run(run))


def begin(owner: StudyOwner, slot: str, node: str) -> int:
    return begin_at(owner, slot, node, (A | B)[node])


def begin_at(owner: StudyOwner, slot: str, node: str, address: str = "10.0.1.1") -> int:
    spec = owner.ask(f"{slot}:0").spec
    assert spec is not None
    assert owner.begin(spec.number, f"{slot}{node}", worker=f"{address}:7", node=node).action != "skip"
    return spec.number


def report(owner: StudyOwner, number: int, token: str, step: int) -> Verdict:
    return owner.report(number, token, Progress(step, {"loss": 1.0}, step))


@pytest.mark.parametrize(
    ("slots", "concurrency", "begun"), [(2, None, 2), (5, None, 5), (5, 3, 3), (1, None, 1), (0, None, 1)]
)
def test_as_many_trials_begin_as_fit_on_the_machines_that_are_there_now(
    tmp_path: Path, slots: int, concurrency: int | None, begun: int
) -> None:
    owner = opened(tmp_path, concurrency=concurrency)
    owner.hear_of(Members({**A, **B}, slots=slots))
    assert sum(owner.ask(f"{slot}:0").spec is not None for slot in range(8)) == begun
    owner.close()


def test_trials_leave_a_machine_that_is_about_to_be_taken_away_and_others_stay(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    goes, stays = begin(owner, "x", "a"), begin(owner, "y", "b")
    assert report(owner, goes, "xa", 1) is Verdict.CONTINUE
    owner.hear_of(Members({**A, **B}, leaving=frozenset("a"), slots=1))
    assert report(owner, stays, "yb", 1) is Verdict.CONTINUE
    assert report(owner, goes, "xa", 2) is Verdict.STOP
    owner.tell(goes, "xa", Outcome(Ending.PAUSED, step=2))
    assert owner.ask("z:0").spec is None  # there is no room for it yet
    owner.tell(stays, "yb", Outcome(Ending.COMPLETE, step=1, metrics={"loss": 1.0}))
    assert begin(owner, "z", "b") == goes
    assert owner.status().lost_nodes == (LostNode("10.0.0.2", {goes: 2}, leaving=True),)
    owner.close()


@pytest.mark.parametrize("told", ["first", "late"])
def test_what_a_lost_machine_ran_goes_on_and_the_study_remembers_it(tmp_path: Path, told: str) -> None:
    owner = opened(tmp_path)
    owner.nodes.step_kept = lambda _: 3
    number = begin(owner, "x", "a")
    owner.hear_of(Members({**A, **B}, slots=2))
    for step in range(1, 6):
        report(owner, number, "xa", step)
    lost = (LostNode("10.0.0.2", {number: 3}),)
    if told == "first":
        owner.hear_of(Members(B, slots=1))
        assert owner.status().lost_nodes == lost
    owner.nodes.lose_of(number)
    for attempt in "bcd":  # however often
        begun = owner.begin(number, attempt, worker="10.0.0.3:7", node="b", lost_to="node")
        assert begun.action == "resume"
    owner.hear_of(Members(B, slots=1))
    assert (owner.status().nodes, owner.status().lost_nodes) == (1, lost)
    owner.close()
    again = opened(tmp_path, run="second")
    assert again.status().lost_nodes == lost
    again.close()


def test_what_is_kept_of_lost_machines_grows_with_their_number_alone(tmp_path: Path) -> None:
    owner = opened(tmp_path)
    for turn in range(9):
        owner.hear_of(Members({**B, str(turn): f"10.0.1.{turn}"}, slots=2))
        numbers = [begin_at(owner, f"{turn}-{slot}", str(turn)) for slot in range(2)]
        owner.hear_of(Members(B, slots=2))
        for slot, number in enumerate(numbers):
            owner.nodes.lose_of(number)
            owner.begin(number, f"b{turn}-{slot}", node="b", lost_to="node")
            report(owner, number, f"b{turn}-{slot}", 9)
            owner.tell(number, f"b{turn}-{slot}", Outcome(Ending.COMPLETE, 9, {"loss": 1.0}))
    lost = owner.status().lost_nodes
    owner.close()
    assert [len(one.trials) for one in lost] == [2] * 9
    kept = [line for line in (tmp_path / "s" / "study.journal").read_text().splitlines() if "sweep:nodes" in line]
    assert len(kept) == 9
    assert max(map(len, kept)) < 500
    again = opened(tmp_path, run="second")
    assert again.status().lost_nodes == lost
    again.close()


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (LostNode("10.0.0.2"), "10.0.0.2 was lost: no trial ran on it"),
        (LostNode("10.0.0.2", {4: 7}), "10.0.0.2 was lost: trial 4 goes on elsewhere from epoch 7"),
        (LostNode("h", {4: 0, 5: 0}), "h was lost: 2 trials go on elsewhere from the beginning"),
        (LostNode("h", {4: 2, 5: 9}, True), "h was taken away: 2 trials go on elsewhere from epoch 2 to 9"),
    ],
)
def test_a_lost_machine_is_told_in_a_sentence(node: LostNode, said: str) -> None:
    assert words.lost_node(node) == said
    assert LostNode.from_json(node.to_json()) == node
