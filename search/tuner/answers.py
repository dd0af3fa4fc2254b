"""What the study actor answers: a worker's `Next` trial, and the driver's `Standing`."""

from __future__ import annotations

from dataclasses import dataclass

from search.status import Status
from search.trial import Begun, Overdue, TrialSpec


@dataclass(frozen=True, slots=True)
class Next:
    """A slot's next trial, begun already; or none for it now.

    Attributes:
        leave: Whether its machine is about to be taken away: the worker has to end.
        again: Whether it has to ask by itself, since the suggestion takes long.
    """

    spec: TrialSpec | None = None
    begun: Begun | None = None
    leave: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the driver hears when it asks.

    Attributes:
        status: Where the sweep stands; None while the study is not open.
        at_once: The user wants it to end now, without waiting for trials; the study is in order.
        overdue: Trials whose workers have to be ended.
        grace_s: How long running trials may take to pause, as it stands; None while the study is not open.
    """

    status: Status | None
    at_once: bool = False
    overdue: tuple[Overdue, ...] = ()
    grace_s: float | None = None
