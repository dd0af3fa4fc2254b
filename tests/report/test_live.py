"""The live page: when a new edition is made, who is answered, and that one reader keeps no other waiting."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from search.errors import SurroundingsError
from search.paths import StudyFolder
from search.report import live
from search.report.editions import SHARE, Editions
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress
from tests.cli.served import Served, served
from tests.records import studies
from tests.records.owners import folder_of
from tests.study.studies import flat_space


class Clock:
    """Seconds that pass at every look at it."""

    def __init__(self, each_s: float = 0.0) -> None:
        self.now, self.each_s = 0.0, each_s

    def __call__(self) -> float:
        self.now += self.each_s
        return self.now


class Sweep:
    """A study and its owner, in this process."""

    def __init__(self, results: Path, **changes: Any) -> None:
        self.folder, plan = folder_of(results, "w", **changes)
        self.owner = StudyOwner.open(plan, self.folder.root, flat_space, slots=4, run=Run("run"))
        self.owner.prepare({"val_loss": 0.69})

    def complete(self) -> None:
        """Ask for a trial and end it."""
        spec = self.owner.ask(f"slot:{time.monotonic()}").spec
        assert spec is not None
        self.owner.begin(spec.number, "t", worker="here")
        self.owner.report(spec.number, "t", Progress(1, {"val_loss": 0.5}, 1))
        self.owner.tell(spec.number, "t", Outcome(Ending.COMPLETE, 1, {"val_loss": 0.5}, text="full budget"))

    def finish(self) -> None:
        self.owner.stop("finished", "told so")
        self.owner.finish()
        self.owner.close()


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    made = Sweep(tmp_path)
    yield made
    made.owner.close()


def state_of(editions: Editions) -> tuple[str, int]:
    """Return what the newest edition shows."""
    payload = json.loads(gzip.decompress(editions.newest.payload))
    return payload["state"], payload["columns"]["count"]


def test_an_edition_is_made_when_something_happened_and_somebody_reads(sweep: Sweep) -> None:
    clock = Clock()
    editions = Editions(sweep.folder, clock)
    first, told = editions.newest, list[int]()
    sweep.complete()
    clock.now += 60
    editions.step(lambda: told.append(1))
    assert editions.newest is first
    assert (editions.news.trials["complete"], told) == (1, [1])
    with editions.reading():
        editions.step(lambda: told.append(1))
        second = editions.newest
        assert (second.name != first.name, editions.news.edition) == (True, second.name)
        editions.step(lambda: told.append(1))
    assert (editions.newest, told) == (second, [1, 1])


def test_after_an_edition_ten_times_its_cost_is_waited_but_not_at_the_end_of_a_sweep(sweep: Sweep) -> None:
    clock = Clock(each_s=0.5)
    editions = Editions(sweep.folder, clock)
    with editions.reading():
        first = editions.newest
        sweep.complete()
        editions.step()
        assert editions.newest is first
        clock.now += SHARE * 0.5
        editions.step()
        assert editions.newest is not first
        second = editions.newest
        sweep.finish()
        editions.step()
        assert editions.newest is not second
    assert state_of(editions)[0] == "finished"


def test_a_study_that_is_gone_is_told_and_shown_as_it_was_until_it_is_back(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "w", studies.MIXED)
    editions = Editions(folder, clock := Clock())
    shutil.move(folder.root, tmp_path / "elsewhere")
    folder.root.mkdir()
    with editions.reading():
        for _ in range(2):
            editions.step()
        assert (editions.news.trouble != "", editions.news.trials["complete"]) == (True, 3)
        folder.root.rmdir()
        studies.store(tmp_path, "w", studies.MIXED[:1])
        clock.now += 60
        editions.step()
        assert (editions.news.trouble, editions.news.trials["complete"]) == ("", 1)


def test_a_study_in_a_database_is_followed(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, storage=f"sqlite:///{tmp_path}/d.db")
    editions = Editions(sweep.folder, clock := Clock())
    sweep.complete()
    clock.now += 60
    with editions.reading():
        editions.step()
    sweep.owner.close()
    assert (editions.news.trials["complete"], state_of(editions)) == (1, ("running", 1))


def test_a_study_that_cannot_be_read_is_no_edition(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with pytest.raises(SurroundingsError):
        Editions(StudyFolder(tmp_path / "w"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page of a study that nobody runs, served."""
    results = tmp_path_factory.mktemp("live")
    studies.store(results, "w", studies.MIXED)
    with served("watch", "w", "--web", "--results", str(results)) as found:
        yield found


