"""Ends a detached actor that nobody has used for long: none else would, as long as its cluster is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

UNUSED_S: Final = 3600.0
"""For how long nobody uses an actor that ends then; who needs one later has it started again."""

_LOOK_EVERY_S: Final = 60.0


def end_this_actor() -> None:
    """End the actor that this process is, for good; from any thread."""
    import ray

    ray.kill(ray.get_runtime_context().current_actor)


def end_once(is_unused: Callable[[], bool], *, look_every_s: float = _LOOK_EVERY_S) -> None:
    """Have the actor that this process is end once it is unused, which is looked at now and then."""

    def look() -> None:
        while not is_unused():
            time.sleep(look_every_s)
        end_this_actor()

    threading.Thread(target=look, name="sweep-unused", daemon=True).start()
