"""Which trackers a sweep has, as text of its plan and as values: `mlflow:URI`, `tensorboard:DIR`, `wandb:PROJECT`."""

from __future__ import annotations

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
        said = f"{name} takes mlflow, tensorboard, wandb or none, got {secrets.shown(str(value))[:60]!r}"
        raise InputError(said, field=name, hint=did_you_mean(kind, PACKAGES))
    if (colon and not where.strip()) or any(not letter.isprintable() for letter in where):
        raise InputError(f"{name} {kind}: says nothing after the colon", field=name, hint=f"try {name} {kind}")
    if secrets.has_secret(where) or "@" in (urlsplit(where).netloc if "//" in where else ""):
        raise InputError(
            f"{name} {kind}:{secrets.shown(where)} came with a user or a password, and a plan keeps no secrets",
            field=name,
            hint="give them in the environment: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    if kind == "wandb" and where and not _PROJECT.fullmatch(where):
        raise InputError(f"{name} wandb takes PROJECT or ENTITY/PROJECT, got {where[:60]!r}", field=name)
    return Chosen(kind, _in_full(kind, where)).text


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
    return where if re.match(r"[a-z][a-z0-9+.-]*:", where) else str(Path(where).expanduser().absolute())
