"""Small learners and problems that tests of the engine, the owner and the tuner share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search.contract import (
    Context,
    Dataset,
    Learner,
    Metric,
    Params,
    Part,
    Prepared,
    Replay,
    Run,
    Source,
    State,
    Task,
    objective,
)


class Curve:
    """A learner whose validation loss after each unit is given."""

    def __init__(self, losses: Sequence[Any], budget: int | None = None) -> None:
        self.losses = losses
        self.budget = len(losses) if budget is None else budget
        self.done = 0

    def fit_epoch(self) -> Mapping[str, float]:
        self.done += 1
        return {}

    def evaluate(self) -> Mapping[str, Any]:
        loss = self.losses[self.done - 1]
        return loss if isinstance(loss, dict) else {"val_loss": loss}

    def state(self) -> State | Replay:
        return State({"done": np.array([self.done])}, {"budget": self.budget})

    def load_state(self, state: State) -> None:
        self.done = int(state.arrays["done"][0])


@dataclass
class Curves:
    """An objective whose learners follow given curves; what its stages were handed is kept."""

    make: Callable[[Params, Context], Learner]
    space: Any = None
    handed: list[Any] = field(default_factory=list)

    def data(self, source: Source) -> Dataset:
        rows = np.arange(100.0).reshape(100, 1)
        return Dataset("rows", Task.REGRESSION, rows, rows[:, 0])

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        self.handed.append((dict(params), train, validation, context))
        return Prepared(train, validation)

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Learner:
        self.handed.append((dict(params), prepared, context))
        return self.make(params, context)

    def baseline(self, train: Part, validation: Part, context: Context) -> Mapping[str, float]:
        return {"val_loss": 1.0}


def line(trial: Any) -> None:
    """Suggest one float."""
    trial.suggest_float("train.x", 0.0, 1.0)


@objective(space=line, metrics={"val_loss": "minimize"})
def yielding(run: Run) -> Iterator[Mapping[str, float]]:
    """Yield a loss that falls towards the parameter."""
    x = run.params["train.x"]
    assert isinstance(x, float)
    for epoch in run.epochs:
        yield {"val_loss": x + 1.0 / epoch}
