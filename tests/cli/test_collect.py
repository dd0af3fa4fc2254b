"""`sweep collect` says where it listens and where its key is, and ends every mistake in a sentence and a code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli.main import main
from tests.data.collect.servers import KEY, ROOT, SCHEMA, serving

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_COLLECT_KEY", KEY)
    Path("schema.toml").write_text(SCHEMA)


def test_it_says_once_where_it_listens_and_where_its_key_is(tmp_path: Path) -> None:
    with serving(tmp_path, key=None) as server:
        assert server.told == {
            "collection": "visits",
            "state": "listening",
            "url": f"http://127.0.0.1:{server.port}",
            "key_file": str(tmp_path / "results" / "data" / "visits" / "key"),
            "rows": 0,
            "rejected": 0,
        }
        assert server.end() == 143
        assert server.process.stdout is not None
        assert server.process.stdout.read() == ""
    key = Path("results/data/visits/key").read_text()
    with serving(tmp_path, schema=None, key=None):
        assert Path("results/data/visits/key").read_text() == key


def test_a_port_that_is_taken_is_named_with_the_next(capsys: Output) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["collect", "visits", "--schema", "schema.toml", "--port", str(port)]) == 3
    assert capsys.readouterr().err == f"error: port {port} is in use (pid {os.getpid()}); try --port {port + 1}\n"


def test_a_schema_that_changed_a_column_is_refused(capsys: Output, tmp_path: Path) -> None:
    with serving(tmp_path):
        pass
    Path("schema.toml").write_text(SCHEMA.replace('"number"', '"text"'))
    assert main(["collect", "visits", "--schema", "schema.toml", "--port", "0", "--json"]) == 4
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["field"], error["message"]) == (
        "columns.income",
        "collection 'visits': column 'income' is number, not text",
    )


def test_a_second_server_of_one_collection_is_refused(capsys: Output, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for extra in (["--port", "0"], ["--port", str(server.port)], ["--schema", "schema.toml"]):
            assert main(["collect", "visits", *extra]) == 4
            assert capsys.readouterr().err == (
                f"error: visits is being collected by pid {server.process.pid}; "
                "send rows there, stop that one first, or collect under another NAME\n"
            )
        assert main(["collect", "visits", "--compact"]) == 4
        assert (
            f"collection 'visits' is being written by pid {server.process.pid}; stop that one"
            in capsys.readouterr().err
        )


def test_compacting_tells_what_there_is(capsys: Output, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.post({"rows": [{"id": "a"}, {"id": 3}, {"id": "b"}]})
    assert main(["collect", "visits", "--compact", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("bytes") > 0
    assert told == {"collection": "visits", "state": "compacted", "rows": 2, "rejected": 1, "files": 1}
    assert main(["collect", "visits", "--compact"]) == 0
    assert capsys.readouterr().out.startswith("visits: 2 rows in 1 Parquet files, ")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["visits"], 2, "there is no collection 'visits' yet; `sweep collect visits --schema FILE` makes it"),
        (["visits", "--compact"], 2, "there is no collection 'visits' yet"),
        (["visits", "--compact", "--schema", "schema.toml"], 2, "--compact takes no rows, so it takes no --schema"),
        (["visits", "--schema", "nothing.toml"], 2, "schema nothing.toml cannot be read: No such file or directory"),
        (["../x", "--schema", "schema.toml"], 2, "starting with a letter or digit; got '../x'"),
        (["a/b", "--compact"], 2, "a collection's name is 1-100 of letters, digits"),
        (["visits", "--schema", "schema.toml", "--host", "no.such.host.invalid"], 2, "is no address"),
        (["visits", "--schema", "schema.toml", "--host", "203.0.113.1"], 2, "is no address of this machine"),
        (["visits", "--schema", "schema.toml", "--port", "70000"], 2, "--port"),
        (["visits", "--schema", "schema.toml", "--port", "0", "--key-file", "none"], 2, "key file none cannot be read"),
        (["visits", "--schema", "schema.toml", "--port", "0", "--key-file", "schema.toml"], 2, "holds no key"),
        ([], 2, "`sweep collect` needs NAME"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence(arguments: list[str], code: int, sentence: str, capsys: Output) -> None:
    assert main(["collect", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert sentence in told.err
    assert told.err.count("\n") == 1


def test_without_its_libraries_the_sentence_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')\n")
    command = [sys.executable, "-m", "search", "collect", "visits", "--schema", "schema.toml", "--port", "0"]
    told = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, capture_output=True, text=True
    )
    assert told.returncode == 3
    assert told.stderr == (
        "error: collecting needs uvicorn, which is not installed; pip install 'sweep-search[collect]'\n"
    )
    assert not (tmp_path / "results").exists()


def test_frozen_rows_train_like_any_other_data(capsys: Output, tmp_path: Path) -> None:
    from search.data.source import FileSource

    with serving(tmp_path) as server:
        rows = [{"id": f"r{n}", "age": n % 90, "income": n / 3, "bought": n % 2 == 0} for n in range(100)]
        assert server.post({"rows": rows}).json()["accepted"] == 100
        said: list[str] = []
        results = tmp_path / "results"
        source = FileSource("collected:visits?drop=id", None, tmp_path, results=results, say=said.append)
        dataset = source.table("sklearn:iris")
        assert said + [note for note in source.notes if "frozen" in note] == [
            "100 rows of visits are frozen; what comes later is not among them"
        ]
        server.post({"id": "later"})
    again = FileSource(source.pinned, None, tmp_path, results=tmp_path / "results").table("sklearn:iris")
    assert len(dataset.target) == len(again.target) == 100
    assert dataset.task == "binary"
