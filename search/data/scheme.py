"""How rows are shared out to the parts of a split, as `--split` and `--folds` say it: the `Scheme`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from search.errors import InputError, did_you_mean

Kind = Literal["auto", "random", "stratified", "group", "time"]

KINDS: Final[tuple[Kind, ...]] = ("auto", "random", "stratified", "group", "time")
MAX_FOLDS: Final = 100

_BY_COLUMN: Final = ("group", "time")
_RULE: Final = "auto, random, stratified, group:COLUMN or time:COLUMN"


@dataclass(frozen=True, slots=True)
class Scheme:
    """How rows are shared out.

    Attributes:
        kind: `auto` is `stratified`; `group` keeps the rows of one group together, `time` tests on the newest rows.
        column: That holds the group or the time; "" for the other kinds.
        folds: Parts of a cross-validation, at least 2; 0 for one validation part.
    """

    kind: Kind = "auto"
    column: str = ""
    folds: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or bool(self.column) != (self.kind in _BY_COLUMN):
            raise ValueError(f"a scheme is {_RULE}, got {self.kind!r} and column {self.column!r}")
        if not (self.folds == 0 or 2 <= self.folds <= MAX_FOLDS):
            raise ValueError(f"folds are 0, or 2 to {MAX_FOLDS}, got {self.folds}")

    @property
    def text(self) -> str:
        """As `--split` takes it."""
        return f"{self.kind}:{self.column}" if self.column else self.kind

    @classmethod
    def parse(cls, text: str, folds: int = 0, *, field: str = "--split") -> Scheme:
        """Read what `--split` and `--folds` say.

        Args:
            text: Of `--split`.
            folds: Of `--folds`.
            field: What the sentence of an error calls `text`.

        Raises:
            InputError: It is no scheme.
        """
        kind, colon, column = text.strip().partition(":")
        known = next((one for one in KINDS if one == kind.strip()), None)
        if known is None:
            hint = did_you_mean(kind.strip(), KINDS)
            raise InputError(
                f"{field} is {_RULE}, got {text[:60]!r}", field=field, hint=hint if hint.startswith("did") else ""
            )
        if known in _BY_COLUMN and not column.strip():
            raise InputError(
                f"{field} {known} needs a column, got {text[:60]!r}", field=field, hint=f"try {known}:COLUMN"
            )
        if known not in _BY_COLUMN and colon:
            raise InputError(f"{field} {known} takes no column, got {text[:60]!r}", field=field, hint=f"try {known}")
        if not (folds == 0 or 2 <= folds <= MAX_FOLDS):
            raise InputError(f"--folds is 0, or 2 to {MAX_FOLDS}, got {folds}", field="--folds")
        return cls(known, column.strip() if known in _BY_COLUMN else "", folds)
