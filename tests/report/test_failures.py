"""Failures by reason, over the parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from search.records.history import History
from search.report.advice import advice
from search.report.evidence import Evidence
from search.report.figures import failures
from search.report.shared import Part, log_chance
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
    first = found.kinds[0].pattern
    assert first is not None
    assert (first.inside, first.is_sure) == (found.failed, True)
    assert first.parts[0].name == found.panels[0].name == "train.lr"
    assert first.parts[0].words.startswith("above 0.")
    assert failures.words(found).finding.startswith(f"{found.failed} of {found.failed} failures have train.lr above 0.")


def test_failures_that_share_a_choice_are_told_with_it(tmp_path: Path) -> None:
    found = failures.info(failing(tmp_path, of_family="mlp"))
    assert found.kinds[0].pattern is not None
    assert found.kinds[0].pattern.parts == (Part("model.family", "= mlp"),)
    words = failures.words(found)
    assert (
        words.finding
        == f"{found.failed} of {found.failed} failures have model.family = mlp; so have 0% of the other trials"
    )


def mixed(results: Path, count: int = 80) -> History:
    """Return a study that fails for two reasons: a rate that is too high, and of one family too wide a layer."""
    dice = np.random.default_rng(3)
    known = {**KNOWN, "model.width": FloatDistribution(0, 1)}
    trials = []
    for number in range(count):
        lr, family, width = float(10 ** dice.uniform(-5, 0)), ("mlp", "forest")[dice.integers(2)], float(dice.random())
        reason = "nan" if lr > 0.2 else "exception" if family == "mlp" and width > 0.6 else None
        params: dict[str, object] = {"train.lr": lr, "model.family": family, "model.width": width}
        told: dict[str, object] = {"reason": reason, "text": f"{reason} {number}", "state": "fail"} if reason else {}
        trials.append(made(number, params, known, None if reason else [lr], **told))  # type: ignore[arg-type]
    return history_of(results, trials)


def test_each_reason_has_its_own_pattern_of_two_parameters_where_one_alone_does_not_tell_it(tmp_path: Path) -> None:
    history = mixed(tmp_path)
    found = failures.info(history)
    patterns = {one.reason: one.pattern for one in found.kinds}
    assert all(one is not None and one.is_sure for one in patterns.values())
    parts = {reason: [part.name for part in one.parts] for reason, one in patterns.items() if one is not None}
    assert parts["nan"] == ["train.lr"]
    assert {*parts["exception"]} == {"model.family", "model.width"}
    words = failures.words(found)
    assert "nan where train.lr above 0." in words.finding
    assert "model.family = mlp" in words.finding
    assert all(f"such as trial {one.example}" in words.note for one in found.kinds)
    drawn = stands(failures.PLOT, history)
    strips = drawn["layout"]["yaxis2"]["ticktext"]
    assert {*strips} == {"nan", "exception", "others"}
    bars = next(trace for trace in drawn["data"] if trace["type"] == "bar")
    assert bars["customdata"] == [one.example for one in found.kinds]


def test_the_advice_has_the_figures_chance(tmp_path: Path) -> None:
    history = mixed(tmp_path)
    known = Evidence.of(history)
    chances = {one.pattern.chance for one in known.failures.kinds if one.pattern is not None}
    told = [one.evidence for one in advice(known) if one.kind == "failures"]
    assert len(told) == len(chances) == 2
    assert all(
        any(chance in one for one in told) and chance in failures.words(known.failures).note for chance in chances
    )


def test_failures_are_compared_with_trials_of_the_same_space_only(tmp_path: Path) -> None:
    known: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    trials = [
        made(n, {"x": n % 30 / 30}, known, None if 20 <= n < 30 else [1.0], **_end(0 if 20 <= n < 30 else 1))  # type: ignore[arg-type]
        for n in range(50)
    ]
    history = history_of(tmp_path, trials)
    edited = replace(history, attributes={**history.attributes, "sweep:edits": [{"trials": 30}]})
    compared = [one.pattern.others for each in (history, edited) if (one := failures.info(each).kinds[0]).pattern]
    assert compared == [40, 20]


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
    (kind,) = found.kinds
    assert (kind.reason, kind.text, len(kind.trials)) == ("nan", "metric 'val_loss' is nan at epoch N", found.failed)
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
    assert "At most 300 trials are drawn in a strip" in failures.words(failures.info(history)).note
