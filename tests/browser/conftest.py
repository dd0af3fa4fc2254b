"""What these tests share: one browser, each study's page, written once, and one page of a search that stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser

from search.records.history import History
from search.report import page
from tests.browser import looking
from tests.browser.looking import WIDE, Look
from tests.report.extremes import EXTREMES

Read: TypeAlias = Callable[[str], History]
Written: TypeAlias = Callable[[str], Path]


@pytest.fixture(scope="package")
def started() -> Iterator[Browser]:
    """A browser for all tests of this folder; later ones must be free to run event loops."""
    program = looking.chromium()
    if program is None:
        pytest.skip("Chromium is not installed (package chromium)")
    with looking.browser(program) as browser:
        yield browser


@pytest.fixture(scope="package")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Any of the extremes by its name, as read from disk."""
    known: dict[str, History] = {}

    def found(name: str) -> History:
        if name not in known:
            known[name] = EXTREMES[name](tmp_path_factory.mktemp("study"))
        return known[name]

    return found


@pytest.fixture(scope="package")
def written(histories: Read, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The page of any of the extremes."""
    known: dict[str, Path] = {}

    def found(name: str) -> Path:
        if name not in known:
            known[name] = tmp_path_factory.mktemp("page") / "report.html"
            known[name].write_text(page.html(page.payload(histories(name))), encoding="utf-8")
        return known[name]

    return found


@pytest.fixture(scope="package")
def opened(started: Browser, written: Written) -> Iterator[Look]:
    """The page of a search, with every figure drawn."""
    with looking.look(started, written("searched")) as seen:
        seen.draw_all()
        yield seen


@pytest.fixture
def seen(opened: Look) -> Iterator[Look]:
    """The same page as it was when it opened; what a test does to it may be no fault."""
    opened.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    opened.page.evaluate("() => { sweepPage.select([]); scrollTo(0, 0); document.activeElement?.blur(); }")
    opened.page.fill("#filter", "")
    yield opened
    assert opened.faults() == []


@pytest.fixture(scope="package")
def searched(histories: Read) -> History:
    return histories("searched")
