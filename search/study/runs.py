"""The runs of a sweep, one per launch or resume, as its study keeps them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from search.errors import RefusedError
from search.study import attributes, edits
from search.study.record import TrialRecord


@dataclass(frozen=True, slots=True)
class Run:
    """One launch or resume: what the process that drives it wants the study to know.

    Attributes:
        id: Unique; a study server that restarts within a run finds its own, and takes nothing from anybody.
        code_hash: Of the code that this run's trials run.
        data_hash: Of the data that they are trained on.
        objective_hash: Of the code without its space; "" where that is not known.
        changes: Fields of the plan that differ since the launch, all of them.
        edits: How many edits of the study it goes by: newer ones it must not pass over. None for however many.
    """

    id: str
    code_hash: str = ""
    data_hash: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    objective_hash: str = ""
    edits: int | None = None

    def record(self, at_s: float) -> dict[str, Any]:
        """Return what the study keeps of it; `at_s` is the seconds of all runs before."""
        return {
            "run": self.id,
            "started": time.time(),
            "at_s": at_s,
            "code_hash": self.code_hash,
            "data_hash": self.data_hash,
            "objective_hash": self.objective_hash,
        }


def check_saw_edits(run: Run, study_attributes: Mapping[str, Any], *, study: str) -> None:
    """Refuse to begin a run that would pass over an edit: the study was edited while it was prepared.

    Raises:
        RefusedError: It would.
    """
    if run.edits is not None and run.edits != len(study_attributes.get(attributes.EDITS, ())):
        raise RefusedError(
            f"study {study!r} was edited while this was being prepared",
            field="study",
            hint=f"`sweep resume {study}` again goes on by the edit",
        )


def is_last(run: Run, study_attributes: Mapping[str, Any]) -> bool:
    """Tell whether the study is in this very run already."""
    runs = study_attributes.get(attributes.RUNS, [])
    return bool(runs) and runs[-1]["run"] == run.id


def began_at_s(study_attributes: Mapping[str, Any]) -> float:
    """Return the seconds of all runs before the last one."""
    runs = study_attributes.get(attributes.RUNS, [])
    return float(runs[-1].get("at_s", 0.0)) if runs else 0.0


def seconds_of(study_attributes: Mapping[str, Any], records: Iterable[TrialRecord]) -> float:
    """Return how long all runs took, as far as is known; no wall clock takes part in it."""
    return max([float(study_attributes.get(attributes.CLOCK, 0.0)), *(record.at_s for record in records)])


def unchanged_since_s(study_attributes: Mapping[str, Any], run: Run | None) -> float:
    """Return the seconds of the study's life after which its trials are of the code and the data of this run.

    Args:
        study_attributes: Before the run begins.
        run: It; None stands for the last one that began. What was edited since that one began holds for it, too.
    """
    stretches = _stretches(study_attributes)
    now = stretches[-1] if stretches else None
    if run is not None and not is_last(run, study_attributes):
        now = _Stretch(math.inf, run.code_hash, run.objective_hash, run.data_hash)
    since_s = math.inf
    for one in reversed(stretches):
        if now is None or not one.has_code_of(now):
            return since_s
        since_s = one.at_s
    return -1.0


def has_code_of_now(study_attributes: Mapping[str, Any], code_hash: str, objective_hash: str) -> bool:
    """Tell whether trials of this code are like those that the study runs now."""
    stretches = _stretches(study_attributes)
    return bool(stretches) and stretches[-1].has_code_of(
        _Stretch(math.inf, code_hash, objective_hash, stretches[-1].data_hash)
    )


class _Stretch(NamedTuple):
    """A part of the study's life in which code and data are the same; it begins with a run, or with an edit."""

    at_s: float
    code_hash: str
    objective_hash: str
    data_hash: str

    def has_code_of(self, other: _Stretch) -> bool:
        """Tell whether trials of both come to the same: a space decides which are run, and not what comes of them."""
        if self.data_hash != other.data_hash:
            return False
        if self.objective_hash and other.objective_hash:
            return self.objective_hash == other.objective_hash
        return self.code_hash == other.code_hash


def _stretches(study_attributes: Mapping[str, Any]) -> list[_Stretch]:
    """Return the study's life in order."""
    edited = edits.stored(study_attributes)
    found = []
    for count, run in enumerate(study_attributes.get(attributes.RUNS, []), 1):
        data = run["data_hash"]
        found.append(_Stretch(float(run.get("at_s", 0.0)), run["code_hash"], run.get("objective_hash", ""), data))
        found += [_Stretch(one.at_s, one.code_hash, one.objective_hash, data) for one in edited if one.run == count]
    return found
