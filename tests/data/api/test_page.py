"""Tables of web pages, on one page or many, become rows."""

from __future__ import annotations

from typing import Any

import pytest

from search.data.fetch import fetch
from search.data.reference import parse_reference
from search.errors import InputError, RefusedError, SurroundingsError
from tests.data.api.servers import Answer, Asked, Project, Reply, read, serving

HTML = {"Content-Type": "text/html; charset=utf-8"}


def table(start: int, stop: int, attributes: str = "") -> str:
    lines = "".join(f"<tr><td>{n}</td><td>Größe {n}</td><td>{n}.5</td></tr>" for n in range(start, stop))
    return f"<table {attributes}><thead><tr><th>id</th><th>name</th><th>price</th></tr></thead>{lines}</table>"


def got(start: int, stop: int) -> list[dict[str, Any]]:
    return [{"id": n, "name": f"Größe {n}", "price": n + 0.5} for n in range(start, stop)]


def html(*parts: str, **headers: str) -> Reply:
    return Reply(f"<!doctype html><html><body>{''.join(parts)}</body></html>".encode(), headers={**HTML, **headers})


def shop(total: int, size: int) -> Answer:
    """Return a shop with a link to the next page."""

    def answer(asked: Asked) -> Reply:
        page = int(asked.query.get("page", 1))
        more = page * size < total
        link = f"<ul><li class='next big'><a href='?page={page + 1}#top'>on</a></li></ul>" if more else "<a class=next>"
        return html(table((page - 1) * size, min(page * size, total)), link)

    return answer


def test_the_table_of_a_page_by_its_url(project: Project) -> None:
    with serving(lambda asked: html("<h1>Shop</h1>", table(0, 30))) as api:
        found = project.fetch(f"html:{api.url}/list?sort=up")
        assert read(found) == got(0, 30)
        assert api.asked[0].query == {"sort": "up"}
        again = fetch(parse_reference(found.pinned, project.folder), project.folder, project.folder / "results")
        assert again.path == found.path
        assert len(api.asked) == 1


def test_the_table_of_a_file(project: Project) -> None:
    (project.folder / "page.html").write_text(table(0, 25))
    found = project.fetch("html:page.html")
    assert read(found) == got(0, 25)
    (project.folder / "page.html").write_text(table(0, 26))
    assert project.rows("html:page.html") == got(0, 26)
    assert len(read(project.fetch(found.pinned))) == 25


PAGINGS = {
    "next": 'kind = "next"\nselector = "li.next > a"',
    "next by class": 'kind = "next"\nselector = ".next"',
    "page": 'kind = "page"',
}


@pytest.mark.parametrize("paging", PAGINGS)
def test_pages_follow_each_other(paging: str, project: Project) -> None:
    with serving(shop(25, 10)) as api:
        project.describe(f'url = "{api.url}/list"\n[paging]\n{PAGINGS[paging]}\n')
        assert project.rows("html:x.toml") == got(0, 25)
        assert len(api.asked) == (4 if paging == "page" else 3)
    assert len(project.slept) == len(api.asked) - 1, "one request a second, if nothing else is said"


def test_a_pull_of_pages_goes_on_where_it_was(project: Project) -> None:
    good, broken = shop(45, 10), [True]
    with serving(lambda a: Reply(status=401) if broken[0] and a.query.get("page") == "3" else good(a)) as api:
        project.describe(f'url = "{api.url}"\n[paging]\n{PAGINGS["next"]}\n')
        with pytest.raises(SurroundingsError, match="401"):
            project.fetch("html:x.toml")
        broken[0] = False
        assert project.rows("html:x.toml") == got(0, 45)
        assert api.values("page") == [None, "2", "3", "3", "4", "5"]


@pytest.mark.parametrize(
    ("choice", "start"),
    [("table = 1", 50), ('table = "wanted"', 80), ('table = "#wanted"', 80), ('match = "Größe 51"', 50), ("", 80)],
)
def test_a_table_is_chosen_by_number_id_or_text_and_else_is_the_largest(
    choice: str, start: int, project: Project
) -> None:
    body = html(table(0, 2), table(50, 55), table(80, 90, "id='wanted'"))
    with serving(lambda asked: body) as api:
        project.describe(f'url = "{api.url}"\n{choice}\n')
        found = project.fetch("html:x.toml")
        assert read(found)[0]["id"] == start
        assert bool(found.notes) == (not choice)


