"""Keeps a project's own `search.py` from being taken for our package by workers: the `JobPaths` that they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ray.job_config import JobConfig

_OURS: Final = Path(__file__).resolve().parent.parent


def hides_ours(folder: str) -> bool:
    """Tell whether `import search` finds something else than our package in a folder."""
    package = Path(folder) / _OURS.name
    if package.is_dir() and package.resolve() != _OURS:
        return (package / "__init__.py").exists()
    return package.with_suffix(".py").exists() and not package.is_dir()


class JobPaths(JobConfig):  # type: ignore[misc]
    """Ray's settings of a job, of which a worker searches the driver's folder before its own packages.

    Where that folder hides our package it is left out: the worker loads the user's files by their paths, and by then it
    has ours.
    """

    def _serialize(self) -> Any:
        given: list[str] = vars(self)["_py_driver_sys_path"]
        given[:] = [folder for folder in given if not hides_ours(folder)]
        return super()._serialize()
