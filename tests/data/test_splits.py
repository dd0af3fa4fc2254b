from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.contract import Dataset, Task
from search.data.source import FileSource
from search.data.splits import Fractions, Split, split
from search.errors import InputError


def classes_of(*counts: int) -> Dataset:
    """Return a data set with so many rows of each class; its one feature is the number of the row."""
    target = np.repeat(np.arange(len(counts)), counts)
    rows = pd.DataFrame({"row": np.arange(len(target), dtype=np.float64)})
    names = tuple(f"c{index}" for index in range(len(counts)))
    return Dataset("made", Task.BINARY if len(counts) == 2 else Task.MULTICLASS, rows, target, names)


def quantities(rows: int) -> Dataset:
    values = np.random.default_rng(0).normal(size=rows)
    return Dataset("made", Task.REGRESSION, np.arange(rows, dtype=np.float32)[:, None], values)


def opened(made: Split, dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    features = made.test.open(dataset, "a test").features
    return np.asarray(features, dtype=np.int64).ravel()


@settings(max_examples=200, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=8).filter(lambda counts: sum(counts) >= 20),
    seed=st.integers(0, 2**64),
)
def test_every_row_is_in_one_part_and_every_class_in_train(counts: list[int], seed: int) -> None:
    dataset = classes_of(*counts)
    made = split(dataset, seed=seed)
    rows = np.concatenate([made.train, made.validation, opened(made, dataset)])
    assert sorted(rows.tolist()) == list(range(sum(counts)))
    assert len(made.validation) == len(made.test) == round(sum(counts) * 0.2)
    assert set(dataset.target[made.train]) == set(range(len(counts)))
    for index, count in enumerate(counts):
        for part in (made.validation, opened(made, dataset)):
            assert abs((dataset.target[part] == index).sum() - count * 0.2) <= 2


def test_more_classes_than_training_rows_still_split() -> None:
    dataset = classes_of(*[1] * 30)
    made = split(dataset, seed=0)
    assert (len(made.train), len(made.validation), len(made.test)) == (18, 6, 6)


def test_a_rare_class_is_shared_by_all_parts_where_it_can_be() -> None:
    dataset = classes_of(990, 10)
    for seed in range(20):
        made = split(dataset, seed=seed)
        counts = [(dataset.target[rows] == 1).sum() for rows in (made.train, made.validation, opened(made, dataset))]
        assert min(counts) >= 1
        assert sum(counts) == 10


def test_each_part_has_its_share_of_every_tenth_of_a_regressions_target() -> None:
    dataset = quantities(1000)
    made = split(dataset, seed=3)
    ranks = np.argsort(np.argsort(dataset.target)) // 100
    for rows, share in ((made.train, 60), (made.validation, 20), (opened(made, dataset), 20)):
        assert np.abs(np.bincount(ranks[rows], minlength=10) - share).max() <= 2


def test_rows_of_a_class_fall_into_each_part_by_chance() -> None:
    dataset = classes_of(60, 40)
    in_test = np.zeros(100)
    for seed in range(400):
        in_test[opened(split(dataset, seed=seed), dataset)] += 1
    # binomial with p = 0.2: five standard deviations are 40
    assert np.abs(in_test - 80).max() < 40


def test_another_seed_makes_another_split_and_the_same_seed_the_same() -> None:
    dataset = classes_of(100, 100)
    one, same, other = (split(dataset, seed=seed) for seed in (1, 1, 2))
    assert one.train.tolist() == same.train.tolist()
    assert opened(one, dataset).tolist() == opened(same, dataset).tolist()
    assert one.train.tolist() != other.train.tolist()


def test_a_split_is_the_same_in_any_process_and_release(tmp_path: Path) -> None:
    check = (
        "from pathlib import Path; from search.data.source import FileSource; from search.data.splits import split\n"
        "print(split(FileSource('sklearn:iris', None, Path()).table(''), seed=7).validation.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.startswith("[")
    here = split(FileSource("sklearn:iris", None, tmp_path).table(""), seed=7)
    assert done.stdout.strip() == str(here.validation.tolist())
    assert here.validation[:8].tolist() == FIRST_OF_IRIS


FIRST_OF_IRIS = [4, 6, 7, 8, 12, 14, 18, 30]


def test_parts_hold_the_rows_of_their_indices_and_no_test_row() -> None:
    dataset = classes_of(30, 30)
    made = split(dataset, seed=0)
    train, validation = made.parts(dataset)
    assert train.features["row"].tolist() == made.train.tolist()
    assert validation.features["row"].tolist() == made.validation.tolist()
    assert train.target.tolist() == dataset.target[made.train].tolist()
    seen = {*train.features["row"], *validation.features["row"]}
    assert not seen & set(opened(made, dataset).tolist())


def test_a_split_of_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match="this split is of 60 rows, made has 40"):
        split(classes_of(30, 30), seed=0).parts(classes_of(20, 20))


def test_the_test_part_opens_with_a_reason_that_is_kept() -> None:
    dataset = classes_of(30, 30)
    sealed = split(dataset, seed=0).test
    assert repr(sealed) == "<12 sealed test rows, opened 0 times>"
    with pytest.raises(ValueError, match="needs a reason"):
        sealed.open(dataset, " ")
    assert not sealed.openings
    assert len(sealed.open(dataset, "promotion").target) == len(sealed) == 12
    sealed.open(dataset, "again")
    assert sealed.openings == ("promotion", "again")


def test_the_sealed_rows_are_no_public_attribute() -> None:
    sealed = split(classes_of(30, 30), seed=0).test
    assert [name for name in dir(sealed) if not name.startswith("_")] == ["open", "openings"]


def test_fractions_can_be_chosen() -> None:
    made = split(classes_of(50, 50), seed=0, fractions=Fractions(0.8, 0.1, 0.1))
    assert (len(made.train), len(made.validation), len(made.test)) == (80, 10, 10)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.0), (0.6, 0.3, 0.2), (1.2, -0.1, -0.1)])
def test_fractions_are_above_zero_and_sum_to_one(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="fractions must be above 0 and sum to 1"):
        Fractions(*shares)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="made has 19 rows; training needs at least 20"):
        split(quantities(19), seed=0)
