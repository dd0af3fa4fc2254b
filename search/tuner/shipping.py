"""What travels to a cluster: this package, and the code of the objective's project, as one folder: the `Shipment`.

A cluster has Python, Ray and the libraries. Neither this package nor a user's project has to be installed there, and
no disk is shared: Ray's runtime environment brings the folder to each node, where it is every worker's current one.
Data and results do not travel that way, and files that are no code only where the project's `pyproject.toml` says so:

    [tool.sweep]
    ship = ["configs/*.yaml"]
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search.byvalue import is_by_value
from search.errors import InputError
from search.plan import SweepPlan
from search.usermodules import UserFile, code_files, library

PROJECT: Final = "project"
"""Folder of the objective's project within a shipment."""

_OURS: Final = Path(__file__).resolve().parents[1]
_MOST_FILES: Final = 2_000
_MOST_BYTES: Final = 50_000_000
_ASSET_BYTES: Final = 256_000  # pages and phones have larger files, trials need none of them
_INSTALLED: Final = frozenset(("site-packages", "dist-packages", "node_modules", "__pycache__"))


@dataclass(frozen=True, slots=True)
class Shipment:
    """A folder that is ready to travel, and what the plan's references are called in it.

    Attributes:
        folder: Holds the projects, and where workers are sent it `search/`.
        objective: Reference of the objective, relative to the folder.
        space: Reference of the search space, relative to the folder.
        notes: What was left behind, a sentence each.
    """

    folder: Path
    objective: str
    space: str
    notes: tuple[str, ...] = ()


def pack(plan: SweepPlan, into: Path) -> Shipment:
    """Put together what workers need of the code.

    Args:
        plan: Names objective and space, by their canonical references.
        into: An empty folder.

    Raises:
        InputError: A project has more code than a cluster should be sent.
    """
    pack_ours(into)
    return pack_projects(plan, into)


def pack_ours(into: Path) -> str:
    """Put this package into a folder, and return a hash of its code."""
    _copy_ours(into / _OURS.name)
    digest = hashlib.sha256()
    for path in sorted(into.rglob("*.py")):
        digest.update(f"{path.relative_to(into)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def pack_projects(plan: SweepPlan, into: Path) -> Shipment:
    """Put the projects of objective and space into a folder, without this package.

    Raises:
        InputError: A project has more code than a cluster should be sent.
    """
    roots: dict[Path, str] = {}
    notes: list[str] = []
    objective, space = (_packed(one, into, roots, notes) for one in (plan.objective, plan.space))
    return Shipment(into, objective, space, tuple(notes))


def _packed(reference: str, into: Path, roots: dict[Path, str], notes: list[str]) -> str:
    """Copy the project that a reference leads to, unless it has been copied, and return the reference from there."""
    place, _, name = reference.rpartition(":")
    file = _file_of(place) if not is_by_value(reference) else None
    if file is None or not _INSTALLED.isdisjoint(file.path.parts):
        return reference  # in the driver's orders, or installed where it runs
    if file.root == library():
        return f"{file.path.stem}:{name}"  # of the library, which travels with this package
    if file.root not in roots:
        roots[file.root] = PROJECT + (f"-{len(roots) + 1}" if roots else "")
        notes += _copy_project(file, into / roots[file.root])
    return f"{roots[file.root]}/{file.path.relative_to(file.root).as_posix()}:{name}"


def _file_of(place: str) -> UserFile | None:
    if place.endswith(".py"):
        return UserFile.of(Path(place))
    found = importlib.util.find_spec(place)
    return UserFile.of(Path(found.origin)) if found is not None and found.origin else None


def _copy_ours(into: Path) -> None:
    """Copy this package as a wheel has it: the shipped objectives and spaces inside."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        large = (name for name in names if not name.endswith(".py") and _size(Path(folder, name)) > _ASSET_BYTES)
        return [*large, *_INSTALLED.intersection(names)]

    shutil.copytree(_OURS, into, ignore=left_out)
    if library() != _OURS / "library":
        for name in ("objectives", "spaces"):
            shutil.copytree(library() / name, into / "library" / name, ignore=left_out)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _copy_project(start: UserFile, into: Path) -> Iterator[str]:
    """Copy the code of a project: all of it, or of a very large one what the objective imports."""
    needed = code_files(start)
    every = _code_of(start.root)
    if every is None:
        every = []
        yield f"{start.root} has over {_MOST_FILES} files of code: only what {start.path.name} imports is sent"
    files = sorted({*every, *needed, *_declared(start.root)})
    total = sum(map(_size, files))
    if total > _MOST_BYTES:
        largest = max(files, key=_size)
        raise InputError(
            f"{start.root} has {total / 1e6:.0f} MB of code, {largest.name} alone {_size(largest) / 1e6:.0f} MB;"
            f" a cluster is sent {_MOST_BYTES / 1e6:.0f} MB at most",
            field="objective",
            hint="move data out of the code, or the objective into a project of its own",
        )
    for file in files:
        if file.is_relative_to(start.root):
            target = into / file.relative_to(start.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _code_of(root: Path) -> list[Path] | None:
    """Return a project's Python files but installed and hidden ones; None if they are too many to be one project's."""
    found: list[Path] = []
    seen = 0
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not _is_foreign(Path(place, name))]
        found += [Path(place, name) for name in names if name.endswith(".py")]
        seen += len(names)
        if len(found) > _MOST_FILES or seen > 50 * _MOST_FILES:
            return None
    return found


def _is_foreign(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in _INSTALLED or (folder / "pyvenv.cfg").exists()


def _declared(root: Path) -> list[Path]:
    """Return the further files that a project wants to travel.

    Raises:
        InputError: What it says of them is wrong.
    """
    settings = root / "pyproject.toml"
    if not settings.is_file():
        return []
    try:
        patterns = tomllib.loads(settings.read_text()).get("tool", {}).get("sweep", {}).get("ship", [])
        found = [path for pattern in patterns for path in root.glob(pattern) if path.is_file()]
    except (ValueError, TypeError, AttributeError, NotImplementedError, OSError) as error:
        raise InputError(
            f"{settings}: tool.sweep.ship is a list of patterns of relative paths: {error}", field="ship"
        ) from error
    outside = [path for path in found if not path.resolve().is_relative_to(root.resolve())]
    if outside:
        raise InputError(f"{settings}: tool.sweep.ship leads out of the project, to {outside[0]}", field="ship")
    return found
