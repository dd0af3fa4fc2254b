"""Rules of scaling columns whose numbers are tiny, or nearly all one: used like any other, and never infinite.

Mutations that turn these red: leave `Magnitude` out before a scaler; do not hold `Power` to its limits; scale columns
whose spread is ordinary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.choices import Preprocessing
from objectives.preprocess import FittedTable, prepare
from objectives.scaling import Magnitude, Power
from search.contract import Context, Part, Prepared

from .test_exports import assert_same, served

ROWS = 200

Array = np.ndarray[Any, Any]


def column(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=ROWS).astype(np.float32)


def prepared(train: Array, validation: Array, **choices: Any) -> Prepared:
    def part(values: Array) -> Part:
        return Part(pd.DataFrame({"x": values, "other": column(9)[: len(values)]}), np.arange(len(values)) % 2)

    return prepare(Preprocessing("median", **choices), part(train), part(validation), Context(seed=1))


@pytest.mark.parametrize("exponent", [-20, -60, -110])
@pytest.mark.parametrize("scale", ["standard", "robust", "symmetric", "unit", "quantile", "power"])
def test_a_column_of_tiny_numbers_is_scaled_like_one_of_ordinary_numbers(scale: str, exponent: int) -> None:
    small = np.float32(2.0**exponent)
    ordinary = prepared(column(1), column(2), scale=scale)
    tiny = prepared(column(1) * small, column(2) * small, scale=scale)
    for name in ("train", "validation"):
        np.testing.assert_allclose(getattr(tiny, name).features, getattr(ordinary, name).features, atol=2e-5)


@pytest.mark.parametrize("scale", ["robust", "symmetric", "unit", "power"])
def test_beside_tiny_numbers_one_of_any_size_is_drawn_in(scale: str) -> None:
    strange = np.array([1.0, -1.0, 1e-5, 3e38, -3e38], dtype=np.float32)
    features = prepared(column(1) * np.float32(1e-30), strange, scale=scale).validation.features[:, 0]
    np.testing.assert_array_equal(features, [20, -20, 20, 20, -20])


NEARLY_ONE_VALUE = np.where(np.arange(ROWS) % 10 == 0, 1, np.abs(column(3)) * 1e-8).astype(np.float32)


@pytest.mark.parametrize("train", [column(1) * np.float32(1e-30), NEARLY_ONE_VALUE, -NEARLY_ONE_VALUE])
@pytest.mark.parametrize("scale", ["robust", "symmetric", "unit", "power"])
def test_such_columns_are_finite_for_any_row_and_the_same_in_onnx(scale: str, train: Array) -> None:
    from objectives import onnx_parts

    strange = np.array([0, 1, -1, 1e-30, 1e6, -1e6, 3e38, -3e38], dtype=np.float32)
    made = prepared(train, strange, scale=scale)
    assert np.isfinite(made.validation.features).all()
    assert isinstance(made.transform, FittedTable)
    feeds = {"x": strange[:, None], "other": column(9)[: len(strange), None]}
    assert_same(served(onnx_parts.to_onnx(made.transform), feeds), made.validation.features)


def test_a_column_that_spreads_like_any_other_stays_as_it_is() -> None:
    table = np.column_stack([column(1), column(1) * 1e6 + 1e9, np.r_[column(2)[:-1] * 1e-30, 3e38]])
    assert np.array_equal(Magnitude().fit_transform(table), table)


def test_powers_are_those_of_scikit_learn_within_their_limits() -> None:
    from sklearn.preprocessing import PowerTransformer

    table = np.exp(column(1)[:, None])
    theirs = PowerTransformer(standardize=False).fit(table)
    exact = theirs.transform(table.astype(np.float64))  # in the last bits its own float32 falls short of it
    assert np.array_equal(Power().fit(table).lambdas_, theirs.lambdas_)
    np.testing.assert_allclose(Power().fit_transform(table), exact, rtol=1e-7)
    steep = Power().fit(NEARLY_ONE_VALUE[:, None])
    assert np.abs(steep.lambdas_).max() <= 10
    extremes = np.array([[1000], [-1000]], dtype=np.float32)
    assert np.isfinite(steep.transform(extremes)).all()


def test_columns_that_do_not_vary_any_more_are_whitened_to_nothing_without_a_word() -> None:
    """A warning is an error here."""
    once = np.zeros(ROWS, dtype=np.float32)
    once[0] = 1
    part = Part(pd.DataFrame({"x": once, "y": once[::-1]}), np.arange(ROWS) % 2)
    choices = Preprocessing("median", clip=0.02, scale="standard", whiten="pca")
    made = prepare(choices, part, part, Context(seed=1))
    assert not made.validation.features.any()
