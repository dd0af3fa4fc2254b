"""Write an imported study into the results folder, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from search.adopt.importing.source import SourceStudy
from search.errors import RefusedError
from search.paths import StudyFolder, check_study_name, write_atomic
from search.plan import SweepPlan
from search.study import attributes
from search.study.lock import FILE_NAME, living_holder, read_holder, refuse_running
from search.study.storage import open_for_writing
from search.study.takeover import open_study

_CHUNK: Final = 1000  # trials in one write of the journal
_MOMENT_S: Final = 3600.0  # after which an import that holds no lock is taken for dead
_NOT_COPIED: Final = {attributes.RUNS, attributes.STOPPED, attributes.CHANGES, attributes.LOOKS, "study:metric_names"}
"""Attributes of a study that tell of its own plan and its own runs."""


def name_of(source: SourceStudy, given: str | None) -> str:
    """Return the name of the imported study: as given, or its own as far as a folder may have it.

    Raises:
        InputError: The given one may not name a study.
    """
    if given is not None:
        return check_study_name(given)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", source.name).strip("-._")[:100]
    return check_study_name(plain or "imported")


def refuse_existing(folder: StudyFolder) -> None:
    """Refuse to import over a study.

    Raises:
        RefusedError: It exists.
    """
    if folder.root.exists():
        refuse_running(folder.root, study=folder.name)
        raise RefusedError(
            f"study {folder.name!r} exists already in {folder.root.parent}", field="--as", hint="choose another --as"
        )


def write(source: SourceStudy, folder: StudyFolder, record: Mapping[str, Any], plan: SweepPlan) -> None:
    """Make the study's folder: its trials in a journal, its plan beside them.

    Args:
        source: What to write.
        folder: Where; it must not be there.
        record: What `plan.json` is to hold.
        plan: In the record.

    Raises:
        SurroundingsError: It cannot be written.
        RefusedError: Somebody made the folder meanwhile.
    """
    _clean_up(folder.root.parent)
    building = StudyFolder(folder.root.with_name(f".{folder.name}.{os.getpid()}.importing"))
    try:
        building.root.mkdir(parents=True)
        _write_trials(source, building, plan)
        write_atomic(building.plan, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        (building.root / FILE_NAME).unlink(missing_ok=True)
        try:
            building.root.rename(folder.root)
        except OSError:
            refuse_existing(folder)
            raise
    finally:
        shutil.rmtree(building.root, ignore_errors=True)


def _clean_up(results: Path) -> None:
    """Delete what earlier imports have left when they were killed; those at work keep theirs."""
    for left in results.glob(".*.importing"):
        if left.is_dir() and not left.is_symlink() and _is_left(left):
            shutil.rmtree(left, ignore_errors=True)


def _is_left(building: Path) -> bool:
    if read_holder(building) is not None:
        return living_holder(building) is None
    try:  # it is without a lock for a moment after it is made, and before it is renamed
        return time.time() - building.stat().st_mtime > _MOMENT_S
    except OSError:
        return False


def _write_trials(source: SourceStudy, folder: StudyFolder, plan: SweepPlan) -> None:
    storage = open_for_writing(folder.journal, study=plan.study)
    try:
        study_id = open_study(plan, storage.optuna)._study_id
        with storage.batch():
            for key, value in source.user_attrs.items():
                storage.optuna.set_study_user_attr(study_id, key, value)
            for key, value in source.system_attrs.items():
                if key not in _NOT_COPIED:
                    storage.optuna.set_study_system_attr(study_id, key, value)
        trials = source.trials
        for start in range(0, len(trials), _CHUNK):
            with storage.batch():
                for trial in trials[start : start + _CHUNK]:
                    storage.optuna.create_new_trial(study_id, template_trial=trial)
        why = f"imported from {source.tool}"
        storage.optuna.set_study_system_attr(study_id, attributes.STOPPED, {"state": "finished", "why": why})
    finally:
        storage.close()
