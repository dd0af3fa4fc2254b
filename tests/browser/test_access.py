"""Nobody is kept out: all of it goes by keyboard, and axe finds no serious fault."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from search.records.comparison import compare
from search.records.history import History
from search.report.compare import page
from tests.browser.conftest import Read, Written
from tests.browser.looking import Look, look, serious

FOLDED = "'#figure-history details, details:not(figure details)'"


def tab_to(seen: Look, selector: str, *, most: int = 60) -> None:
    """Press Tab until the focus is on what the selector means."""
    for _ in range(most):
        if seen.page.evaluate("(selector) => document.activeElement?.matches(selector) ?? false", selector):
            return
        seen.page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {selector}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["searched", "all failed", "no trials"])
def test_axe_finds_no_serious_fault(
    name: str, scheme: Literal["light", "dark"], started: Browser, written: Written
) -> None:
    with look(started, written(name), scheme=scheme) as seen:
        seen.draw_all()
        if name == "searched":
            seen.page.evaluate(
                f"() => [...document.querySelectorAll({FOLDED})].forEach((one) => {{ one.open = true; }})"
            )
            seen.page.evaluate("() => sweepPage.select([3], { open: true })")
        assert serious(seen.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_a_comparison(
    scheme: Literal["light", "dark"], started: Browser, histories: Read, tmp_path: Path
) -> None:
    file = tmp_path / "compare.html"
    file.write_text(page(compare([histories("searched"), histories("mixed")])), encoding="utf-8")
    with look(started, file, scheme=scheme) as seen:
        seen.draw_all()
        assert serious(seen.page) == []
        assert seen.faults() == []


def test_the_first_tab_skips_to_what_matters(seen: Look) -> None:
    seen.page.reload()
    seen.page.keyboard.press("Tab")
    skip = seen.page.evaluate("() => document.activeElement.getAttribute('href')")
    assert skip.startswith("#")
    assert seen.page.locator(skip).count() == 1
    seen.draw_all()


def test_a_trial_is_found_opened_and_left_by_keyboard(seen: Look, searched: History) -> None:
    seen.page.focus("#filter")
    seen.page.keyboard.type("state:complete")
    tab_to(seen, "#rows tr[data-trial]")
    seen.page.keyboard.press("ArrowDown")
    number = seen.page.evaluate("() => document.activeElement.dataset.trial")
    seen.page.keyboard.press("Enter")
    card = seen.page.locator("#card")
    expect(card).to_have_attribute("data-trial", number)
    assert seen.page.evaluate("() => document.getElementById('card').contains(document.activeElement)")
    seen.page.keyboard.press("ArrowRight")
    expect(card).not_to_have_attribute("data-trial", number)
    following = int(card.get_attribute("data-trial") or -1)
    assert searched.state[following] == searched.state[int(number)]
    seen.page.keyboard.press("Escape")
    expect(card).not_to_be_visible()
    assert seen.page.evaluate("() => document.activeElement !== document.body")


def test_a_card_of_a_trial_that_the_filter_hides_has_none_before_and_none_after(seen: Look) -> None:
    seen.page.fill("#filter", "#7")
    seen.page.evaluate("() => sweepPage.select([3], { open: true })")
    for button in (".after", ".before"):
        seen.page.click(f"#card {button}")
        expect(seen.page.locator("#card")).to_have_attribute("data-trial", "3")


def test_a_row_keeps_the_focus_when_it_is_scrolled_out_of_sight(seen: Look, searched: History) -> None:
    rows = seen.page.evaluate(
        "() => [...document.querySelectorAll('#rows tr[data-trial]')].map((one) => one.dataset.trial)"
    )
    first = seen.page.get_attribute("#rows tr[tabindex='0']", "data-trial") or ""
    focused = "() => document.activeElement.dataset.trial"
    seen.page.focus("#rows tr[tabindex='0']")
    seen.page.evaluate(
        "() => { const port = document.getElementById('rows-port'); port.scrollTop = port.scrollHeight; }"
    )
    seen.page.wait_for_function(f"() => document.querySelector('#rows tr[aria-rowindex=\"{len(searched) + 1}\"]')")
    assert seen.page.evaluate(focused) == first
    assert seen.page.evaluate("() => document.querySelector('#rows-port').scrollTop") > 1_000
    seen.page.keyboard.press("ArrowDown")
    assert seen.page.evaluate(focused) == rows[rows.index(first) + 1]
    assert seen.page.evaluate("() => document.querySelector('#rows-port').scrollTop") < 1_000


def test_tab_leads_to_a_row_wherever_the_table_is_scrolled(seen: Look, searched: History) -> None:
    seen.page.evaluate(
        "() => { const port = document.getElementById('rows-port'); port.scrollTop = port.scrollHeight; }"
    )
    seen.page.wait_for_function(f"() => document.querySelector('#rows tr[aria-rowindex=\"{len(searched) + 1}\"]')")
    seen.page.focus("#rows th button")
    tab_to(seen, "#rows tr[data-trial]")


def test_the_table_is_sorted_by_keyboard(seen: Look) -> None:
    seen.page.focus("#filter")
    tab_to(seen, "#rows th button")
    name = seen.page.evaluate("() => document.activeElement.dataset.sort")
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("() => document.activeElement.dataset.sort") == name
    order = seen.page.evaluate("() => document.activeElement.closest('th').getAttribute('aria-sort')")
    assert order in ("ascending", "descending")


def test_headings_are_in_order(seen: Look) -> None:
    levels = seen.page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3, h4')].map((one) => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
