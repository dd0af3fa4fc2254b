"""What a Python program hears of its sweep while it runs: each trial once when it ends, and where the sweep stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol, TypeAlias, runtime_checkable

from search.errors import InputError, SurroundingsError
from search.paths import StudyFolder
from search.records.following import Following
from search.status import Status
from search.study import wishes
from search.study.record import TrialRecord

_EVERY_S: Final = 0.5
"""Shortest time between two looks at the study."""

_ENDS: Final = ("completed", "pruned", "failed")


@runtime_checkable
class OnTrial(Protocol):
    """Hears of trials."""

    def on_trial(self, trial: TrialRecord) -> object:
        """Hear of a trial that has ended; to return False stops the sweep."""


@runtime_checkable
class OnStatus(Protocol):
    """Hears of the sweep."""

    def on_status(self, status: Status) -> object:
        """Hear where the sweep stands, a few times a second; to return False stops the sweep."""


Callback: TypeAlias = OnTrial | OnStatus | Callable[[TrialRecord], object]
"""An object with one of the two methods, or both; a plain function is `on_trial`."""


class Callbacks:
    """The callbacks of one sweep, called one after the other, and never two at once.

    One that raises, or returns False, stops the sweep as `sweep stop` does; after an exception none is called again.

    Args:
        given: By the user.
        resumed: The study that is gone on with: what ended before is not told again. None for a new one.

    Attributes:
        error: What one of them raised.

    Raises:
        InputError: One of them is no callback.
    """

    def __init__(self, given: Iterable[Callback], *, resumed: StudyFolder | None = None) -> None:
        self._on_trial: list[Callable[[TrialRecord], object]] = []
        self._on_status: list[Callable[[Status], object]] = []
        self.error: BaseException | None = None
        self._stopped = False
        self._looked = 0.0
        for one in given:
            self._add(one)
        self._following = Following(resumed) if resumed is not None and self._on_trial else None

    def _add(self, one: Callback) -> None:
        known = False
        if isinstance(one, OnTrial):
            self._on_trial.append(one.on_trial)
            known = True
        if isinstance(one, OnStatus):
            self._on_status.append(one.on_status)
            known = True
        if known:
            return
        if not callable(one):
            said = f"a callback is a function, or has on_trial or on_status, got {type(one).__name__}"
            raise InputError(said, field="callbacks")
        self._on_trial.append(one)

    def hear(self, folder: StudyFolder, status: Status) -> None:
        """Pass on where the sweep stands, and the trials that have ended since the last time."""
        for listener in self._on_status:
            self._call(folder, listener, status)
        if time.monotonic() - self._looked >= _EVERY_S:
            self._look(folder)

    def finish(self, folder: StudyFolder) -> None:
        """Pass on the trials that have ended since, and raise what a callback raised."""
        self._look(folder)
        if self.error is not None:
            raise self.error

    def _look(self, folder: StudyFolder) -> None:
        self._looked = time.monotonic()
        if not self._on_trial or not folder.exists():
            return
        with suppress(SurroundingsError):  # the sweep itself tells what is wrong with its storage
            self._following = self._following or Following(folder, from_start=True)
            ended = [event.number for event in self._following.look() if event.kind in _ENDS]
            for number in ended:
                for listener in self._on_trial:
                    self._call(folder, listener, self._following.study.records[number])

    def _call(self, folder: StudyFolder, listener: Callable[..., object], told: object) -> None:
        if self.error is not None:
            return
        try:
            goes_on = listener(told) is not False
        except BaseException as error:  # of the user's code: raised where the sweep was called
            self.error, goes_on = error, False
        if not goes_on and not self._stopped:
            self._stopped = True
            with suppress(OSError):
                wishes.post(folder, "stop", now=False)
