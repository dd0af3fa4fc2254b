"""Changes of a study's space and budget while it goes on, as its storage keeps them: the `Edit`.

An edit is one attribute of the study, written at once. It holds from then on, until the next run begins: that one is
launched with it, and its own changes, all of them, take its place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from search.errors import RefusedError
from search.plan import SweepPlan
from search.study import attributes, editable
from search.trial import ParamValue

AT_THE_NEXT_RUN: Final = ("memory_bytes", "cache_bytes", "address", "track", "notify")
"""Fields of the plan that a running sweep keeps as it began: its workers and its cluster were asked for with them."""


@dataclass(frozen=True, slots=True)
class SpaceEdit:
    """Another search space.

    Attributes:
        reference: Canonical, of the space.
        digest: Of its code: whoever takes it up must read the same.
        parameters: Text of each parameter's distribution, as `plan.json` has it.
        differences: What is another than before, a line each.
        fills: Values with which trials are shown that lack a parameter; all that were ever given.
        at: How many trials there were: those with lower numbers are of another space.
        counts: Of those, how many are inside, filled, partial and outside.
    """

    reference: str
    digest: str
    parameters: Mapping[str, str]
    differences: tuple[str, ...] = ()
    fills: Mapping[str, ParamValue] = field(default_factory=dict)
    at: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "digest": self.digest,
            "parameters": dict(self.parameters),
            "differences": list(self.differences),
            "fills": dict(self.fills),
            "at": self.at,
            "counts": dict(self.counts),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SpaceEdit:
        return cls(**{**values, "differences": tuple(values["differences"])})


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a study that its user asked for.

    Attributes:
        wish: Id of the user's wish: granted twice, it counts once.
        changes: Fields of the plan with their new values, JSON-ready.
        before: The same fields, as they were; noted anew where the edit is made.
        code_hash: Of objective and space, which workers are to find from here on.
        objective_hash: Of the objective without its space.
        space: The other space, None where it stays.
        more: Those of the changes that were wished as so much more than before, and by how much.
        when: Unix seconds.
        trials: How many trials there were.
        run: How many runs had begun.
        at_s: Seconds of the study's life, over all its runs, that had passed.
    """

    wish: str
    changes: Mapping[str, Any]
    before: Mapping[str, Any]
    code_hash: str
    objective_hash: str
    space: SpaceEdit | None = None
    more: Mapping[str, float] = field(default_factory=dict)
    when: float = field(default_factory=time.time)
    trials: int = 0
    run: int = 0
    at_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "wish": self.wish,
            "changes": dict(self.changes),
            "before": dict(self.before),
            "code_hash": self.code_hash,
            "objective_hash": self.objective_hash,
            "space": None if self.space is None else self.space.to_json(),
            "more": dict(self.more),
            "when": self.when,
            "trials": self.trials,
            "run": self.run,
            "at_s": self.at_s,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Edit:
        space = values["space"]
        return cls(**{**values, "space": None if space is None else SpaceEdit.from_json(space)})


def is_sound(body: Mapping[str, Any]) -> bool:
    """Tell whether the body of a wish is that of an edit: its folder may hold what another program wrote."""
    try:
        edit = Edit.from_json({**body, "wish": ""})
        texts = (edit.code_hash, edit.objective_hash, *(() if edit.space is None else _texts(edit.space)))
        return (
            edit.changes.keys() == edit.before.keys()
            and editable.is_sound(edit.changes)
            and editable.is_sound(edit.before)
            and editable.can_raise(edit.more, edit.changes)
            and all(isinstance(text, str) for text in texts)
            and isinstance(edit.when, int | float)
            and (edit.space is None or isinstance(edit.space.fills, dict))
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return False


def _texts(space: SpaceEdit) -> tuple[Any, ...]:
    return (space.reference, space.digest, *space.parameters.values(), *space.fills, *space.differences)


def stored(study_attributes: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return all edits of a study, in their order."""
    return tuple(map(Edit.from_json, study_attributes.get(attributes.EDITS, ())))


def in_force(study_attributes: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return the edits since the last run began."""
    runs = len(study_attributes.get(attributes.RUNS, ()))
    return tuple(edit for edit in stored(study_attributes) if edit.run == runs)


def last_space(study_attributes: Mapping[str, Any]) -> SpaceEdit | None:
    """Return the last edit of the space, None if there is none."""
    spaces = [edit.space for edit in stored(study_attributes) if edit.space is not None]
    return spaces[-1] if spaces else None


def reckoned(edit: Edit, plan: SweepPlan) -> Edit:
    """Return an edit against a plan as it is now: it may have been edited since this was wished.

    Raises:
        RefusedError: It is no longer what this edit began from.
    """
    now = plan.to_json()
    before = {name: now[name] for name in edit.changes}
    lifted = [name for name in edit.more if before[name] is None]
    if lifted or before.get("fixed") != edit.before.get("fixed"):
        raise RefusedError(
            "another edit of the study was made at the same moment", field="study", hint="try `sweep edit` again"
        )
    raised = {name: before[name] + more for name, more in edit.more.items()}
    return replace(edit, before=before, changes={**edit.changes, **raised})


def applied(plan: SweepPlan, study_attributes: Mapping[str, Any]) -> SweepPlan:
    """Return a plan with the edits since the last run began."""
    for edit in in_force(study_attributes):
        plan = _with(plan, edit.changes)
    return plan


def live(plan: SweepPlan, changes: Mapping[str, Any]) -> SweepPlan:
    """Return the plan of a sweep that is running with what may change meanwhile."""
    return _with(plan, {name: value for name, value in changes.items() if name not in AT_THE_NEXT_RUN})


def _with(plan: SweepPlan, changes: Mapping[str, Any]) -> SweepPlan:
    return SweepPlan.from_json({**plan.to_json(), **changes}) if changes else plan
