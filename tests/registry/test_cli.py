"""`models` and `rollback` show what there is, move what they are told, and name the next command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from search.bundle.bundle import CARD
from search.cli.main import main
from search.registry.entries import Contents
from search.registry.registry import Registry
from tests.records import studies
from tests.registry.models import add, registry, three

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose `results` is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return tmp_path / "results"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions that have served and one that has not; nobody changes them."""
    made = tmp_path_factory.mktemp("filled")
    add(three(made))
    return made


def said(capsys: Output, *arguments: str, code: int = 0) -> Any:
    """Run a command with --json and return what it printed; of one that fails, its error."""
    assert main([*arguments, "--json"]) == code
    out, err = capsys.readouterr()
    return json.loads(out) if code == 0 else json.loads(err)["error"]


def test_no_models_are_no_trouble(capsys: Output) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr() == ("", "no models in results/models; next: sweep promote STUDY --as NAME\n")
    assert said(capsys, "models") == {"models": []}


def test_models_are_listed_with_what_serves(results: Path, capsys: Output) -> None:
    three(results).move("candidate", 1, "")
    add(registry(results, "rain"))
    assert main(["models"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "model  production  candidate  test score                 study    since             size",
        "churn           3          1  accuracy 0.9 [0.85, 0.94]  toy #12  2026-11-26 18:03  3.0 kB",
        "rain            -          -  accuracy 0.9 [0.85, 0.94]  toy #7   2026-11-26 18:01  3.0 kB",
    ]  # fmt: skip
    assert err == "next: sweep models churn\n"
    listed = said(capsys, "models")["models"]
    assert [(one["name"], one["versions"], one["shown"], one["aliases"]) for one in listed] == [
        ("churn", 3, 3, {"candidate": 1, "production": 3}),
        ("rain", 1, 1, {}),
    ]


def test_a_model_is_shown_with_its_versions_and_all_that_happened(results: Path, capsys: Output) -> None:
    three(results).rollback("too slow")
    assert main(["models", "churn"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[2].split() == ["version", "aliases", "test", "score", "ms", "a", "row", "study", "registered", "size"]
    assert [line.split()[:2] for line in lines[3:6]] == [["3", "-"], ["2", "production"], ["1", "-"]]
    assert "accuracy 0.9 [0.85, 0.94]" in lines[3]
    assert [line.split(maxsplit=1) for line in lines[7:10]] == [
        ["version", "2  on test rows [95% interval]"],
        ["accuracy", "0.9 [0.85, 0.94]"],
        ["auc", "0.97"],
    ]
    assert lines[12] == "2026-11-26 18:04  ada@lab  rollback: production 3 -> 2  too slow"
    assert [line.split("ada@lab  ")[1] for line in lines[13:]] == [
        "production 2 -> 3            gate",
        "production 1 -> 2            gate",
        "production none -> 1         gate",
    ]
    assert err == "next: sweep serve churn\n"
    shown = said(capsys, "models", "churn")
    assert shown.pop("name") == "churn"
    assert Contents.from_bytes(json.dumps(shown).encode()) == Registry.of(results, "churn").read()


@pytest.mark.parametrize("text", ["churn:2", "churn@old"])
def test_a_version_is_shown_with_its_scores_and_its_card(results: Path, capsys: Output, text: str) -> None:
    three(results).move("old", 2, "")
    assert main(["models", text]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "model    churn:2   of toy #11   2026-11-26 18:02 by ada@lab",
        f"card     {results}/models/churn/2/card.md",
        "",
        "version 2  on test rows [95% interval]",
        "accuracy   0.9 [0.85, 0.94]",
        "auc        0.97",
        "",
    ]
    assert err == f"next: sweep serve {text}\n"
    shown = said(capsys, "models", text)
    assert (shown["version"], shown["scores"][1]["value"], Path(shown["card"]).is_file()) == (2, 0.97, True)


def test_a_version_whose_folder_is_gone_is_shown_as_such(results: Path, capsys: Output) -> None:
    one = three(results)
    one.folder.version(1).rename(results / "elsewhere")
    assert main(["models", "churn"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[3:6]] == ["kB", "kB", "gone"]


def test_an_alias_is_moved_with_a_reason(results: Path, capsys: Output) -> None:
    three(results)
    assert main(["models", "churn", "--move", "candidate=2", "--why", "to compare"]) == 0
    assert capsys.readouterr() == ("churn: candidate none -> 2   toy #11\n", "next: sweep serve churn@candidate\n")
    assert main(["models", "churn", "--move", "candidate=2"]) == 0
    assert capsys.readouterr().out == "candidate of churn is version 2 already\n"
    told = said(capsys, "models", "churn", "--move", "production=1")
    assert (told["version"], told["move"]["from"], told["move"]["why"]) == (1, 3, "moved by hand")
    assert Registry.of(results, "churn").read().aliases == {"candidate": 2, "production": 1}


def test_a_rollback_goes_back_and_says_so(results: Path, capsys: Output) -> None:
    three(results)
    assert main(["rollback", "churn", "--why", "too slow"]) == 0
    assert capsys.readouterr() == ("churn: rollback: production 3 -> 2   toy #11\n", "next: sweep serve churn\n")
    assert said(capsys, "rollback", "churn")["version"] == 1
    assert "no production version before" in said(capsys, "rollback", "churn", code=4)["message"]
    assert said(capsys, "rollback", "churn", "--to", "3")["move"]["to"] == 3
    assert said(capsys, "rollback", "churn", "--to", "3") == {
        "name": "churn", "alias": "production", "version": 3, "move": None,
    }  # fmt: skip


WRONG = [
    (("models", "churm"), 2, "no model 'churm' in results/models", "did you mean 'churn'?"),
    (("models", "../churn"), 2, "a model name is", ""),
    (("models", "--move", "production=1"), 2, "--move needs the model's NAME", "sweep models NAME --move ..."),
    (("models", "churn", "--why", "x"), 2, "--why goes with --move only", ""),
    (("models", "churn", "--version", "1"), 2, "--version goes with --push only", ""),
    (("models", "churn", "--move", "a=1", "--push", "mlflow"), 2, "--move and --push are two commands", ""),
    (
        ("models", "churn", "--move", "production"),
        2,
        "--move takes ALIAS=VERSION, got 'production'",
        "try production=1",
    ),
    (("models", "churn", "--move", "=1"), 2, "--move takes ALIAS=VERSION, got '=1'", ""),
    (("models", "churn", "--move", "production=x"), 2, "--move takes the number of a version, got 'x'", ""),
    (("models", "churn", "--move", "production=0"), 2, "--move takes the number of a version, got '0'", ""),
    (("models", "churn", "--move", "production=9"), 2, "churn has no version 9", "it has 1, 2, 3"),
    (("models", "churn", "--move", "a b=1"), 2, "an alias is", ""),
    (("models", "churn", "--push", "mlflw:x"), 2, "--push takes mlflow:URI, got 'mlflw:x'", ""),
    (("models", "churn:9"), 2, "churn has no version '9'", "it has versions 1, 2, 3"),
    (("models", "./churn:1"), 2, "a model name is", ""),
    (("models", "churn@beta"), 2, "churn has no alias 'beta'", ""),
    (("models", "churn", "--push", "wandb:x"), 2, "--push takes mlflow:URI, got 'wandb:x'", ""),
    (("models", "churn", "--push", "none"), 2, "--push takes mlflow:URI, got 'none'", ""),
    (("models", "churn", "--push", "mlflow:http://u:p@h"), 2, "came with a user, a password or a token", ""),
    (("models", "churn", "--push", "mlflow:sqlite:///m.db", "--version", "9"), 2, "churn has no version 9", ""),
    (("rollback", "churm"), 2, "no model 'churm'", "did you mean 'churn'?"),
    (("rollback", "churn", "--to", "two"), 2, "--to takes the number of a version, got 'two'", ""),
    (("rollback", "churn", "--to", "9"), 2, "churn has no version 9", ""),
    (("rollback", "churn", "--to", "4"), 4, "version 4 of churn never was in production", "`sweep models churn --move"),
]


@pytest.mark.parametrize(("arguments", "code", "message", "hint"), WRONG)
def test_what_cannot_be_done_is_a_sentence(
    filled: Path, results: Path, capsys: Output, arguments: tuple[str, ...], code: int, message: str, hint: str
) -> None:
    shutil.copytree(filled, results)
    before = Registry.of(results, "churn").state()
    error = said(capsys, *arguments, code=code)
    assert message in error["message"]
    assert error["hint"].startswith(hint)
    assert len(error["message"]) <= 200
    assert Registry.of(results, "churn").state() == before


def test_a_model_without_production_is_not_pushed_by_itself(results: Path, capsys: Output) -> None:
    add(registry(results))
    assert (
        "no production version" in said(capsys, "models", "churn", "--push", "mlflow:sqlite:///m.db", code=2)["message"]
    )


def test_a_damaged_registry_is_exit_3_beside_the_others(results: Path, capsys: Output) -> None:
    one = three(results)
    add(registry(results, "rain"))
    one.folder.registry.write_text("{}")
    for arguments in (["models", "churn"], ["rollback", "churn"]):
        assert "registry.json is damaged" in said(capsys, *arguments, code=3)["message"]
    assert main(["models"]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith("rain")
    assert "registry.json is damaged: it is of no format that we know; ours is 1; put a good copy" in err
    assert one.folder.registry.read_text() == "{}"


def test_a_damaged_version_is_exit_4(results: Path, capsys: Output) -> None:
    one = three(results)
    (one.folder.version(2) / CARD).write_text("better")
    assert "card.md is not as its manifest says" in said(capsys, "rollback", "churn", code=4)["message"]


def test_a_study_that_is_deleted_leaves_its_promoted_models(results: Path, capsys: Output) -> None:
    studies.store(results, "toy", studies.MIXED)
    one = three(results)
    assert main(["rm", "toy", "--yes"]) == 0
    assert capsys.readouterr().err == "removed toy\n"
    assert not (results / "toy").exists()
    assert said(capsys, "rm", "models", "--yes", code=2)["message"].startswith("no study 'models'")
    assert sorted(one.read().versions) == [1, 2, 3]
    assert one.bundle(3)


def test_names_from_elsewhere_steer_no_terminal(results: Path, capsys: Output) -> None:
    one = three(results)
    one.move("candidate", 1, "\x1b[31mred\nline")
    assert main(["models", "churn"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31mred\\nline" in out
