"""`sql:` and `.sql` files, asked of SQLite: snapshots, what is refused, and the types of columns.

Mutation that turns these red: let the types of the first rows stand for all (`search.data.sql.query._write_parts`).
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.data.source import FileSource
from search.errors import InputError, RefusedError, SurroundingsError, SweepError
from tests.data.databases import ask, fill, refusal, table

ROWS = "SELECT i AS a, i % 2 AS y FROM n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a SQLite file `shop.db` that has the numbers 0 to 99 in a table `n`."""
    fill(tmp_path / "shop.db", "n", "i INTEGER", [(number,) for number in range(100)])
    return tmp_path


def of_shop(query: str = ROWS) -> str:
    return f"sql:sqlite:///shop.db?query={query}"


# --- Snapshots


def test_a_query_is_asked_once_and_then_taken_from_its_snapshot(shop: Path) -> None:
    first = ask(of_shop(), shop)
    assert first.notes == ("sql:shop.db gave 100 rows",)
    (shop / "shop.db").write_bytes(b"")
    again = ask(of_shop(), shop)
    assert (again.path, again.pinned) == (first.path, first.pinned)
    assert re.fullmatch(
        r"sql:shop\.db was asked less than a minute ago, .*100 rows.*; --refresh asks again", again.notes[0]
    )


def test_refresh_asks_again_and_keeps_what_was(shop: Path) -> None:
    first = ask(of_shop(), shop)
    fill(shop / "shop.db", "n", "i INTEGER", [(number,) for number in range(50)])
    second = ask(of_shop(), shop, refresh=True)
    assert len(pq.read_table(first.path)) == 100
    assert len(pq.read_table(second.path)) == 50
    assert ask(of_shop(), shop).path == second.path, "the newest is used"
    assert ask(first.pinned, shop).path == first.path
    state = json.loads((first.path.parent / "state.json").read_text())
    assert [one["rows"] for one in state["snapshots"]] == [100, 50]


def test_a_pinned_reference_needs_no_database_no_environment_and_no_sql_file(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "q.sql").write_text(f"-- url: sqlite:///shop.db\n{ROWS}\n")
    monkeypatch.setenv("SWEEP_SQL_URL", f"sqlite:///{shop}/shop.db")
    for text in (of_shop(), "q.sql?drop=a", f"sql:?query={ROWS}"):
        source = FileSource(text.replace("?drop=a", ""), "y", shop, results=shop / "results")
        made = source.table("")
        assert source.pinned is not None
        for name in ("shop.db", "q.sql"):
            (shop / name).rename(shop / f"{name}.away")
        with monkeypatch.context() as away:
            away.delenv("SWEEP_SQL_URL")
            pinned = FileSource(source.pinned, "y", Path("/"), results=shop / "results").table("")
        pd.testing.assert_frame_equal(pd.DataFrame(pinned.features), pd.DataFrame(made.features))
        for name in ("shop.db", "q.sql"):
            (shop / f"{name}.away").rename(shop / name)


def test_a_snapshot_that_is_not_there_or_not_what_it_was_is_refused(shop: Path) -> None:
    made = ask(of_shop(), shop)
    made.path.write_bytes(made.path.read_bytes()[:-1])
    for reference in (made.pinned, of_shop()):
        with pytest.raises(RefusedError, match="was changed: its content is not what its name says"):
            ask(reference, shop)
    made.path.unlink()
    with pytest.raises(InputError, match=r"^sql:shop\.db has no snapshot [0-9a-f]{12} in "):
        ask(made.pinned, shop)
    with pytest.raises(InputError, match="as it was, by snapshot=, and anew"):
        ask(made.pinned, shop, refresh=True)


