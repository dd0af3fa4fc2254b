"""Records of the log as events whose rows have every column, also those that the model does not read: `Decoder`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from search.bundle.signature import Input, Kind, Signature
from search.online.events import Array, Event, LabelledRows, Shown
from search.online.packing import texts
from search.online.records import Foreign, decode, reader_of
from search.serve.rows import Reader


class Decoder:
    """Decodes records; clients may leave out what the model that they ask does not read.

    Args:
        signature: Of the champion.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._wide = reader_of(replace(signature, inputs=tuple(replace(one, used=True) for one in signature.inputs)))
        self._narrow: dict[tuple[str, ...], Reader] = {}
        self.add(signature)

    def add(self, signature: Signature) -> None:
        """Expect the rows of another champion as well, which may read other columns of the same."""
        self._narrow.setdefault(tuple(one.name for one in signature.inputs if not one.used), reader_of(signature))

    def __call__(self, record: bytes) -> Event:
        """Return an event.

        Raises:
            Foreign: It is of a model with other columns or classes.
            SurroundingsError: It is of a kind that is not known here.
        """
        readers = {(): self._wide, **self._narrow}
        *others, last = readers.items()
        for unread, reader in others:
            with suppress(Foreign):
                return self._filled(decode(record, reader, self._signature), unread)
        return self._filled(decode(record, last[1], self._signature), last[0])

    def _filled(self, event: Event, unread: tuple[str, ...]) -> Event:
        if not unread or not isinstance(event, (Shown, LabelledRows)):
            return event
        missing = {one.name: _missing(one, len(event.ids)) for one in self._signature.inputs if one.name in unread}
        return replace(event, columns={**event.columns, **missing})


def _missing(column: Input, rows: int) -> Array:
    """Return a column without values."""
    return texts([""] * rows) if column.kind is Kind.TEXT else np.full((rows, *column.shape), np.nan, np.float32)
