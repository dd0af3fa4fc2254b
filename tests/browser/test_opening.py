"""A page opens anywhere: without a network or a word on the console, all figures drawn, on any screen and paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from search.records.history import History
from search.report.catalogue import PLOTS
from tests.browser.conftest import Read, Written
from tests.browser.looking import PHONE, WIDE, Look, look
from tests.report.extremes import HOSTILE, ODD_NAMES

KINDS = ("no trials", "all failed", "mixed", "300 parameters", "several metrics")


def drawable(history: History) -> list[str]:
    return sorted(plot.key for plot in PLOTS if not plot.words(plot.info(history)).empty)


@pytest.mark.parametrize("name", KINDS)
def test_every_figure_is_drawn_without_a_network_or_an_error(
    name: str, started: Browser, written: Written, histories: Read
) -> None:
    with look(started, written(name), size=PHONE) as seen:
        seen.draw_all()
        assert sorted(seen.figures()) == drawable(histories(name))
        assert seen.overflow() == 0
        assert seen.faults() == []


def test_every_figure_of_a_search_has_points_or_shapes(seen: Look, searched: History) -> None:
    assert sorted(seen.figures()) == drawable(searched)
    shapes = seen.page.evaluate(
        "() => [...document.querySelectorAll('figure[data-drawn]')].map((one) => [one.dataset.key, "
        "one.querySelectorAll('.main-svg :is(.trace, .bars, .heatmaplayer image, .contour, .shapelayer) *').length])"
    )
    assert [key for key, count in shapes if not count] == []


@pytest.mark.parametrize("width", [360, 768, 1160, 1400, 2560])
def test_no_screen_has_to_scroll_sideways(width: int, seen: Look) -> None:
    seen.page.set_viewport_size({"width": width, "height": 800})
    seen.fits()


def test_paper_has_every_figure_and_a_page_for_every_section(
    started: Browser, written: Written, tmp_path: Path
) -> None:
    with look(started, written("searched"), size=PHONE) as seen:
        pdf = seen.page.pdf(path=tmp_path / "page.pdf", format="A4")
        assert sorted(seen.figures()) == seen.page.evaluate(
            "() => Object.keys(sweepPage.data.figures).filter((key) => sweepPage.data.figures[key].spec).sort()"
        )
        sections = seen.page.locator("main section").count()
        assert len(re.findall(rb"/Type ?/Page\b", pdf)) >= sections
        assert seen.faults() == []


def test_the_look_is_that_of_the_reader_until_he_chooses(started: Browser, written: Written) -> None:
    paper = "() => getComputedStyle(document.body).backgroundColor"
    ink = "() => document.querySelector('.plot')._fullLayout.font.color"
    with look(started, written("searched"), scheme="dark", size=WIDE) as seen:
        seen.draw_all()
        dark = seen.page.evaluate(paper), seen.page.evaluate(ink)
        seen.page.click("#theme")
        assert seen.page.get_attribute("html", "data-theme") == "light"
        light = seen.page.evaluate(paper), seen.page.evaluate(ink)
        assert light[0] != dark[0]
        assert light[1] != dark[1]
        assert seen.faults() == []


def test_names_choices_and_errors_are_text(started: Browser, written: Written) -> None:
    with look(started, written("odd names")) as seen:
        seen.draw_all()
        seen.page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        seen.page.wait_for_timeout(50)
        text = seen.text()
        for name in (HOSTILE, ODD_NAMES[2]):
            assert name in text
        seen.page.evaluate("() => sweepPage.select([5], { open: true })")
        assert f"ValueError: {HOSTILE}" in seen.page.inner_text("#card")
        for trial in range(6):  # each choice
            seen.page.evaluate("(trial) => sweepPage.select([trial], { open: true })", trial)
        assert seen.page.locator("img, [onerror]").count() == 0
        assert seen.overflow() == 0
        assert seen.faults() == []
