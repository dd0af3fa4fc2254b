"""The descriptions in the documentation work as they stand, but for their host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from search.data.api import read as reading
from tests.data.api.servers import Asked, Project, Reply, read, serving

DOCS = (Path(__file__).parents[3] / "docs" / "data-api.md").read_text()
SHOP, LEAGUE = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)


def orders(asked: Asked) -> Any:
    """Answer as the shop of the first example."""
    assert asked.headers["authorization"] == "Bearer sesame-sesame"
    assert (asked.path, asked.query["limit"]) == ("/v1/orders", "100")
    start = int(asked.query.get("cursor") or 0)
    if asked.query.get("updated_since"):
        start = max(start, 249)
    stop = min(start + 100, 250)
    some = [
        {
            "id": number,
            "customer": {"country": "AT", "name": "left out"},
            "total": number / 4,
            "items": [{"sku": number}],
            "returned": number % 3 == 0,
            "updated_at": f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00Z",
        }
        for number in range(start, stop)
    ]
    return {"data": {"orders": some}, "meta": {"next_cursor": stop if stop < 250 else None, "total": 250}}


def test_the_example_of_an_api(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "sesame-sesame")
    with serving(orders) as api:
        project.describe(SHOP.replace("https://api.example.com", api.url))
        found = project.fetch()
        assert len(read(found)) == 250
        assert list(read(found)[0]) == ["id", "customer.country", "total", "items", "returned", "updated_at"]
        assert read(found)[3]["items"] == '[{"sku":3}]'
        assert not found.notes
        again = project.fetch(refresh=True)
        assert api.asked[-1].query["updated_since"] == "2026-01-01T04:09:00Z"
        assert len(api.asked) == 4
        assert again.pinned == found.pinned


def test_the_example_of_pages(project: Project) -> None:
    def answer(asked: Asked) -> Reply:
        page = int(asked.query.get("p", 1))
        lines = "".join(f"<tr><td>{n}<td>T{n}<td>{n * 3}" for n in range(page * 10, page * 10 + 10))
        link = f"<li class='next'><a href='/league?p={page + 1}'>Next</a>" if page < 3 else ""
        table = f"<table id='standings'><tr><th>Rank<th>Team<th>Points{lines}</table>"
        return Reply(f"<html><body>{table}<ul>{link}</ul>".encode(), headers={"Content-Type": "text/html"})

    with serving(answer) as api:
        project.describe(LEAGUE.replace("https://www.example.com", api.url))
        found = project.rows("html:x.toml")
    assert found == [{"team": f"T{n}", "points": n * 3} for n in range(10, 40)]


@pytest.mark.parametrize("kind", ["api", "html"])
def test_every_field_of_a_description_is_in_the_documentation(kind: str) -> None:
    fields = {*reading._KNOWN["both"], *reading._KNOWN[kind]}
    fields |= {name for names in reading._PAGING[kind].values() for name in names}
    fields |= {"requests_per_s", "max_pages", "max_rows", "max_mb", "empty", "short", "not_found", "until"}
    missing = {name for name in fields - {"method"} if not re.search(rf"\b{name}\b", DOCS)}
    assert not missing
