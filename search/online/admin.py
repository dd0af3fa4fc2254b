"""The body of `POST /admin`: what an administrator asks for, and why: the `Order`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from search.bundle import strict
from search.errors import did_you_mean
from search.serve.rows import BadRows
from search.serve.values import shown

ACTIONS: Final = ("pause", "resume", "release", "reset")
"""As `search.online.events.Ordered` tells them."""

_LONGEST: Final = 500


class Order(NamedTuple):
    """What is asked for."""

    action: str
    why: str


def read_order(body: bytes) -> Order:
    """Return what a body asks for.

    Raises:
        BadRows: It is no order.
    """
    try:
        told = strict.parse(body)
    except ValueError as error:
        raise BadRows(400, f"the body is not JSON as it is read here: {error}"[:200]) from error
    if not isinstance(told, dict):
        raise BadRows(422, f'expected {{"action", "why"}}, got {shown(told)}')
    strange = next((name for name in told if name not in ("action", "why")), None)
    if strange is not None:
        raise BadRows(422, f"{shown(strange)} is no name here", hint="known: action, why")
    action, why = told.get("action"), _why(told)
    if action not in ACTIONS:
        hint = did_you_mean(action[:60], ACTIONS) if isinstance(action, str) else f"known: {', '.join(ACTIONS)}"
        raise BadRows(422, f"expected an action, got {shown(action)}", "action", hint=hint)
    return Order(action, why)


def _why(told: Mapping[str, Any]) -> str:
    why = told.get("why", "")
    if not isinstance(why, str) or len(why) > _LONGEST or not why.isprintable():
        raise BadRows(422, f"expected a text of at most {_LONGEST} printable characters, got {shown(why)}", "why")
    return why
