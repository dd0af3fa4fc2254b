"""Labels are read as what they stand for, and rows are known in bounds, also by a server that starts again.

Mutations that turn this file red: take `true` for the class "1"; take a class in other letters; keep more rows than
`most`, or longer than `wait_s`; compare labels by their text; forget the labels of rows when room is given back; let
two texts be ids of one row; take a request that comes into the log late for another one; give two sources one room of
ids, or keys and ids one; compare rows by the columns that are kept of them; take a trusted label for one that came
earlier; write the label of a row that was forgotten meanwhile; look for the oldest id among those that are gone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.online.feedback import FeedbackReader, LabelReader
from search.online.intake import commit, decide
from search.online.known import Known
from search.online.recording import full, labelled, remember
from search.online.records import shown
from search.online.tokens import Source
from search.serve.limits import Limits
from tests.bundle.bundles import signature_of
from tests.serve.servers import ROW

ANN = Source("ann")


@pytest.mark.parametrize(
    ("classes", "value", "label"),
    [
        (("no", "yes"), "yes", "yes"),
        (("0", "1"), 1, "1"),
        (("0", "1"), 1.0, "1"),
        (("0.0", "1.0"), 1, "1.0"),
        (("0.0", "1.0"), "1.0", "1.0"),
        (("0.5", "1.5"), 1.5, "1.5"),
        (("False", "True"), True, "True"),
        (("false", "true"), False, "false"),
        (("-3", "3"), -3, "-3"),
        (("9007199254740993", "x"), 9007199254740993, "9007199254740993"),
        ((), 3, 3.0),
        ((), -2.5e10, -2.5e10),
    ],
)
def test_a_label_is_a_class_or_a_number(classes: tuple[str, ...], value: object, label: object) -> None:
    assert LabelReader(replace(signature_of(), classes=classes))(value) == label


@pytest.mark.parametrize(
    ("classes", "value"),
    [
        (("no", "yes"), "Yes"),
        (("no", "yes"), None),
        (("no", "yes"), ["yes"]),
        (("no", "yes"), 10**400),
        (("0", "1"), True),
        (("0", "1"), 1.5),
        (("0", "1"), "1.0"),
        (("1", "1.0"), 1),
        (("false", "False"), False),
        ((), True),
        ((), "3"),
        ((), 3.5e38),
        ((), 10**400),
    ],
)
def test_anything_else_is_no_label(classes: tuple[str, ...], value: object) -> None:
    with pytest.raises(ValueError, match="expected a"):
        LabelReader(replace(signature_of(), classes=classes))(value)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.integers(0, 4), max_size=40),
    labels=st.lists(st.tuples(st.integers(1, 42), st.integers(0, 4), st.integers(0, 1)), max_size=60),
    most=st.integers(1, 30),
)
def test_the_newest_rows_are_known_and_each_has_its_first_label(
    rows: Sequence[int], labels: Sequence[tuple[int, int, int]], most: int
) -> None:
    known, wanted, truth = Known(1e6, most), [], {}
    for number, many in enumerate(rows, 1):
        known.show(f"abc-{number}", many, float(number))
        wanted.append([f"abc-{number}.{row}" for row in range(many)])
        while sum(map(len, wanted)) > most:
            wanted.pop(0)
    there = {name for request in wanted for name in request}
    assert known.rows == len(there)
    for number, row, code in labels:
        place = known.find(f"abc-{number}.{row}")
        assert (place is not None) == (f"abc-{number}.{row}" in there)
        if place is not None and known.label_of(place) is None:
            known.label(place, float(code))
            truth[f"abc-{number}.{row}"] = float(code)
    for name in there:
        place = known.find(name)
        assert place is not None
        assert known.label_of(place) == truth.get(name)


def test_room_is_given_back_and_labels_stay() -> None:
    known = Known(1e9, 100)
    for number in range(1, 20_001):
        known.show(f"abc-{number}", 2, float(number))
        place = known.find(f"abc-{number}.1")
        assert place is not None
        known.label(place, float(number))
    kept = [known.find(f"abc-{number}.1") for number in range(19_951, 20_001)]
    assert [known.label_of(place) for place in kept if place] == [float(one) for one in range(19_951, 20_001)]
    assert known.find("abc-19950.1") is None
    assert sum(len(start.labels) for start in known._starts.values()) < 20_000


def test_rows_are_forgotten_after_a_while_those_of_earlier_starts_first() -> None:
    known = Known(10.0, 1000)
    known.show("old-1", 2, 0.0)
    known.give("=a", "1", 0.0)
    known.show("new-1", 1, 5.0)
    known.show("new-2", 1, 10.5)
    assert [known.find(name) is None for name in ("old-1.0", "new-1.0", "new-2.0")] == [True, False, False]
    assert known.given("=a") is None
    known.forget(30.0)
    assert known.rows == 0


def test_ids_of_ones_own_are_bounded_in_number() -> None:
    known = Known(10.0, 2)
    for name in "abc":
        known.give(name, "1", 0.0)
    assert [known.given(name) for name in "abc"] == [None, "1", "1"]


def test_the_oldest_id_of_ones_own_is_forgotten_as_fast_as_one_is_remembered() -> None:
    known, begun_s = Known(10.0, 100_000), time.process_time()
    for number in range(100_000):
        known.give(f"{number}", "1", 0.0)
    full_s = time.process_time()
    for number in range(100_000, 160_000):
        known.give(f"{number}", "1", 0.0)
    assert time.process_time() - full_s < 4 * (full_s - begun_s)


def test_the_label_of_a_row_that_is_forgotten_by_then_is_nobody_elses() -> None:
    known = Known(1e9, 10)
    known.show("old-1", 1, 0.0)
    known.show("abc-1", 1, 0.0)
    places = [known.find("old-1.0"), known.find("abc-1.0")]
    for number in range(2, 10_000):  # room is given back
        known.show(f"abc-{number}", 1, 1.0)
    for place in places:
        assert place is not None
        known.label(place, 1.0)
    left = [known.find(f"abc-{number}.0") for number in range(9_990, 10_000)]
    assert [known.label_of(place) for place in left if place] == [None] * 10


def test_a_large_request_may_come_into_the_log_behind_later_ones() -> None:
    known = Known(1e9, 1000)
    for number, rows in ((2, 1), (1, 3), (5, 1), (4, 2), (3, 1)):
        known.show(f"abc-{number}", rows, float(number))
    for number, rows in ((1, 3), (2, 1), (3, 1), (4, 2), (5, 1)):
        places = [known.find(f"abc-{number}.{row}") for row in range(rows + 1)]
        assert places[-1] is None
        for row, place in enumerate(places[:-1]):
            assert place is not None
            assert known.label_of(place) is None
            known.label(place, number + row / 10)
    for number, rows in ((1, 3), (2, 1), (3, 1), (4, 2), (5, 1)):
        found = [known.find(f"abc-{number}.{row}") for row in range(rows)]
        assert [known.label_of(place) for place in found if place] == [number + row / 10 for row in range(rows)]


def test_a_request_whose_record_was_never_written_leaves_no_row() -> None:
    known = Known(10.0, 1000)
    for number in (1, 2, 3):
        known.show(f"abc-{number}", 2, 0.0)
    known.hide("abc-2", 2)
    found = [known.find(f"abc-{number}.{row}") is None for number in (1, 2, 3) for row in (0, 1)]
    assert found == [False, False, True, True, False, False]
    again = Known(10.0, 1000)  # as the log shows it
    again.show("abc-1", 2, 0.0)
    again.show("abc-3", 2, 0.0)
    assert [again.find(f"abc-{number}.1") is None for number in (1, 2, 3)] == [False, True, False]


def test_a_server_that_starts_again_knows_what_its_log_says() -> None:
    read = FeedbackReader(signature_of(unused=("id",)), Limits())
    body = {"rows": [ROW, {**ROW, "id": 1e308}], "labels": ["no", "yes"]}  # a column that nobody reads, nor checks
    requests = [
        {"labels": [{"id": "abc-1.1", "label": "yes"}, {"id": "abc-2.0", "label": "no"}]},
        {**body, "ids": ["ä", '"b\\']},
        body,
        {"id": "abc-1.0", "label": "no"},
    ]
    known, numbers = Known(1e6, 1000), count(1)
    log = [shown(1.5, "abc-1", 2, b'{"age":\n1}', b"{}"), shown(2.5e9, "abc-2", 1, b"{}", b"{}")]
    known.show("abc-1", 2, 1.5)
    known.show("abc-2", 1, 2.5)
    for request in requests:
        decision = decide(read(json.dumps(request).encode()), known, lambda many: [f"r{next(numbers)}"] * many)
        assert not decision.is_nothing
        assert not decision.refused
        write = full(3.0, ANN, decision.taken, decision.ids) if decision.full else labelled(3.0, ANN, decision.taken)
        log.append(write)
        commit(decision, known, 3.0)
    again = Known(1e12, 1000)
    for number, record in enumerate(log, 1):
        remember(b'{"s":%d,%b' % (number, record[1:]), again)
    for request in requests:
        asked = read(json.dumps(request).encode())
        found = [decide(asked, one, lambda many: ["r"] * many) for one in (known, again)]
        assert found[0].to_json() == found[1].to_json()
        assert found[1].repeated == (0 if request is body else asked.rows)


def told(known: Known, body: object, key: str | None = None, owner: str = "", *unused: str) -> tuple[int, int]:
    """Have a request with whole rows taken; return how many rows were accepted, and how many were repeated."""
    read = FeedbackReader(signature_of(unused=("id", *unused)), Limits())
    decision = decide(read(json.dumps(body).encode(), key, owner), known, lambda many: ["r"] * many)
    commit(decision, known, 3.0)
    return len(decision.taken), decision.repeated


def test_ids_and_keys_are_those_of_who_sends_them() -> None:
    known = Known(1e6, 1000)
    right, wrong = ({"rows": [ROW], "labels": [label], "ids": ["order-17"]} for label in ("yes", "no"))
    assert told(known, wrong, owner="mallory") == (1, 0)
    assert told(known, right, owner="ann") == (1, 0)
    assert told(known, right, owner="ann") == (0, 1)
    assert told(known, wrong) == (1, 0)  # of nobody with a name
    assert told(known, wrong, owner="ann") == (0, 0)
    del right["ids"]
    assert [told(known, right, "k", owner) for owner in ("ann", "bob", "ann")] == [(1, 0), (1, 0), (0, 1)]


def test_a_key_makes_no_id_that_a_client_can_give() -> None:
    known = Known(1e6, 1000)
    rows = {"rows": [ROW], "labels": ["yes"]}
    assert told(known, rows, "k", "ann") == (1, 0)
    for name in ("k#0", "#ann/k#0", "ann/k#0"):
        assert told(known, {**rows, "ids": [name]}, owner="ann") == (1, 0)
    assert told(known, rows, "k#0", "ann") == (1, 0)
    assert told(known, {**rows, "ids": ["b/c"]}, owner="a") == told(known, {**rows, "ids": ["c"]}, owner="a") == (1, 0)


def test_a_row_that_comes_again_is_repeated_whatever_comes_with_it_and_whichever_model_answers() -> None:
    known, again = Known(1e6, 1000), Known(1e12, 1000)
    row, other = {**ROW, "id": 7}, {**ROW, "id": "x"}  # in a column that nobody reads; a text where others have numbers
    first = {"rows": [row], "labels": ["no"], "ids": ["a"]}
    assert told(known, first) == (1, 0)
    item = FeedbackReader(signature_of(unused=("id",)), Limits())(json.dumps(first).encode()).items[0]
    remember(b'{"s":1,%b' % full(3.0, ANN, [item], [item.id])[1:], again)
    turned = {name: row[name] for name in reversed(row)}
    for one in (known, again):
        assert told(one, {"rows": [turned, other], "labels": ["no", "no"], "ids": ["a", "b"]}) == (1, 1)
        assert told(one, first, None, "", "age") == (0, 1)  # of a champion that reads other columns
        assert told(one, {**first, "labels": ["yes"]}) == (0, 0)
        assert told(one, {**first, "rows": [{**row, "id": 8}]}) == (0, 0)


def test_a_row_that_was_predicted_does_not_count_twice() -> None:
    known = Known(1e6, 1000)
    known.show("abc-1", 1, 1.0)
    assert told(known, {"rows": [ROW], "labels": ["yes"], "ids": ["abc-1.0"]}) == (0, 0)
    assert told(known, {"id": "abc-1.0", "label": "yes"}) == (1, 0)
    assert told(known, {"rows": [ROW], "labels": ["yes"], "ids": ["abc-1.1"]}) == (1, 0)


def test_a_trusted_label_is_no_earlier_for_that() -> None:
    known = Known(1e6, 1000)
    known.show("abc-1", 1, 1.0)
    read = FeedbackReader(signature_of(), Limits())

    def label(value: str, *, trusted: bool) -> tuple[int, int, list[str]]:
        asked = read(json.dumps({"id": "abc-1.0", "label": value}).encode())
        decision = decide(asked, known, lambda many: ["r"] * many, trusted=trusted)
        commit(decision, known, 2.0)
        return len(decision.taken), decision.repeated, [one.message for one in decision.refused]

    assert label("yes", trusted=False) == (1, 0, [])
    said = "another label came before for this id, and the first one counts"
    assert label("no", trusted=False) == (0, 0, [said])
    more = ", also before yours, since it may have been learnt; send the whole row with your label to have it tested"
    assert label("no", trusted=True) == (0, 0, [said + more])
    assert label("yes", trusted=True) == (0, 1, [])


@pytest.mark.parametrize(
    ("ids", "kept"),
    [((1, 2), True), ((1, None), True), ((1, "x"), False), ((1, 10**30), False), ((1, ...), False)],
)
def test_what_the_model_does_not_read_is_kept_where_all_rows_have_it(ids: tuple[object, ...], kept: bool) -> None:
    read = FeedbackReader(signature_of(unused=("id",)), Limits())
    rows = [dict(ROW) if one is ... else {**ROW, "id": one} for one in ids]
    asked = read(json.dumps({"rows": rows, "labels": ["no", "no"]}).encode())
    assert [json.loads(item.row) for item in asked.items] == (rows if kept else [ROW, ROW])


def test_an_infinite_number_in_a_column_that_nobody_reads_does_not_spoil_the_log() -> None:
    read = FeedbackReader(signature_of(unused=("id",)), Limits())
    asked = read(json.dumps({"rows": [{**ROW, "id": 0.5}], "labels": ["no"]}).replace("0.5", "1e999").encode())
    assert json.loads(asked.items[0].row) == ROW
