"""The search space of tables: a family of models, then what that family can make use of.

Names are dotted by stage. A float has the same range wherever it is named, so that a model of the search can use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._models import FAMILIES, suggest_model

if TYPE_CHECKING:
    import optuna


def tabular(trial: optuna.trial.Trial) -> None:
    """Suggest a whole configuration for a table, of classes or of a number."""
    family = trial.suggest_categorical("model.family", FAMILIES)
    trial.suggest_categorical("preprocess.encode", ("one-hot", "ordinal"))
    trial.suggest_categorical("preprocess.rare", (1, 5, 20))
    trial.suggest_categorical("train.class_weight", ("none", "balanced"))
    if family != "boosting":
        trial.suggest_categorical("preprocess.impute", ("median", "mean", "most_frequent"))
    if family in ("linear", "mlp", "residual"):
        _smooth(trial)
    suggest_model(trial, family)


def _smooth(trial: optuna.trial.Trial) -> None:
    """Suggest what trees do not feel: how columns are clipped, scaled and turned."""
    trial.suggest_categorical("preprocess.clip", (0.0, 0.005, 0.02))
    trial.suggest_categorical("preprocess.scale", ("standard", "symmetric", "unit", "robust", "quantile", "power"))
    trial.suggest_categorical("preprocess.whiten", ("none", "pca"))
