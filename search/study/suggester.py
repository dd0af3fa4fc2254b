"""Where a study's next trial comes from: an enqueued point, an earlier study, or the sampler; stored at once or not.

No parameters are run twice: they are drawn again where another trial has them; where the sampler insists on them, or
they were enqueued, the new trial takes the other one's result, once there is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.contract import Space
from search.errors import InputError
from search.plan import SweepPlan
from search.study import attributes, samplers
from search.study.choice import Choice
from search.study.draft import UnfitPoint
from search.study.drawing import APART, Ahead, Draw, drawn
from search.study.known import MOST_IN_A_ROW, Known, copy_of, is_open, store_copy
from search.study.mapping import SpaceMapping
from search.study.mixed import MovedPoint, refused
from search.study.record import TrialRecord, from_frozen
from search.study.storage import StudyStorage
from search.study.warm import WarmStart
from search.trial import ParamValue

_REDRAWS: Final = {"gp": 1}
"""Fewer of a sampler that takes long, and comes to the same."""

REDRAWS: Final = 5
"""How often parameters are drawn again because another trial has them."""

SLOW_S: Final = 0.05
"""Suggestions that take longer are drawn apart, where that can be, so that no verdict waits for them."""

SLOW_IN_A_ROW: Final = 3
"""So many have to: one alone may be the machine's doing."""


