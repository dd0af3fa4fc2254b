"""The objective of the chaos runs: logistic regression by noisy gradient steps, a few milliseconds an epoch.

It is deterministic and has a real state (weights, momentum, the generator of its noise), so a training that goes on
from a checkpoint comes to the very figures of one that was never disturbed, and anything lost shows in them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import Context, Dataset, Metric, Params, Part, Prepared, Source, State, Task

if TYPE_CHECKING:
    import optuna

EPOCH_S: Final = 0.008
ROWS: Final = 200


def chaos_space(trial: optuna.trial.Trial) -> None:
    trial.suggest_float("train.lr", 1e-3, 3.0, log=True)
    trial.suggest_float("train.momentum", 0.0, 0.95)


class Logistic:
    """Weights in training; `state` is all of it."""

    def __init__(self, lr: float, momentum: float, train: Part, validation: Part, context: Context) -> None:
        self.budget = context.max_epochs
        self._lr, self._momentum, self._train, self._validation = lr, momentum, train, validation
        self._random = np.random.default_rng(context.seed)
        self._weights = np.zeros(train.features.shape[1])
        self._speed = np.zeros_like(self._weights)

    def fit_epoch(self) -> Mapping[str, float]:
        time.sleep(EPOCH_S)
        rows = self._random.permutation(len(self._train.target))[:32]
        error = _sigmoid(self._train.features[rows] @ self._weights) - self._train.target[rows]
        self._speed = self._momentum * self._speed - self._lr * (self._train.features[rows].T @ error) / len(rows)
        self._weights = self._weights + self._speed
        return {}

    def evaluate(self) -> Mapping[str, float]:
        chance = np.clip(_sigmoid(self._validation.features @ self._weights), 1e-9, 1 - 1e-9)
        right = np.where(self._validation.target == 1, chance, 1 - chance)
        return {"val_loss": float(-np.log(right).mean()), "val_acc": float((right > 0.5).mean())}

    def state(self) -> State:
        return State({"weights": self._weights, "speed": self._speed}, {"random": self._random.bit_generator.state})

    def load_state(self, state: State) -> None:
        self._weights, self._speed = np.array(state.arrays["weights"]), np.array(state.arrays["speed"])
        self._random.bit_generator.state = state.meta["random"]


class Noise:
    """Two noisy clouds, told apart by a line."""

    space = staticmethod(chaos_space)

    def data(self, source: Source) -> Dataset:
        random = np.random.default_rng(0)
        features = random.normal(size=(ROWS, 8))
        target = (features @ np.arange(1.0, 9.0) + 8 * random.normal(size=ROWS) > 0).astype(np.int64)
        return Dataset("noise", Task.BINARY, features, target, ("below", "above"))

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        return (Metric("val_loss", "minimize"), Metric("val_acc", "maximize"))

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        return Prepared(train, validation)

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Logistic:
        lr, momentum = params["train.lr"], params["train.momentum"]
        assert isinstance(lr, float)
        assert isinstance(momentum, float)
        return Logistic(lr, momentum, prepared.train, prepared.validation, context)


def _sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500.0, 500.0)))
