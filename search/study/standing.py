"""Where a study stands while its sweep runs, and when that ends."""

from __future__ import annotations

from dataclasses import replace

from search.status import Status
from search.study import attributes, endings, remainder
from search.study.parts import Parts


def status(parts: Parts) -> Status:
    """Return where the sweep stands."""
    baseline = parts.stored().get(attributes.BASELINE, {})
    found = parts.course.status(waiting=len(parts.suggester.enqueued), baseline=baseline)
    return replace(
        found,
        queued=parts.allowance.queued if found.state == "running" else "",
        priority=parts.plan.priority,
        nodes=len(parts.nodes.known.alive),
        lost_nodes=parts.nodes.left,
    )


def finish(parts: Parts) -> Status:
    """End this run of the sweep: nothing stays held by nobody, and everything is on disk."""
    course = parts.course
    for held in parts.hands.running:
        endings.pause(parts, held)
    if course.why_stopping() is None:
        course.stop("stopped", "ended before its budget was used up")
    assert course.stopping is not None
    state, why = course.stopping
    if state == "finished" and not parts.ledger.counts["complete"]:
        state = "failed"
    if state == "finished" and course.at_its_end:  # else they may go on in another run
        remainder.end_resting(parts)
    parts.store(attributes.CLOCK, course.seconds)
    parts.store(attributes.STOPPED, {"state": state, "why": why})
    parts.writer.sync()
    course.stopping = (state, why)
    return status(parts)