class Suggester:
    """Makes the trials of a study.

    Args:
        plan: Its sampler, seed and fixed parameters.
        study: Read for its history.
        storage: The trials are stored in.
        space: The search space.

    Attributes:
        warm: The earlier studies that it learns from, if there are any.
        mapping: How trials of an earlier space stand in this one, once it was edited.
    """

    def __init__(self, plan: SweepPlan, study: optuna.Study, storage: StudyStorage, space: Space) -> None:
        self._plan, self._study, self._storage, self._space = plan, study, storage, space
        self._sampler = Choice.parse(plan.sampler)
        self._waiting: deque[int] = deque()  # numbers of enqueued trials, in order
        self._created = 0  # trials in the study, of any state
        self._wishes: set[str] = set()  # those that have been granted
        self._retried: set[int] = set()  # failed trials that are run again
        self._known = Known()
        self._known_in_a_row = 0  # suggestions, of late
        self._parked: dict[int, list[int]] = {}  # by the trial that they wait for: enqueued ones of its parameters
        self._awaited: int | None = None  # the trial whose end the next suggestion waits for
        self._ahead = Ahead()
        self._took_s = deque([0.0] * SLOW_IN_A_ROW, maxlen=SLOW_IN_A_ROW)  # the last suggestions
        self.warm: WarmStart | None = None
        self.mapping: SpaceMapping | None = None

    @property
    def retried(self) -> Collection[int]:
        """The failed trials that are run again, kept up to date."""
        return self._retried

    @property
    def waiting(self) -> int:
        """How many enqueued points have not been taken."""
        return len(self._waiting) + sum(map(len, self._parked.values()))

    @property
    def exhausted(self) -> str | None:
        """Say why there is no point left that is neither tried nor running, if there is none."""
        if self.waiting:
            return None
        if self._known_in_a_row >= MOST_IN_A_ROW:
            return f"the last {self._known_in_a_row} suggestions had all been tried before"
        if samplers.exhausted(self._sampler, self._study, fixed=self._plan.fixed, seen=self.mapping):
            return "every point of the grid has been tried"
        return None

    def know(self, trial: FrozenTrial, *, waiting: bool, counts: bool = True) -> None:
        """Take note of a trial that the storage holds; call it once for each, in order of numbers.

        Args:
            trial: It.
            waiting: Whether it is enqueued, and nobody has taken it.
            counts: Whether its result, if it has one, holds for the trials to come.
        """
        if is_open(trial):
            self._known.begin(trial.number, trial.params)
        elif trial.state.is_finished():
            self._known.end(from_frozen(trial), counts=counts)
        self._created = max(self._created, trial.number + 1)
        if attributes.WISH in trial.system_attrs:
            self._wishes.add(trial.system_attrs[attributes.WISH])
        for key in (attributes.RETRY_OF, attributes.MOVED_FROM):
            if key in trial.system_attrs:
                self._retried.add(trial.system_attrs[key])
        if waiting:
            self._waiting.append(trial.number)

    def enqueue(self, point: Mapping[str, ParamValue], *, wish: str, retry_of: int | None = None) -> bool:
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
        self._enqueue(given)
        return True

    def move_waiting(self) -> None:
        """Enqueue the enqueued trial that comes next once more, as another one; it stays where it is."""
        waiting = self.first_waiting
        kept = ("fixed_params", attributes.WISH, attributes.RETRY_OF)
        given = {key: value for key, value in waiting.system_attrs.items() if key in kept}
        given[attributes.WISH] = f"{given.get(attributes.WISH, '')}:moved:{waiting.number}"
        if given[attributes.WISH] not in self._wishes:  # else a crash came between
            self._enqueue({**given, attributes.MOVED_FROM: waiting.number})

    def _enqueue(self, given: Mapping[str, Any]) -> None:
        template = self._whole(given) or create_trial(state=TrialState.WAITING, system_attrs=dict(given))
        trial_id = self._storage.optuna.create_new_trial(self._study._study_id, template_trial=template)
        self.know(self._storage.optuna.get_trial(trial_id), waiting=True)

    def follow(self, plan: SweepPlan) -> None:
        """Go by another plan from here on."""
        self._plan = plan
        self._ahead.begin_edition()

    def search(self, space: Space, mapping: SpaceMapping) -> None:
        """Search another space from here on.

        Args:
            space: It.
            mapping: How the trials before are shown to the sampler.
        """
        self._space, self.mapping, self._known_in_a_row = space, mapping, 0
        self._ahead.begin_edition()

    def forget_results(self) -> None:
        """Have all parameters run anew from here on: the objective is another one."""
        self._known.forget()
        self._known_in_a_row = 0

    def _whole(self, given: Mapping[str, Any]) -> FrozenTrial | None:
        """Return an enqueued trial with all its parameters, suggested now; None where they can be set at its taking."""
        if self.mapping is None:
            return None
        try:
            drafted = self._draft(self._created, {**self._plan.fixed, **given.get("fixed_params", {})}, "")
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

    @property
    def first_waiting(self) -> FrozenTrial:
        """The enqueued trial that comes next; there must be one."""
        return self._stored(self._waiting[0])

    def give_up_waiting(self) -> None:
        """Forget the enqueued trial that comes next: it has ended without being run."""
        self._waiting.popleft()

    def end(self, record: TrialRecord) -> None:
        """Take in that a trial has ended: those that waited for its result come next."""
        self._known.end(record)
        self._waiting.extendleft(reversed(self._parked.pop(record.number, [])))
        if self._awaited == record.number:
            self._awaited = None

    def next(self, request: str, *, at_s: float) -> FrozenTrial | None:
        """Suggest and store the next trial under the request that asked for it.

        Args:
            request: Of the ask.
            at_s: Seconds of the study's life at this moment.

        Returns:
            A RUNNING trial; one that ended at once, with the result of an earlier one of the same parameters; or None
            as long as a trial is being run whose parameters come next.

        Raises:
            UnfitPoint: The point that was enqueued first is none of the space.
            InputError: The space is wrong.
        """
        while self._waiting:
            taken = self._take(self._waiting[0], request, at_s=at_s)
            if taken is not None:
                return taken
        if self._awaited is not None:
            return None
        template = self._suggested(request)
        self._awaited = self._known.under_way(template.params)
        if self._awaited is not None:
            return None
        known = self._known.result_of(template.params)
        if known is not None:
            template = copy_of(self._stored(known), template, at_s=at_s)
        self._known_in_a_row = 0 if known is None else self._known_in_a_row + 1
        trial_id = self._storage.optuna.create_new_trial(self._study._study_id, template_trial=template)
        self._created += 1
        if known is None:
            self._known.begin(template.number, template.params)
        return self._storage.optuna.get_trial(trial_id)

    def foresee(self) -> Draw | None:
        """Return what the next suggestion has to draw, if that takes long and another process can; else None.

        What comes of it is handed to `bring`, and the next call says what else has to be drawn.
        """
        if min(self._took_s) < SLOW_S or self._sampler.name not in APART or self._plan.storage is not None:
            return None
        if self._waiting or self._awaited is not None or self.warm is not None or self.mapping is not None:
            return None
        for redraw in range(1 + self._redraws):
            made = self._ahead.get(self._created, redraw)
            if made is None:
                return self._wanted(self._created, self._plan.fixed, redraw)
            if not self._known.has(made.params):
                return None
        return None

    def bring(self, wanted: Draw, made: FrozenTrial) -> None:
        """Take what was drawn elsewhere for a later `next`; it is of no use once the study has gone past it."""
        self._ahead.bring(wanted, made)

    def _take(self, number: int, request: str, *, at_s: float) -> FrozenTrial | None:
        """Turn an enqueued trial into a running one, or into one that has ended; None if it has to wait for another.

        Raises:
            UnfitPoint: The space does not allow it: it changed, or allows it beside other values only.
            MovedPoint: The storage does not allow it: the space was edited since it was enqueued.
        """
        storage = self._storage.optuna
        trial_id = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        waiting = storage.get_trial(trial_id)
        template = self._drafted(waiting, request)
        missing = {name: one for name, one in template.distributions.items() if name not in waiting.params}
        if self.mapping is not None:
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
            return self._draft(waiting.number, {**given, **waiting.params}, request)
        except UnfitPoint as fault:
            self._draft(waiting.number, given, request)  # which raises the same where the point itself is at fault
            raise MovedPoint(f"the space of {fault.field} was edited since", field=fault.field) from fault

    def _check_can_hold(
        self, waiting: FrozenTrial, template: FrozenTrial, missing: Mapping[str, BaseDistribution]
    ) -> None:
        changed = [name for name, one in waiting.distributions.items() if template.distributions.get(name) != one]
        name = changed[0] if changed else refused(self._study.get_trials(deepcopy=False), missing)
        if name is not None:
            raise MovedPoint(f"the space of {name} was edited since", field=name)

    def _suggested(self, request: str) -> FrozenTrial:
        """Draw the next trial; again, some times, while its parameters are known."""
        drawn = self._drawn(request, 0)
        for redraw in range(1, 1 + self._redraws):
            if not self._known.has(drawn.params):
                break
            drawn = self._drawn(request, redraw)
        return drawn

    def _drawn(self, request: str, redraw: int) -> FrozenTrial:
        """Draw the next trial: near the good ones of an earlier study, or by the sampler."""
        number, fixed = self._created, self._plan.fixed
        proposed = None if self.warm is None else self.warm.propose(number, redraw)
        if proposed is None:
            return self._draft(number, fixed, request, redraw=redraw)
        source, point = proposed
        point = {name: value for name, value in point.items() if name not in fixed}
        while True:
            try:
                made = self._draft(number, {**point, **fixed}, request, redraw=redraw)
            except UnfitPoint as fault:
                if fault.field not in point:
                    raise
                del point[fault.field]  # allowed beside other values only
                continue
            made.system_attrs.pop("fixed_params", None)
            made.system_attrs |= {attributes.WARM: source, **({"fixed_params": dict(fixed)} if fixed else {})}
            return made

    def _stored(self, number: int) -> FrozenTrial:
        storage, study_id = self._storage.optuna, self._study._study_id
        return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, number))

    def _draft(self, number: int, fixed: Mapping[str, ParamValue], request: str, *, redraw: int = 0) -> FrozenTrial:
        made = self._ahead.take(number, redraw, request) if fixed is self._plan.fixed else None
        if made is None:
            wanted = self._wanted(number, fixed, redraw)
            made = drawn(self._study, self._plan, self._space, wanted, request=request, mapping=self.mapping)
        self._took_s.append(made.system_attrs[attributes.SUGGESTED_S])
        return made

    def _wanted(self, number: int, fixed: Mapping[str, ParamValue], redraw: int) -> Draw:
        return Draw(number, dict(fixed), redraw, frozenset(self._retried), self._ahead.edition)

    @property
    def _redraws(self) -> int:
        """How often it is drawn again at the most."""
        return _REDRAWS.get(self._sampler.name, REDRAWS)
