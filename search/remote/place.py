"""A place in an object store: objects by their keys, read and written whole, in the errors of ours: the `Place`."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from search.data.secrets import has_secret, shown
from search.errors import InputError, SurroundingsError
from search.extras import lacking
from search.paths import write_atomic

_T = TypeVar("_T")

_DRIVERS: Final = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_URL: Final = re.compile(r"[a-z][a-z0-9+]*://.*", re.DOTALL)

_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before a call is made again that failed."""

_OF_S3: Final = {
    "use_listings_cache": False,
    "skip_instance_cache": True,
    # its client and s3fs would both repeat calls: that is done here, once
    "config_kwargs": {"retries": {"total_max_attempts": 1}, "connect_timeout": 10, "read_timeout": 60},
}

_FINAL: Final = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)
"""Errors that would come again."""


def is_url(text: str) -> bool:
    """Tell whether a results folder is named by a URL."""
    return _URL.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What lies under a URL.

    Attributes:
        url: As the user wrote it, without a slash at its end.
        pauses_s: Before each further try.
    """

    url: str
    _system: Any
    _root: str
    pauses_s: tuple[float, ...] = _PAUSES_S

    @classmethod
    def at(cls, url: str) -> Place:
        """Return the place of a URL; nobody is asked yet. Credentials are those of the environment.

        Raises:
            InputError: It is none, or has a secret in it.
            SurroundingsError: What reads it is not installed.
        """
        import fsspec

        plain, (kind, _, rest) = url.rstrip("/"), url.partition("://")
        if not rest.strip("/") or "?" in rest or "#" in rest or "\0" in rest:
            raise InputError(f"--results takes a folder or a URL such as s3://bucket/prefix, got {shown(url)!r}")
        if has_secret(url) or "@" in rest.partition("/")[0]:
            raise InputError(
                "a URL of --results holds no credentials", field="--results", hint="the environment has them"
            )
        try:
            system, root = fsspec.core.url_to_fs(plain, **(_OF_S3 if kind == "s3" else {}))
        except (ImportError, ValueError) as error:
            if isinstance(error, ValueError) and kind in fsspec.available_protocols():
                raise InputError(f"{shown(url)} is no URL of {kind}://", field="--results") from error
            if kind == "s3":
                raise lacking("s3", "s3fs", what="s3://") from error
            if kind in _DRIVERS:
                said = f"{kind}:// needs {_DRIVERS[kind]}, which is not installed"
                raise SurroundingsError(said, field="--results", hint=f"pip install {_DRIVERS[kind]}") from error
            said = f"--results knows no {kind}://"
            raise InputError(said, field="--results", hint="try s3://bucket/prefix, gs://, az:// or file://") from error
        if kind == "s3":
            system.retries = 1
        return cls(plain, system, str(root).rstrip("/"))

    @property
    def mark(self) -> str:
        """A name for it that may name a folder."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def read(self, key: str) -> bytes | None:
        """Return an object; None if there is none."""
        try:
            return bytes(self._asked(lambda: self._system.cat_file(f"{self._root}/{key}"), key))
        except FileNotFoundError:
            return None

    def write(self, key: str, content: bytes) -> None:
        """Write an object, whole or not at all."""
        path = f"{self._root}/{key}"
        if self._is_here:
            self._asked(lambda: write_atomic(Path(path), content), key)
            return
        try:
            self._asked(lambda: self._system.pipe_file(path, content), key)
        except FileNotFoundError as error:
            raise self._missing() from error

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one; tell whether it is this one that is there.

        Of two that do so at the same time one is told no, where the store has conditional writes.
        """
        path = f"{self._root}/{key}"
        try:
            if self._is_here:
                self._asked(lambda: write_atomic(Path(path), content, new=True), key)
            else:
                self._asked(lambda: self._system.pipe_file(path, content, mode="create"), key)
        except FileExistsError:
            return self.read(key) == content  # a try whose answer was lost may have made it
        except FileNotFoundError as error:
            raise self._missing() from error
        return True

    def names(self, key: str = "") -> list[str]:
        """Return what lies directly under a key, without it."""
        path = f"{self._root}/{key}".rstrip("/")
        try:
            found = self._asked(lambda: self._system.ls(path, detail=False, refresh=True), key or self.url)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted({str(one).rstrip("/").rpartition("/")[2] for one in found} - {""})

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no trouble."""
        for key in keys:
            try:
                self._asked(lambda key=key: self._system.rm_file(f"{self._root}/{key}"), key)  # type: ignore[misc]
            except FileNotFoundError:
                continue

    @property
    def _is_here(self) -> bool:
        return "file" in (
            self._system.protocol if not isinstance(self._system.protocol, str) else [self._system.protocol]
        )

    def _asked(self, ask: Callable[[], _T], key: str) -> _T:
        """Call the store, again where that may help.

        Raises:
            FileNotFoundError: There is no such object.
            FileExistsError: There is one.
            SurroundingsError: It does not answer, or lets us not.
        """
        for pause_s in (*self.pauses_s, None):
            try:
                return ask()
            except (FileNotFoundError, FileExistsError, NotADirectoryError):
                raise
            except Exception as error:  # each driver has its own errors, of its own libraries
                if _is_conflict(error):
                    raise FileExistsError(key) from error
                if pause_s is None or isinstance(error, _FINAL) or type(error).__name__ == "NoCredentialsError":
                    raise self._trouble(error) from error
            time.sleep(pause_s)
        raise AssertionError("not reached")

    def _missing(self) -> SurroundingsError:
        return SurroundingsError(f"{shown(self.url)}: there is no such bucket", field="--results", hint="make it first")

    def _trouble(self, error: Exception) -> SurroundingsError:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:90]
        return SurroundingsError(f"{shown(self.url)[:60]} cannot be used: {said}", field="--results")


def _is_conflict(error: Exception) -> bool:
    """Tell whether an error says that a condition of a write did not hold."""
    told = getattr(error.__cause__, "response", None) or getattr(error, "response", None) or {}
    code = str(told.get("Error", {}).get("Code", "")) if isinstance(told, dict) else ""
    return code in ("PreconditionFailed", "ConditionalRequestConflict", "412") or getattr(error, "errno", None) == 17


def cache_folder(place: Place) -> Path:
    """Return where this machine has the studies of a place: one folder for each URL."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root).absolute() / "sweep" / "remote" / place.mark
