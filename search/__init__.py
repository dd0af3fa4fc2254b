"""Hyperparameter search on Ray Tune with one Optuna study."""

__version__ = "0.1.0"
__all__ = ["__version__"]
