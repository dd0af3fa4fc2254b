"""The error of an answer: in [0, 1] whatever is answered, and on a scale that favours nobody.

Mutations that turn these red: take the row's own error into the scale before it is learnt; let errors beyond the scale
count as more than 1, or an answer that is not finite as less; let the right class cost what it was not sure of; count
bins from the largest; leave the threshold out; keep every error for ever, or forget one in JSON.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from search.online.losses import Loss

CLASSES = ("calm", "rain", "snow")


def learnt(errors: list[float]) -> Loss:
    loss = Loss(())
    for one in errors:
        loss.learn(one, 0.0)
    return loss


@pytest.mark.parametrize(
    ("answer", "target", "wrong"),
    [
        ([1.0, 0.0, 0.0], 0, 0.0),
        ([0.4, 0.3, 0.3], 0, 0.0),  # however unsure
        ([0.0, 1.0, 0.0], 0, 1.0),
        ([0.49, 0.51, 0.0], 0, 1.0),
        ([math.nan, 0.5, 0.5], 0, 1.0),
        ([math.inf, 0.0, 0.0], 0, 1.0),
    ],
)
def test_an_answer_is_right_or_wrong_however_sure_it_was(answer: list[float], target: int, wrong: float) -> None:
    assert Loss(CLASSES).error(np.array(answer, np.float32), target) == wrong


@pytest.mark.parametrize("target", [-1, 3])
def test_a_class_that_is_none_is_refused(target: int) -> None:
    with pytest.raises(ValueError, match="below 3"):
        Loss(CLASSES).error(np.array([1.0, 0.0, 0.0]), target)


@pytest.mark.parametrize(
    ("answer", "threshold", "wrong"),
    [([0.6, 0.4], None, 1.0), ([0.6, 0.4], 0.4, 0.0), ([0.4, 0.6], 0.7, 1.0), ([math.nan, 0.9], None, 1.0)],
)
def test_an_error_is_a_class_other_than_the_one_that_is_given(
    answer: list[float], threshold: float | None, wrong: float
) -> None:
    assert Loss(("no", "yes")).error(np.array(answer), 1, threshold) == wrong


def test_values_have_no_error_until_twenty_told_its_scale() -> None:
    loss = learnt([3.0] * 19)
    assert (loss.scale, loss.error(1e9, 0.0)) == (None, 0.0)
    loss.learn(3.0, 0.0)
    assert loss.error(1e9, 0.0) == 1.0


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1.0, 1e6, 1e200])
def test_the_error_of_a_value_is_in_units_of_four_times_the_large_errors_so_far(unit: float) -> None:
    errors = np.abs(np.random.default_rng(3).normal(size=4_000)) * unit
    scale = learnt(errors.tolist()).scale
    assert scale is not None
    assert 1 <= scale / (4 * np.quantile(errors, 0.9)) <= 1.1
    loss = learnt(errors.tolist())
    assert loss.error(0.25 * scale, 0.0) == loss.error(0.0, 0.25 * scale) == 0.25
    assert loss.error(7 * scale, 0.0) == 1.0


def test_a_row_is_judged_by_the_scale_from_before_it() -> None:
    loss = learnt([1.0] * 39)
    before = loss.error(2.0, 0.0)
    loss.learn(1e9, 0.0)
    assert loss.error(2.0, 0.0) == before  # one error of forty is no large part


@pytest.mark.parametrize("answer", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_as_wrong_as_can_be_and_teaches_nothing(answer: float) -> None:
    loss = learnt([1.0] * 20)
    told = loss.to_json()
    loss.learn(answer, 0.0)
    assert loss.error(answer, 0.0) == 1.0
    assert loss.to_json() == told


def test_after_a_champion_without_errors_any_is_as_large_as_can_be() -> None:
    loss = learnt([0.0] * 20)
    assert (loss.error(0.0, 0.0), loss.error(1e-300, 0.0)) == (0.0, 1.0)


def test_the_largest_errors_there_are_leave_a_finite_scale() -> None:
    scale = learnt([1e308] * 20).scale
    assert scale is not None
    assert math.isfinite(scale)


def test_the_scale_follows_what_the_model_is_used_to() -> None:
    loss = learnt([1000.0] * 10_000)
    for _ in range(60_000):
        loss.learn(1.0, 0.0)
    assert loss.scale is not None
    assert loss.scale < 5


def test_errors_that_all_differ_do_not_end_the_scale() -> None:
    loss = learnt([2.0 ** ((one + 0.5) / 8) for one in range(-2_500, 2_500)])
    assert loss.scale is not None
    assert len(loss.to_json()["errors"]) == 0


@pytest.mark.parametrize("loss", [Loss(CLASSES), Loss(()), learnt([0.1, 0.0, 7.5] * 2_000)])
def test_kept_as_json_it_goes_on_as_if_nothing_had_been(loss: Loss) -> None:
    again = Loss.from_json(json.loads(json.dumps(loss.to_json(), allow_nan=False)))
    assert (again.classes, again.scale) == (loss.classes, loss.scale)
    if not loss.classes:
        for one in np.random.default_rng(0).normal(size=200).tolist():
            loss.learn(one, 0.1)
            again.learn(one, 0.1)
            assert again.error(one, 0.0) == loss.error(one, 0.0)
    assert again.to_json() == loss.to_json()
