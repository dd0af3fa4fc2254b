"""One selection: a trial picked anywhere is marked everywhere, has its card, and stands in the address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from search.records.history import History
from tests.browser.conftest import Written
from tests.browser.looking import Look, look


def markable(seen: Look, trial: int) -> list[str]:
    """Return the keys of the drawn figures that say where a trial stands."""
    return [
        *seen.page.evaluate(
            "(trial) => [...document.querySelectorAll('figure[data-drawn]')].map((one) => one.dataset.key)"
            ".filter((key) => { const meta = sweepPage.data.figures[key].spec.layout.meta ?? {};"
            " return meta.marks || meta.places?.trial.includes(trial); })",
            trial,
        )
    ]


def test_a_click_on_a_point_marks_its_trial_everywhere_and_opens_its_card(seen: Look, searched: History) -> None:
    best = searched.best
    assert best is not None
    seen.page.mouse.click(*seen.point("history", best))
    expect(seen.page.locator("#card")).to_have_attribute("data-trial", str(best))
    card = seen.page.inner_text("#card")
    for name, value in searched.params(best).items():
        assert name in card
        assert (str(float(f"{value:.5g}")) if isinstance(value, float) else str(value)) in card
    assert seen.page.evaluate("location.hash") == f"#trials={best}"
    seen.page.fill("#filter", f"#{best}")  # rows out of sight are not there
    expect(seen.page.locator(f"#rows tr[data-trial='{best}']")).to_have_attribute("aria-selected", "true")
    seen.draw_all()
    assert {"history", "curves", "parallel"} <= {*markable(seen, best)}
    assert [key for key in markable(seen, best) if key not in seen.marking(best)] == []


def test_escape_clears_everything(seen: Look, searched: History) -> None:
    assert searched.best is not None
    seen.page.mouse.click(*seen.point("history", searched.best))
    seen.page.keyboard.press("Escape")
    expect(seen.page.locator("#card")).not_to_be_visible()
    seen.draw_all()
    assert seen.marking(searched.best) == []
    assert seen.page.evaluate("location.hash") == ""
    assert seen.page.locator("#rows tr[aria-selected='true']").count() == 0


def test_a_box_picks_every_trial_in_it(seen: Look, searched: History) -> None:
    picked = seen.box("history", (0.01, 0.01), (0.5, 0.99))
    expect(seen.page.locator("#picked")).to_contain_text(re.compile(r"\d\d trials picked"))
    assert max(picked) < len(searched) * 0.6
    assert len(picked) > 20


@pytest.mark.parametrize("key", ["history", "slices"])
def test_a_box_may_begin_within_another_one_and_escape_clears_it(key: str, started: Browser, written: Written) -> None:
    with look(started, written("searched")) as seen:
        seen.draw_all()
        first = seen.box(key, (0.01, 0.01), (0.6, 0.99))
        second = seen.box(key, (0.1, 0.05), (0.4, 0.95))
        assert 0 < len(second) < len(first)
        assert {*second} < {*first}
        assert seen.page.locator(f"#figure-{key} .selectionlayer path").count() == 0
        seen.page.keyboard.press("Escape")
        assert seen.page.evaluate("() => sweepPage.selection()") == []
        assert seen.faults() == []


def test_a_box_with_shift_is_added(seen: Look) -> None:
    first = seen.box("history", (0.01, 0.01), (0.4, 0.99))
    second = seen.box("history", (0.6, 0.01), (0.9, 0.99), held="Shift")
    assert second[: len(first)] == first
    assert len(second) > len(first)
    third = seen.box("history", (0.01, 0.01), (0.4, 0.99))
    assert third == first


def test_a_row_that_is_clicked_with_ctrl_is_added(seen: Look) -> None:
    rows = seen.page.locator("#rows tr[data-trial]")
    seen.page.locator("#rows").scroll_into_view_if_needed()
    first, second = (int(rows.nth(place).get_attribute("data-trial") or -1) for place in (0, 1))
    rows.nth(0).click()
    seen.page.keyboard.press("Escape")
    rows.nth(0).click(modifiers=["Control"])
    rows.nth(1).click(modifiers=["Control"])
    assert seen.page.evaluate("() => sweepPage.selection()") == [first, second]
    rows.nth(0).click(modifiers=["Control"])
    assert seen.page.evaluate("() => sweepPage.selection()") == [second]


def test_a_card_draws_a_curve_of_very_many_values(started: Browser, written: Written) -> None:
    with look(started, written("searched")) as seen:
        seen.page.evaluate("""() => {
          const { curves, columns } = sweepPage.data;
          const long = Array.from({ length: 200_000 }, (_, step) => 1 / (step + 1));
          for (const trial of [3, columns.front[0]]) curves.of[trial] = [null, long];
          sweepPage.card.open(3);
        }""")
        expect(seen.page.locator("#card svg text").last).to_have_text("200000")
        assert seen.faults() == []


def test_a_link_shows_what_was_picked(started: Browser, written: Written) -> None:
    with look(started, written("searched"), fragment="#trials=3,7,4711") as seen:
        seen.draw_all()
        assert seen.page.evaluate("() => sweepPage.selection()") == [3, 7]
        assert "history" in seen.marking(7)
        assert "2 trials picked" in seen.page.inner_text("#picked")
        assert seen.faults() == []
