"""Every way to prepare a table, for whoever needs the best score and no export.

Its winner may hold a step that ONNX does not have (nearest rows, hashing, dates, texts), and then cannot be promoted;
`tabular` offers what can. Models, and how they are trained, are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._models import FAMILIES, suggest_model

if TYPE_CHECKING:
    import optuna


def tabular_full(trial: optuna.trial.Trial) -> None:
    """Suggest a whole configuration for a table with numbers, categories, dates and texts."""
    family = trial.suggest_categorical("model.family", FAMILIES)
    trial.suggest_categorical("train.class_weight", ("none", "balanced"))
    trial.suggest_categorical("preprocess.duplicates", ("keep", "drop"))
    trial.suggest_categorical("preprocess.outliers", ("none", "robust_z", "drop"))
    trial.suggest_categorical("preprocess.encode", ("one-hot", "ordinal", "target", "hash"))
    trial.suggest_categorical("preprocess.rare", (1, 5, 20))
    trial.suggest_categorical("preprocess.dates", ("category", "parts", "cyclic"))
    trial.suggest_categorical("preprocess.text", ("category", "words", "characters"))
    trial.suggest_categorical("preprocess.indicator", (False, True))
    if family != "boosting":
        trial.suggest_categorical("preprocess.impute", ("median", "mean", "most_frequent", "knn"))
    if family in ("linear", "mlp", "residual"):
        trial.suggest_categorical("preprocess.clip", (0.0, 0.005, 0.02))
        trial.suggest_categorical("preprocess.scale", ("standard", "symmetric", "unit", "robust", "quantile", "power"))
        trial.suggest_categorical("preprocess.whiten", ("none", "pca", "zca", "shrinkage"))
    suggest_model(trial, family)
