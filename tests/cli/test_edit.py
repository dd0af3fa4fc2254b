"""`sweep edit` from the command line: what it says, what it refuses, and that other commands go by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.cli.main import main
from search.errors import InputError, RefusedError
from search.launch import Launch
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.records.study import StoredStudy, read
from search.resume import changed, prepare, with_edits
from search.study import edits, wishes
from search.study.owner import StudyOwner
from search.study.runs import Run
from tests.cli.test_steer import running
from tests.tuner.sweeps import launch_of, write

LEARNS = """
def space(trial):
    trial.suggest_float("train.lr", 1e-5, 0.1, log=True)
    trial.suggest_categorical("model.family", ["adam", "dropout", "sgd"])

@objective(space=space, metrics={"val_loss": "minimize"})
def learns(run):
    for epoch in run.epochs:
        yield {"val_loss": run.params["train.lr"] / epoch}
"""

WIDER = """
def space(trial):
    trial.suggest_float("train.lr", 1e-6, 0.1, log=True)
    trial.suggest_categorical("model.family", ["adam", "sgd", "lion"])
    trial.suggest_int("model.depth", 1, 8)
"""

Output = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path, LEARNS)


@pytest.fixture
def launch(path: Path, tmp_path: Path) -> Launch:
    """A finished study of nine trials."""
    launched = launch_of(path, tmp_path, trials=9, pruner="none", set=("model.family=adam",))
    launched.folder.root.mkdir()
    launched.folder.plan.write_text(json.dumps(launched.record()))
    go_on(launched, "first")
    return launched


def opened(launch: Launch, run: str) -> StudyOwner:
    given = Run(run, launch.code_hash, launch.data_hash, launch.changes, launch.objective_hash)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=given)
    owner.prepare({})
    return owner


def go_on(launch: Launch, run: str) -> None:
    owner = opened(launch, run)
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem))
    owner.finish()
    owner.close()


def edit(folder: Path, *arguments: str) -> int:
    return main(["edit", "s", *arguments, "--results", str(folder)])


def study(folder: Path) -> StoredStudy:
    return read(StudyFolder(folder / "s"))


def widen(path: Path) -> None:
    header, _, rest = path.read_text().partition("\ndef space(trial):")
    path.write_text(header + WIDER + rest[rest.index("\n@objective") :])


def test_a_dry_run_says_what_would_change_and_changes_nothing(launch: Launch, path: Path, capsys: Output) -> None:
    widen(path)
    before = launch.folder.journal.read_bytes()
    assert edit(path.parent, "--trials", "+4", "--grace", "3s", "--memory", "1g", "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "--trials: 9 -> 13",
        "--memory: none -> 1073741824 (from the next run on)",
        "--grace: 8.0 -> 3.0",
        "train.lr: float [1e-5, 0.1] log -> [1e-6, 0.1] log",
        "model.family: + 'lion', - 'dropout'",
        "+ model.depth: int [1, 8]",
        "of 9 trials: 0 inside, 9 partial, 0 outside",
        "",
        "nothing was changed (--dry-run)",
    ]
    assert edit(path.parent, "--fill", "model.depth=3", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["made"], told["edit"]["changes"], told["edit"]["space"]["fills"]) == (False, {}, {"model.depth": 3})
    assert told["edit"]["space"]["counts"] == {"inside": 0, "filled": 9, "partial": 0, "outside": 0}
    assert launch.folder.journal.read_bytes() == before
    assert not launch.folder.wishes.exists()


def test_an_edit_of_a_finished_study_is_kept_shown_and_gone_on_with(launch: Launch, path: Path, capsys: Output) -> None:
    widen(path)
    assert edit(path.parent, "--trials", "+4", "--unset", "model.family", "--fill", "model.depth=3", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["made"]
    (kept,) = edits.stored(study(path.parent).attributes)
    assert kept.to_json() == told["edit"]
    assert (kept.trials, kept.run) == (9, 1)
    assert main(["show", "s", "--results", str(path.parent)]) == 0
    shown = capsys.readouterr().out
    assert ", after 9 trials\n  --trials: 9 -> 13\n  fixed: model.family=adam -> nothing\n  train.lr: " in shown
    assert main(["show", "s", "--results", str(path.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["edits"] == [told["edit"]]

    assert edit(path.parent) == 2
    assert "nothing to change: study 's' is as you want it" in capsys.readouterr().err
    stored = study(path.parent)
    resumed = prepare(stored, changed(stored.plan, {"trials": "+1"}), accept_changes=False)
    assert dict(resumed.changes) == {"trials": 14, "fixed": {}}
    go_on(resumed, "second")
    after = study(path.parent)
    assert len(after.records) == 14
    assert all(
        {"train.lr", "model.family", "model.depth"} == set(after.records[number].params) for number in range(9, 14)
    )
    assert prepare(after, after.plan, accept_changes=False).plan.trials == 14


def test_a_running_study_is_edited_by_its_owner(launch: Launch, path: Path, capsys: Output) -> None:
    (path.parent / "other.py").write_text(WIDER)
    with running(launch) as owner:
        space = ["--space", str(path.parent / "other.py"), "--unset", "model.family"]
        assert edit(path.parent, *space, "--trials", "12", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["made"]
        assert told["edit"]["changes"]["space"] == f"{path.parent / 'other.py'}:space"
        assert owner.plan.trials == 12
        spec = owner.ask("slot:0").spec
        assert spec is not None
        assert set(spec.params) == {"train.lr", "model.family", "model.depth"}
        assert main(["enqueue", "s", "model.depth=8", "--results", str(path.parent)]) == 0
        assert main(["enqueue", "s", "model.depth=9", "--results", str(path.parent)]) == 2  # by the space of now
        assert main(["enqueue", "s", "model.family=dropout", "--results", str(path.parent)]) == 2
        assert owner.status().trials["waiting"] == 1


def test_an_edit_whose_space_changed_again_before_it_was_made_is_refused_and_gone(
    launch: Launch, path: Path, tmp_path: Path
) -> None:
    owner, other = opened(launch, "second"), tmp_path / "other.py"
    other.write_text(WIDER)
    another = edits.SpaceEdit(f"{other}:space", "the hash of what it was", {})
    body = edits.Edit("", {"trials": 30}, {"trials": 9}, "", "", another).to_json()
    wish = wishes.post(launch.folder, "edit", **{name: value for name, value in body.items() if name != "wish"})
    wishes.grant(launch.folder, owner)
    refusal = wishes.take_refusal(launch.folder, wish)
    assert refusal is not None
    assert refusal.sentence() == "other.py changed again before the edit was made; try `sweep edit` again"
    assert owner.steering.edited == ()
    assert owner.plan.trials == 9
    assert not [*launch.folder.wishes.iterdir()]
    owner.close()


def with_text(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


AS_IT_IS = ("space", "space")
FAULTS: list[tuple[list[str], tuple[str, str], int, str]] = [
    ([], AS_IT_IS, 2, "nothing to change: study 's' is as you want it; give --space, --trials or another option, or "),
    (["--trials", "none"], AS_IT_IS, 2, "--trials "),
    (["--space", "gone.py"], AS_IT_IS, 2, "space file gone.py does not exist (looked in the current folder); a bare "),
    ([], ("1e-5, 0.1", "1e-5, 0.1, 0.2, 3"), 2, "problem.py line 7 fails: TypeError: "),
    ([], ("1e-5, 0.1", "0.2, 0.1"), 2, "train.lr: low must not be above high, got [0.2, 0.1]; see "),
    ([], ("def space(trial):", "def space(trial):\n    1 / 0"), 2, "problem.py line 7 fails: ZeroDivisionError: "),
    ([], ("def space(trial):", "def space(trial:"), 2, "problem.py line "),
    (["--fill", "model.depht=3"], AS_IT_IS, 2, "no parameter 'model.depht'; "),
    (["--fill", "train.lr=3"], AS_IT_IS, 2, "train.lr=3 is outside [1e-5, 0.1] of the space; widen the space to allow"),
    (["--fill", "train.lr"], AS_IT_IS, 2, "--fill takes name=value, got 'train.lr'; "),
    (["--fill", "train.lr=0.1", "--fill", "train.lr=0.01"], AS_IT_IS, 2, "--fill train.lr is given twice; keep one"),
    (["--unset", "train.lr"], AS_IT_IS, 2, "train.lr is not fixed; fixed: model.family"),
    (["--set", "train.lr=1"], AS_IT_IS, 2, "train.lr=1 is outside [1e-5, 0.1] of the space; "),
    ([], ('["adam", ', "["), 2, "model.family is one of dropout, sgd, got 'adam', and --set fixed it; give --unset "),
    (
        ["--trials", "20"],
        ('run.params["train.lr"] /', 'run.params["train.lr"] *'),
        4,
        "the objective's own code changed ",
    ),
    (["--trials", "+0"], AS_IT_IS, 2, "what --trials +0 adds must be a whole number >= 1, got '0'"),
    (["--plateau", "+none"], AS_IT_IS, 2, "--plateau +none adds nothing; try --plateau none"),
    (["--fill", "train.lr=0.01"], AS_IT_IS, 2, "--fill train.lr has nothing to fill in: no trial lacks it; leave it "),
    (["--epochs", "+5"], AS_IT_IS, 2, "--epochs +5 is so many more, and the study has no such limit; "),
]


@pytest.mark.parametrize(("arguments", "change", "code", "sentence"), FAULTS)
def test_a_wrong_edit_is_one_sentence_and_changes_nothing(
    launch: Launch, path: Path, arguments: list[str], change: tuple[str, str], code: int, sentence: str, capsys: Output
) -> None:
    with_text(path, *change)
    before = launch.folder.journal.read_bytes()
    assert edit(path.parent, *arguments) == code
    said = capsys.readouterr().err
    assert sentence in said.splitlines()[-1], said
    assert launch.folder.journal.read_bytes() == before
    assert not launch.folder.wishes.exists()


def test_code_of_the_objective_that_changed_is_named_with_both_hashes_and_can_be_accepted(
    launch: Launch, path: Path, capsys: Output
) -> None:
    with_text(path, 'run.params["train.lr"] /', '2 * run.params["train.lr"] /')
    assert edit(path.parent, "--trials", "12") == 4
    said = capsys.readouterr().err
    assert launch.objective_hash[:12] in said
    assert edit(path.parent, "--trials", "12", "--accept-changes") == 0
    stored = study(path.parent)
    assert prepare(stored, stored.plan, accept_changes=False).plan.trials == 12


def no_edits() -> list[dict[str, Any]]:
    sound = {name: value for name, value in edits.Edit("", {}, {}, "", "").to_json().items() if name != "wish"}
    return [{}, {**sound, "changes": {"tirals": 3}, "before": {"tirals": 1}}, {**sound, "space": {}}, {**sound, "x": 1}]


@pytest.mark.parametrize("body", no_edits())
def test_what_is_no_edit_is_left_alone(launch: Launch, body: dict[str, Any]) -> None:
    owner = opened(launch, "second")
    wish = wishes.post(launch.folder, "edit", **body)
    wishes.grant(launch.folder, owner)
    assert wishes.is_pending(launch.folder, wish)
    assert owner.steering.edited == ()
    owner.close()


def test_the_budget_of_a_study_whose_code_stands_in_a_script_is_edited_without_that(
    launch: Launch, path: Path, capsys: Output
) -> None:
    record = launch.record()
    record["plan"] |= {"objective": "__main__:learns", "space": "__main__:learns.space"}
    launch.folder.plan.write_text(json.dumps(record))
    path.unlink()
    assert edit(path.parent, "--trials", "+4") == 0
    assert study(path.parent).plan.trials == 13
    (kept,) = edits.stored(study(path.parent).attributes)
    assert (kept.code_hash, kept.objective_hash) == (launch.code_hash, launch.objective_hash)
    assert edit(path.parent, "--trials", "13") == 2
    assert "nothing to change" in capsys.readouterr().err
    assert edit(path.parent, "--set", "train.lr=0.01") == 2
    assert "--set needs the code of this study, which stands in a Python script or" in capsys.readouterr().err


def test_an_edit_that_can_no_longer_be_made_is_told_by_the_next_resume(launch: Launch, path: Path) -> None:
    found = launch.loaded_space.reference
    another = edits.SpaceEdit(found, "the hash of what it was", {})
    body = edits.Edit("", {"trials": 30}, {"trials": 9}, "", "", another).to_json()
    wishes.post(launch.folder, "edit", **{name: value for name, value in body.items() if name != "wish"})
    with pytest.raises(RefusedError, match="changed again before the edit was made"):
        with_edits(study(path.parent))
    assert with_edits(study(path.parent)).plan.trials == 9
    assert not [*launch.folder.wishes.iterdir()]


def test_a_plateau_is_lifted_by_none(launch: Launch, path: Path) -> None:
    assert edit(path.parent, "--plateau", "5") == 0
    assert edit(path.parent, "--plateau", "none") == 0
    assert study(path.parent).plan.plateau is None
    assert changed(replace(launch.plan, plateau=5), {"plateau": "none"}).plateau is None


@pytest.mark.parametrize("name", ["until", "min-gain", "until-confident"])
def test_what_goes_by_the_one_best_trial_is_refused_where_there_is_a_front(launch: Launch, name: str) -> None:
    plan = replace(launch.plan, metrics=("a", "b"), directions=("minimize", "minimize"))
    with pytest.raises(InputError, match=rf"--{name} needs one metric, got 2 \(a, b\)"):
        changed(plan, {name: "0.1"})
    assert changed(plan, {name: "none", "plateau": "7"}).plateau == 7


def test_an_edit_is_reckoned_after_another_that_was_wished_at_the_same_moment(
    launch: Launch, path: Path, capsys: Output
) -> None:
    body = edits.Edit("", {"trials": 14}, {"trials": 9}, "", launch.objective_hash, more={"trials": 5}).to_json()
    wishes.post(launch.folder, "edit", **{name: value for name, value in body.items() if name != "wish"})
    assert edit(path.parent, "--trials", "+10") == 0
    assert study(path.parent).plan.trials == 24
    assert capsys.readouterr().out.startswith("--trials: 14 -> 24\n")


def test_an_objective_is_no_space(launch: Launch, path: Path, capsys: Output) -> None:
    assert edit(path.parent, "--space", f"{path}:learns") == 2
    assert "problem.py:learns is no space but an objective; its own space is" in capsys.readouterr().err


def test_a_limit_below_what_is_spent_is_told_with_what_raises_it(launch: Launch, path: Path, capsys: Output) -> None:
    assert edit(path.parent, "--trials", "3") == 0
    said = capsys.readouterr().err
    assert "nothing is left to do: 9 trials, and --trials is 3" in said
    assert "sweep resume s --trials 29" in said
    assert edit(path.parent, "--trials", "29") == 0
    said = capsys.readouterr().err
    assert "nothing is left" not in said
    assert "sweep resume s " in said
