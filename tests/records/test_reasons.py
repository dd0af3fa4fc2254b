"""Why a point was suggested and what was expected of it: a sentence for each, with the digits that intervals leave.

Mutations that turn these red: say the same of any two ways to suggest a point; tell what was seen of a trial that was
not trained so far; leave out that it lay outside; round a chance to 0 % or 100 %; round an interval's ends away.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from search.records.reasons import expected, prospect, rests, suggested
from search.study.origin import Origin, WentOn
from search.study.predicted import Predicted
from search.study.pruners import Pruning

FORETOLD = Predicted(27, 0.103, 0.081, 0.142)
EXPECTED = "val_loss 0.103 (0.081 to 0.142) expected at epoch 27"


def said(origin: Origin, reports: dict[int, float] | None = None, **known: Any) -> list[str]:
    return suggested(origin, reports or {}, **{"metric": "val_loss", "unit": "epoch", **known})


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        (Origin("start"), "suggested as one of the first trials, which are spread over all ranges"),
        (Origin("middle"), "suggested as the middle of all ranges"),
        (Origin("uniform"), "drawn uniformly from the whole space, so that the search does not lock itself in"),
        (
            Origin("model", among=1500, predicted=FORETOLD),
            f"suggested by the model: the best of 1,500 candidates drawn anywhere, with {EXPECTED}",
        ),
        (
            Origin("near", among=500, predicted=FORETOLD),
            f"suggested by the model: the best of 500 candidates, drawn near a good trial, with {EXPECTED}",
        ),
        (Origin("near"), "suggested by the model: the best of its candidates, drawn near a good trial"),
        (Origin("{later}"), "suggested by {later}"),
        (Origin("enqueued", at_launch=True), "enqueued at the launch"),
        (Origin("enqueued"), "enqueued by hand"),
        (Origin("enqueued", trial=3), "enqueued by hand, and moved from trial 3 when the space was edited"),
        (Origin("retry", trial=4), "it runs trial 4 again, which had failed"),
        (Origin("warm", study="before"), "suggested by the warm start: a good trial of before, or near one"),
    ],
)
def test_a_point_says_where_it_is_from(origin: Origin, sentence: str) -> None:
    assert said(origin) == [sentence]


@pytest.mark.parametrize(
    ("sampler", "sentences"), [("tpe", ["suggested by tpe"]), ("random", ["drawn at random"]), ("", [])]
)
def test_where_a_sampler_says_nothing_it_is_named(sampler: str, sentences: list[str]) -> None:
    assert said(Origin(), sampler=sampler) == sentences
    assert said(Origin("start"), sampler=sampler)[0].startswith("suggested as one of the first")


@pytest.mark.parametrize(
    ("reports", "ending"),
    [
        ({9: 0.3}, ""),
        ({9: 0.3, 27: 0.1101234}, " and 0.1101 seen"),
        ({9: 0.3, 27: 0.1427}, " and 0.1427 seen, outside that interval"),
        ({9: 0.08, 30: 0.1}, " and 0.08 seen, outside that interval"),
    ],
)
def test_what_was_seen_stands_beside_what_was_expected(reports: dict[int, float], ending: str) -> None:
    sentence = "suggested by the model: the best of 9 candidates drawn anywhere"
    assert said(Origin("model", among=9, predicted=FORETOLD), reports) == [f"{sentence}, with {EXPECTED}{ending}"]


def test_each_time_that_it_was_taken_on_is_told() -> None:
    origin = Origin("start", went_on=(WentOn(3, 9, FORETOLD, 1041), WentOn(9, 27)))
    assert said(origin, {27: 0.1})[1:] == [
        (
            "taken on from epoch 3 towards 9 instead of a new trial, when there were 1,041 trials, "
            f"with {EXPECTED} and 0.1 seen"
        ),
        "taken on from epoch 9 towards 27 instead of a new trial",
    ]


@pytest.mark.parametrize(
    ("open_end", "text", "seen", "holds"),
    [("high", "0.5 (0.2 to 0.9 or worse)", 7.0, True), ("low", "0.5 (0.2 or worse to 0.9)", 7.0, False)],
)
def test_an_interval_that_is_open_at_its_worse_end_says_so(open_end: str, text: str, seen: float, holds: bool) -> None:
    predicted = Predicted(9, 0.5, 0.2, 0.9, open_end)
    assert expected(predicted) == text
    assert predicted.holds(seen) is holds
    assert Predicted.from_json(json.loads(json.dumps(predicted.to_json()))) == predicted


def test_looks_on_the_way_to_its_end_are_told_together() -> None:
    ends = [WentOn(at, to, FORETOLD, 40, "finish") for at, to in ((3, 5), (5, 9), (9, 14))]
    origin = Origin("start", went_on=(WentOn(1, 3, by="halving"), *ends, WentOn(14, 27, by="finish")))
    assert said(origin)[1:] == [
        "taken on from epoch 1 towards 3 as one of the best third there",
        (
            "taken on from epoch 3 towards 27 on the way to its end, as the likeliest to become the best, "
            f"when there were 40 trials; looked at again at epochs 5, 9, 14, with {EXPECTED}"
        ),
    ]


@pytest.mark.parametrize(
    ("pruning", "sentence"),
    [
        (
            Pruning("auto", 9, 0.38, predicted=Predicted(27, 0.31, 0.27, 0.36), chance=0.02, best=0.25),
            (
                "val_loss 0.38 now, 0.31 (0.27 to 0.36) expected at step 27, "
                "chance 2% to be better than all others, 0.25"
            ),
        ),
        (Pruning("auto", 9, 0.38, chance=0.004), "val_loss 0.38 now, chance 0.4% to be better than all others"),
        (Pruning("auto", 9, 0.38, chance=0.0), "val_loss 0.38 now, chance under 0.1% to be better than all others"),
        (Pruning("auto", 9, 0.38, chance=1.0), "val_loss 0.38 now, chance over 99.9% to be better than all others"),
        (Pruning("auto", 9, 0.38, chance=0.995), "val_loss 0.38 now, chance 99.5% to be better than all others"),
        (Pruning("auto", 9, float("nan"), chance=0.5), "chance 50% to be better than all others"),
        (Pruning("asha", 9, 0.38, 0.3, 4, 9), ""),
    ],
)
def test_what_a_rule_expected_is_told(pruning: Pruning, sentence: str) -> None:
    assert prospect(pruning.to_json(), metric="val_loss", unit="step") == sentence


@pytest.mark.parametrize(
    ("pruning", "sentence"),
    [
        (Pruning("auto", 9, 0.38, chance=0.0), "val_loss 0.38 now, chance under 0.1% to be better than all others"),
        (Pruning("auto", 9, 0.38), "val_loss 0.38 now, and nothing was predicted of it"),
        (Pruning("auto", 9, float("nan")), ""),
    ],
)
def test_a_trial_that_rests_is_told_with_what_was_expected_of_it(pruning: Pruning, sentence: str) -> None:
    assert rests(pruning.to_json(), metric="val_loss", unit="step") == sentence


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.98613, 0.98401, 0.98811), "0.9861 (0.984 to 0.9881)"),
        ((1234.5, 1000.2, 1500.9), "1230 (1000 to 1500)"),
        ((-3.2, -4.0, 1.0), "-3.2 (-4 to 1)"),
        ((0.5, 0.5, 0.5), "0.5 (0.5 to 0.5)"),
        ((3e7, 1e7, 8e7), "3e+07 (1e+07 to 8e+07)"),
        ((1e-9, 0.0, 3e-9), "1e-09 (0 to 3e-09)"),
        ((0.004, 0.0, 0.9), "0.004 (0 to 0.9)"),
    ],
)
def test_a_prediction_has_the_digits_that_its_interval_leaves(numbers: tuple[float, float, float], text: str) -> None:
    assert expected(Predicted(1, *numbers)) == text
