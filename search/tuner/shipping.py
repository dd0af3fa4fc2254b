"""What travels to a cluster: this package, and the code of the objective's project, as one folder: the `Shipment`.

A cluster has Python, Ray and the libraries. Neither this package nor a user's project has to be installed there, and
no disk is shared: Ray's runtime environment brings the folder to each node, where it is every worker's current one.
Data and results do not travel that way, and files that are no code only where the project's `pyproject.toml` says so:

    [tool.sweep]
    ship = ["configs/*.yaml"]

A pattern is relative to that file's folder. A folder that nothing marks as a project, such as a home, has only the
files sent that the objective imports; a project that has come to a study's home travels on from there whole. What lies
outside of the project, and what usually holds secrets, is never sent.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from search.byvalue import is_by_value
from search.errors import InputError
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.usermodules import UserFile, code_files, library

PROJECT: Final = "project-1"
"""Folder of the objective's project within a shipment: no name of a package, which its root would else pass for."""

_OURS: Final = Path(__file__).resolve().parents[1]
_MOST_FILES: Final = 2_000
_MOST_BYTES: Final = 50_000_000
_ASSET_BYTES: Final = 256_000  # pages and phones have larger files, trials need none of them
_INSTALLED: Final = frozenset(("site-packages", "dist-packages", "node_modules", "__pycache__"))
_MARKS: Final = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
"""What makes a folder a project, all of whose code belongs together."""

_SECRET: Final = (
    *("*.env", "*.env.*", "secrets.*", "*.secret", "credentials*", "*credentials.json", "*.netrc", "*.pgpass"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "id_rsa*", "id_ed25519*", "id_ecdsa*", "*.ipynb"),
)
"""Names of files that never travel, whatever a project declares: keys, passwords, and notebooks with their outputs."""


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
    results = Path(plan.results).resolve()
    objective, space = (_packed(one, into, roots, notes, results) for one in (plan.objective, plan.space))
    return Shipment(into, objective, space, tuple(notes))


def file_of(reference: str) -> UserFile | None:
    """Return the file that a canonical reference leads to; None if that is no file of Python's."""
    place = reference.rpartition(":")[0]
    if is_by_value(reference):
        return None
    if place.endswith(".py"):
        return UserFile.of(Path(place))
    found = importlib.util.find_spec(place)
    origin = found.origin if found is not None else None
    return UserFile.of(Path(origin)) if origin is not None and origin.endswith(".py") else None


def is_installed(file: UserFile) -> bool:
    """Tell whether a file is one of an installed package, which a cluster has to have itself."""
    return not _INSTALLED.isdisjoint(file.path.parts)


def _packed(reference: str, into: Path, roots: dict[Path, str], notes: list[str], results: Path) -> str:
    """Copy the project that a reference leads to, unless it has been copied, and return the reference from there."""
    name, file = reference.rpartition(":")[2], file_of(reference)
    if file is None:
        return reference  # in the driver's orders
    if file.root == library():
        return f"{file.path.stem}:{name}"  # of the library, which travels with this package
    if is_installed(file):
        return f"{'.'.join(file.path.relative_to(file.root).with_suffix('').parts)}:{name}"
    if file.root not in roots:
        roots[file.root] = PROJECT if not roots else f"{PROJECT[:-1]}{len(roots) + 1}"
        notes += _copy_project(file, into / roots[file.root], results)
    return f"{roots[file.root]}/{file.path.relative_to(file.root).as_posix()}:{name}"


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


def _copy_project(start: UserFile, into: Path, results: Path) -> list[str]:
    """Copy the code of a project, and return what was left out, a sentence each."""
    root, notes = start.root, _Notes()
    files = {path: path for path in code_files(start) if path.is_relative_to(root)}
    if _has_travelled(root):
        files.update({path: path.resolve() for path in _walk(root, root, results, notes, frozenset())})
    elif _is_project(start):
        every = list(_code_of(root, results, notes))
        if len(every) > _MOST_FILES:
            notes.say(f"{root} has over {_MOST_FILES} files of code: only what {start.path.name} imports is sent")
        else:
            files.update({path: path.resolve() for path in every})
    files.update({path: path.resolve() for path in _declared(root, results, notes)})
    total = sum(map(_size, files.values()))
    if total > _MOST_BYTES:
        largest = max(files.values(), key=_size)
        raise InputError(
            f"{root} has {total / 1e6:.0f} MB of code, {largest.name} alone {_size(largest) / 1e6:.0f} MB;"
            f" a cluster is sent {_MOST_BYTES / 1e6:.0f} MB at most",
            field="objective",
            hint="move data out of the code, or the objective into a project of its own",
        )
    for path, file in sorted(files.items()):
        target = into / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return notes.said


