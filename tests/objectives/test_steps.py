"""Rules of each step that prepares a table: scikit-learn's own rules of a transformer, and what the step is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from objectives.choices import Preprocessing
from objectives.dates import DateParts
from objectives.encoding import Hashed, TargetMeans
from objectives.missing import Missing, Neighbours
from objectives.outliers import Bound, Clip, RobustClip
from objectives.preprocess import FittedTable, prepare
from objectives.scaling import Magnitude, Power
from objectives.whitening import Zca
from search.contract import Context, Part, Role, Task

from .tables import mixed

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize(
    "step",
    [Clip(), RobustClip(), Bound(), Magnitude(), Power(), Missing(), Neighbours(), Zca(), Zca(shrinkage=True)],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks warn of what they do themselves
def test_a_numeric_step_keeps_scikit_learns_rules(step: Any) -> None:
    assert len(check_estimator(step, on_skip=None)) > 40


@pytest.mark.parametrize(
    "step",
    [TargetMeans([np.array(["a", "b"], dtype=object)] * 2), Hashed(8)],
    ids=lambda step: type(step).__name__,
)
def test_a_step_of_texts_can_be_cloned_and_names_its_columns(step: Any) -> None:
    table = pd.DataFrame({"one": list("abab"), "two": list("aabb")})
    fitted = clone(step).fit(table, np.array([0, 1, 1, 0]))
    assert not hasattr(step, "n_features_in_")
    assert len(fitted.get_feature_names_out(table.columns)) == fitted.transform(table).shape[1]


def test_every_feature_has_a_name() -> None:
    example = mixed(Task.MULTICLASS)
    table = example.train.features.assign(day="2020-01-02", say="one two")
    table.loc[0, ["day", "say"]] = ["2021-03-04", "three"]
    choices = Preprocessing("mean", encode="target", indicator=True, dates="cyclic", text="words", scale="quantile")
    context = Context(task=Task.MULTICLASS, roles={"day": Role.DATE, "say": Role.TEXT})
    part = Part(table, example.train.target)
    made = prepare(choices, part, part, context)
    assert isinstance(made.transform, FittedTable)
    names = made.transform.pipeline.get_feature_names_out()
    assert len(names) == made.train.features.shape[1] == len(set(names))


def test_robust_clipping_draws_in_what_lies_far_from_the_median_and_leaves_columns_of_mostly_one_value() -> None:
    normal = np.random.default_rng(0).normal(10, 2, 1001)
    values = np.column_stack([np.append(normal, 1e6), np.append(np.zeros(1001), 1e6)])
    found = RobustClip(3).fit_transform(values)
    assert 15.5 < found[-1, 0] < 16.5
    np.testing.assert_array_equal(found[:, 1], values[:, 1])


@pytest.mark.parametrize("shrinkage", [False, True])
def test_zca_makes_columns_uncorrelated_and_keeps_each_near_to_itself(shrinkage: bool) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 4)) @ (np.eye(4) + 0.4 * random.normal(size=(4, 4)))
    found = Zca(shrinkage).fit_transform(values)
    np.testing.assert_allclose(np.cov(found, rowvar=False), np.eye(4), atol=0.2 if shrinkage else 1e-8)
    for index in range(4):
        assert np.corrcoef(values[:, index], found[:, index])[0, 1] > 0.8


def test_zca_of_columns_that_are_one_does_not_raise_their_noise() -> None:
    column = np.random.default_rng(0).normal(size=(200, 1))
    found = Zca().fit_transform(np.hstack([column, column, column]))
    np.testing.assert_allclose(found.std(axis=0), 1 / np.sqrt(3), rtol=1e-2)


def test_the_nearest_rows_fill_a_gap_whatever_the_units() -> None:
    random = np.random.default_rng(0)
    group = random.integers(0, 2, 200)
    values = np.column_stack([group + 0.01 * random.normal(size=200), 1e6 * random.normal(size=200), 100.0 * group])
    gaps = values.copy()
    gaps[::10, 2] = np.nan
    np.testing.assert_allclose(Neighbours().fit_transform(gaps)[:, 2], values[:, 2], atol=45)
    assert (Neighbours().fit_transform(gaps)[::10, 2].round(-2) == values[::10, 2]).mean() > 0.9


def test_indicators_say_where_training_columns_have_gaps() -> None:
    example = mixed(Task.BINARY)
    plain = prepare(Preprocessing("mean"), example.train, example.validation, example.context)
    told = prepare(Preprocessing("mean", indicator=True), example.train, example.validation, example.context)
    assert told.train.features.shape[1] == plain.train.features.shape[1] + 1  # of `age` alone
    assert int(told.train.features.sum() - plain.train.features.sum()) == int(example.train.features.age.isna().sum())


def test_the_parts_of_a_date_are_those_of_the_calendar() -> None:
    column = pd.DataFrame({"when": ["2020-02-29T13:30:00", "2021-12-31T00:00:00", "never", ""]})
    step = DateParts().fit(column)
    found = pd.DataFrame(step.transform(column), columns=list(step.get_feature_names_out()))
    assert list(found.columns) == [f"when_{part}" for part in ("year", "month", "day", "day_of_week", "hour", "days")]
    assert found.iloc[0].tolist() == [2020, 2, 29, 5, 13, 0]
    assert found.iloc[1].tolist() == pytest.approx([2021, 12, 31, 4, 0, 670.4375])
    assert found.iloc[2:].isna().all(axis=None)


def test_plain_dates_have_no_hour_and_december_lies_beside_january() -> None:
    column = pd.DataFrame({"when": ["31.12.2020", "01.01.2021", "30.06.2021"]})
    step = DateParts(cycles=True).fit(column)
    names = list(step.get_feature_names_out())
    assert not [name for name in names if "hour" in name or "of day" in name]
    year = pd.DataFrame(step.transform(column), columns=names)[["when_sine of year", "when_cosine of year"]].to_numpy()
    assert np.linalg.norm(year[0] - year[1]) < 0.1 < 1.9 < np.linalg.norm(year[0] - year[2])


@pytest.mark.parametrize(
    ("dates", "same"), [(["05/06/2021", "25/06/2021"], "2021-06-05"), (["05/06/2021", "06/25/2021"], "2021-05-06")]
)
def test_the_order_of_day_and_month_is_that_of_the_training_rows(dates: list[str], same: str) -> None:
    step = DateParts().fit(pd.DataFrame({"when": dates}))
    iso = DateParts().fit(pd.DataFrame({"when": [same, "2021-06-25"]}))
    first = pd.DataFrame({"when": [dates[0]]})
    assert step.transform(first)[0, 0] == iso.transform(pd.DataFrame({"when": [same]}))[0, 0]


def test_dates_and_texts_need_their_role() -> None:
    table = pd.DataFrame({"when": [f"2020-01-{1 + row % 28:02}" for row in range(60)]})
    part = Part(table, np.arange(60) % 2)
    choices = Preprocessing("mean", dates="parts", encode="one-hot")
    known = prepare(choices, part, part, Context(roles={"when": Role.DATE})).train.features
    unknown = prepare(choices, part, part, Context()).train.features
    assert known.shape[1] == 3  # day, weekday, days since the first
    assert unknown.shape[1] == 28


def test_terms_are_those_of_the_training_rows_and_no_more_than_asked_for() -> None:
    words = [f"w{row} shared x" for row in range(50)]
    part = Part(pd.DataFrame({"say": words, "x": np.arange(50.0)}), np.arange(50) % 2)
    context = Context(roles={"say": Role.TEXT})
    made = prepare(Preprocessing("mean", text="words", terms=7), part, part, context)
    assert made.train.features.shape == (50, 1 + 7)
    assert made.train.features.dtype == np.float32


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_a_text_without_terms_is_left_out(kind: str) -> None:
    table = pd.DataFrame({"say": ["", "  "] * 20, "x": np.arange(40.0)})
    part = Part(table, np.arange(40) % 2)
    made = prepare(Preprocessing(text=kind), part, part, Context(roles={"say": Role.TEXT}))
    assert made.train.features.shape == (40, 1)


def test_hashing_takes_any_number_of_categories() -> None:
    names = [f"id{row}" for row in range(500)]
    part = Part(pd.DataFrame({"id": names}), np.arange(500) % 2)
    made = prepare(Preprocessing(encode="hash", hash_columns=16), part, part, Context())
    assert made.train.features.shape == (500, 16)
    np.testing.assert_array_equal(np.abs(made.train.features).sum(axis=1), 1)


def test_mean_targets_of_classes_are_shares_drawn_to_the_overall_share() -> None:
    table = pd.DataFrame({"town": ["a"] * 50 + ["b"] * 50})
    target = np.array([0] * 50 + [1] * 40 + [2] * 10)
    part = Part(table, target)
    made = prepare(Preprocessing(encode="target"), part, part, Context(task=Task.MULTICLASS))
    np.testing.assert_allclose(made.validation.features[0], [1, 0, 0], atol=0.01)
    np.testing.assert_allclose(made.validation.features[-1], [0, 0.8, 0.2], atol=0.02)


def test_repeated_rows_count_once_but_not_where_their_target_differs() -> None:
    table = pd.DataFrame({"x": [1.0, 1.0, 1.0, np.nan, np.nan, 2.0], "y": [None, None, None, "a", "a", "a"]})
    part = Part(table, np.array([0, 0, 1, 1, 1, 0]))
    made = prepare(Preprocessing("mean", duplicates="drop"), part, part, Context())
    assert made.train.target.tolist() == [0, 1, 1, 0]
    assert len(made.validation.target) == 6


def test_dropped_outliers_are_the_rows_that_lie_apart() -> None:
    values = np.random.default_rng(0).normal(size=(200, 3))
    values[:5] += 50
    part = Part(values, np.arange(200) % 2)
    made = prepare(Preprocessing(outliers="drop", outlier_share=0.025), part, part, Context())
    assert len(made.train.features) == 195
    assert made.train.features.max() < 10
    assert len(made.validation.features) == 200


def test_a_class_is_never_dropped_whole() -> None:
    values = np.random.default_rng(0).normal(size=(100, 2))
    values[0] = 1000
    part = Part(values, np.array([1] + [0] * 99))
    made = prepare(Preprocessing(outliers="drop", outlier_share=0.05), part, part, Context())
    assert 1 in made.train.target
    assert len(made.train.target) == 96


def test_no_training_row_is_told_in_one_sentence() -> None:
    nothing = Part(pd.DataFrame({"x": np.empty(0)}), np.empty(0, dtype=np.int64))
    with pytest.raises(ValueError, match="no training row is left to learn from"):
        prepare(Preprocessing(duplicates="drop"), nothing, nothing, Context())


def test_class_weights_are_those_of_the_rows_that_are_left() -> None:
    from objectives.balance import class_weights

    part = Part(np.array([[0.0]] * 8 + [[1.0], [2.0]]), np.array([0] * 8 + [1, 1]))
    made = prepare(Preprocessing(duplicates="drop"), part, part, Context())
    assert made.train.target.tolist() == [0, 1, 1]
    weights = class_weights({"train.class_weight": "balanced"}, made.train, Context())
    assert weights is not None
    np.testing.assert_allclose(weights, [1.5, 0.75])
