"""From a stored study to a checked launch that goes on with it: its plan, its budget perhaps extended."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search import byvalue, loading, reloading
from search.byvalue import Brought
from search.checked import check_one_metric
from search.choosing import BY_NAME, RESUMABLE, parsed
from search.contract import Space
from search.data.fetch import Say, quiet
from search.data.splits import Split
from search.errors import InputError, RefusedError
from search.launch import Launch
from search.notify import check as check_notify
from search.opening import NOTHING, baseline_of, load_planned, load_planned_space, open_sent, rows_of, users_code
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.records.study import StoredStudy, read
from search.study import attributes, edits, wishes
from search.study.editable import RAISED
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.study.space import describe
from search.trackers.catching_up import catch_up
from search.trackers.chosen import check as check_trackers
from search.trialfiles import TrialFiles


def changed(plan: SweepPlan, given: Mapping[str, object]) -> SweepPlan:
    """Return the plan with what was given instead.

    Args:
        plan: As it stands.
        given: Raw text by option; None means as it is, and `+N` so much more than before.

    Raises:
        InputError: A value is wrong, does not go with the metrics, or there is nothing that could be raised.
    """
    more, values = raised(given), dict[str, Any]()
    for name, raw in given.items():
        if raw is None or raw == ():
            continue
        option, field = BY_NAME[name], RESUMABLE[name]
        if option.many:
            values[field] = parsed(option, option.flag, raw)
            continue
        before = getattr(plan, field)
        if field in more and before is None:
            raise InputError(
                f"{option.flag} {raw} is so many more, and the study has no such limit",
                field=option.flag,
                hint=f"give a new total: {option.flag} {str(raw)[1:]}",
            )
        values[field] = before + more[field] if field in more else option.parse(option.flag, str(raw))
        if name in ("until", "min-gain", "until-confident") and values[field] is not None:
            check_one_metric(name, plan.metrics)
        if name == "notify":
            check_notify(values[field])
    return replace(plan, **values)


def raised(given: Mapping[str, object]) -> dict[str, Any]:
    """Return, by field of the plan, how much more was given by `+N`.

    Args:
        given: As for `changed`.

    Raises:
        InputError: It is no such number.
    """
    more: dict[str, Any] = {}
    for name, raw in given.items():
        option, field, text = BY_NAME[name], RESUMABLE[name], str(raw)
        if raw is None or field not in RAISED or not text.startswith("+"):
            continue
        try:
            more[field] = option.parse(f"what {option.flag} {text} adds", text[1:])
        except InputError as fault:
            raise InputError(fault.message, field=option.flag, hint=fault.hint) from None
        if more[field] is None:
            raise InputError(f"{option.flag} {text} adds nothing", field=option.flag, hint=f"try {option.flag} none")
    return more


def prepare(
    stored: StoredStudy, plan: SweepPlan, *, accept_changes: bool, say: Say = quiet, brought: Brought = NOTHING
) -> Launch:
    """Load and check everything that a sweep needs to go on.

    Args:
        stored: The study.
        plan: Its plan, with changes.
        accept_changes: Go on although code or data are no longer those of the last run.
        say: Hears of data that is fetched.
        brought: What of objective and space no file holds.

    Raises:
        InputError: Objective, space or data cannot be loaded any more.
        RefusedError: Code or data have changed.
    """
    check_trackers(plan.track)
    plan = replace(plan, results=str(stored.folder.root.resolve().parent))  # the folder may have been moved
    objective = load_planned(plan, brought)
    space = load_planned_space(plan, brought, folder=Path.cwd())
    rows = rows_of(stored.launch)
    with users_code(objective, "data"):
        problem = open_sent(objective, plan, stored.folder, rows, say=say)
    code, data, last = loading.code_hash(objective, space), problem.data_hash, last_run(stored)
    objective_code = reloading.objective_hash(objective, space)
    if not accept_changes:
        try:
            check_unchanged(last, code=code, data=data)
            check_split(stored.folder, problem.split)
        except RefusedError as error:
            of_space = objective_code == last.objective_hash and data == last.data_hash and code != last.code_hash
            how = "" if of_space else " --accept-changes"
            error.hint = f"`sweep {'edit' if of_space else 'resume'} {stored.folder.name}{how}` goes on with it"
            raise
    baseline = stored.attributes.get(attributes.BASELINE)
    if baseline is None:  # it ended before the study was prepared
        with users_code(objective, "baseline"):
            baseline = baseline_of(problem, plan)
    return Launch(
        plan=plan,
        problem=problem,
        loaded_space=space,
        space=describe(space.value, seed=plan.seed),
        baseline=baseline,
        code_hash=code,
        data_hash=data,
        notes=tuple(
            f"the {what} changed since the last run, and that was accepted"
            for what, now, before in (("code", code, last.code_hash), ("data", data, last.data_hash))
            if now != before
        ),
        accept_changes=accept_changes,
        changes=_launched(stored).differing(plan),
        resumed=True,
        objective_hash=objective_code,
        space_hash=loading.code_hash(space),
        edits=len(edits.stored(stored.attributes)),
        brought=brought,
        rows=rows,
        hidden=tuple(stored.launch.get("sent", {}).get("hidden", ())),
        warm_start=tuple(stored.launch.get("sent", {}).get("warm_start", ())),  # the study keeps the first it is told
        place=StudyFolder(stored.folder.root.resolve()),
    )


def with_edits(stored: StoredStudy) -> StoredStudy:
    """Return a study that nobody runs with the edits that its last sweep, or whoever wished them, did not live to make.

    Raises:
        InputError: The space cannot be loaded any more.
        RefusedError: Somebody runs it, or an edit cannot be made any more: it is gone then.
    """
    wished = wishes.pending_edits(stored.folder)
    if not wished:
        return stored
    wishes.grant_here(stored.folder, stored.plan, space_of_visit(stored.plan))
    refusals = [refusal for wish in wished if (refusal := wishes.take_refusal(stored.folder, wish)) is not None]
    if refusals:
        raise refusals[0]
    return read(stored.folder)


def space_of_visit(plan: SweepPlan) -> Space:
    """Return the space with which a study that nobody runs is opened, to grant what is wished of it.

    Raises:
        InputError: It cannot be loaded any more.
    """
    if byvalue.is_by_value(plan.space):
        return _not_here
    space: Space = reloading.load_anew(plan.space, kind="space", folder=Path.cwd()).value
    return space


def _not_here(_: object) -> None:
    """Stand for a space that its script alone has: of a visit nothing is suggested."""
    raise InputError("the search space stands in a Python script or notebook, which alone can run it", field="space")


def settle(stored: StoredStudy, plan: SweepPlan, brought: Brought = NOTHING) -> None:
    """Close a study that has nothing left to do: what its last run ended too early to say is said.

    Who hears of it is noted where that was changed, and its trackers are told what they missed.

    Args:
        stored: The study.
        plan: Its plan, with changes.
        brought: What of objective and space no file holds.

    Raises:
        RefusedError: Somebody runs it.
        SurroundingsError: Its storage cannot be written, or is damaged; or a tracker's package is not installed.
    """
    other_hearers = (plan.track, plan.notify) != (stored.plan.track, stored.plan.notify)
    if other_hearers:
        check_trackers(plan.track)
    if other_hearers or stored.attributes.get(attributes.STOPPED) is None:
        _close(stored, plan, brought)
    catch_up(stored.folder)


def _close(stored: StoredStudy, plan: SweepPlan, brought: Brought) -> None:
    space, last, folder = load_planned_space(plan, brought, folder=Path.cwd()), last_run(stored), stored.folder
    run = replace(
        last,
        id=uuid.uuid4().hex,
        changes=_launched(stored).differing(plan),
        edits=len(edits.stored(stored.attributes)),
    )
    owner = StudyOwner.open(plan, folder.root, space.value, slots=0, run=run)
    try:
        owner.tick()
        needed = owner.checkpoints.needed
        if needed is not None:
            TrialFiles(folder.root).keep_only(needed)
        owner.finish()
    finally:
        owner.close()


def check_unchanged(run: Run, *, code: str, data: str, objective: str = "") -> None:
    """Refuse to mix trials of different code or data in one study.

    Args:
        run: Has those of its trials.
        code: Hash of the code as it is now.
        data: Of the data.
        objective: Of the code without its space, from a worker: the space, which it never runs, may be being edited.

    Raises:
        RefusedError: One of them is not as the run has it; both hashes are named.
    """
    for what, now, before in (("data", data, run.data_hash), ("code", code, run.code_hash)):
        if what == "code" and objective and objective == run.objective_hash:
            continue
        if now != before:
            raise RefusedError(
                f"the {what} changed since the study's last run began ({_short(before)} then, {_short(now)} now)",
                field="--accept-changes",
            )


def check_split(folder: StudyFolder, split: Split | None) -> None:
    """Refuse to train on rows that were sealed before.

    Raises:
        RefusedError: The data is split in another way than when the study was launched: by another version, say.
        SurroundingsError: The stored split is damaged.
    """
    if split is not None and folder.split.exists() and Split.load(folder.split).digest() != split.digest():
        raise RefusedError(
            "the split of the data is no longer that of the study's trials: rows that were sealed would be trained on",
            field="--accept-changes",
        )


def last_run(stored: StoredStudy) -> Run:
    """Return the last run's hashes, or those of an edit since; before the first one began, those of the launch."""
    runs = stored.attributes.get(attributes.RUNS, [])
    last = runs[-1] if runs else stored.launch
    edited = edits.in_force(stored.attributes)
    code: Mapping[str, Any] = edited[-1].to_json() if edited else last
    return Run("", code["code_hash"], last["data_hash"], objective_hash=code.get("objective_hash", ""))


def accepted_codes(stored: StoredStudy) -> set[str]:
    """Return the hashes of code that differ from the launch's by what was edited of the space alone."""
    found, objective = {stored.launch["code_hash"]}, stored.launch.get("objective_hash", "")
    for edit in edits.stored(stored.attributes):
        if objective and edit.objective_hash == objective:
            found.add(edit.code_hash)
    return found


def _launched(stored: StoredStudy) -> SweepPlan:
    """Return the plan as it was launched, but for its results folder, which is wherever the study lies now."""
    launched = SweepPlan.from_json(stored.launch["plan"])
    return replace(launched, results=str(stored.folder.root.resolve().parent))


def _short(digest: str) -> str:
    return digest[:12] if re.fullmatch(r"[0-9a-f]{12,}", digest) else digest or "none"
