"""What a registry's file holds: versions, what aliases point at, and every move of them: the `Contents`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from search.bundle import strict

FORMAT: Final = 1
PRODUCTION: Final = "production"
CANDIDATE: Final = "candidate"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Score:
    """A measure on test rows, with its 95% interval where there is one.

    Raises:
        ValueError: A number is not finite.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(one) for one in (self.value, self.low, self.high) if one is not None):
            raise ValueError(f"score {self.name} is {self.value} [{self.low}, {self.high}], expected finite numbers")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a promotion knows of a version beyond what its bundle says.

    Attributes:
        scores: On test rows, the one that counts first.
        latency_ms: Of one row, as the gate measured it.
        note: For people.
    """

    scores: tuple[Score, ...] = ()
    latency_ms: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One bundle of a model.

    Attributes:
        digest: sha256 of its manifest, which has the hashes of all its files.
        study: Where it comes from.
        trials: Numbers of the trials it is made of, the first one won.
        size: Of its files, in bytes.
        registered: When, in UTC.
        by: Whom, as user@host.
        scores, latency_ms, note: As the promotion told.
    """

    digest: str
    study: str
    trials: tuple[int, ...]
    size: int
    registered: str
    by: str
    scores: tuple[Score, ...] = ()
    latency_ms: float | None = None
    note: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Version:
        """Return the version that `asdict` described."""
        scores = tuple(Score(**one) for one in values["scores"])
        return cls(**{**values, "trials": tuple(values["trials"]), "scores": scores})


How = Literal["add", "move", "rollback"]


@dataclass(frozen=True, slots=True)
class Move:
    """One move of an alias.

    Attributes:
        when: In UTC.
        by: Whom, as user@host.
        alias: That was moved.
        was: Version it pointed at; None: it was new.
        to: Version it points at since.
        how: `add`, with its version; `move`, by hand; `rollback`.
        why: For people.
        study, trial: Where the version comes from.
    """

    when: str
    by: str
    alias: str
    was: int | None
    to: int
    how: str
    why: str
    study: str
    trial: int

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {("from" if name == "was" else name): value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Move:
        """Return the move that `to_json` described."""
        return cls(**{("was" if name == "from" else name): value for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a registry knows.

    Attributes:
        versions: By number. None is ever taken out.
        aliases: The version that each points at.
        history: Every move, the oldest first. None is ever taken out.
    """

    versions: Mapping[int, Version] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    history: tuple[Move, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "versions": {str(number): asdict(one) for number, one in sorted(self.versions.items())},
            "aliases": dict(sorted(self.aliases.items())),
            "history": [one.to_json() for one in self.history],
        }

    def to_bytes(self) -> bytes:
        return (json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Contents:
        """Return what `to_bytes` wrote.

        Raises:
            ValueError: It did not write this.
        """
        values = strict.parse(content)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"it is of no format that we know; ours is {FORMAT}")
        strict.check(values, _File)
        for one in values["history"]:
            if "was" in one or "from" not in one:
                raise ValueError("a move in it has no from")
            strict.check({("was" if name == "from" else name): value for name, value in one.items()}, Move, "history")
        if not all(_NUMBER.fullmatch(number) for number in values["versions"]):
            raise ValueError("a version in it has no number")
        contents = cls(
            {int(number): Version.from_json(one) for number, one in values["versions"].items()},
            values["aliases"],
            tuple(Move.from_json(one) for one in values["history"]),
        )
        contents._check()
        return contents

    def _check(self) -> None:
        """Make sure that the aliases stand where the history has left them, and that all that is named is there."""
        left: dict[str, int] = {}
        for move in self.history:
            if move.to not in self.versions or move.was != left.get(move.alias):
                raise ValueError(f"its history of {move.alias[:40]} does not add up")
            left[move.alias] = move.to
        if left != self.aliases:
            raise ValueError("its aliases are not where its history has left them")
        if not all(_DIGEST.fullmatch(one.digest) and one.trials for one in self.versions.values()):
            raise ValueError("a version in it has no digest or no trial")


@dataclass(frozen=True, slots=True)
class _File:
    """The file, as far as types go."""

    format: int
    versions: Mapping[str, Version]
    aliases: Mapping[str, int]
    history: tuple[Mapping[str, Any], ...]
