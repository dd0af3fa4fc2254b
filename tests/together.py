"""Command lines of several tests at once: each is a process of its own that waits more than it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Name = TypeVar("Name")
Answer = TypeVar("Answer")


def together(calls: Mapping[Name, Callable[[], Answer]]) -> dict[Name, Answer]:
    """Make all calls at once, each in a thread, and return their answers by name.

    Raises:
        Exception: What the first of them that raised did, when all have ended.
    """
    with ThreadPoolExecutor(max_workers=len(calls)) as threads:
        begun = {name: threads.submit(call) for name, call in calls.items()}
    return {name: one.result() for name, one in begun.items()}
