"""Points that a study tries before it suggests any: the `Enqueued`, trials that are WAITING until an ask takes one."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.errors import InputError
from search.plan import SweepPlan
from search.study import attributes
from search.study.draft import UnfitPoint
from search.study.drafts import Drafts
from search.study.known import Known, store_copy
from search.study.mixed import MovedPoint, refused
from search.study.storage import StudyStorage
from search.trial import ParamValue


class Enqueued:
    """The enqueued trials of a study, and those that wait for another one of their parameters to end.

    Args:
        plan: Its fixed parameters.
        study: Read for its history.
        storage: The trials are stored in.
        drafts: Suggests what a point leaves open.
        known: The study's trials by their parameters.
        retried: Failed trials that are run again, which is kept up to date here.
    """

    def __init__(
        self,
        plan: SweepPlan,
        study: optuna.Study,
        storage: StudyStorage,
        drafts: Drafts,
        known: Known,
        retried: set[int],
    ) -> None:
        self._plan, self._study, self._storage, self._drafts, self._known = plan, study, storage, drafts, known
        self._retried = retried
        self._waiting: deque[int] = deque()  # their numbers, in order
        self._parked: dict[int, list[int]] = {}  # by the trial that they wait for: those of its parameters
        self._wishes: set[str] = set()  # those that have been granted

    def __len__(self) -> int:
        """Return how many points have not been taken."""
        return len(self._waiting) + sum(map(len, self._parked.values()))

    @property
    def is_next(self) -> bool:
        """Whether one of them comes next."""
        return bool(self._waiting)

    @property
    def first(self) -> FrozenTrial:
        """The one that comes next; there must be one."""
        return self._stored(self._waiting[0])

    def follow(self, plan: SweepPlan) -> None:
        """Go by another plan from here on."""
        self._plan = plan

    def know(self, trial: FrozenTrial, *, waiting: bool) -> None:
        """Take note of a trial that the storage holds, whether it is enqueued or not.

        Args:
            trial: It.
            waiting: Whether it is enqueued, and nobody has taken it.
        """
        self._drafts.number = max(self._drafts.number, trial.number + 1)
        if attributes.WISH in trial.system_attrs:
            self._wishes.add(trial.system_attrs[attributes.WISH])
        for key in (attributes.RETRY_OF, attributes.MOVED_FROM):
            if key in trial.system_attrs:
                self._retried.add(trial.system_attrs[key])
        if waiting:
            self._waiting.append(trial.number)

    def add(self, point: Mapping[str, ParamValue], *, wish: str, retry_of: int | None = None) -> bool:
        """Have this point tried next, after those enqueued before; what it leaves open is fixed, or else suggested.

        Args:
            point: Values by parameter.
            wish: Unique to the user's call; one that has been granted is not granted again.
            retry_of: The failed trial that this one runs again, if it does.

        Returns:
            Whether it was enqueued.
        """
        if wish in self._wishes or (retry_of is not None and retry_of in self._retried):
            return False
        given: dict[str, Any] = {"fixed_params": dict(point), attributes.WISH: wish}
        if retry_of is not None:
            given[attributes.RETRY_OF] = retry_of
        self._add(given)
        return True

    def move_first(self) -> None:
        """Enqueue the one that comes next once more, as another one; it stays where it is."""
        first = self.first
        kept = ("fixed_params", attributes.WISH, attributes.RETRY_OF)
        given = {key: value for key, value in first.system_attrs.items() if key in kept}
        given[attributes.WISH] = f"{given.get(attributes.WISH, '')}:moved:{first.number}"
        if given[attributes.WISH] not in self._wishes:  # else a crash came between
            self._add({**given, attributes.MOVED_FROM: first.number})

    def give_up_first(self) -> None:
        """Forget the one that comes next: it has ended without being run."""
        self._waiting.popleft()

    def ended(self, number: int) -> None:
        """Take in that a trial has ended: those that waited for its result come next."""
        self._waiting.extendleft(reversed(self._parked.pop(number, [])))

    def take_first(self, request: str, *, at_s: float) -> FrozenTrial | None:
        """Turn the one that comes next into a running one, or one that has ended; None if it has to wait for another.

        Args:
            request: Of the ask.
            at_s: Seconds of the study's life at this moment.

        Raises:
            UnfitPoint: The space does not allow it: it changed, or allows it beside other values only.
            MovedPoint: The storage does not allow it: the space was edited since it was enqueued.
        """
        storage, number = self._storage.optuna, self._waiting[0]
        trial_id = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        waiting = storage.get_trial(trial_id)
        template = self._drafted(waiting, request)
        missing = {name: one for name, one in template.distributions.items() if name not in waiting.params}
        if self._drafts.mapping is not None:
            self._check_can_hold(waiting, template, missing)
        again = attributes.RETRY_OF in waiting.system_attrs
        twin = None if again else self._known.under_way(template.params)
        if twin is not None:
            self._parked.setdefault(twin, []).append(self._waiting.popleft())
            return None
        known = None if again else self._known.result_of(template.params)
        with self._storage.batch():
            if waiting.state is TrialState.WAITING:
                storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            for name, distribution in missing.items():
                value = distribution.to_internal_repr(template.params[name])
                storage.set_trial_param(trial_id, name, value, distribution)
            own = waiting.system_attrs.get("fixed_params", {})
            if self._plan.fixed.keys() - own.keys():
                storage.set_trial_system_attr(trial_id, "fixed_params", {**self._plan.fixed, **own})
            # last: without it, a reload knows that a crash cut this short, and has it taken again
            if known is None:
                storage.set_trial_system_attr(trial_id, attributes.REQUEST, request)
            else:
                store_copy(storage, trial_id, self._stored(known), at_s=at_s)
        self._waiting.popleft()
        if known is None:
            self._known.begin(number, template.params)
        return storage.get_trial(trial_id)

    def _add(self, given: Mapping[str, Any]) -> None:
        template = self._whole(given) or create_trial(state=TrialState.WAITING, system_attrs=dict(given))
        trial_id = self._storage.optuna.create_new_trial(self._study._study_id, template_trial=template)
        self.know(self._storage.optuna.get_trial(trial_id), waiting=True)

    def _whole(self, given: Mapping[str, Any]) -> FrozenTrial | None:
        """Return an enqueued trial with all its parameters, suggested now; None where they can be set at its taking."""
        if self._drafts.mapping is None:
            return None
        own = given.get("fixed_params", {})
        try:
            drafted = self._drafts.of(self._drafts.number, {**self._plan.fixed, **own}, "")
        except InputError:  # which is told when it is taken
            return None
        if refused(self._study.get_trials(deepcopy=False), drafted.distributions) is None:
            return None
        kept = {key: value for key, value in drafted.system_attrs.items() if key != attributes.REQUEST}
        return create_trial(
            state=TrialState.WAITING,
            params=drafted.params,
            distributions=drafted.distributions,
            system_attrs={**kept, **given},
        )

    def _drafted(self, waiting: FrozenTrial, request: str) -> FrozenTrial:
        """Draft an enqueued trial: what its user gave, what is fixed beside that, and what is stored of it already.

        Raises:
            UnfitPoint: The space does not allow what the user gave.
            MovedPoint: It does not allow what was suggested beside that before the space was edited, or fixed then.
        """
        given = {**self._plan.fixed, **waiting.system_attrs.get("fixed_params", {})}
        for name, value in waiting.params.items():
            if name in given and given[name] != value:
                raise MovedPoint(f"{name} was fixed anew since", field=name)
        try:
            return self._drafts.of(waiting.number, {**given, **waiting.params}, request)
        except UnfitPoint as fault:
            self._drafts.of(waiting.number, given, request)  # which raises the same where the point itself is at fault
            raise MovedPoint(f"the space of {fault.field} was edited since", field=fault.field) from fault

    def _check_can_hold(
        self, waiting: FrozenTrial, template: FrozenTrial, missing: Mapping[str, BaseDistribution]
    ) -> None:
        changed = [name for name, one in waiting.distributions.items() if template.distributions.get(name) != one]
        name = changed[0] if changed else refused(self._study.get_trials(deepcopy=False), missing)
        if name is not None:
            raise MovedPoint(f"the space of {name} was edited since", field=name)

    def _stored(self, number: int) -> FrozenTrial:
        storage, study_id = self._storage.optuna, self._study._study_id
        return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, number))
