"""What an edit meets: a study that others prepare, results that are known, points that wait, an owner that is killed.

Mutations that turn these red: leave `check_saw_edits` out of `StudyOwner`; return no edits from `_stretches`; leave
`forget_results` out of `Steering.edit`; leave the digest out of `space_of`; leave `has_made` out of `wishes._edit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from search import loading, reloading
from search.errors import FailReason, RefusedError
from search.paths import StudyFolder
from search.study import attributes, edits, wishes
from search.study.edits import Edit, SpaceEdit
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.study.space import describe
from search.trial import Ending
from tests.study.searches import Search, plan_of

FIRST = Run("first", "code 1", "data", objective_hash="objective 1")


def to_ten(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 10.0)


def to_nine(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 9.0)


def loss(params: Mapping[str, Any]) -> dict[str, float]:
    return {"loss": float(params.get("x", 1.0))}


def searched(tmp_path: Path, space: Any = to_ten, run: Run = FIRST, **changes: Any) -> Search:
    return Search.open(tmp_path / "s", space, loss, run=run, **changes)


def edit_of(
    wish: str,
    code: str = "code 1",
    objective: str = "objective 1",
    space: bool = False,
    was: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Edit:
    another = SpaceEdit("space.py:space", "digest", {}) if space else None
    return Edit(wish, changes, {**dict.fromkeys(changes), **(was or {})}, code, objective, another)


def tried(search: Search, point: dict[str, Any], wish: str) -> bool:
    """Enqueue a point, have it run if it must be, and tell whether it was."""
    search.owner.steering.enqueue(point, wish=wish)
    number = len(search.records()) - 1
    spec = search.start(f"slot {wish}")
    if spec is not None:
        search.end(spec)
    return search.records()[number].same_as is None


def ended(search: Search) -> None:
    search.owner.finish()
    search.close()


def test_a_run_that_was_prepared_before_an_edit_does_not_pass_over_it(tmp_path: Path) -> None:
    ended(searched(tmp_path))
    plan = plan_of(tmp_path / "s")
    visit = StudyOwner.open(plan, tmp_path / "s", to_ten, slots=0, run=None)
    visit.steering.edit(edit_of("w", trials=50))
    visit.close()
    second = replace(FIRST, id="second", edits=0)
    with pytest.raises(RefusedError, match="study 's' was edited while this was being prepared"):
        StudyOwner.open(plan, tmp_path / "s", to_ten, slots=1, run=second)
    again = StudyOwner.open(
        replace(plan, trials=50), tmp_path / "s", to_ten, slots=1, run=replace(second, edits=1, changes={"trials": 50})
    )
    assert len(edits.stored(again._parts.stored())) == 1
    again.close()
    same_run = StudyOwner.open(plan, tmp_path / "s", to_ten, slots=1, run=second)  # its server was away for a moment
    same_run.close()


@pytest.mark.parametrize(("objective", "runs"), [("objective 1", False), ("objective 2", True)])
@pytest.mark.parametrize("when", ["at once", "server back", "resumed"])
def test_results_are_known_across_an_edit_unless_it_changes_the_objective(
    tmp_path: Path, objective: str, runs: bool, when: str
) -> None:
    search, point = searched(tmp_path), {"x": 3.0}
    assert tried(search, point, "before")
    search.owner.steering.edit(edit_of("w", "code 2", objective, trials=30))
    if when != "at once":
        if when == "resumed":
            search.owner.finish()
        search.close()
        run = FIRST if when == "server back" else Run("second", "code 2", "data", objective_hash=objective)
        search = searched(tmp_path, run=run)
    assert tried(search, point, "after") == runs
    assert not tried(search, point, "then")  # what was run since is known
    search.close()


def test_a_trial_that_ran_while_the_objective_was_changed_is_no_result_of_the_new_one(tmp_path: Path) -> None:
    search, point = searched(tmp_path, slots=2), {"x": 3.0}
    search.owner.steering.enqueue(point, wish="before")
    spec = search.start("slot")
    assert spec is not None
    search.owner.steering.edit(edit_of("w", "code 2", "objective 2"))
    search.end(spec)
    assert tried(search, point, "after")
    search.close()
    search = searched(tmp_path)
    assert not tried(search, point, "then")
    assert search.records()[2].same_as == 1  # not trial 0
    search.close()


def first(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 10.0)
    trial.suggest_categorical("c", ["a", "b"])


def second(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 10.0)
    trial.suggest_categorical("c", ["a", "b", "d"])


def third(trial: Any) -> None:
    trial.suggest_float("x", 0.0, 10.0)
    trial.suggest_categorical("c", ["e", "f"])


def test_what_was_suggested_beside_an_enqueued_point_is_suggested_anew_after_the_next_edit(tmp_path: Path) -> None:
    search = searched(tmp_path, first)
    assert tried(search, {}, "before")
    search.owner.steering.edit(edit_of("1", space=True), second)
    search.owner.steering.enqueue({"x": 3.0}, wish="fits")
    search.owner.steering.enqueue({"x": 30.0}, wish="does not")
    assert search.records()[1].params.keys() == {"x", "c"}  # stored whole
    search.owner.steering.edit(edit_of("2", space=True), third)
    found = [search.start(str(turn)) for turn in range(2)]
    assert [one.params["x"] for one in found if one is not None][:1] == [3.0]
    assert all(one is None or one.params["c"] in ("e", "f") for one in found)
    texts = [one.end["text"] for one in search.records()[1:3]]
    assert texts == [
        "its point goes on as another trial, since the space of c was edited since",
        "it was enqueued, and x=30 is outside [0, 10] of the space",
    ]
    search.close()


def choices(trial: Any) -> None:
    trial.suggest_categorical("c", ["a", "b"])


def more_choices(trial: Any) -> None:
    trial.suggest_categorical("c", ["a", "b", "d"])


def test_a_point_that_goes_on_as_another_trial_takes_a_known_result_and_counts_once(tmp_path: Path) -> None:
    search = searched(tmp_path, choices, trials=3)
    assert tried(search, {"c": "a"}, "0")
    search.owner.steering.enqueue({"c": "a"}, wish="1")
    search.owner.steering.edit(edit_of("w", space=True), more_choices)
    assert search.run().why_stopped == "3 of 3 trials"
    states = [(one.state, one.same_as) for one in search.records()]
    assert states == [("complete", None), ("fail", None), ("complete", 0), ("complete", None)]
    search.close()
    again = searched(tmp_path, more_choices, run=replace(FIRST, id="second"), trials=3)
    assert again.run().why_stopped == "3 of 3 trials"
    again.close()


def test_a_failed_trial_that_is_run_again_is_run_for_real_even_where_it_was_moved(tmp_path: Path) -> None:
    search = searched(tmp_path, choices)
    for wish, reason in (("0", FailReason.EXCEPTION), ("1", None)):
        search.owner.steering.enqueue({"c": "a"}, wish=wish)
        spec = search.start(wish)
        assert spec is not None
        search.end(spec, Ending.COMPLETE if reason is None else Ending.FAIL, reason=reason)
    search.owner.steering.retry([0], wish="again")
    search.owner.steering.edit(edit_of("w", space=True), more_choices)
    spec = search.start("2")
    assert spec is not None
    assert spec.params == {"c": "a"}
    moved = search.owner._parts.study.get_trials()[spec.number].system_attrs
    assert (moved[attributes.RETRY_OF], moved[attributes.MOVED_FROM]) == (0, 2)
    search.close()


@pytest.mark.parametrize(("point", "x"), [({}, 2.0), ({"x": 3.0}, 3.0)])
def test_what_an_enqueued_point_leaves_open_is_fixed_as_it_is_when_its_turn_comes(
    tmp_path: Path, point: dict[str, Any], x: float
) -> None:
    search = searched(tmp_path, fixed={"x": 1.0})
    search.owner.steering.enqueue(point, wish="1")
    search.owner.steering.edit(edit_of("w", was={"fixed": {"x": 1.0}}, fixed={"x": 2.0}))
    spec = search.start("0")
    assert spec is not None
    assert spec.params == {"x": x}
    search.close()


def test_what_is_fixed_anew_holds_for_a_point_that_was_stored_whole(tmp_path: Path) -> None:
    search = searched(tmp_path, first, fixed={"x": 1.0})
    assert tried(search, {}, "before")
    search.owner.steering.edit(edit_of("1", space=True), second)
    search.owner.steering.enqueue({"c": "a"}, wish="1")
    search.owner.steering.edit(edit_of("2", was={"fixed": {"x": 1.0}}, fixed={"x": 2.0}))
    spec = search.start("0")
    assert spec is not None
    assert spec.params == {"x": 2.0, "c": "a"}
    search.close()


def test_looks_at_what_is_still_to_gain_go_on_across_an_edit_of_something_else(tmp_path: Path) -> None:
    search = searched(tmp_path, min_gain=0.5, trials=60)
    looks = search.owner._parts.improvement
    search.owner.steering.edit(edit_of("1", grace_s=3.0))
    assert search.owner._parts.improvement is looks
    for wish, changes in (("2", {"min_gain": 0.25}), ("3", {"fixed": {"x": 1.0}}), ("4", {"min_gain": None})):
        search.owner.steering.edit(edit_of(wish, was={"fixed": {}} if "fixed" in changes else None, **changes))
        assert search.owner._parts.improvement is not looks
        looks = search.owner._parts.improvement
    assert looks is None
    search.close()


@pytest.fixture
def space_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "own.py", 10)


def write(path: Path, high: int) -> Path:
    path.write_text(f"def space(trial):\n    trial.suggest_float('x', 0.0, {high})\n")
    return path


def wished(folder: StudyFolder, path: Path) -> str:
    """Wish to go on with the space that a file holds now."""
    found = reloading.load_anew(f"{path}:space", kind="space", folder=path.parent)
    edit = Edit("", {}, {}, "code 2", "objective 1", SpaceEdit(found.reference, loading.code_hash(found), {}))
    return wishes.post(folder, "edit", **{name: value for name, value in edit.to_json().items() if name != "wish"})


def test_a_server_that_is_back_searches_the_space_of_the_edit_or_says_that_it_is_gone(
    tmp_path: Path, space_file: Path
) -> None:
    search, folder = searched(tmp_path), StudyFolder(tmp_path / "s")
    wished(folder, write(space_file, 5))
    wishes.grant(folder, search.owner)
    search.close()
    write(space_file, 1)  # the user goes on with the file, and has not edited the study
    with pytest.raises(RefusedError, match=r"own\.py is no longer as the search began with it"):
        searched(tmp_path)
    visit = StudyOwner.open(plan_of(tmp_path / "s"), folder.root, to_ten, slots=0, run=None)  # to edit it once more
    visit.close()
    write(space_file, 5)
    back = searched(tmp_path)
    described = describe(back.owner._parts.suggester.drafts._space, seed=0)
    assert described == {"x": FloatDistribution(0.0, 5.0)}
    back.close()


def test_an_edit_that_was_made_and_not_taken_back_is_not_refused(tmp_path: Path, space_file: Path) -> None:
    search, folder = searched(tmp_path), StudyFolder(tmp_path / "s")
    wish = wished(folder, write(space_file, 5))
    text = (folder.wishes / f"{wish}.json").read_text()
    wishes.grant(folder, search.owner)
    (folder.wishes / f"{wish}.json").write_text(text)  # as a kill before that leaves it
    write(space_file, 1)
    wishes.grant(folder, search.owner)
    assert wishes.take_refusal(folder, wish) is None
    assert not wishes.pending_edits(folder)
    assert [edit.wish for edit in search.owner.steering.edited] == [wish]
    search.close()


def test_edits_that_were_wished_at_the_same_moment_are_reckoned_one_after_the_other(tmp_path: Path) -> None:
    search = searched(tmp_path, trials=20, epochs=40)
    for wish in ("1", "2"):  # both were read off 20 trials
        search.owner.steering.edit(replace(edit_of(wish, was={"trials": 20}, trials=30), more={"trials": 10}))
    assert search.owner.plan.trials == 40
    search.owner.steering.edit(edit_of("3", was={"trials": 20}, trials=31))
    made = [(edit.before["trials"], edit.changes["trials"]) for edit in search.owner.steering.edited]
    assert made == [(20, 30), (30, 40), (40, 31)]
    search.owner.steering.edit(edit_of("4", was={"epochs": 40}, epochs=None))
    again = replace(edit_of("5", was={"epochs": 40}, epochs=50), more={"epochs": 10})
    for late in (again, edit_of("6", was={"fixed": {"x": 1.0}}, fixed={"x": 2.0})):
        with pytest.raises(RefusedError, match="another edit of the study was made at the same moment"):
            search.owner.steering.edit(late)
    assert len(search.owner.steering.edited) == 4
    search.close()


UNSOUND: list[dict[str, Any]] = [
    {"changes": {"trials": "x"}},
    {"changes": {"trials": -1}},
    {"changes": {"trials": True}},
    {"changes": {"concurrency": 0}},
    {"changes": {"retries": None}},
    {"changes": {"time_s": float("nan")}},
    {"changes": {"fixed": [1]}},
    {"changes": {"seed": 3}},
    {"changes": {"trials": 3}, "before": {"trials": "x"}},
    {"changes": {"trials": 3}, "more": {"trials": "10"}},
    {"changes": {"trials": 3}, "more": {"trials": -10}},
    {"changes": {"trials": 3}, "more": {"epochs": 10}},
    {"changes": {"retries": 3}, "more": {"retries": 1}},
    {"code_hash": None},
    {"when": "now"},
]


@pytest.mark.parametrize("wrong", UNSOUND)
def test_an_edit_to_what_a_study_cannot_have_is_none(tmp_path: Path, wrong: dict[str, Any]) -> None:
    body = edit_of("", trials=30).to_json()
    del body["wish"]
    body |= {"before": {name: body["before"].get(name) for name in wrong.get("changes", body["changes"])}, **wrong}
    search, folder = searched(tmp_path), StudyFolder(tmp_path / "s")
    wish = wishes.post(folder, "edit", **body)
    wishes.grant(folder, search.owner)
    assert wishes.is_pending(folder, wish)
    assert search.owner.tick() is None
    assert search.owner.steering.edited == ()
    search.close()