def test_columns_and_key_hold_for_tables_as_well(project: Project) -> None:
    with serving(lambda asked: html(table(0, 5))) as api:
        project.describe(f'url = "{api.url}"\nkey = "number"\ncolumns = {{ number = "id" }}\n')
        assert project.rows("html:x.toml") == [{"number": n} for n in range(5)]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("<table><tr><td>1</td><td>a</td></tr><tr><td>2</td><td></td></tr></table>", [[1, "a"], [2, None]]),
        ("<table><tr><th>a<th>a<tr><td>1,234<td>n/a<tr><td>2<td>5</table>", [[1234, None], [2, 5]]),
        (
            (
                "<table><thead><tr><th colspan=2>x</th></tr><tr><th>a</th><th>b</th></tr></thead><tr><td colspan=zwei>1"
                "<td>2</table>"
            ),
            [[1, 2]],
        ),
        ("<table><tr><td rowspan=2>1<td>2<tr><td>3</table>", [[1, 2], [1, 3]]),
    ],
)
def test_tables_as_people_write_them(body: str, rows: list[list[Any]], project: Project) -> None:
    with serving(lambda asked: html(body)) as api:
        found = project.rows(f"html:{api.url}")
    assert [list(row.values()) for row in found] == rows


@pytest.mark.parametrize(
    ("decimal", "cells", "rows", "told"),
    [
        (".", ["1,234", "-2"], [1234, -2], False),
        (".", ["1,234.5", "\u22122", "1e3", ""], [1234.5, -2.0, 1000.0, None], False),
        (".", ["12,50", "3"], ["12,50", "3"], True),
        (".", ["1,23,456"], ["1,23,456"], False),
        (".", ["12 apples, 5"], ["12 apples, 5"], False),
        (",", ["1.234,5", "12,50", "–", "7"], [1234.5, 12.5, None, 7.0], False),
        (",", ["1.234", "1\u00a0000"], [1234, 1000], False),
        (",", ["1.5"], ["1.5"], False),
        (".", ["9" * 30], [1e30], False),
        (".", [".", "+"], [".", "+"], False),
    ],
)
def test_a_decimal_comma_never_makes_another_number(
    decimal: str, cells: list[str], rows: list[Any], told: bool, project: Project
) -> None:
    body = "<table><tr><th>n<th>a" + "".join(f"<tr><td>0<td>{cell}" for cell in cells) + "</table>"
    with serving(lambda asked: html(body)) as api:
        project.describe(f'url = "{api.url}"\ndecimal = "{decimal}"\n')
        found = project.fetch("html:x.toml")
    assert [row["a"] for row in read(found)] == rows
    assert ("decimal commas" in " ".join(found.notes)) == told


@pytest.mark.parametrize(
    ("encoding", "header"),
    [("utf-8", "text/html"), ("latin-1", "text/html; charset=iso-8859-1"), ("latin-1", "text/html")],
)
def test_text_is_read_in_its_encoding(encoding: str, header: str, project: Project) -> None:
    meta = f"<meta charset='{encoding}'>" if "charset" not in header and encoding != "utf-8" else ""
    body = f"<html><head>{meta}</head><body>{table(0, 3)}</body></html>".encode(encoding)
    with serving(lambda asked: Reply(body, headers={"Content-Type": header})) as api:
        assert project.rows(f"html:{api.url}") == got(0, 3)


BAD: dict[str, tuple[Reply, str]] = {
    "no table": (html("<p>nothing</p>"), "has no table"),
    "JSON": (Reply({"a": 1}), "is JSON, not HTML"),
    "empty": (Reply(b"", headers=HTML), "is no HTML page"),
    "spans like a bomb": (
        html("<table><tr><td>1" + "<td colspan=60000 rowspan=60000>x" * 3 + "</table>"),
        "more than 5000000 cells",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_page_that_is_of_no_use_is_told(case: str, project: Project) -> None:
    reply, sentence = BAD[case]
    with serving(lambda asked: reply) as api, pytest.raises((InputError, SurroundingsError), match=sentence):
        project.fetch(f"html:{api.url}")


def test_a_next_page_on_another_host_is_refused_unless_allowed(project: Project) -> None:
    with serving(lambda asked: html(table(5, 10))) as inner:
        link = f"<a class='next' href='{inner.url}/x'>on</a>"
        with serving(lambda asked: html(table(0, 5), link)) as api:
            project.describe(f'url = "{api.url}"\n[paging]\nkind = "next"\nselector = "a.next"')
            with pytest.raises(RefusedError):
                project.fetch("html:x.toml")
            assert not inner.asked
            assert project.rows(f"html:x.toml?allow=127.0.0.1:{inner.port}") == got(0, 10)


def test_a_circle_of_pages_is_found(project: Project) -> None:
    with serving(lambda a: html(table(a.count * 5, a.count * 5 + 5), "<a class=next href='/?p=1'>on</a>")) as api:
        project.describe(f'url = "{api.url}"\n[paging]\nkind = "next"\nselector = "a.next"')
        with pytest.raises(SurroundingsError, match="circle"):
            project.fetch("html:x.toml")
        assert len(api.asked) == 2


def test_a_file_that_is_not_there_is_told(project: Project) -> None:
    with pytest.raises(InputError, match=r"nothing\.html"):
        project.fetch("html:nothing.html")
