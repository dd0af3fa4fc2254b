"""The filter takes what people type: spaces, capitals, exact choices; of what it cannot read it says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from playwright.sync_api import Browser, expect

from search.report import page
from tests.browser.looking import Look, look
from tests.report.extremes import history_of, made

SCALES = (None, "none", "standard")
KNOWN: dict[str, BaseDistribution] = {
    "data.scale": CategoricalDistribution(SCALES),
    "data.größe": FloatDistribution(0.0, 1.0),
}


@pytest.fixture(scope="module")
def typed(started: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """The page of nine trials with a choice of None or "none", and with a name that has an ß."""
    folder = tmp_path_factory.mktemp("typed")
    trials = [made(n, {"data.scale": SCALES[n % 3], "data.größe": n / 10}, KNOWN, [n / 9]) for n in range(9)]
    (folder / "page.html").write_text(page.html(page.payload(history_of(folder, trials))), encoding="utf-8")
    with look(started, folder / "page.html") as seen:
        yield seen


LEFT: dict[str, Callable[[int], bool]] = {
    "größe < 0.3": lambda n: n < 3,
    "größe<  0.3  scale = standard": lambda n: n == 2,
    "GRÖSSE>=0.3": lambda n: n >= 3,
    "scale=None": lambda n: n % 3 == 0,
    "scale=none": lambda n: n % 3 == 1,
    "scale=NONE": lambda n: n % 3 < 2,
    "scale:none": lambda n: n % 3 < 2,
    '-scale = "none"': lambda n: n % 3 != 1,
}


@pytest.mark.parametrize("text", LEFT)
def test_what_people_type_is_taken(text: str, typed: Look) -> None:
    typed.page.fill("#filter", text)
    expect(typed.page.locator("#count")).to_have_text(f"{sum(map(LEFT[text], range(9)))} of 9 trials")


SAID = {
    "größe<": "größe< is not finished: it takes a value.",
    "scale:": "scale: is not finished: it takes a value.",
    "<0.3": "<0.3 is not finished: say which column.",
    "-": "- is not finished: say what not.",
    "größe<much": "größe< takes a number.",
    "nosuch < 3": "There is no column nosuch.",
}


@pytest.mark.parametrize("text", SAID)
def test_what_is_not_finished_is_said_and_hides_nothing(text: str, typed: Look) -> None:
    typed.page.fill("#filter", text)
    expect(typed.page.locator("#count")).to_have_text(SAID[text])
    assert typed.page.locator("#rows tr[data-trial]").count() == 9
