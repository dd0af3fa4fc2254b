# ruff: noqa: SIM117 (a server and what is expected of it read better one below the other)

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.data.fetch import Fetched, fetch
from search.data.reference import parse_reference
from search.data.source import FileSource
from search.data.web.client import Web
from search.errors import InputError, RefusedError, SurroundingsError, SweepError
from search.paths import DataFolder

from .servers import file_of, reply, serve, slowly

TABLE = b"a,b,label\n" + b"".join(b"%d,%d,%s\n" % (row, row * row % 7, b"yn"[row % 2 :][:1]) for row in range(60))
DIGEST = hashlib.sha256(TABLE).hexdigest()


def get(text: str, root: Path, said: list[str] | None = None, *, refresh: bool = False) -> Fetched:
    say = said.append if said is not None else lambda line: None
    return fetch(parse_reference(text, root), root, root / "results", refresh=refresh, say=say)


def folder(root: Path) -> Path:
    (found,) = (root / "results" / "data").iterdir()
    return found


def test_a_table_is_downloaded_once_and_known_by_its_content(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(TABLE)}) as server:
        first = get(f"{server.url}/t.csv", tmp_path)
        again = get(f"{server.url}/t.csv", tmp_path)
        assert len(server.asked) == 1
    assert first == again
    assert first.path.read_bytes() == TABLE
    assert first.path.name == f"{DIGEST}.csv"
    assert first.pinned == f"{server.url}/t.csv#sha256={DIGEST}"


def test_what_was_pinned_needs_no_network(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(TABLE)}) as server:
        first = get(f"{server.url}/t.csv#task=classification", tmp_path)
    for refresh in (False, True):
        again = get(first.pinned, tmp_path, refresh=refresh)
        assert (again.path, again.pinned) == (first.path, first.pinned)
    assert "task=classification" in first.pinned


def test_a_url_is_a_data_set(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(TABLE)}) as server:
        source = FileSource(f"{server.url}/t.csv", "label", tmp_path, results=tmp_path / "results")
        dataset = source.table("sklearn:wine")
    assert (dataset.name, len(dataset.target)) == ("t.csv", 60)
    assert source.pinned == f"{server.url}/t.csv#sha256={DIGEST}"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_table_is_a_data_set(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    with serve(**{"t.csv.gz": file_of(pack(TABLE))}) as server:
        source = FileSource(f"{server.url}/t.csv.gz", "label", tmp_path, results=tmp_path / "results")
        assert len(source.table("sklearn:wine").target) == 60


def test_refreshing_asks_whether_it_has_changed(tmp_path: Path) -> None:
    with serve(**{"t.csv": [file_of(TABLE), file_of(TABLE), file_of(TABLE + b"1,2,y\n", etag='"v2"')]}) as server:
        first = get(f"{server.url}/t.csv", tmp_path)
        same = get(f"{server.url}/t.csv", tmp_path, refresh=True)
        assert server.asked[1].headers["if-none-match"] == '"v1"'
        new = get(f"{server.url}/t.csv", tmp_path, refresh=True)
        assert get(f"{server.url}/t.csv", tmp_path) == Fetched(new.path, new.pinned)
    assert same == first
    assert new.path.read_bytes() == TABLE + b"1,2,y\n"
    assert new.notes == ("t.csv has changed at its source since it was last fetched",)
    assert get(first.pinned, tmp_path).path.read_bytes() == TABLE  # the old one is still here


def test_a_checksum_is_checked(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(TABLE)}) as server:
        with pytest.raises(SurroundingsError) as trouble:
            get(f"{server.url}/t.csv#sha256={'0' * 64}", tmp_path)
        assert DIGEST in trouble.value.message
        assert "0" * 64 in trouble.value.message
        assert not list((tmp_path / "results" / "data").rglob("*.csv"))
        assert get(f"{server.url}/t.csv#sha256={DIGEST}", tmp_path).path.read_bytes() == TABLE


def test_what_was_changed_afterwards_is_not_believed(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(TABLE)}) as server:
        first = get(f"{server.url}/t.csv", tmp_path)
    first.path.write_bytes(TABLE + b"9,9,y\n")
    for reference in (first.pinned, f"{server.url}/t.csv"):
        with pytest.raises(RefusedError, match="was changed: its content is not what its name says"):
            get(reference, tmp_path)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>log in</html>", b"\n <HTML>", b"\xef\xbb\xbf<html>"])
