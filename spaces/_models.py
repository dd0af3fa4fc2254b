"""What the families of `Tabular` leave to a search: a model's size, and how it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

FAMILIES = ("boosting", "forest", "linear", "mlp", "residual")


def suggest_model(trial: optuna.trial.Trial, family: str) -> None:
    """Suggest what a family can make use of."""
    match family:
        case "boosting":
            _boosting(trial)
        case "forest":
            _forest(trial)
        case "linear":
            trial.suggest_float("model.l2", 1e-6, 1.0, log=True)
        case _:
            _network(trial)


def _boosting(trial: optuna.trial.Trial) -> None:
    trial.suggest_float("model.shrinkage", 0.02, 0.2, log=True)
    trial.suggest_int("model.leaves", 3, 48, log=True)
    trial.suggest_float("model.leaf_l2", 1e-3, 30.0, log=True)
    _trees(trial)


def _forest(trial: optuna.trial.Trial) -> None:
    trial.suggest_categorical("model.kind", ("bagged", "extra"))
    _trees(trial)


def _trees(trial: optuna.trial.Trial) -> None:
    trial.suggest_int("model.min_rows", 1, 60, log=True)
    trial.suggest_float("model.split_features", 0.1, 1.0)


def _network(trial: optuna.trial.Trial) -> None:
    trial.suggest_int("model.width", 16, 256, log=True)
    trial.suggest_int("model.depth", 1, 3)
    trial.suggest_float("model.dropout", 0.0, 0.5)
    trial.suggest_float("train.lr", 3e-4, 1e-2, log=True)
    trial.suggest_float("train.weight_decay", 1e-5, 0.3, log=True)
    trial.suggest_categorical("train.batch", (32, 64, 128))
    trial.suggest_categorical("train.schedule", ("cosine", "one-cycle"))
    trial.suggest_categorical("train.clip_norm", (0.0, 1.0))
    trial.suggest_categorical("train.label_smoothing", (0.0, 0.05))
