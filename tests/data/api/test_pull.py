"""Snapshots never change, later pulls extend them, and a pull that was cut goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pyarrow as pa
import pytest

from search.data.api.partial import Head, Page, Partial
from search.data.api.read import read_description
from search.data.api.secret import Secrets
from search.data.api.snapshots import Snapshots
from search.data.fetch import fetch
from search.data.reference import parse_reference
from search.data.source import FileSource
from search.errors import InputError, RefusedError, SurroundingsError
from tests.data.api.servers import Api, Asked, Project, Reply, by_page, read, rows, serving


def describe(project: Project, api: Api, top: str = "", tables: str = "") -> None:
    project.describe(f'url = "{api.url}/items"\nrecords = "items"\n{top}\n[paging]\nkind = "page"\n{tables}\n')


def test_a_pull_that_failed_goes_on_at_the_page_that_failed(project: Project) -> None:
    good, broken = by_page(45, 10), [True]
    with serving(lambda asked: Reply(b"?") if asked.query["page"] == "4" and broken[0] else good(asked)) as api:
        describe(project, api)
        with pytest.raises(SurroundingsError, match="page 4"):
            project.fetch()
        with pytest.raises(SurroundingsError, match="page 4"):
            project.fetch()
        broken[0] = False
        assert project.rows() == rows(0, 45)
        assert api.values("page") == ["1", "2", "3", "4", "4", "4", "5", "6"]
        assert any("of which 3 pages are here" in line for line in project.said)
        assert not project.place.partial.exists()


PULL = """
import sys
from pathlib import Path
from search.data.api.partial import Head, Page, Partial
from search.data.api.read import read_description
from search.data.api.secret import Secrets
from search.data.api.snapshots import Snapshots
from search.data.fetch import fetch
from search.data.reference import parse_reference
from search.data.source import FileSource
folder = Path(sys.argv[1])
found = fetch(parse_reference("api:x.toml", folder), folder, folder / "results")
print(found.pinned)
"""


def test_a_killed_pull_goes_on_where_it_was_and_asks_for_no_page_twice(project: Project) -> None:
    """kill -9 at a moment when a page is on its way, three times in one pull."""
    good = by_page(95, 10)
    hold = {"3", "6", "9"}

    def answer(asked: Asked) -> Any:
        if asked.query["page"] in hold:
            hold.discard(asked.query["page"])
            time.sleep(5)  # never answered: the one who asked is killed
            return Reply(b"?")
        return good(asked)

    with serving(answer) as api:
        describe(project, api, tables="[limit]\nrequests_per_s = 1000")
        for page in ("3", "6", "9"):
            process = subprocess.Popen([sys.executable, "-c", PULL, str(project.folder)])
            until(lambda page=page: api.asked and api.asked[-1].query["page"] == page)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert project.rows() == rows(0, 95)
        assert api.values("page") == ["1", "2", "3", "3", "4", "5", "6", "6", "7", "8", "9", "9", "10", "11"]


def until(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_killed_after_its_last_page_is_finished_without_a_request(project: Project) -> None:
    with serving(by_page(25, 10)) as api:
        describe(project, api)
        once = project.fetch()
        keep = {path.name: path.read_bytes() for path in project.folder.rglob("*.parquet")}
    other = Project(project.folder / "other")
    other.folder.mkdir()
    with serving(by_page(25, 10)) as api:
        other.describe((project.folder / "x.toml").read_text().replace(str(once.path), ""))
        describe(other, api)
        other.place.root.mkdir(parents=True)
        other.place.state.mkdir()  # so that the last step, writing it, fails
        with pytest.raises(SurroundingsError):
            other.fetch()
        asked = len(api.asked)
        other.place.state.rmdir()
        assert other.rows() == rows(0, 25)
        assert {path.name: path.read_bytes() for path in other.folder.rglob("*.parquet")} == keep
        assert len(api.asked) in (asked, 4)


def test_a_cursor_that_is_no_longer_known_starts_the_pull_over(project: Project) -> None:
    state = {"fail": True, "generation": "a"}

    def answer(asked: Asked) -> Any:
        generation, _, start = asked.query.get("c", f"{state['generation']}-0").partition("-")
        if generation != state["generation"]:
            return Reply({"error": "unknown cursor"}, 410)
        if start == "10" and state["fail"]:
            return Reply(status=401)
        stop = int(start) + 5
        return {"items": rows(int(start), stop), "next": f"{generation}-{stop}" if stop < 20 else None}

    with serving(answer) as api:
        project.describe(f'url = "{api.url}"\nrecords = "items"\n[paging]\nkind = "cursor"\npath = "next"\nparam = "c"')
        with pytest.raises(SurroundingsError, match="401"):
            project.fetch()
        state.update(fail=False, generation="b")
        assert project.rows() == rows(0, 20)
        assert any("starts over" in line for line in project.said)


def test_a_snapshot_is_named_by_its_content_and_needs_neither_network_nor_description(project: Project) -> None:
    with serving(by_page(25, 10)) as api:
        describe(project, api)
        found = project.fetch()
    assert found.path.name == hashlib.sha256(found.path.read_bytes()).hexdigest() + ".parquet"
    (project.folder / "x.toml").unlink()
    again = fetch(parse_reference(found.pinned, project.folder), project.folder, project.folder / "results")
    assert read(again) == rows(0, 25)
    assert again.pinned == found.pinned


def test_the_same_rows_make_the_same_file_however_they_were_paged(project: Project) -> None:
    names = set()
    for size in (1, 7, 100):
        folder = project.folder / str(size)
        folder.mkdir()
        with serving(by_page(21, size)) as api:
            describe(one := Project(folder), api, tables="[limit]\nrequests_per_s = 1e6")
            names.add(one.fetch().path.name)
    assert len(names) == 1


def test_a_snapshot_that_is_not_here_or_was_changed_is_told(project: Project) -> None:
    with serving(by_page(25, 10)) as api:
        describe(project, api)
        found = project.fetch()
    with pytest.raises(InputError, match="has no snapshot"):
        project.fetch(f"api:x.toml?snapshot={'0' * 64}")
    found.path.write_bytes(found.path.read_bytes()[:-1] + b"!")
    for reference in (found.pinned, "api:x.toml"):
        with pytest.raises(RefusedError, match="was changed"):
            project.fetch(reference)


def growing(items: list[dict[str, Any]]) -> Any:
    """Return an API that can be asked for rows since a time."""

    def answer(asked: Asked) -> Any:
        new = [one for one in items if one["at"] >= asked.query.get("since", "")]
        start = (int(asked.query["page"]) - 1) * 10
        return {"items": new[start : start + 10]}

    return answer


def timed(start: int, stop: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": number, "at": f"2026-01-{number + 1:02d}", **more} for number in range(start, stop)]


SINCE = '[since]\nparam = "since"\ncolumn = "at"'


@pytest.mark.parametrize("key", ['key = "id"', ""])
def test_a_later_pull_asks_only_for_what_is_new_and_extends(key: str, project: Project) -> None:
    items = timed(0, 15)
    with serving(growing(items)) as api:
        describe(project, api, key, SINCE)
        first = project.fetch()
        before = first.path.read_bytes()
        items += timed(15, 18)
        assert project.fetch().pinned == first.pinned
        api.asked.clear()
        second = project.fetch(refresh=True)
        assert {one.query["since"] for one in api.asked} == {"2026-01-15"}
        assert read(second) == timed(0, 18)
        assert first.path.read_bytes() == before
        assert read(fetch_pinned(project, first.pinned)) == timed(0, 15)
        state = project.state()["snapshots"]
        assert [(one["rows"], one["since"], bool(one["base"])) for one in state] == [
            (15, "2026-01-15", False),
            (18, "2026-01-18", True),
        ]


def fetch_pinned(project: Project, pinned: str) -> Any:
    return fetch(parse_reference(pinned, project.folder), project.folder, project.folder / "results")


def test_a_row_that_comes_again_replaces_the_earlier_one_in_its_place(project: Project) -> None:
    items = timed(0, 15, price=1)
    with serving(growing(items)) as api:
        describe(project, api, 'key = ["id"]', SINCE)
        project.fetch()
        items[3] = {"id": 3, "at": "2026-02-01", "price": 9}
        found = project.fetch(refresh=True)
        got = read(found)
        assert [row["id"] for row in got] == list(range(15))
        assert got[3]["price"] == 9
        assert any("came again" in note for note in found.notes)


def test_nothing_new_is_no_new_snapshot(project: Project) -> None:
    with serving(growing(timed(0, 15))) as api:
        describe(project, api, "", SINCE)
        first = project.fetch()
        second = project.fetch(refresh=True)
        assert first.pinned == second.pinned
        assert "nothing is new" in second.notes[0]
        assert len(project.state()["snapshots"]) == 1


def test_with_neither_key_nor_since_a_refresh_takes_everything_anew(project: Project) -> None:
    items = timed(0, 15)
    with serving(growing(items)) as api:
        describe(project, api)
        first = project.fetch()
        items[:] = timed(5, 12)
        assert project.rows(refresh=True) == timed(5, 12)
        assert read(first) == timed(0, 15)


def test_a_refresh_that_was_cut_goes_on_as_a_refresh(project: Project) -> None:
    items = timed(0, 15)
    broken = [False]
    with serving(lambda a: Reply(b"?") if broken[0] and a.query["page"] == "2" else growing(items)(a)) as api:
        describe(project, api, 'key = "id"', SINCE)
        first = project.fetch()
        items += timed(15, 30)
        broken[0] = True
        with pytest.raises(SurroundingsError):
            project.fetch(refresh=True)
        assert project.fetch().pinned == first.pinned
        broken[0] = False
        api.asked.clear()
        assert project.rows(refresh=True) == timed(0, 30)
        assert api.values("page") == ["2", "3"]


def test_a_changed_description_starts_over_and_says_so(project: Project) -> None:
    with serving(by_page(25, 10)) as api:
        describe(project, api)
        first = project.fetch()
        describe(project, api, tables='[query]\nkind = "b"')
        project.fetch()
        assert api.values("kind")[-4:] == ["b"] * 4
        assert any("has changed: everything is pulled anew" in line for line in project.said)
        assert first.path.exists()
        describe(project, api, tables='[query]\nkind = "b"\n[headers]\nX-New = "1"\n[limit]\nrequests_per_s = 99')
        asked = len(api.asked)
        project.fetch()
        assert len(api.asked) == asked, "who asks, and how fast, changes no row"
        describe(project, api)
        assert project.fetch().pinned == first.pinned
        assert len(api.asked) == asked, "what was pulled for the first description is still here"


def test_a_changed_description_drops_an_unfinished_pull(project: Project) -> None:
    broken = [True]
    with serving(lambda a: Reply(b"?") if broken[0] and a.query["page"] == "2" else by_page(15, 10)(a)) as api:
        describe(project, api)
        with contextlib.suppress(SurroundingsError):
            project.fetch()
        broken[0] = False
        describe(project, api, tables='[query]\nkind = "b"')
        assert project.rows() == rows(0, 15)
        assert api.values("page") == ["1", "2", "1", "2", "3"]
        assert any("unfinished pull starts over" in line for line in project.said)


SECRET = "canary/4711+abc="


def test_a_secret_is_sent_and_stands_nowhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a header's echo, a next URL, a record, a note, nor in any file, at the end or half-way."""
    monkeypatch.setenv("SHOP_KEY", SECRET)
    seen: list[bytes] = []

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in project.folder.rglob("*") if path.is_file())

    def answer(asked: Asked) -> Any:
        assert asked.query["key"] == SECRET
        assert asked.headers["authorization"] == f"Bearer {SECRET}"
        seen.append(everything())
        page = int(asked.query.get("page", 1))
        echo = f"{asked.headers['authorization']} {SECRET}"
        target = f"/items?page={page + 1}&key={'canary%2F4711%2Babc%3D' if page % 2 else 'canary/4711%2Babc%3D'}"
        return {
            "items": [{"id": page, "echo": echo, SECRET: float("nan"), f"o{SECRET}": {"x": 1}}],
            "next": target if page < 4 else None,
        }

    with serving(answer) as api:
        project.describe(
            f'url = "{api.url}/items"\nrecords = "items"\n[query]\nkey = "${{SHOP_KEY}}"\n'
            '[headers]\nAuthorization = "Bearer ${SHOP_KEY}"\n[paging]\nkind = "next"\npath = "next"\n'
        )
        found = project.fetch()
        assert len(api.asked) == 4
    shown = "".join([*project.said, *found.notes, found.pinned, repr(read(found))]).encode()
    for form in (SECRET, "canary%2F4711%2Babc%3D", "canary/4711%2Babc%3D"):
        assert form.encode() not in b"".join([*seen, everything(), shown])
    assert read(found)[0]["echo"] == "Bearer *** ***"


