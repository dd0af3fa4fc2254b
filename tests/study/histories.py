"""Random histories of a study, told to Optuna's pruner and to ours at once: the count of their verdicts.

One storage serves both, since ours keep nothing in it; Optuna's Hyperband keys its brackets by the study's name, so
the study bears the seed's.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.trial import FrozenTrial, TrialState

from search.study import attributes, pruners
from search.study.choice import Choice, OptionValue
from search.study.pruners import Pruning, PruningRule

_REPORT, _RUN_AGAIN, _ASK_AGAIN = range(3)


@dataclass(slots=True)
class Count:
    """What happened in some histories.

    Attributes:
        verdicts: Reports that both were asked about.
        prunings: Reports at which Optuna's pruned.
        restarts: How often ours was rebuilt from the storage.
        differences: Where the two differed, in words.
    """

    histories: int = 0
    verdicts: int = 0
    prunings: int = 0
    restarts: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, other: Count) -> None:
        self.histories += other.histories
        self.verdicts += other.verdicts
        self.prunings += other.prunings
        self.restarts += other.restarts
        self.differences += other.differences


@dataclass(frozen=True, slots=True)
class Setting:
    """A pruner with options, and the study it prunes."""

    choice: Choice
    direction: str
    max_epochs: int
    seed: int

    def ours(self) -> PruningRule:
        return pruners.make(self.choice, directions=(self.direction,), seed=self.seed, max_epochs=self.max_epochs)

    def optunas(self) -> BasePruner:
        """Return Optuna's pruner of the same name and options."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return _optunas(self.choice.name, dict(self.choice.options), self.max_epochs)


def _optunas(name: str, options: dict[str, Any], max_epochs: int) -> BasePruner:
    if name == "patient":
        wrapped = options.pop("wrapped", None)
        own = {one: options.pop(one) for one in ("patience", "min_delta")}
        return PatientPruner(wrapped and _optunas(wrapped, options, max_epochs), **own)
    if name == "hyperband":
        return HyperbandPruner(max_resource=max_epochs, **options)
    makers: dict[str, Callable[..., BasePruner]] = {
        "asha": SuccessiveHalvingPruner,
        "median": MedianPruner,
        "percentile": PercentilePruner,
        "wilcoxon": WilcoxonPruner,
    }
    return makers[name](**options)


def random_setting(name: str, rng: random.Random) -> Setting:
    """Draw a pruner's options, a direction and a length of trials."""
    max_epochs = rng.choice([2, 3, 5, 9, 16, 27, 40])
    choice = Choice(name, _options(name, rng, max_epochs))
    return Setting(choice, rng.choice(["minimize", "maximize"]), max_epochs, rng.randrange(1000))


def _options(name: str, rng: random.Random, max_epochs: int) -> dict[str, OptionValue]:
    if name == "asha":
        return {
            "min_resource": rng.choice([1, 1, 2, 3]),
            "reduction_factor": rng.choice([2, 3, 4]),
            "min_early_stopping_rate": rng.choice([0, 0, 1]),
            "bootstrap_count": rng.choice([0, 0, 2]),
        }
    if name == "hyperband":
        return {
            "min_resource": rng.choice([1, min(2, max_epochs)]),
            "reduction_factor": rng.choice([2, 3, 4]),
            "bootstrap_count": rng.choice([0, 0, 1]),
        }
    if name in ("median", "percentile"):
        share: dict[str, OptionValue] = {"percentile": rng.choice([0.0, 10.0, 25.0, 33.3, 50, 80.0, 100.0])}
        return (share if name == "percentile" else {}) | {
            "n_startup_trials": rng.choice([0, 1, 3, 5]),
            "n_warmup_steps": rng.choice([0, 0, 1, 4]),
            "interval_steps": rng.choice([1, 1, 2, 3]),
            "n_min_trials": rng.choice([1, 1, 2, 4]),
        }
    if name == "wilcoxon":
        return {"p_threshold": rng.choice([0.05, 0.125, 0.25, 0.5]), "n_startup_steps": rng.choice([0, 2, 4])}
    wrapped = rng.choice(["", "asha", "hyperband", "median", "percentile"])
    inner: dict[str, OptionValue] = {"wrapped": wrapped, **_options(wrapped, rng, max_epochs)} if wrapped else {}
    return {"patience": rng.choice([0, 1, 2, 3]), "min_delta": rng.choice([0.0, 0.1]), **inner}


