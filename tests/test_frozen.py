"""The rows of a sweep, frozen: the same problem comes back, without a test row, whatever becomes of the source.

Mutations that turn these red: leave data or split out of the key; freeze the whole data set; forget folds or classes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from objectives.images import Images
from objectives.tabular import Tabular
from search import frozen
from search.contract import Part
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.problem import Problem, open_problem
from search.store import Store

from .data.files import mixed_table


def opened(source: FileSource, *, seed: int = 3, scheme: Scheme | None = None, objective: object = None) -> Problem:
    return open_problem(objective or Tabular(), source, seed=seed, scheme=scheme or Scheme())


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    mixed_table().to_csv(tmp_path / "x.csv", index=False)
    return FileSource(str(tmp_path / "x.csv"), "label", tmp_path)


def thawed(store: Store, problem: Problem, source: FileSource, *, objective: object = None) -> Problem:
    def never() -> Problem:
        raise AssertionError("the rows are kept")

    key = frozen.key_of(problem)
    frozen.freeze(store, key, problem)
    return frozen.thaw(store, key, objective or Tabular(), source, never)


def same_rows(one: Part, other: Part) -> bool:
    if isinstance(one.features, pd.DataFrame):
        pd.testing.assert_frame_equal(one.features, other.features, check_exact=True)
        return np.array_equal(one.target, other.target)
    return bool(np.array_equal(one.features, other.features)) and np.array_equal(one.target, other.target)


@pytest.mark.parametrize("folds", [0, 3])
def test_the_same_problem_comes_back(tmp_path: Path, source: FileSource, folds: int) -> None:
    problem = opened(source, scheme=Scheme.parse("auto", folds))
    back = thawed(Store(tmp_path / "store"), problem, source)
    assert same_rows(back.train, problem.train)
    assert same_rows(back.validation, problem.validation)
    for name in ("metrics", "task", "classes", "roles", "data_hash", "split_hash"):
        assert getattr(back, name) == getattr(problem, name), name
    assert len(back.folds) == len(problem.folds) == folds
    assert [fold.digest() for fold in back.folds] == [fold.digest() for fold in problem.folds]


def test_images_come_back(tmp_path: Path) -> None:
    source = FileSource(None, None, tmp_path)
    problem = opened(source, objective=Images())
    back = thawed(Store(tmp_path / "store"), problem, source, objective=Images())
    assert same_rows(back.train, problem.train)
    assert back.train.features.dtype == problem.train.features.dtype
    assert same_rows(back.validation, problem.validation)


def test_no_test_row_is_kept_and_none_comes_back(tmp_path: Path, source: FileSource) -> None:
    problem = opened(source)
    assert problem.split is not None
    assert problem.dataset is not None
    rows = len(problem.dataset.target)
    test = np.setdiff1d(np.arange(rows), np.concatenate([problem.split.train, problem.split.validation]))
    assert len(test)
    table = problem.dataset.features.copy()
    assert isinstance(table, pd.DataFrame)
    table["mark"] = "seen"
    table.loc[test, "mark"] = "poison"
    table.assign(label=problem.dataset.target).to_csv(tmp_path / "x.csv", index=False)
    marked = opened(source)
    if not any(marked.train.features["mark"] == "poison"):  # the split depends on the target alone
        store = Store(tmp_path / "store")
        back = thawed(store, marked, source)
        assert back.dataset is None
        assert back.split is None
        kept = b"".join(path.read_bytes() for path in (tmp_path / "store").glob("*/*") if path.is_file())
        assert b"seen" in kept
        assert b"poison" not in kept
        return
    pytest.fail("the split was expected to depend on the target alone")


def test_another_split_or_other_data_has_another_key(source: FileSource) -> None:
    known = {frozen.key_of(opened(source)), frozen.key_of(opened(source, seed=4))}
    known.add(frozen.key_of(opened(source, scheme=Scheme.parse("auto", 3))))
    known.add(frozen.key_of(replace(opened(source), data_hash="of another cell")))
    assert len(known) == 4


def test_rows_of_another_type_have_another_key_though_their_fingerprint_is_the_same(source: FileSource) -> None:
    problem = opened(source)
    table = problem.train.features
    assert isinstance(table, pd.DataFrame)
    same = [table, table.astype({"city": "category"}), *(table.rename(columns={"city": name}) for name in (0, "0"))]
    assert len({frozen.key_of(replace(problem, train=Part(one, problem.train.target))) for one in same}) == 4


def test_rows_that_were_thrown_out_are_got_again(tmp_path: Path, source: FileSource) -> None:
    problem, store = opened(source), Store(tmp_path / "store")
    back = frozen.thaw(store, frozen.key_of(problem), Tabular(), source, lambda: opened(source))
    assert same_rows(back.train, problem.train)


def test_what_workers_hold_cannot_be_written_to(tmp_path: Path, source: FileSource) -> None:
    back = thawed(Store(tmp_path / "store"), opened(source), source)
    with pytest.raises(ValueError, match="read-only"):
        back.train.target[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        back.train.features["age"].to_numpy()[0] = 1
