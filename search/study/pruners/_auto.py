"""The rule `auto`: trials rest at rungs until a model of all curves, or halving, takes them on; see `study.auto`.

It keeps nothing that the storage does not hold, so a verdict is the same after a reload.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.study import attributes
from search.study.auto.decision import HOPELESS, Decision, Situation, Voices
from search.study.auto.history import History, State
from search.study.auto.known import Chance, Known
from search.study.auto.ladder import Ladder
from search.study.auto.process import Numbers
from search.study.constraints import is_infeasible
from search.study.origin import WentOn
from search.study.pruners._rule import NO_LIMIT, Heard, Judged, Pruning, PruningRule, Reached, View, is_same
from search.study.reports import Reports

if TYPE_CHECKING:
    from search.study.outlook import Outlook

_PRUNED_BELOW: Final = 0.1
"""Where nobody can rest: a trial that is not among the best third is pruned when its chance of the best is less."""


class Auto(PruningRule):
    """Freeze-thaw, beside successive halving.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step.
        seed: Of the sweep; decisions are drawn from it.
        halving_early: Share of the decisions that are successive halving's until four trials' worth is trained.
        halving_late: The same later.
        promote: Whether trials rest; else they are pruned where they would.
        preparations: Whether a point whose rows are prepared already counts as cheaper, where preparing was measured to
            take long.
        best_counts: Whether a trial's value is the best that it reports, rather than the last.
    """

    name = "auto"

    def __init__(
        self,
        *,
        direction: str,
        max_epochs: int,
        seed: int = 0,
        halving_early: float = 0.8,
        halving_late: float = 0.2,
        promote: bool = True,
        preparations: bool = True,
        best_counts: bool = False,
    ) -> None:
        super().__init__(direction=direction, max_epochs=max_epochs)
        for name, share in {"halving_early": halving_early, "halving_late": halving_late}.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {share}")
        if direction not in ("minimize", "maximize"):
            raise ValueError(f"direction must be minimize or maximize, got {direction!r}")
        if type(max_epochs) is not int or max_epochs < 1:
            raise ValueError(f"max_epochs must be a whole number of 1 or more, got {max_epochs}")
        if type(seed) is not int or seed < 0:
            raise ValueError(f"seed must be a whole number of 0 or more, got {seed!r}")
        self.promotes = promote
        self.seed = seed
        self._voices = Voices(halving_early, halving_late)
        self._weighs_preparations, self._best_counts = preparations, best_counts
        self.lock = RLock()  # `study.optimize(n_jobs=2)` asks in several threads
        self._history: History | None = None
        self._study: optuna.Study | None = None
        self._attends = False
        self._view: View | None = None
        self._shown: Any = None
        self._decided: tuple[object, Decision] | None = None
        self._granted: Decision | None = None
        self._left: dict[int, Pruning] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock out, so that a study can be pickled with its pruner."""
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = RLock()

    @property
    def first_step(self) -> int:
        return Ladder(self.max_epochs).first

    def last_step(self, trial: FrozenTrial) -> int | None:
        return max(self.reports.steps(trial), default=None)

    def steps(self, trial: FrozenTrial) -> list[int]:
        return self.reports.steps(trial)

    # --- what it reads ---

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """The parameters that the trials had, with the ranges that hold them all."""
        return {} if self._history is None else self._history.distributions

    def attend(self, study: optuna.Study, view: View | None = None) -> None:
        self._study, self._view, self._history = study, view, None
        self._attends = True
        self._left.clear()

    def _meet(self, study: optuna.Study) -> None:
        """Read the study whose loop asks, another one than before, too; one that is attended stays, whoever asks."""
        if self._study is None or (not self._attends and not is_same(study, self._study)):
            self.attend(study)
            self._attends = False

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:  # noqa: ARG002 - it reads
        self._history = None

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        with self.lock:
            self.promotes = False  # nobody can rest in Optuna's own loop
            return super().prune(study, trial)

    def judge(self, study: optuna.Study, trial: FrozenTrial) -> Judged:
        self._meet(study)
        return super().judge(study, trial)

    def _known(self, *, arriving: int | None = None) -> Known:
        """Return what is known now."""
        assert self._study is not None
        shown, fixed = self._view() if self._view is not None else (None, {})
        trials = self._study.get_trials(deepcopy=False)
        last = self.max_epochs if self.max_epochs != NO_LIMIT else _longest(trials, self.reports)
        if self._history is None or shown is not self._shown or self._history.ladder.last != last:
            history = History(Ladder(last), self.reports)
        else:
            history = self._history
        history.update(trials, shown)
        self._history, self._shown = history, shown
        stored = self._study._storage.get_study_system_attrs(self._study._study_id)
        told = stored.get(attributes.MODEL)
        told = told if isinstance(told, Mapping) else {}
        rows = told.get("rows")
        return Known(
            self._history,
            Numbers.from_json(told),
            rows if type(rows) is int else 0,
            self._keep,
            self.seed,
            self.sign,
            fixed,
            arriving,
            self._preparing(stored.get(attributes.PREPARING)) if self._weighs_preparations else 0,
            self._best_counts,
        )

    def _preparing(self, stored: object) -> int:
        """Return how many steps take as long as preparing rows anew; stored once it is known, as it was measured."""
        if type(stored) is int:
            return stored
        assert self._history is not None
        assert self._study is not None
        steps = self._history.preparations.steps
        if steps is not None:
            self._study._storage.set_study_system_attr(self._study._study_id, attributes.PREPARING, steps)
        return steps or 0

    def _keep(self, numbers: Numbers, rows: int) -> None:
        """Store what the model was fitted in."""
        if self._study is not None:
            kept = {"rows": rows, **numbers.to_json()}
            self._study._storage.set_study_system_attr(self._study._study_id, attributes.MODEL, kept)

    # --- what it decides ---

    def decision(self, study: optuna.Study | None = None) -> Decision:
        """Return the new trial that comes next.

        Args:
            study: Whose; none: the one that is attended.
        """
        with self.lock:
            if study is not None:
                self._meet(study)
            decided = self._decide()
            return decided if decided.number is None else self._decide(only_new=True)

    def judge_at(self, step: int, trial: FrozenTrial) -> Judged:
        costs = self.reports.costs(trial, step)
        if any(map(math.isnan, costs)):
            return Pruning(self.name, step, self.reports.value(costs))
        known = self._known(arriving=trial.number)
        history, value = known.history, self.reports.value(costs)
        if trial.number >= len(history):  # it is none of the study
            return None
        if not self.promotes:
            before = max((one for one in self.steps(trial) if one < step), default=0)
            is_rung = history.ladder.next_rung(before) <= step
            return self._pruned(known, trial.number, step, value) if is_rung else None
        if step < history.until[trial.number]:
            return None
        if history.finishes[trial.number]:
            chance = known.chances(np.array([trial.number])).get(trial.number)
            if chance is None or chance.of_best >= HOPELESS:
                goes_on = Situation(known).to_the_end(trial.number, None if chance is None else chance.predicted)
                return Reached(step, rests=False, went_on=_went_on(goes_on, step, len(history)))
            return Reached(step, rests=True, told=self._told(step, value, chance))
        decided = self._decide(known)
        if decided.number != trial.number:
            chances = known.chances(np.array([trial.number])) if known.is_weighed else {}
            return Reached(step, rests=True, told=self._told(step, value, chances.get(trial.number)))
        return Reached(step, rests=False, went_on=_went_on(decided, step, len(history)))

    @property
    def foresees(self) -> bool:
        return self.max_epochs > 1

    def outlook(self) -> Outlook | None:
        from search.study.auto.foresight import foresee  # which loads scipy

        assert self._study is not None
        ended = (one for one in self._study.get_trials(deepcopy=False) if one.state is TrialState.COMPLETE)
        return foresee(self._known(), {one.number for one in ended if not is_infeasible(one.system_attrs)})

    def promotable(self, *, at_least_one: bool = False, none_new: bool = False) -> int | None:
        if not self.promotes or self._study is None:
            return None
        if not (at_least_one or none_new):
            self._granted = self._decide()
            return self._granted.number
        self._granted = Situation(self._known()).likeliest(at_least_one=at_least_one)
        return None if self._granted is None else self._granted.number

    @property
    def is_finishing(self) -> bool:
        history = self._known().history
        return bool((history.finishes & (history.state == State.HELD)).any())

    def promote(self, trial: FrozenTrial) -> Reached:
        granted, last = self._granted, self.last_step(trial)
        assert granted is not None
        assert granted.number == trial.number
        assert last is not None
        rung = (trial.system_attrs.get(attributes.RUNG) or {}).get("rung", last)
        trials = 0 if self._history is None else len(self._history)
        return Reached(rung, rests=False, went_on=_went_on(granted, last, trials))

    def standing(self, number: int, rung: int) -> Pruning | None:  # noqa: ARG002 - as of now
        if number not in self._left:
            assert self._study is not None
            known, trials = self._known(), self._study.get_trials(deepcopy=False)
            waiting = np.unique([*known.resting, number])
            chances = known.chances(waiting)
            for one in waiting.tolist():
                trial = trials[one]
                last = self.last_step(trial)
                if last is None:
                    continue
                chance, value = chances.get(one), self.reports.value(self.reports.costs(trial, last))
                self._left[one] = self._told(last, value, chance)
        return self._left.pop(number, None)

    def _decide(self, known: Known | None = None, *, only_new: bool = False) -> Decision:
        known = known or self._known()
        history = known.history
        key = (history, history.version, history.decisions, known.arriving, only_new, dict(known.fixed))
        if self._decided is not None and self._decided[0] == key:
            return self._decided[1]
        decided = Situation(known, self._voices, only_new).decide()
        self._decided = (key, decided)
        self._left.clear()
        return decided

    def _pruned(self, known: Known, number: int, step: int, value: float) -> Pruning | None:
        """Say whether a trial that nobody lets rest is pruned."""
        if known.is_among_the_best_third(number):
            return None
        chance = known.chances(np.array([number])).get(number)
        if chance is None or chance.of_best >= _PRUNED_BELOW:
            return None
        return self._told(step, value, chance)

    def _told(self, step: int, value: float, chance: Chance | None) -> Pruning:
        if chance is None:
            return Pruning(self.name, step, value)
        return Pruning(self.name, step, value, predicted=chance.predicted, chance=chance.of_best, best=chance.to_beat)


def _went_on(decided: Decision, start: int, trials: int) -> WentOn:
    return WentOn(start, decided.until, decided.predicted, trials, decided.by)


def _longest(trials: Iterable[FrozenTrial], reports: Reports) -> int:
    """Return the last step that any trial has come to, of trials that go on for ever."""
    return max((max(reports.steps(one), default=1) for one in trials), default=1) or 1