@pytest.mark.parametrize("value", [None, "", "a\nb"])
def test_a_secret_that_is_not_set_is_named(
    value: str | None, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SHOP_KEY", value)
    with serving(by_page(5, 10)) as api:
        describe(project, api, tables='[headers]\nX-Key = "${SHOP_KEY}"')
        with pytest.raises(InputError, match="environment variable SHOP_KEY"):
            project.fetch()
        assert not api.asked


def test_no_row_at_all_is_told(project: Project) -> None:
    with serving(by_page(0, 10)) as api:
        describe(project, api)
        with pytest.raises(InputError, match=r"gave no row \(pages asked for: 1\)"):
            project.fetch()
        with pytest.raises(InputError):
            project.fetch()
        assert len(api.asked) == 2, "there may be some by now"


def test_a_secret_in_the_path_of_a_url_is_sent_as_one_step_and_stands_nowhere(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "canary/../4711?x")
    with serving(lambda asked: Reply(b"<html>")) as api:
        project.describe(f'url = "{api.url}/v1/${{SHOP_KEY}}/items"\n')
        with pytest.raises(SurroundingsError) as caught:
            project.fetch()
        assert api.asked[0].path == "/v1/canary%2F..%2F4711%3Fx/items"
        assert "4711" not in caught.value.sentence()
        assert "4711" not in "".join(path.read_text() for path in project.folder.rglob("*.json"))


def test_a_folder_that_cannot_be_written_is_told(project: Project) -> None:
    with serving(by_page(5, 10)) as api:
        describe(project, api)
        project.place.root.mkdir(parents=True)
        project.place.partial.write_text("a file where the folder should be")
        with pytest.raises(SurroundingsError, match="cannot be written"):
            project.fetch()
        assert not api.asked


def test_an_api_is_a_reference_like_any_other_and_its_pin_is_the_same_data(project: Project) -> None:
    items = [{"id": number, "size": number % 7, "label": "ab"[number % 2]} for number in range(60)]
    with serving(lambda asked: items) as api:
        project.describe(f'url = "{api.url}"\n')
        source = FileSource("api:x.toml?drop=id", "label", project.folder, results=project.folder / "results")
        first = source.table("sklearn:wine")
    assert source.pinned is not None
    again = FileSource(source.pinned, "label", project.folder, results=project.folder / "results")
    second = again.table("sklearn:wine")
    assert list(first.features) == list(second.features) == ["size"]
    assert (first.target == second.target).all()
    assert again.pinned == source.pinned


def test_pages_leave_no_trace_in_a_large_file(project: Project) -> None:
    whole = pa.table({"id": range(200_000), "name": [f"n{number}" for number in range(200_000)]})
    paged = pa.concat_tables([whole.slice(start, 999) for start in range(0, len(whole), 999)])
    snapshots = Snapshots(project.place)
    assert snapshots.write(whole) == snapshots.write(paged)


def test_pages_of_a_pull_that_was_finished_are_not_taken_for_an_unfinished_one(project: Project) -> None:
    """As after a kill between the last two steps: state.json has the snapshot, and its pages are still there."""
    items = rows(0, 3)
    with serving(lambda asked: items) as api:
        project.describe(f'url = "{api.url}"\n')
        project.fetch()
        partial = Partial(project.place.partial, Secrets([], {}, "x.toml"))
        asked = read_description(project.folder / "x.toml", "api").asked
        partial.begin(Head(asked, "2026-01-01", id=project.state()["snapshots"][-1]["pull"]))
        partial.add(Page(1, "", rows(0, 3), [], 3, 99, None, None, [], None, "the last page"))
        items[:] = rows(0, 5)
        assert project.rows(refresh=True) == rows(0, 5)
        assert len(api.asked) == 2
