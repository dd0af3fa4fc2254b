"""A row is taken as it was meant or put aside with the reason; JSON is read strictly, and nothing of it is repeated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from search.data.collect.body import TooManyRows, parse_rows
from search.data.collect.rows import Fault, RowCheck
from search.data.collect.schema import Column, Schema
from search.errors import InputError

CHECK = RowCheck(
    Schema(
        (
            Column("n", "number", min=-5),
            Column("i", "integer", max=10),
            Column("t", "text", max_length=5),
            Column("b", "boolean"),
            Column("d", "datetime"),
            Column("c", "text", choices=("x", "y")),
        )
    )
)


@pytest.mark.parametrize(
    ("column", "given", "stored"),
    [
        ("n", 3, 3.0),
        ("n", -0.5, -0.5),
        ("n", 2**53, 2.0**53),
        ("i", -(2**63), -(2**63)),
        ("i", 10, 10),
        ("t", "Größe", "Größe"),
        ("t", "", ""),
        ("b", False, False),
        ("d", "1970-01-01", 0),
        ("d", "1970-01-01T00:00:01Z", 1_000_000),
        ("d", "1970-01-01T01:00:00.000001+01:00", 1),
        ("d", "0001-01-01", -62_135_596_800_000_000),
        ("c", "y", "y"),
    ],
)
def test_a_value_is_stored_as_its_type(column: str, given: Any, stored: Any) -> None:
    values = CHECK({column: given})
    assert isinstance(values, list)
    assert [value for value in values if value is not None] == [stored]
    assert type(values["nitbdc".index(column)]) is type(stored)


@pytest.mark.parametrize(
    ("row", "column", "got"),
    [
        ({"n": "3"}, "n", "text"),
        ({"n": True}, "n", "boolean"),
        ({"n": 2**53 + 1}, "n", "integer that would lose digits"),
        ({"n": -6}, "n", "number below min"),
        ({"n": [1]}, "n", "list"),
        ({"i": 3.0}, "i", "number"),
        ({"i": 11}, "i", "integer above max"),
        ({"t": 3}, "t", "integer"),
        ({"t": "123456"}, "t", "a longer text"),
        ({"t": {}}, "t", "object"),
        ({"b": 1}, "b", "integer"),
        ({"d": 0}, "d", "integer"),
        ({"d": "tomorrow"}, "d", "text that is no ISO 8601 date"),
        ({"d": "2026-02-30"}, "d", "text that is no ISO 8601 date"),
        ({"d": "0001-01-01T00:00:00+23:59"}, "d", "text that is no ISO 8601 date"),
        ({"c": "z"}, "c", "another text"),
        ({"n": 1, "x": 1}, None, "an unknown column"),
        ({"n": None}, None, "nothing"),
        ({}, None, "nothing"),
        ([], None, "list"),
        (None, None, "nothing"),
        ("n", None, "text"),
    ],
)
def test_a_row_that_does_not_fit_is_put_aside_with_the_reason(row: Any, column: str | None, got: str) -> None:
    found = CHECK(row)
    assert isinstance(found, Fault)
    assert (found.column, found.got) == (column, got)


def test_a_required_value_may_not_be_missing() -> None:
    check = RowCheck(Schema((Column("a", "text", required=True), Column("b", "text"))))
    for row in ({"b": "x"}, {"a": None, "b": "x"}):
        assert check(row) == Fault("a", "text", "nothing")


def test_a_near_name_is_proposed_and_a_strange_one_is_not_repeated() -> None:
    check = RowCheck(Schema((Column("income", "number"),)))
    assert check({"incme": 3}) == Fault(
        None, "the columns of the schema only; did you mean 'income'?", "an unknown column"
    )
    strange = "<script>" * 1000
    assert "script" not in str(check({strange: 3}))


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"a": 1}', [{"a": 1}]),
        (b'{"rows": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}]),
        (b'{"rows": []}', []),
        (b'{"rows": 3}', [{"rows": 3}]),
        ('{"a": "\U0001f600 Größe"}'.encode(), [{"a": "\U0001f600 Größe"}]),
        (rb'{"a": "\ud83d\ude00"}', [{"a": "\U0001f600"}]),
        (rb'{"a": "\\ud83d"}', [{"a": r"\ud83d"}]),
        (b'{"a": -9223372036854775808}', [{"a": -(2**63)}]),
    ],
)
def test_json_is_read_as_it_was_meant(body: bytes, rows: list[Any]) -> None:
    assert parse_rows(body, most=10) == rows


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is not JSON: Expecting value (line 1, column 1)"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": -Infinity}', "-Infinity is no JSON"),
        (b'{"a": 1e400}', "a number is beyond a double"),
        (b'{"a": 9223372036854775808}', "a whole number is beyond 64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a whole number is beyond 64 bits"),
        (b'{"a": 1, "a": 2}', "a name stands twice in one object"),
        (b'{"rows": [{"a": 1, "a": 1}]}', "a name stands twice in one object"),
        (rb'{"a": "\ud83d"}', "a text holds half of a surrogate pair"),
        (rb'{"\uDe00": 1}', "a text holds half of a surrogate pair"),
        (b'{"a": "\xff"}', "the body is not UTF-8 at byte 7"),
        (b'\xef\xbb\xbf{"a": 1}', "the body is not JSON"),
        (b"[" * 100_000, "the body is nested too deep"),
        (b'{"a":' * 100_000, "the body is nested too deep"),
        (b'[{"a": 1}]', 'a request is one object, or {"rows": [...]}'),
        (b"3", 'a request is one object, or {"rows": [...]}'),
        (b'{"rows": [], "more": 1}', 'beside "rows" there is nothing in a batch'),
        (b'{"a": 1} {"a": 2}', "the body is not JSON: Extra data"),
    ],
)
def test_json_that_leaves_something_open_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(InputError) as told:
        parse_rows(body, most=10)
    assert told.value.message.startswith(sentence)
    assert len(told.value.message) < 200


@pytest.mark.parametrize("rows", [[{"a": 1}] * 11, [[]] * 11, [{"a": {"b": {}}}] * 5])
def test_a_request_has_at_most_so_many_rows(rows: list[Any]) -> None:
    with pytest.raises(TooManyRows, match="a request has at most 10 rows"):
        parse_rows(json.dumps({"rows": rows}).encode(), most=10)
