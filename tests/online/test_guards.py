"""Guards: odd rows, sudden shifts of the labels, shares of the sources, and rows that are held out.

Mutations that turn these red: widen no range, or by less or more than half (`Ranges._limit`); compare with the float64
of the signature; let an infinite number pass, or hold a missing one for odd; check texts of a long list, or of an input
that the model ignores; take 20% for more than 20% (`Ranges.note`), or odd rows of long ago; widen by the most extreme
row (`_EXTREME`); widen at each odd row; judge labels without knowing what is usual (`_FEWEST`); hold for ever, or never
(`_LONGEST`); let labels that are held become what is usual (`LabelShift._push`); take what chance does to many classes
for a shift (`LabelShift._limit`); let go of rows and hold them again by turns (`_BACK`); cap a source that is alone, or
by those who are not active (`Shares.admits`); count what was not learnt as learnt; forget none of the older rows; hold
out by anything but the id; save less than all that `to_json` gives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from search.bundle.signature import MOST_LEVELS, Input, Kind
from search.online.guards import Shares, is_holdout
from search.online.labelshift import LabelShift
from search.online.ranges import Ranges

Array = np.ndarray[Any, Any]

INPUTS = (
    Input("heat", Kind.NUMBER, low=0.0, high=10.0),
    Input("same", Kind.NUMBER, low=0.1, high=0.1),
    Input("none", Kind.NUMBER),
    Input("town", Kind.TEXT, levels=("a", "b")),
    Input("street", Kind.TEXT, levels=tuple(map(str, range(MOST_LEVELS)))),
    Input("id", Kind.TEXT),
    Input("note", Kind.NUMBER, low=0.0, high=1.0, used=False),
    Input("image", Kind.IMAGE, shape=(1, 2, 2)),
)
USUAL = {"heat": 5.0, "same": 0.1, "none": 0.0, "town": "a", "street": "0", "id": "x", "note": 0.0}


def columns(*given: dict[str, Any]) -> dict[str, Array]:
    """Return rows that are usual, but for what is given."""
    rows = [{**USUAL, **one} for one in given]
    kinds = {name: object if isinstance(value, str) else np.float32 for name, value in USUAL.items()}
    made = {name: np.array([row[name] for row in rows], dtype=kind) for name, kind in kinds.items()}
    return {**made, "image": np.zeros((len(rows), 1, 2, 2), np.float32)}


def copied(guard: Any) -> Any:
    """Return what is opened from what was saved."""
    return type(guard).from_json(json.loads(json.dumps(guard.to_json(), allow_nan=False, sort_keys=True)))


INSIDE: list[dict[str, Any]] = [
    {},
    {"heat": -5.0},
    {"heat": 15.0},
    {"heat": np.nan},
    {"none": 3e38},
    {"town": "b"},
    {"town": ""},
    {"street": "somewhere"},
    {"id": "new"},
    {"note": 99.0},
]
OUTSIDE: list[dict[str, Any]] = [
    {"heat": -5.01},
    {"heat": 15.01},
    {"heat": np.inf},
    {"same": 0.11},
    {"none": -np.inf},
    {"town": "c"},
    {"town": "A"},
]


@pytest.mark.parametrize("given", INSIDE)
def test_rows_like_those_of_training_lie_inside(given: dict[str, Any]) -> None:
    assert Ranges(INPUTS).outside(columns({}, given)).tolist() == [False, False]


@pytest.mark.parametrize("given", OUTSIDE)
def test_odd_rows_lie_outside(given: dict[str, Any]) -> None:
    assert Ranges(INPUTS).outside(columns({}, given)).tolist() == [False, True]


def test_the_largest_range_there_is_holds_all_but_the_infinite() -> None:
    largest = float(np.finfo(np.float32).max)
    ranges = Ranges([Input("x", Kind.NUMBER, low=-largest, high=largest)])
    values = np.array([-largest, largest, np.inf, -np.inf], np.float32)
    assert ranges.outside({"x": values}).tolist() == [False, False, True, True]


def test_a_model_of_images_has_no_ranges() -> None:
    assert Ranges(INPUTS[-1:]).outside(columns({"heat": np.inf})).tolist() == [False]


def note(ranges: Ranges, *given: dict[str, Any]) -> list[bool]:
    """Take note of rows one by one, as labels come."""
    tables = [columns(one) for one in given]
    return [ranges.note(table, outside=bool(ranges.outside(table)[0])) for table in tables]


def test_a_fifth_of_the_newest_rows_may_be_odd_and_not_one_more() -> None:
    ranges = Ranges(INPUTS)
    odd: dict[str, Any] = {"heat": 30.0}
    assert not any(note(ranges, *[{}, {}, odd, {}, {}] * 100))
    assert ranges.outside(columns(odd)).all()
    assert note(ranges, odd, odd)[0]
    assert not ranges.outside(columns(odd)).any()


def test_odd_rows_from_the_first_on_are_a_change_after_41() -> None:
    assert note(Ranges(INPUTS), *[{"heat": 30.0}] * 60) == [*[False] * 40, True, *[False] * 19]


def test_odd_rows_far_apart_are_never_a_change() -> None:
    ranges = Ranges(INPUTS)
    assert not any(note(ranges, *[{"heat": 30.0}, *[{}] * 5] * 120))


def test_ranges_are_widened_to_where_rows_are_now() -> None:
    ranges = Ranges(INPUTS)
    note(ranges, *[{"heat": 20.0 + 0.1 * number} for number in range(41)])
    # from 0 to nine tenths of the odd rows, and half of that on either side
    assert ranges.outside(columns({"heat": 35.3}, {"heat": 35.5}, {"heat": -11.7}, {"heat": -11.9})).tolist() == [
        False,
        True,
        False,
        True,
    ]


def test_one_absurd_value_among_the_odd_widens_nothing() -> None:
    ranges = Ranges(INPUTS)
    assert any(note(ranges, {"heat": 1e30}, {"heat": -np.inf}, *[{"heat": 30.0}] * 40))
    assert ranges.outside(columns({"heat": 1e3}, {"heat": -1e3}, {"none": np.inf})).all()


def test_texts_that_come_again_are_known_after_a_change_and_others_are_not() -> None:
    ranges = Ranges(INPUTS)
    assert any(note(ranges, {"town": "once"}, *[{"town": "c"}] * 40))
    assert ranges.outside(columns({"town": "c"}, {"town": "once"}, {"town": "a"})).tolist() == [False, True, False]


def test_a_new_text_among_rows_that_are_odd_for_another_reason_stays_odd() -> None:
    ranges = Ranges(INPUTS)
    assert any(note(ranges, {"heat": 30.0, "town": "once"}, *[{"heat": 30.0}] * 40))
    assert ranges.outside(columns({"heat": 30.0}, {"town": "yet another"})).tolist() == [False, True]


@pytest.mark.parametrize("times", [1, 2])
def test_texts_that_are_ever_others_are_odd_no_more(times: int) -> None:
    ranges = Ranges(INPUTS)
    new = [{"town": f"town {number // times}"} for number in range(300)]
    assert sum(note(ranges, *new)) <= 3
    assert not ranges.outside(columns({"town": "yet another"})).any()
    assert ranges.outside(columns({"heat": 99.0})).all()


@pytest.mark.parametrize("at", [0, 10, 41, 70, 130])
def test_ranges_that_are_opened_go_on_alike(at: int) -> None:
    given: list[dict[str, Any]] = [{"heat": 30.0}, {"heat": np.inf, "town": "c"}, {"town": "c"}] * 70
    ranges = Ranges(INPUTS)
    before = note(ranges, *given[:at])
    opened = copied(ranges)
    after = note(opened, *given[at:])
    assert after == note(ranges, *given[at:])
    assert sum(before + after) >= 2
    assert opened.to_json() == ranges.to_json()


# --- labels ---


def held(shift: LabelShift, labels: Iterable[float]) -> list[bool]:
    return [shift.update(label) for label in labels]


def labels(seed: int, rows: int, *shares: float) -> list[float]:
    drawn = np.random.default_rng(seed).choice(len(shares), size=rows, p=np.array(shares) / sum(shares))
    return [float(label) for label in drawn]


def values(seed: int, rows: int, middle: float) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(middle, 1, rows)]


@pytest.mark.parametrize(
    "shares", [(0.5, 0.5), (0.99, 0.01), (1, 1, 1), [1] * 10, [1] * 100, [1 / (1 + rank) for rank in range(30)]]
)
def test_labels_that_stay_are_never_held(shares: list[float]) -> None:
    shift = LabelShift([str(label) for label in range(len(shares))])
    assert not any(held(shift, labels(0, 4_000, *shares)))


def test_values_that_stay_are_never_held() -> None:
    assert not any(held(LabelShift(()), values(0, 4_000, 0.0)))
    assert not any(held(LabelShift(()), [1.0] * 1_000))


SHIFTS = [
    (LabelShift("ab"), labels(0, 1_500, 0.6, 0.4), labels(1, 900, 0.0, 1.0)),
    (LabelShift("abc"), labels(0, 250, 0.6, 0.4, 0.0), labels(1, 900, 0.0, 0.1, 0.9)),
    (LabelShift("".join(map(chr, range(100)))), labels(0, 1_500, *[1] * 100), [7.0] * 900),
    (LabelShift(()), values(0, 1_500, 0.0), values(1, 900, 3.0)),
]


@pytest.mark.parametrize(("shift", "before", "after"), SHIFTS)
def test_labels_that_are_suddenly_others_are_held_for_300_rows_and_then_taken(
    shift: LabelShift, before: list[float], after: list[float]
) -> None:
    shift = copied(shift)
    assert not any(held(shift, before))
    found = held(shift, after)
    first = found.index(True)
    assert first < 80
    assert found == [*[False] * first, *[True] * 300, *[False] * (600 - first)]
    assert shift.stays is False  # of the holding that comes next


def test_what_comes_to_stay_is_told_with_the_first_row_after() -> None:
    shift = LabelShift("ab")
    held(shift, labels(0, 1_500, 0.6, 0.4))
    told = [(shift.update(1.0), shift.stays) for _ in range(450)]
    last = max(row for row, (is_held, _) in enumerate(told) if is_held)
    assert not any(stays for _, stays in told[: last + 1])
    assert told[last + 1] == (False, True)


def test_a_burst_is_held_until_it_is_over_and_does_not_stay() -> None:
    shift = LabelShift("ab")
    held(shift, labels(0, 1_500, 0.6, 0.4))
    burst = held(shift, [1.0] * 150)
    assert burst[-1]
    after = [(shift.update(label), shift.stays) for label in labels(1, 500, 0.6, 0.4)]
    over = [is_held for is_held, _ in after].index(False)
    assert 0 < over < 100
    assert not any(is_held or stays for is_held, stays in after[over:])
    assert sum(held(shift, [1.0] * 150)) > 50  # the burst has not become what is usual


def test_a_burst_is_held_to_its_end_even_where_little_was_usual() -> None:
    shift = LabelShift("ab")
    held(shift, labels(0, 250, 0.5, 0.5))
    burst = held(shift, [1.0] * 350)
    assert all(burst[burst.index(True) :])
    assert not any(held(shift, labels(1, 250, 0.5, 0.5))[100:])


def test_nothing_is_held_before_it_is_known_what_is_usual() -> None:
    assert not any(held(LabelShift("ab"), [*[0.0] * 99, *[1.0] * 100]))


def test_labels_between_the_two_bounds_are_held_in_one_go() -> None:
    shift = LabelShift("ab")
    held(shift, labels(0, 1_500, 0.8, 0.2))
    found = held(shift, labels(1, 299, 0.42, 0.58))
    begins = [row for row in range(1, len(found)) if found[row] and not found[row - 1]]
    assert len(begins) <= 1


@pytest.mark.parametrize(("shift", "before", "after"), SHIFTS)
@pytest.mark.parametrize("at", [50, 150, 1_600, 2_050])
def test_a_shift_that_is_opened_goes_on_alike(
    shift: LabelShift, before: list[float], after: list[float], at: int
) -> None:
    stream = [*before, *after, *before]
    shift = copied(shift)
    held(shift, stream[:at])
    opened = copied(shift)
    assert held(opened, stream[at:]) == held(shift, stream[at:])
    assert opened.to_json() == shift.to_json()


# --- sources ---


def learnt(shares: Shares, sources: Iterable[str]) -> Counter[str]:
    return Counter(source for source in sources if shares.admits(source))


def test_a_source_that_is_alone_is_not_capped() -> None:
    assert learnt(Shares(), ["a"] * 3_000) == {"a": 3_000}


def test_two_that_send_alike_are_learnt_alike_and_whole() -> None:
    assert learnt(Shares(), ["a", "b"] * 1_000) == {"a": 1_000, "b": 1_000}


@pytest.mark.parametrize("part", [10, 20, 50])
def test_a_source_that_floods_has_half_of_what_is_learnt(part: int) -> None:
    shares = Shares()
    stream = [*["flood"] * (part - 1), "other"] * (5_000 // part)
    learnt(shares, stream)
    found = learnt(shares, stream)
    assert found["other"] == 5_000 // part
    assert abs(found["flood"] - found["other"]) <= 6


def test_of_three_the_greatest_has_no_more_than_the_others_together() -> None:
    shares = Shares()
    stream = [*"aaaaaaabbc"] * 300
    learnt(shares, stream)
    found = learnt(shares, stream)
    assert (found["b"], found["c"]) == (600, 300)
    assert abs(found["a"] - 900) <= 5


def test_who_sends_a_row_now_and_then_caps_nobody() -> None:
    assert learnt(Shares(), [*["a"] * 199, "b"] * 20)["a"] == 199 * 20


def test_whoever_was_alone_is_alone_again_when_the_others_have_long_gone() -> None:
    shares = Shares()
    learnt(shares, ["a", "b"] * 500)
    assert learnt(shares, ["a"] * 1_000)["a"] < 1_000
    assert learnt(shares, ["a"] * 1_000)["a"] == 1_000


def test_many_sources_with_a_row_each_are_all_learnt() -> None:
    shares = Shares()
    names = [f"source {number}" for number in range(5_000)]
    assert learnt(shares, names).total() == 5_000
    assert len(json.dumps(shares.to_json())) < 40_000
    assert len(shares._offered) == len(shares._learnt) == 1_000


@pytest.mark.parametrize("at", [0, 300, 1_000, 2_345])
def test_shares_that_are_opened_go_on_alike(at: int) -> None:
    drawn = np.random.default_rng(0).choice([*"abc"], size=4_000, p=[0.8, 0.17, 0.03]).tolist()
    shares = Shares(0.4, 700)
    learnt(shares, drawn[:at])
    opened = copied(shares)
    assert [opened.admits(one) for one in drawn[at:]] == [shares.admits(one) for one in drawn[at:]]
    assert opened.to_json() == shares.to_json()


# --- rows that are held out ---


@pytest.mark.parametrize("form", ["{}", "k3f9a.{}", "7c-{}.0", "line {:08}"])
def test_one_row_in_twenty_is_held_out(form: str) -> None:
    found = [is_holdout(form.format(number)) for number in range(20_000)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.005)
    assert max(np.diff(np.flatnonzero(found))) < 300


def test_the_same_rows_are_held_out_on_every_machine() -> None:
    assert [number for number in range(100) if is_holdout(f"row {number}")] == [11, 26, 53, 58, 64, 98]
