"""The page of a model that keeps learning, in a browser: what it shows, whom it asks, and that it goes on by itself.

Mutations that turn this red: a name is taken for markup; the figure is drawn from something else than the curve, or its
marks from something else than alarms and swaps; a zoom is lost when rows come; a silent learner passes for one that
learns; a token is kept in the page; a table is rebuilt although nothing has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from search.paths import OnlineFolder
from tests.browser.looking import PHONE, VIOLATIONS, WIDE, serious
from tests.online.servers import NAME, TOKENS, online, promoted
from tests.online.statuses import SITUATIONS, story, write
from tests.serve.servers import Server

WAIT_MS = 30_000
PLOT = "document.querySelector('#figure-scores .plot')"


@dataclass
class Seen:
    """A page that is open; `faults` are what its scripts complained of, and `asked` the URLs that it fetched."""

    page: Page
    server: Shown
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def wait_for(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=WAIT_MS)

    def wait_for_live(self, word: str) -> None:
        self.wait_for(f"() => document.querySelector('#live').textContent.startsWith({json.dumps(word)})")

    def rows(self, table: str) -> list[list[str]]:
        """Return what a table says, by row."""
        found: list[list[str]] = self.page.evaluate(
            "(id) => [...document.querySelectorAll(`#${id} tbody tr`)]"
            ".map((row) => [...row.children].map((cell) => cell.textContent))",
            table,
        )
        return found


@dataclass
class Shown:
    """A real server that learns nothing, and the folder whose `status.json` tests write in its learner's place."""

    process: Server
    folder: OnlineFolder

    @property
    def url(self) -> str:
        return self.process.url


@contextmanager
def running(root: Path, **more: Any) -> Iterator[Shown]:
    promoted(root)
    with online(root, **more) as process:
        yield Shown(process, OnlineFolder.of(root, NAME))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with running(tmp_path_factory.mktemp("online")) as found:
        yield found


@pytest.fixture
def server(kept: Shown) -> Shown:
    """The server of all these tests, before it has a status."""
    kept.folder.status.unlink(missing_ok=True)
    return kept


@contextmanager
def opened(
    started: Browser,
    server: Shown,
    size: tuple[int, int] = WIDE,
    look: Literal["light", "dark"] = "light",
    *,
    allowed: str = "",
) -> Iterator[Seen]:
    """Open the page; at the end nothing may have gone wrong but what is `allowed`."""
    context = started.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=look, reduced_motion="reduce"
    )
    context.add_init_script(VIOLATIONS)
    seen = Seen(context.new_page(), server)
    seen.page.on("pageerror", lambda error: seen.faults.append(str(error)))
    seen.page.on("console", lambda one: seen.faults.append(one.text) if one.type in ("error", "warning") else None)
    seen.page.on("dialog", lambda dialog: seen.faults.append(dialog.message))
    seen.page.on("request", lambda request: seen.asked.append(request.url))
    try:
        seen.page.goto(f"{server.url}/online")
        yield seen
        assert [one for one in seen.faults if not allowed or allowed not in one] == []
        assert seen.page.evaluate("violations") == []
        assert {url for url in seen.asked if not url.startswith("data:")} <= {
            f"{server.url}/online",
            f"{server.url}/online.json",
        }
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    finally:
        context.close()


@pytest.mark.parametrize("name", ["fresh", "one row", "regression", "re-sweep failed", "hostile", "wide"])
def test_every_situation_is_shown_on_a_phone_and_keeps_nobody_out(name: str, started: Browser, server: Shown) -> None:
    write(server.folder, SITUATIONS[name]())
    with opened(started, server, PHONE, "dark" if len(name) % 2 else "light") as seen:
        seen.page.wait_for_selector("#main:not([hidden])")
        assert serious(seen.page) == []
        assert len(seen.rows("by-kind")) == 9


