"""JSON of somebody else's is read in one way, or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.bundle import strict
from search.bundle.signature import Input, Kind, Signature

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_all_that_json_can_say_is_read_back(values: Any) -> None:
    assert strict.parse(json.dumps(values, ensure_ascii=False).encode()) == values


@given(st.binary(max_size=60))
def test_no_bytes_end_in_anything_but_a_value_or_a_value_error(content: bytes) -> None:
    try:
        strict.parse(content)
    except ValueError:
        return


AMBIGUOUS = [
    (b'{"a": 1, "a": 1}', "'a' is there twice"),
    (b'[{"b": {"a": 1, "a": 2}}]', "'a' is there twice"),
    (b'{"a": 1, "\\u0061": 2}', "'a' is there twice"),
    (b"NaN", "NaN is no number"),
    (b"[-Infinity]", "-Infinity is no number"),
    (b"1e400", "too large"),
    (b"-1e400", "too large"),
    (b"9223372036854775808", "too large"),
    (b"1" * 5000, "too large"),
    (b"[" * 33 + b"]" * 33, "nested too deep"),
    (b'{"a":' * 40 + b"1" + b"}" * 40, "nested too deep"),
    (b"[" * 10**6, "nested too deep"),
    (b'"\\ud800"', "surrogates not allowed"),
    (b'{"\\udfff": 1}', "surrogates not allowed"),
    (b"\xef\xbb\xbf{}", "BOM"),
    ('{"a": 1}'.encode("utf-16"), "utf-8"),
    (b"{} {}", "Extra data"),
    (b"", "Expecting value"),
    (b"{'a': 1}", "Expecting property name"),
]


@pytest.mark.parametrize(("content", "said"), AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        strict.parse(content)


@dataclass(frozen=True)
class Inner:
    number: int
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: tuple[Inner, ...]
    one: Inner | None = None
    kind: Kind = Kind.TEXT
    free: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    example: float | str | None = None
    used: bool = True


RIGHT: dict[str, Any] = {"name": "a", "inner": [{"number": 1}], "kind": "number", "counts": {"x": 2}, "free": {"y": []}}


def test_what_a_type_is_made_of_goes_through() -> None:
    strict.check(RIGHT, Outer)
    strict.check(json.loads(json.dumps(asdict(Outer("a", (Inner(1, 2.0),), Inner(3))))), Outer)
    signature = Signature(
        "binary", "y", (Input("a", Kind.NUMBER, 1.0), Input("b", Kind.TEXT, "x", levels=("x",))), ("n", "y")
    )
    strict.check(json.loads(json.dumps(signature.to_json())), Signature)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": 1}, "name is 1, expected a text"),
    ({"name": None}, "name is null, expected a text"),
    ({"inner": {}}, "inner is {}, expected a list"),
    ({"inner": "ab"}, 'inner is "ab", expected a list'),
    ({"inner": [1]}, r"inner\[0\] is 1, expected an object"),
    ({"inner": [{"number": 1.0}]}, r"inner\[0\]\.number is 1.0, expected a whole number"),
    ({"inner": [{"number": True}]}, r"inner\[0\]\.number is true, expected a whole number"),
    ({"inner": [{}]}, r"inner\[0\]\.number is missing"),
    ({"inner": [{"number": 1, "share": "x"}]}, 'share is "x", expected a number'),
    ({"inner": [{"number": 1, "share": False}]}, "share is false, expected a number"),
    ({"one": []}, r"one is \[\], expected an object"),
    ({"kind": "date"}, 'kind is "date", expected number or text or image'),
    ({"kind": []}, r"kind is \[\]"),
    ({"free": []}, r"free is \[\], expected an object"),
    ({"counts": {"x": "2"}}, r"counts\.x is \"2\", expected a whole number"),
    ({"example": []}, r"example is \[\]"),
    ({"used": 1}, "used is 1, expected true or false"),
    ({"more": 1}, "more is not known"),
]


@pytest.mark.parametrize(("changed", "said"), WRONG)
def test_what_a_type_is_not_made_of_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        strict.check({**RIGHT, **changed}, Outer)
