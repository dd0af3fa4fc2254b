"""Who may predict, who may label and who may administrate a model that keeps learning: the `Tokens`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from search.errors import InputError
from search.serve.app import NO_TOKEN
from search.serve.reply import Reply, refusal
from search.serving.key import Key, key_of, read_key

PREDICT, LABEL, ADMIN = "SWEEP_TOKEN", "SWEEP_LABEL_TOKEN", "SWEEP_ADMIN_TOKEN"
"""Environment variables; a file that is named by a flag goes before."""

PREDICT_FLAG, LABEL_FLAG, ADMIN_FLAG = "--token-file", "--label-token-file", "--admin-token-file"

_MOST_BYTES: Final = 1_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class Source:
    """Who labels.

    Attributes:
        name: Of its token; of one without a name, the address of the client.
        trusted: Whether it is an administrator.
        owner: Whose are the ids that it makes up: those of one owner are told apart; "" of all who have no name, whose
            addresses may change between a request and its repetition.
    """

    name: str
    trusted: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a server, which all differ.

    What has no token of its own is open where nothing that does less harm has one: without any token this machine may
    do everything; with one for predicting, labels are closed until they have theirs.

    Attributes:
        predict: For predictions.
        label: For labels, by the name of the source; "": a source without a name.
        admin: For administration; it labels, too.

    Raises:
        InputError: Two are the same.
    """

    predict: Key | None = None
    label: Mapping[str, Key] = field(default_factory=dict)
    admin: Key | None = None

    def __post_init__(self) -> None:
        named = [(PREDICT_FLAG, self.predict), *((LABEL_FLAG, key) for key in self.label.values())]
        there = [(flag, key) for flag, key in [*named, (ADMIN_FLAG, self.admin)] if key is not None]
        for number, (flag, key) in enumerate(there):
            for other, before in there[:number]:
                if key.equals(before):
                    what = f"{other} and {flag} hold" if other != flag else f"two lines of {flag} hold"
                    hint = "`openssl rand -hex 32` makes one"
                    raise InputError(f"{what} the same token; each needs its own", field=flag, hint=hint)

    @classmethod
    def read(cls, predict: str | None, label: str | None, admin: str | None, environment: Mapping[str, str]) -> Tokens:
        """Return the tokens that stand in files or, where a file is not named, in the environment.

        Raises:
            InputError: One cannot be read, or is none, or is there twice.
        """
        named = _named(Path(label)) if label is not None else None
        if named is None:
            alone = _token(None, LABEL, LABEL_FLAG, environment)
            named = {} if alone is None else {"": alone}
        return cls(
            _token(predict, PREDICT, PREDICT_FLAG, environment), named, _token(admin, ADMIN, ADMIN_FLAG, environment)
        )

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return self.predict is not None or bool(self.label) or self.admin is not None

    def check_open(self, host: str, *, loopback: bool) -> None:
        """Refuse to let other machines predict or label without tokens.

        Raises:
            InputError: They could.
        """
        if loopback:
            return
        for what, missing, flag, variable in (
            ("requests need", self.predict is None, PREDICT_FLAG, PREDICT),
            ("labels need", not self.label, LABEL_FLAG, LABEL),
        ):
            if missing:
                said = f"--host {host} lets other machines in, so {what} a token"
                raise InputError(said, field="--host", hint=f"set {variable}, or name a file with {flag}")

    def may_predict(self, authorization: str) -> Reply | None:
        """Return why who sends this header may not predict; None: it may."""
        if self.predict is None or self.predict.fits(authorization):
            return None
        return _elses("predictions need the token for them") if self._is_known(authorization) else NO_TOKEN

    def may_read(self, authorization: str) -> Reply | None:
        """Return why who sends this header may not read how the model stands; any of the tokens is enough."""
        return None if self.predict is None or self._is_known(authorization) else NO_TOKEN

    def may_label(self, authorization: str) -> Reply | None:
        """Return why who sends this header may not label; None: it may."""
        if self._name_of(authorization) is not None or self._is_admin(authorization):
            return None
        if self.label:
            return _elses("labels need a token for them") if self._is_known(authorization) else NO_TOKEN
        if self.predict is None:
            return None
        return _closed("labels", LABEL_FLAG, LABEL)

    def may_administrate(self, authorization: str, *, loopback: bool) -> Reply | None:
        """Return why who sends this header may not administrate; None: it may."""
        if self._is_admin(authorization):
            return None
        if self.admin is not None:
            return _elses("administration needs the token for it") if self._is_known(authorization) else NO_TOKEN
        return None if loopback and not self.any else _closed("administration", ADMIN_FLAG, ADMIN)

    def source(self, authorization: str, address: str) -> Source:
        """Return who labels.

        Args:
            authorization: A header that may.
            address: Of the client.
        """
        if self._is_admin(authorization):
            return Source(_ADMIN, trusted=True, owner=_ADMIN)
        name = self._name_of(authorization) or ""
        return Source(name or address, owner=name)

    def _is_admin(self, authorization: str) -> bool:
        return self.admin is not None and self.admin.fits(authorization)

    def _name_of(self, authorization: str) -> str | None:
        """Return the name of the source that brings its token; each is compared, so that the time says nothing."""
        fitting = [name for name, key in self.label.items() if key.fits(authorization)]
        return fitting[0] if fitting else None

    def _is_known(self, authorization: str) -> bool:
        predicts = self.predict is not None and self.predict.fits(authorization)
        return self._is_admin(authorization) | predicts | (self._name_of(authorization) is not None)


def _token(file: str | None, variable: str, flag: str, environment: Mapping[str, str]) -> Key | None:
    if file is not None:
        return read_key(Path(file), flag=flag)
    text = environment.get(variable)
    return None if text is None else key_of(text, variable, flag=flag)


def _named(file: Path) -> dict[str, Key]:
    """Return the tokens for labels that stand in a file, by their names.

    Raises:
        InputError: It cannot be read, or holds something else.
    """
    of = f"label token file {file}"
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode(errors="replace")
    except OSError as error:
        raise InputError(f"{of} cannot be read: {error.strerror}", field=LABEL_FLAG) from error
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) == 1 and len(lines[0][1]) == 1:
        return {"": key_of(lines[0][1][0], of, flag=LABEL_FLAG, file=file)}
    found: dict[str, Key] = {}
    for number, words in lines:
        if len(words) != 2 or not _NAME.fullmatch(words[0]) or words[0] == _ADMIN:
            hint = "a name is 1-64 of letters, digits, . _ -, and not admin"
            raise InputError(f"{of} line {number} is no NAME TOKEN", field=LABEL_FLAG, hint=hint)
        if words[0] in found:
            raise InputError(f"{of} has the name {words[0]} twice (line {number})", field=LABEL_FLAG)
        found[words[0]] = key_of(words[1], f"{of} line {number}", flag=LABEL_FLAG, file=file)
    if not found:
        raise InputError(f"{of} is empty", field=LABEL_FLAG, hint="it holds a token, or lines of NAME TOKEN")
    return found


def _elses(message: str) -> Reply:
    return refusal(403, f"{message}; this one is for something else", field="Authorization")


def _closed(what: str, flag: str, variable: str) -> Reply:
    hint = f"its owner sets {variable}, or names a file with {flag}"
    return refusal(403, f"there is no token for {what} on this server, so nobody may", field="Authorization", hint=hint)
