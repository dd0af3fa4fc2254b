"""What may be varied for the digits. A space is a function of an Optuna trial: conditions are plain Python."""

import optuna


def digits(trial: optuna.trial.Trial) -> None:
    """Suggest parameters; their names start with the stage that uses them."""
    trial.suggest_categorical("preprocess.standardize", [True, False])
    depth = trial.suggest_int("model.depth", 1, 3)
    # a deep network of this size gains nothing from more width
    trial.suggest_int("model.width", 16, 128 if depth == 1 else 64, log=True)
    trial.suggest_float("train.lr", 1e-4, 1e-1, log=True)
    trial.suggest_float("train.weight_decay", 1e-6, 1e-1, log=True)
