"""`sweep enqueue`, `retry` and `stop`: granted by the sweep that runs, or at once where nobody runs the study."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from search.choosing import choose
from search.cli.main import main
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.study import wishes
from search.study.owner import StudyOwner
from search.study.runs import Run
from tests.tuner.sweeps import stored, write

FAILS = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)
    trial.suggest_categorical("model.kind", ["a", "b"])

@objective(space=space, metrics={"val_loss": "minimize"})
def fails(run):
    if run.params["model.kind"] == "b" and not (HERE / "mended").exists():
        raise ValueError("kind b is broken")
    for epoch in run.epochs:
        yield {"val_loss": run.params["train.x"] / epoch}
"""

Output = pytest.CaptureFixture[str]


def go_on(launch: Launch, run: str) -> None:
    owner = opened(launch, run)
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
    owner.finish()
    owner.close()


def opened(launch: Launch, run: str) -> StudyOwner:
    given = Run(run, launch.code_hash, launch.data_hash, {}, launch.objective_hash)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=given)
    owner.prepare({})
    return owner


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """A study of six trials, the failed ones among them still broken."""
    path = write(tmp_path, FAILS)
    flags = {"study": "s", "seed": 2, "trials": 6, "max-epochs": 2, "pruner": "none"}
    made = prepare(str(path), choose(flags), results=tmp_path, folder=tmp_path)
    made.folder.root.mkdir()
    made.folder.plan.write_text(json.dumps(made.record()))
    go_on(made, "first")
    return made


@contextmanager
def running(launch: Launch) -> Iterator[StudyOwner]:
    """Have a sweep that runs and looks for wishes, as its study server does."""
    owner, over = opened(launch, "second"), threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            wishes.grant(StudyFolder(launch.folder.root), owner)

    looks = threading.Thread(target=look)
    looks.start()
    try:
        yield owner
    finally:
        over.set()
        looks.join()
        owner.close()


def command(launch: Launch, *arguments: str) -> int:
    return main([*arguments, "--results", str(launch.folder.root.parent)])


def answer(capsys: Output) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_point_is_enqueued_where_nobody_runs_the_study(launch: Launch, capsys: Output) -> None:
    assert command(launch, "enqueue", "s", "train.x=0.125", "model.kind=a", "--json") == 0
    told = answer(capsys)
    assert told["granted"] is True
    assert told["trials"]["waiting"] == 1
    waiting = stored(launch.folder.root.parent)[-1]
    assert waiting.system_attrs["fixed_params"] == {"train.x": 0.125, "model.kind": "a"}
    assert [*launch.folder.wishes.iterdir()] == []
    assert not (launch.folder.root / "study.lock").exists()


def test_a_running_sweep_grants_a_wish_within_a_second(launch: Launch, capsys: Output) -> None:
    with running(launch):
        assert command(launch, "enqueue", "s", "train.x=0.125", "--json") == 0
        assert answer(capsys)["granted"] is True
        assert command(launch, "retry", "s", "--failed") == 0
        assert "granted" in capsys.readouterr().out
    assert len(stored(launch.folder.root.parent)) == 7 + failed_of(launch)


def failed_of(launch: Launch) -> int:
    return sum(trial.state.name == "FAIL" for trial in stored(launch.folder.root.parent))


