"""`--notify URL`: JSON posted when a sweep ends, fails or finds a new best, beside the sweep: the `Notifier`."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from search.data import secrets
from search.errors import InputError

TRIES: Final = 3
TIMEOUT_S: Final = 5.0
BEST_EVERY_S: Final = 10.0
"""Shortest time between two words of a new best; the last one wins."""

FLUSH_S: Final = 10.0
"""How long the last word may take once the sweep has ended."""

BACK_OFF_S: Final = 1.0

Say = Callable[[str], object]


def option(name: str, value: object) -> str | None:
    """Return the URL as it stands in a plan; None for `none`.

    Raises:
        InputError: It is no URL of http or https, or holds a secret itself.
    """
    text = str(value).strip()
    if text == "none":
        return None
    try:
        parts = urlsplit(secrets.expand(text, quoted=True, unset="1"))
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or any(not one.isprintable() for one in text):
        said = f"{name} takes a URL of http or https, got {secrets.shown(text)!r}"
        raise InputError(said, field=name, hint="try https://example.org/hook")
    if secrets.has_secret(text):
        raise InputError(
            f"{name} {host(text)} came with a secret, which a plan would keep and show",
            field=name,
            hint="put it into the environment, and write ${NAME} in its place",
        )
    return text


def check(url: str | None) -> None:
    """See that this machine has the secrets of a URL, as a plan has it.

    Raises:
        InputError: It names a variable that is not set.
    """
    if url is not None:
        secrets.expand(url)


class Notifier(threading.Thread):
    """Posts what is new; never blocks, and never raises.

    Args:
        url: As the plan has it, with `${NAME}` for secrets.
        say: Hears, once, that something did not come through.
        every_s: Shortest time between two words of a new best.
        back_off_s: Time before the second try; it doubles with each one after.
    """

    def __init__(self, url: str, say: Say, *, every_s: float = BEST_EVERY_S, back_off_s: float = BACK_OFF_S) -> None:
        super().__init__(name="sweep-notify", daemon=True)
        self._url, self._say, self._every_s, self._back_off_s = url, say, every_s, back_off_s
        self._news = threading.Condition()
        self._best: Mapping[str, Any] | None = None
        self._end: Mapping[str, Any] | None = None
        self._told = False

    def best(self, told: Mapping[str, Any]) -> None:
        """Take word of a new best: it is sent, or the next one in its place."""
        self._take(best=told)

    def end(self, told: Mapping[str, Any]) -> None:
        """Take the last word, beside which a best that waits is old news."""
        self._take(end=told)

    def wait(self, until: float) -> None:
        """Wait until the last word is out, at most until this monotonic second."""
        self.join(max(0.0, until - time.monotonic()))
        if self.is_alive():
            self._complain("no answer in time")

    def run(self) -> None:
        logger = logging.getLogger("httpx")
        logger.addFilter(self._is_of_another_thread)  # it would log the URL, secrets and all
        try:
            self._work()
        finally:
            logger.removeFilter(self._is_of_another_thread)

    def _work(self) -> None:
        sent = -self._every_s
        while True:
            with self._news:
                while self._end is None and self._best is None:
                    self._news.wait()
                left = sent + self._every_s - time.monotonic()
                while self._end is None and left > 0:
                    self._news.wait(left)
                    left = sent + self._every_s - time.monotonic()
                last, told = self._end, self._end or self._best
                self._best = None
            if told is not None:
                self._send(told)
            if last is not None:
                return
            sent = time.monotonic()

    def _take(self, *, best: Mapping[str, Any] | None = None, end: Mapping[str, Any] | None = None) -> None:
        with self._news:
            self._best, self._end = best or self._best, end or self._end
            self._news.notify()

    def _send(self, told: Mapping[str, Any]) -> None:
        """Post it, a few times if need be."""
        import httpx

        why = ""
        for one in range(TRIES):
            if one and self._is_old_news(told, self._back_off_s * 2 ** (one - 1)):
                return None
            try:
                url = secrets.expand(self._url, quoted=True)
                with httpx.stream(
                    "POST",
                    url,
                    content=json.dumps(told, default=str),
                    headers={"content-type": "application/json", "user-agent": "sweep"},
                    timeout=TIMEOUT_S,
                    follow_redirects=False,
                ) as answer:
                    code = answer.status_code  # what it says beside that is not read
            except InputError as error:
                return self._complain(error.message)
            except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                why = type(error).__name__
                continue
            if 200 <= code < 300:
                return None
            why = f"status {code}"
            if 300 <= code < 500 and code not in (408, 425, 429):
                break  # it would say so again
        return self._complain(why)

    def _is_old_news(self, told: Mapping[str, Any], within_s: float) -> bool:
        """Tell whether the last word comes within that time, in the place of a best; wait for it."""
        with self._news:
            return self._news.wait_for(lambda: self._end is not None and told is not self._end, within_s)

    def _is_of_another_thread(self, record: logging.LogRecord) -> bool:
        return record.thread != self.ident

    def _complain(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._say(f"notify: {host(self._url)} did not take what was posted: {why}; the sweep goes on without it")


def host(url: str) -> str:
    """Return what may be shown of a URL whose path may be a secret, too: a chat's hooks have theirs there."""
    shown = secrets.shown(url)
    return "/".join(shown.split("/")[:3])