def test_another_database_in_the_environment_is_asked_too(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(shop / "other.db", "n", "i", [(1,)])
    said = []
    for name in ("shop.db", "other.db", "shop.db", "other.db"):
        monkeypatch.setenv("SWEEP_SQL_URL", f"sqlite:///{shop}/{name}")
        made = ask(f"sql:?query={ROWS}", shop)
        said.append((len(pq.read_table(made.path)), "ago" in made.notes[0]))
    assert said == [(100, False), (1, False), (100, True), (1, True)]


@pytest.mark.parametrize("state", ["", "{", "[]", '{"snapshots": [{"sha256": "../x"}]}', '{"snapshots": 1}'])
def test_a_damaged_note_of_snapshots_only_means_that_the_database_is_asked(shop: Path, state: str) -> None:
    place = ask(of_shop(), shop).path.parent
    (place / "state.json").write_text(state)
    assert ask(of_shop(), shop).notes == ("sql:shop.db gave 100 rows",)


def test_a_sql_file_is_a_query_and_names_its_database(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shop / "queries"
    folder.mkdir()
    text = f"-- Who left?\n--URL: sqlite:///../shop.db\n{ROWS} -- all\nWHERE i < 30;\n"
    (folder / "q.sql").write_bytes(b"\xef\xbb\xbf" + text.encode())
    source = FileSource("queries/q.sql", "y", shop, results=shop / "results")
    assert len(source.table("").target) == 30
    assert source.notes[0] == "sql:shop.db gave 30 rows"
    (folder / "q.sql").write_text(ROWS)
    monkeypatch.setenv("SWEEP_SQL_URL", f"sqlite:///{shop}/shop.db")
    source.table("")
    assert source.notes[0] == "sql gave 100 rows", "a changed query is another one"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- url: sqlite:///shop.db\n", r"q\.sql has no query"),
        ("-- url: sqlite:///shop.db\n/* nothing */ ;", r"q\.sql has no query"),
        ("-- url: shop.db\nSELECT 1", r"q\.sql: '-- url:' needs a URL, as in postgresql://me@host/db"),
        ("-- url: sqlite:///a\n-- url: sqlite:///b\nSELECT 1", r"q\.sql has 2 lines '-- url:'; it needs one"),
        (
            "-- url: postgresql://me:s3cret-canary@h/d\nSELECT 1",
            "a password or key in a data reference would be stored",
        ),
        ("SELECT 1", "no database is named: neither the reference nor SWEEP_SQL_URL has its URL"),
        ("SELECT '\udcff'", r"q\.sql is not UTF-8 \(byte 8\)"),
    ],
)
def test_a_sql_file_that_says_too_little_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "q.sql").write_bytes(text.encode(errors="surrogateescape"))
    error = refusal("q.sql", tmp_path)
    assert isinstance(error, InputError)
    assert re.match(said, error.sentence())
    assert "canary" not in error.sentence()


# --- Queries that are refused

WRONG = {
    "DELETE FROM n": "a query starts with SELECT, WITH or VALUES, got 'DELETE'; nothing is changed",
    "-- x\n/* y */ UPDATE n SET i = 1": "a query starts with SELECT, WITH or VALUES, got 'UPDATE'",
    "\N{SNOWMAN} x": "a query starts with SELECT",
    "WITH q AS (SELECT 1) DELETE FROM n": "sqlite:///.*shop.db refuses the query: attempt to write a readonly database",
    "SELECT 1; DROP TABLE n": "sqlite:///.* refuses the query: You can only execute one statement at a time",
    "SELECT none FROM n": "sqlite:///.* refuses the query: no such column: none",
    "SELECT i FROM m": "sqlite:///.* refuses the query: no such table: m",
    "SELECT FROM WHERE": 'sqlite:///.* refuses the query: near "FROM": syntax error',
    "SELECT i FROM n WHERE i = ?": "sqlite:///.* refuses the query: Incorrect number of bindings",
    "SELECT i FROM n WHERE 1 = 0": "the query gives no rows",
    "SELECT i, x'00ff' AS raw FROM n": "column 'raw' holds bytes, which nothing can be learned from; leave it out",
    "SELECT i, i FROM n": r"the query gives two columns named 'i' \(1, 2\); name one of them with AS",
    "SELECT i AS '' FROM n": "column 1 of the query has no name; name it with AS",
    "SELECT CAST(x'ff' AS TEXT) AS t": "sqlite:///.* refuses the query: Could not decode to UTF-8",
}


