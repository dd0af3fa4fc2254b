from __future__ import annotations

import httpx
import pytest

from search.data.web.guard import Guard, is_public, parse_url, resolve, shown
from search.errors import InputError, RefusedError

PRIVATE = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",  # where clouds hand out credentials
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "224.0.1.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2001:db8::1",
    "not an address",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_inside_is_not_public_however_it_is_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


def judge(
    url: str,
    *,
    home: str = "https://api.example.org/v1",
    allow: tuple[str, ...] = (),
    stay: bool = False,
    inner: str = "93.184.216.34",
) -> tuple[str, ...]:
    def resolver(host: str, port: int) -> tuple[str, ...]:
        return (inner if host.startswith("inner") else "93.184.216.34",)

    return Guard(httpx.URL(home), allow=allow, stay=stay, resolver=resolver).judge(httpx.URL(url), from_response=True)


@pytest.mark.parametrize("address", PRIVATE[:-1])
def test_a_response_cannot_lead_inwards(address: str) -> None:
    with pytest.raises(RefusedError, match=r"api\.example\.org leads to inner\.example, which is not on the public"):
        judge("https://inner.example/", inner=address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0:8000/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://127.1/",
        "https://api.example.org@127.0.0.1/",
        "https://127.0.0.1#@api.example.org/",
    ],
)
def test_no_way_of_writing_this_machine_passes(url: str) -> None:
    guard = Guard(httpx.URL("http://8.8.8.8/"), stay=False, resolver=resolve)
    with pytest.raises(RefusedError, match="not on the public internet"):
        guard.judge(httpx.URL(url), from_response=True)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "gopher://127.0.0.1:6379/_x", "data:,x"])
def test_only_http_and_https_are_followed(url: str) -> None:
    with pytest.raises(RefusedError, match="only http and https are followed"):
        judge(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/",
        "https://example.org/",
        "https://api.example.org.evil.example/",
        "https://api.example.org:8443/",
        "http://api.example.org/",
        "https://API.example.org@evil.example/",
    ],
)
def test_where_addresses_have_to_stay_another_origin_is_refused_even_if_public(url: str) -> None:
    with pytest.raises(RefusedError, match="which is not where the data was asked for") as refusal:
        judge(url, stay=True)
    assert refusal.value.code == 4
    assert refusal.value.hint.startswith("allow=")


@pytest.mark.parametrize(
    "url", ["https://api.example.org/v2?page=2", "https://api.example.org:443/", "https://API.Example.org./x"]
)
def test_the_users_own_origin_may_be_returned_to(url: str) -> None:
    assert judge(url, stay=True) == ("93.184.216.34",)


def test_https_instead_of_http_is_the_same_host() -> None:
    assert judge("https://api.example.org/", home="http://api.example.org/", stay=True)
    with pytest.raises(RefusedError):
        judge("https://api.example.org:444/", home="http://api.example.org/", stay=True)


def test_a_user_may_ask_for_this_machine_and_be_led_to_the_same_place() -> None:
    guard = Guard(httpx.URL("http://127.0.0.1:8000/"), resolver=resolve)
    assert guard.judge(httpx.URL("http://127.0.0.1:8000/a"), from_response=False) == ()
    assert guard.judge(httpx.URL("http://127.0.0.1:8000/b"), from_response=True) == ()
    with pytest.raises(RefusedError):
        guard.judge(httpx.URL("http://127.0.0.1:6379/"), from_response=True)


@pytest.mark.parametrize("allow", ["inner.example", "INNER.example.", "inner.example:9000"])
def test_what_the_user_allows_is_allowed(allow: str) -> None:
    assert judge("http://inner.example:9000/", allow=(allow,), stay=True, inner="10.0.0.1") == ()
    with pytest.raises(RefusedError):
        judge("http://other.example:9000/", allow=(allow,), stay=True)


def test_a_host_with_one_inner_address_among_others_is_refused() -> None:
    guard = Guard(httpx.URL("https://a.example/"), stay=False, resolver=lambda host, port: ("8.8.8.8", "10.0.0.1"))
    with pytest.raises(RefusedError):
        guard.judge(httpx.URL("https://b.example/"), from_response=True)


def test_a_name_that_means_another_address_a_moment_later_gains_nothing() -> None:
    answers = iter([("8.8.8.8",), ("9.9.9.9",), ("127.0.0.1",), ("127.0.0.1",)])
    guard = Guard(httpx.URL("https://evil.example/"), stay=False, resolver=lambda host, port: next(answers))
    assert guard.judge(httpx.URL("https://evil.example/1"), from_response=False) == ()
    assert guard.judge(httpx.URL("https://evil.example/2"), from_response=True) == ("8.8.8.8",)
    assert guard.judge(httpx.URL("https://cdn.example/"), from_response=True) == ("9.9.9.9",)
    with pytest.raises(RefusedError):
        guard.judge(httpx.URL("https://cdn.example/"), from_response=True)
    assert guard.judge(httpx.URL("https://evil.example/3"), from_response=True) == ("8.8.8.8",)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://u:CANARY@h.example/a?key=CANARY&CANARY#CANARY", "https://h.example/a?key=*&*"),
        ("https://CANARY@h.example/", "https://h.example/"),
        ("https://u:CANARY@x@h.example/", "https://h.example/"),
        ("http://h.example/a?b=CANARY=CANARY", "http://h.example/a?b=*"),
        ("//u:CANARY@h.example/a", "//h.example/a"),
        ("http://h.example/\x1b[31m\n?\x1b=CANARY", "http://h.example/[31m?=*"),
        ("http://h.example/" + "a" * 500, "http://h.example/..."),
        ("http://h.example/b/" + "a" * 90 + "/CANARY-CANARY", "http://h.example/b/" + "a" * 90 + "/..."),
        ("http://h.example/b?" + "a" * 90 + "&CANARY-CANARY-CANARY=1", "http://h.example/b?*&CANARY-CANARY-CANARY=*"),
        ("http://h.example/b?" + "a" * 90 + "=1&" + "b" * 50 + "=1", "http://h.example/b?" + "a" * 90 + "=*&..."),
        ("http://" + "h" * 500, "http://..."),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, seen: str) -> None:
    assert shown(url) == seen


@pytest.mark.parametrize(
    "url", ["", "x", "http://", "http:///x", "ftp://h/x", "http://h:99999/", "http://[::1", "http://a\0b/"]
)
def test_what_is_no_address_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(InputError, match="is not a URL of the form https://HOST/PATH"):
        parse_url(url)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "nowhere.invalid"])
def test_a_name_that_cannot_be_looked_up_is_an_error_of_the_network(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        resolve(host, 80)
