"""Fault 26 of the list: what an HTTP server can do wrong, against a real one on loopback."""

# ruff: noqa: SIM117 (a server, a client and what is expected of them read better one below the other)

from __future__ import annotations

import email.utils
import gzip
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.data.web.client import Web
from search.errors import InputError, RefusedError, SurroundingsError, SweepError

from .servers import reply, reset, serve, slowly

GOOD = reply(200, b'{"good": 1}')


def web(url: str, said: list[str] | None = None, slept: list[float] | None = None, **options: Any) -> Web:
    say: Callable[[str], None] = said.append if said is not None else lambda line: None
    sleep: Callable[[float], None] = slept.append if slept is not None else lambda seconds: None
    return Web(url, say=say, sleep=sleep, **options)


FAILURES = {
    "429": reply(429),
    "429 later": reply(429, retry_after="7"),
    "500": reply(500),
    "502": reply(502),
    "503": reply(503, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"),
    "504": reply(504),
    "reset": reset,
    "nothing": b"",
    "garbage": b"\x00\x01\x02 this is not HTTP at all\r\n\r\n",
    "cut headers": b"HTTP/1.1 200 OK\r\nContent-Len",
    "cut body": reply(200, b"half", content_length=8),
    "huge headers": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 50_000 + b"\r\n",
    "damaged gzip": reply(200, b"\x1f\x8b nonsense that is no gzip", content_encoding="gzip"),
    "cut gzip": reply(200, gzip.compress(b"abc" * 100)[:-9], content_encoding="gzip"),
    "chunk garbage": reply(200, b"zz\r\nabc", content_length=None, transfer_encoding="chunked"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_may_pass_is_tried_again(failure: str) -> None:
    said: list[str] = []
    with serve(a=[FAILURES[failure], FAILURES[failure], GOOD]) as server, web(server.url, said) as client:
        assert client.get(f"{server.url}/a").json() == {"good": 1}
        assert server.times("/a") == 3
    assert len(said) == 2
    assert all("trying again in " in line for line in said)


@pytest.mark.parametrize("failure", FAILURES)
def test_what_does_not_pass_is_told_after_so_many_attempts(failure: str) -> None:
    with serve(a=FAILURES[failure]) as server, web(server.url, attempts=3) as client:
        with pytest.raises(SurroundingsError, match=r"http://127\.0\.0\.1:\d+/a\?key=\* .*\(3 attempts\)$") as trouble:
            client.get(f"{server.url}/a?key=CANARY")
        assert server.times("/a") == 3
    assert len(trouble.value.sentence()) <= 200
    assert "CANARY" not in trouble.value.sentence()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418, 451, 501, 505, 999])
def test_what_will_not_pass_is_told_at_once(status: int) -> None:
    with serve(a=reply(status)) as server, web(server.url) as client:
        with pytest.raises(SurroundingsError, match=f"/a answered {status} Said"):
            client.get(f"{server.url}/a")
        assert server.times("/a") == 1
        assert client.get(f"{server.url}/a", accept=(status,)).status == status


def test_nobody_at_the_address_is_tried_again_and_told() -> None:
    slept: list[float] = []
    with serve() as server:
        url = server.url
    with web(url, slept=slept) as client, pytest.raises(SurroundingsError, match=r"refused \(5 attempts\)"):
        client.get(f"{url}/x")
    assert len(slept) == 4


def test_a_host_that_does_not_exist_is_told_at_once() -> None:
    slept: list[float] = []
    with web("http://nowhere.invalid/", slept=slept) as client:
        with pytest.raises(SurroundingsError, match=r"nowhere\.invalid"):
            client.get("http://nowhere.invalid/")
    assert len(slept) in (0, 4)  # some networks cannot tell it from a name server that is away


def test_the_intervals_grow() -> None:
    slept: list[float] = []
    with serve(a=reply(500)) as server, web(server.url, slept=slept, attempts=6) as client:
        with pytest.raises(SurroundingsError):
            client.get(f"{server.url}/a")
    assert len(slept) == 5
    assert slept[4] > slept[2] > slept[0]


def test_a_server_says_how_long_to_wait_in_seconds_or_by_a_date() -> None:
    slept: list[float] = []
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    answers = [reply(429, retry_after="7"), reply(503, retry_after=date), reply(429, retry_after="soon"), GOOD]
    with serve(a=answers) as server, web(server.url, slept=slept) as client:
        client.get(f"{server.url}/a")
    assert slept[0] == 7
    assert 25 < slept[1] <= 30
    assert 0.5 < slept[2] < 5  # what makes no sense is not waited for


def test_a_server_cannot_ask_for_more_than_the_cap() -> None:
    slept: list[float] = []
    said: list[str] = []
    with serve(a=[reply(429, retry_after="3600"), GOOD]) as server:
        with web(server.url, said, slept, retry_after_cap_s=5) as client:
            client.get(f"{server.url}/a")
    assert slept == [5]
    assert said[0].endswith("answered 429 Said; trying again in 5.0 s, not in 3600 s as it asks")


def test_waiting_counts_into_the_total_time() -> None:
    slept: list[float] = []
    with serve(a=reply(429, retry_after="50")) as server, web(server.url, slept=slept, total_s=20) as client:
        with pytest.raises(SurroundingsError, match="answered 429"):
            client.get(f"{server.url}/a")
    assert slept == []


def test_a_slow_body_is_given_up_when_the_time_is_over() -> None:
    with serve(a=slowly(reply(200, b"x" * 1000))) as server, web(server.url, total_s=0.5) as client:
        begun = time.monotonic()
        with pytest.raises(SurroundingsError, match="too slow to send all of it"):
            client.get(f"{server.url}/a")
    assert time.monotonic() - begun < 8


def test_silence_is_given_up_after_the_time_out() -> None:
    with serve(a=lambda connection, request: time.sleep(1)) as server:
        with web(server.url, timeout_s=0.2, attempts=2) as client:
            with pytest.raises(SurroundingsError, match=r"does not answer \(2 attempts\)"):
                client.get(f"{server.url}/a")


def test_slow_headers_are_given_up_when_the_time_is_over() -> None:
    with (
        serve(a=slowly(reply(200, b"x", x="y" * 2000), headers=True)) as server,
        web(server.url, total_s=0.5, attempts=1) as client,
    ):
        begun = time.monotonic()
        with pytest.raises(SurroundingsError):
            client.get(f"{server.url}/a")
    assert time.monotonic() - begun < 5


def test_a_slow_download_is_given_up_but_not_for_its_length(tmp_path: Path) -> None:
    content = os.urandom(4000)
    with serve(a=slowly(reply(200, content), piece=400, pause_s=0.1), b=slowly(reply(200, content))) as server:
        with web(server.url, total_s=0.3, timeout_s=0.3, attempts=1) as client:
            assert client.stream_to(f"{server.url}/a", tmp_path / "a").size == 4000
            with pytest.raises(SurroundingsError, match="sends less than 100 bytes a second"):
                client.stream_to(f"{server.url}/b", tmp_path / "b")


def test_a_gzip_bomb_costs_no_more_memory_than_the_cap() -> None:
    bomb = gzip.compress(b"\0" * (1 << 27))  # each 64 KB that are read hold 64 MB
    with serve(a=reply(200, bomb, content_encoding="gzip"), small=GOOD) as server:
        check = f"""
            from pathlib import Path
            from search.data.web.client import Web
            from search.errors import SurroundingsError

            def most():  # KiB since this program began
                return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

            with Web({server.url!r}, max_bytes=8 << 20) as client:
                client.get({server.url + "/small"!r})
                before = most()
                try:
                    client.get({server.url + "/a"!r})
                except SurroundingsError as error:
                    print(most() - before, error.sentence())
        """
        command = [sys.executable, "-c", textwrap.dedent(check)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, sentence = done.stdout.split(" ", 1)
    assert int(grown) < 30_000
    assert "is larger; at most 8 MB are taken" in sentence


def test_a_download_that_unpacks_to_far_too_much_is_not_taken(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * (80 << 20), 1)
    with serve(a=reply(200, bomb, content_encoding="gzip")) as server, web(server.url, max_bytes=1 << 40) as client:
        with pytest.raises(SurroundingsError, match="unpacks to more than 100 times its size"):
            client.stream_to(f"{server.url}/a", tmp_path / "a")


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "nonsense"])
def test_a_packing_that_was_not_asked_for_is_told(coding: str) -> None:
    with serve(a=reply(200, b"x", content_encoding=coding)) as server, web(server.url) as client:
        with pytest.raises(SurroundingsError, match="which was not asked for"):
            client.get(f"{server.url}/a")


