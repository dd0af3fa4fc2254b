"""Whatever stands in an answer becomes a column of one type, or one sentence."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.data.api.answers import MISSING, at_path, flatten, parse_json, records_at
from search.errors import InputError, SurroundingsError, SweepError
from tests.data.api.servers import Answer, Asked, Project, Reply, read, serving

PAGED = '[paging]\nkind = "cursor"\npath = "next"\nparam = "c"\n'


def pages(*bodies: list[Any]) -> Answer:
    """Return an API with these pages of records."""

    def answer(asked: Asked) -> Any:
        number = int(asked.query.get("c", 0))
        return {"items": bodies[number], "next": number + 1 if number + 1 < len(bodies) else None}

    return answer


def pulled(project: Project, answer: Answer, top: str = "", *, refresh: bool = False) -> tuple[list[Any], str]:
    """Return the rows and the notes of a pull."""
    with serving(answer) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n{top}\n{PAGED}')
        found = project.fetch(refresh=refresh)
    return read(found), " | ".join(found.notes)


@pytest.mark.parametrize(
    ("first", "second", "got", "told"),
    [
        (1, 2, [1, 2], False),
        (1, 0.5, [1.0, 0.5], False),
        (0.5, 1, [0.5, 1.0], False),
        (None, 1, [None, 1], False),
        (True, False, [True, False], False),
        (1, "a", ["1", "a"], True),
        ("a", 0.5, ["a", "0.5"], True),
        (True, 1, ["true", "1"], True),
        (1.5, True, ["1.5", "true"], True),
        ("2026-01-01", "2026-01-02T00:00:00Z", ["2026-01-01", "2026-01-02T00:00:00Z"], False),
        ([1, {"b": "é"}], [], ['[1,{"b":"é"}]', "[]"], False),
        (2**63 - 1, -(2**63), [2**63 - 1, -(2**63)], False),
        (2**63, 1, [str(2**63), "1"], False),
        (2**63, "a", [str(2**63), "a"], False),
        ("\ud83d", "\ud83d\ude00", ["?", "\U0001f600"], False),
    ],
)
def test_a_column_has_one_type_that_holds_all_its_values(
    first: Any, second: Any, got: list[Any], told: bool, project: Project
) -> None:
    found, notes = pulled(project, pages([{"a": first, "b": 0}], [{"a": second, "b": 1}]))
    assert [row["a"] for row in found] == got
    assert [type(row["a"]) for row in found] == [type(value) for value in got]
    assert ("column 'a' mixes" in notes and "page 2" in notes) == told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, 2**63], "holds whole numbers beyond 64 bits, kept as text"),
        ([-(2**64), 1, 0.5], "holds whole numbers beyond 64 bits, kept as text"),
        ([0.5, 2**63, 2**63], "holds whole numbers beyond 64 bits, kept as text"),
        ([1, 2**63, "a"], "mixes numbers and text since page 3: all of it is text"),
        ([2**63, True], "mixes truth values with text or numbers since page 2: all of it is text"),
        ([1, "00000000000000000001"], "mixes numbers and text since page 2: all of it is text"),
    ],
)
def test_numbers_beyond_64_bits_are_text_and_told_as_numbers(values: list[Any], told: str, project: Project) -> None:
    _, notes = pulled(project, pages(*([{"big": value, "n": n}] for n, value in enumerate(values))))
    assert notes == f"column 'big' {told}"


def test_a_later_pull_still_knows_numbers_beyond_64_bits(project: Project) -> None:
    bodies = [{"big": 2**63, "n": 0}, {"big": 1.5, "n": 1}, {"big": None, "n": 2}]
    with serving(lambda _: bodies) as api:
        project.describe(f'url = "{api.url}"\nkey = "n"')
        project.fetch()
        bodies[:] = [{"big": 7, "n": 3}]
        found = read(project.fetch(refresh=True))
    notes = " ".join(project.state()["snapshots"][-1]["notes"])
    assert [row["big"] for row in found] == [str(2**63), "1.5", None, "7"]
    assert "column 'big' holds whole numbers beyond 64 bits, kept as text" in notes
    assert "mixes" not in notes


@pytest.mark.parametrize("turned", [False, True])
def test_an_object_where_a_single_value_was_is_refused_with_page_and_column(turned: bool, project: Project) -> None:
    bodies = [[{"a": 1}], [{"a": {"b": 2}}]]
    with pytest.raises(SurroundingsError, match=r"column 'a' is .* on page 2 and .* before"):
        pulled(project, pages(*(reversed(bodies) if turned else bodies)))


def test_null_where_others_have_an_object_is_missing(project: Project) -> None:
    found, _ = pulled(project, pages([{"id": 1, "a": None}], [{"id": 2, "a": {"b": {"c": 2}}}], [{"id": 3, "a": {}}]))
    assert found == [{"id": 1, "a.b.c": None}, {"id": 2, "a.b.c": 2}, {"id": 3, "a.b.c": None}]


def test_columns_that_come_late_or_vanish_are_filled_and_told(project: Project) -> None:
    found, notes = pulled(project, pages([{"a": 1, "b": 1}], [{"a": 2}], [{"a": 3, "c": 3}]))
    assert found == [{"a": 1, "b": 1, "c": None}, {"a": 2, "b": None, "c": None}, {"a": 3, "b": None, "c": 3}]
    assert "column 'c' first comes on page 3: missing before" in notes
    assert "column 'b' comes for the last time on page 1 of 3: missing since" in notes
    assert "column 'a'" not in notes


def test_types_that_change_between_pulls_widen_the_snapshot(project: Project) -> None:
    items: list[dict[str, Any]] = [{"id": 1, "a": 1, "b": True, "d": None}, {"id": 2, "a": 2, "b": False, "d": None}]
    with serving(lambda asked: items) as api:
        project.describe(f'url = "{api.url}"\nkey = "id"\n')
        project.fetch()
        items[:] = [{"id": 3, "a": 0.5, "b": "no", "c": "new", "d": 4}]
        found = project.fetch(refresh=True)
    assert read(found) == [
        {"id": 1, "a": 1.0, "b": "true", "d": None, "c": None},
        {"id": 2, "a": 2.0, "b": "false", "d": None, "c": None},
        {"id": 3, "a": 0.5, "b": "no", "d": 4, "c": "new"},
    ]
    assert "column 'c' is new: missing in the rows so far" in found.notes


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_missing_and_told(token: str, project: Project) -> None:
    body = b'{"items": [{"a": 1, "b": 2}, {"a": %s, "b": 3}]}' % token.encode()
    found, notes = pulled(project, lambda asked: Reply(body))
    assert [row["a"] for row in found] == [1, None]
    assert "1 numbers are NaN or infinite" in notes


def test_notes_do_not_grow_with_the_pages(project: Project) -> None:
    _, notes = pulled(project, pages(*([{"a": page, "b": float("nan")}] for page in range(12))))
    assert "7 more notes of that kind" in notes
    assert notes.count("NaN") == 5


GARBAGE: dict[str, tuple[bytes, str]] = {
    "a key twice": (b'{"items": [{"a": 1, "a": 2}]}', "key 'a' twice"),
    "no object": (b'{"items": [{"a": 1}, 5]}', "record 2 is a number, where an object was expected"),
    "a list of lists": (b'{"items": [[1, 2]]}', "record 1 is a list"),
    "two values": (b'{"items": [{"a.b": 1, "a": {"b": 2}}]}', "two values for 'a.b'"),
    "XML": (b"<?xml version='1.0'?><a/>", "XML, not JSON"),
    "single quotes": (b"{'items': []}", "not JSON"),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_is_told_with_its_page(case: str, project: Project) -> None:
    body, sentence = GARBAGE[case]
    with pytest.raises(SurroundingsError, match=sentence) as caught:
        pulled(project, lambda asked: Reply(body))
    assert "page 1" in caught.value.message


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({"data": {"items": [{"a": 1}]}}, "known: data.items|did you mean 'data.items'"),
        ({"items": {"a": 1}}, "it has no list of objects"),
        ({"error": {"message": "quota  is\nused up"}}, "it says 'quota is used up'"),
        ([{"a": 1}], 'known: ""'),
    ],
)
def test_a_path_to_the_records_that_leads_nowhere_says_where_they_may_be(
    answer: Any, hint: str, project: Project
) -> None:
    with pytest.raises(InputError) as caught:
        pulled(project, lambda asked: answer)
    assert any(part in caught.value.hint for part in hint.split("|")), caught.value.hint


def test_columns_are_chosen_and_renamed(project: Project) -> None:
    body = [{"id": 1, "user": {"name": "a", "age": 3}, "x": [1]}, {"id": 2, "user": {"name": "b"}, "x": None}]
    chosen, _ = pulled(project, pages(body), 'columns = ["user.name", "id"]')
    assert chosen == [{"user.name": "a", "id": 1}, {"user.name": "b", "id": 2}]
    renamed, _ = pulled(project, pages(body), 'columns = { number = "id", who = "user.name" }\nkey = "number"')
    assert renamed == [{"number": 1, "who": "a"}, {"number": 2, "who": "b"}]


@pytest.mark.parametrize(
    ("top", "sentence"),
    [
        ('columns = ["id", "nmae"]', "no row has a value 'nmae'; did you mean 'name'"),
        ('columns = ["id", "user"]', "no row has a value 'user'"),
        ('key = "idd"', "no value in the key 'idd'; did you mean 'id'"),
        ('[stop]\nuntil = { column = "nam", below = "z" }', "has no column 'nam'; did you mean 'name'"),
        ('[since]\ncolumn = "ad"\nparam = "since"', "no row has a value 'ad'"),
    ],
)
def test_a_column_that_never_comes_is_told(top: str, sentence: str, project: Project) -> None:
    with pytest.raises(InputError) as caught:
        pulled(project, pages([{"id": 1, "name": "a", "user": {"x": 1}}]), top)
    assert sentence in caught.value.sentence()


def test_a_row_without_its_key_is_told(project: Project) -> None:
    with pytest.raises(SurroundingsError, match=r"page 2 .* row 1 has no value in the key 'id'"):
        pulled(project, pages([{"id": 1}], [{"id": None}]), 'key = "id"')


def test_rows_that_come_twice_are_one(project: Project) -> None:
    found, notes = pulled(
        project,
        pages(
            [{"a": 1, "b": "x", "v": 1}, {"a": 1, "b": "y", "v": 2}],
            [{"a": 1, "b": "x", "v": 3}, {"a": 2, "b": "x", "v": 4}],
        ),
        'key = ["a", "b"]',
    )
    assert [(row["a"], row["b"], row["v"]) for row in found] == [(1, "x", 3), (1, "y", 2), (2, "x", 4)]
    assert "1 rows came again" in notes


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", {"a": [{"b": 1}]}),
        ("a.0.b", 1),
        ("a.-1.b", 1),
        ("/a/0/b", 1),
        ("a.1", MISSING),
        ("b.c", MISSING),
        ("a.x", MISSING),
    ],
)
def test_a_path_is_dotted_or_a_pointer(path: str, found: Any) -> None:
    assert at_path({"a": [{"b": 1}]}, path) == found


def test_a_pointer_reaches_names_with_dots_and_slashes() -> None:
    assert at_path({"a.b": {"c/d": 1}}, "/a.b/c~1d") == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_becomes_rows_or_one_sentence(value: Any) -> None:
    try:
        parsed = parse_json(json.dumps({"items": value}).encode(), "", "page 1")
        flat = flatten(records_at(parsed.value, "items", "page 1"), {}, "page 1")
    except SweepError as error:
        sentence = error.sentence()
    else:
        sentence = ""
        assert len(flat.rows) == len(value)
        assert all(not isinstance(cell, (dict, list)) for row in flat.rows for cell in row.values())
    assert "\n" not in sentence


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_become_json_or_one_sentence(body: bytes) -> None:
    sentence = "page 1 "
    try:
        parse_json(body, "", "page 1")
    except SurroundingsError as error:
        sentence = error.sentence()
    assert sentence.startswith("page 1 ")


def test_a_snapshot_holds_plain_types(project: Project) -> None:
    with serving(pages([{"i": 1, "f": 0.5, "t": "a", "b": True, "n": None}])) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n{PAGED}')
        schema = pq.read_schema(project.fetch().path)
    assert {field.name: str(field.type) for field in schema} == {
        "i": "int64",
        "f": "double",
        "t": "string",
        "b": "bool",
        "n": "string",
    }


def test_what_the_other_side_says_of_a_fault_is_cut_between_words(project: Project) -> None:
    secret = "k" * 30
    with serving(lambda asked: {"error": {"message": f"{'bad ' * 18}{secret} is no key"}}) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n')
        with pytest.raises(InputError) as told:
            project.fetch()
    assert told.value.hint.startswith("it says 'bad bad")
    assert "kkkk" not in told.value.hint


@pytest.mark.parametrize("path", ["--1", "-", "9" * 20, "1.--0"])
def test_a_step_that_is_no_number_leads_nowhere_in_a_list(path: str) -> None:
    assert at_path([1, [2]], path) is MISSING
