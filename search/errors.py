"""Everything that can go wrong and be told in one sentence: the exception tree, exit codes, reasons of a FAIL.

    SweepError                 expected trouble: one sentence and an exit code
    ├── InputError        2    what the user gave is wrong
    ├── SurroundingsError 3    the machine, cluster, disk or network is wrong
    └── RefusedError      4    understood, and not done on purpose

A trial that fails does not raise: it ends with a `FailReason` and a text, and the sweep goes on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit status of every command."""

    DONE = 0
    FAILED = 1
    INPUT = 2
    SURROUNDINGS = 3
    REFUSED = 4
    INTERRUPTED = 130
    TERMINATED = 143


class FailReason(StrEnum):
    """Why a trial ended as FAIL."""

    EXCEPTION = "exception"
    NAN = "nan"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_LOST = "worker_lost"
    INVALID = "invalid"

    @property
    def is_the_trials_own(self) -> bool:
        """Tell whether the configuration is to blame, and not the surroundings."""
        return self is not FailReason.WORKER_LOST


class SweepError(Exception):
    """Expected trouble, told in one sentence.

    Attributes:
        message: What was expected and what came, one sentence without a final stop.
        field: The flag, key, column or file that the sentence is about.
        hint: What to try, if that is not in the message.
    """

    code: ClassVar[ExitCode]

    def __init__(self, message: str, *, field: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.field, self.hint)

    def sentence(self) -> str:
        """Return message and hint as one line."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class InputError(SweepError):
    code = ExitCode.INPUT


class SurroundingsError(SweepError):
    code = ExitCode.SURROUNDINGS


class RefusedError(SweepError):
    code = ExitCode.REFUSED


def _rebuild(kind: type[SweepError], message: str, field: str, hint: str) -> SweepError:
    return kind(message, field=field, hint=hint)


def did_you_mean(got: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the closest known name, else the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(got, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none is known"
