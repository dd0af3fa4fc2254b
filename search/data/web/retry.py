"""`Patience`: tries again what may succeed later, at growing intervals, or when the other side says."""

from __future__ import annotations

import email.utils
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx
import tenacity

from search.data.fetch import Say
from search.errors import InputError, SurroundingsError, SweepError

_T = TypeVar("_T")
_BACKOFF: Final = tenacity.wait_exponential(multiplier=0.5, max=20) + tenacity.wait_random(0, 1)
_PROGRESS: Final = 1 << 20  # bytes after which a download that is cut again and again has not failed before


class Again(Exception):
    """What went wrong, and may not the next time.

    Args:
        said: What a person should know.
        wait_s: How long to wait; None to wait a little longer each time.
        retry_after: The header of that name: seconds, or a date.
    """

    def __init__(self, said: str, *, wait_s: float | None = None, retry_after: str | None = None) -> None:
        super().__init__(said)
        self.said = said
        self.asked_s = _seconds(retry_after) if retry_after else wait_s


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to try.

    Attributes:
        say: Hears what is waited for.
        attempts: How often to try, the first time included.
        cap_s: The longest wait that the other side can ask for.
        sleep: Waits a number of seconds.
    """

    say: Say
    attempts: int
    cap_s: float
    sleep: Callable[[float], None]

    def ask(
        self, name: str, once: Callable[[], _T], *, total_s: float | None, have: Callable[[], int] = lambda: 0
    ) -> _T:
        """Return what `once` returns, trying again where that may help.

        Args:
            name: What is asked for, for people.
            once: Raises `Again` or an error of httpx or the network.
            total_s: After this time nothing is tried again; None for no limit.
            have: Returns the bytes of a download; with a good deal more, its failures are counted anew.

        Raises:
            SurroundingsError: It failed as often as it may, or in a way that stays.
            InputError: It cannot be asked for.
        """
        failures, mark = 0, have()

        def told() -> _T:
            try:
                return once()
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise _translate(error, name) from error

        def over(state: tenacity.RetryCallState) -> bool:
            nonlocal failures, mark
            if have() - mark >= _PROGRESS:
                failures, mark = 0, have()
            failures += 1
            late = total_s is not None and (state.seconds_since_start or 0) + state.upcoming_sleep > total_s
            return failures >= self.attempts or late

        def tell(state: tenacity.RetryCallState) -> None:
            self.say(f"{_again(state).said}; trying again in {_duration(state.upcoming_sleep)}{self._capped(state)}")

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Again),
            stop=over,
            wait=self._wait,
            before_sleep=tell,
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return retrying(told)
        except Again as again:
            times = f" ({failures} attempts)" if failures > 1 else ""
            raise SurroundingsError(f"{again.said}{times}", field="data", hint="try again later") from again

    def _wait(self, state: tenacity.RetryCallState) -> float:
        asked = _again(state).asked_s
        return _BACKOFF(state) if asked is None else min(asked, self.cap_s)

    def _capped(self, state: tenacity.RetryCallState) -> str:
        asked = _again(state).asked_s
        return f", not in {_duration(asked)} as it asks" if asked is not None and asked > self.cap_s else ""


def _again(state: tenacity.RetryCallState) -> Again:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, Again)
    return error


def _seconds(header: str) -> float | None:
    """Return how long a Retry-After asks to wait, or None where it makes no sense."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _translate(error: Exception, name: str) -> Again | SweepError:
    """Return what an error of the network means; its own text may hold a header, and is not shown."""
    causes = list(_causes(error))
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return InputError(f"{name} cannot be asked for: the address or a header is not valid", field="data")
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SurroundingsError(
                f"{name} is not to be trusted: {cause.verify_message[:80]}", field="data", hint="is the address right?"
            )
        if isinstance(cause, socket.gaierror):
            if cause.errno == socket.EAI_NONAME:
                return SurroundingsError(f"{name}: there is no such host", field="data", hint="is the address right?")
            return Again(f"{name}: its host cannot be looked up; is the network up?")
    if isinstance(error, httpx.TimeoutException):
        return Again(f"{name} does not answer")
    if isinstance(error, httpx.RemoteProtocolError):
        return Again(f"{name} sent an answer that is not HTTP, or not whole")
    why = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), "")
    return Again(f"{name} cannot be reached" + (f": {why[:60].lower()}" if why else ": the connection was cut"))


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