class History:
    """One study, in which up to five trials run at a time.

    Args:
        setting: The pruner and its study.
        rng: Decides everything.
        careful: Steps rise, a pruned trial ends, and every report is judged once, as the study's owner has it; ours is
            then rebuilt from the storage now and then. Otherwise reports come twice, late and out of order, and some
            trials go on although they were pruned.
    """

    def __init__(self, setting: Setting, rng: random.Random, *, careful: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.count = Count(histories=1)
        self._setting = setting
        self._rng = rng
        self._careful = careful
        self._study = optuna.create_study(study_name=str(setting.seed), direction=setting.direction)
        self._ours, self._optunas = setting.ours(), setting.optunas()
        self._unbroken: PruningRule | None = setting.ours() if careful else None  # never rebuilt
        self._running: dict[int, float] = {}  # trial id -> what its curve ends near
        self._condemned: set[int] = set()

    def run(self, trials: int) -> Count:
        """Run so many trials; stop at the first difference."""
        started = 0
        while (started < trials or self._running) and not self.count.differences:
            if started < trials and (not self._running or (len(self._running) < 5 and self._rng.random() < 0.3)):
                trial = self._study.ask()
                self._running[trial._trial_id] = self._rng.gauss(0, 1)
                started += 1
            else:
                self._go_on(self._rng.choice(list(self._running)))
            if self._careful and self._rng.random() < 0.03:
                self._restart()
        return self.count

    def _go_on(self, trial_id: int) -> None:
        rng, storage = self._rng, self._study._storage
        trial = storage.get_trial(trial_id)
        if rng.random() < 0.04:
            self._end(trial_id, TrialState.FAIL)
            return
        if trial_id in self._condemned and (self._careful or rng.random() < 0.8):
            self._end(trial_id, TrialState.PRUNED)
            return
        if (trial.last_step or 0) >= self._setting.max_epochs or rng.random() < 0.02:
            self._end(trial_id, TrialState.COMPLETE)
            return
        mode = _REPORT if self._careful else rng.choices([_REPORT, _RUN_AGAIN, _ASK_AGAIN], [90, 7, 3])[0]
        if mode != _ASK_AGAIN:
            step = (trial.last_step or 0) + rng.choice([1, 1, 1, 1, 2, 3, 7])
            if mode == _RUN_AGAIN:
                step = rng.randint(1, max(trial.last_step or 1, 1))
            step = min(step, self._setting.max_epochs)
            storage.set_trial_intermediate_value(trial_id, step, self._value(trial_id, step))
        frozen = storage.get_trial(trial_id)
        if frozen.last_step is not None and frozen.last_step < self._setting.max_epochs:
            self._judge(frozen)

    def _value(self, trial_id: int, step: int) -> float:
        """Return a point of a noisy curve, coarse enough for ties."""
        if self._rng.random() < 0.04:
            return self._rng.choice([math.nan, math.nan, math.inf, -math.inf])
        slope = 2 / step if self._setting.direction == "minimize" else -2 / step
        return round(self._running[trial_id] + slope + self._rng.gauss(0, 0.3), self._rng.choice([0, 1, 6]))

    def _judge(self, trial: FrozenTrial) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna's own, about NaN
            theirs = self._optunas.prune(self._study, trial)
        pruning = self._ours.judge(self._study, trial)
        self.count.verdicts += 1
        self.count.prunings += theirs
        if self._unbroken is not None:
            self._compare(trial, pruning, self._unbroken.judge(self._study, trial))
        if (pruning is not None) != theirs:
            told = f"Optuna's {'prunes' if theirs else 'goes on'}, ours {pruning}"
            self._differ(trial, told)
        if pruning is not None:
            self._study._storage.set_trial_system_attr(trial._trial_id, attributes.PRUNING, pruning.to_json())
            self._condemned.add(trial._trial_id)

    def _compare(self, trial: FrozenTrial, rebuilt: Pruning | None, unbroken: Pruning | None) -> None:
        one, other = (pruning and pruning.to_json() for pruning in (rebuilt, unbroken))
        if one != other:
            self._differ(trial, f"rebuilt {rebuilt}, unbroken {unbroken}")

    def _differ(self, trial: FrozenTrial, told: str) -> None:
        self.count.differences.append(f"{self._setting}, trial {trial.number} {trial.intermediate_values}: {told}")

    def _end(self, trial_id: int, state: TrialState) -> None:
        storage = self._study._storage
        end = self._running.pop(trial_id)
        reports = storage.get_trial(trial_id).intermediate_values
        value = next((one for _, one in sorted(reports.items(), reverse=True) if math.isfinite(one)), end)
        # No two are alike: which of two equally good trials is best, Optuna's storages do not agree on.
        values = [value + 1e-7 * trial_id]
        storage.set_trial_state_values(trial_id, state, None if state is TrialState.FAIL else values)
        self._condemned.discard(trial_id)
        ended = storage.get_trial(trial_id)
        self._ours.settle(ended)
        if self._unbroken is not None:
            self._unbroken.settle(ended)

    def _restart(self) -> None:
        self._ours = self._setting.ours()
        self._ours.replay(self._study.get_trials(deepcopy=False))
        self.count.restarts += 1


def run_histories(name: str, seeds: range, *, trials: int = 14) -> Count:
    """Run one random history per seed with the pruner `name`; every other one is careful."""
    total = Count()
    for seed in seeds:
        rng = random.Random(f"{name} {seed}")
        history = History(random_setting(name, rng), rng, careful=seed % 2 == 0)
        total.add(history.run(rng.randint(2, 2 * trials)))
    return total