def test_failed_trials_are_run_again_and_count_once(launch: Launch, capsys: Output) -> None:
    failed = [trial for trial in stored(launch.folder.root.parent) if trial.state.name == "FAIL"]
    assert 0 < len(failed) < 6
    assert command(launch, "retry", "s", "--failed") == 0
    assert command(launch, "retry", "s", *(str(trial.number) for trial in failed)) == 0  # once more changes nothing
    assert f"{len(failed)} waiting in s" in capsys.readouterr().out
    (launch.folder.root.parent / "mended").touch()
    go_on(launch, "second")
    trials = stored(launch.folder.root.parent)
    assert [trial.params for trial in trials[6:]] == [trial.params for trial in failed]
    assert {trial.state.name for trial in trials[6:]} == {"COMPLETE"}
    assert len(trials) == 6 + len(failed)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["enqueue", "s"], "`sweep enqueue` needs NAME=VALUE; try train.lr=0.01"),
        (["enqueue", "s", "train.x"], "a point takes name=value, got 'train.x'; try train.lr=0.01"),
        (["enqueue", "s", "train.x=0.1", "train.x=0.2"], "train.x is given twice; keep one of them"),
        (["enqueue", "s", "train.y=0.1"], "no parameter 'train.y'; did you mean train.x?"),
        (["enqueue", "s", "train.x=2"], "train.x=2 is outside [0, 1] of the space; widen the space to allow it"),
        (["retry", "s"], "`sweep retry` takes numbers of failed trials or --failed; try `sweep retry STUDY --failed`"),
        (["retry", "s", "x"], "`sweep retry` takes numbers of trials, got 'x'; or --failed for all"),
        (["retry", "s", "77"], "study 's' has no trial 77; its trials are 0 to 5"),
        (["stop", "t"], "no study 't' in "),
    ],
)
def test_a_wrong_wish_is_one_sentence_and_changes_nothing(
    launch: Launch, arguments: list[str], sentence: str, capsys: Output
) -> None:
    before = launch.folder.journal.read_bytes()
    assert command(launch, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    assert launch.folder.journal.read_bytes() == before
    assert not launch.folder.wishes.exists()


def test_a_trial_that_did_not_fail_is_not_run_again(launch: Launch, capsys: Output) -> None:
    done = next(trial.number for trial in stored(launch.folder.root.parent) if trial.state.name == "COMPLETE")
    assert command(launch, "retry", "s", str(done)) == 2
    assert f"trial {done} of study 's' is complete; only failed trials are run again" in capsys.readouterr().err


def test_a_study_that_nobody_runs_is_not_stopped(launch: Launch, capsys: Output) -> None:
    assert command(launch, "stop", "s") == 0
    told = capsys.readouterr()
    assert "nobody runs study 's': there is nothing to stop" in told.err
    assert "finished" in told.out


def test_a_wish_to_stop_stays_until_the_run_has_ended(launch: Launch) -> None:
    folder, owner = launch.folder, opened(launch, "second")
    wishes.post(folder, "stop", now=False)
    for _ in range(2):  # a study server that restarts in between hears it again
        assert wishes.grant(folder, owner) is False
    wishes.post(folder, "stop", now=True)
    assert wishes.grant(folder, owner) is True
    wishes.forget_stops(folder)
    assert wishes.grant(folder, owner) is False
    owner.close()


NO_WISHES = [
    "",
    "{",
    "[]",
    "\0",
    '{"kind": "dance", "body": {}}',
    '{"kind": "stop"}',
    '{"kind": "enqueue", "body": {}}',
    '{"kind": "enqueue", "body": {"points": [1]}}',
    '{"kind": "retry", "body": {"numbers": ["1"]}}',
]


@pytest.mark.parametrize("content", NO_WISHES)
def test_what_is_no_wish_is_left_alone(launch: Launch, content: str) -> None:
    owner = opened(launch, "second")
    launch.folder.wishes.mkdir()
    (launch.folder.wishes / "x.json").write_text(content)
    assert wishes.grant(launch.folder, owner) is False
    assert (launch.folder.wishes / "x.json").read_text() == content
    owner.close()


def test_only_numbers_of_failed_trials_are_run_again(launch: Launch) -> None:
    owner = opened(launch, "second")
    owner.steering.retry([-1, 99, *range(6)], wish="all")
    assert owner.status().trials["waiting"] == failed_of(launch)
    owner.close()


def test_a_wish_that_is_granted_twice_counts_once(launch: Launch) -> None:
    owner = opened(launch, "second")
    for _ in range(3):
        owner.steering.enqueue({"train.x": 0.5}, wish="the same")
    assert owner.status().trials["waiting"] == 1
    owner.close()


def test_a_study_whose_process_ended_before_it_could_say_that_it_had_finished_is_settled(
    launch: Launch, capsys: Output
) -> None:
    owner = opened(launch, "second")  # which finds nothing to do, and is killed
    owner.close()
    assert command(launch, "list", "--json") == 0
    assert answer(capsys)["studies"][0]["state"] == "interrupted"
    assert command(launch, "resume", "s", "--json") == 0
    told = answer(capsys)
    assert (told["state"], told["why_stopped"]) == ("finished", "6 of 6 trials")
    assert not (launch.folder.root / "study.lock").exists()
