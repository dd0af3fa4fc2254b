"""Hyperparameter search on Ray Tune with one Optuna study."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.adopt.search_cv import SweepSearchCV
    from search.api import sweep
    from search.study.samplers import sampler_for
    from search.sweeps import Sweep, load, study_figures

__version__ = "0.1.0"
__all__ = ["Sweep", "SweepSearchCV", "__version__", "load", "sampler_for", "study_figures", "sweep"]


def __getattr__(name: str) -> object:
    """Import what is slow to import when it is first used: commands that search nothing must not wait for it."""
    if name == "SweepSearchCV":
        from search.adopt.search_cv import SweepSearchCV

        return SweepSearchCV
    if name == "sampler_for":
        from search.study.samplers import sampler_for

        return sampler_for
    if name == "sweep":
        from search.api import sweep

        return sweep
    if name in ("Sweep", "load", "study_figures"):
        from search import sweeps

        return getattr(sweeps, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
