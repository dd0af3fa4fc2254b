"""References find what they name, in any process, and say so when they do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.errors import InputError
from search.loading import Loaded, code_hash, load, load_space
from search.usermodules import UserFile, code_files

SHORT = """
from search.contract import objective

def my_space(trial):
    trial.suggest_float("x", 0, 1)

@objective(space=my_space, metrics={"val_loss": "minimize"})
def short(run):
    yield {"val_loss": 1.0}
"""
STAGES = """
from dataclasses import dataclass
from collections.abc import Sequence
from search.contract import Objective

class Stages:
    space = "stages"
    def data(self, source): ...
    def metrics(self, dataset): ...
    def preprocess(self, params, train, validation, context): ...
    def learner(self, params, prepared, context): ...
    def baseline(self, train, validation, context): return {}

class _Hidden(Stages): ...

@dataclass
class StagesConfig:
    x: int = 1
"""
SPACE = "def stages(trial):\n    return trial.suggest_int('n', 1, 3)\n"


@pytest.fixture(autouse=True)
def _forget_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("sweep_loaded_") or name in ("stages", "other", "deeper", "inner_of_mine"):
            del sys.modules[name]


def write(root: Path, **files: str) -> None:
    """Write Python files; `__` in a name stands for a folder, and `__init__` for itself."""
    for name, text in files.items():
        *folders, stem = name.removesuffix("__init__").split("__")
        path = root.joinpath(*folders) / f"{stem or '__init__'}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("reference", ["short.py", "short.py:short", "short:short", "./short.py"])
def test_the_only_candidate_needs_no_name(tmp_path: Path, reference: str) -> None:
    write(tmp_path, short=SHORT)
    loaded = load(reference, kind="objective", folder=tmp_path)
    assert loaded.reference == f"{tmp_path}/short.py:short"
    assert next(loaded.value(None)) == {"val_loss": 1.0}


def test_a_class_is_instantiated_and_private_or_imported_names_are_no_candidates(tmp_path: Path) -> None:
    write(tmp_path, stages=STAGES, other="from stages import Stages\nclass Mine(Stages): ...\n")
    assert type(load("stages.py", kind="objective", folder=tmp_path).value).__name__ == "Stages"
    assert type(load("other.py", kind="objective", folder=tmp_path).value).__name__ == "Mine"


def test_an_instance_is_a_candidate(tmp_path: Path) -> None:
    write(tmp_path, stages=STAGES, made="from stages import Stages\nmine = Stages()\n")
    assert load("made.py", kind="objective", folder=tmp_path).reference.endswith("made.py:mine")


def test_a_function_whose_argument_is_trial_comes_before_other_functions(tmp_path: Path) -> None:
    write(tmp_path, space="def helper(x): ...\ndef two(a, b): ...\ndef mine(trial): ...\ndef _own(trial): ...\n")
    assert load("space.py", kind="space", folder=tmp_path).reference.endswith("space.py:mine")


def test_a_bare_name_is_the_projects_own_before_the_librarys(tmp_path: Path) -> None:
    write(tmp_path, objectives__tabular=SHORT)
    assert load("tabular", kind="objective", folder=tmp_path).root == tmp_path
    library = load("tabular", kind="objective", folder=tmp_path / "objectives")
    assert type(library.value).__name__ == "Tabular"
    assert load_space(library, None, folder=tmp_path).file.parent.name == "spaces"


def test_a_bare_name_of_a_space_picks_the_function_of_that_name(tmp_path: Path) -> None:
    write(tmp_path, spaces__deep="def wide(trial): ...\ndef deep(trial): ...\n")
    assert load("deep", kind="space", folder=tmp_path).reference.endswith("deep.py:deep")


def test_relative_imports_work_inside_a_package_and_two_projects_do_not_clash(tmp_path: Path) -> None:
    for project, value in (("one", 1.0), ("two", 2.0)):
        short = SHORT.replace("import objective", "import objective\nfrom .parts import VALUE").replace("1.0", "VALUE")
        root = tmp_path / project
        write(root, objectives__short=short, objectives____init__="", objectives__parts=f"VALUE = {value}\n")
    one = load("one/objectives/short.py", kind="objective", folder=tmp_path)
    two = load("two/objectives/short.py", kind="objective", folder=tmp_path)
    assert (next(one.value(None)), next(two.value(None))) == ({"val_loss": 1.0}, {"val_loss": 2.0})
    assert one.root == tmp_path / "one"


def test_modules_beside_the_file_and_at_the_root_can_be_imported(tmp_path: Path) -> None:
    short = SHORT.replace("import objective", "import objective\nimport beside_the_file, at_the_root")
    write(tmp_path, objectives__short=short, objectives__beside_the_file="", at_the_root="")
    assert load("objectives/short.py", kind="objective", folder=tmp_path).root == tmp_path


@pytest.mark.parametrize("name", ["my-objective", "実験 #1", "a.b", "100%", "class"])
def test_any_file_name_loads(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{name: SHORT})
    loaded = load(f"{name}.py", kind="objective", folder=tmp_path)
    assert load(loaded.reference, kind="objective", folder=Path("/")).value is loaded.value


@pytest.mark.parametrize(
    "space", ["'stages'", "'spaces/stages.py'", "'spaces/stages.py:stages'", "'../spaces/stages.py'"]
)
def test_an_objectives_own_space_may_be_a_reference(tmp_path: Path, space: str) -> None:
    write(tmp_path, objectives__mine=STAGES.replace('"stages"', space), spaces__stages=SPACE)
    objective = load("objectives/mine.py", kind="objective", folder=tmp_path)
    assert load_space(objective, None, folder=Path("/")).reference == f"{tmp_path}/spaces/stages.py:stages"


def test_an_objectives_own_space_may_be_a_function(tmp_path: Path) -> None:
    inner = STAGES.replace('space = "stages"', "def space(trial): return trial")
    write(tmp_path, short=SHORT, inner=inner, method=inner.replace("(trial)", "(self, trial)"))
    for name in ("short", "inner", "method"):
        space = load_space(load(f"{name}.py", kind="objective", folder=tmp_path), None, folder=tmp_path)
        assert space.reference.endswith(".space")
        again = load(space.reference, kind="space", folder=Path("/"))
        assert again.reference == space.reference
        assert name == "short" or again.value(7) == 7


def test_a_given_space_wins_over_the_objectives_own(tmp_path: Path) -> None:
    write(tmp_path, short=SHORT, other=SPACE)
    objective = load("short.py", kind="objective", folder=tmp_path)
    assert load_space(objective, "other.py", folder=tmp_path).reference == f"{tmp_path}/other.py:stages"


def test_a_canonical_reference_loads_in_a_fresh_process(tmp_path: Path) -> None:
    short = SHORT.replace("import objective", "import objective\nfrom .parts import VALUE").replace("1.0", "VALUE")
    write(tmp_path, objectives__short=short, objectives____init__="", objectives__parts="VALUE = 3.0\n")
    reference = load("objectives/short.py", kind="objective", folder=tmp_path).reference
    code = (
        "import sys; from pathlib import Path; from search.loading import load\n"
        f"print(next(load({reference!r}, kind='objective', folder=Path('/')).value(None)))\n"
        "assert not {'ray', 'torch', 'optuna', 'pandas', 'sklearn'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    assert told.stdout.strip() == "{'val_loss': 3.0}"


MISTAKES: list[tuple[str, str]] = [
    ("nofile.py:Tab", "objective file nofile.py does not exist (looked in the current folder); `sweep init DIR` makes"),
    ("stages.py:Stagse", "stages.py has no 'Stagse'; it has Stages, StagesConfig"),
    ("two.py", "two.py holds 2 objectives (a, b); write two.py:a"),
    ("empty.py", "empty.py holds no objective: a class with data, metrics, preprocess and learner, a generator"),
    ("stages.py:StagesConfig", "stages.py:StagesConfig is no objective: it takes a class with data"),
    ("absent.py", "absent.py line 3 fails to import: No module named 'lightgbm_absent'; install it or fix the line"),
    ("broken.py", "broken.py line 2 fails to import: '(' was never closed"),
    ("raises.py", "raises.py line 2 fails to import: ZeroDivisionError: division by zero; fix the line"),
    ("quits.py", "quits.py line 2 fails to import: SystemExit: 3; fix the line"),
    ("needs.py", "needs.py: Needs() fails: TypeError:"),
    ("tabluar", "no objective 'tabluar'; did you mean 'tabular'?"),
    ("stages", "stages is no file; did you mean stages.py?"),
    ("no.such.module:X", "no objective 'no.such.module'; known: "),
    ("a b", "objective file a b does not exist"),
    ("x" * 300 + ".py", "does not exist"),
    ("a\0b.py", "does not exist"),
    ("", "the study was imported without an objective"),
    ("..", "does not exist"),
]


@pytest.mark.parametrize(("reference", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    two = SHORT.replace("def short", "def a") + SHORT.replace("def short", "def b")
    needs = STAGES.replace("class Stages:", "class Needs:\n    def __init__(self, x): ...").replace("(Stages)", "")
    write(tmp_path, stages=STAGES, two=two, empty="x = 1\n", needs=needs)
    write(tmp_path, absent="import json\n\nimport lightgbm_absent\n", broken="x = 1\ny = (\n")
    write(tmp_path, raises="\n1 / 0\n", quits="import sys\nsys.exit(3)\n")
    with pytest.raises(InputError) as caught:
        load(reference, kind="objective", folder=tmp_path)
    assert sentence in caught.value.sentence()
    assert "\n" not in caught.value.sentence()


def test_the_users_own_traceback_comes_with_an_import_error_and_nothing_of_ours(tmp_path: Path) -> None:
    write(tmp_path, outer="import inner_of_mine\n", inner_of_mine="def f():\n    raise KeyError('k')\nf()\n")
    with pytest.raises(InputError, match=r"inner_of_mine\.py line 2 fails to import: KeyError: 'k'") as caught:
        load("outer.py", kind="objective", folder=tmp_path)
    (trace,) = caught.value.__notes__
    assert "outer.py" in trace
    assert trace.endswith("KeyError: 'k'")
    assert "usermodules" not in trace
    assert "importlib" not in trace


def _project(root: Path) -> Loaded:
    write(root, objectives____init__="", objectives__parts="VALUE = 1\n", deeper="X = 1\n", unused="Y = 1\n")
    late = "def late():\n    from .parts import VALUE\n    import deeper, json, numpy\n"
    write(root, objectives__short=SHORT + late)
    return load("objectives/short.py", kind="objective", folder=root)


@pytest.mark.parametrize(
    ("changed", "differs"),
    [("objectives/short.py", True), ("objectives/parts.py", True), ("deeper.py", True), ("unused.py", False)],
)
def test_the_code_hash_covers_what_is_imported_also_later(tmp_path: Path, changed: str, differs: bool) -> None:
    loaded = _project(tmp_path)
    before = code_hash(loaded)
    (tmp_path / changed).write_text((tmp_path / changed).read_text() + "# changed\n")
    assert (code_hash(loaded) != before) is differs


def test_the_code_of_an_installed_objective_is_its_own_package(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    write(site, mine____init__="", mine__parts="VALUE = 1\n", numpyish____init__="X = 1\n")
    write(site, mine__short=SHORT + "def late():\n    import numpyish\n    from .parts import VALUE\n")
    file = UserFile.of(site / "mine" / "short.py")
    assert [path.name for path in code_files(file)] == ["__init__.py", "parts.py", "short.py"]


def test_the_code_hash_does_not_depend_on_where_the_project_lies(tmp_path: Path) -> None:
    assert code_hash(_project(tmp_path / "here")) == code_hash(_project(tmp_path / "there"))


def test_the_root_is_above_the_packages_and_above_objectives(tmp_path: Path) -> None:
    write(tmp_path, a__b____init__="", a__b__c="", a__objectives__c="", a__loose="")
    roots = [UserFile.of(tmp_path / name).root for name in ("a/b/c.py", "a/objectives/c.py", "a/loose.py")]
    assert roots == [tmp_path / "a"] * 3
