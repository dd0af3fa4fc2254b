"""What a callable has to be given: `the_argument`."""

from __future__ import annotations

import inspect
from typing import Any


def the_argument(function: Any) -> str | None:
    """Return the name of the one argument that a callable needs, by position; None if it needs none, or more.

    What may be left out is not needed, `*args` and `**kwargs` among it.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one for one in parameters if one.default is one.empty and one.kind not in free]
    if len(needed) != 1 or needed[0].kind is inspect.Parameter.KEYWORD_ONLY:
        return None
    return needed[0].name
