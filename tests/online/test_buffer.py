"""The rows to learn from again, held against a list of all that ever came.

Each of these turns it red: rows that go at the wrong end, a drift that leaves old rows, draws that miss the oldest or
the newest row or that are not all alike, recent draws without favour, a state without the old rows or the count of
all, features that are not moved along with their rows, arrays of a state that are written into later.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.online import buffer as module
from search.online.buffer import Buffer, Rows
from search.online.packing import texts

Array = np.ndarray[Any, Any]


def rows(first: int, count: int) -> tuple[dict[str, Array], Array, Array]:
    """Return columns, targets and features of rows, all of which tell the row's number."""
    numbers = np.arange(first, first + count)
    columns = {"a": numbers.astype(np.float32), "b c/d": texts([f"é{one}" for one in numbers])}
    return columns, numbers.astype(np.int64), np.column_stack([numbers, -numbers]).astype(np.float32)


def filled(count: int, *, capacity: int = 100, old: int = 0) -> Buffer:
    """Return a buffer of rows 0, 1, ...; old ones are -1, -2, ..."""
    buffer = Buffer(capacity)
    columns, targets, features = rows(-old, old)
    buffer.put_old(Rows(columns, targets), features)
    for begin in range(0, count, 7):
        buffer.add(*rows(begin, min(7, count - begin)))
    return buffer


def newest(buffer: Buffer, count: int = 10**6) -> list[int]:
    part = buffer.newest(count)
    assert (part.features == np.column_stack([part.target, -part.target])).all()
    return [int(one) for one in part.target]


@settings(deadline=None)  # of a busy machine
@given(st.lists(st.tuples(st.sampled_from(["add", "drop", "save"]), st.integers(0, 40)), max_size=30))
@example([("add", 1), ("drop", 0), ("save", 0)])  # nothing is left, and it is still known what rows are like
def test_it_holds_the_newest_rows_whatever_happens(steps: list[tuple[str, int]]) -> None:
    buffer, model, first = Buffer(50), list[int](), 0
    for step, count in steps:
        if step == "add" and count:
            buffer.add(*rows(first, count))
            model, first = [*model, *range(first, first + count)][-50:], first + count
        elif step == "drop":
            buffer.drop_old(count)
            model = model[len(model) - min(count, len(model)) :]
        elif step == "save":
            saved, buffer = buffer.state(), Buffer(50)
            buffer.load(*saved)
        assert (buffer.new, buffer.total) == (len(model), first)
        if first:
            assert newest(buffer) == model
            assert newest(buffer, 3) == model[-3:]
            raw = buffer.rows()
            assert raw.columns["b c/d"].tolist() == [f"é{one}" for one in model]
            assert raw.columns["a"].tolist() == model


def test_a_drift_leaves_only_the_newest_rows() -> None:
    buffer = filled(60, old=30)
    assert len(buffer) == 90
    buffer.drop_old(10)
    assert (buffer.old, newest(buffer)) == (0, list(range(50, 60)))
    assert buffer.oldest(np.random.default_rng(0), 5) is None


def test_all_rows_are_drawn_alike_old_ones_too() -> None:
    buffer = filled(20, old=20)
    drawn = buffer.sample(np.random.default_rng(0), 40_000)
    assert (drawn.features[:, 0] == drawn.target).all()
    counts = np.bincount(drawn.target + 20, minlength=40)
    assert counts.min() > 850
    assert counts.max() < 1150


def test_recent_draws_favour_the_newest_and_leave_out_none() -> None:
    buffer = filled(80, old=20)
    drawn = buffer.recent(np.random.default_rng(0), 40_000).target
    assert set(drawn) == set(range(-20, 80))
    assert np.mean(drawn == 79) == pytest.approx(np.log(2) / np.log(101), abs=0.01)
    assert np.mean(drawn >= 70) > 0.5


def test_old_rows_are_drawn_once_each() -> None:
    buffer = filled(0, old=50)
    part = buffer.oldest(np.random.default_rng(0), 20)
    assert part is not None
    assert len(set(part.target)) == 20
    everything = buffer.oldest(np.random.default_rng(0), 200)
    assert everything is not None
    assert everything.target.tolist() == list(range(-50, 0))


def test_a_state_is_all_of_it_and_stays_what_it_is() -> None:
    buffer, other = filled(150, old=10), Buffer(100)
    saved = buffer.state()
    copies = {name: array.copy() for name, array in saved[0].items()}
    other.load(*saved)
    for one in (buffer, other):
        one.add(*rows(150, 33))
        one.drop_old(80)
    assert all(np.array_equal(array, copies[name]) for name, array in saved[0].items())
    assert all(array.dtype != object for array in copies.values())  # nothing to pickle
    drawn = [one.sample(np.random.default_rng(1), 50).target.tolist() for one in (buffer, other)]
    assert drawn[0] == drawn[1]


def test_features_can_be_prepared_in_another_way() -> None:
    buffer = filled(150)
    buffer.replace_features(np.column_stack([buffer.rows().targets * 2] * 3).astype(np.float32))
    assert buffer.newest(4).features.tolist() == [[2.0 * one] * 3 for one in (146, 147, 148, 149)]
    columns, targets, features = rows(150, 90)
    buffer.add(columns, targets, features[:, [0, 0, 0]])
    assert buffer.newest(91).features[:2].tolist() == [[298.0] * 3, [150.0] * 3]


def test_large_rows_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 8 * 20)  # features of a row are 8 bytes
    assert newest(filled(70)) == list(range(50, 70))