class _Notes:
    """Sentences for the user, each once."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.append(sentence)


def _is_project(start: UserFile) -> bool:
    """Tell whether all code around a file belongs to it: something marks the folder, or the file lies in a package."""
    root = start.root
    if root in (Path.home(), Path(root.anchor)):
        return False
    return root != start.path.parent or any((root / name).exists() for name in _MARKS)


def _has_travelled(root: Path) -> bool:
    """Tell whether a project came with its study, chosen where that began: all that is here of it belongs together."""
    return root.name.startswith(PROJECT[:-1]) and StudyFolder(root.parent).exists()


def _code_of(root: Path, results: Path, notes: _Notes) -> Iterator[Path]:
    """Yield a project's Python files but installed and hidden ones; of too many, a few more than may be sent."""
    found = 0
    for path in _walk(root, root, results, notes, frozenset()):
        if path.suffix == ".py" and not path.name.startswith("."):
            yield path
            found += 1
        if found > _MOST_FILES:
            return


def _walk(folder: Path, root: Path, results: Path, notes: _Notes, above: frozenset[Path]) -> Iterator[Path]:
    """Yield the files below a folder that are the project's own; links are followed while they stay inside it."""
    here = folder.resolve()
    if here in above or (here == results and here != root):  # a link to a folder around it
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() and not _is_inside(path, root):
            if path.suffix == ".py" or path.is_dir():
                notes.say(f"{path.relative_to(root)} leads out of {root}, and is not sent")
        elif not _is_sendable(entry.name):
            continue
        elif entry.is_dir():
            if not _is_foreign(path):
                yield from _walk(path, root, results, notes, above | {here})
        elif entry.is_file():
            yield path


def _is_inside(path: Path, root: Path) -> bool:
    """Tell whether what a path leads to is the project's own, and no hidden or installed part of it."""
    real = path.resolve()
    if not real.is_relative_to(root):
        return False
    folders = [real, *real.parents] if real.is_dir() else real.parents
    return not any(_is_foreign(one) for one in folders if one.is_relative_to(root) and one != root)


def _is_foreign(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in _INSTALLED or (folder / "pyvenv.cfg").exists()


def _is_sendable(name: str) -> bool:
    """Tell whether an archive can hold a name."""
    return name.isprintable() and "\\" not in name


def _declared(root: Path, results: Path, notes: _Notes) -> list[Path]:
    """Return the further files that a project wants to travel.

    Raises:
        InputError: What it says of them is wrong.
    """
    around = [root.parent / "pyproject.toml"] if root.name == "src" else []
    settings = next((path for path in (root / "pyproject.toml", *around) if path.is_file()), None)
    if settings is None:
        return []
    try:
        patterns = tomllib.loads(settings.read_text("utf-8")).get("tool", {}).get("sweep", {}).get("ship", [])
        if not isinstance(patterns, list):
            raise TypeError(f"got {patterns!r}")
        found = sorted(path for pattern in patterns for path in settings.parent.glob(pattern) if path.is_file())
    except (ValueError, TypeError, AttributeError, NotImplementedError, IndexError, OSError) as error:
        raise InputError(
            f"{settings}: tool.sweep.ship is a list of patterns of relative paths: {error}", field="ship"
        ) from error
    outside = [path for path in found if not (path.is_relative_to(root) and path.resolve().is_relative_to(root))]
    if outside:
        raise InputError(f"{settings}: tool.sweep.ship leads out of the project, to {outside[0]}", field="ship")
    kept_apart = results != root and results.is_relative_to(root)
    own = [path for path in found if _is_inside(path, root)]
    own = [path for path in own if not (kept_apart and path.resolve().is_relative_to(results))]
    secret = [path for path in own if _is_secret(path) or _is_secret(path.resolve())]
    for path in secret:
        notes.say(f"{path.relative_to(root)} may hold secrets, and is not sent")
    return [path for path in own if path not in secret]


def _is_secret(path: Path) -> bool:
    return path.suffix != ".py" and any(fnmatchcase(path.name.lower(), pattern) for pattern in _SECRET)
