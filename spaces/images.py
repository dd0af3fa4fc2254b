"""The search space of image classification: a small convolutional network and how it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna


def images(trial: optuna.trial.Trial) -> None:
    """Suggest a whole configuration for images."""
    trial.suggest_categorical("preprocess.scale", ("standard", "symmetric", "unit"))

    trial.suggest_int("model.width", 8, 32, step=4)
    trial.suggest_int("model.depth", 1, 3)
    trial.suggest_float("model.dropout", 0.0, 0.4)

    if trial.suggest_categorical("train.optimizer", ("adamw", "sgd")) == "adamw":
        trial.suggest_float("train.lr", 5e-4, 3e-2, log=True)
    else:
        trial.suggest_float("train.sgd_lr", 1e-2, 0.5, log=True)
    trial.suggest_categorical("train.schedule", ("cosine", "one-cycle", "constant"))
    trial.suggest_float("train.weight_decay", 1e-5, 0.1, log=True)
    trial.suggest_categorical("train.batch", (32, 64, 128))
    trial.suggest_float("train.label_smoothing", 0.0, 0.1)

    trial.suggest_float("train.shift", 0.0, 0.15)
    trial.suggest_float("train.rotate_deg", 0.0, 15.0)
    trial.suggest_categorical("train.flip", (False, True))
