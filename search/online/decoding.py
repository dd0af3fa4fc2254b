"""Records of the log as events whose rows have every column, also those that the model does not read: `Decoder`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from search.bundle.signature import Input, Kind, Signature
from search.online.events import Array, Event, LabelledRows, Shown
from search.online.packing import texts
from search.online.records import Foreign, decode, reader_of


class Decoder:
    """Decodes records; the winner of a sweep may read columns that the champion does not.

    Args:
        signature: Of the champion.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._unread = [one for one in signature.inputs if not one.used]
        self._narrow = reader_of(signature)
        self._wide = reader_of(replace(signature, inputs=tuple(replace(one, used=True) for one in signature.inputs)))

    def __call__(self, record: bytes) -> Event:
        """Return an event.

        Raises:
            Foreign: It is of a model with other columns or classes.
            SurroundingsError: It is of a kind that is not known here.
        """
        try:
            return decode(record, self._wide, self._signature)
        except Foreign:  # clients may leave out what the model does not read
            event = decode(record, self._narrow, self._signature)
        if isinstance(event, (Shown, LabelledRows)):
            return replace(event, columns=self._filled(event.columns, len(event.ids)))
        return event

    def _filled(self, columns: Mapping[str, Array], rows: int) -> dict[str, Array]:
        return {**columns, **{one.name: _missing(one, rows) for one in self._unread}}


def _missing(column: Input, rows: int) -> Array:
    """Return a column without values."""
    return texts([""] * rows) if column.kind is Kind.TEXT else np.full((rows, *column.shape), np.nan, np.float32)
