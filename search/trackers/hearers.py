"""Who else hears of a sweep while it runs, its trackers and its notifier, and is never waited for: the `Hearers`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final

from search.errors import RefusedError, SweepError
from search.notify import FLUSH_S as NOTIFY_FLUSH_S
from search.notify import Notifier
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.records.events import finite
from search.status import Status, SweepState
from search.trackers.chosen import Chosen
from search.trackers.following import FLUSH_S, Say, Tracking

_QUIET_S: Final = 3.0
"""How long the end waits without a word."""


def to_stderr(said: str) -> None:
    """Say it where a person or a log sees it; a reader that has gone away does not matter."""
    try:
        sys.stderr.write(f"{said}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


class Hearers:
    """All who hear of one run of a sweep, from its start to the end of the block.

    Args:
        plan: Of the study: `track` and `notify`.
        folder: Of the study.
        say: Hears of each, once, that it is off; and that one is waited for.
    """

    def __init__(self, plan: SweepPlan, folder: StudyFolder, say: Say = to_stderr) -> None:
        self._folder, self._say = folder, say
        self._trackings = [Tracking(Chosen.of(text), folder, say) for text in plan.track]
        self._notifier = Notifier(plan.notify, say) if plan.notify else None
        self._started = False
        self._status: Status | None = None
        self._known: object = None
        self._ended = False

    def __enter__(self) -> Hearers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self._ended:
            self._finish(self._status, error)

    def heard(self, view: Callable[[Status], None]) -> Callable[[Status], None]:
        """Return a view of a sweep that shows it to these first."""
        if not self._trackings and self._notifier is None:
            return view

        def seen(status: Status) -> None:
            self._hear(status)
            view(status)

        return seen

    def end(self, status: Status) -> None:
        """Tell all how the sweep ended, and wait a little until they have it."""
        self._hear(status)
        self._finish(status, None)

    def _hear(self, status: Status) -> None:
        status = self._named(status)
        if not self._started:
            if not self._folder.exists():
                return
            self._started = True
            self._known = _bests(status) if status.trials.get("complete") else ()  # those of an earlier run are no news
            for one in (*self._trackings, *([self._notifier] if self._notifier is not None else [])):
                one.start()
        for tracking in self._trackings:
            tracking.look_after()
        self._status = status
        if self._notifier is not None and _bests(status) != self._known:
            self._known = _bests(status)
            if self._known:
                self._notifier.best(_told("best", status))

    def _finish(self, status: Status | None, error: BaseException | None) -> None:
        self._ended = True
        now = time.monotonic()
        waits = f"waiting at most {max(FLUSH_S, NOTIFY_FLUSH_S):.0f} s for what trackers and hooks have not taken yet"
        late = threading.Timer(_QUIET_S, self._say, [waits])
        late.daemon = True
        if status is not None and error is not None:
            status = replace(status, state=_ending(error))
        if not self._started:  # it ended before it began: nothing is there to be followed
            if self._notifier is None or error is None or isinstance(error, RefusedError):  # another one runs it
                return
            self._notifier.start()
        if self._notifier is not None:
            self._notifier.end(self._last_word(status, error))
        if status is not None:
            for tracking in self._trackings:
                tracking.finish(status)
        late.start()
        try:
            for tracking in self._trackings if status is not None else ():
                tracking.wait(now + FLUSH_S)
            if self._notifier is not None:
                self._notifier.wait(now + NOTIFY_FLUSH_S)
        finally:
            late.cancel()

    def _last_word(self, status: Status | None, error: BaseException | None) -> dict[str, Any]:
        state = status.state if status is not None else _ending(error)
        told = _told("failed" if state == "failed" else "ended", status, error if state == "failed" else None)
        return {"study": self._folder.name, "state": state, **told}

    def _named(self, status: Status) -> Status:
        return replace(status, study=self._folder.name, results=str(self._folder.root))


def _bests(status: Status) -> tuple[int, ...]:
    """Return the numbers of the best trials."""
    return tuple(score.number for score in status.front or ((status.best,) if status.best is not None else ()))


def _ending(error: BaseException | None) -> SweepState:
    """Return how a sweep ended that an error left: what is no `Exception` asked it to end, such as Ctrl-C."""
    return "failed" if isinstance(error, Exception) else "interrupted"


def _told(event: str, status: Status | None, error: BaseException | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"event": event, **({} if status is None else status.to_json())}
    if isinstance(error, SweepError):
        told["error"] = {"code": int(error.code), "field": error.field, "message": error.message, "hint": error.hint}
    elif error is not None:
        told["error"] = {"message": type(error).__name__}
    answer: dict[str, Any] = finite(told)
    return answer
