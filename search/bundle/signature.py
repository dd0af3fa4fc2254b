"""What a model takes and what it gives, in words that need no library: the `Signature`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

LABEL: Final = "prediction.label"
PROBABILITIES: Final = "prediction.probabilities"
VALUE: Final = "prediction.value"
"""Names of the graph's outputs; a raw column may be called almost anything, so these are unlikely names."""

IMAGE: Final = "image"
"""Name of the input of a model of images."""

MOST_LEVELS: Final = 50
"""Texts that a signature lists of a column; there may be more where it lists so many."""


class Kind(StrEnum):
    """What an input holds."""

    NUMBER = "number"
    TEXT = "text"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Input:
    """One raw column, or the image, as the training rows had it.

    Attributes:
        name: Of the column, and of the graph's input.
        kind: Of its values.
        example: A usual value: the median, the most frequent text; None of an image.
        low, high: Of a number: the least and the largest of the training rows.
        levels: Of a text: the most frequent ones, the first the most frequent; () where most rows have their own.
        missing: Share of the training rows that have none.
        used: Whether the graph reads it; if not, it is taken and ignored.
        whole: Whether a number had whole values only.
        shape: Of an image: channels, height, width.
    """

    name: str
    kind: Kind
    example: float | str | None = None
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()
    missing: float = 0.0
    used: bool = True
    whole: bool = False
    shape: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Input:
        """Return the input that `asdict` described."""
        tuples = {name: tuple(values.get(name, ())) for name in ("levels", "shape")}
        return cls(**{**values, **tuples, "kind": Kind(values["kind"])})


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        target: Name of what is predicted; "" where it has none.
        inputs: What it takes, in the order of the training table.
        classes: The labels it gives, by index; () of a regression.
        threshold: Of two classes: the second one is given from this probability on; None: the likelier one.
        low, high: Of a regression: the range of the training target.
    """

    task: str
    target: str
    inputs: tuple[Input, ...]
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_classification(self) -> bool:
        return bool(self.classes)

    @property
    def takes_images(self) -> bool:
        return any(one.kind is Kind.IMAGE for one in self.inputs)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Signature:
        """Return the signature that `to_json` described."""
        inputs = tuple(Input.from_json(one) for one in values["inputs"])
        return cls(**{**values, "inputs": inputs, "classes": tuple(values["classes"])})
