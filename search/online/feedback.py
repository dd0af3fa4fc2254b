"""The body of `POST /feedback`, read strictly: labels of rows that were shown, or rows with their labels: `Asked`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from search.bundle.signature import Signature
from search.errors import did_you_mean
from search.serve.limits import Limits
from search.serve.rows import BadRows, Reader
from search.serve.values import MOST_FLOAT, shown

_LONGEST_ID: Final = 200
_OWN: Final = "="
"""Before an id that a client gave: so it is never one of ours."""

_KEYED: Final = "#"
"""Before an id that a key of idempotency makes: so it is never one that a client gave."""

_PART_BYTES: Final = 262_144
_PART_ROWS: Final = 1000

_kept = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` would make an encoder for each row
_ordered = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Item:
    """A row with its label.

    Attributes:
        place: In the body, such as `labels[3]`; "" of a body that is one label.
        said: The id as the client wrote it; "" where it gave none.
        id: Under which the row is known; "" where it gets one yet.
        label: A class, or the number of a regression.
        row: JSON of its columns; "" of a row that was shown.
        digest: 32 hexadecimal digits of the row as it was sent, and its label, which tell two of one id apart; "" where
            it has no id of its own.
    """

    place: str
    said: str
    id: str
    label: str | float
    row: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """What is not taken, and why.

    Attributes:
        place: In the body.
        message: What was expected, and what came.
        id: As the client wrote it; "" where it gave none.
    """

    place: str
    message: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        items: That may be taken.
        refused: That are not.
        full: Whether the rows came with it.
    """

    items: tuple[Item, ...]
    refused: tuple[Refused, ...]
    full: bool = False

    @property
    def rows(self) -> int:
        """How many there were."""
        return len(self.items) + len(self.refused)

    def parts(self) -> Iterator[Asked]:
        """Yield what may be taken, in parts that are taken one by one while others are answered."""
        start = size = 0
        for at, one in enumerate(self.items):
            if at > start and (size > _PART_BYTES or at - start == _PART_ROWS):
                yield Asked(self.items[start:at], (), self.full)
                start, size = at, 0
            size += len(one.row)
        yield Asked(self.items[start:], (), self.full)


class FeedbackReader:
    """Reads bodies for one model; safe to be called by several threads at once.

    Args:
        signature: Of the model.
        limits: Of rows.
    """

    def __init__(self, signature: Signature, limits: Limits) -> None:
        self._rows = Reader(signature, limits)
        self._wide = Reader(
            replace(signature, inputs=tuple(replace(one, used=True) for one in signature.inputs)), limits
        )
        self._reads = [one.name for one in signature.inputs if one.used]
        self._all = [one.name for one in signature.inputs]
        self._label = LabelReader(signature)
        self._most = limits.rows

    def __call__(self, body: bytes, key: str | None = None, owner: str = "") -> Asked:
        """Return what a body asks for: `{"id", "label"}`, `{"labels": [...]}` of these, or `{"rows", "labels"}`.

        Args:
            body: As it came.
            key: Of idempotency; it makes ids for rows that have none.
            owner: Of the ids and the key: another one may have the same. No `/` is in it.

        Raises:
            BadRows: It is none of these, or there are too many rows.
        """
        told, escaped = self._rows.decoded(body)
        if not isinstance(told, dict):
            raise BadRows(
                422, f'expected {{"id", "label"}}, {{"labels": [...]}} or {{"rows", "labels"}}, got {shown(told)}'
            )
        if "rows" in told:
            _only(told, ("rows", "labels"), ("ids",))
            return self._full(told, escaped, key, owner)
        if "labels" in told:
            _only(told, ("labels",))
            labels = _listed(told, "labels")
            self._count(labels, "labels")
            return self._of([(f"labels[{number}]", one) for number, one in enumerate(labels)])
        return self._of([("", told)])

    def _of(self, pairs: Sequence[tuple[str, Any]]) -> Asked:
        items: list[Item] = []
        refused: list[Refused] = []
        for place, pair in pairs:
            if not isinstance(pair, dict):
                raise BadRows(422, f"{place}: expected an object of id and label, got {shown(pair)}", place)
            _only(pair, ("id", "label"), place=place)
            name = _id(pair["id"], within(place, "id"))
            try:
                items.append(Item(place, name, name, self._label(pair["label"])))
            except ValueError as error:
                refused.append(Refused(within(place, "label"), str(error), name))
        return Asked(tuple(items), tuple(refused))

    def _full(self, told: Mapping[str, Any], escaped: bool, key: str | None, owner: str) -> Asked:
        rows, labels = _listed(told, "rows"), _listed(told, "labels")
        ids = _listed(told, "ids") if "ids" in told else None
        self._count(rows, "rows")
        for name, values in (("labels", labels), ("ids", ids)):
            if values is not None and len(values) != len(rows):
                raise BadRows(422, f"{name} has {len(values)} values, and rows has {len(rows)}", name)
        said = [""] * len(rows) if ids is None else [_id(one, f"ids[{at}]") for at, one in enumerate(ids)]
        wrong = self._wrong(rows, escaped)
        names = self._kept([row for number, row in enumerate(rows) if number not in wrong], escaped)
        items: list[Item] = []
        refused: list[Refused] = []
        for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
            if (bad := wrong.get(number)) is not None:
                refused.append(Refused(bad.place, bad.message, said[number]))
                continue
            try:
                taken = self._label(label)
            except ValueError as error:
                refused.append(Refused(f"labels[{number}]", str(error), said[number]))
                continue
            own = ""
            if said[number]:
                own = f"{_OWN}{owner}/{said[number]}"
            elif key is not None:
                own = f"{_KEYED}{owner}/{key}#{number}"
            kept = _kept({name: row[name] for name in names})
            digest = _digest(row, taken) if own else ""
            items.append(Item(f"rows[{number}]", said[number], own, taken, kept, digest))
        return Asked(tuple(items), tuple(refused), full=True)

    def _kept(self, rows: list[Any], escaped: bool) -> list[str]:
        """Return the columns that are worth keeping: what this model does not read, a later one may."""
        if len(self._all) == len(self._reads) or not rows:
            return self._reads
        try:
            self._wide.records(rows, escaped)
        except BadRows:  # missing, or something that nobody checks
            return self._reads
        return self._all

    def _wrong(self, rows: list[Any], escaped: bool) -> dict[int, Refused]:
        """Return the rows that the model does not take."""
        try:
            self._rows.records(rows, escaped)
        except BadRows as bad:
            if not bad.errors:
                raise
        else:
            return {}
        found: dict[int, Refused] = {}
        for number, row in enumerate(rows):
            try:
                self._rows.records([row], escaped)
            except BadRows as bad:
                column = bad.errors[0]["column"]
                place = f"rows[{number}]" if column is None else f"rows[{number}].{column}"
                found[number] = Refused(place, bad.errors[0]["message"])
        return found

    def _count(self, values: list[Any], name: str) -> None:
        if len(values) > self._most:
            raise BadRows(413, f"a request has at most {self._most} rows; send several", name)
        if not values:
            raise BadRows(422, "expected at least one row, got none", name)


