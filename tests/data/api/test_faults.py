"""An API that limits, fails and lies: bounded requests, one sentence, no secret, and what came is kept."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.errors import ExitCode, InputError, RefusedError, SurroundingsError, SweepError
from tests.data.api.servers import Answer, Api, Asked, Project, Reply, bomb, by_page, rows, serving

SECRET = "canary-4711-abc"
GOOD = by_page(25, 10)


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOP_KEY", SECRET)
    return SECRET


def describe(project: Project, api: Api, more: str = "", paging: str = 'kind = "page"') -> None:
    project.describe(
        f'url = "{api.url}/items"\nrecords = "items"\ntimeout_s = 0.5\n{more}\n'
        f'[query]\nkey = "${{SHOP_KEY}}"\n[headers]\nX-Key = "${{SHOP_KEY}}"\n[paging]\n{paging}\n'
    )


def on_page(number: int, bad: Any, times: int = 1000) -> Answer:
    """Answer as the good API does, but on one page badly, for the first `times`."""
    left = [times]

    def answer(asked: Asked) -> Any:
        if int(asked.query.get("page", 1)) == number and left[0] > 0:
            left[0] -= 1
            return bad
        return GOOD(asked)

    return answer


def reset(handler: Any) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def drip(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(400):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.03)


TRIED_AGAIN: dict[str, Reply] = {
    "429": Reply(status=429),
    "429 with Retry-After": Reply(status=429, headers={"Retry-After": "7"}),
    "429 with a long Retry-After": Reply(status=429, headers={"Retry-After": "86400"}),
    "500": Reply(status=500),
    "503": Reply(status=503),
    "reset": Reply(raw=reset),
}
AT_ONCE: dict[str, Reply] = {
    "garbage": Reply(b'{"items": [{"id": 1}, '),
    "HTML with 200": Reply(b"<!DOCTYPE html><html><title>Log in</title></html>", headers={"Content-Type": "text/html"}),
    "empty body": Reply(b""),
    "not UTF-8": Reply(b'{"items": ["\xff"]}'),
    "401": Reply(status=401),
    "gzip bomb": bomb(200),
    "deep JSON": Reply(b"[" * 200_000),
    "number of 10,000 digits": Reply(b'{"items": [' + b"9" * 10_000 + b"]}"),
}


@pytest.mark.parametrize("fault", TRIED_AGAIN)
def test_what_may_pass_is_tried_again_a_bounded_number_of_times(fault: str, project: Project, secret: str) -> None:
    with serving(on_page(2, TRIED_AGAIN[fault])) as api:
        describe(project, api)
        error = failure(project)
        assert api.values("page") == ["1", *["2"] * 5]
        assert "goes on from there" in error.sentence()
    waits = [wait_s for wait_s in project.slept if wait_s > 0.3]
    assert all(wait_s <= 61 for wait_s in waits)
    if "with Retry" in fault:
        assert [round(wait_s) for wait_s in waits] == [7, 7, 7, 7]


@pytest.mark.parametrize("fault", TRIED_AGAIN)
def test_what_passes_is_only_waited_for(fault: str, project: Project, secret: str) -> None:
    with serving(on_page(2, TRIED_AGAIN[fault], times=3)) as api:
        describe(project, api)
        assert project.rows() == rows(0, 25)
        assert api.values("page") == ["1", "2", "2", "2", "2", "3", "4"]


@pytest.mark.parametrize("fault", AT_ONCE)
def test_what_will_not_pass_is_told_at_once_and_the_pages_before_are_kept(
    fault: str, project: Project, secret: str
) -> None:
    with serving(on_page(2, AT_ONCE[fault], times=1)) as api:
        describe(project, api)
        error = failure(project)
        if fault != "401":
            assert "page 2" in error.message or "127.0.0.1" in error.message
        assert api.values("page") == ["1", "2"]
        assert project.rows() == rows(0, 25)
        assert api.values("page") == ["1", "2", "2", "3", "4"]


def test_a_body_that_drips_ends(project: Project, secret: str) -> None:
    with serving(on_page(1, Reply(raw=drip))) as api:
        describe(project, api, "total_s = 2")
        started = time.monotonic()
        failure(project)
        assert time.monotonic() - started < 8
        assert len(api.asked) <= 5


CIRCLES: dict[str, tuple[str, Answer]] = {
    "the same cursor": (
        'kind = "cursor"\npath = "next"\nparam = "c"',
        lambda asked: {"items": rows(asked.count * 3, asked.count * 3 + 3), "next": "again"},
    ),
    "cursors in a ring": (
        'kind = "cursor"\npath = "next"\nparam = "c"',
        lambda asked: {
            "items": rows(asked.count * 3, asked.count * 3 + 3),
            "next": "bca"["abc".find(asked.query.get("c", "c"))],
        },
    ),
    "a growing cursor": (
        'kind = "cursor"\npath = "next"\nparam = "c"',
        lambda asked: {"items": rows(0, 3), "next": asked.query.get("c", "") + "x"},
    ),
    "a page parameter that is not known": ('kind = "page"', lambda asked: {"items": rows(0, 3)}),
    "empty pages for ever": (
        'kind = "cursor"\npath = "next"\nparam = "c"',
        lambda asked: {"items": [], "next": asked.count + 1},
    ),
    "next is itself": (
        'kind = "next"\npath = "next"',
        lambda asked: {"items": rows(0, 3), "next": f"/items?key={SECRET}"},
    ),
}


@pytest.mark.parametrize("circle", CIRCLES)
def test_a_circle_is_found(circle: str, project: Project, secret: str) -> None:
    paging, answer = CIRCLES[circle]
    with serving(answer) as api:
        describe(project, api, paging=paging)
        error = failure(project)
        assert "circle" in error.message or "no end" in error.message
        assert len(api.asked) <= (50 if "empty" in circle else 5)


def test_two_pages_of_rows_that_were_there_are_a_circle(project: Project, secret: str) -> None:
    """The order differs, so the pages are not the same; only the key tells."""

    def answer(asked: Asked) -> Any:
        return {"items": [{**row, "at": asked.count} for row in rows(0, 5)]}

    with serving(answer) as api:
        describe(project, api, 'key = "id"')
        assert "circle" in failure(project).message
        assert len(api.asked) == 3


def test_rows_without_end_stop_at_the_limit(project: Project, secret: str) -> None:
    def answer(asked: Asked) -> Any:
        return {"items": rows(asked.count, asked.count + 1), "next": asked.count + 1}

    with serving(answer) as api:
        describe(project, api, "[limit]\nmax_pages = 7\n", 'kind = "cursor"\npath = "next"\nparam = "c"')
        found = project.fetch()
        assert len(api.asked) == 7
        assert "stopped after limit max_pages = 7: there may be more" in found.notes


def test_more_than_the_limit_in_megabytes_is_told_and_kept(project: Project, secret: str) -> None:
    def answer(asked: Asked) -> Any:
        return {"items": [{"id": asked.count, "text": "x" * 400_000}]}

    with serving(answer) as api:
        describe(project, api, "[limit]\nmax_mb = 1\n")
        assert "1 MB" in failure(project).message
        assert len(api.asked) == 3


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ({"total": 99}, "the answers speak of 99 rows in all, 25 came"),
        ({"total": 5}, "the answers speak of 5 rows in all, 25 came"),
        ({"total": 25, "pages": 9}, "the answers speak of 9 pages in all, 3 came"),
        ({"total": 25, "pages": 1}, "the answers speak of 1 pages in all, 3 came"),
    ],
)
def test_a_count_that_lies_costs_no_row_and_is_told(
    said: dict[str, int], note: str, project: Project, secret: str
) -> None:
    with serving(lambda asked: {**GOOD(asked), **said}) as api:
        describe(project, api, paging='kind = "page"\ntotal = "total"\npages = "pages"')
        found = project.fetch()
        assert project.rows() == rows(0, 25)
        assert note in found.notes


def test_a_total_that_shrinks_is_told(project: Project, secret: str) -> None:
    with serving(lambda asked: {**GOOD(asked), "total": 30 - asked.count}) as api:
        describe(project, api, paging='kind = "page"\ntotal = "total"')
        assert any("shrank from 30 to 27" in note for note in project.fetch().notes)


def test_a_circle_of_redirects_is_found(project: Project, secret: str) -> None:
    with serving(lambda asked: Reply(status=302, headers={"Location": "/items"})) as api:
        describe(project, api)
        failure(project)
        assert len(api.asked) <= 12


@contextlib.contextmanager
def two() -> Iterator[tuple[Api, Api]]:
    """An API whose next page, or redirect, leads to another port, and that other one."""
    with serving(lambda asked: {"items": rows(10, 20)}) as inner:

        def answer(asked: Asked) -> Any:
            if "redirected" in asked.path:
                return Reply(status=302, headers={"Location": f"{inner.url}/secret"})
            return {"items": rows(0, 10), "next": f"{inner.url}/secret"}

        with serving(answer) as outer:
            yield outer, inner


@pytest.mark.parametrize("url", ["/items", "/redirected"])
def test_what_leads_to_another_host_is_refused_unless_allowed(url: str, project: Project, secret: str) -> None:
    paging = 'kind = "next"\npath = "next"'
    with two() as (outer, inner):
        describe(project, outer, paging=paging)
        project.describe((project.folder / "x.toml").read_text().replace("/items", url))
        with pytest.raises(RefusedError) as refused:
            project.fetch()
        assert refused.value.code == ExitCode.REFUSED
        assert SECRET not in refused.value.sentence()
        assert not inner.asked
        got = project.rows(f"api:x.toml?allow=127.0.0.1:{inner.port}")
        assert [row["id"] for row in got] == list(range(0 if url == "/items" else 10, 20))
        assert all("x-key" not in asked.headers for asked in inner.asked)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "file:///etc/passwd"])
def test_what_leads_inwards_is_refused(url: str, project: Project, secret: str) -> None:
    with serving(lambda asked: {"items": rows(0, 10), "next": url}) as api:
        describe(project, api, paging='kind = "next"\npath = "next"')
        with pytest.raises(RefusedError):
            project.fetch()


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_command_ends_with_3_and_without_a_secret(flags: list[str], project: Project, secret: str) -> None:
    with serving(lambda asked: Reply(f"<html>{asked.headers['x-key']}".encode())) as api:
        describe(project, api)
        command = [sys.executable, "-m", "search", "data", "api:x.toml", *flags]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        ended = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "is HTML, not JSON" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    assert not [path for path in project.folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def failure(project: Project) -> SweepError:
    with pytest.raises((SurroundingsError, InputError)) as caught:
        project.fetch()
    error = caught.value
    assert error.code == ExitCode.SURROUNDINGS, error.sentence()
    assert SECRET not in error.sentence()
    assert "\n" not in error.sentence()
    assert len(error.message) <= 200
    everything = b"".join(path.read_bytes() for path in project.folder.rglob("*") if path.is_file())
    assert SECRET.encode() not in everything
    assert SECRET not in " ".join(project.said)
    return error
