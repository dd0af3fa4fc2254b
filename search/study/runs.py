"""The runs of a sweep, one per launch or resume, as its study keeps them: when each began and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from search.study.record import TrialRecord


def closed(runs: Sequence[dict[str, Any]], last_event: float) -> list[dict[str, Any]]:
    """Return the runs with their seconds; one that ended without a word lasted until the last thing known of it.

    Args:
        runs: As stored under `attributes.RUNS`.
        last_event: Unix seconds, from `last_event_of`.
    """
    return [run if "seconds" in run else {**run, "seconds": max(0.0, last_event - run["started"])} for run in runs]


def last_event_of(records: Iterable[TrialRecord]) -> float:
    """Return when the last trial began or ended, in Unix seconds; 0 if none did."""
    stamps = (stamp.timestamp() for one in records for stamp in (one.started, one.ended) if stamp is not None)
    return max(stamps, default=0.0)
