"""Random histories of a study, played to one of our pruners and to Optuna's own at once."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.contract import Direction
from search.study import attributes, pruners
from search.study.choice import Choice

Random = random.Random


@dataclass(frozen=True)
class Rivals:
    """One pruner in both forms."""

    choice: Choice
    optunas: BasePruner


@dataclass
class Played:
    """What came of a history.

    Attributes:
        verdicts: Reports that both were asked about.
        prunings: Those at which Optuna's pruned.
        differences: Those at which ours said something else, or something else than it would without a rebuilding.
    """

    verdicts: int = 0
    prunings: int = 0
    differences: int = 0


def play(seed: int) -> Played:
    """Play the history of that seed: which pruner, how it is set, what is reported and how trials end, all by chance.

    Reports come from several trials in turn, skip steps, are NaN or infinite, come twice; trials fail, complete, and
    are pruned. In half of the histories our pruner is thrown away now and then, and rebuilt from the storage; in the
    others some pruned trials go on nevertheless, and some reports replace an earlier one, as of a training that is
    run again.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study on stderr
    dice = Random(seed)
    max_epochs = dice.choice((9, 16, 27, 30))
    direction: Direction = dice.choice(("minimize", "maximize"))
    rivals = KINDS[seed % len(KINDS)](dice, max_epochs)
    # Optuna keys a bracket by the study's name where we take the seed.
    study = optuna.create_study(study_name=str(seed), direction=StudyDirection[direction.upper()])

    def built() -> pruners.PruningRule:
        return pruners.make(rivals.choice, directions=[direction], seed=seed, max_epochs=max_epochs)

    ours, unbroken, played, reloads = built(), built(), Played(), dice.random() < 0.5
    running: list[int] = []
    left, together = dice.randrange(6, 24), dice.randrange(1, 6)
    while left or running:
        if left and len(running) < together:
            running.append(_begin(study))
            left -= 1
        number = dice.choice(running)
        trial = _trial(study, number)
        step = _next_step(dice, trial, max_epochs, again=not reloads)
        if step is not None:
            study._storage.set_trial_intermediate_value(trial._trial_id, step, _value(dice, number, step))
        trial, pruning = _trial(study, number), None
        if (trial.last_step or 0) < max_epochs:
            pruning = ours.judge(study, trial)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NaN only, or steps that the best trial lacks
                theirs = rivals.optunas.prune(study, trial)
            played.verdicts += 1
            played.prunings += theirs
            as_unbroken = str(unbroken.judge(study, trial)) == str(pruning)  # as text, since NaN equals nothing
            played.differences += (pruning is not None) is not bool(theirs) or not as_unbroken
        if pruning is not None and (reloads or dice.random() < 0.9):
            study._storage.set_trial_system_attr(trial._trial_id, attributes.PRUNING, pruning.to_json())
            _end(study, (ours, unbroken), number, TrialState.PRUNED)
            running.remove(number)
        elif (trial.last_step or 0) >= max_epochs or dice.random() < 0.04:
            _end(study, (ours, unbroken), number, TrialState.FAIL if dice.random() < 0.2 else TrialState.COMPLETE)
            running.remove(number)
        if reloads and dice.random() < 0.05:
            ours = built()
            ours.replay(study.get_trials(deepcopy=False))
    return played


def _begin(study: optuna.Study) -> int:
    return study._storage.get_trial_number_from_id(study._storage.create_new_trial(study._study_id))


def _trial(study: optuna.Study, number: int) -> FrozenTrial:
    return study._storage.get_all_trials(study._study_id, deepcopy=False)[number]


def _end(study: optuna.Study, ours: Iterable[pruners.PruningRule], number: int, state: TrialState) -> None:
    trial = _trial(study, number)
    finite = [value for value in trial.intermediate_values.values() if math.isfinite(value)]
    # No two values are alike: which of two equally good trials is the best, Optuna's storages do not agree on.
    value = (finite[-1] if finite else 0.0) + 1e-6 * number
    study._storage.set_trial_state_values(trial._trial_id, state, [value] if state is TrialState.COMPLETE else None)
    for one in ours:
        one.settle(_trial(study, number))


