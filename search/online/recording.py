"""What came to the server as records of the log, and what the server has to know again when it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from search.online import records
from search.online.feedback import OWN, Item, digest_of
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
    return _dumped(_told("labels", at_s, source, items, [one.id for one in items]))


def full(at_s: float, source: Source, items: Sequence[Item], ids: Sequence[str]) -> bytes:
    """Return the record of rows that came with their labels; arguments as of `labelled`, and the ids of the rows."""
    body = f'{{"rows":[{",".join([one.row for one in items])}]}}'.encode()
    told = {**_told("rows", at_s, source, items, ids), "size": len(body)}
    return b'%b,"in":%b}' % (_dumped(told)[:-1], body)


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
    elif head.kind == "rows" and any(name.startswith(OWN) for name in head.ids):
        rows = json.loads(record)["in"]["rows"]
        for name, label, row in zip(head.ids, head.labels, rows, strict=True):
            if name.startswith(OWN):
                known.give(name, digest_of(json.dumps(row, separators=(",", ":")), label), head.at_s)


def _told(kind: str, at_s: float, source: Source, items: Sequence[Item], ids: Sequence[str]) -> dict[str, Any]:
    told = {"t": at_s, "k": kind, "by": source.name, "ids": [*ids], "labels": [one.label for one in items]}
    return {**told, "trusted": True} if source.trusted else told


def _dumped(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":"), allow_nan=False).encode()
