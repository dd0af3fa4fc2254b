"""The versions of one model and what their aliases point at: the `Registry`.

It is a folder, `results/models/<name>/`. Readers take no lock: the file is replaced whole, and a version's folder is
there before the file names it. A change takes the lock, so several processes are safe. Killed at any moment, it leaves
the file as it was or as it was to be; the folder of a version that did not come to be named is taken away by the next
`add`, which knows it by a note that was written before. A number is never given twice.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from search.bundle.bundle import Bundle
from search.errors import InputError, RefusedError
from search.paths import ModelFolder, check_name
from search.registry import stored
from search.registry.entries import PRODUCTION, Contents, Facts, How, Move, Version
from search.registry.history import Served, before, served
from search.registry.lock import changing
from search.registry.stamp import Stamp, stamp

State = tuple[int, int, int] | None
"""Time of change in ns, size and inode of a registry's file; None: there is none."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The versions of one model.

    Attributes:
        folder: Where they lie.
        stamp: Says when and by whom a change is made.
    """

    folder: ModelFolder
    stamp: Callable[[], Stamp] = stamp

    @classmethod
    def of(cls, results: Path, name: str) -> Registry:
        """Return the registry of a model, which need not have versions yet.

        Raises:
            InputError: No model can have this name.
        """
        return cls(ModelFolder.of(results, name))

    @property
    def name(self) -> str:
        return self.folder.name

    def exists(self) -> bool:
        """Tell whether there is such a model, damaged or not."""
        return self.folder.registry.exists() or bool(stored.numbers(self.folder))

    def state(self) -> State:
        """Return what differs after every change; as cheap as can be, for those who wait for one."""
        try:
            found = self.folder.registry.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> Contents:
        """Return all that it knows; of a model without versions, nothing.

        Raises:
            SurroundingsError: The file is damaged, or gone though there are versions.
        """
        return stored.read(self.folder)

    def served_history(self, alias: str = PRODUCTION) -> tuple[Served, ...]:
        """Return what an alias has pointed at, the oldest first."""
        return served(self.read().history, alias)

    def find(self, version: int) -> Version:
        """Return what is known of a version.

        Raises:
            InputError: There is none.
        """
        return _find(self.read(), version, self.name)

    def bundle(self, version: int) -> Bundle:
        """Open a version.

        Raises:
            InputError: There is none.
            RefusedError: It is damaged.
        """
        return Bundle.open(self.folder.version(version), digest=self.find(version).digest)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a name of a folder to write a bundle into, for `add`; what is there at the end is taken away."""
        path = self.folder.root / f"{stored.STAGED}{secrets.token_hex(8)}"
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def add(self, staged: Path, facts: Facts, aliases: Mapping[str, int | None], why: str) -> int:
        """Make a staged bundle the next version and return its number.

        Args:
            staged: A bundle beside the versions; it is renamed.
            facts: What the promotion knows of it.
            aliases: To move to it; each with the version that it points at as far as the caller knows, None if at none,
                so that nothing is replaced that nobody has compared it with.
            why: For the history.

        Raises:
            RefusedError: The bundle is damaged, or an alias has been moved meanwhile.
            SurroundingsError: The registry is damaged, or cannot be written.
        """
        for alias in aliases:
            _check_alias(alias)
        bundle = Bundle.open(staged)
        size = sum(path.stat().st_size for path in staged.iterdir())
        with changing(self.folder):
            contents = self.read()
            for alias, expected in aliases.items():
                _check_expected(contents, alias, expected)
            if not self.folder.registry.exists():
                stored.write(self.folder, contents)  # first, so that versions without it are a sign of damage
            stored.tidy(self.folder, contents)
            number = max([0, *contents.versions, *stored.numbers(self.folder)]) + 1
            at = self.stamp()
            version = _version(bundle, size, facts, at)
            contents = replace(contents, versions={**contents.versions, number: version})
            for alias in aliases:
                contents = _moved(contents, alias, number, "add", why, at)
            stored.put(self.folder, staged, number, contents)
        return number

    def move(self, alias: str, version: int, why: str, *, expected: int | None = None) -> Move | None:
        """Point an alias at a version, which is checked first; None if it points there already.

        Args:
            alias: That is moved.
            version: Where it leads.
            why: For the history.
            expected: Where it points as far as the caller knows; None: that does not matter.

        Raises:
            InputError: There is no such model or version, or no alias can have this name.
            RefusedError: The version is damaged, or the alias points elsewhere than is expected.
            SurroundingsError: The registry is damaged, or cannot be written.
        """
        return self._move(_check_alias(alias), "move", why, lambda _: version, expected)

    def rollback(self, why: str, *, to: int | None = None, expected: int | None = None) -> Move | None:
        """Point `production` at what it was before, or at an earlier version of it; see `history.before`.

        Args:
            why: For the history.
            to: The earlier version; None: what it was before.
            expected: Where it points as far as the caller knows; None: that does not matter.

        Raises:
            InputError: There is no such model or version.
            RefusedError: Nothing was before, the version never was in production, it is damaged, or `production` points
                elsewhere than is expected.
            SurroundingsError: The registry is damaged, or cannot be written.
        """
        return self._move(PRODUCTION, "rollback", why, lambda contents: _back(contents, to, self.name), expected)

    def _move(
        self, alias: str, how: How, why: str, target: Callable[[Contents], int], expected: int | None
    ) -> Move | None:
        if not self.exists():  # or a lock would be made for a name mistyped
            raise InputError(f"there is no model {self.name!r}", field="model", hint="`sweep models` shows all")
        with changing(self.folder):
            contents = self.read()
            if expected is not None:
                _check_expected(contents, alias, expected)
            to = target(contents)
            digest = _find(contents, to, self.name).digest
            if contents.aliases.get(alias) == to:
                return None
            Bundle.open(self.folder.version(to), digest=digest)
            contents = _moved(contents, alias, to, how, why, self.stamp())
            stored.write(self.folder, contents)
        return contents.history[-1]


