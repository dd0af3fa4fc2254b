"""Which of a script's objectives is searched: what it gives to `study.optimize`, or what its user names."""

from __future__ import annotations

from pathlib import Path

import pytest

from search import loading
from search.adopt import optimized
from search.errors import InputError
from tests.adopt.optunas import launched, script

ONE = "def objective(trial, scale=1):\n    return scale * trial.suggest_float('x', 0, 1)\n"
TWO = "def obj_a(trial):\n    return 1\ndef obj_b(trial):\n    return 2\n"
MORE = "import functools\ndef objective(trial, X, y):\n    return 1\nX = y = 1\n"
MADE = (
    "class Objective:\n    def __init__(self, low=0):\n        pass\n    def __call__(self, trial):\n        return 1\n"
)
MAIN = "if __name__ == '__main__':\n    "
RUN = "optuna.create_study().optimize"

FOLLOWED = [
    (f"{ONE}{RUN}(objective)", "objective"),
    (f"{ONE}{RUN}(lambda t: objective(t))", "objective"),
    (f"{TWO}{RUN}(obj_b)", "obj_b"),
    (f"{TWO}{MAIN}study = optuna.create_study()\n    study.optimize(func=obj_b)", "obj_b"),
    (f"{TWO}def objective(trial):\n    return 3\n{RUN}(obj_a)", "obj_a"),
    (f"{MADE}{ONE}def main():\n    {RUN}(Objective())", "Objective"),
    (f"{MADE}{ONE}{MAIN}one = Objective()\n    {RUN}(one)", "Objective"),
    (f"{MADE}one = Objective(3)\n{MAIN}{RUN}(one)", "one"),
    (f"{MORE}part = functools.partial(objective, X=X, y=y)\n{RUN}(part)", "part"),
    (f"{ONE}def tune(objective):\n    {RUN}(objective)", "objective"),
]
"""Scripts, and what of them is searched where nobody names it."""

REFUSED = [
    (f"{ONE}{RUN}(lambda t: objective(t, scale=9))", "add `obj = functools.partial(objective, scale=9)`"),
    (f"{MORE}{RUN}(lambda t: objective(t, X, y))", "add `obj = functools.partial(objective, X=X, y=y)`"),
    (f"{ONE}{RUN}(lambda t: -objective(t))", "add `obj = lambda t: -objective(t)`"),
    (f"import functools\n{ONE}{RUN}(functools.partial(objective, scale=9))", "(objective, scale=9)`"),
    (f"{MADE}{ONE}{RUN}(Objective(3))", "add `obj = Objective(3)`"),
    (
        f"class Of:\n    def train(self, trial):\n        return 1\n    def go(self):\n        {RUN}(self.train)",
        "add `obj = Of(...).train`",
    ),
    (f"def main():\n    def inner(trial):\n        return 1\n    {RUN}(inner)\n", "move inner to the top level"),
    (MORE, "objective takes 3 arguments; add `obj = functools.partial(objective, X=X, y=y)` and name it"),
]
"""Scripts whose objective has no name yet, and what is said to write."""


@pytest.mark.parametrize(("text", "name"), FOLLOWED)
def test_what_a_script_optimizes_is_searched(text: str, name: str, tmp_path: Path) -> None:
    found = loading.load(str(script(tmp_path, text)), kind="objective", folder=tmp_path)
    assert found.reference.endswith(f":{name}")


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_has_no_name_is_not_guessed(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as fault:
        loading.load(str(script(tmp_path, text)), kind="objective", folder=tmp_path)
    assert said in fault.value.sentence()
    assert len(fault.value.sentence()) <= 250


def test_another_name_than_the_script_optimizes_is_told(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        f"import functools\n{ONE}obj = functools.partial(objective, scale=9)\n{RUN}(lambda t: objective(t, scale=9))",
    )
    line = len(path.read_text().splitlines())
    said = f"rain.py line {line} optimizes lambda t: objective(t, scale=9), and not objective"
    assert said in launched(f"{path}:objective", tmp_path / "a").notes
    assert not any("and not" in note for note in launched(f"{path}:obj", tmp_path / "b").notes)


def test_a_name_that_is_missing_is_answered_by_those_that_work(tmp_path: Path) -> None:
    text = f"import functools\n{MADE}def f(trial, n):\n    return n\npart = functools.partial(f, n=1)\n{MAIN}pass\n"
    with pytest.raises(InputError, match=r"it has Objective, part$"):
        loading.load(f"{script(tmp_path, text)}:nothere", kind="objective", folder=tmp_path)


def test_a_script_of_another_tool_optimizes_nothing_for_us(tmp_path: Path) -> None:
    path = tmp_path / "other.py"
    path.write_text("from scipy import optimize\nsolver.optimize(lambda x: x)\n")
    assert optimized.read(path) == []
