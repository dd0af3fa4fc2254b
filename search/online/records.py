"""Events as records of the log, and back: JSON in which a request and its answer stand as they came and left.

The number of a record is put before it by `EventLog.append`: `{"s": number, "t": unix time, "k": kind, ...}`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from search.bundle.signature import Input, Kind, Signature
from search.errors import SurroundingsError
from search.online.events import Array, Event, LabelledRows, Labels, Ordered, Shown
from search.serve.limits import Limits
from search.serve.rows import BadRows, Reader
from search.serve.values import bound_of

_IN: Final = b',"in":'
_OUT: Final = b',"out":'
_ANY_NUMBER: Final = Limits(rows=1 << 40)


class Foreign(Exception):
    """A record of a model that has another signature: other columns, or other classes."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a record says but for its rows and its answers, which are the most of it.

    Attributes:
        sequence, at_s: As in `events`.
        kind: `shown`, `labels`, `rows` or `ordered`.
        ids: Of its rows.
        labels: The names of classes, or numbers, of `labels` and `rows`.
        source, trusted: Of `labels` and `rows`.
        digests: Of `rows` that came with ids of their own, or under a key.
    """

    sequence: int
    at_s: float
    kind: str
    ids: tuple[str, ...] = ()
    labels: tuple[str | float, ...] = ()
    source: str = ""
    trusted: bool = False
    digests: tuple[str, ...] = ()


def reader_of(signature: Signature) -> Reader:
    """Return what reads the rows of records: as many as there are."""
    return Reader(signature, _ANY_NUMBER)


def ids_of(base: str, rows: int) -> tuple[str, ...]:
    """Return the ids of the rows of one request."""
    return tuple([f"{base}.{row}" for row in range(rows)])


def shown(at_s: float, base: str, rows: int, body: bytes, answer: bytes) -> bytes:
    """Return the record of rows that were predicted, and nothing is parsed for it.

    Args:
        at_s: Unix time.
        base: Of the rows' ids, of letters, digits and `-` only; no other request ever has it.
        rows: That were predicted.
        body: Of the request, which was read without an error.
        answer: Its JSON, as `search.serve.answers.Renderer` gives it.
    """
    if b"\n" in body:
        body = body.replace(b"\n", b" ")  # between the values: within a text JSON has none
    head = f'{{"t":{at_s!r},"k":"shown","id":"{base}","n":{rows},"size":{len(body)}'
    return b"".join((head.encode(), _IN, body, _OUT, answer, b"}"))


def labels(at_s: float, by: str, ids: Sequence[str], given: Sequence[str | float], *, trusted: bool = False) -> bytes:
    """Return the record of labels of rows that were shown.

    Args:
        at_s: Unix time.
        by: Source.
        ids: Of the rows.
        given: Of each row the name of a class, or a number.
        trusted: Whether an administrator labels.

    Raises:
        ValueError: A number is infinite, or there are none, or other ids than labels.
    """
    return _labelled("labels", at_s, by, ids, given, trusted=trusted)


def rows(
    at_s: float,
    by: str,
    ids: Sequence[str],
    given: Sequence[str | float],
    body: bytes,
    *,
    trusted: bool = False,
    digests: Sequence[str] = (),
) -> bytes:
    """Return the record of rows that came with their labels; arguments and errors as of `labels`, and these.

    Args:
        at_s, by, ids, given, trusted: As of `labels`.
        body: The rows, as JSON without line breaks that a `Reader` reads.
        digests: Of rows that came with ids of their own, or under a key: what tells them from others of these ids.
    """
    told: dict[str, Any] = {"digests": [*digests]} if digests else {}
    head = _labelled("rows", at_s, by, ids, given, trusted=trusted, **told, size=len(body))
    return b"%b%b%b}" % (head[:-1], _IN, body)


def encode(event: Event, signature: Signature) -> bytes:
    """Return the record of an event, whose number is not in it.

    Args:
        event: Of a `Shown`, the ids are those that `ids_of` gives.
        signature: Of the model that its rows and labels are for.

    Raises:
        ValueError: It holds what no record does: an infinite number, a label that is none, no rows.
    """
    if isinstance(event, Ordered):
        return _dumped({"t": event.at_s, "k": "ordered", "action": event.action, "why": event.why})
    if isinstance(event, Labels):
        return labels(event.at_s, event.source, event.ids, _named(event, signature), trusted=event.trusted)
    body = _body(event.columns, signature)
    if isinstance(event, LabelledRows):
        return rows(event.at_s, event.source, event.ids, _named(event, signature), body, trusted=event.trusted)
    base = event.ids[0].rpartition(".")[0] if event.ids else ""
    if event.ids != ids_of(base, len(event.ids)):
        raise ValueError("the ids are not those of one request")
    answers = _numbers(event.answers)
    said: dict[str, Any] = {"value": answers}
    if signature.is_classification:
        said = {"probabilities": dict(zip(signature.classes, _transposed(answers), strict=True))}
    return shown(event.at_s, base, len(event.ids), body, _dumped({"model": event.model, **said}))


def head(record: bytes) -> Head:
    """Return what a record says without its rows and answers."""
    start = record.find(_IN)  # never within a text, where a quote has a backslash before it
    told = json.loads(record if start < 0 else record[:start] + b"}")
    kind, sequence, at_s = told["k"], told["s"], told["t"]
    if kind == "shown":
        return Head(sequence, at_s, kind, ids_of(told["id"], told["n"]))
    if kind == "ordered":
        return Head(sequence, at_s, kind)
    ids, labels = tuple(told["ids"]), tuple(told["labels"])
    by, trusted, digests = told["by"], told.get("trusted", False), tuple(told.get("digests", ()))
    return Head(sequence, at_s, kind, ids, labels, by, trusted, digests)


def decode(record: bytes, reader: Reader, signature: Signature) -> Event:
    """Return the event of a record.

    Args:
        record: As `log.tail` yields it.
        reader: From `reader_of`.
        signature: Of the same model.

    Raises:
        Foreign: It is of a model with other columns or classes.
        SurroundingsError: Its kind is none that is known here.
    """
    start = record.find(_IN)
    told = json.loads(record if start < 0 else record[:start] + b"}")
    kind, sequence, at_s = told["k"], told["s"], told["t"]
    if kind == "ordered":
        return Ordered(sequence, at_s, told["action"], told["why"])
    if kind not in ("shown", "labels", "rows"):
        said = f"record {sequence} of the log is of a kind that this version does not know, {str(kind)[:40]!r}"
        raise SurroundingsError(said, field="results", hint="it was written by a later version of sweep")
    columns: Mapping[str, Array] = {}
    if start >= 0:
        start += len(_IN)
        end = start + told["size"]
        columns = _columns(record[start:end], reader, sequence)
    if kind == "shown":
        said = json.loads(record[end + len(_OUT) : -1])
        answers = _answers(said, signature, sequence)
        return Shown(sequence, at_s, ids_of(told["id"], told["n"]), columns, answers, said["model"])
    ids, targets = tuple(told["ids"]), _targets(told["labels"], signature, sequence)
    by, trusted = told["by"], told.get("trusted", False)
    if kind == "labels":
        return Labels(sequence, at_s, ids, targets, by, trusted)
    return LabelledRows(sequence, at_s, ids, columns, targets, by, trusted)


def _labelled(
    kind: str, at_s: float, by: str, ids: Sequence[str], given: Sequence[str | float], *, trusted: bool, **more: Any
) -> bytes:
    if len(given) != len(ids) or not given:
        raise ValueError(f"{len(ids)} ids and {len(given)} labels")
    told: dict[str, Any] = {"t": at_s, "k": kind, "by": by, "ids": [*ids], "labels": [*given]}
    return _dumped({**told, **({"trusted": True} if trusted else {}), **more})


def _named(event: Labels | LabelledRows, signature: Signature) -> list[str | float]:
    """Return the labels of an event as records have them."""
    targets: list[Any] = event.targets.tolist()
    return [signature.classes[target] for target in targets] if signature.is_classification else targets


def _targets(labels: Sequence[Any], signature: Signature, sequence: int) -> Array:
    if not signature.is_classification:
        if not all(type(label) in (int, float) for label in labels):
            raise Foreign(f"record {sequence} holds classes, and the model gives numbers")
        return np.array(labels, np.float64)
    index = {name: place for place, name in enumerate(signature.classes)}
    try:
        return np.array([index[label] for label in labels], np.int64)
    except KeyError as error:
        raise Foreign(f"record {sequence} holds a label that is no class of the model") from error


def _columns(body: bytes, reader: Reader, sequence: int) -> Mapping[str, Array]:
    try:
        return reader(body).columns
    except BadRows as bad:
        raise Foreign(f"record {sequence} holds rows that the model does not take: {bad.message}") from bad


def _answers(said: Mapping[str, Any], signature: Signature, sequence: int) -> Array:
    """Return (rows, classes) or (rows,) float64 of the JSON of an answer, NaN where the model found no number."""
    rows: list[Mapping[str, Any]] | None = said.get("predictions")
    try:
        if not signature.is_classification:
            values = said["value"] if rows is None else [row["value"] for row in rows]
            return np.array(values, np.float64)
        if rows is None:
            columns = [said["probabilities"][name] for name in signature.classes]
        else:
            columns = [[row["probabilities"][name] for row in rows] for name in signature.classes]
    except KeyError as error:
        raise Foreign(f"record {sequence} holds answers that are not of the model's classes") from error
    return np.ascontiguousarray(np.array(columns, np.float64).T)


def _body(columns: Mapping[str, Array], signature: Signature) -> bytes:
    """Return rows as the JSON that a `Reader` reads as just these arrays."""
    return _dumped({"columns": {one.name: _values(columns[one.name], one) for one in signature.inputs if one.used}})


def _values(values: Array, given: Input) -> list[Any]:
    if given.kind is Kind.NUMBER:
        most = bound_of(given)  # which a number may be rounded up to, but not be
        return [math.nextafter(most, 0) if value == most else value for value in _numbers(values)]
    if given.kind is Kind.IMAGE:
        pixels = np.rint(values * np.float32(255)).astype(np.uint8)
        if np.array_equal(pixels.astype(np.float32) / np.float32(255), values):
            return [base64.b64encode(one.tobytes()).decode() for one in pixels]
    told: list[Any] = values.tolist()
    return told


def _numbers(values: Array) -> list[Any]:
    """Return numbers as JSON has them: None for NaN."""
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    return [None if math.isnan(value) else value for value in values.tolist()]


def _transposed(rows: Sequence[Any]) -> list[list[Any]]:
    return [[*column] for column in zip(*rows, strict=True)]


def _dumped(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":"), allow_nan=False).encode()
