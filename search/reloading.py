"""Load a user's file as it is now, in a process that has imported it before; and what of its code is the space's."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from search import loading
from search.candidates import Kind
from search.loading import Loaded
from search.usermodules import UserFile, changed_since_import, code_files, library

_PROJECT: Final = re.compile(r"sweep_loaded_[0-9a-f]{12}")
"""The private package that stands for the root of a project."""

_INSTALLED: Final = frozenset(("site-packages", "dist-packages", ".venv", "venv"))


def load_anew(reference: str, *, kind: Kind, folder: Path) -> Loaded:
    """Load what a reference names from its file as it is now; what was loaded before stays usable as it is.

    Args:
        reference: As of `loading.load`, like `kind` and `folder`.
        kind: What is looked for.
        folder: What paths are relative to.

    Raises:
        InputError: As of `loading.load`.
    """
    _forget()
    return loading.load(reference, kind=kind, folder=folder)


def forget_changed() -> None:
    """Have everything that this process has imported be read anew, if a file of it changed: as workers will see it."""
    if changed_since_import():
        _forget()


def objective_hash(objective: Loaded, space: Loaded) -> str:
    """Return a SHA-256 over the code of an objective without the text of its space, which may stand in its file.

    Both are left out: the space that is searched, and one that the objective brings along.
    """
    if objective.code:
        return objective.code
    brought = getattr(objective.value, "space", None)
    spaces = [space, *([replace(objective, value=brought)] if callable(brought) else [])]
    digest = hashlib.sha256()
    for path in code_files(UserFile(objective.file, objective.root)):
        name = path.relative_to(objective.root).as_posix() if path.is_relative_to(objective.root) else path.name
        lines = path.read_bytes().splitlines(keepends=True)
        known = [one for one in spaces if not one.code and one.file == path]
        found = {span for one in known if (span := _space_lines(one)) is not None}
        for first, last in sorted(found, reverse=True):
            del lines[first - 1 : last]
        digest.update(f"{name}\0{hashlib.sha256(b''.join(lines)).hexdigest()}\n".encode())
    return digest.hexdigest()


def _space_lines(space: Loaded) -> tuple[int, int] | None:
    """Return the first and last line of a space's definition in its file, None if it cannot be found."""
    function = inspect.unwrap(space.value) if callable(space.value) else space.value
    name = getattr(function, "__qualname__", space.reference.rpartition(":")[2])
    body: list[ast.stmt] = ast.parse(space.file.read_bytes()).body
    found: ast.stmt | None = None
    for part in name.split("."):
        found = next((node for node in body if _binds(node, part)), None)
        if found is None:
            return None
        body = getattr(found, "body", [])
    assert found is not None
    decorators = getattr(found, "decorator_list", [])
    return min([found.lineno, *(one.lineno for one in decorators)]), found.end_lineno or found.lineno


def _binds(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name) and node.target.id == name
    return getattr(node, "name", None) == name


def _forget() -> None:
    """Have Python import the files of users' projects from their source when they are next asked for."""
    modules = {name: module for name, module in sys.modules.items() if module is not None}
    roots = [Path(one) for name, module in modules.items() if _PROJECT.fullmatch(name) for one in module.__path__]
    for name, module in modules.items():
        file = getattr(module, "__file__", None)
        private = name.startswith("sweep_loaded_")
        if not private and not (file and _is_users(Path(file), roots)):
            continue
        del sys.modules[name]
        if file and file.endswith(".py"):  # a change within a second that keeps the size would not be noticed
            with suppress(OSError, NotImplementedError):
                Path(importlib.util.cache_from_source(file)).unlink(missing_ok=True)


def _is_users(file: Path, roots: list[Path]) -> bool:
    """Tell whether a file was imported as part of a user's project, from its root on `sys.path`."""
    for root in roots:
        if root != library() and file.is_relative_to(root):
            return _INSTALLED.isdisjoint(file.relative_to(root).parts)
    return False