def _version(bundle: Bundle, size: int, facts: Facts, at: Stamp) -> Version:
    trials = tuple(one.number for one in bundle.manifest.members)
    told = (facts.scores, facts.latency_ms, facts.note)
    return Version(bundle.digest, bundle.manifest.study, trials, size, at.when, at.by, *told)


def _moved(contents: Contents, alias: str, to: int, how: How, why: str, at: Stamp) -> Contents:
    version = contents.versions[to]
    move = Move(at.when, at.by, alias, contents.aliases.get(alias), to, how, why, version.study, version.trials[0])
    return replace(contents, aliases={**contents.aliases, alias: to}, history=(*contents.history, move))


def _back(contents: Contents, to: int | None, name: str) -> int:
    """Return where a rollback leads."""
    if to is None:
        to = before(contents.history)
        if to is None:
            said = f"{name} has no production version before the current one"
            raise RefusedError(said, field="model", hint=f"`sweep models {name}` shows its versions")
    elif to in contents.versions and to not in [one.version for one in served(contents.history)]:
        hint = f"`sweep models {name} --move production={to}` moves it there"
        raise RefusedError(f"version {to} of {name} never was in production", field="--to", hint=hint)
    return to


def _find(contents: Contents, version: int, name: str) -> Version:
    if version not in contents.versions:
        there = ", ".join(map(str, sorted(contents.versions))) or "none"
        raise InputError(f"{name} has no version {version}", field="model", hint=f"it has {there[-100:]}")
    return contents.versions[version]


def _check_expected(contents: Contents, alias: str, expected: int | None) -> None:
    found = contents.aliases.get(alias)
    if found != expected:
        said = f"{alias} points at version {found or 'none'} by now, not at {expected or 'none'}"
        raise RefusedError(said, field="model", hint="somebody else has moved it meanwhile: promote again")


def _check_alias(alias: str) -> str:
    if alias.isdecimal():
        said = f"an alias is no number, got {alias[:40]!r}: {alias[:40]} is a version"
        raise InputError(said, field="alias", hint="try production=1")
    return check_name(alias, what="an alias", field="alias")
