"""`sweep data` gets a data set, says what is in it and what looks wrong, and names the command to type next."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pexpect
import pytest

from search.cli.main import main
from tests.data.files import write_images

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a table of which much can be said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    random = np.random.default_rng(0)
    ill = random.integers(0, 2, 200)
    table = pd.DataFrame(
        {
            "id": np.arange(200) + 500,
            "glucose": np.where(np.arange(200) % 20 == 0, 0, np.round(120 + 20 * random.normal(size=200))),
            "city": random.choice(["Köln", "Graz"], 200, p=[0.7, 0.3]),
            "verdict": np.where(ill == 1, "ja", "nein"),
            "sick": np.where(ill == 1, "yes", "no"),
        }
    )
    table.to_csv(tmp_path / "my patients.csv", index=False)
    return tmp_path


def answer(capsys: Output, *arguments: str) -> Any:
    assert main(["data", *arguments, "--json"]) == 0
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    return json.loads(told.out)


def test_a_table_is_described_column_by_column_with_what_looks_wrong_and_what_comes_next(capsys: Output) -> None:
    assert main(["data", "my patients.csv", "--target", "sick"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "my patients.csv: 200 rows, 2 numeric and 2 text columns, 0.0% of the cells missing",
        "binary: yes 111, no 89",
        "0 rows are copies of another",
        told.out.splitlines()[3],
        "",
        "column   role        missing  distinct  outliers  values",
        "id       identifier       0%       200            500 to 699, median 600",
        "glucose  numeric          0%        75        10  0 to 181, median 117",
        "city     boolean          0%         2            Köln 142, Graz 58",
        "verdict  boolean          0%         2            ja 111, nein 89",
        "",
        "look at this first",
        "  column 'verdict' is a copy of the target: leave it out",
        "  column 'id' looks like an id: each row has its own value, which says nothing of a new row",
        "  column 'glucose' is 0 in 10 rows and far from 0 in all others: are these missing values?",
    ]
    assert told.out.splitlines()[3].startswith("fingerprint ")
    assert told.err == "\nnext\n  sweep run tabular --data 'my patients.csv' --target sick\n"


def test_without_a_target_everything_but_the_target_is_described(capsys: Output) -> None:
    assert main(["data", "my patients.csv"]) == 0
    told = capsys.readouterr()
    assert "sick     boolean" in told.out
    assert "target" not in told.out
    assert told.err.endswith("next\n  sweep data 'my patients.csv' --target COLUMN\n")


def test_json_has_the_same_in_one_object(capsys: Output) -> None:
    told = answer(capsys, "my patients.csv", "--target", "sick")
    assert (told["rows"], told["task"], told["classes"]) == (200, "binary", {"no": 89, "yes": 111})
    assert {one["name"]: one["role"] for one in told["columns"]} == {
        "id": "identifier",
        "glucose": "numeric",
        "city": "boolean",
        "verdict": "boolean",
    }
    assert [(one["kind"], one["column"]) for one in told["findings"]] == [
        ("copies_target", "verdict"),
        ("identifier", "id"),
        ("zeros", "glucose"),
    ]
    assert len(told["fingerprint"]) == 64
    assert answer(capsys, "my patients.csv")["task"] == ""


def test_the_options_of_a_reference_hold(capsys: Output) -> None:
    told = answer(capsys, "my patients.csv?drop=id,verdict")
    assert [one["name"] for one in told["columns"]] == ["glucose", "city", "sick"]


@pytest.mark.parametrize("arguments", [["pictures"], ["sklearn:digits", "--images"], ["x.npz"]])
def test_images_are_described_as_such(here: Path, arguments: list[str], capsys: Output) -> None:
    write_images(here / "pictures")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(here / "x.npz", x=pixels, y=np.arange(40) % 2)
    assert main(["data", *arguments]) == 0
    told = capsys.readouterr()
    assert "(channels, height, width)" in told.out
    assert "values 0 to " in told.out
    assert "  sweep run images --data " in told.err


def test_what_can_be_a_table_and_images_is_a_table(capsys: Output) -> None:
    told = answer(capsys, "sklearn:digits")
    assert (told["shape"], len(told["columns"]), told["task"]) == ([], 64, "multiclass")


def test_an_sql_query_is_asked_once_and_anew_with_refresh(here: Path, capsys: Output) -> None:
    with sqlite3.connect(here / "shop.db") as database:
        database.execute("create table orders (amount real, paid text)")
        rows = [(number * 1.5, "yes" if number % 3 else "no") for number in range(60)]
        database.executemany("insert into orders values (?, ?)", rows)
    reference = "sql:sqlite:///shop.db?query=select * from orders"
    assert answer(capsys, reference)["rows"] == 60
    with sqlite3.connect(here / "shop.db") as database:
        database.execute("insert into orders values (7, 'no')")
    database.close()
    assert answer(capsys, reference)["rows"] == 60
    again = answer(capsys, reference, "--refresh")
    assert again["rows"] == 61
    assert answer(capsys, again["pinned"])["fingerprint"] == again["fingerprint"]


@pytest.fixture
def server(here: Path) -> Iterator[str]:
    """A web server of the folder, on loopback."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(here))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_url_is_fetched_into_the_results_folder(here: Path, server: str, capsys: Output) -> None:
    reference = f"{server}/my%20patients.csv"
    assert answer(capsys, reference, "--results", "mine")["rows"] == 200
    assert list((here / "mine" / "data").iterdir())
    assert main(["data", reference, "--results", "mine"]) == 0
    assert capsys.readouterr().err.endswith(f"sweep data {reference} --target COLUMN --results mine\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nofile.csv"], 2, "data file 'nofile.csv' does not exist"),
        (["my patients.csv", "--target", "sik"], 2, "did you mean 'sick'?"),
        (["my patients.csv", "--images"], 2, "my patients.csv holds no images"),
        (["sklearn:digits", "--images", "--target", "x"], 2, "--target names a column of a table"),
        (["header.csv"], 2, "header.csv has a header and no rows"),
        (["collected:nothing"], 2, "nothing"),
        ([], 2, "`sweep data` needs REF"),
    ],
)
def test_expected_trouble_is_one_sentence_and_an_exit_code(
    here: Path, arguments: list[str], code: int, said: str, capsys: Output
) -> None:
    (here / "header.csv").write_text("a,b\n")
    assert main(["data", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("error: ") == told.err.count("\n") == 1
    assert said in told.err


def test_many_columns_are_cut_short_for_people_and_whole_as_json(here: Path, capsys: Output) -> None:
    random = np.random.default_rng(0)
    pd.DataFrame({f"c{number}": random.normal(size=30) for number in range(150)}).to_csv(here / "w.csv", index=False)
    assert main(["data", "w.csv"]) == 0
    assert "and 50 more columns; --json has all of them" in capsys.readouterr().out
    assert len(answer(capsys, "w.csv")["columns"]) == 150


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x.csv"


def test_ctrl_c_while_it_waits_ends_with_130(here: Path, silent: str) -> None:
    child = pexpect.spawn(sys.executable, ["-m", "search", "data", silent], cwd=str(here), timeout=20)
    child.expect(pexpect.TIMEOUT, timeout=2)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
