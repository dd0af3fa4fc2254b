"""Bodies become columns; what is wrong is told by row and column, and never echoed at length."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.bundle.signature import MOST_LEVELS, Input, Kind, Signature
from search.serve.limits import Limits
from search.serve.rows import BadRows, Reader, Rows
from search.serve.values import MOST_ERRORS
from tests.bundle.bundles import signature_of

PLAIN = signature_of(unused=("id",))
PICTURE = signature_of("multiclass", image=(1, 2, 8))
ROW = {"age": 31, "income": 2.5, "town": "Bonn"}
LIMITS = Limits(rows=100)


def read(told: Any, signature: Signature = PLAIN, limits: Limits = LIMITS) -> Rows:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return Reader(signature, limits)(body)


def refused(told: Any, signature: Signature = PLAIN, limits: Limits = LIMITS) -> BadRows:
    with pytest.raises(BadRows) as caught:
        read(told, signature, limits)
    bad = caught.value
    error = json.loads(bad.answer())["error"]
    assert error["code"] == bad.status
    assert len(bad.answer()) < 10_000
    return bad


@pytest.mark.parametrize(
    ("told", "form"),
    [(ROW, "record"), ({"rows": [ROW]}, "records"), ({"columns": {name: [ROW[name]] for name in ROW}}, "columns")],
)
def test_all_forms_give_the_same_columns(told: Any, form: str) -> None:
    rows = read(told)
    assert (rows.form, rows.count) == (form, 1)
    assert rows.columns["age"].dtype == np.float32
    assert {name: values.tolist() for name, values in rows.columns.items()} == {name: [ROW[name]] for name in ROW}


@pytest.mark.parametrize("count", [1, 50])
def test_null_is_a_missing_number_or_an_empty_text(count: int) -> None:
    rows = read({"rows": [{"age": None, "income": None, "town": None}] * count})
    assert np.isnan(rows.columns["age"]).all()
    assert rows.columns["town"].tolist() == [""] * count


def test_columns_that_the_model_does_not_read_are_taken_and_ignored() -> None:
    assert "id" not in read({**ROW, "id": ["whatever"]}).columns


@pytest.mark.parametrize("count", [1, 50])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"age": "abc"}, "expected a number, got 'abc'"),
        ({"age": "31"}, "expected a number, got '31'"),
        ({"age": True}, "expected a number, got true"),
        ({"age": [1]}, "expected a number, got a list"),
        ({"age": 2**63}, "expected a number between -9.22e+18 and 9.22e+18, got a larger one"),
        ({"age": -1e300}, "expected a number between -9.22e+18 and 9.22e+18, got a larger one"),
        ({"town": 3}, "expected a text, got 3"),
        ({"town": {"a": 1}}, "expected a text, got an object"),
        ({"town": "\ud800"}, "expected a text of whole characters, got half of a surrogate pair"),
        ({"town": "x" * 1000 + "\udfff"}, "expected a text of whole characters, got half of a surrogate pair"),
        ({"age": "y" * 1000}, f"expected a number, got '{'y' * 37}...'"),
        ({"agee": 3}, "is no column of the model; did you mean 'age'?"),
    ],
)
def test_a_wrong_value_is_told_by_row_and_column(values: dict[str, Any], message: str, count: int) -> None:
    bad = refused({"rows": [ROW] * (count - 1) + [{**ROW, **values}]})
    (column,) = values
    assert (bad.status, bad.field) == (422, f"rows[{count - 1}].{column}")
    assert bad.errors == ({"row": count - 1, "column": column, "message": message},)


@pytest.mark.parametrize(
    ("told", "status", "field", "words"),
    [
        (b"", 400, "body", "is not JSON"),
        (b"{", 400, "body", "is not JSON"),
        (b"\xff", 400, "body", "is not UTF-8 at byte 0"),
        (b"\xef\xbb\xbf{}", 400, "body", "begins with a byte-order mark"),
        (b"[" * 50_000, 400, "body", "nested too deep"),
        (b"[" * 100_000, 422, "body", "more lists or names than rows"),
        (b"null", 422, "body", "got null"),
        (b"[]", 422, "body", "got a list"),
        (b'{"age": NaN}', 422, "body", "NaN is no JSON"),
        (b'{"age": -Infinity}', 422, "body", "-Infinity is no JSON"),
        (b'{"age": 1e400, "income": 1, "town": "a"}', 422, "age", "got a larger one"),
        (b'{"age": 1' + b"0" * 5000 + b"}", 422, "body", "thousands of digits"),
        (b'{"age": 1' + b"0" * 400 + b', "income": 1, "town": ""}', 422, "age", "got a larger one"),
        (b'{"age": 1, "age": 2}', 422, "body", "'age' stands twice"),
        (b'{"rows": "x"}', 422, "rows", "expected a list of rows, got 'x'"),
        (b'{"rows": []}', 422, "rows", "at least one row"),
        (b'{"rows": [1]}', 422, "rows[0]", "got 1"),
        (b'{"rows": [{}]}', 422, "rows[0].age", "is missing"),
        (b'{"rows": [{}], "more": 1}', 422, "body", 'beside "rows" there is nothing'),
        (b'{"rows": [{}], "columns": {}}', 422, "body", 'beside "rows" there is nothing'),
        (b'{"columns": []}', 422, "columns", "got a list"),
        (b'{"columns": {"age": 1, "income": [1], "town": ["a"]}}', 422, "columns.age", "expected a list, got 1"),
        (b'{"columns": {"age": [1], "income": [1, 2], "town": ["a"]}}', 422, "columns.income", "has 2 values"),
        (b'{"columns": {"age": [1, "x"], "income": [1, 2], "town": ["a", ""]}}', 422, "columns.age[1]", "got 'x'"),
        (b"{}", 422, "age", "is missing"),
    ],
)
def test_a_body_that_is_none_is_told_by_its_place(told: bytes, status: int, field: str, words: str) -> None:
    bad = refused(told)
    assert (bad.status, bad.field) == (status, field)
    assert words in bad.message


@pytest.mark.parametrize(
    "told",
    [
        {"rows": [ROW] * 101},
        {"columns": {name: [ROW[name]] * 101 for name in ROW}},
        b'{"rows":[' + b"{}," * 100_000 + b"{}]}",
    ],
)
def test_too_many_rows_are_refused(told: Any) -> None:
    assert refused(told).status == 413


def test_marks_inside_of_texts_are_no_objects_and_no_lists() -> None:
    assert read({"rows": [{**ROW, "town": "{[" * 2000}] * 20}).count == 20


def test_only_the_first_errors_are_told() -> None:
    bad = refused({"rows": [{**ROW, "age": "x", "town": 1}] * 60})
    assert len(bad.errors) == MOST_ERRORS
    assert [one["row"] for one in bad.errors[:4]] == [0, 0, 1, 1]
    assert "and many more" in bad.message
    assert len(refused({f"column {number}": 1 for number in range(1000)}).errors) == MOST_ERRORS


def test_more_names_than_rows_can_have_are_refused_before_they_are_read() -> None:
    assert "more lists or names" in refused({f"column {number}": 1 for number in range(5000)}).message
    assert read({"rows": [{**ROW, "town": "12:30:15" * 50}] * 100}).count == 100


@pytest.mark.parametrize(("levels", "strange"), [(0, 0), (2, 1), (MOST_LEVELS, 0)])
def test_texts_are_strange_only_where_all_of_training_are_listed(levels: int, strange: int) -> None:
    town = Input("town", Kind.TEXT, "", levels=tuple(f"town {number}" for number in range(levels)))
    rows = read({"rows": [{"town": "elsewhere"}, {"town": ""}]}, replace(PLAIN, inputs=(town,)))
    assert sum(rows.strange.values()) == strange


def test_truth_is_a_number_where_training_had_nothing_else() -> None:
    member = Input("member", Kind.NUMBER, 1.0, low=0.0, high=1.0, whole=True)
    signature = replace(PLAIN, inputs=(member,))
    assert read({"rows": [{"member": True}, {"member": 0}]}, signature).columns["member"].tolist() == [1.0, 0.0]
    assert "true or false" in refused({"member": "yes"}, signature).message


def test_numbers_as_large_as_those_of_the_training_are_taken() -> None:
    signature = replace(PLAIN, inputs=(Input("mass", Kind.NUMBER, 1.0, low=0.0, high=1e30),))
    assert read({"mass": 1e31}, signature).columns["mass"].tolist() == [np.float32(1e31)]
    assert refused({"mass": 1e39}, signature).status == 422


def test_a_model_may_have_columns_of_the_names_of_the_forms() -> None:
    signature = signature_of(numbers=("rows", "columns"), texts=())
    assert read({"rows": 3, "columns": 4}, signature).form == "record"
    assert read({"rows": [{"rows": 3, "columns": 4}]}, signature).form == "records"
    assert read({"columns": {"rows": [3], "columns": [4]}}, signature).form == "columns"


@pytest.mark.parametrize("count", [1, 50])
def test_what_training_has_not_seen_is_counted(count: int) -> None:
    rows = read({"rows": [{"age": 1000, "income": None, "town": "Rom"}] * count})
    assert rows.strange == {"age": count, "town": count}


PIXELS = bytes(range(16))


@pytest.mark.parametrize(
    "image",
    [
        base64.b64encode(PIXELS).decode(),
        [[value / 255 for value in PIXELS[:8]], [value / 255 for value in PIXELS[8:]]],
        [[[value / 255 for value in PIXELS[:8]], [value / 255 for value in PIXELS[8:]]]],
    ],
)
def test_an_image_is_base64_of_its_bytes_or_lists(image: Any) -> None:
    found = read({"image": image}, PICTURE).columns["image"]
    assert found.shape == (1, 1, 2, 8)
    np.testing.assert_allclose(found.ravel(), np.arange(16) / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("", "got 0 bytes"),
        ("AAAA", "expected base64 of 16 bytes, the raw pixels (1 x 2 x 8), got 3 bytes"),
        (base64.b64encode(b"\x89PNG\r\n\x1a\nand so on").decode(), "(1 x 2 x 8), got a PNG or JPEG file"),
        ("not base64", "expected base64"),
        (3, "got 3"),
        (None, "got null"),
        ([[0.5] * 8], "got others"),
        ([[0.5] * 8, [0.5] * 7], "got others"),
        ([[0.5] * 8, [0.5] * 7 + ["0.5"]], "got '0.5'"),
        ([[0.5] * 8, [0.5] * 7 + [17]], "got 17"),
        ([[0.5] * 8, [0.5] * 7 + [[0.5]]], "got a list"),
    ],
)
def test_another_image_is_refused(image: Any, words: str) -> None:
    assert words in refused({"image": image}, PICTURE).message


_text = st.text(max_size=8)
_values = st.none() | st.booleans() | st.integers() | st.floats() | _text
_json = st.recursive(_values, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4))
_rows = st.fixed_dictionaries(dict.fromkeys(ROW, _values)) | _json
_told = st.one_of(
    _rows,
    st.builds(lambda rows: {"rows": rows}, st.lists(_rows, max_size=40)),
    st.builds(lambda one: {"columns": one}, _json),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(told=_told)
def test_whatever_comes_is_taken_or_refused(told: Any) -> None:
    try:
        rows = Reader(PLAIN, LIMITS)(json.dumps(told).encode())
    except BadRows as refusal:
        bad = refusal
    else:
        assert {len(values) for values in rows.columns.values()} == {rows.count}
        assert not np.isinf(rows.columns["age"]).any()
        return
    assert bad.status in (400, 413, 422)
    assert len(bad.answer()) < 10_000
