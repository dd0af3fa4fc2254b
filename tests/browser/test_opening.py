"""A page opens anywhere: without a network or a word on the console, all figures drawn, on any screen and paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from search.records.comparison import compare
from search.records.history import History
from search.report.catalogue import PLOTS
from search.report.compare import page as compared
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


@pytest.mark.parametrize("name", ["no trials", "all failed", "comparison"])
def test_nothing_stands_on_the_line_under_a_heading_nor_sticks_to_what_is_above(
    name: str, started: Browser, written: Written, histories: Read, tmp_path: Path
) -> None:
    file = tmp_path / "compare.html"
    if name == "comparison":
        sides = [histories("all failed"), histories("no trials")]
        file.write_text(compared(compare(sides)), encoding="utf-8")
    with look(started, file if name == "comparison" else written(name)) as seen:
        gaps = seen.page.evaluate(
            "() => [...document.querySelectorAll('main > section')].map((one) => {"
            " const inner = [...one.querySelectorAll('.figures > figure, .own > *')]"
            ".map((each) => each.getBoundingClientRect().top);"
            " return Math.min(...inner) - one.querySelector('h2').getBoundingClientRect().bottom; })"
        )
        assert min(gaps) >= 12
        above = seen.page.evaluate(
            "() => [...document.querySelectorAll('#head > h2, .own > h3')].map((one) => {"
            " const figures = one.closest('section')?.querySelector('.figures');"
            " const above = figures?.children.length ? figures : figures?.previousElementSibling;"
            " const before = one.previousElementSibling ?? above;"
            " return one.getBoundingClientRect().top - before.getBoundingClientRect().bottom; })"
        )
        assert min(above, default=12) >= 12


def test_what_is_picked_is_one_line_on_a_phone(started: Browser, written: Written) -> None:
    with look(started, written("searched"), size=PHONE, fragment="#trials=0,1,2,3,4,5,6,7") as seen:
        bar = seen.page.locator("#picked").bounding_box()
        assert bar is not None
        assert bar["height"] < 60


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
        assert seen.page.inner_text("#theme") == "Light"
        seen.page.click("#theme")
        assert seen.page.inner_text("#theme") == "Dark"
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
