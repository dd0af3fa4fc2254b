"""What a trial prints, caught for its log."""

from __future__ import annotations

import io
import sys
from types import TracebackType


class Capture:
    """While entered, `sys.stdout` and `sys.stderr` go into a text; enter it as often as needed."""

    def __init__(self) -> None:
        self._text = io.StringIO()

    def __enter__(self) -> None:
        self._before = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = self._text

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        sys.stdout, sys.stderr = self._before

    def take(self) -> str:
        """Return what was printed since the last call."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text
