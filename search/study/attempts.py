"""One worker's attempt at a trial: how it begins, and when it should have ended."""

from __future__ import annotations

from typing import Final

from search.study import attributes, endings
from search.study.held import Held
from search.study.parts import Parts
from search.study.record import from_frozen, told
from search.study.writer import what_it_had
from search.trial import Begun, Overdue, Verdict

OVERDUE_S: Final = 4.0
"""How much later than its time-out a trial has to have ended; long before that its worker would end itself."""


def begin(parts: Parts, held: Held, token: str, *, worker: str, node: str, hung: str, lost_to: str) -> Begun:
    """Let a worker start a trial: anew, from its last checkpoint, or not at all.

    Args:
        parts: Of the trial's owner.
        held: The trial.
        token: As in `StudyOwner.begin`, like `worker`, `node`, `hung` and `lost_to`.
    """
    if held.token == token:
        return _begun(parts, held)
    if token in held.past or parts.hands.is_resting(held):
        return Begun("skip")
    if held.began is not None:
        endings.lose(parts, held, hung=hung, lost_to=lost_to)
    gone = parts.hands.get(held.spec.number) is None
    if gone or parts.hands.is_resting(held) or parts.course.why_stopping() is not None:
        return Begun("skip")
    if parts.allowance.is_exceeded():
        held.paused = True
        endings.leave(parts, held)  # at once, so that none of the others pauses in its stead
        return Begun("skip")
    resumed = bool(held.token) and (held.lost > 0 or held.paused or held.resumed)  # one drawn ahead never began
    attempt = {
        "token": token,
        "worker": worker,
        "node": node,
        "at_s": parts.course.seconds,
        "resumed": resumed,
        "lost": held.lost,  # with the new attempt: a crash in between leaves the loss to be found again
        "held_s": held.before_s,
        **what_it_had(held, parts.clock()),
    }
    held.past.add(held.token)
    parts.writer.attribute(held, attributes.ATTEMPT, attempt)  # which ends a pause: its lease names another token
    held.token, held.worker, held.node = token, worker, node
    held.began, held.resumed, held.paused = parts.clock(), resumed, False
    if held.verdict is Verdict.STOP:  # it was to pause, and goes on
        held.verdict = Verdict.CONTINUE
    parts.hands.keep(held)  # its worker was only late
    return _begun(parts, held)


def overdue(parts: Parts) -> tuple[Overdue, ...]:
    """Return the trials that their workers should have ended by now."""
    limit_s = parts.plan.trial_timeout_s
    if limit_s is None:
        return ()
    due = parts.clock() - limit_s - OVERDUE_S
    late = [held for held in parts.hands.running if held.began is not None and held.began < due]
    return tuple(Overdue(held.spec.number, held.token, held.worker, held.node) for held in late)


def _begun(parts: Parts, held: Held) -> Begun:
    pieces = held.need.micro_batches if held.need is not None else 1
    if not held.resumed:
        return Begun("start", parts.plan.trial_timeout_s, micro_batches=pieces)
    record = from_frozen(parts.storage.optuna.get_trial(held.trial_id))
    return Begun("resume", parts.plan.trial_timeout_s, told(record, parts.plan.metrics[0]), pieces)
