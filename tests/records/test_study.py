"""A stored study is read truthfully, in every state it can be left in."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.errors import InputError, SurroundingsError
from search.paths import StudyFolder
from search.records.failures import in_common
from search.records.find import all_studies, study_folder
from search.records.leaderboard import leaders
from search.records.study import read, status, trial
from search.study.lock import acquire
from tests.records import studies


def test_the_status_counts_every_state_and_finds_the_first_best(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "mixed", studies.MIXED, baseline={"val_loss": 0.69})
    found = status(read(folder))
    assert found.to_json() == {
        "study": "mixed",
        "state": "finished",
        "metrics": ["val_loss"],
        "directions": ["minimize"],
        # nobody holds the study, so the trial that Optuna calls RUNNING is on nobody's hands: paused
        "trials": {"complete": 3, "pruned": 1, "fail": 2, "running": 0, "paused": 2, "waiting": 1},
        "best": {
            "number": 2,
            "value": 0.4,
            "values": [0.4],
            "params": {"train.lr": 0.2, "model.family": "Größe 100%"},
            "metrics": {"val_loss": 0.4, "val_accuracy": 0.6},
            "step": 2,
        },
        "best_trials": [],
        "epochs": {"run": 3 + 3 + 2 + 1 + 0 + 2 + 1 + 2, "saved_by_pruning": 9 - 3},
        "seconds": 90.0,
        "why_stopped": "10 of 10 trials",
        "results": str(tmp_path / "mixed"),
        "baseline": {"val_loss": 0.69},
        "failures": {"exception": 1, "nan": 1},
    }
    assert found.best_age == 3


def test_a_study_whose_lock_is_held_is_running(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "mixed", studies.MIXED, time_s=600.0, stopped=None)
    with acquire(folder.root, study="mixed"):
        found = status(read(folder))
    assert (found.state, found.why_stopped) == ("running", "")
    assert [(one.number, one.step, one.value) for one in found.running] == [(6, 1, 0.3)]
    assert found.trials["paused"] == 1
    assert found.left_s is not None
    assert 0 < found.left_s <= 510


def test_a_study_that_was_left_without_a_word_is_interrupted(tmp_path: Path) -> None:
    found = status(read(studies.store(tmp_path, "left", studies.MIXED, stopped=None)))
    assert (found.state, found.why_stopped) == ("interrupted", "its process ended without a word")


def test_a_study_whose_process_ended_before_it_was_opened_says_so(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "refused", stopped=None)
    folder.journal.unlink()
    found = status(read(folder))
    assert (found.state, found.why_stopped) == ("interrupted", "its process ended before it began")


def test_a_study_that_has_only_been_launched_is_empty(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "new")
    folder.journal.unlink()
    assert status(read(folder)).trials["complete"] == 0


def test_several_metrics_make_a_front(tmp_path: Path) -> None:
    values = [(0.5, 0.5), (0.4, 0.4), (0.6, 0.9), (0.6, 0.9), (0.4, 0.3)]
    trials = [studies.trial("complete", values=pair, minute=index) for index, pair in enumerate(values)]
    folder = studies.store(
        tmp_path, "two", trials, metrics=("val_loss", "val_accuracy"), directions=("minimize", "maximize")
    )
    stored = read(folder)
    assert [one.number for one in status(stored).front] == [0, 1, 2]
    assert [one.number for one in leaders(stored, 10)] == [1, 0, 2]


def test_equal_trials_are_led_by_the_earlier_one(tmp_path: Path) -> None:
    assert [one.number for one in leaders(read(studies.store(tmp_path, "m", studies.MIXED)), 2)] == [2, 5]


@pytest.mark.parametrize(
    ("which", "number"), [("best", 2), ("last", 7), ("0", 0), ("8", 8)], ids=["best", "last", "first", "waiting"]
)
def test_a_trial_is_found_by_number_or_word(tmp_path: Path, which: str, number: int) -> None:
    assert trial(read(studies.store(tmp_path, "m", studies.MIXED)), which).number == number


@pytest.mark.parametrize(
    ("which", "trials", "sentence"),
    [
        ("9", studies.MIXED, "study 'm' has no trial 9; its trials are 0 to 8"),
        ("-1", studies.MIXED, "--trial takes a number, best or last, got '-1'"),
        ("²", studies.MIXED, "--trial takes a number, best or last, got '²'"),
        ("best", (), "study 'm' has no completed trial; try last"),
        ("last", (), "study 'm' has no trial yet"),
        ("0", (), "study 'm' has no trial 0; it has none yet"),
    ],
)
def test_a_trial_that_is_not_there_is_said_so(tmp_path: Path, which: str, trials: tuple, sentence: str) -> None:  # type: ignore[type-arg]
    stored = read(studies.store(tmp_path, "m", trials))
    with pytest.raises(InputError) as caught:
        trial(stored, which)
    assert caught.value.sentence() == sentence


@pytest.mark.parametrize("trials", studies.EXTREMES.values(), ids=studies.EXTREMES)
def test_reading_changes_nothing(tmp_path: Path, trials: tuple) -> None:  # type: ignore[type-arg]
    folder = studies.store(tmp_path, "m", trials)
    before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
    status(read(folder))
    assert {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"plan": {}}', '{"plan": {"unknown": 1}}', "\xff"])
def test_a_damaged_plan_is_refused_by_name(tmp_path: Path, content: str) -> None:
    folder = studies.store(tmp_path, "m")
    folder.plan.write_text(content, encoding="latin-1")
    with pytest.raises(SurroundingsError, match=r"plan\.json is no plan of a study"):
        read(folder)


def test_failures_that_differ_in_numbers_only_are_one_kind(tmp_path: Path) -> None:
    trials = [studies.trial("fail", reason="exception", text=f"ValueError: shape {n} is not 7") for n in range(3)]
    trials.append(studies.trial("fail", reason="nan", text="loss is nan"))
    assert in_common(read(studies.store(tmp_path, "m", trials)).records) == [
        "3 of 4 failed alike (exception): ValueError: shape 0 is not 7 (trial 0)",
        "1 of 4 failed (nan): loss is nan (trial 3)",
    ]


def test_a_study_is_found_by_name_prefix_or_folder(tmp_path: Path) -> None:
    for name in ("tabular-a", "tabular-b", "images", "images-2"):
        studies.store(tmp_path, name)
    (tmp_path / "README.md").write_text("not a study")
    assert [folder.name for folder in all_studies(tmp_path)] == ["images", "images-2", "tabular-a", "tabular-b"]
    assert study_folder(tmp_path, "images").name == "images"
    assert study_folder(tmp_path, "images-").name == "images-2"
    assert study_folder(tmp_path / "elsewhere", str(tmp_path / "images")).name == "images"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nosturdi", "no study 'nosturdi' in {results}; nearest: 'nosturdy' (`sweep list` shows all)"),
        ("tab", "'tab' fits tabular-a and tabular-b; write more of it"),
        ("zzzz", "no study 'zzzz' in {results}; `sweep list` shows all"),
        ("", "no study '' in {results}; `sweep list` shows all"),
        ("x" * 5000, "no study"),
        ("a\0b", "no study"),
        ("../..", "no study"),
    ],
)
def test_a_study_that_is_not_found_is_said_so(tmp_path: Path, text: str, sentence: str) -> None:
    for name in ("tabular-a", "tabular-b", "nosturdy"):
        studies.store(tmp_path, name)
    with pytest.raises(InputError) as caught:
        study_folder(tmp_path, text)
    assert sentence.format(results=tmp_path) in caught.value.sentence()


def test_no_results_folder_means_no_studies(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert all_studies(tmp_path / "missing") == all_studies(tmp_path / "file") == []


def test_a_study_folder_with_an_unusual_name_is_read(tmp_path: Path) -> None:
    odd = tmp_path / "Größe 100%" / "実験 #1"
    studies.store(odd, "m", studies.MIXED)
    assert status(read(StudyFolder(odd / "m"))).trials["complete"] == 3
