"""The runs of a sweep, one per launch or resume, as its study keeps them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.study import attributes
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
    """

    id: str
    code_hash: str = ""
    data_hash: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    objective_hash: str = ""

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
        run: It; None stands for the last one that began.
    """
    runs: list[dict[str, Any]] = study_attributes.get(attributes.RUNS, [])
    if run is None and runs:
        run = Run("", runs[-1]["code_hash"], runs[-1]["data_hash"])
    since = math.inf
    for one in reversed(runs):
        if run is not None and (one["code_hash"], one["data_hash"]) != (run.code_hash, run.data_hash):
            return since
        since = float(one.get("at_s", 0.0))
    return -1.0
