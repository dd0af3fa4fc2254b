"""Turn a reference such as `objectives/rain.py:Rain` into the object it names: the `Loaded`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from search.candidates import Kind, own_space, pick
from search.errors import InputError, did_you_mean
from search.usermodules import UserFile, code_files, import_fault, import_file, import_module, is_file, library

BY_VALUE: Final = "__main__"
"""The place of what stands in a script or a notebook: nobody else can load it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An objective or a space, and where it came from.

    Attributes:
        value: The objective (a class is instantiated already), or the function of a trial.
        reference: Canonical, `/abs/file.py:Name` or `package.module:Name`: loads the same thing in any process.
        file: Absolute.
        root: Of the project that the file belongs to.
        code: Hash of its code, if it stands in no file and `file` is only a name; else "".
    """

    value: Any
    reference: str
    file: Path
    root: Path
    code: str = ""


def load(reference: str, *, kind: Kind, folder: Path) -> Loaded:
    """Load what a reference names.

    Args:
        reference: A bare name (the project's own `objectives/NAME.py` or `spaces/NAME.py`, else the library's),
            `path/to/file.py:Name` or `package.module:Name`; without `:Name` the only candidate in the file.
        kind: What is looked for.
        folder: What paths are relative to.

    Raises:
        InputError: There is no such thing, more than one, or its module fails to import.
    """
    if not reference:  # in a plan: an import left it open
        raise InputError(
            "the study was imported without an objective",
            field="objective",
            hint="`sweep import SOURCE --as NAME --objective FILE.py:NAME` makes one that goes on",
        )
    place, name = _parted(reference)
    if place == BY_VALUE:
        raise InputError(
            f"{kind} {name} stands in a Python script or notebook, which alone can go on with it",
            field=kind,
            hint="call search.sweep(..., study=NAME, resume=True) there",
        )
    if _is_path(place):
        path = folder / place
        if not is_file(path):
            raise _no_file(place, kind, folder)
        return _from_file(path, name, kind)
    if not all(part.isidentifier() for part in place.split(".")):
        raise _no_file(place, kind, folder)
    if "." not in place:
        for root in (folder, library()):
            path = root / f"{kind}s" / f"{place}.py"
            if is_file(path):
                return _from_file(path, name, kind, preferred=place)
    is_module = "." in place or place != reference  # importing whatever has a bare name could do anything
    beside = folder.joinpath(*place.split("."))
    for path in (beside.with_name(beside.name + ".py"), beside / "__init__.py"):
        if is_file(path) and is_module:
            return _from_file(path, name, kind)
    if not is_module:
        raise _no_file(place, kind, folder) if is_file(folder / f"{place}.py") else _unknown(place, kind)
    return _from_module(place, name, kind)


def load_space(objective: Loaded, given: str | None, *, folder: Path) -> Loaded:
    """Load the search space of a sweep: the one that was given, or the objective's own.

    Args:
        objective: Whose `space` it is; a function, or a reference that is relative to its project or its file.
        given: By `--space`, relative to `folder`.
        folder: The current one.

    Raises:
        InputError: There is none, or it cannot be loaded.
    """
    if given is not None:
        return load(given, kind="space", folder=folder)
    own = getattr(objective.value, "space", None)
    if not isinstance(own, str):
        value = own_space(objective.value, objective.reference)
        return Loaded(value, f"{objective.reference}.space", objective.file, objective.root, objective.code)
    place, _ = _parted(own)
    beside = objective.file.parent
    in_file_folder = _is_path(place) and not is_file(objective.root / place) and is_file(beside / place)
    return load(own, kind="space", folder=beside if in_file_folder else objective.root)


def code_hash(*loaded: Loaded) -> str:
    """Return a SHA-256 over the files of `loaded` and all they import from their own projects, by relative path."""
    files = {
        path.relative_to(one.root).as_posix() if path.is_relative_to(one.root) else path.name: path
        for one in loaded
        if not one.code
        for path in code_files(UserFile(one.file, one.root))
    }
    digest = hashlib.sha256("".join(sorted({one.code for one in loaded})).encode())
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _parted(reference: str) -> tuple[str, str | None]:
    place, colon, name = reference.rpartition(":")
    if not colon:
        return reference, None
    return place, name or None


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _no_file(place: str, kind: Kind, folder: Path) -> InputError:
    if is_file(folder / f"{place}.py"):
        return InputError(f"{place} is no file", field=kind, hint=f"did you mean {place}.py?")
    looked = "" if Path(place).is_absolute() else " (looked in the current folder)"
    hint = "`sweep init DIR` makes one" if kind == "objective" else "a bare name finds one of spaces/"
    return InputError(f"{kind} file {place} does not exist{looked}", field=kind, hint=hint)


def _unknown(place: str, kind: Kind) -> InputError:
    known = {path.stem for path in (library() / f"{kind}s").glob("*.py") if _is_shipped(path, kind)}
    return InputError(f"no {kind} {place!r}", field=kind, hint=did_you_mean(place, known))


def _from_module(place: str, name: str | None, kind: Kind) -> Loaded:
    """Import an installed module, or one on PYTHONPATH, under its own name."""
    try:
        module = import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise import_fault(place, error) from error
        raise _unknown(place, kind) from error
    except (Exception, SystemExit) as error:
        raise import_fault(place, error) from error
    if module.__file__ is None:
        raise InputError(f"{place} is a folder without code", field=kind, hint=f"name a module, as in {place}.NAME")
    file = UserFile.of(Path(module.__file__))
    found, name = pick(module, name, kind, shown=place, preferred=None)
    return Loaded(found, f"{place}:{name}", file.path, file.root)


def _is_shipped(path: Path, kind: Kind) -> bool:
    """Tell, without importing it, whether a file of the library holds something to run."""
    if path.stem.startswith("_"):
        return False
    return kind == "space" or bool(re.search(r"^@objective\(|^    def preprocess\(", path.read_text(), re.MULTILINE))


def _from_file(path: Path, name: str | None, kind: Kind, *, preferred: str | None = None) -> Loaded:
    file = UserFile.of(path)
    module = import_file(file)
    found, name = pick(module, name, kind, shown=file.shown, preferred=preferred)
    return Loaded(found, f"{file.path}:{name}", file.path, file.root)
