"""Where a study's next trial comes from: an enqueued point, an earlier study, or the sampler; stored at once or not.

No parameters are run twice: they are drawn again where another trial has them; where the sampler insists on them, or
they were enqueued, the new trial takes the other one's result, once there is one.
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.trial import FrozenTrial

from search.contract import Space
from search.plan import SweepPlan
from search.study import samplers
from search.study.choice import Choice
from search.study.drafts import Drafts
from search.study.drawing import Draw
from search.study.enqueued import Enqueued
from search.study.known import MOST_IN_A_ROW, Known, copy_of, is_open
from search.study.mapping import SpaceMapping
from search.study.record import TrialRecord, from_frozen
from search.study.storage import StudyStorage
from search.trial import ParamValue


class Suggester:
    """Makes the trials of a study.

    Args:
        plan: Its sampler, seed and fixed parameters.
        study: Read for its history.
        storage: The trials are stored in.
        space: The search space.

    Attributes:
        retried: The failed trials that are run again, kept up to date.
        drafts: Draws parameters.
        enqueued: Points that come first.
    """

    def __init__(self, plan: SweepPlan, study: optuna.Study, storage: StudyStorage, space: Space) -> None:
        self._plan, self._study, self._storage = plan, study, storage
        self._sampler = Choice.parse(plan.sampler)
        self._known = Known()
        self._known_in_a_row = 0  # suggestions, of late
        self._awaited: int | None = None  # the trial whose end the next suggestion waits for
        self.retried: set[int] = set()
        self.drafts = Drafts(plan, study, space, self._known, self.retried)
        self.enqueued = Enqueued(plan, study, storage, self.drafts, self._known, self.retried)

    @property
    def exhausted(self) -> str | None:
        """Say why there is no point left that is neither tried nor running, if there is none."""
        if self.enqueued:
            return None
        if self._known_in_a_row >= MOST_IN_A_ROW:
            return f"the last {self._known_in_a_row} suggestions had all been tried before"
        if samplers.exhausted(self._sampler, self._study, fixed=self._plan.fixed, seen=self.drafts.mapping):
            return "every point of the grid has been tried"
        return None

    @property
    def fixed(self) -> Mapping[str, ParamValue]:
        """What the user fixed."""
        return self._plan.fixed

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
        self.enqueued.know(trial, waiting=waiting)

    def follow(self, plan: SweepPlan) -> None:
        """Go by another plan from here on."""
        self._plan = plan
        self.drafts.follow(plan)
        self.enqueued.follow(plan)

    def search(self, space: Space, mapping: SpaceMapping) -> None:
        """Search another space from here on.

        Args:
            space: It.
            mapping: How the trials before are shown to the sampler.
        """
        self._known_in_a_row = 0
        self.drafts.search(space, mapping)

    def forget_results(self) -> None:
        """Have all parameters run anew from here on: the objective is another one."""
        self._known.forget()
        self._known_in_a_row = 0

    def end(self, record: TrialRecord) -> None:
        """Take in that a trial has ended: those that waited for its result come next."""
        self._known.end(record)
        self.enqueued.ended(record.number)
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
        while self.enqueued.is_next:
            taken = self.enqueued.take_first(request, at_s=at_s)
            if taken is not None:
                return taken
        if self._awaited is not None:
            return None
        template = self.drafts.next(request)
        self._awaited = self._known.under_way(template.params)
        if self._awaited is not None:
            return None
        storage, study_id = self._storage.optuna, self._study._study_id
        known = self._known.result_of(template.params)
        if known is not None:
            first = storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, known))
            template = copy_of(first, template, at_s=at_s)
        self._known_in_a_row = 0 if known is None else self._known_in_a_row + 1
        trial_id = storage.create_new_trial(study_id, template_trial=template)
        self.drafts.number += 1
        if known is None:
            self._known.begin(template.number, template.params)
        return storage.get_trial(trial_id)

    def foresee(self) -> Draw | None:
        """Return what the next suggestion has to draw, if that takes long and another process can; else None."""
        return None if self.enqueued.is_next or self._awaited is not None else self.drafts.foresee()
