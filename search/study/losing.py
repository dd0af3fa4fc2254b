"""What becomes of a trial whose worker was lost: it is tried again, or ends with a reason."""

from __future__ import annotations

from typing import Final

from search.errors import FailReason
from search.parsers import size_text
from search.plan import SweepPlan

UNHEARD_S: Final = 60.0
"""How long after its time-out a trial that was lost without a word is taken to have hung."""


def verdict_on(
    plan: SweepPlan, *, lost: int, lasted_s: float, hung: str, lost_to: str
) -> tuple[FailReason, str] | None:
    """Say why a trial is given up; None where a fresh worker takes it on.

    Args:
        plan: Its limits, and how often a lost trial is tried again.
        lost: Attempts that ended with their worker, this one with them.
        lasted_s: Seconds that this one lasted.
        hung: Where it hung when its watchdog ended it; "" if it was lost otherwise.
        lost_to: `memory` (of its machine), `limit` (the memory that a trial may take), `node` (its machine went, in
            which the trial has no part), or "" where that is not known.
    """
    limit_s = plan.trial_timeout_s
    if lost_to == "node":
        return None
    if limit_s is not None and (hung or lasted_s >= limit_s + UNHEARD_S):
        return FailReason.TIMEOUT, f"longer than {limit_s:g} s"
    if lost_to == "limit" and plan.memory_bytes is not None:
        return FailReason.OUT_OF_MEMORY, f"it took more than {size_text(plan.memory_bytes)} of memory"
    if lost_to in ("memory", "limit"):  # at the same size it would be killed again
        return FailReason.OUT_OF_MEMORY, "its worker was ended because the machine ran out of memory"
    if lost > plan.retries:
        return FailReason.WORKER_LOST, f"its worker was lost {lost} times"
    return None
