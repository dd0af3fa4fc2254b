"""Ends this process at once, and tidily: its last acts let go of what it holds outside of itself.

It is there before the first import that a signal may break into, so it imports next to nothing.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_acts: list[Callable[[], object]] = []


def before_the_end(act: Callable[[], object]) -> None:
    """Have this done should the process be ended at once: nothing else will be, `atexit` and `finally` included."""
    _acts.append(act)


def end_now(code: int, said: str) -> None:
    """End this process at once: do what was noted for it, the latest first; a terminal gets its cursor back.

    Args:
        code: Exit code.
        said: The one line that stderr gets.
    """
    with suppress(OSError):
        before = "\x1b[?25h\n" if os.isatty(2) else ""  # away from what may be redrawn there
        os.write(2, f"{before}{said}\n".encode(errors="backslashreplace"))
    leave(code)


def leave(code: int) -> None:
    """End this process at once, and say nothing."""
    for act in reversed(_acts):
        with suppress(Exception):  # the others are due all the same
            act()
    os._exit(code)


class Exit:
    """The end of this process once its command has returned: at once, after all that others want done at exit.

    Python would take every module apart first: a second or more with Ray's and those of pandas, a tenth of the time in
    which a sweep that is interrupted has to be over. Set up before any other import, it comes last.
    """

    def __init__(self) -> None:
        self._code: int | None = None
        atexit.register(self._leave)

    def with_code(self, code: int) -> int:
        """Have this exit code, which is returned; before that, Python ends as ever."""
        self._code = code
        return code

    def _leave(self) -> None:
        if self._code is None:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it, or it is closed
                stream.flush()
        os._exit(self._code)
