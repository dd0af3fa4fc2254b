"""Every kind of paging gives every row once, in order, and ends."""

from __future__ import annotations

from typing import Any

import pytest

from search.data.api.description import Description, Paging
from search.data.api.paging import first, next_link, said
from search.data.api.secret import Secrets
from search.data.api.selector import xpath_of
from search.errors import InputError
from tests.data.api.servers import Answer, Api, Asked, Project, Reply, by_page, read, rows, serving

TOTAL, SIZE = 25, 10


def by_offset(asked: Asked) -> Any:
    start = int(asked.query.get("offset", 0))
    return {"items": rows(start, min(start + SIZE, TOTAL)), "total": TOTAL}


def by_cursor(asked: Asked) -> Any:
    start = int(asked.query.get("cursor", "c0")[1:])
    stop = min(start + SIZE, TOTAL)
    return {"items": rows(start, stop), "meta": {"next": f"c{stop}" if stop < TOTAL else None}}


def by_last_id(asked: Asked) -> Any:
    start = int(asked.query.get("after", -1)) + 1
    stop = min(start + SIZE, TOTAL)
    return {"items": rows(start, stop), "has_more": stop < TOTAL}


def by_next(asked: Asked) -> Any:
    start = int(asked.query.get("from", 0))
    stop = min(start + SIZE, TOTAL)
    return {"items": rows(start, stop), "next": f"/v1/items?from={stop}" if stop < TOTAL else ""}


def by_link(asked: Asked) -> Reply:
    start = int(asked.query.get("from", 0))
    stop = min(start + SIZE, TOTAL)
    links = ['</items>; rel="first"', *([f'<?from={stop}>; rel="next"; title="a, b"'] if stop < TOTAL else [])]
    return Reply({"items": rows(start, stop)}, headers={"Link": ", ".join(links)})


