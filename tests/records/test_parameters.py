"""Parameters as columns: where their values stand on their range."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from search.records.parameters import Parameter, scaled
from search.report.figures._axis import axis_of

MOST = sys.float_info.max
UNITS = [
    (0.0, 10.0, False, [0.0, 2.5, 10.0], [0.0, 0.25, 1.0]),
    (0.01, 100.0, True, [0.01, 1.0, 100.0], [0.0, 0.5, 1.0]),
    (-MOST, MOST, False, [-MOST, 0.0, MOST], [0.0, 0.5, 1.0]),
    (3.0, 3.0, False, [3.0], [0.5]),
]


@pytest.mark.parametrize(("low", "high", "log", "values", "expected"), UNITS)
def test_values_of_any_range_have_a_place_from_0_to_1_and_back(
    low: float, high: float, log: bool, values: list[float], expected: list[float]
) -> None:
    one = Parameter("x", "float", low, high, log, (), np.array(values))
    assert one.unit() == pytest.approx(expected)
    axis = axis_of(one)
    assert axis.unit(one.values) == pytest.approx(expected)
    assert axis.natural(np.array(expected)) == pytest.approx(values)


def test_a_value_that_is_not_there_has_no_place() -> None:
    assert [math.isnan(scaled(np.array([math.nan]), 0.0, high, log=False)[0]) for high in (0.0, 1.0)] == [True, True]