@pytest.mark.parametrize("query", WRONG)
def test_a_query_that_cannot_be_used_is_refused_in_one_sentence(shop: Path, query: str) -> None:
    error = refusal(of_shop(query), shop)
    assert isinstance(error, InputError)
    assert re.match(WRONG[query], error.sentence(), re.DOTALL), error.sentence()
    with closing(sqlite3.connect(shop / "shop.db")) as database:
        assert database.execute("SELECT count(*) FROM n").fetchone() == (100,)


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("sqlite:///none.db", InputError, "sqlite:////.*none.db does not exist; SQLite needs a file, sqlite:///FILE"),
        ("sqlite://", InputError, "sqlite:// does not exist"),
        ("sqlite:///:memory:", InputError, "sqlite:///:memory: does not exist"),
        ("sqlite:///text.db", InputError, "sqlite:////.*text.db refuses the query: file is not a database"),
        ("oracel://h/d", InputError, "'oracel' is no known kind of database; postgresql: and sqlite: come with sweep"),
        ("postgresql+asyncpg://h/d", InputError, r"postgresql\+asyncpg is for asyncio; take another driver"),
        ("mysql+pymysql://h/d", SurroundingsError, r"the driver of mysql\+pymysql://h/d is not installed; pip install"),
        ("postgresql://h:port/d", InputError, "'postgresql://h:port/d' is no URL of a database"),
        ("postgresql://me:${SURELY_NOT_SET}@h/d", InputError, r"\$\{SURELY_NOT_SET\} is not set in the environment"),
        ("postgresql://127.0.0.1/d?nonsense=1", InputError, 'postgresql://127.0.0.1/d refuses .*"nonsense"'),
    ],
)
def test_a_database_that_cannot_be_used_is_named(shop: Path, url: str, kind: type[SweepError], said: str) -> None:
    (shop / "text.db").write_text("not a database, but long enough to be looked at" * 100)
    mark = "&" if "?" in url else "?"
    error = refusal(f"sql:{url}{mark}query=SELECT * FROM n", shop)
    assert type(error) is kind, error.sentence()
    assert re.match(said, error.sentence()), error.sentence()


# --- Types


def test_types_widen_over_all_rows_and_not_only_the_first_ones(tmp_path: Path) -> None:
    names = ["empty", "late", "whole", "mixed", "text", "big"]
    rows: list[tuple[Any, ...]] = [(None, None, 1, 1, "a", 1)] * 10_001
    rows += [(None, 7, None, 2.5, 3, 2**62)] * 10_000
    rows += [(None, 8, 3, None, None, 1.5)]
    fill(tmp_path / "t.db", "t", ", ".join(names), rows)
    made = ask("sql:sqlite:///t.db?query=SELECT * FROM t", tmp_path)
    read = pq.read_table(made.path)
    assert [str(kind) for kind in read.schema.types] == ["null", "int64", "int64", "double", "string", "double"]
    for index, name in enumerate(names):
        wanted = [row[index] for row in rows]
        if name == "text":
            wanted = [value if value is None else str(value) for value in wanted]
        assert read[name].to_pylist() == wanted
    assert sorted(one.name for one in made.path.parent.iterdir()) == [".fetching", made.path.name, "state.json"]


def test_numbers_that_turn_into_text_late_are_text_from_the_start(tmp_path: Path) -> None:
    fill(tmp_path / "t.db", "t", "a", [*[(1,)] * 10_000, (2.5,), ("x",)])
    values = table("sql:sqlite:///t.db?query=SELECT a FROM t", tmp_path)["a"].tolist()
    assert (values[0], values[-2:]) == ("1", ["2.5", "x"])


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(st.characters(codec="utf-8"), max_size=5)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30))
def test_any_values_come_back_as_they_are_or_as_their_text(
    rows: list[tuple[Any, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    names, folder = ["a", "b"], tmp_path_factory.mktemp("any")
    fill(folder / "t.db", "t", "a, b", rows)
    with closing(sqlite3.connect(folder / "t.db")) as database:
        stored = database.execute("SELECT * FROM t").fetchall()  # NaN is NULL there
    read = pq.read_table(ask("sql:sqlite:///t.db?query=SELECT * FROM t", folder).path)
    for name, wanted in zip(names, zip(*stored, strict=True), strict=True):
        kinds = {type(value) for value in wanted if value is not None}
        kind = str if str in kinds else float if float in kinds else int
        assert read[name].to_pylist() == [None if value is None else kind(value) for value in wanted]


@settings(max_examples=100, deadline=None)
@given(query=st.text(max_size=20) | st.text(max_size=20).map("SELECT {}".format) | st.binary(max_size=30))
def test_any_text_in_a_sql_file_is_a_query_or_one_sentence(
    query: str | bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    fill(folder / "t.db", "t", "a", [(1,)])
    content = query if isinstance(query, bytes) else query.encode(errors="surrogatepass")
    (folder / "q.sql").write_bytes(b"-- url: sqlite:///t.db\n" + content)
    try:
        ask("q.sql", folder)
    except SweepError as error:
        assert "\n" not in error.sentence()  # noqa: PT017  (either end is right)
