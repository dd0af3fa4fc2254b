"""How much each parameter mattered, by PED-ANOVA.

Source: Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
IJCAI 2023, as Optuna implements it: what sets the best tenth of the trials apart from all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

LEAST_TRIALS: Final = 20
"""Completed trials below which an importance says more about chance than about a parameter."""


def importances(trials: Sequence[FrozenTrial], direction: str) -> dict[str, float]:
    """Return each parameter's share of what made trials good, most important first; the shares add up to 1.

    Args:
        trials: Of a study with one metric.
        direction: `minimize` or `maximize`.

    Returns:
        {} with fewer than `LEAST_TRIALS` completed trials, or without a parameter that varies.
    """
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if len(complete) < LEAST_TRIALS:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study on stderr
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction=StudyDirection[direction.upper()])
    study.add_trials(complete)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dict(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()))
        except (ValueError, RuntimeError):  # no parameter is common to all trials, or all values are alike
            return {}
