"""`sql:` asked of a real PostgreSQL server: types, one moment, nothing written, faults, and passwords that never show.

Mutation that turns these red: leave `postgresql_readonly` out, or `mask` nothing (`search.data.sql.address`).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest

from search.data.source import FileSource
from search.errors import InputError, SurroundingsError
from tests import postgres
from tests.data.databases import ask, cut, refusal, table


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    """The URL of a database with tables, its password left to the environment."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT i, i % 2 AS y FROM generate_series(1, 300000) AS i")
    return postgres_url.replace(postgres.PASSWORD, "${SHOP_PASSWORD}")


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", postgres.PASSWORD)


TYPES = """
SELECT 1::smallint AS small, 2::bigint AS big, 1.5::real AS real, 12.25::numeric AS exact, 'NaN'::numeric AS nan,
  true AS yes, 'x'::varchar AS name, 'c'::char(3) AS padded, NULL AS nothing, '2024-02-29'::date AS day,
  '2024-02-29 12:30:00'::timestamp AS moment, '2024-02-29 12:30:00+02'::timestamptz AS zoned, '12:30'::time AS clock,
  '90 minutes'::interval AS lasting, '{"a": [1, "ü"]}'::jsonb AS json, ARRAY[1, 2] AS list,
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS id, '10.0.0.1'::inet AS host, '100%:a' AS percent
"""


def test_the_types_of_postgresql_have_one_meaning_each(database: str, tmp_path: Path) -> None:
    read = pq.read_table(ask(f"sql:{database}?query={TYPES}", tmp_path).path)
    assert {name: str(kind) for name, kind in zip(read.schema.names, read.schema.types, strict=True)} == {
        **dict.fromkeys(["small", "big"], "int64"),
        **dict.fromkeys(["real", "exact", "nan"], "double"),
        "yes": "bool",
        "nothing": "null",
        "day": "date32[day]",
        "moment": "timestamp[us]",
        "zoned": "timestamp[us, tz=UTC]",
        "lasting": "duration[us]",
        **dict.fromkeys(["name", "padded", "clock", "json", "list", "id", "host", "percent"], "string"),
    }
    row = read.to_pylist()[0]
    assert row["zoned"].isoformat() == "2024-02-29T10:30:00+00:00"
    assert (row["json"], row["list"], row["clock"]) == ('{"a": [1, "ü"]}', "[1, 2]", "12:30:00")
    assert (row["id"], row["host"], row["percent"]) == ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "10.0.0.1", "100%:a")


def test_a_table_of_postgresql_can_be_learned_from(database: str, tmp_path: Path) -> None:
    query = (
        "SELECT i, (i * 1.5)::numeric AS price, NOW()::date - i AS day, NOW() - i * INTERVAL '1 h' AS moment, "
        "y FROM numbers WHERE i <= 100 ORDER BY i"
    )
    source = FileSource(f"sql:{database}?query={query}", "y", tmp_path, results=tmp_path / "results")
    made = source.table("")
    assert isinstance(made.features, pd.DataFrame)
    assert made.features.shape == (100, 4)
    assert made.features["price"].tolist()[:2] == [1.5, 3.0]


def test_nothing_can_be_written_not_even_by_a_function_or_a_second_statement(
    database: str, postgres_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE IF NOT EXISTS counter")
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS a")
        for query, said in {
            "SELECT nextval('counter') AS a": "the query would change the database: cannot execute nextval",
            "WITH q AS (DELETE FROM kept RETURNING a) SELECT * FROM q": "postgresql://.* refuses the query: ",
            "SELECT 1; COMMIT; DROP TABLE kept": "postgresql://.* refuses the query: cannot insert multiple commands",
            "SELECT 1 AS a INTO other": "postgresql://.* refuses the query: ",
            "SELECT * FROM none": r'postgresql://127\.0\.0\.1:\d+/postgres refuses the query: relation "none" does not',
            "SELECT * FORM numbers": 'postgresql://.* refuses the query: syntax error at or near "FORM"',
            "SELECT 1 / 0 AS a": "postgresql://.* refuses the query: division by zero",
            "SELECT 1 / (i - 20000) AS a FROM numbers": "postgresql://.* refuses the query: division by zero",
            "SELECT 'infinity'::date AS a": "postgresql://.* refuses the query: date too large",
        }.items():
            error = refusal(f"sql:{database}?query={query}", tmp_path)
            assert isinstance(error, InputError), error.sentence()
            assert re.match(said, error.sentence()), error.sentence()
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)


def test_a_query_sees_one_moment_of_the_database(database: str, postgres_url: str, tmp_path: Path) -> None:
    """Rows are moved by another connection while they are read: none is seen twice, none is missed."""
    stop = threading.Event()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE moving AS SELECT i, 0 AS moves FROM generate_series(1, 50000) AS i")

    def move() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            while not stop.is_set():
                other.execute("UPDATE moving SET moves = moves + 1")

    mover = threading.Thread(target=move)
    mover.start()
    try:
        read = table(f"sql:{database}?query=SELECT * FROM moving", tmp_path)
    finally:
        stop.set()
        mover.join()
    assert sorted(read["i"]) == list(range(1, 50_001))
    assert read["moves"].nunique() == 1


MEASURE = """
import resource, sys
from pathlib import Path
from search.data.fetch import fetch
from search.data.reference import parse_reference
import search.data.sql.query
folder, url = Path(sys.argv[1]), sys.argv[2]
def ask(query):
    fetch(parse_reference(f"sql:{url}?query={query}", folder), folder, folder / "results")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
text = "repeat(md5(i::text), 4) AS text"
few = ask(f"SELECT i, y, {text} FROM numbers LIMIT 30000")
many = ask(f"SELECT i, y, {text} FROM numbers")
assert many - few < 40, f"{few} MB for 30,000 rows, {many} MB for 300,000"
"""