def test_a_life_is_shown_as_it_was(started: Browser, server: Shown) -> None:
    told = SITUATIONS["re-sweep runs"]()
    write(server.folder, told)
    with opened(started, server) as seen:
        page = seen.page
        page.wait_for_selector("#figure-scores .main-svg")
        assert page.title() == "rain: online - sweep"
        assert (
            page.inner_text("#facts") == "rain:3 answers for 26 s · learning · 12,000 labelled rows · 29 events behind"
        )
        assert page.inner_text("#value") == f"{told['metrics']['served']['rolling']['accuracy']:.4g}"
        assert page.inner_text("#case p") == "evidence 0.13 of 6.17 needed"
        assert [row[0] for row in seen.rows("metrics")] == [
            *["what was served", "champion rain:3", "challenger", "champion before", "winner of the re-sweep"]
        ]
        assert seen.rows("tests")[2] == ["winner of the re-sweep", "", "2.10", "4.38", "220", "220", "–"]
        assert [row[0] for row in seen.rows("by-class")] == ["rain", "sun", "snow"]
        assert [(row[0], row[3]) for row in seen.rows("stability")] == [
            *[("pressure", "moved far"), ("humidity", "shifted"), ("town", "as in training")]
        ]
        log = seen.rows("log")
        assert [row[2] for row in log][:3] == ["take-over", "rollback", "take-over"]
        assert [row[2] for row in log][3:] == [*map("alarm: {}".format, ("psi", "page-hinkley", "kswin", "adwin"))]
        assert log[0][1:] == ["9,400", "take-over", "rain:1 → rain:3", told["swaps"][0]["why"]]
        assert "running" in page.inner_text("#tile-resweep")
        drawn: list[dict[str, Any]] = page.evaluate(
            f"{PLOT}.data.map((one) => ({{ name: one.name, x: [...one.x], y: [...one.y] }}))"
        )
        by_name = {one["name"]: one for one in drawn}
        swapped = [one["row"] for one in told["swaps"]]  # here a point is drawn each 100 rows, also just at a change
        scores = [None if one["row"] in swapped else one["champion"] for one in told["curve"]]
        assert by_name["champion"]["y"] == scores
        assert by_name["challenger"]["x"] == [one["row"] for one in told["curve"]]
        assert by_name["error rose"]["x"] == [one["row"] for one in told["drift"]["alarms"] if one["kind"] == "error"]
        assert by_name["inputs moved"]["x"] == [one["row"] for one in told["drift"]["alarms"] if one["kind"] == "input"]
        assert by_name["change of champion"]["x"] == [one["row"] for one in told["swaps"]]
        page.click("#figure-scores details summary")
        page.wait_for_selector("#figure-scores .data tbody tr")  # a browser tells of the toggle when it comes to it
        assert page.locator("#figure-scores .data tbody tr").count() == len(told["curve"])


def test_hostile_names_are_text(started: Browser, server: Shown) -> None:
    write(server.folder, SITUATIONS["hostile"]())
    with opened(started, server) as seen:
        seen.page.wait_for_selector("#figure-scores .main-svg")
        assert [row[0] for row in seen.rows("by-class")][:2] == ['<img src=x onerror=alert(1)>%{x}"��[31m', "__proto__"]
        assert {row[0] for row in seen.rows("stability")} >= {"__proto__", "constructor"}
        assert seen.page.locator("img").count() == 0
        seen.page.locator("#figure-scores").scroll_into_view_if_needed()
        box = seen.page.locator("#figure-scores .nsewdrag[data-subplot=xy]").bounding_box()
        assert box is not None
        x = seen.page.evaluate(f"{PLOT}._fullLayout.xaxis.d2p(4300)")
        seen.page.mouse.move(box["x"] + x, box["y"] + 0.97 * box["height"])
        seen.wait_for("() => document.querySelector('.hoverlayer').textContent.includes('<img')")


def test_what_is_new_comes_by_itself_and_a_zoom_stays(started: Browser, server: Shown) -> None:
    life = [*story()]
    write(server.folder, life[50])
    with opened(started, server) as seen:
        page = seen.page
        page.wait_for_selector("#figure-scores .main-svg")
        page.evaluate("() => { window.mark = document.querySelector('#by-class table'); }")
        page.evaluate(f"() => Plotly.relayout({PLOT}, {{ 'xaxis.range': [1000, 3000] }})")
        write(server.folder, {**life[50], "behind": 39})
        seen.wait_for("() => document.querySelector('#facts').textContent.includes('39 events behind')")
        assert page.evaluate("document.querySelector('#by-class table') === window.mark")
        page.focus("#metrics")
        write(server.folder, life[119])
        seen.wait_for("() => document.querySelectorAll('#log tbody tr').length === 7")
        assert page.evaluate(f"{PLOT}._fullLayout.xaxis.range") == [1000, 3000]
        assert page.evaluate("document.activeElement.id") == "metrics"
        assert page.inner_text("#facts").startswith("rain:3 answers")


