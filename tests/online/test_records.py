"""An event that was written down is read as just the event that it was.

Mutations that turn these red: answers rounded, or NaN as 0 (`_numbers`); targets by index (`_labelled`); the first
`,"in":` looked for from the end (`decode`); line breaks of a body left in its record (`shown`); pixels always as bytes,
or a number left at the bound that no request may reach (`_values`); `trusted` forgotten; any label taken (`_targets`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.bundle.model import Predicted
from search.bundle.signature import Input, Kind, Signature
from search.errors import SurroundingsError
from search.online import records
from search.online.events import Array, Event, LabelledRows, Labels, Ordered, Shown
from search.online.records import Foreign, decode, encode, head, ids_of, reader_of
from search.serve.answers import Renderer

INPUTS = (
    Input("rain", Kind.NUMBER, 0.5, low=0.0, high=1.0),
    Input("huge", Kind.NUMBER, 0.5, low=0.0, high=1e30),
    Input("is,", Kind.TEXT, "a", levels=("a", "b")),
    Input("in", Kind.TEXT, "a"),
    Input("unread", Kind.NUMBER, 0.0, used=False),
)
CLASSES = ("no", "yes", '","in":', "日本")
TABLE = Signature("multiclass", "y", INPUTS, CLASSES)
NUMBERS = Signature("regression", "y", INPUTS)
IMAGES = Signature("binary", "y", (Input("image", Kind.IMAGE, shape=(1, 2, 3)),), ("0", "1"))
SIGNATURES = [TABLE, NUMBERS, IMAGES]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | st.sampled_from([',"in":', "\n", "\\", '"'])
times = st.floats(0, 4e9)


@st.composite
def columns(draw: Any, signature: Signature, rows: int) -> Mapping[str, Array]:
    found: dict[str, Array] = {}
    for one in signature.inputs:
        if not one.used:
            continue
        if one.kind is Kind.IMAGE:
            pixels = draw(st.lists(st.integers(0, 255), min_size=6 * rows, max_size=6 * rows))
            image = np.array(pixels, np.uint8).reshape(rows, 1, 2, 3).astype(np.float32) / np.float32(255)
            found[one.name] = image if draw(st.booleans()) else image * np.float32(0.77)
        elif one.kind is Kind.NUMBER:
            most = float(2**63 if one.name == "rain" else np.finfo(np.float32).max)
            numbers = st.floats(-most, most, width=32) | st.sampled_from([most, -most, np.nan])
            values = draw(st.lists(numbers, min_size=rows, max_size=rows))
            found[one.name] = np.array(values, np.float32)
        else:
            values = draw(st.lists(texts, min_size=rows, max_size=rows))
            found[one.name] = np.array([*values, None], object)[:-1]
    return found


@st.composite
def targets(draw: Any, signature: Signature, rows: int) -> Array:
    if not signature.is_classification:
        values = st.floats(allow_nan=False, allow_infinity=False)
        return np.array(draw(st.lists(values, min_size=rows, max_size=rows)), np.float64)
    values = st.integers(0, len(signature.classes) - 1)
    return np.array(draw(st.lists(values, min_size=rows, max_size=rows)), np.int64)


@st.composite
def events(draw: Any, signature: Signature) -> Event:
    rows, at_s = draw(st.integers(1, 4)), draw(times)
    kind = draw(st.sampled_from([Shown, Labels, LabelledRows, Ordered]))
    if kind is Ordered:
        return Ordered(0, at_s, draw(texts), draw(texts))
    if kind is Shown:
        shape = (rows, len(signature.classes)) if signature.is_classification else (rows,)
        size = int(np.prod(shape))
        values = draw(st.lists(st.floats(allow_infinity=False), min_size=size, max_size=size))
        answers = np.array(values, np.float64).reshape(shape)
        return Shown(0, at_s, ids_of("ab-12", rows), draw(columns(signature, rows)), answers, draw(texts))
    ids = tuple(draw(st.lists(texts, min_size=rows, max_size=rows)))
    known = targets(signature, rows)
    if kind is Labels:
        return Labels(0, at_s, ids, draw(known), draw(texts), draw(st.booleans()))
    return LabelledRows(0, at_s, ids, draw(columns(signature, rows)), draw(known), draw(texts), draw(st.booleans()))


def numbered(record: bytes, sequence: int = 7) -> bytes:
    """Return a record as the log stores it."""
    return b'{"s":%d,%b' % (sequence, record[1:])


def same(one: Event, other: Event) -> None:
    assert type(one) is type(other)
    for name in one.__slots__:
        mine, its = getattr(one, name), getattr(other, name)
        if isinstance(mine, np.ndarray):
            equal(mine, its)
        elif isinstance(mine, Mapping):
            assert mine.keys() == its.keys()
            for key in mine:
                equal(mine[key], its[key])
        else:
            assert (mine, type(mine)) == (its, type(its)), name


def equal(one: Array, other: Array) -> None:
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    assert one.tolist() == other.tolist() if one.dtype == object else np.array_equal(one, other, equal_nan=True)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), signature=st.sampled_from(SIGNATURES))
def test_an_event_is_read_as_it_was_written(data: Any, signature: Signature) -> None:
    event = data.draw(events(signature))
    record = encode(event, signature)
    assert b"\n" not in record
    found = decode(numbered(record), reader_of(signature), signature)
    same(found, replace(event, sequence=7))
    assert encode(found, signature) == record  # and so a second time


@settings(max_examples=60, deadline=None)
@given(data=st.data(), signature=st.sampled_from(SIGNATURES))
def test_the_head_says_all_that_a_server_needs(data: Any, signature: Signature) -> None:
    event = data.draw(events(signature))
    found = head(numbered(encode(event, signature)))
    assert (found.sequence, found.at_s) == (7, event.at_s)
    if isinstance(event, Ordered):
        assert found.kind == "ordered"
        return
    assert found.ids == event.ids
    if not isinstance(event, Shown):
        names: list[Any] = event.targets.tolist()
        if signature.is_classification:
            names = [signature.classes[target] for target in names]
        assert (found.labels, found.source, found.trusted) == (tuple(names), event.source, event.trusted)


BODIES = {
    "one row": '{"rain": 1, "huge": null, "is,": "a", "in": null}',
    "rows": '{"rows": [\r\n {"rain": 1,\n\t"huge": null, "is,": "a", "in": ",\\"in\\":{}"}\n]}\n',
    "columns": ' {"columns": {"in": ["x"], "rain": [0.1], "huge": [-1e30], "is,": [null], "unread": ["?"]}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_request_and_its_answer_stand_in_the_record_as_they_were(body: str) -> None:
    rows = reader_of(TABLE)(body.encode())
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)
    answer = Renderer(TABLE, "rain:3")(Predicted(np.array(["日本"]), probabilities), None, rows.form)
    record = records.shown(1.5, "ab-12", 1, body.encode(), answer)
    assert b"\n" not in record
    assert json.loads(record)["in"] == json.loads(body)
    found = decode(numbered(record), reader_of(TABLE), TABLE)
    assert isinstance(found, Shown)
    assert (found.ids, found.model, found.at_s) == (("ab-12.0",), "rain:3", 1.5)
    assert np.allclose(found.answers, probabilities, atol=1e-7)
    for name, values in rows.columns.items():
        equal(found.columns[name], values)


@pytest.mark.parametrize("form", ["records", "columns"])
@pytest.mark.parametrize("signature", [TABLE, NUMBERS], ids=["classes", "numbers"])
def test_where_the_model_found_no_number_the_answer_is_nan(form: Any, signature: Signature) -> None:
    nothing = np.array([[np.nan] * 4, [0.25] * 4], np.float32)
    predicted = Predicted(value=nothing[:, 0])
    if signature.is_classification:
        predicted = Predicted(np.array(["no", "no"]), nothing)
    answer = Renderer(signature, "m")(predicted, None, form)
    body = b'{"columns": {"rain": [1, 2], "huge": [1, 2], "is,": ["a", "b"], "in": ["a", "b"]}}'
    found = decode(numbered(records.shown(0.0, "b", 2, body, answer)), reader_of(signature), signature)
    assert isinstance(found, Shown)
    equal(found.answers, nothing.astype(np.float64) if signature.is_classification else np.array([np.nan, 0.25]))


def test_classes_are_written_by_name_so_that_another_order_of_them_reads_the_same() -> None:
    event = Labels(0, 1.0, ("a", "b"), np.array([0, 1]), "me")
    turned = replace(TABLE, classes=CLASSES[::-1])
    found = decode(numbered(encode(event, TABLE)), reader_of(turned), turned)
    assert isinstance(found, Labels)
    assert [turned.classes[target] for target in found.targets] == ["no", "yes"]


FOREIGN = {
    "a class that the model does not have": (Labels(0, 1.0, ("a",), np.array([1]), "me"), TABLE, IMAGES),
    "a class where it gives numbers": (Labels(0, 1.0, ("a",), np.array([1]), "me"), TABLE, NUMBERS),
    "a number where it gives classes": (Labels(0, 1.0, ("a",), np.array([1.0]), "me"), NUMBERS, TABLE),
    "rows of other columns": (
        LabelledRows(0, 1.0, ("a",), {"image": np.ones((1, 1, 2, 3), np.float32)}, np.array([0]), "me"),
        IMAGES,
        TABLE,
    ),
    "answers of other classes": (
        Shown(0, 1.0, ("a.0",), {"image": np.ones((1, 1, 2, 3), np.float32)}, np.ones((1, 2)), "m"),
        IMAGES,
        replace(IMAGES, classes=("0", "2")),
    ),
}


@pytest.mark.parametrize(("event", "wrote", "reads"), FOREIGN.values(), ids=FOREIGN)
def test_a_record_of_a_model_with_another_signature_is_told_apart(
    event: Event, wrote: Signature, reads: Signature
) -> None:
    with pytest.raises(Foreign, match="record 7 holds"):
        decode(numbered(encode(event, wrote)), reader_of(reads), reads)


def test_a_record_of_a_later_version_is_refused() -> None:
    with pytest.raises(SurroundingsError, match="of a kind that this version does not know, 'shared'"):
        decode(b'{"s":7,"t":1.0,"k":"shared"}', reader_of(TABLE), TABLE)


ONE = {"rain": np.ones(1, np.float32), "huge": np.ones(1, np.float32)}
WORDS = {"is,": np.array(["a"], object), "in": np.array(["a"], object)}
WRONG: dict[str, Event] = {
    "an infinite number": LabelledRows(
        0, 1.0, ("a",), {**ONE, **WORDS, "rain": np.array([np.inf], np.float32)}, np.zeros(1), "me"
    ),
    "a label that is none": Labels(0, 1.0, ("a",), np.array([np.nan]), "me"),
    "more ids than labels": Labels(0, 1.0, ("a", "b"), np.array([1.0]), "me"),
    "no rows": Labels(0, 1.0, (), np.array([]), "me"),
    "ids of two requests": Shown(0, 1.0, ("a.0", "b.1"), {**ONE, **WORDS}, np.zeros(2), "m"),
}


@pytest.mark.parametrize("event", WRONG.values(), ids=WRONG)
def test_what_no_record_holds_is_refused_when_it_is_written(event: Event) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode(event, NUMBERS)
