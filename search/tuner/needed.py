"""What a machine has to have installed before it can run a plan's trials: the `Need`s, read from the source."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from search.plan import SweepPlan
from search.tuner.shipping import file_of, is_installed
from search.usermodules import code_files, library

TRIALS: Final = (
    *("fsspec", "numpy", "optuna", "pandas", "psutil", "pyarrow", "ray", "safetensors", "scipy", "sklearn"),
    *("threadpoolctl", "torch", "yaml"),
)
"""What this package imports where trials run, by the names of its imports."""

HEAD: Final = ("click", "httpx", "rich", "sqlalchemy", "tenacity")
"""What it imports beside that where a driver runs."""

_PACKAGES: Final = {
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
}
"""Packages whose names are not those of their modules, for a machine that lacks them."""

_MISSING: Final = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")
_FOR_PROMOTION: Final = ("export", "why_no_export")
"""Methods of an objective that no trial calls."""


@dataclass(frozen=True, slots=True)
class Need:
    """A module that has to be importable.

    Attributes:
        module: Its topmost name.
        package: What it is called where it is installed from.
        by: The file that imports it, as a person names it; "" for this package itself.
    """

    module: str
    package: str
    by: str = ""


def ours(*, head: bool = False) -> tuple[Need, ...]:
    """Return what this package needs itself, on the head beside what it needs for trials."""
    return tuple(Need(name, package_of(name)) for name in (*TRIALS, *(HEAD if head else ())))


def needs_of(plan: SweepPlan) -> tuple[Need, ...]:
    """Return what the objective and the space of a plan need, without what this package needs anyway.

    What this machine does not have itself is not among it: they were loaded here without it.
    """
    found: dict[str, Need] = {}
    for reference in (plan.objective, plan.space):
        file = file_of(reference)
        if file is None:
            continue
        if is_installed(file) and file.root != library():
            module = file.path.relative_to(file.root).parts[0].removesuffix(".py")
            found.setdefault(module, Need(module, package_of(module), "the sweep"))
            continue
        for path in code_files(file):
            for name in imported(path, everywhere=file.root != library()):
                if name not in found and not _is_projects(name, path, file.root) and is_here(name):
                    found[name] = Need(name, package_of(name), path.relative_to(file.root).as_posix())
    return tuple(need for name, need in sorted(found.items()) if name not in TRIALS)


def imported(path: Path, *, everywhere: bool) -> set[str]:
    """Return the topmost names of what a file imports and cannot do without, but for Python's own.

    Args:
        path: A file of Python.
        everywhere: Also what functions import when they are called, but for those that only promotion calls.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    return {name for name in _names(tree.body, everywhere) if name not in sys.stdlib_module_names and name != "search"}


def is_here(module: str) -> bool:
    """Tell whether this process could import a module, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def package_of(module: str) -> str:
    """Return what a module is called where it is installed from, as far as this machine knows."""
    known = _installed().get(module)
    return known[0] if known else _PACKAGES.get(module, module)


@cache
def _installed() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _names(body: Iterable[ast.stmt], everywhere: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module:
                yield node.module.partition(".")[0]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if everywhere and node.name not in _FOR_PROMOTION:
                yield from _names(node.body, everywhere)
        else:
            yield from _names(_unguarded(node), everywhere)


def _unguarded(node: ast.stmt) -> list[ast.stmt]:
    """Return the statements inside another one whose imports have to succeed."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return node.orelse
    if isinstance(node, (ast.Try, ast.TryStar)) and any(map(_catches_missing, node.handlers)):
        return [*node.orelse, *node.finalbody]
    if isinstance(node, ast.With) and any(_suppresses(item.context_expr) for item in node.items):
        return []
    blocks = (getattr(node, name, []) for name in ("body", "orelse", "finalbody"))
    handlers = (handler.body for handler in getattr(node, "handlers", []))
    cases = (case.body for case in getattr(node, "cases", []))
    return [one for block in (*blocks, *handlers, *cases) for one in block]


def _catches_missing(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(name in _MISSING for name in _last_names(handler.type))


def _suppresses(called: ast.expr) -> bool:
    if not isinstance(called, ast.Call) or "suppress" not in _last_names(called.func):
        return False
    return any(name in _MISSING for one in called.args for name in _last_names(one))


def _last_names(node: ast.expr) -> list[str]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return [ast.unparse(part).rpartition(".")[2] for part in parts]


def _is_projects(module: str, path: Path, root: Path) -> bool:
    """Tell whether a module is one of the project's own, which travels."""
    for folder in {root, path.parent}:
        if (folder / f"{module}.py").is_file():
            return True
        if (folder / module).is_dir() and next((folder / module).rglob("*.py"), None) is not None:
            return True
    return False
