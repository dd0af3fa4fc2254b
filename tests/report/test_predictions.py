"""Predicted beside seen: what counts as seen, what a guess would have been, and what is said of both.

Mutations that turn these red: compare at the last report and not at the predicted step; count a trial that was not
trained so far as seen; let the guess know the trial itself, or later ones; judge by predictions that have no guess; let
a share of 95 % of few be called right; take maximized metrics for minimized ones.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial

from search.records.history import History
from search.records.predictions import Predictions, predictions
from search.report.figures import predictions as figure
from search.report.foretold import foretold
from search.study import attributes
from tests.records.studies import trial
from tests.report.extremes import EXTREMES, foreseen, history_of
from tests.report.extremes import extreme as extreme
from tests.report.standing import stands


def told(made: FrozenTrial, *predicted: tuple[int, float], went_on: tuple[Any, ...] = ()) -> FrozenTrial:
    """Return a trial that was suggested with a prediction, an interval of 0.1 to either side around it."""
    for step, value in predicted:
        why: dict[str, Any] = {"by": "model", "predicted": foretelling(step, value)}
        made.system_attrs = {**made.system_attrs, attributes.WHY: why}
    if went_on:
        made.system_attrs = {**made.system_attrs, attributes.WENT_ON: [*went_on]}
    return made


def foretelling(step: int, value: float) -> dict[str, float]:
    return {"step": step, "value": value, "low": value - 0.1, "high": value + 0.1}


def test_it_stands_every_study(extreme: History) -> None:
    found = stands(figure.PLOT, extreme)
    assert bool(found) == bool(len(predictions(extreme)) and predictions(extreme).was_seen.any())


@pytest.mark.parametrize(
    ("curve", "step", "seen"),
    [
        ([0.9, 0.5, 0.4, 0.3], 2, 0.5),  # there, not at the end
        ([0.9, 0.5, 0.4, 0.3], 4, 0.3),
        ([0.9, 0.5, 0.4], 4, None),  # not trained so far
        ([], 4, None),
        ([0.9, math.inf, 0.4], 2, None),
    ],
)
def test_what_was_seen_is_what_stood_at_the_predicted_step(
    curve: list[float], step: int, seen: float | None, tmp_path: Path
) -> None:
    found = predictions(history_of(tmp_path, [told(trial("pruned", curve), (step, 0.45))]))
    assert found.seen.tolist() == [pytest.approx(math.nan if seen is None else seen, nan_ok=True)]


def test_a_trial_that_skips_the_step_is_seen_at_its_report_before(tmp_path: Path) -> None:
    made = trial("complete", [0.3])
    made.system_attrs = {key: one for key, one in made.system_attrs.items() if "metrics" not in key}
    made.intermediate_values = {4: 0.5, 9: 0.3}
    assert predictions(history_of(tmp_path, [told(made, (6, 0.45))])).seen.tolist() == [0.5]


def test_the_guess_is_the_median_of_the_trials_before_that_were_trained_so_far(tmp_path: Path) -> None:
    trials = [
        told(trial("complete", [0.9, 0.1]), (2, 0.5)),  # nobody was there before
        trial("pruned", [0.2]),
        trial("complete", [0.9, 0.3]),
        told(trial("complete", [0.9, 0.6]), (2, 0.5)),  # 0.1 and 0.3
        told(trial("pruned", [0.9]), (2, 0.5)),  # not seen
        trial("complete", [0.9, 0.9]),
        told(trial("complete", [0.9, 0.2]), (2, 0.5)),  # 0.1, 0.3, 0.6 and 0.9
    ]
    found = predictions(history_of(tmp_path, trials))
    np.testing.assert_allclose(found.guess, [math.nan, 0.2, math.nan, 0.45])


def test_one_that_was_taken_on_is_guessed_by_the_others_that_there_were_then(tmp_path: Path) -> None:
    went_on = {"from": 1, "to": 2, "predicted": foretelling(2, 0.3), "at_trials": 3}
    trials = [
        told(trial("complete", [0.9, 0.25]), (1, 0.8), went_on=(went_on, {**went_on, "from": 2, "at_trials": 4})),
        trial("complete", [0.9, 0.4]),
        trial("complete", [0.9, 0.6]),
        trial("complete", [0.9, 0.8]),
        trial("complete", [0.9, 0.1]),
    ]
    found = predictions(history_of(tmp_path, trials))
    assert found.start.tolist() == [0, 1, 2]
    assert found.seen.tolist() == [0.9, 0.25, 0.25]
    np.testing.assert_allclose(found.guess, [math.nan, 0.5, 0.6])


def made_of(count: int, *, off: float, spread: float, width: float, seed: int = 0) -> Predictions:
    """Return predictions of values that are spread so far, which are off so far; the guess is the middle of all."""
    dice = np.random.default_rng(seed)
    seen = dice.normal(0, spread, count)
    value = seen + dice.normal(0, off, count)
    whole, zeros = np.arange(count), np.zeros(count)
    held = np.abs(seen - value) <= width
    return Predictions(whole, whole * 0, whole * 0 + 9, value, value - width, value + width, seen, held, zeros)


@pytest.mark.parametrize(
    ("off", "width", "beats", "share"),
    [(0.1, 0.196, True, 0.95), (0.1, 0.05, True, 0.38), (3.0, 5.88, False, 0.95), (0.01, 9.0, True, 1.0)],
)
def test_good_predictions_beat_a_guess_and_the_share_in_their_intervals_is_theirs(
    off: float, width: float, beats: bool, share: float
) -> None:
    found = foretold(made_of(400, off=off, spread=1.0, width=width))
    assert found.inside == pytest.approx(share, abs=0.04)
    assert found.inside_low <= share <= found.inside_high + 1e-9
    assert (found.ratio_high < 1, found.ratio_low > 1) == (beats, not beats)
    assert found.ratio_low < found.error / found.guess_error < found.ratio_high
    assert found.error == pytest.approx(off * math.sqrt(2 / math.pi), rel=0.1)


def test_the_order_is_told_whatever_the_scale() -> None:
    made = made_of(50, off=0.0, spread=1.0, width=1.0)
    assert foretold(replace(made, value=np.exp(9 * made.value))).rank == pytest.approx(1)
    assert foretold(replace(made, value=-made.value)).rank == pytest.approx(-1)
    assert math.isnan(foretold(replace(made, seen=made.seen * 0)).rank)


def test_only_predictions_with_a_guess_are_compared_with_it() -> None:
    made = made_of(40, off=0.1, spread=1.0, width=1.0)
    guess, value = made.guess.copy(), made.value.copy()
    guess[:20], value[:20] = math.nan, 1e9
    found = foretold(replace(made, guess=guess, value=value))
    assert (found.seen, found.compared) == (40, 20)
    assert found.error < 1


def test_predictions_of_one_trial_count_as_one_in_the_interval() -> None:
    """Forty predictions of two curves say no more than two."""
    made = made_of(40, off=0.3, spread=1.0, width=1.0)
    alone, together = foretold(made), foretold(replace(made, trial=made.trial // 4))
    assert together.error == alone.error
    of_two = foretold(replace(made, trial=made.trial // 20))
    assert len({of_two.ratio_low, of_two.ratio_high}) == 2
    assert of_two.ratio_high <= max(_ratios(made, 20)) + 1e-12


def _ratios(made: Predictions, size: int) -> list[float]:
    off, guess = np.abs(made.value - made.seen).reshape(-1, size), np.abs(made.seen).reshape(-1, size)
    ratios: list[float] = (off.sum(axis=1) / guess.sum(axis=1)).tolist()
    return ratios


def test_the_searched_one_is_told(tmp_path: Path) -> None:
    study = history_of(tmp_path, foreseen(120), sampler="auto", max_epochs=9)
    info = figure.info(study)
    words = figure.words(info)
    assert info.good.compared == info.good.seen < len(info.trial)
    assert words.finding.startswith("Predictions beat a guess: off by ")
    assert words.finding.endswith(f"{info.good.seen} lie in their 95% intervals")
    assert f"{info.good.seen} of {len(info.trial)} predictions were seen." in words.note
    assert "Rank correlation 0.9" in words.note
    assert {*info.trial}.isdisjoint(range(10))  # the first ones were not predicted
    table = figure.data(info)
    assert [one is None for one in table["val_loss"]] == [math.isnan(one) for one in info.seen]
    drawn = figure.figure(info).data
    assert [one.name for one in drawn] == ["as predicted", "inside its interval", "outside"]
    assert sum(len(one.x) for one in drawn[1:]) == info.good.seen


def test_in_a_study_that_maximizes_values_keep_their_sign(tmp_path: Path) -> None:
    trials = [told(trial("complete", [-0.9, -0.5]), (2, -0.45))]
    info = figure.info(history_of(tmp_path, trials, directions=("maximize",)))
    assert (info.value, info.seen) == ([-0.45], [-0.5])
    assert info.low == pytest.approx([-0.55])


def test_of_several_metrics_the_first_is_predicted(tmp_path: Path) -> None:
    made = trial("complete", [0.9, 0.5], values=[0.5, 0.5])
    made.intermediate_values = {}
    changes: dict[str, Any] = {"metrics": ("val_loss", "val_accuracy"), "directions": ("minimize", "maximize")}
    info = figure.info(history_of(tmp_path, [told(made, (2, 0.45))], **changes))
    assert (info.metric, info.seen) == ("val_loss", [0.5])


SAID: list[tuple[list[FrozenTrial], str]] = [
    (
        [trial("complete", [0.5])],
        "no trial was suggested or taken on with a prediction: the sampler is tpe",
    ),
    (
        [told(trial("complete", [0.5]), (9, 0.4))],
        "the one prediction cannot be judged yet: no trial was trained as far as was predicted of it",
    ),
    (
        [told(trial("complete", [0.5]), (9, 0.4)) for _ in range(3)],
        "none of 3 predictions can be judged yet: no trial was trained as far as was predicted of it",
    ),
]


@pytest.mark.parametrize(("trials", "empty"), SAID)
def test_where_nothing_can_be_drawn_it_says_why(trials: list[FrozenTrial], empty: str, tmp_path: Path) -> None:
    assert figure.words(figure.info(history_of(tmp_path, trials, sampler="tpe:n_startup_trials=3"))).empty == empty


@pytest.mark.parametrize(("count", "finding"), [(1, "one was seen"), (9, "9 were seen")])
def test_few_predictions_are_drawn_and_not_judged(count: int, finding: str, tmp_path: Path) -> None:
    trials = [told(trial("complete", [0.9, 0.5 + n / 99]), (2, 0.5)) for n in range(count)]
    words = figure.words(figure.info(history_of(tmp_path, trials)))
    assert (words.empty, words.finding) == ("", f"Too few predictions to say how good they are: {finding}")


def test_of_values_that_are_all_the_same_no_ratio_is_told(tmp_path: Path) -> None:
    trials = [told(trial("complete", [0.9, 0.5]), (2, 0.5)) for _ in range(20)]
    words = figure.words(figure.info(history_of(tmp_path, trials)))
    assert words.finding == "Of the predictions, 100% of 20 lie in their 95% intervals"
    assert "Rank correlation" not in words.note


def test_a_prediction_of_a_copied_trial_is_nobodys(tmp_path: Path) -> None:
    one, copied = told(trial("complete", [0.5]), (1, 0.5)), told(trial("complete", [0.5]), (1, 0.5))
    copied.system_attrs = {**copied.system_attrs, attributes.SAME_AS: 0}
    assert predictions(history_of(tmp_path, [one, copied])).trial.tolist() == [0]


def test_what_is_no_prediction_is_left_out(tmp_path: Path) -> None:
    found = predictions(EXTREMES["odd predictions"](tmp_path))
    assert sorted({*found.step.tolist()}) == [1, 2, 10**9]
    assert np.isfinite(found.high - found.low).all()
    assert np.all((found.low <= found.value) & (found.value <= found.high))
