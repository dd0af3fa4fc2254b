"""Tokens: the secret that a cluster lets in by. It is kept in files that only their owner can read, and never shown."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from search.errors import InputError, SurroundingsError
from search.tuner.known import known_at

VALUE: Final = "RAY_AUTH_TOKEN"
FILE: Final = "RAY_AUTH_TOKEN_PATH"
MODE: Final = "RAY_AUTH_MODE"

_OF_RAY: Final = Path(".ray") / "auth_token"
"""Where `ray get-auth-token` keeps the one of a user."""


def make_token(path: Path) -> None:
    """Write a new token of 256 bits to a file that only we can read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))


def read_token(path: Path, *, field: str = FILE) -> str:
    """Return the token of a file.

    Raises:
        InputError: There is none, or others can read it.
    """
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{field} names no token that can be read: {path}", field=field) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _shown(path, mode, field)
    return _one_word(token, str(path), field)


def _one_word(token: str, place: str, field: str) -> str:
    if len(token.split()) != 1:
        raise InputError(f"{place} holds no token: one word is expected", field=field)
    return token


def _shown(path: Path, mode: int, field: str) -> InputError:
    said = f"the token in {path} can be read by others (mode {stat.S_IMODE(mode):04o})"
    return InputError(said, field=field, hint=f"chmod 600 {path}, and make a new one if others use this machine")


def give_token(address: str) -> None:
    """Have Ray find, in this process's environment, the token and the certificates of a cluster.

    It is the one that the environment names, else the one that `sweep cluster` left for this address, else the user's
    own of Ray. Call it before anything imports Ray, which reads the environment once.
    """
    known = known_at(address)
    if known is not None:
        os.environ.update(known.tls_environment())
    if VALUE not in os.environ and FILE not in os.environ:
        theirs = Path.home() / _OF_RAY
        path = known.token if known is not None else theirs if theirs.is_file() else None
        if path is None:
            return
        os.environ[FILE] = str(path)
    os.environ[MODE] = "token"


def token_here() -> str | None:
    """Return the token of this process's environment; None without one.

    Raises:
        SurroundingsError: It names a file that holds none.
        InputError: It is empty; or the file is ours, and others can read it. What a container mounts has another owner.
    """
    if VALUE in os.environ:
        return _one_word(os.environ[VALUE].strip(), VALUE, VALUE)
    if FILE not in os.environ:
        return None
    path = Path(os.environ[FILE])
    try:
        at, token = path.stat(), path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = f"{FILE} names no token that can be read: {path}"
        raise SurroundingsError(said, field="--address") from error
    if at.st_uid == os.getuid() and at.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _shown(path, at.st_mode, FILE)
    return _one_word(token, str(path), FILE)
