"""The header of weights is believed when the file is as it says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load, save

from search.bundle.weightsfile import check_weights

ARRAYS: list[dict[str, np.ndarray[Any, Any]]] = [
    {},
    {"w": np.zeros((2, 3), np.float32)},
    {"w": np.zeros((0, 3), np.float64), "b": np.ones(1, np.float32), "é": np.zeros((), np.int64)},
    {name: np.ones(3, np.float16) for name in "abc"},
    {"flag": np.zeros(3, bool), "u": np.zeros(2, np.uint8), "i": np.zeros(1, np.int16)},
]


@pytest.mark.parametrize("arrays", ARRAYS)
def test_what_the_library_writes_goes_through(arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    check_weights(save(arrays))


def test_so_does_metadata() -> None:
    check_weights(save({"w": np.zeros(1, np.float32)}, metadata={"a": "b"}))


def file(header: Any, body: bytes = b"", *, length: int | None = None) -> bytes:
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(told) if length is None else length).to_bytes(8, "little") + told + body


def one(dtype: Any = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


WRONG = [
    (b"", "cut off"),
    (b"\0" * 7, "cut off"),
    (file({}, length=2**63), "cut off"),
    (file({}, length=3), "cut off"),
    (file([]), "no object"),
    (file(b"{"), "Expecting"),
    (file(b'{"w": {}, "w": {}}'), "'w' is there twice"),
    (file({"__metadata__": {"a": 1}}), "__metadata__"),
    (file({}, b"more"), "do not fill"),
    (file(one(), b"\0" * 5), "do not fill"),
    (file(one(), b"\0" * 3), "do not fill"),
    (file(one("F33"), b"\0" * 4), "no known kind"),
    (file(one(shape=[-1]), b"\0" * 4), "no known kind"),
    (file(one(shape=[2]), b"\0" * 4), "not where it should be"),
    (file(one(offsets=[1, 5]), b"\0" * 5), "not where it should be"),
    (file(one(offsets=[4, 0]), b"\0" * 4), "not where it should be"),
    (file(one(offsets=[0]), b"\0" * 4), "no known kind"),
    (file(one(offsets=["0", "4"]), b"\0" * 4), "expected a whole number"),
    (file(one(shape=[2**62, 2**62]), b"\0" * 4), "not where it should be"),
    (file({**one(), "v": one()["w"]}, b"\0" * 4), "not where it should be"),
    (file({"w": {**one()["w"], "more": 1}}, b"\0" * 4), "more is not known"),
]


@pytest.mark.parametrize(("content", "said"), WRONG)
def test_what_is_not_as_it_says_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_weights(content)


@given(st.data())
def test_what_goes_through_is_what_the_library_loads(data: st.DataObject) -> None:
    whole = save({"w": np.zeros((2, 2), np.float32), "b": np.zeros(2, np.float16)})
    at = data.draw(st.integers(0, len(whole) - 13))
    content = whole[:at] + data.draw(st.binary(min_size=1, max_size=3)) + whole[at + data.draw(st.integers(0, 3)) :]
    try:
        check_weights(content)
    except ValueError:
        return
    try:
        load(content)
    except SafetensorError as error:  # it is stricter with what it likes; nothing is read wrongly
        pytest.fail(f"the library refuses: {error}")