def test_a_web_page_in_its_place_is_told(tmp_path: Path, page: bytes) -> None:
    with serve(**{"t.csv": file_of(page)}) as server:
        with pytest.raises(SurroundingsError, match=r"t\.csv: the server sent a web page, not a file"):
            get(f"{server.url}/t.csv", tmp_path)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(b"")}) as server, pytest.raises(SurroundingsError, match="sent an empty file"):
        get(f"{server.url}/t.csv", tmp_path)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"cut_at": [40_000, 30_000]}, [None, "bytes=40000-", "bytes=70000-"]),
        ({"etag": None, "last_modified": "Thu, 26 Nov 2020 08:00:00 GMT"}, [None, "bytes=40000-"]),
        ({"etag": 'W/"weak"'}, [None, None]),
        ({"etag": None}, [None, None]),
        ({"ranges": False}, [None, "bytes=40000-"]),
    ],
)
def test_a_cut_download_goes_on_where_the_server_can_tell_that_it_is_the_same(
    tmp_path: Path, how: dict[str, Any], expected: list[str | None]
) -> None:
    content = os.urandom(100_000)
    with serve(x=file_of(content, **{"cut_at": [40_000], **how})) as server:
        assert get(f"{server.url}/x", tmp_path).path.read_bytes() == content
        ranges = [request.headers.get("range") for request in server.asked]
    assert ranges == expected


def test_a_file_that_changes_between_two_parts_is_taken_anew(tmp_path: Path) -> None:
    old, new = os.urandom(50_000), os.urandom(60_000)
    with serve(x=[file_of(old, cut_at=[20_000]), file_of(new, etag='"v2"')]) as server:
        assert get(f"{server.url}/x", tmp_path).path.read_bytes() == new


@pytest.mark.parametrize(
    "lie",
    [
        reply(206, b"x" * 10, content_range="bytes 5-14/100", etag='"v1"'),
        reply(206, b"x" * 10, content_range="bytes 99999999-3/4", etag='"v1"'),
        reply(206, b"x" * 10, etag='"v1"'),
        reply(416, etag='"v1"'),
    ],
)
def test_an_answer_that_does_not_fit_what_is_there_starts_it_anew(tmp_path: Path, lie: bytes) -> None:
    content = os.urandom(5_000)
    with serve(x=[file_of(content, cut_at=[2_000]), lie, file_of(content)]) as server:
        assert get(f"{server.url}/x", tmp_path).path.read_bytes() == content


def test_a_part_that_ends_before_the_whole_is_not_believed_to_be_the_end(tmp_path: Path) -> None:
    content = os.urandom(5_000)
    part = reply(206, content[2_000:3_000], content_range="bytes 2000-4999/5000", content_length=None, etag='"v1"')
    with serve(x=[file_of(content, cut_at=[2_000]), part, file_of(content)]) as server:
        assert get(f"{server.url}/x", tmp_path).path.read_bytes() == content
        assert server.asked[2].headers["range"] == "bytes=3000-"


FETCH = """
import sys
from pathlib import Path
from typing import Any
from search.data.fetch import fetch
from search.data.reference import parse_reference
root = Path(sys.argv[2])
print(fetch(parse_reference(sys.argv[1], root), root, root / "results").path)
"""


