"""The owner's side of objectives that suggest their parameters and report by themselves, as Optuna's do: `ByHand`.

Each of their calls is answered from what is stored, so one that is repeated changes nothing: a parameter keeps its
value, a step its report, a constraint its figure. Suggestions are those of plain Optuna whose sampler is built anew for
each trial by `samplers.make`; verdicts are given when they are asked for, not at each report.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial

from search.errors import ExitCode, SweepError, did_you_mean
from search.plan import SweepPlan
from search.study import attributes, samplers
from search.study.choice import Choice
from search.study.course import Course
from search.study.draft import UnfitPoint, check_given
from search.study.held import Held
from search.study.ledger import Ledger
from search.study.lens import Lens
from search.study.pruners import Pruning, PruningRule
from search.study.ranges import in_full
from search.study.seen import view_of
from search.study.storage import StudyStorage
from search.trial import Answer, Ending, Outcome, Verdict

_OURS: Final = "sweep:"
_KEPT_ONCE: Final = "constraints:"
_RESEEDED: Final = 32
"""Bits that a trial's number may have; where a trial goes on, how many parameters it has stands above them."""


class ByHand:
    """Answers the calls of trials in hand.

    Args:
        plan: Its sampler, seed and fixed parameters.
        study: Of the owner.
        storage: Of the study, open for writing.
        pruner: Told of all ends by the owner.
        ledger: Counts reports.
        forgiven: Failed trials that are run again, kept up to date by their owner.
        course: Knows whether the sweep goes on.

    Attributes:
        closed: Why no more trials are begun, once an objective has called `study.stop()`; running ones go on.
    """

    def __init__(
        self,
        plan: SweepPlan,
        study: optuna.Study,
        storage: StudyStorage,
        pruner: PruningRule,
        ledger: Ledger,
        course: Course,
        forgiven: Collection[int],
    ) -> None:
        self._plan, self._study, self._storage = plan, study, storage.optuna
        self._pruner, self._ledger, self._course, self._forgiven = pruner, ledger, course, forgiven
        self._sampler = Choice.parse(plan.sampler)
        self._live: dict[int, Trial] = {}
        self._judged: dict[int, set[int]] = {}
        self.closed: str | None = None
        self._calls: Final[Mapping[str, Callable[..., Any]]] = {
            "open": self._open,
            "suggest": self._suggest,
            "report": self._report,
            "prune": self._prune,
            "user_attr": self._user_attr,
            "system_attr": self._system_attr,
            "study_user_attr": self._study_user_attr,
            "study_system_attr": self._study_system_attr,
            "study_attrs": self._study_attrs,
            "trials": self._trials,
            "stop": self._stop,
        }

    def answer(self, held: Held, action: str, arguments: tuple[Any, ...]) -> Answer:
        """Answer one call of a trial that runs.

        Args:
            held: The trial.
            action: What is called.
            arguments: As it was called.

        Raises:
            SurroundingsError: The storage cannot be written.
        """
        try:
            value = self._calls[action](held, *arguments)
        except SweepError as error:
            if error.code is not ExitCode.INPUT:
                raise
            return Answer(fault=error.message)
        except Exception as error:  # of a sampler, or of Optuna's storage, which refuses a range
            return Answer(fault=f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}")
        stopping = action in ("report", "prune") and self._course.why_stopping() is not None
        return Answer(Verdict.STOP if stopping else Verdict.CONTINUE, value)

    def ended(self, held: Held, outcome: Outcome) -> None:
        """Note, before it is stored, how a trial ends; the first COMPLETE one must have used what the user fixed."""
        trial = self._storage.get_trial(held.trial_id)
        if outcome.ending is Ending.COMPLETE and trial.system_attrs.get(attributes.PRUNING):
            self._storage.set_trial_system_attr(held.trial_id, attributes.PRUNING, {})  # it went on all the same
        self._mark_unjudged(held, trial, besides=None)
        self._live.pop(held.spec.number, None)
        self._judged.pop(held.spec.number, None)
        if outcome.ends_sweep:
            self._course.stop("failed", f"trial {held.spec.number} raised {outcome.text}, which --catch does not name")
        if outcome.ending is Ending.COMPLETE and not self._ledger.counts["complete"]:
            self._check_fixed_are_used(held, trial)

    def reopen(self, attrs: Mapping[str, Any]) -> None:
        """Take up what an objective said before, within the same run."""
        self.closed = attrs.get(attributes.CLOSED) or None

    # --- the calls ---

    def _open(self, held: Held) -> tuple[str, list[str], FrozenTrial]:
        study = self._study
        names = [direction.name.lower() for direction in study.directions]
        return study.study_name, names, self._storage.get_trial(held.trial_id)

    def _suggest(self, held: Held, name: str, distribution: BaseDistribution) -> Any:
        stored = self._storage.get_trial(held.trial_id)
        if name in stored.params:  # a repeated call, or a trial that runs again
            before = stored.distributions[name]
            if not _fits(stored.params[name], distribution):
                raise ValueError(
                    f"{name} was {in_full(before)} when the trial began, and is {in_full(distribution)} now"
                )
            return stored.params[name]
        live = self._live.get(held.spec.number) or self._made(held, stored)
        try:
            check_given(live._fixed_params, name, distribution)
        except UnfitPoint as fault:
            self._stop_if_none_can_have(held, name, live._fixed_params[name], fault)
            raise
        return live._suggest(name, distribution)

    def _made(self, held: Held, stored: FrozenTrial) -> Trial:
        """Return a trial of Optuna's that suggests; its sampler has seen what was stored when it was first asked."""
        number = stored.number + (len(stored.params) << _RESEEDED)  # it must not draw the same numbers once more
        sampler = samplers.make(self._sampler, seed=self._plan.seed, number=number)
        lens = Lens(self._storage, view_of(self._sampler.name, self._study, forgiven=self._forgiven))
        study = optuna.Study(self._study.study_name, lens, sampler=sampler, pruner=self._study.pruner)
        trial = Trial(study, held.trial_id)
        self._live[held.spec.number] = trial
        return trial

    def _report(self, held: Held, step: int, value: float) -> None:
        stored = self._storage.get_trial(held.trial_id)
        if step in stored.intermediate_values:
            return
        self._judged_of(held, stored)
        if held.verdict is Verdict.PRUNE:  # it was told to end, and went on
            held.verdict = Verdict.CONTINUE
            self._storage.set_trial_system_attr(held.trial_id, attributes.PRUNING, {})
        self._storage.set_trial_intermediate_value(held.trial_id, step, value)
        self._ledger.epochs += 1
        if step >= held.step:
            held.reached(step, value)

    def _prune(self, held: Held, step: int | None) -> bool:
        """Judge a trial.

        Args:
            held: It.
            step: The last that this attempt has reported; an earlier attempt that came further was not pruned here.
        """
        stored = self._storage.get_trial(held.trial_id)
        if step is None or step != stored.last_step:
            return False
        if held.verdict is Verdict.PRUNE:
            return True
        self._mark_unjudged(held, stored, besides=step)
        self._judged_of(held, stored).update(stored.intermediate_values)
        pruning = self._pruner.judge(self._study, stored)
        if not isinstance(pruning, Pruning):
            return False
        self._storage.set_trial_system_attr(held.trial_id, attributes.PRUNING, pruning.to_json())
        held.verdict = Verdict.PRUNE
        return True

    def _user_attr(self, held: Held, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(held.trial_id, key, value)

    def _system_attr(self, held: Held, key: str, value: Any) -> None:
        _refuse_ours(key)
        if key.startswith(_KEPT_ONCE) and key in self._storage.get_trial(held.trial_id).system_attrs:
            return
        self._storage.set_trial_system_attr(held.trial_id, key, value)

    def _study_user_attr(self, _held: Held, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(self._study._study_id, key, value)

    def _study_system_attr(self, _held: Held, key: str, value: Any) -> None:
        _refuse_ours(key)
        self._storage.set_study_system_attr(self._study._study_id, key, value)

    def _study_attrs(self, _held: Held) -> tuple[dict[str, Any], dict[str, Any]]:
        storage, study_id = self._storage, self._study._study_id
        return storage.get_study_user_attrs(study_id), storage.get_study_system_attrs(study_id)

    def _trials(self, _held: Held, first: int) -> list[FrozenTrial]:
        """Return the trials from number `first` on: whoever asks has those before, which have ended."""
        return self._storage.get_all_trials(self._study._study_id, deepcopy=False)[first:]

    def _stop(self, held: Held) -> None:
        if self.closed is None:
            self.closed = f"the objective called study.stop() in trial {held.spec.number}"
            self._storage.set_study_system_attr(self._study._study_id, attributes.CLOSED, self.closed)

    # --- what is kept besides ---

    def _mark_unjudged(self, held: Held, trial: FrozenTrial, *, besides: int | None) -> None:
        """Keep at which steps nobody asked for a verdict: a pruner that reads the study again must not learn there."""
        known, judged = trial.system_attrs.get(attributes.UNJUDGED, []), self._judged_of(held, trial)
        missed = sorted(trial.intermediate_values.keys() - judged - {besides, *known})
        if missed:
            self._storage.set_trial_system_attr(held.trial_id, attributes.UNJUDGED, [*known, *missed])

    def _judged_of(self, held: Held, trial: FrozenTrial) -> set[int]:
        """Return the steps that need no mark; of a trial from before this process those that its pruner has read."""
        return self._judged.setdefault(held.spec.number, set(self._pruner.steps_heard(trial)))

    def _check_fixed_are_used(self, held: Held, trial: FrozenTrial) -> None:
        unused = [name for name in self._plan.fixed if name not in trial.params]
        if unused:
            said = f"trial {held.spec.number} suggested no {unused[0]!r}, which --set fixes"
            self._course.stop("failed", f"{said}; {did_you_mean(unused[0], trial.params)}")

    def _stop_if_none_can_have(self, held: Held, name: str, value: Any, fault: UnfitPoint) -> None:
        """End the sweep at what the user fixed, unless a trial has completed with it: a range may depend on others."""
        if name in self._plan.fixed and self._plan.fixed[name] == value and not self._ledger.counts["complete"]:
            self._course.stop("failed", f"--set in trial {held.spec.number}: {fault.message}")


def _fits(value: Any, distribution: BaseDistribution) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False


def _refuse_ours(key: str) -> None:
    if key.startswith(_OURS):
        raise ValueError(f"attributes that begin with {_OURS} are not the objective's to set")
