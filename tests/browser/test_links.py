"""A link to trials shows them as they were seen; the focus follows the card; a phone can read what is wide."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Read, Written
from tests.browser.looking import PHONE, Look, look, serious


def test_a_link_to_one_trial_opens_its_card(started: Browser, written: Written) -> None:
    with look(started, written("searched"), fragment="#trials=7") as seen:
        expect(seen.page.locator("#card")).to_have_attribute("data-trial", "7")
        seen.draw_all()
        assert "history" in seen.marking(7)
        assert seen.faults() == []


@pytest.mark.parametrize(
    ("numbers", "said"),
    [("4711", "there is no trial 4711"), ("3,7,4711", "2 trials picked: 3, 7 · there is no trial 4711")],
)
def test_trials_of_a_link_that_are_not_there_are_said(
    numbers: str, said: str, started: Browser, written: Written
) -> None:
    with look(started, written("searched"), fragment=f"#trials={numbers}") as seen:
        expect(seen.page.locator("#picked span")).to_have_text(said)
        expect(seen.page.locator("#card")).not_to_be_visible()
        expect(seen.page.locator("#show-picked")).to_be_visible(visible="," in numbers)
        seen.page.keyboard.press("Escape")
        expect(seen.page.locator("#picked")).not_to_be_visible()
        assert seen.faults() == []


def test_the_row_of_the_trial_seen_last_has_the_focus_when_its_card_closes(seen: Look) -> None:
    rows = seen.page.locator("#rows tr[data-trial]")
    second, third = (rows.nth(place).get_attribute("data-trial") for place in (1, 2))
    rows.nth(0).focus()
    seen.page.keyboard.press("ArrowDown")
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator("#card")).to_have_attribute("data-trial", str(second))
    seen.page.keyboard.press("ArrowRight")
    expect(seen.page.locator("#card")).to_have_attribute("data-trial", str(third))
    seen.page.keyboard.press("Escape")
    assert seen.page.evaluate("() => document.activeElement.dataset.trial") == third


def test_the_dashed_curve_of_a_card_is_the_best_in_its_metric(
    started: Browser, written: Written, histories: Read
) -> None:
    study = histories("a front and pruned trials")
    best = min(study.front, key=lambda number: study.values[number, 0])
    assert best != study.front[0]
    with look(started, written("a front and pruned trials"), fragment=f"#trials={study.front[0]}") as seen:
        assert f"Dashed: trial {best}, the best in loss." in seen.page.inner_text("#card")
        assert seen.faults() == []


def test_what_stands_side_by_side_scrolls_in_its_own_box_on_a_phone(started: Browser, written: Written) -> None:
    with look(started, written("searched"), size=PHONE) as seen:
        seen.draw_all()
        for key in ("slices", "parallel", "contour", "rank", "failures"):
            port = seen.page.locator(f"#figure-{key} .port")
            assert port.evaluate("(one) => one.scrollWidth > one.clientWidth"), key
            assert port.evaluate("(one) => one.firstChild._fullLayout.width >= 700"), key
        narrow = seen.page.locator("#figure-history .port")
        assert narrow.evaluate("(one) => one.scrollWidth <= one.clientWidth")
        tools, legend = (
            seen.page.locator(f"#figure-history {part}").bounding_box() for part in (".modebar", ".legend")
        )
        assert tools is not None
        assert legend is not None
        assert tools["y"] + tools["height"] <= legend["y"] + 2
        assert seen.overflow() == 0
        assert serious(seen.page) == []
        assert seen.faults() == []


def test_the_section_that_is_read_is_marked_in_the_links(seen: Look) -> None:
    seen.page.evaluate("() => document.getElementById('trials').scrollIntoView()")
    expect(seen.page.locator("nav a[aria-current]")).to_have_attribute("href", "#trials")