def _next_step(dice: Random, trial: FrozenTrial, max_epochs: int, *, again: bool) -> int | None:
    """Return the step to report next, often with a jump; None to ask once more without a report.

    Args:
        dice: Decides.
        trial: As it stands.
        max_epochs: The last step.
        again: Whether it may be an earlier one.
    """
    if dice.random() < 0.05:
        return None
    last = trial.last_step or 0
    if again and last and dice.random() < 0.06:
        return dice.randint(1, last)
    return min(last + dice.choice((1, 1, 1, 2, 3, 7)), max_epochs)


def _value(dice: Random, number: int, step: int) -> float:
    if dice.random() < 0.06:
        return dice.choice((math.nan, math.nan, math.nan, math.inf, -math.inf))
    if dice.random() < 0.2:
        return float(dice.randrange(4))  # ties
    return math.sin(number) + 2 / step + dice.gauss(0, 0.2)


def _asha(dice: Random, max_epochs: int) -> Rivals:
    options = {
        "min_resource": dice.choice((1, 1, 2, 3)),
        "reduction_factor": dice.choice((2, 3, 3, 4)),
        "min_early_stopping_rate": dice.choice((0, 0, 1)),
        "bootstrap_count": dice.choice((0, 0, 3)),
    }
    return Rivals(Choice("asha", options), optuna.pruners.SuccessiveHalvingPruner(**options))


def _hyperband(dice: Random, max_epochs: int) -> Rivals:
    options = {
        "min_resource": dice.choice((1, 1, 2)),
        "reduction_factor": dice.choice((2, 3, 4)),
        "bootstrap_count": dice.choice((0, 0, 2)),
    }
    theirs = optuna.pruners.HyperbandPruner(max_resource=max_epochs, **options)
    return Rivals(Choice("hyperband", options), theirs)


def _median_options(dice: Random) -> dict[str, Any]:
    return {
        "n_startup_trials": dice.choice((0, 1, 5)),
        "n_warmup_steps": dice.choice((0, 0, 3)),
        "interval_steps": dice.choice((1, 1, 4)),
        "n_min_trials": dice.choice((1, 1, 3)),
    }


def _median(dice: Random, max_epochs: int) -> Rivals:
    options = _median_options(dice)
    return Rivals(Choice("median", options), optuna.pruners.MedianPruner(**options))


def _percentile(dice: Random, max_epochs: int) -> Rivals:
    options = {"percentile": dice.choice((0.0, 10.0, 25.0, 33.3, 80, 100.0)), **_median_options(dice)}
    return Rivals(Choice("percentile", options), optuna.pruners.PercentilePruner(**options))


def _patient(dice: Random, max_epochs: int) -> Rivals:
    options = {"patience": dice.choice((0, 1, 3)), "min_delta": dice.choice((0.0, 0.1))}
    inner = dice.choice((None, _asha, _hyperband, _median, _percentile))
    if inner is None:
        return Rivals(Choice("patient", options), _quietly(None, options))
    wrapped = inner(dice, max_epochs)
    choice = Choice("patient", {**options, "wrapped": wrapped.choice.name, **wrapped.choice.options})
    return Rivals(choice, _quietly(wrapped.optunas, options))


def _quietly(wrapped: BasePruner | None, options: dict[str, Any]) -> BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.PatientPruner(wrapped, **options)


def _wilcoxon(dice: Random, max_epochs: int) -> Rivals:
    options: dict[str, Any] = {"p_threshold": dice.choice((0.1, 0.4, 0.8)), "n_startup_steps": dice.choice((0, 2, 4))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return Rivals(Choice("wilcoxon", options), optuna.pruners.WilcoxonPruner(**options))


KINDS: Final[tuple[Callable[[Random, int], Rivals], ...]] = (
    _asha,
    _hyperband,
    _median,
    _percentile,
    _patient,
    _wilcoxon,
)
"""One pruner each; the history of seed s plays to `KINDS[s % 6]`."""
