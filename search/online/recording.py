"""What came to the server as records of the log, and what the server has to know again when it starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from search.online import records
from search.online.feedback import Item
from search.online.known import Known
from search.online.tokens import Source

_SHOWN: Final = re.compile(rb'\{"s":\d+,"t":([^,]+),"k":"shown","id":"([^"]+)","n":(\d+),')


def labelled(at_s: float, source: Source, items: Sequence[Item]) -> bytes:
    """Return the record of labels of rows that were shown.

    Args:
        at_s: Unix time.
        source: Who labels.
        items: That are taken.
    """
    ids, given = [one.id for one in items], [one.label for one in items]
    return records.labels(at_s, source.name, ids, given, trusted=source.trusted)


def full(at_s: float, source: Source, items: Sequence[Item], ids: Sequence[str]) -> bytes:
    """Return the record of rows that came with their labels; arguments as of `labelled`, and the ids of the rows."""
    body = f'{{"rows":[{",".join([one.row for one in items])}]}}'.encode()
    given, digests = [one.label for one in items], [one.digest for one in items if one.digest]
    return records.rows(at_s, source.name, ids, given, body, trusted=source.trusted, digests=digests)


def remember(record: bytes, known: Known) -> None:
    """Have a server that starts know what its log says.

    Args:
        record: As `EventLog.open` shows it.
        known: Takes it in.
    """
    shown = _SHOWN.match(record)
    if shown is not None:
        known.show(shown[2].decode(), int(shown[3]), float(shown[1]))
        return
    head = records.head(record)
    if head.kind == "labels":
        for name, label in zip(head.ids, head.labels, strict=True):
            place = known.find(name)
            if place is not None and known.label_of(place) is None:
                known.label(place, known.code(label))
    for name, digest in zip(head.ids, head.digests, strict=False):  # of all rows of a request, or of none
        known.give(name, digest, head.at_s)
