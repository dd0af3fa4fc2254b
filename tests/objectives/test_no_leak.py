"""Rules that keep validation and test rows out of what is fitted, of every choice that there is.

The choices come from the list in `objectives/exports.py`, so that a new one is covered as soon as it is listed. Each of
these changes turns the named tests red:

- fit on train and validation together: `change_nothing`, `never_show` (every choice that learns something);
- leave out outliers or duplicates of the validation rows too: `keeps_validation_rows`;
- learn the format of dates, or a scale, from the rows that are prepared: `alone_and_among_others`;
- hash texts with Python's `hash`, or draw rows without the seed: `bytes_in_every_process`;
- give a training row its own target through the cross-fitted mean: `own_target`;
- let the outliers that are dropped be judged by all rows: `change_nothing[outliers=drop]`.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.choices import Preprocessing
from objectives.exports import IMAGES, TABULAR, Export
from objectives.images import Images
from objectives.preprocess import FittedTable
from objectives.tabular import Tabular
from search.contract import Context, Dataset, Part, Prepared, Task
from search.data.source import FileSource
from search.problem import open_problem

from . import wild
from .fitted import digest, shows
from .wild import named, setting

BASE = {"scale": "standard", "impute": "median"}
CHOICES = [
    one
    for one in TABULAR
    if one.parameter.startswith("preprocess.")
    and (setting(one) != {name: value for name, value in asdict(Preprocessing()).items() if name in setting(one)})
]
NUMBER = 12_345_678.0
TEXT = "zebra"
DATE = "2399-12-31"

EVERY = pytest.mark.parametrize("choice", CHOICES, ids=named)
EVERY_OF_IMAGES = pytest.mark.parametrize("choice", IMAGES, ids=named)


def prepared(choice: Export, validation: Part, task: Task = Task.BINARY, *, filled: bool = True) -> Prepared:
    params = {**BASE, **setting(choice)} if filled else setting(choice)
    return Tabular().preprocess(params, wild.part(300, 1, task), validation, wild.context(task))


def marked(rows: int) -> Part:
    """Return validation rows with a marker in every column: a number, a category, a word, a date."""
    part = wild.part(rows, 2)
    table = part.features.copy()
    for name in ("größe %", "features", "skewed", "flag", "tiny"):
        table[name] = NUMBER
    for name in ("town", "variable", "remark"):
        table[name] = TEXT
    table["when"] = DATE
    return Part(table, part.target)


@EVERY
@pytest.mark.parametrize("filled", [True, False])
def test_other_validation_rows_change_nothing_and_a_marker_in_them_never_shows(choice: Export, filled: bool) -> None:
    other = marked(50)
    one = prepared(choice, wild.part(80, 2), filled=filled)
    two = prepared(choice, replace(other, target=1 - other.target), filled=filled)
    assert digest(one.transform) == digest(two.transform)
    assert digest(one.train) == digest(two.train)
    for text in (TEXT, "2399"):
        assert not shows(two.transform, number=NUMBER, text=text)
    assert not shows(two.train, number=NUMBER, text=TEXT)


@EVERY_OF_IMAGES
def test_changing_validation_images_never_changes_what_was_fitted(choice: Export) -> None:
    made = [
        Images().preprocess(setting(choice), wild.images(150, 1), one, wild.context())
        for one in (wild.images(40, 2), wild.images(30, 3, strange=True))
    ]
    assert digest(made[0].transform) == digest(made[1].transform)
    assert digest(made[0].train) == digest(made[1].train)


def test_a_marker_in_training_rows_would_show() -> None:
    """The proof that the search for it can find something: in maxima, categories, terms and the span of dates."""
    train = wild.part(300, 1)
    table = pd.concat([train.features.iloc[:250], marked(50).features], ignore_index=True)
    params = {"scale": "unit", "impute": "mean", "encode": "one-hot", "text": "words"}
    made = Tabular().preprocess(params, Part(table, train.target), train, wild.context())
    found = " ".join(shows(made.transform, number=NUMBER, text=TEXT))
    assert "data_max_" in found
    assert "categories_" in found
    assert "vocabulary_" in found


@EVERY
def test_markers_in_validation_and_test_rows_of_a_data_set_never_show(choice: Export) -> None:
    """The whole way: data set, split, roles, preprocess stage."""
    assert _through_the_engine(choice, marked=False) == _through_the_engine(choice, marked=True)


@functools.cache
def of_strange_rows(index: int) -> tuple[Prepared, Part]:
    """Return what a choice makes of strange validation rows, each there twice, and these rows."""
    part = wild.part(60, 2, strange=True)
    twice = Part(pd.concat([part.features] * 2, ignore_index=True), np.tile(part.target, 2))
    return prepared(CHOICES[index], twice), twice


BY_INDEX = pytest.mark.parametrize("index", range(len(CHOICES)), ids=[named(one) for one in CHOICES])


@BY_INDEX
def test_preparing_keeps_validation_rows_their_order_and_their_target(index: int) -> None:
    made, twice = of_strange_rows(index)
    assert len(made.validation.features) == 120
    np.testing.assert_array_equal(made.validation.target, twice.target)
    np.testing.assert_array_equal(made.validation.features[:60], made.validation.features[60:])


@BY_INDEX
def test_a_row_is_prepared_the_same_alone_and_among_others(index: int) -> None:
    made, twice = of_strange_rows(index)
    fitted = made.transform
    assert isinstance(fitted, FittedTable)
    alone = np.vstack([fitted.apply(twice.features.iloc[[row]]) for row in range(3)])
    np.testing.assert_allclose(alone, made.validation.features[:3], rtol=1e-5, atol=1e-5)


@BY_INDEX
def test_training_rows_are_left_out_in_order_and_with_their_target(index: int) -> None:
    made, whole = of_strange_rows(index)[0], wild.part(300, 1)
    kept = len(made.train.target)
    assert len(made.train.features) == kept
    dropped = 300 - kept
    expected = {"outliers=drop": 6, "outlier_share=0.2": 60, "duplicates=drop": None}.get(named(CHOICES[index]), 0)
    assert dropped == expected if expected is not None else 0 < dropped <= 5
    remaining = iter(whole.target.tolist())
    assert all(value in remaining for value in made.train.target.tolist())


@pytest.mark.parametrize("task", list(Task))
def test_a_training_row_never_gets_its_own_target_through_a_mean(task: Task) -> None:
    """A category of its own for each row: with its own target in its code, the code would tell the target."""
    random = np.random.default_rng(0)
    target = wild.target(200, task)
    table = pd.DataFrame({"own": [f"c{index // 2}" for index in range(200)], "x": random.normal(size=200)})
    base = Tabular().preprocess({"encode": "target"}, Part(table, target), Part(table, target), wild.context(task))
    changed = target.copy()
    changed[0] = target[0] + 500 if task is Task.REGRESSION else 1 - min(target[0], 1)
    other = Tabular().preprocess({"encode": "target"}, Part(table, changed), Part(table, changed), wild.context(task))
    np.testing.assert_array_equal(base.train.features[0], other.train.features[0])
    assert (base.train.features[1:] != other.train.features[1:]).any()
    assert (base.validation.features[0] != other.validation.features[0]).any()


PROGRAM = """
import sys
from tests.objectives.test_no_leak import digests
print("\\n".join(digests()))
"""


def digests() -> list[str]:
    """Return a hash of everything that each choice makes."""
    found = []
    for choice in CHOICES:
        made = prepared(choice, wild.part(60, 2, strange=True))
        found.append(f"{named(choice)} {digest(made.train, made.validation, made.transform)}")
    for choice in IMAGES:
        made = Images().preprocess(setting(choice), wild.images(150, 1), wild.images(20, 2), wild.context())
        found.append(f"images {named(choice)} {digest(made.train, made.validation, made.transform)}")
    return found


def test_the_same_rows_choices_and_seed_give_the_same_bytes_in_every_process() -> None:
    here = digests()
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env=environment,
    )
    assert done.stdout.split("\n")[:-1] == here


@pytest.mark.parametrize("params", [{"encode": "target"}, {"outliers": "drop", "outlier_share": 0.1}], ids=str)
def test_another_seed_is_another_draw(params: dict[str, Any]) -> None:
    part = wild.part(300, 1)
    one, two = (Tabular().preprocess(params, part, part, wild.context(seed=seed)) for seed in (1, 2))
    assert digest(one.train) != digest(two.train)


class _Given(Tabular):
    """Gets its data from a function."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def data(self, source: object) -> Dataset:
        return self._dataset


