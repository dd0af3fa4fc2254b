"""From what a user wants changed of a stored study to a checked edit of it, with what it comes to: the `Proposal`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from search import byvalue, loading, reloading
from search.choosing import BY_NAME
from search.errors import InputError, RefusedError
from search.loading import Loaded
from search.plan import SweepPlan
from search.records.study import StoredStudy
from search.resume import changed, last_run, raised
from search.study import edits, samplers
from search.study.choice import Choice
from search.study.edits import Edit, SpaceEdit
from search.study.mapping import SpaceMapping, is_lacked
from search.study.reading import stored_trials
from search.study.space import check_fixed, describe
from search.study.spacediff import Described, differences, from_texts
from search.trial import ParamValue


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a user gave.

    Attributes:
        flags: Raw text of the options of a resume, by option; None means as it is.
        space: Reference of another space.
        fills: Each `NAME=VALUE`.
        fixed: Each `NAME=VALUE` that is fixed from here on.
        unfixed: Each parameter that no longer is.
        accept_changes: Whether the objective may be another than that of the trials before.
    """

    flags: Mapping[str, object]
    space: str | None = None
    fills: Sequence[str] = ()
    fixed: Sequence[str] = ()
    unfixed: Sequence[str] = ()
    accept_changes: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """An edit that can be made.

    Attributes:
        edit: It; its wish has no id yet.
        space: The space from here on; None where its script alone has it, and the budget alone is edited.
    """

    edit: Edit
    space: Loaded | None


def propose(stored: StoredStudy, wanted: Wanted) -> Proposal:
    """Check an edit, and find what it comes to.

    Args:
        stored: The study.
        wanted: What the user gave.

    Raises:
        InputError: Something of it is wrong, or nothing would change.
        RefusedError: The objective's own code has changed.
    """
    before = stored.plan
    plan = changed(before, wanted.flags)
    if byvalue.is_by_value(plan.objective) or byvalue.is_by_value(plan.space):
        return _of_budget(stored, wanted, plan)
    objective = reloading.load_anew(plan.objective, kind="objective", folder=Path.cwd())
    if before.by_hand:
        _check_by_hand(objective, wanted)
    space = loading.load(wanted.space or before.space, kind="space", folder=Path.cwd())
    codes = loading.code_hash(objective, space), reloading.objective_hash(objective, space)
    if not wanted.accept_changes:
        _check_objective(stored, *codes)
    described = describe(space.value, seed=plan.seed)
    if not before.by_hand:
        plan = replace(plan, space=space.reference, fixed=_fixed(plan.fixed, wanted, described))
    samplers.check_space(Choice.parse(plan.sampler), described, fixed=plan.fixed)
    changes = before.differing(plan)
    same_code = codes[0] == last_run(stored).code_hash
    another = _space_edit(stored, space, described, wanted, plan=plan, same_code=same_code)
    if not changes and another is None and same_code:
        raise _nothing(stored, "give --space, --trials or another option, or change the space's file first")
    more = raised(wanted.flags)
    return Proposal(Edit("", changes, _were(before, changes), *codes, another, more), space)


def _of_budget(stored: StoredStudy, wanted: Wanted, plan: SweepPlan) -> Proposal:
    """Check an edit of a study whose objective or space no file holds: all else may change, and they stay.

    Raises:
        InputError: The space is to change, or nothing would.
    """
    for flag, value in {**_of_space(wanted), "--accept-changes": wanted.accept_changes}.items():
        if value:
            raise InputError(
                f"{flag} needs the code of this study, which stands in a Python script or notebook",
                field=flag,
                hint="edit the budget alone, or begin another study there",
            )
    last, changes = last_run(stored), stored.plan.differing(plan)
    if not changes:
        raise _nothing(stored, "give --trials or another option")
    was = _were(stored.plan, changes)
    more = raised(wanted.flags)
    return Proposal(Edit("", changes, was, last.code_hash, last.objective_hash, more=more), None)


def _nothing(stored: StoredStudy, hint: str) -> InputError:
    name = stored.folder.name
    return InputError(f"nothing to change: study {name!r} is as you want it", field="study", hint=hint)


