from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from search.data.fetch import Fetched, fetch
from search.data.reference import parse_reference
from search.data.source import FileSource
from search.errors import InputError, SurroundingsError

TABLE = b"a,b,label\n" + b"".join(b"%d,%d,%s\n" % (row, row * row % 7, b"yn"[row % 2 :][:1]) for row in range(60))
DIGEST = hashlib.sha256(TABLE).hexdigest()


@pytest.fixture
def bucket() -> Iterator[str]:
    """A place in fsspec's memory."""
    name = f"/{uuid.uuid4().hex}"
    system = fsspec.filesystem("memory")
    system.pipe(f"{name}/t.csv", TABLE)
    yield f"memory:/{name}"
    system.rm(name, recursive=True)


def get(text: str, root: Path, **options: Any) -> Fetched:
    return fetch(parse_reference(text, root), root, root / "results", **options)


def test_a_file_is_fetched_once_and_known_by_its_content(tmp_path: Path, bucket: str) -> None:
    first = get(f"{bucket}/t.csv", tmp_path)
    assert first.path.read_bytes() == TABLE
    assert first.pinned == f"{bucket}/t.csv#sha256={DIGEST}"
    fsspec.filesystem("memory").pipe(f"{bucket.removeprefix('memory:/')}/t.csv", TABLE + b"1,2,y\n")
    assert get(f"{bucket}/t.csv", tmp_path) == first
    second = get(f"{bucket}/t.csv", tmp_path, refresh=True)
    assert second.path.read_bytes() == TABLE + b"1,2,y\n"
    assert second.notes == ("t.csv has changed since it was last fetched",)
    assert get(first.pinned, tmp_path).path == first.path


def test_a_remote_file_is_a_data_set(tmp_path: Path, bucket: str) -> None:
    source = FileSource(f"{bucket}/t.csv", "label", tmp_path, results=tmp_path / "results")
    assert len(source.table("sklearn:wine").target) == 60


def test_a_checksum_is_checked(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(SurroundingsError, match=rf"t\.csv has the sha256 {DIGEST}, and sha256=0000"):
        get(f"{bucket}/t.csv#sha256={'0' * 64}", tmp_path)
    assert get(f"{bucket}/t.csv#sha256={DIGEST}", tmp_path).path.read_bytes() == TABLE


def test_what_is_not_there_or_a_folder_is_told(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(SurroundingsError, match=r"none\.csv does not exist there"):
        get(f"{bucket}/none.csv", tmp_path)
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        get(bucket, tmp_path)


@pytest.mark.parametrize(("scheme", "driver"), [("gs", "gcsfs"), ("az", "adlfs"), ("sftp", "paramiko")])
def test_a_driver_that_is_not_installed_is_named(tmp_path: Path, scheme: str, driver: str) -> None:
    if _installed(driver):
        pytest.skip(f"{driver} is installed")
    with pytest.raises(SurroundingsError, match=f"{scheme}:// needs {driver}, which is not installed") as trouble:
        get(f"{scheme}://bucket/t.csv", tmp_path)
    assert trouble.value.hint == f"pip install {driver}"


def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SurroundingsError, match=r"t\.csv cannot be fetched by ftp://: "):
        get("ftp://127.0.0.1:1/t.csv", tmp_path)


def test_a_file_comes_by_a_real_server_of_another_protocol(tmp_path: Path) -> None:
    """fsspec's own driver for FTP, against a server of a few lines."""
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FTP)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        port = int(server.stdout.readline())
        assert get(f"ftp://127.0.0.1:{port}/t.csv", tmp_path).path.read_bytes() == b"a,b\n1,2\n"
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()


FTP = r"""
    import os, socket, sys, threading
    content = b"a,b\n1,2\n"
    def talk(line):
        data = None
        file = line.makefile("rw", newline="\r\n")
        def say(text):
            file.write(text + "\n"); file.flush()
        say("220 here")
        for command in file:
            verb, _, rest = command.strip().partition(" ")
            verb = verb.upper()
            if verb == "USER": say("331 password")
            elif verb == "PASS": say("230 in")
            elif verb == "TYPE": say("200 ok")
            elif verb == "PWD": say('257 "/"')
            elif verb == "SIZE": say(f"213 {len(content)}")
            elif verb == "CWD": say("550 no folder")
            elif verb in ("PASV", "EPSV"):
                data = socket.create_server(("127.0.0.1", 0))
                port = data.getsockname()[1]
                say(f"227 ok (127,0,0,1,{port >> 8},{port & 255})" if verb == "PASV" else f"229 ok (|||{port}|)")
            elif verb in ("RETR", "MLSD", "LIST"):
                say("150 comes")
                connection, _ = data.accept()
                listing = f"type=file;size={len(content)}; t.csv\r\n".encode()
                connection.sendall(content if verb == "RETR" else listing)
                connection.close(); data.close()
                say("226 done")
            elif verb == "QUIT": say("221 bye"); return
            else: say("200 ok")
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    def accept():
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os._exit(0)
"""


def _installed(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None
