"""What of a result of Ray Tune's a user reported as numbers."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

RAYS_OWN: Final = frozenset(
    (
        "__duplicate__",
        "checkpoint_dir_name",
        "config",
        "date",
        "done",
        "episodes_this_iter",
        "episodes_total",
        "experiment_id",
        "experiment_tag",
        "hostname",
        "iterations_since_restore",
        "node_ip",
        "pid",
        "should_checkpoint",
        "time_since_restore",
        "time_this_iter_s",
        "time_total_s",
        "timestamp",
        "timesteps_since_restore",
        "timesteps_this_iter",
        "timesteps_total",
        "training_iteration",
        "trial_id",
    )
)
"""What Ray adds to each result."""


def numbers_of(result: Mapping[str, Any], searched: Container[str] = ()) -> dict[str, Any]:
    """Return the finite numbers that a user reported, those of nested dicts by `outer/inner`.

    Args:
        result: As reported, with what Ray adds.
        searched: Metrics that are returned whatever they are.
    """
    found: dict[str, Any] = {}
    for name, value in flatten(result, "/"):
        if name in searched:
            found[name] = value
        elif name.partition("/")[0] not in RAYS_OWN and _is_number(value) and math.isfinite(value):
            found[name] = float(value)
    return found


def flatten(values: Mapping[str, Any], separator: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is nested by one name; a value that Ray pickled for JSON stays one."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value and "_type" not in value:
            yield from flatten(value, separator, f"{prefix}{key}{separator}")
        else:
            yield f"{prefix}{key}", value


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, str, bytes)) or value is None or getattr(value, "ndim", None):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
