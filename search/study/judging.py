"""What the study answers to a report: the trial goes on, or is pruned, or rests at a rung, or pauses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from search.errors import FailReason
from search.study import attributes, endings
from search.study.held import Held
from search.study.parts import Parts
from search.study.pruners import Pruning
from search.trial import Answer, Ending, Outcome, Progress, Verdict


def report(parts: Parts, held: Held, progress: Progress) -> Verdict:
    """Take one step of a running trial in, and say whether it goes on. Stored before it is answered."""
    if progress.step <= held.step:  # a repeated call, or a training that repeats steps
        return held.verdict if progress.step == held.step else Verdict.CONTINUE
    if held.verdict is Verdict.PAUSE:  # it was to rest, and went on: nobody asked for that
        return Verdict.PAUSE
    missing = [name for name in parts.required if name not in progress.metrics]
    if missing:
        _refuse(parts, held, missing[0], progress)
        return Verdict.STOP
    with parts.writer.batch():  # in a journal report and verdict are one write: a crash keeps both or neither
        parts.writer.report(held, progress)
        parts.ledger.epochs += progress.step - held.step
        values = tuple(progress.metrics[name] for name in parts.plan.metrics)
        held.reached(progress.step, values[0])
        held.values = values if len(values) > 1 else ()
        held.verdict = _judge(parts, held, progress)
    parts.writer.sync_if_due()
    return held.verdict


def by_hand(parts: Parts, held: Held, action: str, arguments: tuple[Any, ...]) -> Answer:
    """Answer a call of a running trial that suggests and reports by itself; what it stores is one write."""
    assert parts.by_hand is not None
    with parts.writer.batch():
        answer = parts.by_hand.answer(held, action, arguments)
    if action in ("report", "prune") and answer.verdict is Verdict.CONTINUE and _has_to_pause(parts, held):
        answer = replace(answer, verdict=Verdict.STOP)
    parts.writer.sync_if_due()
    return answer


def _has_to_pause(parts: Parts, held: Held) -> bool:
    """Tell whether a trial makes room for a sweep of higher priority; whoever reports first does."""
    if held.verdict is not Verdict.STOP and not parts.allowance.is_exceeded():
        return False
    held.verdict = Verdict.STOP
    return True


def _judge(parts: Parts, held: Held, progress: Progress) -> Verdict:
    if progress.step < parts.plan.max_epochs:
        trial = parts.storage.optuna.get_trial(held.trial_id)
        judged = parts.pruner.judge(parts.study, trial)
        if isinstance(judged, Pruning):
            parts.writer.attribute(held, attributes.PRUNING, judged.to_json())
            return Verdict.PRUNE
        if judged is not None and parts.resting.come_to(held, judged, can_rest=not progress.is_last) is Verdict.PAUSE:
            return Verdict.PAUSE
    stays = parts.course.why_stopping() is None and not parts.nodes.is_leaving(held.node)
    return Verdict.CONTINUE if stays and not _has_to_pause(parts, held) else Verdict.STOP


def _refuse(parts: Parts, held: Held, missing: str, progress: Progress) -> None:
    said = f"trial {held.spec.number} reported no {missing!r}; it reported {', '.join(sorted(progress.metrics))}"
    endings.end(parts, held, Outcome(Ending.FAIL, reason=FailReason.INVALID, text=said, units=progress.units))
    if parts.ledger.epochs == 0:  # nobody has ever reported it: no trial will
        parts.course.stop("failed", said)
