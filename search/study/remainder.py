"""What an ask gets when nothing new is to come, and what becomes of points that cannot be run.

Left of a study are then the trials that rest at rungs, and enqueued ones that nobody can run.
"""

from __future__ import annotations

from search.errors import FailReason
from search.study import attributes, endings
from search.study.held import Held
from search.study.mixed import MovedPoint
from search.study.parts import Parts
from search.trial import Asked, Ending, Outcome, TrialSpec


def ask(parts: Parts, request: str) -> Asked:
    """Answer an ask when nothing new is to come: what runs may still run to its end, then those that rest end.

    While no trial of the study is COMPLETE the best of those at the highest rung goes on: a small sweep would
    otherwise end with nothing that was trained to its end.
    """
    if not parts.hands.busy:
        none_yet = not parts.ledger.counts["complete"]
        promoted = parts.resting.wake(request, at_least_one=True) if none_yet else None
        if promoted is not None:
            return Asked(promoted.spec)
        end_resting(parts)
    return Asked(done=parts.course.why_stopping())


def ask_after_the_last_point(parts: Parts, why: str, request: str) -> Asked:
    """Answer an ask when the sampler has nothing left, and say why it has not."""
    asked = ask(parts, request)
    if parts.hands.busy:  # with what was given out now, if anything was
        return asked
    parts.course.stop("finished", why)
    return Asked(done=parts.course.why_stopping())


def end_resting(parts: Parts) -> None:
    """End the trials that rest at a rung, which will not be promoted any more."""
    for held, pruning, outcome in [*parts.resting.left()]:
        with parts.writer.batch():
            parts.writer.attribute(held, attributes.PRUNING, pruning.to_json())
            endings.end(parts, held, outcome)


def move_waiting(parts: Parts, fault: MovedPoint) -> None:
    """Enqueue an enqueued trial once more, as another one that Optuna lets have what it asks for."""
    enqueued = parts.suggester.enqueued
    enqueued.move_first()
    parts.ledger.take_back([enqueued.first.number])
    refuse_waiting(parts, f"its point goes on as another trial, since {fault.message}")


def refuse_waiting(parts: Parts, text: str) -> None:
    """End an enqueued trial that cannot be run, and go on with the next."""
    waiting = parts.suggester.enqueued.first
    held = Held(TrialSpec(waiting.number, {}), waiting._trial_id, "")
    parts.hands.hold(held)
    parts.suggester.enqueued.give_up_first()
    endings.end(parts, held, Outcome(Ending.FAIL, reason=FailReason.INVALID, text=text))
