"""Who is next for a worker that asks: a trial that was offered, one that was promoted or drawn ahead, or a new one."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from optuna.trial import FrozenTrial

from search.study import attributes, endings, remainder
from search.study.aheads import is_ahead
from search.study.draft import UnfitPoint
from search.study.drawing import Draw
from search.study.held import Held
from search.study.mixed import MovedPoint
from search.study.parts import Parts
from search.trial import Asked, TrialSpec


def ask(parts: Parts, request: str) -> Asked:
    """Answer an ask that has not been answered before.

    Raises:
        InputError: The space is wrong.
    """
    if parts.course.why_stopping() is not None:
        return Asked(done=parts.course.why_stopping())
    if is_ahead(request):
        drawn = _new(parts, request) if _may_draw_ahead(parts) else None
        return Asked(drawn.spec if drawn is not None else None)
    if parts.allowance.is_used_up():
        return Asked()
    asked = _given(parts, request)
    parts.allowance.note(asked, waiting=len(parts.suggester.enqueued))
    return asked


def foresee(parts: Parts, request: str) -> Draw | None:
    """Return what an ask would have to draw for a long time, None where it answers at once."""
    hands, course, allowance = parts.hands, parts.course, parts.allowance
    if parts.by_hand is not None or hands.number_of(request) is not None:
        return None
    if is_ahead(request):
        return parts.suggester.foresee() if _may_draw_ahead(parts) else None
    if allowance.slots == 1:  # nobody else waits
        return None
    if course.why_stopping() is not None or allowance.is_used_up():
        return None
    if hands.waiting or not course.has_room(besides=len(hands)):
        return None
    if not parts.packed.admits(request, hands) or parts.pruner.promotable() is not None:
        return None
    return parts.suggester.foresee()


def _given(parts: Parts, request: str) -> Asked:
    """Answer an ask that the sweep may hold one more trial for."""
    if not parts.course.has_room(besides=parts.hands.busy):  # the total may be lower than what is paused
        return Asked()
    if not parts.packed.admits(request, parts.hands):
        return Asked()
    asked = _next(parts, request)
    given = parts.hands.get(asked.spec.number) if asked.spec is not None else None
    if given is None:
        return asked
    if not parts.packed.give(given, request):
        endings.leave(parts, given)
        return Asked()
    if given.gpus:
        parts.writer.lease(given)
    return replace(asked, gpus=given.gpus or None)


def _next(parts: Parts, request: str) -> Asked:
    """Return whoever is next for an ask that there is room for."""
    hands, resting = parts.hands, parts.resting
    taken = hands.take(request)
    if taken is not None:
        parts.writer.lease(taken)
        return Asked(taken.spec)
    promoted = _promoted(parts, request)
    if promoted is not None:
        return Asked(promoted.spec)
    is_point_next = parts.suggester.enqueued.is_next and not hands.ahead.points
    new = _new(parts, request) if is_point_next else None
    ahead = hands.take_ahead(request) if new is None else None
    if ahead is not None:
        parts.writer.lease(ahead)
        return Asked(ahead.spec)
    new = new or _new(parts, request)
    if new is not None:
        return Asked(new.spec)
    if not parts.course.has_room(besides=len(hands)):
        return remainder.ask(parts, request)
    if (why := _last_point(parts)) is not None:
        return remainder.ask_after_the_last_point(parts, why, request)
    # the next one's parameters are being tried: the result is waited for, and goes on if it rests
    promoted = None if hands.busy else resting.wake(request, at_least_one=True)
    return Asked(promoted.spec) if promoted is not None else Asked()


def _promoted(parts: Parts, request: str) -> Held | None:
    """Return the resting trial that goes on; what is left of the budget is for one that comes to its end."""
    if not parts.pruner.promotes:
        return None
    may_begin = _may_begin(parts)
    if _is_closing(parts):
        none_yet = not parts.ledger.counts["complete"]
        if not parts.pruner.is_finishing:
            promoted = parts.resting.wake(request, at_least_one=none_yet, none_new=True)
            if promoted is not None:
                return promoted
        elif none_yet and not may_begin:  # nobody else takes anything from it
            return None
    return parts.resting.wake(request, none_new=not may_begin)


def _is_closing(parts: Parts) -> bool:
    """Tell whether the budget is just enough to train a trial that rests to its end."""
    last, course = parts.plan.max_epochs, parts.course
    return bool(last) and bool(parts.hands.resting) and course.is_closing(last, parts.allowance.most)


def _may_draw_ahead(parts: Parts) -> bool:
    """Tell whether one more trial may wait for a slot; so many may as run at once."""
    if parts.course.why_stopping() is not None or parts.hands.waiting >= parts.allowance.most:
        return False
    return parts.course.has_room(besides=len(parts.hands))


def _new(parts: Parts, request: str) -> Held | None:
    """Return a trial that nobody has had before; None where there is none, or none yet."""
    while _may_begin(parts):
        try:
            # one write, so that nobody ever sees a trial that is drawn ahead as one that runs
            with parts.writer.batch() if is_ahead(request) else nullcontext():
                frozen = parts.suggester.next(request, at_s=parts.course.seconds)
                if frozen is None:
                    return None
                if not frozen.state.is_finished():
                    return _held(parts, frozen, request)
        except UnfitPoint as fault:
            remainder.refuse_waiting(parts, f"it was enqueued, and {fault.message}")
            continue
        except MovedPoint as fault:
            remainder.move_waiting(parts, fault)
            continue
        endings.settle(parts, frozen)
    return None


def _may_begin(parts: Parts) -> bool:
    """Tell whether there is room for a new trial, and a point for it, and it would take nothing from one that rests."""
    if not parts.course.has_room(besides=len(parts.hands)) or _last_point(parts) is not None:
        return False
    last = parts.plan.max_epochs
    return not (parts.pruner.promotes and last and parts.hands.resting and parts.course.is_short(last))


def _held(parts: Parts, frozen: FrozenTrial, request: str) -> Held:
    """Hold a new trial for who asked for it."""
    spec = TrialSpec(frozen.number, dict(frozen.params))
    held = Held(spec, frozen._trial_id, request, paused=is_ahead(request))
    parts.hands.hold(held, point=attributes.WISH in frozen.system_attrs)
    if held.paused:
        parts.writer.lease(held)
    return held


def _last_point(parts: Parts) -> str | None:
    """Say why no new trials are begun though the budget has room; running ones go on to their end."""
    return (parts.by_hand.closed if parts.by_hand is not None else None) or parts.suggester.exhausted
