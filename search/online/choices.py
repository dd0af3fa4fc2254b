"""What a user chooses of how a model goes on learning, and how careful that is: the `Choices`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class LearnChoices:
    """How the challenger learns.

    Attributes:
        batch: New rows that it takes at once.
        capacity: Newest rows that it may learn from again.
        old: Rows of the study that it may learn from again, until a drift.
    """

    batch: int = 32
    capacity: int = 10_000
    old: int = 5_000


@dataclass(frozen=True, slots=True)
class Choices:
    """All that changes what is learnt and decided; kept with the state, since a replay has to repeat it.

    Attributes:
        learn: How the challenger learns.
        alpha: The level: a model that is no better takes over, ever, at most with this probability. Half of it is for
            those that learn, half for the one that was there before.
        wait_s: Seconds for which a row that was shown waits for its label.
        most_waiting: Rows that wait; the oldest go first.
        seed: For all that is random.
        accept_changes: Go on though the code of the model's study has changed since.
        resweep: Whether a drift that lasts starts a sweep over the newest rows.
    """

    learn: LearnChoices = field(default_factory=LearnChoices)
    alpha: float = 0.05
    wait_s: float = 7 * 86_400.0
    most_waiting: int = 200_000
    seed: int = 0
    accept_changes: bool = False
    resweep: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Choices:
        """Return the choices that `to_json` described."""
        return cls(**{**values, "learn": LearnChoices(**values["learn"])})
