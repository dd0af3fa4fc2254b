"""The table of trials sorts, filters and exports what the study holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from playwright.sync_api import Browser, expect

from search.records.history import History
from search.report import page
from tests.browser.looking import Look, look
from tests.report.extremes import history_of, made


def rows(seen: Look) -> list[int]:
    """Return the numbers of the trials in sight, in order."""
    return [
        *seen.page.evaluate(
            "() => [...document.querySelectorAll('#rows tr[data-trial]')].map((one) => Number(one.dataset.trial))"
        )
    ]


def sort(seen: Look, name: str) -> str:
    button = seen.page.locator("#rows thead button", has_text=name).first
    button.click()
    heading = seen.page.locator("#rows thead th", has=seen.page.locator("button", has_text=name)).first
    return heading.get_attribute("aria-sort") or ""


@pytest.mark.parametrize("name", ["val_loss", "train.lr"])
def test_a_heading_sorts_one_way_and_then_the_other(name: str, seen: Look, searched: History) -> None:
    exact = searched.values[:, 0] if name == "val_loss" else searched.parameter(name).values
    column = np.array([float(f"{value:.5g}") for value in exact])  # as the page has it
    first = sort(seen, name)
    shown = column[rows(seen)]
    assert first in ("ascending", "descending")
    assert [*shown] == sorted(shown, reverse=first == "descending")
    second = sort(seen, name)
    assert {first, second} == {"ascending", "descending"}
    shown = column[rows(seen)]
    assert [*shown] == sorted(shown, reverse=second == "descending")


@pytest.mark.parametrize(
    "text", ["state:fail", "train.lr<0.01", "lr<1e-2 -state:fail", "model.family=mlp", "nothing-has-this", "#7"]
)
def test_a_filter_leaves_the_trials_that_fit(text: str, seen: Look, searched: History) -> None:
    rate = searched.parameter("train.lr").values
    family = searched.parameter("model.family")
    failed = searched.are("fail")
    expected = {
        "state:fail": failed,
        "train.lr<0.01": rate < 0.01,
        "lr<1e-2 -state:fail": (rate < 0.01) & ~failed,
        "model.family=mlp": family.values == family.choices.index("mlp"),
        "nothing-has-this": np.zeros(len(searched), bool),
        "#7": np.arange(len(searched)) == 7,
    }[text]
    seen.page.fill("#filter", text)
    expect(seen.page.locator("#count")).to_have_text(f"{expected.sum()} of {len(searched)} trials")
    assert set(rows(seen)) <= {*np.flatnonzero(expected).tolist()}
    assert bool(rows(seen)) == bool(expected.any())


LAYERS, DEVICES = (0, 0.5, 2), ("cuda:0", "cpu", "")
CHOSEN: dict[str, Callable[[float, str], bool]] = {
    "layers=0": lambda layers, _: layers == 0,
    "-layers=0": lambda layers, _: layers != 0,
    "layers!=0": lambda layers, _: layers != 0,
    "layers<1": lambda layers, _: layers < 1,
    "layers>=0.5": lambda layers, _: layers >= 0.5,
    "device<1": lambda *_: False,
    '"cuda:0"': lambda _, device: device == "cuda:0",
    "cuda:0": lambda _, device: device == "cuda:0",
    '-"cuda:0" layers=2': lambda layers, device: layers == 2 and device != "cuda:0",
    '"device"="cuda:0"': lambda _, device: device == "cuda:0",
}


@pytest.fixture(scope="module")
def choices(started: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """The page of a study with choices that are numbers, and that hold what the filter compares with."""
    folder = tmp_path_factory.mktemp("choices")
    known: dict[str, BaseDistribution] = {
        "layers": CategoricalDistribution(LAYERS),
        "device": CategoricalDistribution(DEVICES),
    }
    trials = [made(n, {"layers": LAYERS[n % 3], "device": DEVICES[n // 3 % 3]}, known, [n / 9]) for n in range(9)]
    (folder / "page.html").write_text(page.html(page.payload(history_of(folder, trials))), encoding="utf-8")
    with look(started, folder / "page.html") as seen:
        yield seen


@pytest.mark.parametrize("text", CHOSEN)
def test_choices_are_compared_as_numbers_where_they_are_some_and_found_as_words(text: str, choices: Look) -> None:
    choices.page.fill("#filter", text)
    fits = [n for n in range(9) if CHOSEN[text](LAYERS[n % 3], DEVICES[n // 3 % 3])]
    expect(choices.page.locator("#count")).to_have_text(f"{len(fits)} of 9 trials")
    assert sorted(rows(choices)) == fits


def test_what_a_filter_cannot_read_is_said(seen: Look) -> None:
    seen.page.fill("#filter", "nowhere<3")
    expect(seen.page.locator("#count")).to_contain_text("There is no column nowhere")


def test_the_exported_table_is_the_filtered_study(seen: Look, searched: History, tmp_path: Path) -> None:
    seen.page.fill("#filter", "model.family:mlp train.lr<0.01")
    with seen.page.expect_download() as told:
        seen.page.click("#export")
    told.value.save_as(tmp_path / "trials.csv")
    assert told.value.suggested_filename.endswith("-trials.csv")
    table = [*csv.DictReader(io.StringIO((tmp_path / "trials.csv").read_text(encoding="utf-8")))]
    rate, family = searched.parameter("train.lr").values, searched.parameter("model.family")
    chosen = np.flatnonzero((rate < 0.01) & (family.values == family.choices.index("mlp")))
    assert {int(row["trial"]) for row in table} == {*chosen.tolist()}
    for row in table:
        number = int(row["trial"])
        assert float(row["train.lr"]) == pytest.approx(rate[number], rel=1e-4)
        assert row["model.family"] == "mlp"
        value = searched.values[number, 0]
        assert (row["val_loss"] == "") == bool(np.isnan(value))
        if row["val_loss"]:
            assert float(row["val_loss"]) == pytest.approx(value, rel=1e-4)


def test_the_data_of_a_figure_is_beside_it(seen: Look, searched: History, tmp_path: Path) -> None:
    figure = seen.page.locator("#figure-history")
    figure.locator("details summary").click()
    expect(figure.locator("details tbody tr").first).to_be_visible()
    with seen.page.expect_download() as told:
        figure.locator("button.csv").click()
    told.value.save_as(tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + int((np.isfinite(searched.values[:, 0]) | searched.are("fail")).sum())
    figure.locator("details summary").click()
