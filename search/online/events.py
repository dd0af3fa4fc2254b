"""What happened to a model that keeps learning, in the order of its log: rows were shown, labels came: the `Event`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Rows that were predicted for somebody.

    Attributes:
        sequence: Of the event; rises by one from event to event.
        at_s: Unix time.
        ids: Of the rows; no other row ever has them.
        columns: By name, as `search.bundle.model.Model.run` takes them.
        answers: What was answered: (rows, classes) probabilities, or (rows,) values.
        model: Label of the model that answered, such as `rain:3`.
    """

    sequence: int
    at_s: float
    ids: tuple[str, ...]
    columns: Mapping[str, Array]
    answers: Array
    model: str


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What was true of rows that were shown before; each id comes once, whatever clients repeat.

    Attributes:
        sequence, at_s: As in `Shown`.
        ids: Of the rows.
        targets: (rows,): class indices as int64, or float64 of a regression.
        source: Who labelled: the name of a token, or of a machine.
        trusted: Whether an administrator did: such rows are never learnt, and protect the champion.
    """

    sequence: int
    at_s: float
    ids: tuple[str, ...]
    targets: Array
    source: str
    trusted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """Rows that came with their labels, and were shown to nobody; attributes as in `Shown` and `Labels`."""

    sequence: int
    at_s: float
    ids: tuple[str, ...]
    columns: Mapping[str, Array]
    targets: Array
    source: str
    trusted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """What an administrator asked for.

    Attributes:
        sequence, at_s: As in `Shown`.
        action: `pause`, `resume` (learning), `release` (learn what was put aside) or `reset` (the challenger begins
            again with the champion's weights).
        why: For the audit log.
    """

    sequence: int
    at_s: float
    action: str
    why: str = ""


Event: TypeAlias = Shown | Labels | LabelledRows | Ordered
