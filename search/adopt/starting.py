"""Import a script of another tool's without starting what it starts: whoever imports it stops at that line."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn


class _Loading(threading.local):
    """Whether this thread loads a script."""

    now = False


_LOADING: Final = _Loading()


class Started(BaseException):
    """A script came to the line that starts its own search; passes by its `except Exception`."""


def stop(*_: Any, **__: Any) -> NoReturn:
    """Stand in for what starts a search.

    Raises:
        Started: Always.
    """
    raise Started


def stop_if_loading() -> None:
    """End the loading of a script that comes to a sweep of ours; whoever is swept starts none.

    Raises:
        Started: This thread loads a script.
    """
    if _LOADING.now:
        raise Started


@contextmanager
def held_back(file: Path) -> Iterator[None]:
    """Have a script run up to the line that starts its own search, with Optuna, Ray Tune or us, and no further.

    What stands below is about results, which there are none of. Other files are run as they are.

    Args:
        file: Read for what it imports at its top level.
    """
    with ExitStack() as stack:
        stack.enter_context(replaced(_LOADING, "now", True))
        for tool in _imported(file) & set(_TOOLS):
            stack.enter_context(_TOOLS[tool]())
        with suppress(Started):
            yield


@contextmanager
def replaced(owner: Any, name: str, stand_in: Any) -> Iterator[None]:
    """Have an attribute be something else meanwhile."""
    before = getattr(owner, name)
    setattr(owner, name, stand_in)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _optuna() -> Iterator[None]:
    import optuna

    from search.adopt.nowhere import Nowhere

    get, nowhere, thread = optuna.storages.get_storage, Nowhere(), threading.get_ident()

    def get_here(storage: Any) -> Any:
        return nowhere if threading.get_ident() == thread else get(storage)  # a study of ours may run beside

    with replaced(optuna.Study, "optimize", stop), replaced(optuna.storages, "get_storage", get_here):
        yield


@contextmanager
def _ray() -> Iterator[None]:
    from search.tuner.starting import held_back as held_back_ray

    with held_back_ray():
        yield


_TOOLS: Final = {"optuna": _optuna, "ray": _ray}


def _imported(file: Path) -> set[str]:
    """Return the packages that a file imports outside of its functions."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))
    return found