def test_a_body_is_unpacked_and_several_gzip_members_are_one() -> None:
    body = gzip.compress(b"abc") + gzip.compress(b"def")
    with serve(a=reply(200, body, content_encoding="gzip"), b=reply(200, b"", content_encoding="gzip")) as server:
        with web(server.url) as client:
            assert client.get(f"{server.url}/a").body == b"abcdef"
            assert client.get(f"{server.url}/b").body == b""


@pytest.mark.parametrize("length", ["9999999999", "99999999999999999999"])
def test_a_body_that_is_announced_too_large_is_not_begun(length: str) -> None:
    with serve(a=reply(200, b"x", content_length=length)) as server, web(server.url, max_bytes=1000) as client:
        with pytest.raises(SurroundingsError, match="at most 0 MB are taken"):
            client.get(f"{server.url}/a")


def test_an_endless_body_stops_at_the_cap() -> None:
    def endless(connection: Any, request: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serve(a=endless) as server, web(server.url, max_bytes=1 << 20) as client:
        with pytest.raises(SurroundingsError, match="is larger; at most 1 MB are taken"):
            client.get(f"{server.url}/a")


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_told(body: bytes) -> None:
    with serve(a=reply(200, body)) as server, web(server.url) as client:
        with pytest.raises(SurroundingsError, match=r"sent (a web page|something else), not JSON"):
            client.get(f"{server.url}/a").json()


def test_redirects_are_followed_on_the_same_origin() -> None:
    steps = [reply(status, location=f"/{name}") for status, name in ((301, "b"), (302, "c"), (307, "d"), (308, "e"))]
    with serve(a=steps[0], b=steps[1], c=steps[2], d=steps[3], e=GOOD) as server, web(server.url) as client:
        assert client.get(f"{server.url}/a").url == f"{server.url}/e"


@pytest.mark.parametrize("target", ["/a", "/a#other", "a", "", "?"])
def test_a_redirect_to_itself_is_told_at_once(target: str) -> None:
    with serve(a=reply(302, location=target)) as server, web(server.url) as client:
        with pytest.raises(SurroundingsError, match=r"redirects (in a circle|more than)"):
            client.get(f"{server.url}/a")
        assert server.times("/a") <= 2


def test_a_longer_circle_is_told() -> None:
    with serve(a=reply(302, location="/b"), b=reply(302, location="/a")) as server, web(server.url) as client:
        with pytest.raises(SurroundingsError, match="redirects in a circle"):
            client.get(f"{server.url}/a")


def test_a_redirect_that_only_sets_a_cookie_is_no_circle() -> None:
    with serve(a=[reply(302, location="/a", set_cookie="seen=1"), GOOD]) as server, web(server.url) as client:
        assert client.get(f"{server.url}/a").status == 200
        assert server.asked[-1].headers["cookie"] == "seen=1"


def test_more_than_ten_redirects_are_told() -> None:
    script = {f"a{number}": reply(302, location=f"/a{number + 1}") for number in range(20)}
    with serve(**script) as server, web(server.url) as client:
        with pytest.raises(SurroundingsError, match="redirects more than 10 times"):
            client.get(f"{server.url}/a0")
        assert len(server.asked) == 11


@pytest.mark.parametrize("location", [None, "http://[::1", "http://0177.0.0.1/"])
def test_a_redirect_to_nowhere_is_told(location: str | None) -> None:
    with serve(a=reply(302, location=location)) as server, web(server.url) as client:
        with pytest.raises(SurroundingsError, match=r"redirects to what is not an address|not HTTP"):
            client.get(f"{server.url}/a")


@pytest.mark.parametrize("stay", [True, False])
def test_a_redirect_to_another_port_of_this_machine_is_refused_unless_allowed(stay: bool) -> None:
    with serve(secret=GOOD) as inner, serve(a=reply(302, location=f"{inner.url}/secret?t=CANARY")) as server:
        with web(server.url, stay=stay) as client, pytest.raises(RefusedError) as refusal:
            client.get(f"{server.url}/a")
        assert inner.asked == []
        assert refusal.value.hint == f"allow=127.0.0.1:{inner.port} permits it"
        with web(server.url, stay=stay, allow=[f"127.0.0.1:{inner.port}"]) as client:
            assert client.get(f"{server.url}/a").status == 200


def test_an_address_from_a_response_is_judged_and_one_from_the_user_is_not() -> None:
    with serve(a=GOOD) as other, serve() as server, web(server.url) as client:
        assert client.get(f"{other.url}/a").status == 200
        with pytest.raises(RefusedError):
            client.get(f"{other.url}/a", from_response=True)
        assert other.times("/a") == 1


def test_what_identifies_the_user_goes_to_the_origin_only() -> None:
    with serve(a=GOOD) as other, serve(a=reply(302, location=f"{other.url}/a")) as server:
        origin = server.url.replace("//", "//user:CANARY@")
        with web(origin, headers={"X-Key": "CANARY"}, allow=["127.0.0.1"]) as client:
            client.get(f"{origin}/a", headers={"x-other": "CANARY", "accept": "text/csv"})
    first, second = server.asked[0].headers, other.asked[0].headers
    assert first["authorization"].startswith("Basic ")
    assert (first["x-key"], first["x-other"]) == ("CANARY", "CANARY")
    assert second["accept"] == "text/csv"
    assert not {"authorization", "x-key", "x-other", "cookie"} & set(second)


def test_parameters_are_added_to_those_of_the_address() -> None:
    with serve(a=GOOD) as server, web(server.url) as client:
        client.get(f"{server.url}/a?x=1", params={"page": 2})
    assert server.asked[0].target == "/a?x=1&page=2"


@pytest.mark.parametrize("value", ["CANARY\r\nX-Evil: 1", "CANARY\n", "CANÄRY", "CANARY\0"])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(value: str) -> None:
    with pytest.raises(InputError, match=r"header 'X-Key' cannot be sent") as refusal:
        Web("http://127.0.0.1/", headers={"X-Key": value})
    assert "CAN" not in refusal.value.sentence()


def test_no_secret_is_in_any_message() -> None:
    said: list[str] = []
    faults = [reply(401), reply(500), reset, b"junk", reply(302, location="http://10.0.0.1/?t=CANARY"), reply(302)]
    for fault in faults:
        with serve(rest=fault) as server:
            origin = server.url.replace("//", "//user:CANARY@") + "/a?token=CANARY"
            with web(origin, said, attempts=2, headers={"authorization": "Bearer CANARY"}) as client:
                with pytest.raises(SweepError) as trouble:
                    client.get(origin, params={"key": "CANARY"})
            said.append(trouble.value.sentence() + repr(trouble.value) + repr(trouble.value.__cause__))
    assert len(said) > len(faults)
    assert not [line for line in said if "CANARY" in line]


def test_a_proxy_is_asked_by_name_and_what_it_alone_knows_needs_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_knows(host: str, port: int) -> tuple[str, ...]:
        raise OSError("no such host")

    with serve(rest=[GOOD, reply(302, location="http://inner.example/x"), GOOD]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with web("http://data.example/", resolver=nobody_knows, stay=False) as client:
            assert client.get("http://data.example/a", from_response=True).status == 200
            with pytest.raises(RefusedError, match=r"inner\.example, whose address is not known here"):
                client.get("http://data.example/b")
    assert [request.target for request in proxy.asked] == ["http://data.example/a", "http://data.example/b"]


IN_A_NETWORK_OF_ITS_OWN = """
    import http.server, subprocess, threading
    for line in ("link set lo up", "addr add 93.184.216.34/32 dev lo"):
        subprocess.run(["ip", *line.split()], check=True)

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"{self.server.server_address[0]} {self.headers['Host']} {self.headers['X-Key']}".encode())
        def log_message(self, *_): pass

    class Origin(Mirror):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"http://mirror.example:{port}/x")
            self.end_headers()

    mirror = http.server.ThreadingHTTPServer(("93.184.216.34", 0), Mirror)
    port = mirror.server_address[1]
    inner = http.server.ThreadingHTTPServer(("127.0.0.1", port), Mirror)
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    for server in (mirror, inner, origin):
        threading.Thread(target=server.serve_forever, daemon=True).start()

    from search.data.web.client import Web
    from search.errors import RefusedError
    answers = iter([("127.0.0.1",), ("93.184.216.34",), ("127.0.0.1",)])  # the last is the other face of the name
    url = f"http://127.0.0.1:{origin.server_address[1]}/"
    with Web(url, stay=False, headers={"X-Key": "CANARY"}, resolver=lambda host, port: next(answers)) as web:
        print(web.get(url).body.decode())
        try:
            web.get(url)
        except RefusedError as error:
            print(error.message)

    class Wall(Mirror):
        def do_GET(self):
            if "seen=1" in self.headers.get("Cookie", ""):
                return super().do_GET()
            self.send_response(302)
            self.send_header("Set-Cookie", "seen=1")
            self.send_header("Location", "/")
            self.end_headers()

    wall = http.server.ThreadingHTTPServer(("93.184.216.34", 0), Wall)
    threading.Thread(target=wall.serve_forever, daemon=True).start()
    with Web(f"http://93.184.216.34:{wall.server_address[1]}/", headers={"X-Key": "sent"}) as web:
        print(web.get(f"http://93.184.216.34:{wall.server_address[1]}/").body.decode())
"""


def test_a_mirror_is_connected_to_by_just_the_address_that_was_judged() -> None:
    """In a network namespace of its own, which has an address of the open internet on its loopback."""
    command = ["unshare", "-rn", sys.executable, "-c", textwrap.dedent(IN_A_NETWORK_OF_ITS_OWN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if "unshare" in done.stderr or "'ip'" in done.stderr:
        pytest.skip("this system gives no network namespace")
    first, second, third = done.stdout.splitlines()
    assert first.startswith("93.184.216.34 mirror.example:")
    assert first.endswith(" None")
    assert "leads to mirror.example" in second
    assert third.endswith(" sent")  # a cookie that came by the name is sent to the judged address
