from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from search.contract import Task
from search.data.cleaning import clean
from search.data.target import read_target
from search.errors import InputError

CASES: dict[str, tuple[Sequence[object], Task, tuple[str, ...]]] = {
    "text": (["no", "yes"] * 20, Task.BINARY, ("no", "yes")),
    "three texts": (["c", "a", "b", "a"] * 10, Task.MULTICLASS, ("a", "b", "c")),
    "truth values": ([True, False] * 20, Task.BINARY, ("0", "1")),
    "0 and 1": ([0, 1] * 20, Task.BINARY, ("0", "1")),
    "two whole numbers": ([-1.0, 1.0] * 20, Task.BINARY, ("-1", "1")),
    "two fractions": ([0.5, 1.5] * 20, Task.REGRESSION, ()),
    "numbers by value": ([10, 9, 2] * 20, Task.MULTICLASS, ("2", "9", "10")),
    "twenty whole numbers": (list(range(20)) * 5, Task.MULTICLASS, tuple(map(str, range(20)))),
    "twenty-one whole numbers": (list(range(21)) * 5, Task.REGRESSION, ()),
    "whole numbers that hardly repeat": (list(range(10)) * 4, Task.REGRESSION, ()),
    "one fraction among whole numbers": ([1, 2, 3] * 20 + [0.5], Task.REGRESSION, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_the_values_of_a_target_make_its_task(case: str) -> None:
    values, task, classes = CASES[case]
    target = read_target("y", clean("y", pd.Series(values)).values)
    assert (target.task, target.classes) == (task, classes)
    assert target.values.dtype == (np.float64 if task is Task.REGRESSION else np.int64)
    if classes and not isinstance(values[0], bool):
        assert [classes[index] for index in target.values] == [str(value).removesuffix(".0") for value in values]


def test_the_order_of_rows_does_not_change_the_order_of_classes() -> None:
    values = ["b", "a", "c"] * 10
    assert read_target("y", pd.Series(values)).classes == read_target("y", pd.Series(values[::-1])).classes


def test_numbers_can_be_made_classes_only_if_they_repeat() -> None:
    assert read_target("y", pd.Series([0.5, 1.5] * 20), "classification").classes == ("0.5", "1.5")
    with pytest.raises(InputError, match="target 'y' has 40 different values in 40 rows") as refusal:
        read_target("y", pd.Series(np.arange(40) + 0.5), "classification")
    assert refusal.value.hint == "try task=regression"


@pytest.mark.parametrize("task", ["classification", "regression", None])
def test_one_value_is_refused_for_every_task(task: str | None) -> None:
    with pytest.raises(InputError, match=r"target 'y' has one value \(3, 40 rows\)"):
        read_target("y", pd.Series([3.0] * 40), task)
