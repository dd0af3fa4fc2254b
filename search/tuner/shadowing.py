"""Keeps files of a project that are named like a library from being taken for it by workers: the `JobPaths`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from ray.job_config import JobConfig

_OURS: Final = Path(__file__).resolve().parent.parent


def hides_a_library(folder: str) -> bool:
    """Tell whether a folder has a module of the name that ours has, or one that is loaded here from elsewhere."""
    there = Path(folder)
    names = _modules(there)
    if _OURS.name in names and (there / _OURS.name).resolve() != _OURS:
        return True
    loaded = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    return any(file is not None and not Path(file).resolve().is_relative_to(there.resolve()) for file in loaded)


def _modules(folder: Path) -> set[str]:
    """Return the names that can be imported from a folder; of one that is gone, or that nobody may read, none."""
    return {one.stem for one in folder.glob("*.py")} | {one.parent.name for one in folder.glob("*/__init__.py")}


class JobPaths(JobConfig):  # type: ignore[misc]
    """Ray's settings of a job, of which a worker searches the driver's folder before its own packages.

    Where that folder hides a library it is left out: the worker loads the user's files by their paths, and by then it
    has the libraries that it needs.
    """

    def _serialize(self) -> Any:
        given: list[str] = vars(self)["_py_driver_sys_path"]
        given[:] = [folder for folder in given if not hides_a_library(folder)]
        return super()._serialize()
