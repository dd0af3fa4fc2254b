"""A worker's calls of the sweep's actors: one that is out of reach for a while is called again."""

from __future__ import annotations

import time
from typing import Any, Final

from search.errors import SurroundingsError
from search.session import SessionLost

OUT_OF_REACH_S: Final = 60.0
"""How long an actor may be out of reach before a worker gives its trial back."""

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0


class Unwritable(SessionLost):
    """The results folder cannot be written: the surroundings are wrong, and the sweep has to stop."""


def call(method: Any, *arguments: Any) -> Any:
    """Call an actor and wait for its answer; while it is out of reach it is called again, at growing intervals.

    Raises:
        Unwritable: The files' actor cannot write.
        SessionLost: The actor is gone, or has been out of reach for `OUT_OF_REACH_S`.
    """
    import ray  # not above: the driver imports this before it sets the token that Ray reads at its import

    pause_s, deadline = _FIRST_PAUSE_S, 0.0
    while True:
        try:
            return ray.get(method.remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, SurroundingsError):
                raise Unwritable(error.cause.message) from error
            raise SessionLost(str(error)) from error
        except ray.exceptions.ActorUnavailableError as error:  # it may have been heard: calls may come twice
            deadline = deadline or time.monotonic() + OUT_OF_REACH_S
            if time.monotonic() > deadline:
                raise SessionLost(str(error)) from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except ray.exceptions.RayError as error:
            raise SessionLost(str(error)) from error