KINDS: dict[str, tuple[Answer, str, int]] = {
    "page": (by_page(TOTAL, SIZE), 'kind = "page"', 4),
    "page, short": (by_page(TOTAL, SIZE), 'kind = "page"\nsize = 10\n[stop]\nshort = true', 3),
    "offset": (by_offset, 'kind = "offset"', 4),
    "cursor": (by_cursor, 'kind = "cursor"\npath = "meta.next"\nparam = "cursor"', 3),
    "cursor, pointer": (by_cursor, 'kind = "cursor"\npath = "/meta/next"\nparam = "cursor"', 3),
    "last id": (by_last_id, 'kind = "cursor"\npath = "items.-1.id"\nparam = "after"\nmore = "has_more"', 3),
    "next": (by_next, 'kind = "next"\npath = "next"', 3),
    "link": (by_link, 'kind = "link"', 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_paging_gives_every_row_once_and_in_order(kind: str, project: Project) -> None:
    answer, paging, requests = KINDS[kind]
    with serving(answer) as api:
        project.describe(f'url = "{api.url}/items"\nrecords = "items"\n[paging]\n{paging}\n')
        found = project.fetch()
        assert read(found) == rows(0, TOTAL)
        assert not found.notes
        assert len(api.asked) == requests


def test_an_api_without_pages_is_asked_once(project: Project) -> None:
    with serving(lambda asked: rows(0, 5)) as api:
        project.describe(f'url = "{api.url}"\n')
        assert project.rows() == rows(0, 5)
        assert len(api.asked) == 1


def test_query_and_headers_are_sent_with_every_page_and_a_query_of_the_url_stays(project: Project) -> None:
    with serving(by_page(TOTAL, SIZE)) as api:
        project.describe(
            f'url = "{api.url}/items?lang=de"\nrecords = "items"\n[query]\nactive = true\ntags = ["a b", "c"]\n'
            '[headers]\nX-Kind = "k"\n[paging]\nkind = "page"\nsize_param = "per"\nsize = 10\n'
        )
        project.fetch()
        for asked in api.asked:
            assert (asked.query["lang"], asked.query["active"], asked.query["per"]) == ("de", "true", "10")
            assert asked.headers["x-kind"] == "k"


def test_an_offset_counts_what_came_where_the_other_side_caps_its_pages(project: Project) -> None:
    """Counting what was asked for would skip 90 rows of each 100."""
    with serving(by_offset) as api:
        project.describe(
            f'url = "{api.url}"\nrecords = "items"\n[paging]\nkind = "offset"\nsize_param = "limit"\nsize = 100\n'
        )
        found = project.fetch()
        assert api.values("offset") == ["0", "10", "20", "25"]
        assert "100 rows a page were asked for, 10 came on the first" in found.notes


def test_empty_pages_with_a_cursor_do_not_end_a_pull(project: Project) -> None:
    def answer(asked: Asked) -> Any:
        number = int(asked.query.get("cursor", 0))
        return {"items": rows(number, number + 1) if number % 2 else [], "next": number + 1 if number < 5 else None}

    with serving(answer) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n[paging]\nkind="cursor"\npath="next"\nparam="cursor"')
        found = project.fetch()
        assert [row["id"] for row in read(found)] == [1, 3, 5]
        assert not found.notes


@pytest.mark.parametrize(
    ("stop", "last", "requests"),
    [
        ("[limit]\nmax_pages = 2", 20, 2),
        ("[limit]\nmax_rows = 13", 13, 2),
        ("[stop]\nuntil = { column = 'id', above = 14 }", 15, 2),
        ("[stop]\nuntil = { column = 'name', above = 'n3' }", 4, 1),
    ],
)
def test_a_stop_rule_ends_a_pull_at_just_that_row(stop: str, last: int, requests: int, project: Project) -> None:
    with serving(by_page(TOTAL, SIZE)) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n{stop}\n[paging]\nkind = "page"\n')
        found = project.fetch()
        assert [row["id"] for row in project.rows()] == list(range(last))
        assert len(api.asked) == requests
        assert bool(found.notes) == ("limit" in stop)


def not_found_beyond(total: int) -> Answer:
    inner = by_page(total, SIZE)
    return lambda asked: inner(asked) if int(asked.query["page"]) <= total // SIZE else Reply({}, 404)


@pytest.mark.parametrize("rule", ['total = "total"', "[stop]\nnot_found = true"])
def test_a_404_behind_the_last_page_is_the_end_where_that_is_known(rule: str, project: Project) -> None:
    with serving(not_found_beyond(20)) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n[paging]\nkind = "page"\n{rule}\n')
        found = project.fetch()
        assert len(project.rows()) == 20
        assert not found.notes


def test_requests_keep_their_distance(project: Project) -> None:
    with serving(by_page(TOTAL, SIZE)) as api:
        project.describe(
            f'url = "{api.url}"\nrecords = "items"\n[paging]\nkind = "page"\n[limit]\nrequests_per_s = 0.01'
        )
        project.fetch()
    assert len(project.slept) == 3
    assert all(99 < wait_s * (1 if at == 0 else 1 / (at + 1)) <= 100 for at, wait_s in enumerate(project.slept))


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://a/b?c=1,2>; rel="next"', "https://a/b?c=1,2"),
        ("</x>; rel=prev, </y>; rel=NEXT", "/y"),
        ('</x>; title="rel=next"; rel="last", </y>; rel="prev next"', "/y"),
        ('</x>; rel="nextish"', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_link_header_is_read_as_rfc_8288_says(header: str, url: str | None) -> None:
    assert next_link(header) == url


@pytest.mark.parametrize("selector", ["a[onclick='x\"]", "a:first-child", "", ">", "a >", "a, b", "a]b[", "a > > b"])
def test_a_selector_of_another_kind_is_none_of_ours(selector: str) -> None:
    assert xpath_of(selector) is None


def test_nothing_is_asked_twice(project: Project) -> None:
    with serving(by_page(TOTAL, SIZE)) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n[paging]\nkind = "page"\n')
        first = project.fetch()
        second = project.fetch()
        assert first.pinned == second.pinned
        assert asked_pages(api) == [1, 2, 3, 4]


def asked_pages(api: Api) -> list[int]:
    return [int(value) for value in api.values("page") if value is not None]


def test_a_count_of_too_many_digits_is_none() -> None:
    assert said(Paging(total="total"), {"total": "9" * 5000}).total is None


def test_a_url_that_is_none_is_a_fault_of_the_description() -> None:
    with pytest.raises(InputError, match=r"x\.toml: url is no address"):
        first(Description("x.toml", "https://[x/"), "https://[x/", [])


def test_a_secret_in_a_path_is_taken_out_and_put_back_as_it_was() -> None:
    secrets = Secrets(["${K}"], {"K": "pa ss/wo+rd"}, "x.toml")
    url = f"https://h/{secrets.fill('${K}', quoted=True)}/x"
    pieces = secrets.take_apart(url)
    assert pieces == ["https://h/", {"secret": "K"}, "/x"]
    assert secrets.put_together(pieces) == url