@pytest.mark.parametrize(
    ("name", "word", "said"),
    [
        ("paused", "Paused", "an administrator asked for it"),
        ("held", "Held", "the labels of the newest rows have shifted suddenly"),
        ("learning", "Learning", ""),
    ],
)
def test_it_is_said_whether_it_learns(name: str, word: str, said: str, started: Browser, server: Shown) -> None:
    write(server.folder, SITUATIONS[name]())
    with opened(started, server) as seen:
        seen.wait_for_live(word)
        assert said in seen.page.inner_text("#trouble") if said else seen.page.is_hidden("#trouble")


def test_a_learner_that_says_nothing_is_told(started: Browser, server: Shown) -> None:
    write(server.folder, SITUATIONS["learning"](), age_s=100)
    with opened(started, server) as seen:
        seen.wait_for_live("Nothing new")
        assert "nothing is learnt" in seen.page.inner_text("#trouble")
        assert "· nothing is learnt ·" in seen.page.inner_text("#facts")
        write(server.folder, SITUATIONS["learning"]())
        seen.wait_for_live("Learning")
        assert seen.page.is_hidden("#trouble")


def test_before_the_first_word_it_waits_and_then_goes_on(started: Browser, server: Shown) -> None:
    with opened(started, server, allowed="404") as seen:
        seen.wait_for_live("No status yet")
        assert (
            "Nothing is learnt yet: nobody has told yet how the model learns; with --frozen nobody learns."
            in seen.page.inner_text("#empty")
        )
        assert serious(seen.page) == []
        write(server.folder, SITUATIONS["fresh"]())
        seen.wait_for_live("Learning")
        assert seen.page.inner_text("#figure-scores .empty") == "no row has a label yet."
        assert seen.page.is_visible("#figure-scores .empty")
        assert seen.page.is_hidden("#empty")


def test_a_server_that_has_gone_is_told(started: Browser, tmp_path: Path) -> None:
    with running(tmp_path) as server:
        write(server.folder, SITUATIONS["learning"]())
        with opened(started, server, allowed="ERR_") as seen:
            seen.wait_for_live("Learning")
            server.process.process.kill()
            seen.wait_for_live("Connection lost, trying again")
            assert "how it last was" in seen.page.inner_text("#trouble")


def test_a_token_is_asked_for_by_keyboard_and_not_kept_in_the_page(started: Browser, tmp_path: Path) -> None:
    token = TOKENS["SWEEP_TOKEN"]
    with running(tmp_path, tokens=TOKENS) as server:
        write(server.folder, SITUATIONS["learning"]())
        with opened(started, server, PHONE, allowed="401") as seen:
            page = seen.page
            page.wait_for_selector("#access:not([hidden])")
            assert page.evaluate("document.activeElement.id") == "token"
            assert serious(page) == []
            for wrong in ("é☃", "another-token-of-tests"):
                page.fill("#token", wrong)
                page.keyboard.press("Enter")
                seen.wait_for(
                    "() => document.querySelector('#refused').textContent.startsWith('This is not the token')"
                )
                assert page.is_hidden("#main")
            page.fill("#token", token)
            page.keyboard.press("Enter")
            page.wait_for_selector("#main:not([hidden])")
            assert page.is_hidden("#access")
            assert token not in page.content()


def test_all_parts_are_reached_by_keyboard(started: Browser, server: Shown) -> None:
    write(server.folder, SITUATIONS["through a drift"]())
    with opened(started, server) as seen:
        page = seen.page
        page.wait_for_selector("#figure-scores .main-svg")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#scores"
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert reached >= {"theme", "metrics", "tests", "by-class", "stability", "log", "by-kind"}
        page.focus("#theme")
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
