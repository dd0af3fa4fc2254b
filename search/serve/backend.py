"""What answers predictions behind the web API: this process, or several of its own: the `Backend`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from search.bundle.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Served:
    """The model that answers.

    Attributes:
        bundle: Checked.
        name: Under which it was asked for, such as `rain`; of a folder, the folder's.
        version: In its registry; None of a folder.
    """

    bundle: Bundle
    name: str
    version: int | None = None

    @property
    def label(self) -> str:
        """`rain:3`, or the folder's name."""
        return self.name if self.version is None else f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets.

    Attributes:
        status: Of HTTP.
        body: JSON.
        rows: That were predicted.
        label: Of the model that answered.
        batch: Rows of the run that they were part of; 0 where nothing was predicted.
        strange: Of each column how many values training has not seen the like of.
    """

    status: int
    body: bytes
    rows: int
    label: str
    batch: int = 0
    strange: Mapping[str, int] = field(default_factory=dict)


class Backend(Protocol):
    """Predicts for the web API."""

    @property
    def served(self) -> Served:
        """The model that new requests meet."""

    @property
    def lost(self) -> int:
        """How many workers have ended that nobody told to."""

    async def predict(self, body: bytes) -> Answer:
        """Parse a body, check it against the signature, predict, and render the answer.

        A body that is wrong gets its 4xx answer; what raises is a fault of ours.
        """

    async def swap(self, served: Served) -> None:
        """Have another model answer from now on; requests that have begun end with the one they began with."""

    async def close(self) -> None:
        """End what it holds, once the requests that have begun are answered."""
