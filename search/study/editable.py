"""What an edit may change in a plan, and to what: checked where it is granted, since any program can write a wish."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from search.plan import SweepPlan

Check = Callable[[Any], bool]


def _whole(least: int) -> Check:
    return lambda value: type(value) is int and value >= least


def _number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _above_zero(value: Any) -> bool:
    return _number(value) and value > 0


def _share(value: Any) -> bool:
    return _above_zero(value) and value <= 1


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _point(value: object) -> bool:
    plain = (bool, int, float, str, type(None))
    return isinstance(value, dict) and all(isinstance(one, plain) for one in value.values())


_CHECKS: Final[Mapping[str, Check]] = {
    "space": _text,
    "fixed": _point,
    "trials": _whole(1),
    "time_s": _above_zero,
    "epochs": _whole(1),
    "gpu_hours": _above_zero,
    "cpu_hours": _above_zero,
    "plateau": _whole(1),
    "until": _number,
    "min_gain": _above_zero,
    "until_confident": _share,
    "max_failures": _whole(1),
    "concurrency": _whole(1),
    "priority": lambda value: type(value) is int and -100 <= value <= 100,
    "trial_timeout_s": _above_zero,
    "memory_bytes": _whole(1),
    "grace_s": _above_zero,
    "keep_checkpoints": lambda value: value in ("best", "all", "none"),
    "retries": _whole(0),
    "cache_bytes": _whole(0),
    "address": _text,
    "track": lambda value: isinstance(value, list) and all(map(_text, value)),
    "notify": _text,
}
"""By field of the plan; None is allowed beside it where it means no limit."""

RAISED: Final = frozenset(("trials", "time_s", "epochs", "gpu_hours", "cpu_hours", "plateau"))
"""Fields that may be wished as so much more than before."""

_NONE: Final = frozenset(one.name for one in fields(SweepPlan) if one.default is None)


def is_sound(changes: Mapping[str, Any]) -> bool:
    """Tell whether every change is of a field that an edit may change, and to a value that it can have."""
    return all(
        name in _CHECKS and ((value is None and name in _NONE) or _CHECKS[name](value))
        for name, value in changes.items()
    )


def can_raise(more: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Tell whether each of these fields is a limit that is among the changes, and is raised by so much."""
    return all(name in changes and name in RAISED and _above_zero(one) for name, one in more.items())
