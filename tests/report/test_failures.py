"""Failures by reason, over the parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from search.records.history import History
from search.report.figures import failures
from search.report.shared import log_chance
from tests.report.extremes import history_of, made
from tests.report.standing import stands

KNOWN: dict[str, BaseDistribution] = {
    "train.lr": FloatDistribution(1e-5, 1.0, log=True),
    "model.family": CategoricalDistribution(("mlp", "forest")),
}


def failing(results: Path, *, of_family: str | None = None, above: float | None = None, count: int = 60) -> History:
    """Return a study whose trials fail by a rule."""
    dice = np.random.default_rng(0)
    trials = []
    for number in range(count):
        lr, family = float(10 ** dice.uniform(-5, 0)), ("mlp", "forest")[dice.integers(2)]
        fails = (above is not None and lr > above) or family == of_family
        told = {"reason": "nan", "text": f"metric 'val_loss' is nan at epoch {number}"} if fails else {}
        params: dict[str, object] = {"train.lr": lr, "model.family": family}
        values = None if fails else [lr]
        trials.append(made(number, params, KNOWN, values, state="fail" if fails else "complete", **told))  # type: ignore[arg-type]
    return history_of(results, trials)


def test_failures_that_share_a_range_are_told_with_it(tmp_path: Path) -> None:
    history = failing(tmp_path, above=0.1)
    found = failures.info(history)
    first = found.panels[0].pattern
    assert (first.name, first.inside, first.is_sure) == ("train.lr", found.failed, True)
    assert first.part.startswith("above 0.")
    assert failures.words(found).finding.startswith(f"{found.failed} of {found.failed} failures have train.lr above 0.")


def test_failures_that_share_a_choice_are_told_with_it(tmp_path: Path) -> None:
    found = failures.info(failing(tmp_path, of_family="mlp"))
    assert found.panels[0].pattern.part == "= mlp"
    words = failures.words(found)
    assert (
        words.finding
        == f"{found.failed} of {found.failed} failures have model.family = mlp; so have 0% of the other trials"
    )


def test_failures_by_chance_show_no_pattern(tmp_path: Path) -> None:
    trials = [
        made(n, {"x": n * 7 % 30 / 30}, {"x": FloatDistribution(0, 1)}, None if n % 6 == 0 else [1.0], **_end(n))  # type: ignore[arg-type]
        for n in range(30)
    ]
    words = failures.words(failures.info(history_of(tmp_path, trials)))
    assert words.finding == "5 failures show no pattern in the parameters beyond chance"


def _end(number: int) -> dict[str, str]:
    return {"state": "fail", "reason": "exception", "text": "ValueError: no"} if number % 6 == 0 else {}


def test_texts_that_differ_in_numbers_are_of_one_kind(tmp_path: Path) -> None:
    found = failures.info(failing(tmp_path, above=0.1))
    assert found.kinds == [("nan", "metric 'val_loss' is nan at epoch N", found.failed)]
    assert failures.data(found)["text"][0].startswith("metric 'val_loss' is nan at epoch ")


def test_two_failures_are_counted_and_compared_with_nothing(tmp_path: Path) -> None:
    trials = [made(n, {"x": n / 9}, {"x": FloatDistribution(0, 1)}, [1.0]) for n in range(6)]
    trials += [
        made(n, {"x": 0.9}, {"x": FloatDistribution(0, 1)}, None, state="fail", reason="timeout", text="")
        for n in (6, 7)
    ]
    found = failures.info(history_of(tmp_path, trials))
    assert found.panels == []
    assert failures.words(found).finding == "2 failures, 2 of them by timeout"
    stands(failures.PLOT, history_of(tmp_path / "again", trials))


def test_where_nothing_failed_a_sentence_stands(tmp_path: Path) -> None:
    words = failures.words(failures.info(failing(tmp_path)))
    assert words.empty == "no trial failed: 60 ended"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((3, 3, 0, 3), 1 / 20), ((2, 3, 1, 3), 10 / 20), ((1, 2, 1, 2), 1.0), ((0, 3, 5, 9), 1.0), ((5, 5, 5, 5), 1.0)],
)
def test_chances_are_those_of_fishers_exact_test(counts: tuple[int, int, int, int], expected: float) -> None:
    assert np.exp(log_chance(*counts)) == pytest.approx(expected)


def test_very_many_failures_are_told_apart_although_their_chance_is_too_small_to_write() -> None:
    assert log_chance(3000, 3000, 1000, 90_000) < log_chance(3000, 3000, 20_000, 90_000) < -1000


def repeated(history: History, times: int) -> History:
    """Return a study whose trials are there so many times."""
    failed = {number + len(history) * turn: number for number in history.reason for turn in range(times)}
    return replace(
        history,
        state=np.tile(history.state, times),
        parameters=tuple(replace(one, values=np.tile(one.values, times)) for one in history.parameters),
        reason={number: history.reason[one] for number, one in failed.items()},
        text={number: history.text[one] for number, one in failed.items()},
    )


def test_few_of_many_trials_are_drawn_and_it_is_said(tmp_path: Path) -> None:
    history = repeated(failing(tmp_path, above=1e-2), 20)
    drawn = stands(failures.PLOT, history)
    points = [len(trace["x"]) for trace in drawn["data"] if trace["type"] == "scatter"]
    assert max(points) <= 300
    assert "At most 300 failed and 300 other trials" in failures.words(failures.info(history)).note
