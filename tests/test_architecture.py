"""The walls of the house, read from the source: who may import whom, and what stands nowhere."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unsafe import HARMLESS, REASONS, UNSAFE, unsafe

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in ("search", "objectives", "spaces")
    for path in (ROOT / folder).rglob("*.py")
    if "templates" not in path.parts  # copied into users' projects: their code, not ours
)
NAMED = {str(path.relative_to(ROOT)): path for path in SOURCES}
CHECKED = {
    str(path.relative_to(ROOT)): path
    for folder in ("search", "objectives", "spaces", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
"""What runs no foreign code: that of benchmarks and of projects that start from a template, too."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path, *, at_import_time: bool = False) -> Iterator[str]:
    """Yield every module that a file imports, by its absolute dotted name."""
    tree = parsed(path)
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in _top(tree) if at_import_time else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _top(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the statements that run at import: not those in functions, nor under `if TYPE_CHECKING`."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting.extend(ast.iter_child_nodes(node))


def is_of(module: str, owner: str) -> bool:
    return module == owner or module.startswith(f"{owner}.")


@pytest.mark.parametrize("name", [name for name in NAMED if name.startswith(("objectives/", "spaces/"))])
def test_objectives_and_spaces_import_only_the_contract(name: str) -> None:
    ours = {module for module in imports(NAMED[name]) if is_of(module, "search")}
    assert all(module == "search" or is_of(module, "search.contract") for module in ours), ours


@pytest.mark.parametrize("name", [name for name in NAMED if name.startswith("search/")])
def test_the_orchestrator_never_imports_objectives_or_spaces(name: str) -> None:
    assert not [module for module in imports(NAMED[name]) if is_of(module, "objectives") or is_of(module, "spaces")]


OWNERS = [
    ("ray", ("search/tuner/", "search/serve/cluster.py")),
    ("optuna", ("search/study/", "search/adopt/")),
    ("click", ("search/cli/",)),
    ("rich", ("search/cli/",)),
]
TYPES_ONLY = {"search/contract.py", "search/launch.py"}  # annotate with Optuna's types


@pytest.mark.parametrize(("library", "owners"), OWNERS)
def test_each_library_is_imported_only_by_its_owner(library: str, owners: tuple[str, ...]) -> None:
    found = {
        name
        for name, path in NAMED.items()
        if not name.startswith(owners) and any(is_of(module, library) for module in imports(path))
    }
    allowed = TYPES_ONLY if library == "optuna" else set()
    assert not {name for name in found - allowed if name.startswith("search/")}


TRAINING = ("ray", "optuna", "torch", "pandas", "sklearn", "search.study", "search.tuner", "search.promote")
"""What no promoted model needs."""

FORBIDDEN = [
    ("search/study/", ("ray", "search.tuner", "search.cli", "search.records", "search.report")),
    ("search/engine.py", ("ray", "optuna", "search.study", "search.tuner", "search.cli")),
    ("search/session.py", ("ray", "optuna", "search.study", "search.tuner", "search.cli")),
    ("search/checkpoint.py", ("ray", "optuna", "search.study", "search.tuner", "search.cli")),
    ("search/blame.py", ("ray", "optuna", "search.study", "search.tuner", "search.cli")),
    ("search/problem.py", ("ray", "optuna", "search.study", "search.tuner", "search.cli")),
    ("search/tuner/", ("search.report", "search.promote", "search.serve", "search.cli")),
    ("search/report/", ("optuna", "ray", "search.study", "search.tuner", "search.cli")),
    ("search/records/", ("ray", "search.tuner", "search.cli")),
    ("search/data/", ("ray", "optuna", "torch", "search.study", "search.tuner", "search.cli")),
    ("search/bundle/", (*TRAINING, "search.registry", "search.serve", "search.cli")),
    ("search/registry/", (*TRAINING, "search.serve", "search.cli")),
    ("search/serve/", (*TRAINING, "search.online", "search.cli")),
    ("search/promote/", ("ray", "optuna", "search.serve", "search.online", "search.cli")),
    ("search/online/", ("ray", "optuna", "search.cli")),
]


ON_PURPOSE = {"search/serve/cluster.py", "search/serve/mobile/programs.py"}
"""A server on Ray; and what makes a program for phones out of a network, which takes torch."""


@pytest.mark.parametrize(("part", "others"), FORBIDDEN)
def test_imports_point_one_way(part: str, others: tuple[str, ...]) -> None:
    wrong = [
        (name, module)
        for name, path in NAMED.items()
        if name.startswith(part) and name not in ON_PURPOSE
        for module in imports(path)
        if any(is_of(module, other) for other in others)
    ]
    assert not wrong


def test_only_the_console_prints() -> None:
    wrong = [
        name
        for name, path in NAMED.items()
        if name != "search/cli/console.py"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong


def test_one_file_says_which_extra_brings_a_missing_package() -> None:
    cli = {name: path.read_text() for name, path in NAMED.items() if name.startswith("search/cli/")}
    assert [name for name, text in cli.items() if "ModuleNotFoundError" in text] == ["search/cli/extras.py"]


@pytest.mark.parametrize("name", list(CHECKED))
def test_nothing_unpickles_evaluates_or_calls_a_shell(name: str) -> None:
    found = set(unsafe(parsed(CHECKED[name])))
    assert found <= set(REASONS.get(name, {}))


def test_each_exception_still_has_its_reason() -> None:
    for name, reasons in REASONS.items():
        assert set(unsafe(parsed(CHECKED[name]))) == set(reasons), name


@pytest.mark.parametrize(("code", "found"), UNSAFE)
def test_what_runs_foreign_code_is_found_under_any_name(code: str, found: str) -> None:
    assert list(unsafe(ast.parse(code))) == [found]


@pytest.mark.parametrize("code", HARMLESS)
def test_what_only_looks_like_it_is_not_found(code: str) -> None:
    assert list(unsafe(ast.parse(code))) == []


@pytest.mark.parametrize("name", [name for name in NAMED if name.endswith("__init__.py")])
def test_packages_only_re_export(name: str) -> None:
    """An `__init__.py` holds a docstring, imports, `__all__` and `__version__`: no code of its own."""
    for node in parsed(NAMED[name]).body:
        allowed = isinstance(node, (ast.Expr, ast.Import, ast.ImportFrom, ast.If, ast.FunctionDef))
        if isinstance(node, ast.Assign):
            allowed = all(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets)
        assert allowed, ast.unparse(node)[:80]


@pytest.mark.parametrize("name", [name for name in NAMED if name.startswith("search/")])
def test_every_module_says_in_one_sentence_what_it_is_for(name: str) -> None:
    text = ast.get_docstring(parsed(NAMED[name]))
    assert text, name
    assert text.split("\n\n")[0].count("\n") == 0, "the first line is the whole sentence"


def test_public_names_are_sorted_complete_and_importable() -> None:
    search = importlib.import_module("search")
    assert sorted(search.__all__) == search.__all__
    for name in search.__all__:
        assert getattr(search, name) is not None


# Put together here, so that this file does not hold them itself.
PRIVATE = re.compile(
    "|".join(
        [
            "/wo" + "rk/",
            r"\.libr" + "ary/",
            "pythonh" + "osted",
            r"pypi\.o" + "rg",
            r"npmjs\.o" + "rg",
            "shared" + "/(DESIGN|CLI|FACTS|STYLE|USERS|RELIABILITY|ECOSYSTEM|SEARCH|REPORT|replay)",
        ]
    )
)


def test_nothing_tracked_refers_to_pages_or_places_that_a_clone_does_not_have() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    wrong = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ".json", ""} and path.is_file():
            wrong += [(name, found.group()) for found in PRIVATE.finditer(path.read_text(errors="replace"))]
    assert not wrong


WHERE_MODELS_RUN = "search.bundle.model, search.registry.resolving, search.serve.serving, search.serve.predicting"


def test_where_promoted_models_run_nothing_of_their_training_is_loaded() -> None:
    libraries = ("ray", "optuna", "torch", "pandas", "sklearn", "scipy", "onnx")
    code = f"import sys, {WHERE_MODELS_RUN}; print([name for name in {libraries!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


HEAVY = ("ray", "torch")


RUNS_NONE = ["search", "search.contract", "search.plan", "search.status", "search.cli.main"]

SETS_THE_TOKEN = ["search.tuner.driver", "search.tuner.away", "search.tuner.inquiry", "search.serve.cluster"]
"""What sets how Ray proves who we are, which Ray reads at its import: a Ray that is there before lets in anybody."""


@pytest.mark.parametrize("module", [*RUNS_NONE, *SETS_THE_TOKEN])
def test_what_runs_no_trial_or_has_yet_to_set_a_token_imports_neither_ray_nor_torch(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
