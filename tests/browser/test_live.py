"""The live page follows a study that another process runs, and leaves as it is what its reader has set up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.looking import VIOLATIONS, serious
from tests.cli.served import Owner, Served, served

WAIT_MS = 60_000
RANGE = "document.querySelector('#figure-history .plot')._fullLayout.xaxis.range"


@dataclass
class Followed:
    """A page on a study that an owner runs; `faults` are what its scripts complained of."""

    page: Page
    owner: Owner
    server: Served
    faults: list[str]

    def wait_for(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=WAIT_MS)

    def wait_for_trials(self, count: int) -> None:
        self.wait_for(f"() => sweepPage.data.columns.count === {count}")


@pytest.fixture
def followed(started: Browser, tmp_path: Path) -> Iterator[Followed]:
    owner = Owner(tmp_path)
    try:
        for value in (0.9, 0.5, 0.7):
            owner.do("ask", f"report {value}", f"report {value / 2}", "complete")
        with served("watch", "w", "--web", "--results", str(tmp_path)) as server:
            context = started.new_context(viewport={"width": 1300, "height": 900}, reduced_motion="reduce")
            context.add_init_script(VIOLATIONS)
            page = context.new_page()
            found = Followed(page, owner, server, [])
            page.on("pageerror", lambda error: found.faults.append(str(error)))
            page.on("console", lambda one: found.faults.append(one.text) if one.type in ("error", "warning") else None)
            page.goto(server.url)
            found.wait_for("() => document.querySelector('#live').textContent.startsWith('Live')")
            yield found
            context.close()
    finally:
        owner.close()


def zoom(page: Page) -> list[float]:
    """Zoom into the history as a reader does, and return the range that is left."""
    whole = page.evaluate(RANGE)
    page.hover("#figure-history .plot .nsewdrag")
    page.click("#figure-history .modebar-btn[data-val='zoom']")
    box = page.locator("#figure-history .plot .nsewdrag[data-subplot=xy]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.7, steps=4)
    page.mouse.up()
    page.wait_for_function(f"(whole) => JSON.stringify({RANGE}) !== JSON.stringify(whole)", arg=whole)
    left: list[float] = page.evaluate(RANGE)
    return left


def test_new_trials_come_without_a_reload_and_what_a_reader_set_up_stays(followed: Followed) -> None:
    page = followed.page
    page.evaluate("() => { window.mark = 'the same page'; }")
    page.locator("#figure-history").scroll_into_view_if_needed()
    followed.wait_for("() => document.querySelector('#figure-history').dataset.drawn")
    zoomed = zoom(page)
    page.locator("#figure-history details summary").click()
    page.fill("#filter", "state:complete")
    page.locator("#rows tr[data-trial='1']").click()
    page.keyboard.press("Escape")
    page.evaluate("() => sweepPage.select([1])")
    finding = page.inner_text("#finding-history")
    page.evaluate("() => scrollTo(0, 400)")
    at = page.evaluate("scrollY")

    followed.owner.do("ask", "report 0.5", "complete", "ask", "fail")
    followed.wait_for_trials(5)

    assert page.evaluate("window.mark") == "the same page"
    assert page.inner_text("#live").startswith("Live · 5 ended")
    assert "5 of 50 trials" in page.inner_text("#head")
    assert page.inner_text("#finding-history") != finding
    assert page.evaluate(RANGE) == zoomed
    assert page.evaluate("document.querySelector('#figure-history details').open")
    assert page.locator("#figure-history details tbody tr").count() >= 4
    assert page.input_value("#filter") == "state:complete"
    shown = page.evaluate("[...document.querySelectorAll('#rows tr[data-trial]')].map((one) => one.dataset.trial)")
    assert sorted(shown) == ["0", "1", "2", "3"]
    assert page.get_attribute("#rows tr[data-trial='1']", "aria-selected") == "true"
    assert page.url.endswith("#trials=1")
    assert page.evaluate("scrollY") == at

    followed.owner.do("finish")
    followed.wait_for("() => document.querySelector('#live').textContent.startsWith('Not running: finished')")
    followed.wait_for("() => sweepPage.data.state === 'finished'")
    assert followed.faults == []
    assert page.evaluate("window.violations") == []


def test_a_live_page_keeps_nobody_out(followed: Followed) -> None:
    assert serious(followed.page) == []
    assert "This page needs no network" not in followed.page.inner_text("footer")


UNFOCUSED = "() => { document.getElementById('filter').focus(); document.getElementById('filter').blur(); }"


def test_a_page_stays_as_it_is_while_a_pointer_is_down_and_no_longer(followed: Followed) -> None:
    page = followed.page
    page.locator("#head h1").hover()
    page.mouse.down()
    page.evaluate(UNFOCUSED)
    followed.owner.do("ask", "report 0.5", "complete")
    followed.wait_for("() => document.querySelector('#live').textContent.includes('4 ended')")
    while followed.server.ask("/payload.json").json()["columns"]["count"] < 4:
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)
    assert page.evaluate("sweepPage.data.columns.count") == 3
    page.mouse.up()
    followed.wait_for_trials(4)


def test_a_pointer_whose_end_is_not_told_holds_the_page_no_longer_than_it_is_down(followed: Followed) -> None:
    page = followed.page
    page.evaluate("() => document.body.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true, buttons: 1 }))")
    followed.owner.do("ask", "report 0.5", "complete")
    followed.wait_for("() => document.querySelector('#live').textContent.includes('4 ended')")
    page.mouse.move(300, 300)
    followed.wait_for_trials(4)


def test_a_server_that_has_gone_is_told(followed: Followed) -> None:
    followed.server.end()
    followed.wait_for("() => document.querySelector('#live').textContent === 'Connection lost, trying again'")