def _were(plan: SweepPlan, changes: Mapping[str, object]) -> dict[str, object]:
    was = plan.to_json()
    return {name: was[name] for name in changes}


def _of_space(wanted: Wanted) -> dict[str, object]:
    """Return, by flag, what was given for the space."""
    return {"--space": wanted.space, "--fill": wanted.fills, "--set": wanted.fixed, "--unset": wanted.unfixed}


def _check_by_hand(objective: Loaded, wanted: Wanted) -> None:
    """Refuse to change a space that nobody but the objective knows."""
    for flag, value in _of_space(wanted).items():
        if value:
            raise InputError(
                f"the search space of this study is inside its objective, so there is nothing for {flag} to change",
                field=flag,
                hint=f"change what {objective.file.name} suggests, and give --accept-changes",
            )


def _check_objective(stored: StoredStudy, code: str, objective: str) -> None:
    """Refuse to go on with another objective; old studies do not tell it from its space."""
    last = last_run(stored)
    then, now = (last.objective_hash, objective) if last.objective_hash else (last.code_hash, code)
    if then != now:
        what = "objective's own code" if last.objective_hash else "code"
        raise RefusedError(
            f"the {what} changed since the study's last run began ({_short(then)} then, {_short(now)} now)",
            field="--accept-changes",
            hint="undo it, or --accept-changes mixes trials of both",
        )


def _fixed(fixed: Mapping[str, ParamValue], wanted: Wanted, described: Described) -> dict[str, ParamValue]:
    """Return the parameters that are fixed from here on; those that are must have a value of the space."""
    left = dict(fixed)
    for name in wanted.unfixed:
        if name not in left:
            known = ", ".join(left) or "none is"
            raise InputError(f"{name} is not fixed", field="--unset", hint=f"fixed: {known}")
        del left[name]
    left |= _assigned("--set", wanted.fixed, described)
    for name, value in left.items():
        try:
            check_fixed(name, value, described)
        except InputError as fault:
            raise InputError(f"{fault.message}, and --set fixed it", field=name, hint=f"give --unset {name}") from fault
    return left


def _space_edit(
    stored: StoredStudy,
    space: Loaded,
    described: Described,
    wanted: Wanted,
    *,
    plan: SweepPlan,
    same_code: bool,
) -> SpaceEdit | None:
    """Return what changes of the space, None if nothing does."""
    if plan.by_hand:
        return None
    last = edits.last_space(stored.attributes)
    known = from_texts(last.parameters if last is not None else stored.launch.get("parameters", {}))
    before = dict(last.fills) if last is not None else {}
    fills = {name: value for name, value in before.items() if name in described}
    fills |= _assigned("--fill", wanted.fills, described)
    trials = stored_trials(stored.folder, stored.plan)[0]
    for name in sorted(fills.keys() - before.keys()):
        if not is_lacked(name, trials):
            raise InputError(
                f"--fill {name} has nothing to fill in: no trial lacks it", field="--fill", hint="leave it out"
            )
    lines = differences(known, described)
    if not lines and same_code and fills == before and space.reference == stored.plan.space:
        return None
    mapping = SpaceMapping(space.value, fills, before=len(trials), sampler=Choice.parse(plan.sampler).name)
    return SpaceEdit(
        reference=space.reference,
        digest=loading.code_hash(space),
        parameters={name: str(one) for name, one in described.items()},
        differences=lines,
        fills=fills,
        at=len(trials),
        counts=mapping.counts(trials),
    )


def _assigned(flag: str, texts: Sequence[str], described: Described) -> dict[str, ParamValue]:
    """Return the values of a flag's assignments, checked against the space."""
    found: dict[str, ParamValue] = {}
    for text in texts:
        name, value = BY_NAME["set"].parse(flag, text)
        if name in found:
            raise InputError(f"{flag} {name} is given twice", field=flag, hint="keep one of them")
        found[name] = check_fixed(name, value, described)
    return found


def _short(digest: str) -> str:
    return digest[:12] or "none"
