"""What of its environment a worker takes away before the user's code runs there: the secrets of the sweep itself.

A worker inherits what Ray was started with. The token that let it into the cluster it has read by then; passwords of
storage, trackers and notifications are used by the driver and the study's server alone; and rows that were frozen are
read without the database that they came from. What the plan knows nothing of stays: an objective may have keys of its
own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from search.data.reference import parse_reference
from search.data.sql.snapshots import ENVIRONMENT as DATABASE
from search.errors import InputError
from search.plan import SweepPlan

TOKEN: Final = "RAY_AUTH_TOKEN"
"""Ray reads it once, when a process connects."""

_OF_STORAGE: Final = {"postgresql": ("PGPASSWORD",)}
_OF_TRACKERS: Final = {
    "mlflow": ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    "wandb": ("WANDB_API_KEY",),
}
_OF_DATA: Final = {"sql": ("PGPASSWORD", DATABASE)}
"""Variables that are read where a part of a plan begins so."""

_NAMED: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def names_of(plan: SweepPlan, *, data: bool = True) -> set[str]:
    """Return the variables that hold secrets of a sweep.

    Args:
        plan: Says which.
        data: Also those by which its data is read.
    """
    own = {TOKEN, *_named(plan.storage, _OF_STORAGE), *_NAMED.findall(plan.notify or "")}
    own.update(name for one in plan.track for name in _named(one, _OF_TRACKERS))
    read = set(_named(plan.data, _OF_DATA))
    return own | read if data else own - read


def _named(text: str | None, known: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if text is None:
        return
    yield from _NAMED.findall(text)
    for start, names in known.items():
        if text.startswith(start):
            yield from names


def of_data(plan: SweepPlan) -> tuple[str, ...]:
    """Return the variables by which the data of a sweep is read, on the machine where it is."""
    return tuple(sorted({*_named(plan.data, _OF_DATA), *in_description(plan)}))


def in_description(plan: SweepPlan) -> tuple[str, ...]:
    """Return the variables that the description of an API, a file of this machine, names as its secrets."""
    if plan.data is None or not plan.data.startswith(("api:", "html:", "sql:")):
        return ()
    try:
        return tuple(
            sorted(set(_NAMED.findall(Path(str(parse_reference(plan.data, Path.cwd()).location)).read_text())))
        )
    except (OSError, ValueError, InputError):
        return ()


def forget(plan: SweepPlan, described: Iterable[str] = (), *, data: bool = True) -> None:
    """Take the secrets of a sweep out of this process's environment, and out of what it starts from now on.

    Args:
        plan: Says which.
        described: What `in_description` found where the description is.
        data: Also those by which its data is read.
    """
    for name in names_of(plan, data=data) | set(described if data else ()):
        os.environ.pop(name, None)
