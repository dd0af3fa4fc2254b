"""What the user asks of a study while it goes on: points to try, failed trials to run again, another space or budget.

Each wish has an id, and granting it twice changes nothing: it may be granted, and its owner killed before it could say
so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search.contract import Space
from search.errors import RefusedError
from search.plan import SweepPlan
from search.study import attributes, edits
from search.study.choice import Choice
from search.study.edits import Edit
from search.study.ledger import Ledger
from search.study.mapping import SpaceMapping
from search.study.record import from_frozen
from search.study.suggester import Suggester
from search.trial import ParamValue


class Steering:
    """Grants the user's wishes.

    Args:
        plan: As it stands.
        study: Open for writing.
        suggester: Makes the trials.
        ledger: Counts them.
        follow: Has everybody go by another plan.
    """

    def __init__(
        self,
        plan: SweepPlan,
        study: optuna.Study,
        suggester: Suggester,
        ledger: Ledger,
        follow: Callable[[SweepPlan], None],
    ) -> None:
        self._plan, self._study = plan, study
        self._suggester, self._ledger, self._follow = suggester, ledger, follow

    def enqueue(self, point: Mapping[str, ParamValue], *, wish: str) -> None:
        """Have this point tried next, after those enqueued before; the same wish counts once."""
        self._suggester.enqueue(point, wish=wish)

    def retry(self, numbers: Sequence[int], *, wish: str) -> None:
        """Have the parameters of failed trials tried again, each as a new trial, in whose favour the old one stops
        counting; trials that did not fail, or are retried already, are left alone."""
        trials = self._study.get_trials(deepcopy=False)
        for trial in (trials[number] for number in numbers if 0 <= number < len(trials)):
            if trial.state is TrialState.FAIL and self._suggester.enqueue(
                trial.params, wish=f"{wish}:{trial.number}", retry_of=trial.number
            ):
                self._ledger.forgive(from_frozen(trial))

    def edit(self, edit: Edit, space: Space | None = None) -> None:
        """Go on with another budget or space, and keep in the study what was changed, in one write.

        Args:
            edit: What the user asked for; when and at which trial it came about is noted here.
            space: Its space, if it has one.
        """
        attrs = self._attributes()
        if any(known.wish == edit.wish for known in edits.stored(attrs)):
            return
        trials = self._study.get_trials(deepcopy=False)
        found = replace(edit, trials=len(trials), run=len(attrs.get(attributes.RUNS, ())))
        plan = edits.live(self._plan, found.changes)
        mapping = None
        if found.space is not None:
            assert space is not None
            mapping = mapping_of(replace(found.space, at=len(trials)), space, plan)
            found = replace(found, space=replace(found.space, at=len(trials), counts=mapping.counts(trials)))
        kept = [*attrs.get(attributes.EDITS, ()), found.to_json()]
        self._study._storage.set_study_system_attr(self._study._study_id, attributes.EDITS, kept)
        self._plan = plan
        self._follow(plan)
        if space is not None and mapping is not None:
            self._suggester.search(space, mapping)

    @property
    def edited(self) -> tuple[Edit, ...]:
        """The edits since this run began."""
        return edits.in_force(self._attributes())

    def _attributes(self) -> dict[str, Any]:
        return self._study._storage.get_study_system_attrs(self._study._study_id)


def as_edited(plan: SweepPlan, space: Space, study_attributes: Mapping[str, Any]) -> tuple[SweepPlan, Space]:
    """Return plan and space of a study that is opened again within a run, with what was edited since that began.

    Raises:
        InputError: The space can no longer be loaded.
    """
    edited = edits.in_force(study_attributes)
    for edit in edited:
        plan = edits.live(plan, edit.changes)
    spaces = [edit.space for edit in edited if edit.space is not None]
    if not spaces:
        return plan, space
    from search import reloading  # which knows objectives, and those know studies

    return plan, reloading.load_anew(spaces[-1].reference, kind="space", folder=Path.cwd()).value


def space_of(edit: edits.SpaceEdit) -> Space:
    """Load the space of an edit from its file as it is now.

    Raises:
        InputError: It cannot be loaded.
        RefusedError: It is not the one that was asked for.
    """
    from search import loading, reloading

    found = reloading.load_anew(edit.reference, kind="space", folder=Path.cwd())
    if loading.code_hash(found) != edit.digest:
        raise RefusedError(
            f"{found.file.name} changed again before the edit was made", field="--space", hint="try `sweep edit` again"
        )
    space: Space = found.value
    return space


def mapping_of(edit: edits.SpaceEdit, space: Space, plan: SweepPlan) -> SpaceMapping:
    """Return how the trials before an edit are shown to the plan's sampler."""
    return SpaceMapping(space, edit.fills, before=edit.at, sampler=Choice.parse(plan.sampler).name)
