from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from search.data.fetch import Fetched, fetch
from search.data.reference import parse_reference
from search.data.source import FileSource
from search.errors import InputError, RefusedError, SurroundingsError

from .servers import Server, file_of, reply, serve

FRAME = pd.DataFrame(
    {
        "id": range(40),
        "x": [row * 0.5 for row in range(40)],
        "colour": ["red" if row % 3 else None for row in range(40)],
        "class": ["yes" if row % 2 else "no" for row in range(40)],
    }
)
ARFF = (
    "% a comment\n@RELATION things\n@ATTRIBUTE id NUMERIC\n@ATTRIBUTE x REAL\n"
    "@ATTRIBUTE colour {red, blue}\n@ATTRIBUTE class {no, yes}\n@DATA\n"
    + "".join(f"{row},{row * 0.5},{'red' if row % 3 else '?'},{'yes' if row % 2 else 'no'}\n" for row in range(40))
).encode()


def parquet() -> bytes:
    buffer = io.BytesIO()
    FRAME.to_parquet(buffer, index=False)
    return buffer.getvalue()


def offer(server: Server, number: int = 61, **changes: Any) -> None:
    """Answer as OpenML does; None takes a field out of the description."""
    description = {
        "id": str(number),
        "name": "things",
        "version": "1",
        "format": "ARFF",
        "url": f"{server.url}/data/v1/download/{number}/things.arff",
        "parquet_url": f"{server.url}/datasets/0000/{number:04}/dataset_{number}.pq",
        "default_target_attribute": "class",
        "row_id_attribute": "id",
        "md5_checksum": hashlib.md5(ARFF, usedforsecurity=False).hexdigest(),
        **changes,
    }
    body = {"data_set_description": {key: value for key, value in description.items() if value is not None}}
    server.script[f"/api/v1/json/data/{number}"] = [reply(200, json.dumps(body).encode())]
    server.script.setdefault(f"/datasets/0000/{number:04}/dataset_{number}.pq", [file_of(parquet())])
    server.script.setdefault(f"/data/v1/download/{number}/things.arff", [file_of(ARFF)])


def get(text: str, root: Path, **options: Any) -> Fetched:
    return fetch(parse_reference(text, root), root, root / "results", **options)


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch) -> Any:
    with serve(rest=reply(412, b'{"error": {"code": "111", "message": "Unknown dataset"}}')) as server:
        monkeypatch.setenv("OPENML_SERVER", server.url)
        yield server


def test_a_set_by_its_number_knows_its_target_and_what_is_no_feature(tmp_path: Path, openml: Server) -> None:
    offer(openml)
    first = get("openml:61", tmp_path)
    assert first.target == "class"
    assert first.notes == ("columns that OpenML calls no features are left out: id",)
    assert list(pd.read_parquet(first.path)) == ["x", "colour", "class"]
    asked = len(openml.asked)
    assert get("openml:61", tmp_path) == first
    assert get(first.pinned, tmp_path) == first
    assert len(openml.asked) == asked


def test_a_set_of_openml_is_a_data_set(tmp_path: Path, openml: Server) -> None:
    offer(openml)
    source = FileSource("openml:61", None, tmp_path, results=tmp_path / "results")
    dataset = source.table("sklearn:wine")
    assert (dataset.name, len(dataset.target), dataset.classes) == ("openml:61", 40, ("no", "yes"))
    assert source.pinned is not None
    assert source.pinned.startswith("openml:61?snapshot=")


@pytest.mark.parametrize("change", [{"parquet_url": None}, {"parquet_url": ""}, {}])
def test_without_parquet_the_arff_file_is_read_to_the_same_table(
    tmp_path: Path, openml: Server, change: dict[str, Any]
) -> None:
    if not change:
        openml.script["/datasets/0000/0061/dataset_61.pq"] = [reply(404)]
    offer(openml, **change)
    frame = pd.read_parquet(get("openml:61", tmp_path).path)
    pd.testing.assert_frame_equal(frame, FRAME.drop(columns="id"), check_dtype=False)


def test_a_name_means_the_first_active_set_and_tells_of_the_others(tmp_path: Path, openml: Server) -> None:
    offer(openml)
    offer(openml, 99)
    listed = {"data": {"dataset": [{"did": 61, "version": 1}, {"did": 99, "version": 2}]}}
    openml.script["/api/v1/json/data/list/data_name/things/limit/10/status/active"] = [
        reply(200, json.dumps(listed).encode())
    ]
    found = get("openml:things", tmp_path)
    assert found.notes[0] == "openml:things is openml:61; there is also openml:99"
    assert found.target == "class"


def test_several_targets_are_left_to_the_user(tmp_path: Path, openml: Server) -> None:
    offer(openml, default_target_attribute="class,colour", ignore_attribute=["x"])
    found = get("openml:61", tmp_path)
    assert found.target is None
    assert found.notes[0] == "it has several targets, class, colour: choose one by --target"
    assert list(pd.read_parquet(found.path)) == ["colour", "class"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("openml:62", "OpenML has no data set 62"),
        ("openml:nothing", "OpenML has no active data set 'nothing'"),
        ("openml:../61", r"openml: takes a number or a name, got '\.\./61'"),
        ("openml:a b", "openml: takes a number or a name, got 'a b'"),
    ],
)
def test_a_set_that_there_is_not_is_told(tmp_path: Path, openml: Server, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        get(text, tmp_path)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"data_set_description": 1}', b"<html>"])
def test_a_description_that_is_none_is_told(tmp_path: Path, openml: Server, body: bytes) -> None:
    openml.script["/api/v1/json/data/61"] = [reply(200, body)]
    with pytest.raises(SurroundingsError, match=r"no description of data set 61|not JSON"):
        get("openml:61", tmp_path)


@pytest.mark.parametrize(
    ("arff", "checksum", "said"),
    [
        (ARFF + b"9", None, "it has another checksum than OpenML says"),
        (b"<html>", "", "OpenML sent what is no ARFF file"),
        (b"@RELATION a\n@ATTRIBUTE t STRING\n@DATA\n'x'\n", "", "holds free text, which is not read"),
        (b"@RELATION a\n@ATTRIBUTE t NUMERIC\n@DATA\nx\n", "", "OpenML sent what is no ARFF file"),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, openml: Server, arff: bytes, checksum: str | None, said: str) -> None:
    openml.script["/data/v1/download/61/things.arff"] = [file_of(arff)]
    changes: dict[str, Any] = {} if checksum is None else {"md5_checksum": checksum}
    offer(openml, parquet_url=None, **changes)
    with pytest.raises(SurroundingsError, match=said):
        get("openml:61", tmp_path)


def test_a_description_that_leads_inwards_is_refused(tmp_path: Path, openml: Server) -> None:
    offer(openml, parquet_url="http://169.254.169.254/latest", url=None)
    with pytest.raises(RefusedError):
        get("openml:61", tmp_path)
    offer(openml, parquet_url=None, url="file:///etc/passwd")
    with pytest.raises((RefusedError, InputError)):
        get("openml:61", tmp_path)
