"""Nobody is kept out: all of it goes by keyboard, and axe finds no serious fault."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from search.records.history import History
from tests.browser.conftest import Written
from tests.browser.looking import Look, look

AXE = Path(__file__).parents[2] / ".venv" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
FOLDED = "'#figure-history details, details:not(figure details)'"
OPTIONS = {"resultTypes": ["violations"]}


def serious(seen: Look) -> list[str]:
    """Return the faults that axe calls serious or critical, with the elements that have them."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed (make axe)")
    seen.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = seen.page.evaluate(
        "async (options) => (await axe.run(document, options)).violations", OPTIONS
    )
    return [
        f"{fault['id']}: {node['target']} {node['html'][:120]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


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
        assert serious(seen) == []


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
