"""A study is opened: its parts take up what the storage holds, a run begins, and it is prepared once in its life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.study import attributes
from search.study.parts import Parts
from search.study.record import begun_at_s, from_frozen, latest, several
from search.study.runs import Run, began_at_s, is_last, seconds_of, unchanged_since_s
from search.study.takeover import fill
from search.study.warm import WarmStart


def take_up(parts: Parts, run: Run | None) -> None:
    """Take up what the storage holds; in a new run nothing of it is in anybody's hands.

    Args:
        parts: Of an owner, as they were made.
        run: As in `StudyOwner`.
    """
    attrs, trials = parts.stored(), parts.study.get_trials(deepcopy=False)
    again = run is None or is_last(run, attrs)
    parts.ledger.seconds = seconds_of(attrs, map(from_frozen, trials))
    began_at = began_at_s(attrs) if again else parts.ledger.seconds
    fill(
        parts.ledger,
        parts.hands,
        trials,
        again=again,
        began_at_s=began_at,
        now=parts.clock(),
        by_hand=parts.plan.by_hand,
    )
    for record in map(from_frozen, trials):
        parts.packed.learn(record)
    for held in parts.hands:
        record, metrics = from_frozen(trials[held.spec.number]), parts.plan.metrics
        held.values, held.curve = several(record, metrics), latest(record, metrics[0])
    since_s = unchanged_since_s(attrs, run)
    for trial in trials:  # enqueued and not taken: WAITING, or RUNNING if a crash cut the taking short
        open_ = not trial.state.is_finished() and attributes.REQUEST not in trial.system_attrs
        parts.suggester.know(trial, waiting=open_, counts=begun_at_s(trial) > since_s)
    _learn_from(parts, attrs.get(attributes.WARM_START, []))
    parts.pruner.replay([trial for trial in trials if attributes.SAME_AS not in trial.system_attrs])
    if parts.by_hand is not None and again:
        parts.by_hand.reopen(attrs)
    parts.resting.take_over()
    parts.kept.take_stock()
    if run is not None and not again:
        _begin_run(parts, run)
    elif run is not None and (stopped := attrs.get(attributes.STOPPED)):  # this run has been finished already
        parts.course.stopping = (stopped["state"], stopped["why"])
    parts.course.stop_if_hopeless()


def prepare(parts: Parts, baseline: Mapping[str, float], warm_start: Sequence[Mapping[str, Any]]) -> None:
    """Keep what a study begins with, and queue the points to try first, unless that has been done.

    Args:
        parts: Of its owner.
        baseline: As in `StudyOwner.prepare`, like `warm_start`.
    """
    if attributes.BASELINE in parts.stored():
        return
    with parts.storage.batch():
        if warm_start:
            parts.store(attributes.WARM_START, [*warm_start])
            _learn_from(parts, warm_start)
        for index, point in enumerate(parts.plan.enqueued):
            parts.suggester.enqueued.add(point, wish=f"launch:{index}")
        parts.store(attributes.BASELINE, dict(baseline))


def _learn_from(parts: Parts, sources: Sequence[Mapping[str, Any]]) -> None:
    if sources:
        parts.suggester.drafts.warm = WarmStart.of(sources, parts.study, seed=parts.plan.seed)


def _begin_run(parts: Parts, run: Run) -> None:
    runs = parts.stored().get(attributes.RUNS, [])
    with parts.writer.batch():
        for held in parts.hands:
            parts.writer.lease(held)
        # in this order: what was edited is in the changes, and holds by itself no more once this run begins
        parts.store(attributes.CHANGES, dict(run.changes))
        parts.store(attributes.RUNS, [*runs, run.record(parts.ledger.seconds)])
        parts.store(attributes.STOPPED, None)
        if parts.by_hand is not None:
            parts.store(attributes.CLOSED, "")
        if parts.stored().get(attributes.QUEUED):  # when the run before was killed
            parts.store(attributes.QUEUED, "")
