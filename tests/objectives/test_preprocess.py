"""Rules of preparing a table."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.choices import ENCODE, IMPUTE, SCALE, WHITEN, Preprocessing
from objectives.columns import MAX_LEVELS, as_table, order_by_target
from objectives.preprocess import fit_table, prepare
from search.contract import Context, Part, Task

from .tables import mixed

ALL = [
    Preprocessing(impute, clip, scale, whiten, encode, rare=2)
    for impute, clip, scale, whiten, encode in itertools.product(IMPUTE[1:], (0.0, 0.02), SCALE, WHITEN, ENCODE)
][::7]


def _dirty() -> tuple[Part, Part]:
    """Return a table with everything that goes wrong, and validation rows that are worse."""
    random = np.random.default_rng(0)
    train = pd.DataFrame(
        {
            "plain": random.normal(size=60),
            "huge": np.concatenate([random.normal(size=58), [1e300, -np.inf]]),
            "skewed": random.lognormal(0, 3, 60),
            "constant": np.ones(60),
            "empty": np.full(60, np.nan),
            "same text": ["x"] * 60,
            "no text": [None] * 60,
            "identifier": [f"id{row}" for row in range(60)],
            "text": random.choice(["a", "b", "ü%\n"], 60),
        }
    )
    validation = pd.DataFrame(
        {
            "plain": [np.nan, 1e9, -1e9, 0.0],
            "huge": [np.nan, np.inf, -np.inf, 1e38],
            "skewed": [np.nan, 1e12, -5.0, 0.0],
            "constant": [2.0, np.nan, 1.0, 0.0],
            "empty": [1.0, np.nan, 2.0, 3.0],
            "same text": ["y", None, "x", ""],
            "no text": ["z", None, "", "q"],
            "identifier": ["new", "id3", None, ""],
            "text": ["unseen", None, "a", ""],
        }
    )
    return Part(train, random.integers(0, 2, 60)), Part(validation, np.array([0, 1, 0, 1]))


@pytest.mark.parametrize("choices", ALL, ids=str)
def test_imputed_features_are_finite_float32_whatever_comes(choices: Preprocessing) -> None:
    train, validation = _dirty()
    prepared = prepare(choices, train, validation, Context(task=Task.BINARY))
    for part, rows in ((prepared.train, 60), (prepared.validation, 4)):
        assert part.features.dtype == np.float32
        assert part.features.shape == (rows, prepared.train.features.shape[1])
        assert part.features.flags.c_contiguous
        assert np.isfinite(part.features).all()


@pytest.mark.parametrize("choices", [*ALL[::3], Preprocessing()], ids=str)
def test_validation_rows_never_change_what_was_fitted(choices: Preprocessing) -> None:
    example = mixed(Task.BINARY)
    other = example.validation.features.assign(age=1e6, town="elsewhere", income=-1.0)
    first = prepare(choices, example.train, example.validation, example.context)
    second = prepare(choices, example.train, Part(other, 1 - example.validation.target), example.context)
    np.testing.assert_array_equal(first.train.features, second.train.features)
    probe = example.validation.features
    np.testing.assert_array_equal(_apply(first.transform, probe), _apply(second.transform, probe))


@pytest.mark.parametrize("choices", ALL[::5], ids=str)
def test_a_row_is_prepared_the_same_alone_and_among_others(choices: Preprocessing) -> None:
    example = mixed(Task.BINARY)
    prepared = prepare(choices, example.train, example.validation, example.context)
    alone = [_apply(prepared.transform, example.validation.features.iloc[[row]]) for row in range(5)]
    np.testing.assert_allclose(np.vstack(alone), prepared.validation.features[:5], rtol=1e-5, atol=1e-6)


def test_the_users_table_is_never_written_to() -> None:
    example = mixed(Task.BINARY)
    before = example.train.features.copy()
    prepare(Preprocessing("mean", 0.02, "standard"), example.train, example.validation, example.context)
    pd.testing.assert_frame_equal(example.train.features, before)


@pytest.mark.parametrize(("scale", "low", "high"), [("symmetric", -1, 1), ("unit", 0, 1), ("quantile", -1, 1)])
def test_a_bounded_scale_spans_its_range_on_train(scale: str, low: float, high: float) -> None:
    features = _scaled(scale)
    np.testing.assert_allclose(features.min(axis=0), low, atol=1e-5)
    np.testing.assert_allclose(features.max(axis=0), high, atol=1e-5)


@pytest.mark.parametrize("scale", ["standard", "power"])
def test_a_standard_scale_has_mean_zero_and_variance_one_on_train(scale: str) -> None:
    features = _scaled(scale)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-3)


def test_a_robust_scale_has_median_zero_and_an_interquartile_range_of_one_on_train() -> None:
    features = _scaled("robust")
    np.testing.assert_allclose(np.median(features, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.subtract(*np.quantile(features, [0.75, 0.25], axis=0)), 1, rtol=1e-4)


def test_whitened_columns_are_uncorrelated_with_variance_one_on_train() -> None:
    train, context = _numbers()
    features = prepare(Preprocessing("mean", scale="standard", whiten="pca"), train, train, context).train.features
    np.testing.assert_allclose(np.cov(features, rowvar=False), np.eye(features.shape[1]), atol=1e-3)


def test_clipping_draws_values_in_to_the_quantiles_of_train() -> None:
    train, context = _numbers()
    clipped = prepare(Preprocessing("mean", clip=0.1), train, train, context).train.features
    expected = np.quantile(train.features.astype(np.float32), [0.1, 0.9], axis=0)
    np.testing.assert_allclose(clipped.min(axis=0), expected[0], rtol=1e-5)
    np.testing.assert_allclose(clipped.max(axis=0), expected[1], rtol=1e-5)


def test_missing_numbers_stay_missing_for_a_family_that_handles_them() -> None:
    example = mixed(Task.BINARY)
    prepared = prepare(Preprocessing(), example.train, example.validation, example.context)
    missing = int(example.train.features.age.isna().sum())
    assert int(np.isnan(prepared.train.features).sum()) == missing


@pytest.mark.parametrize("encode", [one for one in ENCODE if one != "hash"])
def test_unseen_and_rare_categories_are_treated_alike(encode: str) -> None:
    train = Part(pd.DataFrame({"town": ["a"] * 9 + ["b"] * 9 + ["rare"]}), np.arange(19) % 2)
    fitted = fit_table(Preprocessing(encode=encode, rare=2), train, Context(task=Task.BINARY))
    rare, unseen, missing = fitted.apply(pd.DataFrame({"town": ["rare", "unseen", None]}))
    np.testing.assert_array_equal(rare, unseen)
    np.testing.assert_array_equal(rare, missing)


def test_a_missing_category_is_one_of_its_own() -> None:
    train = Part(pd.DataFrame({"town": ["a", None] * 9}), np.arange(18) % 2)
    fitted = fit_table(Preprocessing(encode="one-hot"), train, Context(task=Task.BINARY))
    np.testing.assert_array_equal(fitted.apply(train.features)[:2], [[0, 1], [1, 0]])


def test_an_identifier_never_becomes_more_columns_than_the_limit() -> None:
    names = [f"id{row}" for row in range(3 * MAX_LEVELS)]
    train = Part(pd.DataFrame({"id": names}), np.arange(len(names)) % 2)
    fitted = fit_table(Preprocessing(encode="one-hot"), train, Context(task=Task.BINARY))
    assert fitted.apply(train.features).shape[1] == MAX_LEVELS


@pytest.mark.parametrize(
    ("task", "target", "order"),
    [
        (Task.BINARY, [1, 1, 0, 0, 1, 0], ["c", "b", "a"]),
        (Task.REGRESSION, [5.0, 5.0, 0.0, 0.0, 9.0, 9.0], ["b", "a", "c"]),
    ],
)
def test_ordinal_codes_follow_the_mean_target(task: Task, target: list[float], order: list[str]) -> None:
    column = pd.Series(["a", "a", "b", "b", "c", "c"] if task is Task.REGRESSION else ["a", "a", "b", "c", "b", "c"])
    assert order_by_target(column, ["a", "b", "c"], np.array(target), task) == order


def test_ordinal_codes_keep_categories_of_one_class_together() -> None:
    column = pd.Series(list("abcd") * 20)
    target = np.array([0, 2, 0, 2] * 20)
    target[::7] = 1
    order = order_by_target(column, list("abcd"), target, Task.MULTICLASS)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset("ac"), frozenset("bd")}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda values: pd.Series(values, dtype=object), id="object"),
        pytest.param(lambda values: pd.Series(values, dtype="str"), id="str"),
        pytest.param(lambda values: pd.Series(values, dtype="category"), id="category"),
    ],
)
def test_text_is_the_same_in_every_type_pandas_has_for_it(text: Any) -> None:
    cleaned = as_table(pd.DataFrame({"town": text(["a", None, "b"])}))
    assert cleaned.town.tolist() == ["a", "", "b"]


@pytest.mark.parametrize(
    "values", [[True, False], pd.array([1, None], dtype="Int64"), np.array([1, 2], dtype=np.uint8)]
)
def test_every_kind_of_number_becomes_float32(values: Any) -> None:
    assert as_table(pd.DataFrame({"x": values})).x.dtype == np.float32


def test_an_array_is_a_table_too() -> None:
    images = np.random.default_rng(0).random((30, 1, 2, 2))
    train = Part(images, np.arange(30) % 2)
    prepared = prepare(Preprocessing("mean", scale="standard"), train, train, Context(task=Task.BINARY))
    assert prepared.train.features.shape == (30, 4)


def test_a_table_without_two_different_values_is_refused_in_one_sentence() -> None:
    train = Part(pd.DataFrame({"x": [1.0, 1.0], "y": ["a", "a"]}), np.array([0, 1]))
    with pytest.raises(ValueError, match="no column holds two different values"):
        fit_table(Preprocessing(), train, Context(task=Task.BINARY))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"impute": "nearest"}, "impute must be one of none, median, mean, most_frequent, knn, got 'nearest'"),
        ({"outliers": "robust"}, "outliers must be one of none, robust_z, drop"),
        ({"outlier_z": 0.0}, "outlier_z must be above 0, got 0.0"),
        ({"outlier_share": 0.6}, r"outlier_share must be a share in \(0, 0.5\), got 0.6"),
        ({"indicator": "yes"}, "indicator must be true or false, got 'yes'"),
        ({"terms": 0}, "terms must be a whole number >= 1, got 0"),
        ({"whiten": "zca"}, "need preprocess.impute"),
        ({"clip": 0.5}, r"clip must be a share in \[0, 0.5\)"),
        ({"clip": "much"}, "clip must be a number, got 'much'"),
        ({"rare": 0}, "rare must be a whole number >= 1, got 0"),
        ({"whiten": "pca"}, "need preprocess.impute"),
        ({"scale": "power"}, "need preprocess.impute"),
    ],
)
def test_a_wrong_choice_is_told_in_one_sentence(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Preprocessing.of(params)


def _numbers() -> tuple[Part, Context]:
    random = np.random.default_rng(0)
    columns = random.normal(size=(200, 3)) @ random.normal(size=(3, 3)) + [5, 0, -3]
    columns[:, 2] = np.exp(columns[:, 2])
    return Part(columns, np.arange(200) % 2), Context(task=Task.BINARY)


def _scaled(scale: str) -> np.ndarray[Any, Any]:
    train, context = _numbers()
    features: np.ndarray[Any, Any] = prepare(Preprocessing("mean", scale=scale), train, train, context).train.features
    return features


def _apply(transform: object, features: pd.DataFrame) -> Any:
    return transform.apply(features)  # type: ignore[attr-defined]