def test_a_download_that_was_killed_goes_on(tmp_path: Path) -> None:
    content = os.urandom(400_000)
    slow = slowly(reply(200, content, etag='"v1"'), piece=4_000, pause_s=0.02)
    with serve(**{"x.bin": [slow, file_of(content)]}) as server:
        command = [sys.executable, "-c", FETCH, f"{server.url}/x.bin", str(tmp_path)]
        victim = subprocess.Popen(command)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            partial = next((tmp_path / "results").glob("data/*/partial"), None)
            if partial is not None and partial.stat().st_size > 40_000:
                break
            time.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        state = json.loads((folder(tmp_path) / "state.json").read_text())
        assert state["partial"] == {"validator": '"v1"', "total": 400_000}
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        begun = int(server.asked[1].headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 40_000 < begun < 400_000
    assert server.asked[1].headers["if-range"] == '"v1"'
    assert Path(done.stdout.strip()).read_bytes() == content
    assert not (folder(tmp_path) / "partial").exists()


def test_two_processes_fetch_the_same_once(tmp_path: Path) -> None:
    with serve(**{"t.csv": slowly(reply(200, TABLE * 20, etag='"v1"'), piece=1000)}) as server:
        command = [sys.executable, "-c", FETCH, f"{server.url}/t.csv", str(tmp_path)]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        paths = {process.communicate(timeout=60)[0] for process in both}
        assert len(server.asked) == 1
    assert len(paths) == 1


def test_progress_is_said_at_most_once_a_second(tmp_path: Path) -> None:
    said: list[str] = []
    with serve(x=slowly(reply(200, b"x" * 3_000_000), piece=100_000, pause_s=0.07)) as server:
        get(f"{server.url}/x", tmp_path, said)
    assert 1 <= len(said) <= 3
    assert said[0].startswith("x: 1.")
    assert said[0].endswith(" of 3.0 MB")


def test_a_redirect_into_the_private_network_is_refused_unless_allowed(tmp_path: Path) -> None:
    with serve(t=file_of(TABLE)) as inner, serve(t=reply(302, location=f"{inner.url}/t")) as server:
        with pytest.raises(RefusedError, match="which is not on the public internet") as refusal:
            get(f"{server.url}/t", tmp_path)
        assert inner.asked == []
        assert refusal.value.hint == f"allow=127.0.0.1:{inner.port} permits it"
        got = get(f"{server.url}/t#allow=127.0.0.1:{inner.port}", tmp_path)
        assert got.path.read_bytes() == TABLE


def test_a_secret_of_the_environment_is_sent_and_nowhere_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T_KEY", "CANARY/1 &2")
    said: list[str] = []
    with serve(**{"t.csv": [reply(500), file_of(TABLE)]}, rest=reply(403)) as server:
        first = get(f"{server.url}/t.csv?api_key=${{T_KEY}}", tmp_path, said)
        assert server.asked[0].target == "/t.csv?api_key=CANARY%2F1%20%262"
        with pytest.raises(SurroundingsError) as trouble:
            get(f"{server.url}/${{T_KEY}}/other.csv", tmp_path, said)
    shown = [*said, first.pinned, trouble.value.sentence(), *map(str, (tmp_path / "results").rglob("*"))]
    shown += [path.read_text() for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert len(said) == 1
    assert "CANARY" not in "".join(shown)
    assert get(first.pinned, tmp_path).path == first.path


def test_a_read_only_folder_with_the_file_is_enough(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(TABLE)}) as server:
        first = get(f"{server.url}/t.csv", tmp_path)
    command = [sys.executable, "-c", FETCH, first.pinned, str(tmp_path)]
    mount = f'mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", *command], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this system gives no mount namespace")
    assert done.stdout.strip() == str(first.path)


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_failing_server_is_one_sentence(tmp_path: Path, status: int) -> None:
    with serve(rest=reply(status, retry_after="0")) as server, pytest.raises(SweepError) as trouble:
        get(f"{server.url}/t.csv", tmp_path)
    assert trouble.value.code == 3
    assert f"/t.csv answered {status}" in trouble.value.message
    assert not list((tmp_path / "results" / "data").iterdir())


def test_what_is_noted_of_a_download_never_stands_beside_the_bytes_of_another(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    path.write_bytes(b"old")
    seen: list[bool] = []
    with serve(x=file_of(b"new", etag='"v2"')) as server, Web(server.url) as web:
        web.stream_to(f"{server.url}/x", path, offset=3, etag='"v1"', begin=lambda answer: seen.append(path.exists()))
    assert seen == [False]
    assert path.read_bytes() == b"new"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with serve(**{"t.csv": file_of(TABLE)}) as server:
        url = f"{server.url}/t.csv"
        place = DataFolder.of(tmp_path / "results", parse_reference(url, tmp_path).folder_name)
        place.state.mkdir(parents=True)  # where a file is to be
        with pytest.raises(SurroundingsError, match="cannot be written"):
            get(url, tmp_path)


def test_arrays_that_were_fetched_are_called_by_their_name(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((40, 4, 4), dtype=np.uint8), y=np.arange(40) % 2)
    with serve(**{"shapes.npz": file_of(buffer.getvalue()), "bad.npz": file_of(b"PK\x03\x04")}) as server:
        source = FileSource(f"{server.url}/shapes.npz", None, tmp_path, results=tmp_path / "results")
        assert source.images("sklearn:digits").name == "shapes.npz"
        source = FileSource(f"{server.url}/bad.npz", None, tmp_path, results=tmp_path / "results")
        with pytest.raises(InputError, match=r"^bad\.npz is a damaged archive"):
            source.images("sklearn:digits")
