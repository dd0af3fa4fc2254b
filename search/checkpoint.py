"""A learner's state with where in its training that was, and what the engine remembers of it: the `Checkpoint`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search.contract import Replay, State
from search.evaluation import Evaluation

CheckpointKind = Literal["latest", "best"]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A learner's state, and where in its training that was.

    Attributes:
        step: On the sweep's scale.
        units: Units of the learner's budget done.
        state: Of the learner; `REPLAY` when its training has to be repeated instead.
        memory: What the engine remembers: best step and values, early-stopping counts.
        evaluation: Of the best state, how it does on the validation rows; None where nothing is known of that.
    """

    step: int
    units: int
    state: State | Replay
    memory: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None


class CheckpointDamaged(Exception):
    """A checkpoint is there and cannot be read."""


@dataclass(slots=True)
class Memory:
    """What the engine remembers over a trial's steps; goes into every checkpoint."""

    metrics: dict[str, float] = field(default_factory=dict)  # of the last step
    best_step: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)
    watched_best: float = math.inf
    watched_step: int = 0  # last step at which the watched metric got better

    def to_json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return json.loads(json.dumps(values | {"watched_best": repr(self.watched_best)}))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Memory:
        return cls(**{**values, "watched_best": float(values["watched_best"])})


def copied(state: State | Replay) -> State | Replay:
    """Copy the arrays, which may be views of weights that go on changing."""
    if isinstance(state, Replay):
        return state
    return State({name: array.copy() for name, array in state.arrays.items()}, state.meta)
