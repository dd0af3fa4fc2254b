"""What the tests of `sql:` share: asking, and a proxy that cuts connections."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

from search.data.fetch import Fetched, fetch
from search.data.reference import parse_reference
from search.errors import SweepError


def ask(text: str, folder: Path, *, refresh: bool = False, say: Callable[[str], None] = lambda _: None) -> Fetched:
    return fetch(parse_reference(text, folder), folder, folder / "results", refresh=refresh, say=say)


def table(text: str, folder: Path) -> pd.DataFrame:
    return pd.read_parquet(ask(text, folder).path)


def refusal(text: str, folder: Path) -> SweepError:
    """Ask what is refused, see that nothing is left behind, and return the error."""
    with pytest.raises(SweepError) as raised:
        ask(text, folder)
    assert len(raised.value.message) <= 200 + len(str(folder))
    assert not list((folder / "results" / "data").glob("*"))
    return raised.value


def fill(path: Path, name: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Make a table in a SQLite file, in place of one that is there."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"DROP TABLE IF EXISTS {name}")
        database.execute(f"CREATE TABLE {name} ({columns})")
        database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * (columns.count(',') + 1))})", rows)


class Cutter:
    """Passes connections on to a server; after so many bytes from it, the connection is cut or falls silent."""

    def __init__(self, url: str, *, after: int, delay_s: float = 0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._to, self._left, self._delay_s = (parts.hostname, parts.port), after, delay_s
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{parts.port}/", f":{self._listening.getsockname()[1]}/")
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._to)
                threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                if counted:
                    time.sleep(self._delay_s)
                    self._left -= len(data)
                    if self._left < 0:
                        break
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def cut(url: str, *, after: int, delay_s: float = 0) -> Iterator[str]:
    cutter = Cutter(url, after=after, delay_s=delay_s)
    try:
        yield cutter.url
    finally:
        cutter.close()
