"""`init` makes a project that runs as printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.cli.init import FILES, RUN, TEMPLATES
from search.cli.main import main
from search.contract import Run
from search.loading import load, load_space

Output = pytest.CaptureFixture[str]


class Suggestions:
    """A trial that takes the middle of every range."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self.params.setdefault(name, choices[0])

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self.params.setdefault(name, (low + high) // 2))

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return float(self.params.setdefault(name, (low * high) ** 0.5))


def test_init_writes_a_project_and_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "my project"]) == 0
    assert capsys.readouterr().err == f"\nnext\n  cd 'my project'\n  {RUN}\n"
    assert all((tmp_path / "my project" / name).is_file() for name in FILES)
    assert RUN in (tmp_path / "my project" / "README.md").read_text()


def test_the_objective_of_a_new_project_learns(tmp_path: Path, capsys: Output) -> None:
    main(["init", str(tmp_path / "p")])
    objective = load("objectives/digits.py", kind="objective", folder=tmp_path / "p")
    space = load_space(objective, None, folder=tmp_path)
    assert space.file == tmp_path / "p" / "spaces" / "digits.py"
    trial = Suggestions()
    space.value(trial)
    run = Run(trial.params, seed=1, max_epochs=6, threads=1, device="cpu", source=None)  # type: ignore[arg-type]
    metrics = list(objective.value(run))
    assert len(metrics) == 6
    assert metrics[-1]["val_accuracy"] > 0.9
    assert metrics[-1]["val_loss"] < metrics[0]["val_loss"]
    assert metrics == list(objective.value(run))
    capsys.readouterr()


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".py")])
def test_the_example_is_short(name: str) -> None:
    assert len((TEMPLATES / name).read_text().splitlines()) < 40


def test_a_folder_that_holds_a_project_is_refused(tmp_path: Path, capsys: Output) -> None:
    main(["init", str(tmp_path)])
    mine = tmp_path / FILES[0]
    mine.write_text("mine")
    assert main(["init", str(tmp_path), "--json"]) == 4
    error = json.loads(capsys.readouterr().err.splitlines()[-1])["error"]
    assert (error["code"], error["field"]) == (4, "DIR")
    assert mine.read_text() == "mine"


def test_a_folder_with_other_files_is_used(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n")
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "data.csv").read_text() == "a,b\n"


@pytest.mark.parametrize("folder", ["", "a\0b"])
def test_a_folder_that_cannot_be_is_refused(folder: str, capsys: Output) -> None:
    assert main(["init", folder]) == 2
    assert "needs a folder" in capsys.readouterr().err
