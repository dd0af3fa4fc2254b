"""What the README shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

from search import loading
from search.choosing import choose
from search.cli.commands import COMMANDS
from search.data.source import FileSource
from search.launch import prepare
from search.local import run_alone, setting_of
from search.problem import open_problem
from search.study.example import example
from search.trial import Ending

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_objective_of_the_readme_is_short_and_trains(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (code,) = (block for block in blocks if "@objective" in block)
    assert code.count("\n") < 40
    (tmp_path / "digits.py").write_text(code)
    flags = {"seed": 0, "max-epochs": 3, "set": ("train.schedule=constant", "train.lr=0.1")}
    launch = prepare("digits.py", choose(flags), results=tmp_path / "results", folder=tmp_path)
    objective = loading.load("digits.py", kind="objective", folder=tmp_path).value
    problem = open_problem(objective, FileSource(None, None, tmp_path), seed=0)
    params = example("random", launch.loaded_space.value, ["minimize"], seed=0, fixed=launch.plan.fixed)
    outcome = run_alone(problem, 0, params, setting_of(launch.plan, problem))
    assert outcome.ending is Ending.COMPLETE
    assert outcome.metrics["val_accuracy"] > 0.85


def test_every_command_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"^    sweep (\w+)|`sweep (\w+)", README, re.MULTILINE))
    assert {first or second for first, second in named} <= set(COMMANDS)