def _through_the_engine(choice: Export, *, marked: bool) -> tuple[str, str]:
    """Return hashes of the prepared training rows and of what was fitted, with or without markers in all other rows."""
    table = wild.table(150, 1).drop_duplicates(ignore_index=True)
    dataset = Dataset("wild", Task.BINARY, table, wild.target(len(table), Task.BINARY), ("0", "1"))
    source = FileSource(None, None, Path())
    if marked:
        split = open_problem(_Given(dataset), source, seed=4).split
        assert split is not None
        others = np.setdiff1d(np.arange(len(table)), split.train)
        for name in table.columns:
            column = table[name].to_numpy(dtype=float if table[name].dtype == float else object).copy()
            column[others] = _marks(str(name), len(others))
            table[name] = column
    problem = open_problem(_Given(dataset), source, seed=4)
    context = Context(seed=9, task=problem.task, classes=problem.classes, roles=problem.roles)
    made = Tabular().preprocess({**BASE, **setting(choice)}, problem.train, problem.validation, context)
    return digest(made.train), digest(made.transform)


def _marks(name: str, rows: int) -> Any:
    """Return a marker for each row, all different: rows that are equal would move together in a split."""
    if name in ("town", "variable", "remark"):
        return np.array([f"{TEXT}{row}" for row in range(rows)], dtype=object)
    if name == "when":
        return np.array([f"2399-12-{1 + row % 28:02}" for row in range(rows)], dtype=object)
    return NUMBER + np.arange(rows)
