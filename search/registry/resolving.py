"""Which bundle people mean: `name`, `name@alias`, `name:version` or a folder: the `Resolved`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from search.bundle.bundle import Bundle, is_bundle
from search.errors import InputError, did_you_mean
from search.paths import ModelFolder
from search.registry import stored
from search.registry.entries import PRODUCTION, Contents
from search.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Resolved:
    """A bundle that was asked for.

    Attributes:
        root: Its folder.
        digest: sha256 of its manifest, as the registry has it; None of a folder that no registry knows.
        name: Of the model; of such a folder, the folder's.
        version: Of it; None of such a folder.
        alias: That was followed; None where a version or a folder was asked for.
    """

    root: Path
    digest: str | None
    name: str
    version: int | None = None
    alias: str | None = None

    @property
    def text(self) -> str:
        """What people know it as."""
        return str(self.root) if self.version is None else f"{self.name}:{self.version}"

    def open(self) -> Bundle:
        """Read and check it.

        Raises:
            RefusedError: It is damaged.
            SurroundingsError: It cannot be read.
        """
        return Bundle.open(self.root, digest=self.digest)


def resolve(results: Path, text: str) -> Resolved:
    """Return the bundle that a text names; only the registry is read, so it may be asked again and again.

    Args:
        results: The results folder.
        text: As people write it.

    Raises:
        InputError: There is none; what there is stands in the hint.
        SurroundingsError: The registry is damaged.
    """
    if os.sep in text or text in (".", ".."):
        return _folder(Path(text))
    name, colon, version = text.partition(":")
    name, at, alias = (name, "", "") if colon else text.partition("@")
    registry = Registry.of(results, name)
    contents = registry.read()
    if not contents.versions:
        if not colon and not at and is_bundle(Path(text)):
            return _folder(Path(text))
        hint = did_you_mean(name, all_models(results))
        raise InputError(f"there is no model {name!r} in {results / 'models'}", field="model", hint=hint)
    if colon:
        return _numbered(registry, contents, version)
    return _pointed_at(registry, contents, alias if at else PRODUCTION)


def all_models(results: Path) -> list[str]:
    """Return the names of all models, damaged or not."""
    root = results / "models"
    if not root.is_dir():
        return []
    folders = (ModelFolder(path) for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(one.name for one in folders if Registry(one).exists())


def _numbered(registry: Registry, contents: Contents, text: str) -> Resolved:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if number not in contents.versions:
        said = f"{registry.name} has no version {text[:40]!r}"
        raise InputError(said, field="model", hint=_there("versions", map(str, sorted(contents.versions))))
    return Resolved(registry.folder.version(number), contents.versions[number].digest, registry.name, number)


def _pointed_at(registry: Registry, contents: Contents, alias: str) -> Resolved:
    number = contents.aliases.get(alias)
    if number is None:
        raise InputError(f"{registry.name} has no alias {alias[:40]!r}", field="model", hint=_others(contents, alias))
    root, digest = registry.folder.version(number), contents.versions[number].digest
    return Resolved(root, digest, registry.name, number, alias)


def _folder(path: Path) -> Resolved:
    """Return a bundle by its folder; one that lies in a registry is held against that."""
    if not is_bundle(path):
        if (path / "registry.json").is_file():
            name = path.resolve().name
            versions = _there("versions", map(str, sorted(stored.read(ModelFolder(path)).versions)))
            said = f"{path} is the folder of the model {name!r}, and no bundle"
            raise InputError(said, field="model", hint=f"name it {name}, or a version's folder in it; {versions}")
        raise InputError(f"there is no bundle in {path}", field="model", hint="name a model, or a bundle's folder")
    whole = path.resolve()
    if whole.name.isascii() and whole.name.isdecimal() and (whole.parent / "registry.json").is_file():
        folder, number = ModelFolder(whole.parent), int(whole.name)
        known = stored.read(folder).versions
        if number not in known:  # what a killed process left, or somebody put there
            hint = _there("versions", map(str, sorted(known)))
            raise InputError(f"{folder.name} has no version {number}", field="model", hint=hint)
        return Resolved(path, known[number].digest, folder.name, number)
    return Resolved(path, None, whole.name)


def _others(contents: Contents, alias: str) -> str:
    if contents.aliases:
        return did_you_mean(alias, contents.aliases)
    return _there("no alias, and versions", map(str, sorted(contents.versions)))


def _there(what: str, names: Iterable[str]) -> str:
    return f"it has {what} {', '.join(names)[-100:]}"
