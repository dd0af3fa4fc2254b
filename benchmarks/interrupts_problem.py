"""The objective of the interrupted sweeps: epochs of a fraction of a second, and a state of some megabytes.

Where a file `hang` lies beside this one, of which each study has a copy, a trial hangs in its third epoch until it is
ended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from search.contract import Context, Dataset, Metric, Params, Part, Prepared, Source, State, Task

if TYPE_CHECKING:
    import optuna

EPOCH_S: Final = 0.15
EPOCHS: Final = 6
STATE: Final = 1_000_000
"""Numbers in a state, of 8 bytes each."""

HANG: Final = "hang"
_HANGS_S: Final = 300.0


def space(trial: optuna.trial.Trial) -> None:
    trial.suggest_float("train.x", 0.0, 1.0)


class Slow:
    """What is in training: one large array."""

    budget = EPOCHS

    def __init__(self, x: float, folder: Path) -> None:
        self._hang, self._epoch = folder / HANG, 0
        self._weights = np.full(STATE, x)

    def fit_epoch(self) -> Mapping[str, float]:
        time.sleep(EPOCH_S)
        self._epoch += 1
        if self._epoch == 3 and self._hang.exists():
            time.sleep(_HANGS_S)
        self._weights *= 0.9
        return {}

    def evaluate(self) -> Mapping[str, float]:
        return {"val_loss": float(self._weights[0])}

    def state(self) -> State:
        return State({"weights": self._weights}, {"epoch": self._epoch})

    def load_state(self, state: State) -> None:
        self._weights, self._epoch = np.array(state.arrays["weights"]), int(state.meta["epoch"])


class Heavy:
    """Rows that nobody looks at."""

    space = staticmethod(space)

    def data(self, source: Source) -> Dataset:
        rows = np.arange(60.0).reshape(60, 1)
        return Dataset("rows", Task.REGRESSION, rows, rows[:, 0])

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        return Prepared(train, validation)

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Slow:
        x = params["train.x"]
        assert isinstance(x, float)
        return Slow(x, Path(__file__).parent)