class LabelReader:
    """Reads labels of one model: a class by its name, or the finite number of a regression.

    Args:
        signature: Of the model.
    """

    def __init__(self, signature: Signature) -> None:
        self._classes = frozenset(signature.classes)

    def __call__(self, value: Any) -> str | float:
        """Return a label.

        Raises:
            ValueError: It is none.
        """
        if not self._classes:
            return _number(value)
        if isinstance(value, str):
            found = [value] if value in self._classes else []
        else:
            found = [text for text in _texts(value) if text in self._classes]
        if len(found) != 1:
            hint = did_you_mean(value[:60], self._classes) if isinstance(value, str) else _known(self._classes)
            raise ValueError(f"expected a class of the model, got {shown(value)}; {hint}")
        return found[0]


def within(place: str, name: str) -> str:
    """Return the place of a name in an object."""
    return f"{place}.{name}" if place else name


def _digest(row: Mapping[str, Any], label: str | float) -> str:
    """Return the digest of a row whichever of its columns are kept, and in whichever order they came."""
    return hashlib.blake2b(_ordered([row, label]).encode(), digest_size=16).hexdigest()


def _texts(value: Any) -> list[str]:
    """Return how a class may be written that this JSON value stands for."""
    if isinstance(value, bool):
        return [str(value), str(value).lower()]
    if isinstance(value, int):
        return [str(value), f"{value}.0"] if abs(value) < 1 << 63 else []
    if isinstance(value, float):
        return [repr(value), str(int(value))] if value.is_integer() else [repr(value)]
    return []


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {shown(value)}")
    if not -MOST_FLOAT <= value <= MOST_FLOAT:  # of any size, for Python compares whole numbers exactly
        raise ValueError(f"expected a number between {-MOST_FLOAT:.3g} and {MOST_FLOAT:.3g}, got a larger one")
    return float(value)


def _known(classes: frozenset[str]) -> str:
    return f"known: {', '.join(sorted(classes))}"[:200]


def _id(value: Any, place: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID or not value.isprintable():
        said = f"{place}: expected an id of 1 to {_LONGEST_ID} printable characters, got {shown(value)}"
        raise BadRows(422, said, place)
    return value


def _listed(told: Mapping[str, Any], name: str) -> list[Any]:
    value = told[name]
    if not isinstance(value, list):
        raise BadRows(422, f"expected a list, got {shown(value)}", name)
    return value


def _only(told: Mapping[str, Any], names: Sequence[str], more: Sequence[str] = (), *, place: str = "") -> None:
    """Make sure that an object has these names, and perhaps some more, and no others."""
    for name in names:
        if name not in told:
            raise BadRows(422, f"{within(place, name)} is missing", place or "body")
    strange = next((name for name in told if name not in (*names, *more)), None)
    if strange is not None:
        hint = did_you_mean(strange[:60], (*names, *more))
        said = f"{shown(strange)} is no name{f' of {place}' if place else ''} here; {hint}"
        raise BadRows(422, said[:300], place or "body")
