"""Which trackers a sweep has, as text of its plan and as values: `mlflow:URI`, `tensorboard:DIR`, `wandb:PROJECT`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from search.data import secrets
from search.errors import InputError, SurroundingsError, did_you_mean

PACKAGES: Final = {"mlflow": "mlflow", "tensorboard": "tensorboardX", "wandb": "wandb"}
"""What each kind of tracker needs, by kind: the name that is imported."""

_PROJECT: Final = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Chosen:
    """One tracker.

    Attributes:
        kind: `mlflow`, `tensorboard` or `wandb`.
        where: A tracking URI, a folder, a project; "" for the usual one.
    """

    kind: str
    where: str = ""

    @property
    def text(self) -> str:
        return f"{self.kind}:{self.where}" if self.where else self.kind

    @classmethod
    def of(cls, text: str) -> Chosen:
        """Return the tracker that a plan names."""
        kind, _, where = text.partition(":")
        return cls(kind, where)


def option(name: str, value: object) -> str | None:
    """Return a tracker as it stands in a plan, a folder in full; None for `none`.

    Raises:
        InputError: There is no such tracker, or it cannot be there.
    """
    kind, colon, where = str(value).strip().partition(":")
    if kind == "none" and not colon:
        return None
    if kind not in PACKAGES:
        got = repr(secrets.shown(value)[:60]) if isinstance(value, str) else repr(value)[:60]
        hint = f"give {name} once for each" if "," in kind else did_you_mean(kind, PACKAGES)
        raise InputError(f"{name} takes mlflow, tensorboard, wandb or none, got {got}", field=name, hint=hint)
    if (colon and not where.strip()) or any(not letter.isprintable() for letter in where):
        raise InputError(f"{name} {kind}: says nothing after the colon", field=name, hint=f"try {name} {kind}")
    try:
        place = urlsplit(where).netloc if "//" in where else ""
    except ValueError:
        raise InputError(f"{name} {kind}: takes a URI, got {secrets.shown(where)!r}", field=name) from None
    if secrets.has_secret(where) or "@" in place:
        raise InputError(
            f"{name} {kind}:{secrets.shown(where)} came with a user, a password or a token; a plan keeps no secrets",
            field=name,
            hint="the environment has them: MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    if kind == "wandb" and where and not _PROJECT.fullmatch(where):
        raise InputError(f"{name} wandb takes PROJECT or ENTITY/PROJECT, got {where[:60]!r}", field=name)
    if "${" in where:
        said = f"{name} {kind}:{where[:60]} names a variable, which is not filled in here"
        raise InputError(said, field=name, hint="the shell does that, outside of single quotes")
    if kind == "mlflow" and where and not _is_uri(where) and os.environ.get("MLFLOW_ALLOW_FILE_STORE") != "true":
        said = f"{name} mlflow takes the URI of a server or a database, got {where[:60]!r}"
        raise InputError(said, field=name, hint="try mlflow:sqlite:///mlflow.db")
    if kind == "tensorboard" and "://" in where:
        raise InputError(f"{name} tensorboard takes a folder, got {secrets.shown(where)!r}", field=name)
    return Chosen(kind, _in_full(kind, where)).text


def together(name: str, found: Iterable[str | None]) -> tuple[str, ...]:
    """Return all trackers that were given, each once.

    Raises:
        InputError: `none` is among others.
    """
    given = [*dict.fromkeys(found)]
    if None in given and len(given) > 1:
        raise InputError(f"{name} none goes with no other tracker", field=name, hint="leave none out")
    return tuple(one for one in given if one is not None)


def check(chosen: Iterable[str]) -> None:
    """See that trackers can be used here, without importing them.

    Raises:
        SurroundingsError: A package is not installed.
    """
    for one in map(Chosen.of, chosen):
        if find_spec(PACKAGES[one.kind]) is None:
            raise SurroundingsError(
                f"--track {one.kind} needs the package {PACKAGES[one.kind]}, which is not installed",
                field="--track",
                hint=f"try `pip install 'sweep-search[{one.kind}]'`",
            )


def _in_full(kind: str, where: str) -> str:
    """Return a folder, or a database's file, independent of the current folder."""
    if kind == "wandb" or not where:
        return where
    if where.startswith("sqlite:///") and not where.startswith("sqlite:////"):
        return f"sqlite:///{Path(where.removeprefix('sqlite:///')).absolute()}"
    if kind == "mlflow" and _is_uri(where):
        return where
    return str(Path(where).expanduser().absolute())


def _is_uri(where: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*:|databricks(-uc)?$", where) is not None
