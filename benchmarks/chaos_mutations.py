"""Ways to break the code, each of which the chaos harness must notice: module and what to change in it, by name.

Only the standard library is imported here, as in `chaos_hooks.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any, Final


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put what `make` makes of an attribute in its place; one that is no longer there is said at once."""
    setattr(owner, name, make(getattr(owner, name)))


def _buffer_reports(journal: Any) -> None:
    """Hold reports back until something else is written: they are answered before they are stored."""
    kept = bytearray()

    def late(write: Any) -> Any:
        def wait(self: Any, data: bytes) -> None:
            kept.extend(data)
            if any(json.loads(line)["op_code"] not in (7, 9) for line in data.splitlines()):
                everything = bytes(kept)
                kept.clear()
                write(self, everything)

        return wait

    _replace(journal.JournalWriter, "_write", late)


def _swallow_write_errors(journal: Any) -> None:
    """Go on as if what could not be written had been."""

    def silent(write: Any) -> Any:
        def try_it(self: Any, data: bytes) -> None:
            with contextlib.suppress(journal.SurroundingsError):
                write(self, data)

        return try_it

    _replace(journal.JournalWriter, "_write", silent)


def _ignore_requests(held: Any) -> None:
    """Answer a repeated ask with a new trial."""
    _replace(held.Hands, "number_of", lambda _: lambda self, request: None)


def _adopt_at_restart(owner: Any) -> None:
    """Take a restart of the server for a new run: the trials of living workers are taken from them."""
    _replace(owner, "is_last", lambda _: lambda run, attrs: False)


def _keep_leases(takeover: Any) -> None:
    """Leave the trials of a run that died in its hands."""
    _replace(takeover, "_hold", lambda hold: lambda *args, **rest: hold(*args, **{**rest, "mine": True}))


def _ignore_lost_workers(owner: Any) -> None:
    """Let nobody go on with the trial of a worker that was lost."""

    def deaf(begin: Any) -> Any:
        def skip(self: Any, number: int, token: str, **rest: Any) -> Any:
            held = self._hands.get(number)
            if held is not None and held.began is not None and held.token != token:
                return owner.Begun("skip")
            return begin(self, number, token, **rest)

        return skip

    _replace(owner.StudyOwner, "begin", deaf)


def _forget_verdicts(takeover: Any) -> None:
    """Forget at a restart that a trial was pruned."""

    def forgetful(take_up: Any) -> Any:
        def forget(*args: Any, **rest: Any) -> Any:
            held = take_up(*args, **rest)
            held.verdict = type(held.verdict)("continue")
            return held

        return forget

    _replace(takeover, "take_up", forgetful)


def _ignore_room(course: Any) -> None:
    """Give trials out as long as the budget is not used up, whatever is running."""
    _replace(course.Course, "has_room", lambda _: lambda self: True)


def _forget_ended(ledger: Any) -> None:
    """Count only what ended since the study was opened."""

    def forgetful(count: Any) -> Any:
        return lambda self, record, *, in_this_run=True: count(self, record) if in_this_run else None

    _replace(ledger.Ledger, "count", forgetful)


def _drop_checkpoints(trialfiles: Any) -> None:
    """Keep no checkpoint."""
    _replace(trialfiles.TrialFiles, "save", lambda _: lambda self, *args: None)


def _skew_resume(engine: Any) -> None:
    """Go on from a checkpoint one unit late."""

    def skewed(restored: Any) -> Any:
        def skew(self: Any, *args: Any) -> Any:
            learner = restored(self, *args)
            if self._units:
                learner.fit_epoch()
            return learner

        return skew

    _replace(engine.TrialRun, "_restored", skewed)


def _no_reaper(reaper: Any) -> None:
    """Leave what a dead driver started alone."""

    def idle(start: Any) -> Any:
        def begin(self: Any) -> None:
            start(self)
            os.environ.pop(reaper.MARK)

        return begin

    _replace(reaper.Reaper, "__init__", idle)
    _replace(reaper.Reaper, "know", lambda _: lambda self, processes: None)


MUTATIONS: Final[dict[str, tuple[str, Callable[[Any], None]]]] = {
    "buffer-reports": ("search.study.journal", _buffer_reports),
    "swallow-write-errors": ("search.study.journal", _swallow_write_errors),
    "ignore-requests": ("search.study.held", _ignore_requests),
    "adopt-at-restart": ("search.study.reopening", _adopt_at_restart),
    "keep-leases": ("search.study.takeover", _keep_leases),
    "ignore-lost-workers": ("search.study.owner", _ignore_lost_workers),
    "forget-verdicts": ("search.study.takeover", _forget_verdicts),
    "ignore-room": ("search.study.course", _ignore_room),
    "forget-ended": ("search.study.ledger", _forget_ended),
    "drop-checkpoints": ("search.trialfiles", _drop_checkpoints),
    "skew-resume": ("search.engine", _skew_resume),
    "no-reaper": ("search.tuner.reaper", _no_reaper),
}
