"""Where a study's next trial comes from: an enqueued point, or the sampler; stored so that a crash leaves no half."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.contract import Space
from search.plan import SweepPlan
from search.study import attributes, samplers
from search.study.choice import Choice
from search.study.draft import draft
from search.study.seen import view_of
from search.study.storage import StudyStorage
from search.trial import ParamValue


class Suggester:
    """Makes the trials of a study.

    Args:
        plan: Its sampler, seed and fixed parameters.
        study: Read for its history.
        storage: The trials are stored in.
        space: The search space.
    """

    def __init__(self, plan: SweepPlan, study: optuna.Study, storage: StudyStorage, space: Space) -> None:
        self._plan, self._study, self._storage, self._space = plan, study, storage, space
        self._sampler = Choice.parse(plan.sampler)
        self._waiting: deque[int] = deque()  # numbers of enqueued trials, in order
        self._created = 0  # trials in the study, of any state
        self._wishes: set[str] = set()  # those that have been granted
        self._retried: set[int] = set()  # failed trials that are run again

    @property
    def waiting(self) -> int:
        """How many enqueued points have not been taken."""
        return len(self._waiting)

    @property
    def exhausted(self) -> bool:
        """Whether the sampler has no point left that is neither tried nor running."""
        return not self._waiting and samplers.exhausted(self._sampler, self._study, fixed=self._plan.fixed)

    def know(self, trial: FrozenTrial, *, waiting: bool) -> None:
        """Take note of a trial that the storage holds; call it once for each, in order of numbers."""
        self._created = max(self._created, trial.number + 1)
        if attributes.WISH in trial.system_attrs:
            self._wishes.add(trial.system_attrs[attributes.WISH])
        if attributes.RETRY_OF in trial.system_attrs:
            self._retried.add(trial.system_attrs[attributes.RETRY_OF])
        if waiting:
            self._waiting.append(trial.number)

    def enqueue(self, point: Mapping[str, ParamValue], *, wish: str, retry_of: int | None = None) -> bool:
        """Have this point tried next, after those enqueued before; what it leaves open is suggested.

        Args:
            point: Values by parameter.
            wish: Unique to the user's call; one that has been granted is not granted again.
            retry_of: The failed trial that this one runs again, if it does.

        Returns:
            Whether it was enqueued.
        """
        if wish in self._wishes or (retry_of is not None and retry_of in self._retried):
            return False
        given: dict[str, Any] = {"fixed_params": {**self._plan.fixed, **point}, attributes.WISH: wish}
        if retry_of is not None:
            given[attributes.RETRY_OF] = retry_of
        template = create_trial(state=TrialState.WAITING, system_attrs=given)
        trial_id = self._storage.optuna.create_new_trial(self._study._study_id, template_trial=template)
        self.know(self._storage.optuna.get_trial(trial_id), waiting=True)
        return True

    @property
    def first_waiting(self) -> FrozenTrial:
        """The enqueued trial that comes next; there must be one."""
        study_id, number = self._study._study_id, self._waiting[0]
        storage = self._storage.optuna
        return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, number))

    def give_up_waiting(self) -> None:
        """Forget the enqueued trial that comes next: it has ended without being run."""
        self._waiting.popleft()

    def next(self, request: str) -> FrozenTrial:
        """Suggest and store the next trial, RUNNING, under the request that asked for it.

        Raises:
            UnfitPoint: The point that was enqueued first is none of the space.
            InputError: The space is wrong.
        """
        if self._waiting:
            return self._take(self._waiting[0], request)
        template = self._draft(self._created, self._plan.fixed, request)
        trial_id = self._storage.optuna.create_new_trial(self._study._study_id, template_trial=template)
        self._created += 1
        return self._storage.optuna.get_trial(trial_id)

    def _take(self, number: int, request: str) -> FrozenTrial:
        """Turn an enqueued trial into a running one.

        Raises:
            UnfitPoint: The space does not allow it: it changed, or allows it beside other values only.
        """
        storage = self._storage.optuna
        trial_id = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        waiting = storage.get_trial(trial_id)
        template = self._draft(number, waiting.system_attrs.get("fixed_params", {}), request)
        with self._storage.batch():
            if waiting.state is TrialState.WAITING:
                storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            for name, distribution in template.distributions.items():
                value = distribution.to_internal_repr(template.params[name])
                storage.set_trial_param(trial_id, name, value, distribution)
            # last: without it, a reload knows that a crash cut this short, and has it taken again
            storage.set_trial_system_attr(trial_id, attributes.REQUEST, request)
        self._waiting.popleft()
        return storage.get_trial(trial_id)

    def _draft(self, number: int, fixed: Mapping[str, ParamValue], request: str) -> FrozenTrial:
        study = self._study
        study.sampler = samplers.make(self._sampler, seed=self._plan.seed, number=number)
        given, begun = {attributes.REQUEST: request}, time.perf_counter()
        seen = view_of(self._sampler.name, study, forgiven=self._retried)
        made = draft(study, study.sampler, self._space, fixed=fixed, attributes=given, number=number, seen=seen)
        made.system_attrs[attributes.SUGGESTED_S] = round(time.perf_counter() - begun, 6)
        return made
