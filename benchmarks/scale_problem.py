"""An objective that sleeps: what its workers do not spend asleep is the orchestrator's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from search.contract import Run, objective

if TYPE_CHECKING:
    import optuna

EPOCH_S = "SCALE_EPOCH_S"
"""Environment variable of the driver: how long an epoch sleeps, in seconds."""

FAMILIES = ("linear", "mlp", "boosted_trees")


def sleeping_space(trial: optuna.trial.Trial) -> None:
    """Suggest five parameters, the one conditional; the ranges are those of the stored study."""
    trial.suggest_categorical("preprocess.scale", ("none", "standard", "quantile"))
    if trial.suggest_categorical("model.family", FAMILIES) == "mlp":
        trial.suggest_int("model.width", 16, 512, log=True)
    trial.suggest_float("train.lr", 1e-5, 0.1, log=True)
    trial.suggest_float("train.weight_decay", 0.0, 0.1)


def loss_of(lr: float, decay: float, epoch: int) -> float:
    """Return a loss that falls with the epoch towards a value set by the parameters."""
    return (lr - 0.01) ** 2 + decay + 1.0 / epoch


@objective(space=sleeping_space, metrics={"val_loss": "minimize"})
def sleeping(run: Run) -> Iterator[Mapping[str, float]]:
    lr, decay = run.params["train.lr"], run.params["train.weight_decay"]
    assert isinstance(lr, float)
    assert isinstance(decay, float)
    for epoch in run.epochs:
        time.sleep(float(os.environ.get(EPOCH_S, "1")))
        yield {"val_loss": loss_of(lr, decay, epoch)}
