"""How much each parameter mattered, by PED-ANOVA.

Source: Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
IJCAI 2023, as Optuna implements it: what sets the best tenth of the trials apart from all of them. Loads scikit-learn.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.study.ranges import widened
from search.study.replay import RawTrial


def importances(trials: Sequence[FrozenTrial], direction: str) -> dict[str, float]:
    """Return each parameter's share of what made trials good, most important first; the shares add up to 1.

    Args:
        trials: COMPLETE ones of a study with one metric.
        direction: `minimize` or `maximize`.

    Returns:
        {} without a parameter that varies.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study on stderr
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction=StudyDirection[direction.upper()])
    study.add_trials(_alike(trials))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dict(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()))
        except (ValueError, RuntimeError):  # no parameter is common to all trials, or all values are alike
            return {}


def _alike(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return trials with one distribution for each parameter, the widest: a space that was edited has had several.

    A parameter that has been of two kinds is left out.
    """
    widest: dict[str, BaseDistribution | None] = {}
    several = False
    for trial in trials:
        for name, one in trial.distributions.items():
            before = widest.setdefault(name, one)
            if before is not None and before != one:
                widest[name], several = widened(before, one), True
    return [_in(trial, widest) for trial in trials] if several else [*trials]


def _in(trial: FrozenTrial, widest: Mapping[str, BaseDistribution | None]) -> FrozenTrial:
    known = {name: one for name in trial.distributions if (one := widest[name]) is not None}
    changed = copy.copy(trial)
    changed.params, changed.distributions = {name: trial.params[name] for name in known}, known
    return changed


def frozen(trial: RawTrial) -> FrozenTrial:
    """Return a COMPLETE trial as Optuna's, with its parameters and values alone."""
    return create_trial(
        state=TrialState.COMPLETE,
        values=trial.values,
        params=trial.params,
        distributions={name: json_to_distribution(text) for name, text in trial.distributions.items()},
    )
