"""Keeps files of a project that are named like a library from being taken for it by workers: the `JobPaths`."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final

from ray.job_config import JobConfig

_OURS: Final = Path(__file__).resolve().parent.parent


def hides_a_library(folder: str) -> bool:
    """Tell whether a folder has a module of a name that ours has, or Python's own, or one that is installed."""
    names = _modules(Path(folder))
    if _OURS.name in names and (Path(folder) / _OURS.name).resolve() != _OURS:
        return True
    if Path(folder).resolve() == _OURS.parent or not names:
        return False
    others = [one for one in sys.path if Path(one).resolve() != Path(folder).resolve()]
    return any(name in sys.stdlib_module_names or PathFinder.find_spec(name, others) is not None for name in names)


def _modules(folder: Path) -> set[str]:
    """Return the names that can be imported from a folder; a mere folder of files is none."""
    try:
        there = [*folder.iterdir()]
    except OSError:  # it is gone, or nobody may read it
        return set()
    files = {one.stem for one in there if one.suffix == ".py"}
    return files | {one.name for one in there if (one / "__init__.py").exists()}


class JobPaths(JobConfig):  # type: ignore[misc]
    """Ray's settings of a job, of which a worker searches the driver's folder before its own packages.

    Where that folder hides a library it is left out: the worker loads the user's files by their paths, and by then it
    has the libraries that it needs.
    """

    def _serialize(self) -> Any:
        given: list[str] = vars(self)["_py_driver_sys_path"]
        given[:] = [folder for folder in given if not hides_a_library(folder)]
        return super()._serialize()
