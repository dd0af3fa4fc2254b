"""The search space of a sweep, as its orders name it or as it was edited since."""

from __future__ import annotations

from pathlib import Path

from search import loading
from search.contract import Space
from search.errors import InputError
from search.opening import load_planned_space
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import edits
from search.study.reading import stored_trials
from search.study.steering import changed_since, space_of
from search.tuner.orders import Orders


def space_as_ordered(orders: Orders) -> Space:
    """Load the space of the plan; where the study was edited since to search another one, that.

    Raises:
        InputError: It cannot be loaded any more.
        RefusedError: Its file is no longer as the driver read it: it is perhaps being edited.
    """
    plan, folder = orders.plan, StudyFolder(orders.folder)
    try:
        around = Path.cwd() if orders.shipped else orders.folder
        loaded = load_planned_space(plan, orders.brought, folder=around)
    except InputError:
        edited = _edited(folder, plan)
        if edited is None:
            raise
        return space_of(edited, made=True)
    if not orders.accept_changes and orders.space_hash not in ("", loading.code_hash(loaded)):
        edited = _edited(folder, plan)
        if edited is None:
            raise changed_since(loaded.file.name)
        return space_of(edited, made=True)
    space: Space = loaded.value
    return space


def _edited(folder: StudyFolder, plan: SweepPlan) -> edits.SpaceEdit | None:
    """Return the space that the study's run was edited to search, None if it was not."""
    spaces = [edit.space for edit in edits.in_force(stored_trials(folder, plan)[1]) if edit.space is not None]
    return spaces[-1] if spaces else None
