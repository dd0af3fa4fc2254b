"""The command `sweep`: listens for signals, and only then imports what it runs."""

from __future__ import annotations

import sys
from contextlib import suppress

from search.cli import interrupts
from search.ending import Exit

TYPE_CHECKING = False  # `typing` would be the longest of the imports before somebody listens
if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130  # as in `search.errors`, which takes longer to import
BROKEN_PIPE = 141  # 128 + SIGPIPE, as any other command that a closed pipe ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; without one given it is this process's, whose signals are ours."""
    if arguments is not None:
        return _run(list(arguments))
    interrupts.listen()
    at_exit = Exit()
    code = INTERRUPTED
    with suppress(KeyboardInterrupt):  # between two statements of those that care for it
        code = _run(sys.argv[1:])
    interrupts.ignore()
    if code == INTERRUPTED:
        interrupts.leave_if_got()
    return at_exit.with_code(code)


def _run(given: list[str]) -> int:
    from search.cli import commands, console

    console.prepare()
    try:
        code = commands.run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, `head` say, has gone
        console.silence(sys.stdout)
        return BROKEN_PIPE
    return code
