"""What the user asks of a study while it goes on: points to try, failed trials to run again, another space or budget.

Each wish has an id, and granting it twice changes nothing: it may be granted, and its owner killed before it could say
so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from search.contract import Space
from search.errors import RefusedError
from search.plan import SweepPlan
from search.study import attributes, edits
from search.study.edits import Edit
from search.study.mapping import mapping_of
from search.study.parts import Parts
from search.study.record import from_frozen
from search.study.runs import has_code_of_now
from search.trial import ParamValue


class Steering:
    """Grants the user's wishes.

    Args:
        parts: Of the study's owner.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def enqueue(self, point: Mapping[str, ParamValue], *, wish: str) -> None:
        """Have this point tried next, after those enqueued before; the same wish counts once."""
        self._parts.suggester.enqueued.add(point, wish=wish)

    def retry(self, numbers: Sequence[int], *, wish: str) -> None:
        """Have the parameters of failed trials tried again, each as a new trial, in whose favour the old one stops
        counting; trials that did not fail, or are retried already, are left alone."""
        trials = self._parts.study.get_trials(deepcopy=False)
        for trial in (trials[number] for number in numbers if 0 <= number < len(trials)):
            if trial.state is TrialState.FAIL and self._parts.suggester.enqueued.add(
                trial.params, wish=f"{wish}:{trial.number}", retry_of=trial.number
            ):
                self._parts.ledger.forgive(from_frozen(trial))

    def edit(self, edit: Edit, space: Space | None = None) -> None:
        """Go on with another budget or space, and keep in the study what was changed, in one write.

        Args:
            edit: What the user asked for; when and at which trial it came about is noted here.
            space: Its space, if it has one.

        Raises:
            RefusedError: What it began from is no longer so.
        """
        if self.has_made(edit.wish):
            return
        attrs = self._parts.stored()
        edit = edits.reckoned(edit, edits.applied(self._parts.plan, attrs))
        trials = self._parts.study.get_trials(deepcopy=False)
        found = replace(
            edit, trials=len(trials), run=len(attrs.get(attributes.RUNS, ())), at_s=self._parts.course.seconds
        )
        plan = edits.live(self._parts.plan, found.changes)
        mapping = None
        if found.space is not None:
            assert space is not None
            mapping = mapping_of(replace(found.space, at=len(trials)), space, plan)
            found = replace(found, space=replace(found.space, at=len(trials), counts=mapping.counts(trials)))
        kept = [*attrs.get(attributes.EDITS, ()), found.to_json()]
        self._parts.store(attributes.EDITS, kept)
        self._parts.follow(plan, found)
        if not has_code_of_now(attrs, found.code_hash, found.objective_hash):
            self._parts.suggester.forget_results()
        if space is not None and mapping is not None:
            self._parts.suggester.search(space, mapping)

    def has_made(self, wish: str) -> bool:
        """Tell whether an edit has been made already."""
        return any(known.wish == wish for known in edits.stored(self._parts.stored()))

    @property
    def edited(self) -> tuple[Edit, ...]:
        """The edits since this run began."""
        return edits.in_force(self._parts.stored())


def as_edited(
    plan: SweepPlan, space: Space, study_attributes: Mapping[str, Any], *, visit: bool
) -> tuple[SweepPlan, Space]:
    """Return plan and space of a study that is opened again within a run, with what was edited since that began.

    Args:
        plan: As the run began.
        space: Likewise; of a visit, as it is now.
        study_attributes: With the edits.
        visit: Whether nothing is suggested, so that the space may have changed once more.

    Raises:
        InputError: The space can no longer be loaded.
        RefusedError: It has changed since the edit.
    """
    edited = edits.in_force(study_attributes)
    for edit in edited:
        plan = edits.live(plan, edit.changes)
    spaces = [edit.space for edit in edited if edit.space is not None]
    if visit or not spaces:
        return plan, space
    return plan, space_of(spaces[-1], made=True)


def space_of(edit: edits.SpaceEdit, *, made: bool = False) -> Space:
    """Load the space of an edit from its file as it is now.

    Args:
        edit: It.
        made: Whether it was made before, and the study searches this space.

    Raises:
        InputError: It cannot be loaded.
        RefusedError: It is not the one that was asked for.
    """
    from search import loading, reloading  # which know objectives, and those know studies

    found = reloading.load_anew(edit.reference, kind="space", folder=Path.cwd())
    if loading.code_hash(found) != edit.digest:
        if made:
            raise changed_since(found.file.name)
        raise RefusedError(
            f"{found.file.name} changed again before the edit was made", field="--space", hint="try `sweep edit` again"
        )
    space: Space = found.value
    return space


def changed_since(file: str) -> RefusedError:
    """Return the refusal to search a space that is perhaps being edited; `file` is its name."""
    return RefusedError(
        f"{file} is no longer as the search began with it, and the study's server had to read it again",
        field="space",
        hint="undo the change or `sweep edit` the study, then `sweep resume` it",
    )