def test_memory_does_not_grow_with_the_rows(database: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURE, str(tmp_path), database]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- Fault 27


@pytest.mark.parametrize("after", [0, 200, 3_000, 500_000, 2_000_000])
def test_a_connection_that_is_cut_leaves_nothing_behind(database: str, tmp_path: Path, after: int) -> None:
    with cut(database, after=after) as url:
        error = refusal(f"sql:{url}?query=SELECT * FROM numbers", tmp_path)
    assert isinstance(error, SurroundingsError)
    assert re.match(
        r"postgresql://127\.0\.0\.1:\d+/postgres cannot be asked: .*; nothing of it was kept; try again later",
        error.sentence(),
    )


def test_a_slow_server_is_waited_for_and_heard_of(database: str, tmp_path: Path) -> None:
    heard: list[str] = []
    with cut(database, after=1 << 40, delay_s=0.04) as url:
        made = ask(f"sql:{url}?query=SELECT * FROM numbers WHERE i <= 60000", tmp_path, say=heard.append)
    assert pq.read_metadata(made.path).num_rows == 60_000
    assert re.fullmatch(r"asking postgresql://127\.0\.0\.1:\d+/postgres", heard[0])
    assert all(re.fullmatch(r"[\d,]+ rows so far", line) for line in heard[1:])


def test_a_server_that_is_down_or_refuses_is_told_without_the_password(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    down = refusal(f"sql:postgresql://sweep:${{SHOP_PASSWORD}}@127.0.0.1:{port}/x?query=SELECT 1", tmp_path)
    none = refusal(f"sql:{database.replace('/postgres', '/none')}?query=SELECT 1", tmp_path)
    monkeypatch.setenv("SHOP_PASSWORD", "wr0ng-canary")
    wrong = refusal(f"sql:{database}?query=SELECT 1", tmp_path)
    monkeypatch.setenv("PGPASSWORD", "wr0ng-canary")
    also = refusal(f"sql:{database.replace(':${SHOP_PASSWORD}', '')}?query=SELECT 1", tmp_path)
    for error, said in {
        down: "Connection refused",
        none: "does not exist",
        wrong: "authentication",
        also: "auth",
    }.items():
        assert isinstance(error, SurroundingsError)
        assert said in error.sentence()
        assert "canary" not in error.sentence()


def test_the_password_may_come_as_postgresql_users_know_it(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    bare = database.replace(":${SHOP_PASSWORD}", "")
    assert table(f"sql:{bare}?query=SELECT 1 AS a", tmp_path)["a"].tolist() == [1]
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("SWEEP_SQL_URL", database.replace("${SHOP_PASSWORD}", postgres.PASSWORD))
    assert table("sql:?query=SELECT 2 AS a", tmp_path)["a"].tolist() == [2]


def test_no_file_holds_the_password_and_no_line_shows_it(database: str, tmp_path: Path) -> None:
    """The canary: dry runs with a password, right and wrong, that no output and no file holds."""
    (tmp_path / "q.sql").write_text(f"-- url: {database}\nSELECT i, i * 2 AS j, y FROM numbers WHERE i <= 60\n")
    run = [sys.executable, "-m", "search", "run", "tabular", "--data", "q.sql", "--target", "y"]
    done = subprocess.run(
        [*run, "--dry-run"], cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "60" in done.stdout
    wrong = subprocess.run(
        [*run, "--dry-run"],
        cwd=tmp_path,
        env={**os.environ, "SHOP_PASSWORD": "wr0ng-canary", "SWEEP_RESULTS": "other"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 3, wrong.stderr
    everything = [done.stdout, done.stderr, wrong.stdout, wrong.stderr]
    everything += [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(everything) > 6
    assert not [text for text in everything if "canary" in text]


# --- Two processes

FETCH = """
import sys
from pathlib import Path
from search.data.fetch import fetch
from search.data.reference import parse_reference
folder = Path(sys.argv[1])
said = []
fetch(parse_reference(sys.argv[2], folder), folder, folder / "results", say=said.append)
sys.stdout.write("\\n".join(said))
"""


def test_two_processes_that_want_the_same_ask_once(database: str, tmp_path: Path) -> None:
    text = f"sql:{database}?query=SELECT i, (SELECT pg_sleep(2))::text AS s FROM numbers WHERE i <= 100"
    command = [sys.executable, "-c", FETCH, str(tmp_path), text]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("asking postgresql://" in one for one in said) == 1
    assert sum("another process is fetching sql:postgres; waiting for it" in one for one in said) == 1


def test_what_a_killed_process_left_is_removed(database: str, tmp_path: Path) -> None:
    slow = "CASE WHEN i % 2000 = 0 THEN pg_sleep(0.05)::text END"
    text = f"sql:{database}?query=SELECT i, {slow} AS s FROM numbers WHERE i <= 60000"
    command = [sys.executable, "-c", FETCH, str(tmp_path), text]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.kill()
    first.wait()
    left = [path.name for path in tmp_path.rglob("*.parquet")]
    assert left == ["0.parquet"], "it was killed with a part half written"
    made = ask(text, tmp_path)
    assert pq.read_metadata(made.path).num_rows == 60_000
    assert sorted(path.name for path in made.path.parent.iterdir()) == [".fetching", made.path.name, "state.json"]
