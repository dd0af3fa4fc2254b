"""How a trial leaves its worker's hands: it ends and is counted, pauses, goes to the next, or its worker is lost."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from search.study import attributes, losing
from search.study.held import Held
from search.study.packing import Need
from search.study.parts import Parts
from search.study.record import from_frozen
from search.trial import Ending, Outcome, Verdict


def end(parts: Parts, held: Held, outcome: Outcome) -> None:
    """Store how a trial ended, and count it."""
    if parts.by_hand is not None:
        parts.by_hand.ended(held, outcome)
    ended = parts.writer.end(held, outcome, at_s=parts.course.seconds)
    parts.hands.drop(held.spec.number)
    parts.pruner.settle(ended)
    settle(parts, ended)


def settle(parts: Parts, ended: FrozenTrial) -> None:
    """Count a trial that has ended; one that took another's result is nothing new to the pruner."""
    record = from_frozen(ended)
    parts.ledger.count(record)
    parts.packed.learn(record)
    parts.suggester.end(record)
    parts.kept.ended(ended.number)
    parts.writer.sync_at_an_end()
    if parts.improvement is not None and parts.course.stopping is None:
        _stop(parts, parts.improvement.after(record, parts.study, shown=parts.suggester.drafts.mapping))


def _stop(parts: Parts, why: str | None) -> None:
    """End the sweep where going on is not worth it."""
    if why is not None:
        parts.course.stop("finished", why, at_its_end=True)


def pause(parts: Parts, held: Held, outcome: Outcome | None = None) -> None:
    """Take a trial out of its worker's hands: it rests if it was to, else it is offered to the next who asks.

    Args:
        parts: Of its owner.
        held: The trial.
        outcome: What its worker told; None if it told nothing.
    """
    held.let_go(parts.clock())
    held.paused = True
    with parts.writer.batch():
        if outcome is not None:
            parts.writer.took(held, outcome, at_s=parts.course.seconds)
        if held.verdict is Verdict.PAUSE:
            parts.resting.rest(held)
        else:
            parts.hands.leave(held)
        parts.writer.lease(held)
    parts.writer.sync_at_an_end()
    if parts.hands.is_resting(held) and parts.improvement is not None and parts.course.stopping is None:
        _stop(parts, parts.improvement.rested(parts.study, shown=parts.suggester.drafts.mapping))


def leave(parts: Parts, held: Held) -> None:
    """Take a trial from whoever asked for it; the next ask gets it."""
    parts.hands.leave(held)
    parts.writer.lease(held)


def try_again(parts: Parts, held: Held, outcome: Outcome, need: Need) -> None:
    """Have a trial that ran out of a GPU's memory go on with more of it, in another worker."""
    with parts.writer.batch():
        parts.writer.attribute(held, attributes.GPU, parts.packed.note(held, outcome, need))
        pause(parts, held, outcome)


def lose(parts: Parts, held: Held, *, hung: str, lost_to: str) -> None:
    """Note that the worker of a trial was lost; give the trial up if that was once too often, or its own doing.

    Args:
        parts: Of its owner.
        held: The trial.
        hung: As in `StudyOwner.begin`, like `lost_to`.
    """
    assert held.began is not None
    lasted_s = parts.clock() - held.began
    held.let_go(parts.clock())
    held.resumed = True
    held.lost += lost_to != "node"  # the trial has no part in that
    given_up = losing.verdict_on(parts.plan, lost=held.lost, lasted_s=lasted_s, hung=hung, lost_to=lost_to)
    if given_up is not None:
        reason, text = given_up
        end(parts, held, Outcome(Ending.FAIL, held.step, reason=reason, text=text))
    elif held.verdict is Verdict.PAUSE:  # it was on its way to rest: nobody has to take it on now
        attempt = parts.storage.optuna.get_trial(held.trial_id).system_attrs[attributes.ATTEMPT]
        with parts.writer.batch():
            parts.writer.attribute(held, attributes.ATTEMPT, {**attempt, "lost": held.lost})
            pause(parts, held)
    parts.course.stop_if_hopeless()
