"""Models that stand for election against the champion, and the bar that they have to pass: the `Rival`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Final, Protocol

from search.online.betting import PairedTest, passes
from search.online.events import Array
from search.online.kept import Kept, Row, table
from search.online.losses import Loss
from search.online.prequential import Prequential

CHALLENGER: Final = "challenger"
PREVIOUS: Final = "previous"
WINNER: Final = "winner"
"""Roles: who learns, who was champion before, and who won a sweep over the newest rows."""

_FEWEST_HOLDOUT: Final = 10
_FEWEST_TRUSTED: Final = 30
"""Rows from which on they are asked."""

_NEWEST: Final = 400
"""Labels; a protected row whose label came before these says nothing of how things are now."""

_TRUSTED: Final = 5_000
"""Labels; a trusted row is older then, and may be of how things were."""

_RETRY: Final = 50
"""Labels after which somebody who failed on protected rows is looked at again."""


class Answering(Protocol):
    """A model that answers rows."""

    @property
    def threshold(self) -> float | None:
        """Of two classes: probability from which on the second one is given; None: the likelier one."""

    def answer(self, columns: Mapping[str, Array]) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values."""


class Registered(Answering, Protocol):
    """A model that has a name, as champions have."""

    @property
    def label(self) -> str:
        """Such as `rain:3`."""


@dataclass(slots=True)
class Rival:
    """Somebody who would be champion.

    Attributes:
        role: `challenger`, `previous` or `winner`.
        model: Answers.
        number: Of its test in the life of the model, from 1: the level of all tests together is kept by it.
        test: Whether it is better than the champion.
        measured: How it does.
        not_before: Labels that have to have come until its case is looked at again.
        objection: Why it did not take over when it was looked at last; "" if nothing was said against it.
    """

    role: str
    model: Answering
    number: int
    test: PairedTest
    measured: Prequential
    not_before: int = 0
    objection: str = ""

    @property
    def key(self) -> str:
        """Under which its answers are kept: no other rival of the life of a model has it."""
        return f"{self.role} {self.number}"

    def save(self) -> dict[str, Any]:
        """Return all but the model as JSON."""
        return {
            "role": self.role,
            "number": self.number,
            "test": self.test.to_json(),
            "measured": self.measured.to_json(),
            "not_before": self.not_before,
            "objection": self.objection,
        }

    @classmethod
    def load(cls, values: Mapping[str, Any], model: Answering) -> Rival:
        """Return the rival that `save` described."""
        return cls(
            values["role"],
            model,
            values["number"],
            PairedTest.from_json(values["test"]),
            Prequential.from_json(values["measured"]),
            values["not_before"],
            values["objection"],
        )


@dataclass(frozen=True, slots=True)
class Protected:
    """Labelled rows that nobody learns from.

    Attributes:
        holdout: One row in twenty.
        trusted: What an administrator labelled.
    """

    holdout: Kept
    trusted: Kept

    def objection(self, champion: Answering, rival: Rival, loss: Loss, at: int, *, drifted_at: int) -> str:
        """Return why a rival does not take over although its test has passed; "" where nothing speaks against it.

        Args:
            champion: Whom it would follow.
            rival: Has passed its test.
            loss: Of one answer.
            at: Labels that have come.
            drifted_at: Labels that had come when the champion's error rose last.
        """
        asked = (
            ("protected", self.holdout.since(max(at - min(rival.test.since, _NEWEST), drifted_at)), _FEWEST_HOLDOUT),
            ("trusted", self.trusted.since(at - _TRUSTED), _FEWEST_TRUSTED),
        )
        for kind, rows, fewest in asked:
            if len(rows) >= fewest and (worse := _worse(champion, rival.model, rows, loss)):
                return f"its loss is {worse:.3g} higher on {len(rows)} {kind} rows"
        return ""


def error_of(model: Answering, answer: Array, target: float, loss: Loss) -> float:
    """Return the error of an answer, in [0, 1]: of classes, whether the one that the model's clients get is wrong."""
    return loss.error(answer, target, model.threshold)


def stands(rival: Rival, alpha: float, at: int) -> bool:
    """Tell whether a rival's case is to be looked at: its test has passed, and it did not just fail."""
    return at >= rival.not_before and passes(rival.test.log_evidence, alpha, rival.number)


def fell_through(rival: Rival, at: int, objection: str) -> None:
    """Have a rival wait before it is looked at again."""
    rival.not_before, rival.objection = at + _RETRY, objection


def _worse(champion: Answering, rival: Answering, rows: list[Row], loss: Loss) -> float:
    """Return by how much the rival's mean loss is higher, beyond one standard error; else 0."""
    columns = table(rows)
    first, second = champion.answer(columns), rival.answer(columns)
    differences = [
        error_of(rival, second[index], row.target, loss) - error_of(champion, first[index], row.target, loss)
        for index, row in enumerate(rows)
    ]
    mean = fmean(differences)
    return mean if mean > stdev(differences) / len(rows) ** 0.5 else 0.0
