"""`list`, `show` and `table` tell the truth about studies on disk, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from search.cli.main import main
from search.cli.sweeping import what_next
from search.paths import StudyFolder
from search.status import Status
from search.study.lock import acquire
from tests.records import studies

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose `results` is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return tmp_path / "results"


@pytest.fixture
def mixed(results: Path) -> StudyFolder:
    folder = studies.store(results, "mixed", studies.MIXED, baseline={"val_loss": 0.69})
    failed = folder.trial(3)
    failed.root.mkdir(parents=True)
    failed.log.write_text("".join(f"line {n}\n" for n in range(1000)) + "last \x1b[31mline\n", encoding="utf-8")
    failed.error.write_text("Traceback (most recent call last):\nValueError: broke\n", encoding="utf-8")
    folder.trial(0).checkpoint.mkdir(parents=True)
    return folder


def told_json(capsys: Output) -> Any:
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    return json.loads(told.out)


def test_list_shows_every_study(results: Path, capsys: Output) -> None:
    for name, trials in studies.EXTREMES.items():
        studies.store(results, name.replace(" ", "-"), trials)
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["study", "state", "trials", "metric", "best", "time"]
    assert len(lines) == 1 + len(studies.EXTREMES)
    assert main(["list", "--json"]) == 0
    found = told_json(capsys)["studies"]
    assert [one["study"] for one in found] == sorted(name.replace(" ", "-") for name in studies.EXTREMES)
    assert {one["study"]: one["best"] and one["best"]["value"] for one in found}["mixed"] == 0.4


def test_a_study_that_cannot_be_read_hides_no_other(results: Path, mixed: StudyFolder, capsys: Output) -> None:
    studies.store(results, "broken").plan.write_text("{")
    assert main(["list"]) == 0
    told = capsys.readouterr()
    assert "mixed" in told.out
    assert "broken" in told.err
    main(["list", "--json"])
    told_now = told_json(capsys)
    assert [one["study"] for one in told_now["studies"]] == [mixed.name]
    assert [one["study"] for one in told_now["unreadable"]] == ["broken"]


def test_no_study_is_said_so_and_no_error(capsys: Output) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "no studies in results; `sweep run tabular` makes one\n")
    assert main(["list", "--json"]) == 0
    assert told_json(capsys) == {"studies": []}


def test_studies_on_the_cluster_that_the_environment_names_are_hinted_at(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://10.0.0.1:10001")
    assert main(["list"]) == 0
    assert "`sweep list --address ray://10.0.0.1:10001` shows the studies there" in capsys.readouterr().err
    monkeypatch.setenv("SWEEP_ASKED_AT", "ray://10.0.0.1:10001")
    assert main(["list"]) == 0
    assert "`sweep run tabular --address ray://10.0.0.1:10001` makes one\n" in capsys.readouterr().err


@pytest.mark.usefixtures("mixed")
def test_show_has_states_best_leaderboard_and_failures(capsys: Output) -> None:
    assert main(["show", "mix"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "study    mixed   finished   1 min 30 s",
        "stopped  10 of 10 trials",
        "trials   6 ended: 3 complete, 1 pruned, 2 fail, 2 paused, 1 waiting",
        "best     val_loss 0.4 by trial 2, 3 trials ago   (naive baseline: val_loss 0.69)",
        "epochs   14 run, 6 saved by pruning (30%)",
        "results  results/mixed",
        "failed   1 exception, 1 nan",
        "",
        "trial  val_loss  epoch  parameters",
        "   #2       0.4      2  train.lr=0.2  model.family=Größe 100%",
        "   #5       0.4      1  train.lr=0.01",
        "   #0       0.5      2  train.lr=0.1  model.width=8",
        "",
        "1 of 2 failed (exception): ValueError: trial 3 \\x1b[31mbroke (trial 3)",
        "1 of 2 failed (nan): metric 'val_loss' is nan (trial 4)",
    ]
    assert told.err == "\nnext\n  sweep show mixed --trial best\n"


@pytest.mark.parametrize("name", studies.EXTREMES)
def test_show_works_for_every_study(results: Path, name: str, capsys: Output) -> None:
    studies.store(results, "m", studies.EXTREMES[name])
    assert main(["show", "m"]) == 0
    assert capsys.readouterr().out
    assert main(["show", "m", "--json"]) == 0
    assert told_json(capsys)["study"] == "m"


def test_show_works_while_the_sweep_runs(mixed: StudyFolder, capsys: Output) -> None:
    with acquire(mixed.root, study="mixed"):
        assert main(["show", "mixed"]) == 0
        told = capsys.readouterr().out
        assert "mixed   running" in told
        assert "#6" in told
        main(["show", "mixed", "--json"])
        assert told_json(capsys)["state"] == "running"


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (
            "best",
            ["trial 2 of mixed: complete   3 min 00 s", "  val_loss 0.4", "  train.lr = 0.2", "curve of val_loss  █▁"],
        ),
        ("0", ["checkpoint  results/mixed/trials/00000/checkpoint", "  ended by full budget, best at epoch 2"]),
        (
            "1",
            [
                (
                    "  pruned by asha at epoch 3: val_loss 0.9 at best, cutoff 0.5, 4th beside 3 completed; "
                    "it needed 0.5 or less"
                ),
                "  epoch  val_loss  val_accuracy",
            ],
        ),
        (
            "3",
            ["  failed (exception): ValueError: trial 3 \\x1b[31mbroke", "  line 991", "  last \\x1b[31mline", "error"],
        ),
        ("8", ["trial 8 of mixed: waiting"]),
        ("2", ["again, alone:  sweep run --repeat mixed:2"]),
    ],
)
def test_show_tells_all_of_one_trial(which: str, expected: list[str], capsys: Output) -> None:
    assert main(["show", "mixed", "--trial", which]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in expected if line not in lines] == []
    assert "  line 990" not in lines


@pytest.mark.usefixtures("mixed")
def test_one_trial_as_json(capsys: Output) -> None:
    assert main(["show", "mixed", "--trial", "1", "--json"]) == 0
    told = told_json(capsys)
    assert told["pruning"] == studies.PRUNED_BY
    assert [one["step"] for one in told["reports"]] == [1, 2, 3]
    assert told["reports"][0]["metrics"] == {"val_loss": 0.9, "val_accuracy": pytest.approx(0.1)}
    assert told["repeat"] == "sweep run --repeat mixed:1"


def test_next_commands_name_the_results_folder_that_was_given(tmp_path: Path, capsys: Output) -> None:
    studies.store(tmp_path / "else where", "m", studies.MIXED)
    main(["show", "m", "--results", "else where"])
    assert "  sweep show m --trial best --results 'else where'" in capsys.readouterr().err


def test_the_environment_names_the_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    studies.store(tmp_path / "elsewhere", "m", studies.MIXED)
    monkeypatch.setenv("SWEEP_RESULTS", str(tmp_path / "elsewhere"))
    assert main(["show", "m", "--json"]) == 0
    assert told_json(capsys)["study"] == "m"


@pytest.mark.usefixtures("mixed")
def test_a_table_is_written(tmp_path: Path, capsys: Output) -> None:
    assert main(["table", "mixed", "-o", "out/trials.csv"]) == 0
    assert capsys.readouterr().out == "out/trials.csv: 9 rows, 25 columns\n"
    assert len(pd.read_csv(tmp_path / "out" / "trials.csv")) == 9
    assert main(["table", "mixed", "--reports", "-o", "r.PARQUET", "--json"]) == 0
    assert told_json(capsys) | {"columns": []} == {"study": "mixed", "file": "r.PARQUET", "rows": 14, "columns": []}


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("file", ["out", "out.xlsx", "out.csv.gz", "", "\0.csv"])
def test_a_table_of_another_kind_is_refused(file: str, capsys: Output) -> None:
    assert main(["table", "mixed", "-o", file]) == 2
    assert "-o takes a .csv, .parquet or .json file" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "unit"), [({"replicates": 2}, "step"), ({"folds": 3}, "step"), ({}, "epoch")])
def test_a_report_of_a_trial_that_trains_several_times_is_no_epoch(
    mixed: StudyFolder, change: dict[str, int], unit: str, capsys: Output
) -> None:
    record = json.loads(mixed.plan.read_text())
    record["plan"] |= change
    mixed.plan.write_text(json.dumps(record))
    assert main(["show", "mixed", "--trial", "0"]) == 0
    said = capsys.readouterr().out
    assert f"best at {unit} 2" in said
    assert f"  {unit}  val_loss" in said


@pytest.mark.parametrize(
    ("epochs", "reason", "command"),
    [(0, {"invalid": 1}, "show s --trial last"), (3, {"invalid": 1}, "resume s"), (0, {}, "resume s")],
)
def test_a_sweep_whose_trials_report_nothing_asked_for_is_not_to_be_resumed(
    epochs: int, reason: dict[str, int], command: str
) -> None:
    trials = {"complete": 0, "fail": len(reason), "paused": 1}
    failed = Status("s", "failed", ("loss",), ("minimize",), trials, epochs_run=epochs, failures=reason)
    assert what_next(failed) == [command]
