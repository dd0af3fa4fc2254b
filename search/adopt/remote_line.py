"""The line that a running Optuna objective has to its study: each of its calls is one answer of the owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from search.errors import FailReason, InputError, SurroundingsError
from search.session import SessionLost
from search.trial import Answer, Ending, Verdict


class ByHandSession(Protocol):
    """The part of a trial's session that an objective of Optuna's needs."""

    def by_hand(self, action: str, *arguments: Any) -> Answer: ...


class Left(BaseException):
    """Takes a trial out of its objective; no `except Exception` there stops it.

    Attributes:
        ending: How the trial ends.
        text: Why.
        reason: Of a FAIL.
    """

    def __init__(self, ending: Ending, text: str, reason: FailReason | None = None) -> None:
        super().__init__(text)
        self.ending, self.text, self.reason = ending, text, reason


class Line:
    """Calls of one trial; once the trial is over, whatever the objective still calls ends it again.

    Args:
        session: The trial's way out.
        seconds: How long the trial has been running.
        timeout_s: The longest that it may.

    Attributes:
        left: What took the trial out of its objective, if anything did.
        lost: Why the study is out of reach, if it is.
    """

    def __init__(self, session: ByHandSession, seconds: Callable[[], float], timeout_s: float | None) -> None:
        self._session, self._seconds, self._timeout_s = session, seconds, timeout_s
        self.left: Left | None = None
        self.lost: Exception | None = None

    def call(self, action: str, *arguments: Any) -> Any:
        """Have the study answer.

        Raises:
            InputError: The trial is invalid; the objective may not go on.
            Left: The trial is over, or nobody hears of it any more.
        """
        if self.left is not None:
            raise self.left
        self.check_time()
        try:
            answer = self._session.by_hand(action, *arguments)
        except (SessionLost, SurroundingsError) as error:
            self.lost = error
            raise self._leave(Left(Ending.PAUSED, "the study is out of reach")) from error
        if answer.fault:
            raise InputError(answer.fault)
        if answer.verdict is Verdict.GONE:
            raise self._leave(Left(Ending.PAUSED, "it is no longer this worker's"))
        if answer.verdict is Verdict.STOP:
            raise self._leave(Left(Ending.PAUSED, "the sweep is stopping"))
        return answer.value

    def check_time(self) -> None:
        """End a trial that takes too long.

        Raises:
            Left: It does.
        """
        if self._timeout_s is not None and self._seconds() > self._timeout_s:
            raise self._leave(Left(Ending.FAIL, f"longer than {self._timeout_s:g} s", FailReason.TIMEOUT))

    def _leave(self, left: Left) -> Left:
        self.left = left
        return left
