"""Drift: errors that rise are noticed soon, errors that fall or stay never; inputs that change, and what a column was.

The figures are rules: over ten streams each, how seldom nothing raises an alarm and how late something does.

Mutations that turn these red: take any change of ADWIN's for a drift (`rises = changed` in `ErrorDrift.update`); leave
out either detector, or river's settings in their place; tell every alarm (`QUIET = 0`); have a detector tell again what
the other has told, or hold errors against those before a fall (`restart`); never build a detector again (`KEPT`), or
only on load; save less than all that `to_json` gives; say that an error rose since another row (`_alarm`); work by
portions instead of rows (`InputDrift.update`); tell of a column that is still shifted again, or never again; read
inputs that the model ignores; put missing values, or those beyond all of training, into another's bin
(`Population.codes`); give rare texts a bin each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from river.drift import ADWIN

from search.bundle.signature import Input, Kind
from search.online.drift import Alarm, ErrorDrift, InputDrift
from search.online.replayed import KEPT, Replayed
from search.online.stability import Population

Array = np.ndarray[Any, Any]
SEEDS = range(10)


def errors(seed: int, *parts: tuple[int, float]) -> list[float]:
    """Return 0 and 1, so many rows of each error rate."""
    rng = np.random.default_rng(seed)
    return [float(one) for rows, rate in parts for one in rng.random(rows) < rate]


def alarms(drift: ErrorDrift, stream: Iterable[float]) -> list[tuple[int, Alarm]]:
    found = ((row, drift.update(error)) for row, error in enumerate(stream))
    return [(row, alarm) for row, alarm in found if alarm is not None]


def delays(before: float, after: float) -> list[int]:
    """Return after how many rows a rise is noticed, by stream; the usual error has been seen for 2,500 rows."""
    found = [alarms(ErrorDrift(), errors(seed, (2_500, before), (500, after))) for seed in SEEDS]
    assert all(row >= 2_500 for one in found for row, _ in one)
    return [one[0][0] - 2_500 if one else 500 for one in found]


def copied(drift: Any) -> Any:
    """Return what is opened from what was saved."""
    return type(drift).from_json(json.loads(json.dumps(drift.to_json(), allow_nan=False, sort_keys=True)))


@pytest.mark.parametrize(("rate", "streams"), [(0.0, 1), (0.02, 3), (0.1, 10), (0.3, 3), (0.5, 3)])
def test_errors_that_stay_raise_at_most_one_alarm_in_streams_of_20_000_rows(rate: float, streams: int) -> None:
    assert sum(len(alarms(ErrorDrift(), errors(seed, (20_000, rate)))) for seed in range(streams)) <= 1


@pytest.mark.parametrize(
    ("before", "after", "usual", "most"),
    [(0.1, 0.3, 110, 200), (0.1, 0.6, 40, 60), (0.0, 0.2, 60, 100), (0.3, 0.5, 150, 300)],
)
def test_a_rise_is_noticed_soon(before: float, after: float, usual: int, most: int) -> None:
    found = delays(before, after)
    assert np.median(found) <= usual
    assert max(found) <= most


@pytest.mark.parametrize(("before", "after"), [(0.5, 0.1), (0.3, 0.02), (1.0, 0.0)])
def test_errors_that_fall_are_no_drift(before: float, after: float) -> None:
    for seed in SEEDS:
        learning = np.linspace(before, after, 2_000)
        slowly = [float(one) for one in np.random.default_rng(seed).random(2_000) < learning]
        assert alarms(ErrorDrift(), errors(seed, (2_000, before), (2_000, after))) == []
        assert alarms(ErrorDrift(), [*slowly, *errors(seed, (2_000, after))]) == []


def test_a_rise_after_a_fall_is_noticed_by_what_was_last() -> None:
    for seed in SEEDS:
        found = alarms(ErrorDrift(), errors(seed, (1_500, 0.5), (400, 0.1), (300, 0.5)))
        assert 1_900 <= found[0][0] < 2_000


def test_a_figure_of_regression_that_rises_is_noticed() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        sizes = np.concatenate([np.abs(rng.normal(size=2_000)) * 0.1, np.abs(rng.normal(size=300)) * 0.3])
        found = alarms(ErrorDrift(), sizes.clip(0, 1).tolist())
        assert 2_000 <= found[0][0] < 2_150


def test_what_is_no_figure_counts_as_the_worst_error() -> None:
    (row, _), *_ = alarms(ErrorDrift(), [*errors(0, (1_000, 0.1)), *[float("nan"), float("inf")] * 50])
    assert 1_000 <= row < 1_050


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.6), (0.3, 0.42), (0.1, 0.2)])
def test_one_drift_is_one_alarm(before: float, after: float) -> None:
    found = [len(alarms(ErrorDrift(), errors(seed, (2_500, before), (3_000, after)))) for seed in SEEDS]
    assert max(found) == 1
    assert sum(found) >= 9


STAIRS = [(150, rate) for rate in np.linspace(0, 1, 12).tolist()]


@pytest.mark.parametrize("parts", [[(600, 0.0), *STAIRS], [(600, 0.0), (60, 0.4), (1_000, 1.0)]])
def test_two_alarms_are_more_than_200_rows_apart(parts: list[tuple[int, float]]) -> None:
    found = [[row for row, _ in alarms(ErrorDrift(), errors(seed, *parts))] for seed in SEEDS]
    assert max(map(len, found)) > 1
    assert all(later - row > 200 for one in found for row, later in pairwise(one))


def test_after_a_fall_both_detectors_begin_with_what_follows() -> None:
    drift = ErrorDrift()
    assert alarms(drift, errors(0, (1_500, 0.5), (300, 0.1))) == []
    told = drift.to_json()
    assert len(told["adwin"]) == len(told["page_hinkley"]) < 300


def test_an_alarm_says_what_was_usual_and_what_is_now() -> None:
    for seed in SEEDS:
        ((_, alarm),) = alarms(ErrorDrift(), errors(seed, (1_900, 0.1), (200, 0.6)))
        assert (alarm.kind, alarm.column) == ("error", "")
        assert alarm.value == pytest.approx(0.1, abs=0.02)
        before, now, rows = (float(word) for word in alarm.sentence.split() if word[0].isdigit())
        assert before == pytest.approx(alarm.value, abs=0.001)
        assert 0.4 < now < 0.95
        assert rows == alarm.rows


@pytest.mark.parametrize(
    ("seen", "before", "after", "usual", "most"),
    [(1_900, 0.1, 0.6, 3, 20), (1_900, 0.1, 0.3, 15, 80), (150, 0.1, 0.6, 3, 15), (1_900, 0.0, 0.2, 3, 30)],
)
def test_an_alarm_says_since_which_row_errors_are_higher(
    seen: int, before: float, after: float, usual: int, most: int
) -> None:
    wrong = []
    for seed in SEEDS:
        ((row, alarm),) = alarms(ErrorDrift(), errors(seed, (seen, before), (200, after)))[:1]
        wrong.append(abs(row - seen + 1 - alarm.rows))
    assert np.median(wrong) <= usual
    assert max(wrong) <= most


def test_either_detector_is_the_first_to_tell_now_and_then() -> None:
    first = {alarms(ErrorDrift(), errors(seed, (2_500, 0.3), (500, 0.5)))[0][1].detector for seed in range(20)}
    assert first == {"adwin", "page-hinkley"}


def test_after_a_restart_errors_are_held_against_those_that_follow() -> None:
    for seed in SEEDS:
        drift = ErrorDrift()
        alarms(drift, errors(seed, (1_000, 0.1)))
        drift.restart()
        assert alarms(drift, errors(seed + 100, (2_000, 0.5))) == []


STREAM = [(900, 0.1), (300, 0.6), (1_700, 0.2), (400, 0.1), (5_200, 0.3), (300, 0.9)]


@pytest.mark.parametrize("at", [1, 899, 1_000, 1_150, 2 * KEPT - 1, 2 * KEPT, 4_000, 3 * KEPT + 1_300, 8_500, 8_560])
def test_what_is_opened_raises_the_same_alarms_as_what_went_on(at: int) -> None:
    stream = errors(5, *STREAM)
    undisturbed = alarms(ErrorDrift(), stream)
    assert len(undisturbed) >= 3
    drift = ErrorDrift()
    before = alarms(drift, stream[:at])
    opened = copied(drift)
    after = [(row + at, alarm) for row, alarm in alarms(opened, stream[at:])]
    assert [*before, *after] == undisturbed
    alarms(drift, stream[at:])
    assert opened.to_json() == drift.to_json()


@pytest.mark.parametrize("at", [10, 350, 400, 640])
def test_a_detector_that_is_fed_its_values_again_is_the_same_also_after_it_has_found_something(at: int) -> None:
    def make() -> ADWIN:
        return ADWIN(clock=1)  # type: ignore[no-untyped-call]

    stream = errors(0, (300, 0.0), (300, 1.0), (300, 0.0))
    one = Replayed(make)
    found = [one.take(error) for error in stream[:at]]
    again = Replayed(make, one.values)
    rest = [one.take(error) for error in stream[at:]]
    assert [again.take(error) for error in stream[at:]] == rest
    assert again.values == one.values
    assert len(one.values) == [*found, *rest][::-1].index(True)
    assert (sum(found), sum(rest)) == ((at > 300) + (at > 600), (at < 300) + (at < 600))


def test_the_state_stays_small() -> None:
    drift = ErrorDrift()
    for rows in (2 * KEPT - 1, 5 * KEPT):
        alarms(drift, errors(0, (rows, 0.1)))
        assert len(json.dumps(drift.to_json())) < 2 * 2 * KEPT * 6


def test_an_alarm_becomes_json() -> None:
    told = Alarm("input", "psi", "rain\u2028", 0.3, "s", 9).to_json()
    assert told == {
        "kind": "input",
        "detector": "psi",
        "column": "rain\u2028",
        "value": 0.3,
        "sentence": "s",
        "rows": 9,
    }


INPUTS = (
    Input("heat", Kind.NUMBER),
    Input("steps", Kind.NUMBER, whole=True),
    Input("town", Kind.TEXT, levels=("a", "b", "c")),
    Input("note", Kind.NUMBER, used=False),
    Input("image", Kind.IMAGE, shape=(1, 2, 2)),
)


def rows(seed: int, count: int, *, heat: float = 0.0, missing: float = 0.1, towns: str = "aaabbc") -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    values = rng.normal(heat, 1, count).astype(np.float32)
    values[rng.random(count) < missing] = np.nan
    town = np.array([*towns, ""], dtype=object)[rng.integers(len(towns) + 1, size=count)]
    return {
        "heat": values,
        "steps": rng.integers(0, 3, count).astype(np.float32),
        "town": town,
        "note": rng.normal(seed, 1, count).astype(np.float32),
        "image": np.full((count, 1, 2, 2), seed, np.float32),
    }


def input_drift() -> InputDrift:
    return InputDrift(INPUTS, rows(1_000, 3_000))


def portions(columns: dict[str, Array], *sizes: int) -> Iterator[dict[str, Array]]:
    """Yield the rows of a table in portions of these sizes, over and over."""
    start, turn, total = 0, 0, len(columns["heat"])
    while start < total:
        end = start + sizes[turn % len(sizes)]
        yield {name: values[start:end] for name, values in columns.items()}
        start, turn = end, turn + 1


def joined(*parts: dict[str, Array]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def input_alarms(drift: InputDrift, columns: dict[str, Array], *sizes: int) -> list[Alarm]:
    return [alarm for part in portions(columns, *(sizes or (8,))) for alarm in drift.update(part)]


def test_inputs_that_stay_raise_no_alarm_in_10_000_rows() -> None:
    assert input_alarms(input_drift(), rows(0, 10_000)) == []


def first(found: list[list[Alarm]], detector: str, column: str) -> int:
    """Return the portion with the first alarm of a detector."""
    told = [[(alarm.detector, alarm.column) for alarm in one] for one in found]
    return next(index for index, one in enumerate(told) if (detector, column) in one)


@pytest.mark.parametrize("seed", range(3))
def test_a_number_that_moves_is_noticed_by_both_detectors(seed: int) -> None:
    drift = input_drift()
    assert input_alarms(drift, rows(seed, 1_000)) == []
    found = [drift.update(part) for part in portions(rows(seed + 50, 1_000, heat=2.0), 8)]
    assert {alarm.column for one in found for alarm in one} == {"heat"}
    assert first(found, "kswin", "heat") * 8 < 200
    assert first(found, "psi", "heat") * 8 < 300


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"towns": "ccccab"}, "town"),
        ({"towns": "aaxxxyz"}, "town"),
        ({"missing": 0.5}, "heat"),
        ({"heat": -9.0}, "heat"),
    ],
)
def test_what_only_shares_show_is_noticed_by_the_stability_index(changed: dict[str, Any], column: str) -> None:
    drift = input_drift()
    input_alarms(drift, rows(0, 600))
    assert max(drift.stability().values()) < 0.1
    found = input_alarms(drift, rows(1, 600, **changed))
    assert [alarm.column for alarm in found if alarm.detector == "psi"] == [column]
    assert drift.stability()[column] > 0.25
    assert drift.stability().keys() == {"heat", "steps", "town"}


def test_a_shift_is_told_once_until_the_column_was_back() -> None:
    drift, usual, other = input_drift(), rows(0, 1_000), rows(1, 1_500, towns="ccccab")
    told = [[alarm.column for alarm in input_alarms(drift, part)] for part in (usual, other, usual, other)]
    assert told == [[], ["town"], [], ["town"]]


def test_kswin_has_a_pause_until_the_window_holds_what_came_after() -> None:
    found = input_alarms(input_drift(), joined(rows(0, 1_000), rows(1, 3_000, heat=3.0)))
    assert [alarm.detector for alarm in found].count("kswin") == 1


def test_there_is_no_index_of_a_few_rows() -> None:
    drift = input_drift()
    assert drift.stability() == {}
    drift.update(rows(0, 99))
    assert drift.stability() == {}
    drift.update(rows(0, 1))
    assert len(drift.stability()) == 3


def test_infinite_and_missing_numbers_do_no_harm() -> None:
    drift = input_drift()
    for filling in (np.inf, -np.inf, np.nan):
        part = rows(0, 700)
        part["heat"] = np.full(700, filling, np.float32)
        input_alarms(drift, part)
        assert np.isfinite([*copied(drift).stability().values()]).all()


CHANGING = joined(rows(0, 700), rows(1, 900, heat=2.0), rows(2, 500, towns="cccccc"), rows(3, 900, missing=0.6))


@pytest.mark.parametrize("sizes", [(1,), (7, 1, 30), (1_000,)])
def test_alarms_do_not_depend_on_the_portions(sizes: tuple[int, ...]) -> None:
    by_eight, otherwise = input_drift(), input_drift()
    expected = input_alarms(by_eight, CHANGING, 8)
    assert len(expected) >= 4
    assert input_alarms(otherwise, CHANGING, *sizes) == expected
    assert otherwise.to_json() == by_eight.to_json()


@pytest.mark.parametrize("at", [3, 512, 801, 1_234, 2_222])
def test_inputs_that_are_opened_raise_the_same_alarms(at: int) -> None:
    start, rest = ({name: values[part] for name, values in CHANGING.items()} for part in (slice(at), slice(at, None)))
    drift = input_drift()
    input_alarms(drift, start, 5)
    opened = copied(drift)
    assert opened.stability() == drift.stability()
    assert input_alarms(opened, rest) == input_alarms(drift, rest)
    assert opened.to_json() == drift.to_json()


def test_a_model_of_images_has_no_columns_to_look_at() -> None:
    drift = InputDrift(INPUTS[-1:], {})
    assert drift.update(rows(0, 700)) == []
    assert copied(drift).stability() == {}


def test_bins_of_numbers_are_of_equal_size_where_values_allow() -> None:
    population = Population.of_numbers(np.array([np.nan, *range(1_000)], np.float32))
    assert population.counts == (1, 0, *[100] * 10, 0)
    assert population.codes(np.array([np.nan, -1, 0, 99, 100, 999, 1_000])).tolist() == [0, 1, 2, 2, 3, 11, 12]


@pytest.mark.parametrize("values", [[5.0] * 300, [0.0, 1.0] * 200, [np.nan] * 60, [], [2.0]])
def test_bins_stand_whatever_the_values_are(values: list[float]) -> None:
    column = np.array(values, np.float32)
    population = Population.of_numbers(column)
    assert sum(population.counts) == len(values)
    assert len(population.counts) == population.bins
    assert list(population.edges) == sorted(set(population.edges))
    same = population.codes(column)
    assert population.index(same) == pytest.approx(0, abs=1e-12)
    assert population.index(population.codes(np.full(300, -1e9, np.float32))) > 0.25


def test_texts_that_are_rare_share_a_bin() -> None:
    values = np.array(["a"] * 60 + ["b"] * 39 + ["x", ""] + [f"once {number}" for number in range(400)], dtype=object)
    population = Population.of_texts(values)
    assert population.texts == ("a", "b")
    assert population.counts == (1, 60, 39, 401)
    assert population.codes(np.array(["", "b", "x", "new"], dtype=object)).tolist() == [0, 2, 3, 3]


def test_of_many_texts_the_most_frequent_have_bins() -> None:
    values = np.array([f"{number:02}" for number in range(50) for _ in range(number + 30)], dtype=object)
    assert Population.of_texts(values).texts == tuple(f"{number:02}" for number in range(49, 29, -1))


def test_the_index_is_the_sum_that_the_book_gives() -> None:
    population = Population((), ("a",), (0, 6_000, 4_000))
    now = np.array([1] * 3_000 + [2] * 7_000)
    expected = (0.3 - 0.6) * np.log(0.3 / 0.6) + (0.7 - 0.4) * np.log(0.7 / 0.4)
    assert population.index(now) == pytest.approx(expected, rel=1e-3)