def test_page_and_payload_are_one_edition_with_headers_that_keep_others_out(server: Served) -> None:
    shown = server.ask()
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    payload = server.ask("/payload.json")
    assert f"<html data-edition={payload.headers['etag']} " in shown.text
    assert payload.json()["study"] == "w"
    assert payload.headers["content-encoding"] == "gzip"
    assert server.ask("/payload.json", Accept_Encoding="identity").json() == payload.json()
    for name, value in {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
    }.items():
        assert shown.headers[name] == payload.headers[name] == value
    assert (server.ask("/", "HEAD").status_code, server.ask("/events", "HEAD").status_code) == (200, 200)


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/", "GET", {"Host": "evil.example"}, 421),
        ("/", "GET", {"Host": "localhost.evil.example:80"}, 421),
        ("/", "GET", {"Host": "8.8.8.8"}, 421),
        ("/", "GET", {"Host": ""}, 421),
        ("/", "GET", {"Host": "localhost"}, 200),
        ("/", "GET", {"Host": "[::1]:8076"}, 200),
        ("/events", "GET", {"Origin": "http://evil.example"}, 403),
        ("/payload.json", "GET", {"Origin": "http://localhost:3000"}, 403),
        ("/payload.json", "GET", {"Origin": "null"}, 403),
        ("/payload.json", "GET", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ("/", "GET", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}, 403),
        ("/", "GET", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}, 200),
        ("/payload.json", "GET", {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}, 200),
        ("/", "POST", {}, 405),
        ("/", "DELETE", {}, 405),
        ("/payload.json", "PUT", {}, 405),
        ("/", "OPTIONS", {}, 405),
        ("/plan.json", "GET", {}, 404),
        ("/..%2f..%2fetc/passwd", "GET", {}, 404),
    ],
    ids=str,
)
def test_only_this_machines_own_pages_read_and_nothing_writes(
    server: Served, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    assert server.ask(path, method, **headers).status_code == status


def test_readers_that_take_nothing_in_and_too_many_of_them_keep_nobody_waiting(server: Served) -> None:
    stuck = []
    try:
        for sent in [b"GET /payl", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] * (live.BOUNDS.most // 2 + 8):
            one = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(sent)
            stuck.append(one)
        begun = time.monotonic()
        assert server.ask("/payload.json").status_code == 200
        assert time.monotonic() - begun < 5
    finally:
        for one in stuck:
            one.close()


def test_pages_that_come_at_one_moment_are_counted_before_they_are_answered(server: Served) -> None:
    at_once: list[socket.socket] = []
    try:
        for _ in range(live.BOUNDS.most - 2):
            at_once.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
        time.sleep(0.5)
        for one in at_once:
            one.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = [one.recv(12) for one in at_once]
        assert answers.count(b"HTTP/1.1 200") == live.MOST_STREAMS
        assert answers.count(b"HTTP/1.1 503") == len(at_once) - live.MOST_STREAMS
    finally:
        for one in at_once:
            one.close()


def test_pages_beyond_the_limit_are_refused_and_the_others_go_on(server: Served) -> None:
    streams: list[httpx.Response] = []
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=server.url, trust_env=False, verify=False, limits=limits, timeout=20) as client:
        for _ in range(live.MOST_STREAMS + 1):
            streams.append(client.send(client.build_request("GET", "/events"), stream=True))
        codes = [one.status_code for one in streams]
        assert codes == [200] * live.MOST_STREAMS + [503]
        lines = streams[0].iter_lines()
        assert next(lines).startswith("retry: ")
        assert json.loads(next(line for line in lines if line).removeprefix("data: "))["state"] == "finished"
        for one in streams:
            one.close()
        for _ in range(50):
            with client.stream("GET", "/events") as again:
                if again.status_code == 200:
                    return
            time.sleep(0.1)
    pytest.fail("a page that was closed still counts")
