"""From a stored study to a checked launch that goes on with it: its plan, its budget perhaps extended."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from search import loading
from search.choosing import BY_NAME, RESUMABLE
from search.data.fetch import Say, quiet
from search.data.splits import Split
from search.errors import InputError, RefusedError
from search.launch import Launch
from search.opening import baseline_of, load_planned, open_planned, users_code
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.records.study import StoredStudy
from search.study import attributes
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.study.space import describe
from search.trialfiles import TrialFiles

_EXTENDED: Final = frozenset(("trials", "time", "epochs", "gpu-hours", "cpu-hours", "plateau"))
"""Of the options that may change, those that `+N` raises."""


def changed(plan: SweepPlan, given: Mapping[str, object]) -> SweepPlan:
    """Return the plan with what was given instead.

    Args:
        plan: As it stands.
        given: Raw text by option; None means as it is, and `+N` so much more than before.

    Raises:
        InputError: A value is wrong, or there is nothing that could be raised.
    """
    values: dict[str, Any] = {}
    for name, raw in given.items():
        if raw is None:
            continue
        option, field, text = BY_NAME[name], RESUMABLE[name], str(raw)
        before = getattr(plan, field)
        more = name in _EXTENDED and text.startswith("+")
        if more and before is None:
            raise InputError(
                f"{option.flag} {text} is so many more, and the study has no such limit",
                field=option.flag,
                hint=f"give a new total: {option.flag} {text[1:]}",
            )
        value = option.parse(option.flag, text[1:] if more else text)
        values[field] = before + value if more else value
    return replace(plan, **values)


def prepare(stored: StoredStudy, plan: SweepPlan, *, accept_changes: bool, say: Say = quiet) -> Launch:
    """Load and check everything that a sweep needs to go on.

    Args:
        stored: The study.
        plan: Its plan, with changes.
        accept_changes: Go on although code or data are no longer those of the last run.
        say: Hears of data that is fetched.

    Raises:
        InputError: Objective, space or data cannot be loaded any more.
        RefusedError: Code or data have changed.
    """
    plan = replace(plan, results=str(stored.folder.root.resolve().parent))  # the folder may have been moved
    objective = load_planned(plan)
    space = loading.load(plan.space, kind="space", folder=Path.cwd())
    with users_code(objective, "data"):
        problem = open_planned(objective, plan, Path(plan.results), say=say)
    code, data, last = loading.code_hash(objective, space), problem.data_hash, _last_run(stored)
    if not accept_changes:
        try:
            check_unchanged(last, code=code, data=data)
            _check_split(stored.folder, problem.split)
        except RefusedError as error:
            error.hint = f"`sweep resume {stored.folder.name} --accept-changes` goes on with it"
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
        place=StudyFolder(stored.folder.root.resolve()),
    )


def settle(stored: StoredStudy, plan: SweepPlan) -> None:
    """Close a study that has nothing left to do, and whose last run ended before it could say so.

    Raises:
        RefusedError: Somebody runs it.
        SurroundingsError: Its storage cannot be written, or is damaged.
    """
    space, last, folder = loading.load(plan.space, kind="space", folder=Path.cwd()), _last_run(stored), stored.folder
    run = Run(uuid.uuid4().hex, last.code_hash, last.data_hash, _launched(stored).differing(plan))
    owner = StudyOwner.open(plan, folder.root, space.value, slots=0, run=run)
    try:
        owner.tick()
        needed = owner.checkpoints.needed
        if needed is not None:
            TrialFiles(folder.root).keep_only(needed)
        owner.finish()
    finally:
        owner.close()


def check_unchanged(run: Run, *, code: str, data: str) -> None:
    """Refuse to mix trials of different code or data in one study.

    Raises:
        RefusedError: One of them is not as the run has it; both hashes are named.
    """
    for what, now, before in (("data", data, run.data_hash), ("code", code, run.code_hash)):
        if now != before:
            raise RefusedError(
                f"the {what} changed since the study's last run began ({_short(before)} then, {_short(now)} now)",
                field="--accept-changes",
            )


def _check_split(folder: StudyFolder, split: Split | None) -> None:
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


def _last_run(stored: StoredStudy) -> Run:
    """Return the last run's hashes; before the first one opened the study, those of the launch."""
    runs = stored.attributes.get(attributes.RUNS, [])
    last = runs[-1] if runs else stored.launch
    return Run("", last["code_hash"], last["data_hash"])


def _launched(stored: StoredStudy) -> SweepPlan:
    """Return the plan as it was launched, but for its results folder, which is wherever the study lies now."""
    launched = SweepPlan.from_json(stored.launch["plan"])
    return replace(launched, results=str(stored.folder.root.resolve().parent))


def _short(digest: str) -> str:
    return digest[:12] if re.fullmatch(r"[0-9a-f]{12,}", digest) else digest or "none"
