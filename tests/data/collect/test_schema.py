"""A schema says what a row may hold; a wrong one is a sentence that names the column, a later one may only widen."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.data.collect.place import CollectionFolder
from search.data.collect.schema import Column, Schema, check_widened, read_schema
from search.data.collect.versions import load_versions, settle
from search.errors import InputError, RefusedError

FULL = """
target = "bought"
[columns]
age = "integer"
seen = { type = "datetime", min = 2026-01-01 }
[columns.city]
type = "text"
required = true
choices = ["Bern", "Genf"]
[columns.note]
type = "text"
max_length = 10
[columns.bought]
type = "boolean"
"""


def schema(folder: Path, text: str) -> Schema:
    path = folder / "schema.toml"
    path.write_text(text)
    return read_schema(path)


def test_a_schema_is_read_with_its_columns_in_order(tmp_path: Path) -> None:
    found = schema(tmp_path, FULL)
    assert found.names == ("age", "seen", "city", "note", "bought")
    assert found.target == "bought"
    assert found.columns[2] == Column("city", "text", required=True, choices=("Bern", "Genf"))
    assert found.columns[1].min == 1_767_225_600_000_000


def test_a_schema_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    found = schema(tmp_path, FULL)
    assert Schema.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'schema.toml needs [columns] with 1 to 1000 lines like age = "number"'),
        ("columns = 3", "schema.toml needs [columns]"),
        ("[columns]", "schema.toml needs [columns]"),
        ("[column]\na = 'text'", "schema.toml has an unknown key 'column'; did you mean 'columns'?"),
        ("[columns]\na = 'txt'", "schema.toml: column 'a' has an unknown type 'txt'; did you mean 'text'?"),
        ("[columns]\na = 3", "schema.toml: column 'a' needs a type, one of number, integer, text, boolean, datetime"),
        ("[columns]\na = {min = 3}", "schema.toml: column 'a' needs a type"),
        ("[columns]\na = {type = 'text', maxlength = 3}", "unknown option 'maxlength'; did you mean 'max_length'?"),
        ("[columns]\na = {type = 'text', required = 'yes'}", "column 'a': required is true or false"),
        ("[columns]\na = {type = 'text', min = 3}", "column 'a': min is for number, integer, datetime, not text"),
        ("[columns]\na = {type = 'integer', min = 3.5}", "column 'a': min is no integer"),
        ("[columns]\na = {type = 'number', max = inf}", "column 'a': max is no number"),
        ("[columns]\na = {type = 'number', max = true}", "column 'a': max is no number"),
        (f"[columns]\na = {{type = 'number', max = 1{'0' * 400}}}", "column 'a': max is no number"),
        ("[columns]\na = {type = 'datetime', max = 3}", "column 'a': max is no datetime"),
        ("[columns]\na = {type = 'integer', min = 3, max = 2}", "column 'a': min is above max"),
        ("[columns]\na = {type = 'integer', max_length = 3}", "max_length is a whole number above 0, of a text"),
        ("[columns]\na = {type = 'text', max_length = 0}", "max_length is a whole number above 0, of a text"),
        ("[columns]\na = {type = 'boolean', choices = [true]}", "choices are for number, integer and text"),
        ("[columns]\na = {type = 'text', choices = []}", "choices are a list of 1 to 1000 values"),
        ("[columns]\na = {type = 'text', choices = [3]}", "choice 3 is no text"),
        ("[columns]\na = {type = 'text', choices = ['x', 'x']}", "a choice stands there twice"),
        ("[columns]\n' a' = 'text'", "a name is 1-100 printable characters without blanks around"),
        ("[columns]\n'' = 'text'", "a name is 1-100 printable characters"),
        ("target = 'b'\n[columns]\nbought = 'text'", "target 'b' is no column; it has bought"),
        ("target = 'y'\n[columns]\n" + "".join(f"{n} = 'text'\n" for n in "abcde"), "it has a, b, c, d, e"),
        ("target = 'y'\n[columns]\n" + "".join(f"{n} = 'text'\n" for n in "abcdef"), "it has a, b, c, d, e, ..."),
        ("target = 'bougt'\n[columns]\nbought = 'text'", "did you mean 'bought'?"),
        ("[columns]\nbought = 'text'\ntarget = 'bought'", "write target = above [columns]"),
        ("[columns", "schema.toml is not TOML"),
        ("a = " + "[" * 5000, "schema.toml is not TOML"),
    ],
)
def test_a_wrong_schema_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as told:
        schema(tmp_path, text)
    assert sentence in told.value.sentence()
    assert len(told.value.sentence()) <= 250


@pytest.mark.parametrize("content", [b"\xff\xfe", b"#" * 2_000_000, None])
def test_a_file_that_is_no_schema_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "schema.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="schema"):
        read_schema(path)


BASE = (
    "[columns]\na = {type = 'integer', min = 0, max = 9}\nb = {type = 'text', choices = ['x', 'y'], max_length = 5}\n"
)


@pytest.mark.parametrize(
    "later",
    [
        BASE,
        BASE + "c = 'number'\n",
        "target = 'a'\n" + BASE,
        BASE.replace("min = 0, max = 9", "min = -1, max = 10"),
        BASE.replace(", min = 0, max = 9", ""),
        BASE.replace("['x', 'y']", "['z', 'y', 'x']"),
        BASE.replace("choices = ['x', 'y'], max_length = 5", "max_length = 6"),
    ],
)
def test_a_schema_that_takes_all_that_was_taken_is_accepted(tmp_path: Path, later: str) -> None:
    check_widened(schema(tmp_path, BASE), schema(tmp_path, later), "visits")


@pytest.mark.parametrize(
    ("later", "sentence"),
    [
        (BASE.replace("'integer'", "'number'"), "column 'a' is integer, not number"),
        (BASE.replace("a =", "aa ="), "column 'a' is gone"),
        (BASE + "c = {type = 'number', required = true}\n", "column 'c' is new and required"),
        (BASE.replace("min = 0", "required = true, min = 0"), "column 'a' was not required"),
        (BASE.replace("min = 0", "min = 1"), "column 'a' had a wider min"),
        (BASE.replace("max = 9", "max = 8"), "column 'a' had a wider max"),
        (BASE.replace("['x', 'y']", "['x']"), "column 'b' had choices that are gone"),
        (BASE.replace("max_length = 5", "max_length = 4"), "column 'b' had a longer max_length"),
        (BASE.replace("min = 0, max = 9", "choices = [1]"), "column 'a' had no choices"),
    ],
)
def test_a_schema_that_would_not_take_what_is_there_is_refused(tmp_path: Path, later: str, sentence: str) -> None:
    with pytest.raises(RefusedError) as told:
        check_widened(schema(tmp_path, BASE), schema(tmp_path, later), "visits")
    assert sentence in told.value.sentence()


def test_each_version_is_kept_once(tmp_path: Path) -> None:
    folder = CollectionFolder(tmp_path / "visits")
    first, second = schema(tmp_path, BASE), schema(tmp_path, BASE + "c = 'number'\n")
    assert settle(folder, first) == (first,)
    assert settle(folder, first) == (first,)
    assert settle(folder, second) == (first, second)
    assert settle(folder, None) == (first, second) == load_versions(folder)
    with pytest.raises(RefusedError, match="column 'c' is gone"):
        settle(folder, first)
