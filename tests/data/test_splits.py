from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.choosing import choose
from search.contract import Dataset, Task
from search.data.duplicates import equal_rows
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.data.splits import Fractions, Split, split
from search.errors import InputError, SurroundingsError


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
        "print(split(FileSource('sklearn:wine', None, Path()).table(''), seed=7).validation.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.startswith("[")
    here = split(FileSource("sklearn:wine", None, tmp_path).table(""), seed=7)
    assert done.stdout.strip() == str(here.validation.tolist())
    assert here.validation[:8].tolist() == FIRST_OF_WINE


FIRST_OF_WINE = [0, 11, 12, 13, 17, 24, 29, 30]


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


RANDOM = np.random.default_rng(0)


def labelled(features: pd.DataFrame | np.ndarray[Any, Any], target: Sequence[int] | None = None) -> Dataset:
    """Return features with two classes, by turns or as given."""
    classes = np.arange(len(features)) % 2 if target is None else np.array(target)
    return Dataset("made", Task.BINARY, features, classes.astype(np.int64), ("no", "yes"))


def part_of(made: Split) -> np.ndarray[Any, Any]:
    """Return the part of each row: 0 train, 1 validation, 2 test."""
    parts = np.full(len(made.train) + len(made.validation) + len(made.test), 2)
    parts[made.train], parts[made.validation] = 0, 1
    return parts


def column(dataset: Dataset, name: str) -> np.ndarray[Any, Any]:
    assert isinstance(dataset.features, pd.DataFrame)
    return dataset.features[name].to_numpy()


def torn(blocks: Any, parts: np.ndarray[Any, Any]) -> int:
    """Return how many blocks have rows in more than one part."""
    return int((pd.Series(parts).groupby(np.asarray(blocks)).nunique() > 1).sum())


@settings(max_examples=100, deadline=None)
@given(copies=st.lists(st.integers(1, 6), min_size=20, max_size=120), seed=st.integers(0, 2**32))
def test_rows_that_are_equal_in_all_features_are_in_one_part_whatever_their_target(
    copies: list[int], seed: int
) -> None:
    which = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(copies)), copies))
    table = pd.DataFrame({"a": which * 0.5, "b": [None if one % 3 == 0 else "x" for one in which]})
    dataset = labelled(table)
    made = split(dataset, seed=seed)
    parts = part_of(made)
    assert torn(which, parts) == 0
    assert sorted(np.concatenate([made.train, made.validation, made.test._sealed()])) == list(range(len(which)))
    shares = np.bincount(parts, minlength=3) / len(which)
    assert np.abs(shares - [0.6, 0.2, 0.2]).max() <= 6 / len(which) + 0.02
    assert not made.notes


def test_missing_values_are_equal_and_so_are_0_and_minus_0() -> None:
    table = pd.DataFrame({"a": [0.0, -0.0, np.nan, np.nan, 1.0], "b": ["x", "x", None, None, None]})
    assert equal_rows(table).tolist() == [0, 0, 1, 1, 2]
    assert equal_rows(table.iloc[:, ::-1]).tolist() == [0, 0, 1, 1, 2]


def test_columns_that_swap_their_values_are_not_equal() -> None:
    assert equal_rows(pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0]})).tolist() == [0, 1]


def test_images_that_are_equal_are_in_one_part() -> None:
    which = np.random.default_rng(1).integers(0, 40, 200)
    pixels = np.random.default_rng(2).integers(0, 256, (40, 1, 4, 4), dtype=np.uint8)[which]
    assert torn(which, part_of(split(labelled(pixels), seed=5))) == 0


def test_a_table_of_few_different_rows_is_split_row_by_row_and_says_so() -> None:
    table = pd.DataFrame({"a": np.arange(200) % 2 * 1.0, "b": np.arange(200) // 2 % 3 * 1.0})
    made = split(labelled(table), seed=0)
    assert (len(made.train), len(made.validation), len(made.test)) == (120, 40, 40)
    assert made.notes == ("only 6 different rows: equal rows are not kept together",)


def test_a_row_that_most_of_a_table_consists_of_may_be_anywhere_and_all_others_stay_together() -> None:
    which = np.r_[np.zeros(120, int), np.repeat(np.arange(1, 41), 2)]
    made = split(labelled(pd.DataFrame({"a": which * 1.0})), seed=0)
    parts = part_of(made)
    assert set(parts[:120]) == {0, 1, 2}
    assert torn(which[120:], parts[120:]) == 0
    assert np.abs(np.bincount(parts) / 200 - [0.6, 0.2, 0.2]).max() < 0.02
    assert made.notes == ("120 of 200 rows are equal to each other: these are not kept together",)


def test_folds_keep_together_what_the_split_does_however_few_rows_differ() -> None:
    which = np.repeat(np.arange(22), 5)  # less than 20 of them are left without the test rows
    made = split(labelled(pd.DataFrame({"a": which * 1.0})), seed=0, scheme=Scheme(folds=3))
    rows = np.concatenate([made.train, made.validation])
    for fold in made.folds:
        assert not set(which[rows[fold.train]]) & set(which[rows[fold.validation]])


def test_copies_change_nothing_of_where_a_split_puts_its_classes() -> None:
    table = pd.DataFrame({"a": np.repeat(np.arange(300.0), 2)})
    dataset = labelled(table, np.repeat(np.arange(300) % 10 == 0, 2).tolist())
    made = split(dataset, seed=2)
    for rows, share in ((made.train, 36), (made.validation, 12), (made.test._sealed(), 12)):
        assert abs(dataset.target[rows].sum() - share) <= 2


def grouped(sizes: Sequence[int], **columns: Any) -> Dataset:
    """Return a table with groups of so many rows, mixed."""
    names = np.repeat([f"g{number}" for number in range(len(sizes))], sizes)
    order = np.random.default_rng(3).permutation(len(names))
    table = pd.DataFrame({"x": np.arange(len(names), dtype=float), **columns, "who": names[order]})
    return labelled(table)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=3, max_size=60).filter(lambda sizes: sum(sizes) >= 40))
def test_groups_are_whole_and_no_part_is_empty(sizes: list[int]) -> None:
    dataset = grouped(sizes)
    made = split(dataset, seed=1, scheme=Scheme("group", "who"))
    parts = part_of(made)
    assert torn(column(dataset, "who"), parts) == 0
    assert set(parts) == {0, 1, 2}
    shares = np.bincount(parts) / len(parts)
    assert np.abs(shares - [0.6, 0.2, 0.2]).max() <= max(sizes) / sum(sizes)


@pytest.mark.parametrize("sizes", [[20] * 3, [100, *[10] * 30], [60, 50, 40, *[5] * 30], [1] * 200, [40, 40, 20]])
def test_groups_of_any_sizes_come_as_near_to_the_shares_as_they_can(sizes: list[int]) -> None:
    for seed in range(10):
        parts = part_of(split(grouped(sizes), seed=seed, scheme=Scheme("group", "who")))
        best = 0.27 if len(sizes) == 3 else 0.03
        assert np.abs(np.bincount(parts, minlength=3) / len(parts) - [0.6, 0.2, 0.2]).max() <= best


def test_groups_are_dealt_out_so_that_each_part_has_its_share_of_the_classes() -> None:
    # each group has one class only, as a patient has
    dataset = grouped([20] * 50)
    ill = pd.factorize(column(dataset, "who"))[0] % 5 == 0
    dataset = labelled(dataset.features, ill.tolist())
    made = split(dataset, seed=0, scheme=Scheme("group", "who"))
    for rows in (made.train, made.validation, made.test._sealed()):
        assert dataset.target[rows].mean() == pytest.approx(0.2, abs=0.07)


def test_the_group_column_is_in_no_part_and_a_note_says_so() -> None:
    dataset = grouped([10] * 10)
    made = split(dataset, seed=0, scheme=Scheme("group", "who"))
    train, validation = made.parts(dataset)
    for part in (train, validation, made.test.open(dataset, "a test")):
        assert list(part.features.columns) == ["x"]
    assert made.notes == ("the group column 'who' is left out of the features",)


def test_groups_that_share_an_equal_row_are_in_one_part() -> None:
    copied = np.arange(100.0)
    names = np.repeat([f"g{number}" for number in range(20)], 5)
    copied[5] = copied[0]  # a row of g1 is one of g0
    copied[99] = copied[50]  # and one of g19 is one of g10
    dataset = labelled(pd.DataFrame({"x": copied, "who": names}))
    for seed in range(20):
        parts = part_of(split(dataset, seed=seed, scheme=Scheme("group", "who")))
        assert torn(names, parts) == torn(copied, parts) == 0


def test_groups_that_equal_rows_tie_all_together_are_kept_whole_alone_and_a_note_says_so() -> None:
    table = pd.DataFrame({"x": np.arange(100) % 4 * 1.0, "who": np.repeat([f"g{n}" for n in range(20)], 5)})
    made = split(labelled(table), seed=0, scheme=Scheme("group", "who"))
    assert torn(table["who"], part_of(made)) == 0
    assert made.notes[1].startswith("equal rows tie most groups of 'who' together")


def test_rows_without_a_group_are_groups_of_their_own() -> None:
    table = pd.DataFrame({"x": np.arange(60.0), "who": [None] * 40 + ["a"] * 10 + ["b"] * 10})
    assert set(part_of(split(labelled(table), seed=0, scheme=Scheme("group", "who")))[:40]) == {0, 1, 2}


def days(count: int) -> list[str]:
    return [str(np.datetime64("2026-01-01") + number) for number in range(count)]


@pytest.mark.parametrize("kind", ["dates", "numbers", "German dates"])
def test_the_newest_rows_test_and_the_oldest_train(kind: str) -> None:
    order = np.random.default_rng(4).permutation(100)
    when: Any = {
        "dates": np.array(days(100)),
        "numbers": np.arange(100.0),
        "German dates": np.array([f"{day[8:]}.{day[5:7]}.{day[:4]}" for day in days(100)]),
    }[kind][order]
    made = split(labelled(pd.DataFrame({"when": when})), seed=0, scheme=Scheme("time", "when"))
    assert sorted(order[made.train]) == list(range(60))
    assert sorted(order[made.validation]) == list(range(60, 80))
    assert sorted(order[made.test._sealed()]) == list(range(80, 100))


@settings(max_examples=60, deadline=None)
@given(times=st.lists(st.integers(0, 12), min_size=20, max_size=200).filter(lambda times: len(set(times)) >= 3))
def test_rows_of_one_time_are_in_one_part_and_no_part_is_empty(times: list[int]) -> None:
    dataset = Dataset("made", Task.REGRESSION, pd.DataFrame({"t": np.array(times, float)}), RANDOM.random(len(times)))
    made = split(dataset, seed=0, scheme=Scheme("time", "t"))
    parts = part_of(made)
    assert torn(times, parts) == 0
    assert set(parts) == {0, 1, 2}
    assert max(np.array(times)[parts == 0]) < min(np.array(times)[parts == 1])
    assert max(np.array(times)[parts == 1]) < min(np.array(times)[parts == 2])


def test_a_random_split_asks_for_no_class() -> None:
    dataset = classes_of(60, 38, 2)
    in_train = [
        int((dataset.target[split(dataset, seed=seed, scheme=Scheme("random")).train] == 2).sum()) for seed in range(60)
    ]
    assert set(in_train) == {0, 1, 2}


X = np.arange(40.0)
REFUSED: dict[str, tuple[Any, str, str]] = {
    "no such column": (pd.DataFrame({"x": X, "city": X}), "group:citi", "made has no feature column 'citi'"),
    "two groups": (pd.DataFrame({"x": X, "g": X % 2}), "group:g", "group column 'g' has 2 groups"),
    "nothing but groups": (pd.DataFrame({"g": X % 8}), "group:g", "made has no feature besides the group column 'g'"),
    "two times": (pd.DataFrame({"x": X, "t": X % 2}), "time:t", "time column 't' has 2 different times"),
    "no time": (pd.DataFrame({"t": [np.nan, *X[1:]]}), "time:t", "time column 't' is empty in 1 of 40 rows"),
    "no date": (pd.DataFrame({"t": ["soon"] * 40}), "time:t", "time column 't' holds 'soon', which is neither"),
    "images": (np.zeros((40, 1, 2, 2)), "group:g", "--split group:g needs a table with the column 'g'"),
    "folds of two groups": (
        pd.DataFrame({"x": X, "g": X // 2 % 4}),
        "group:g",
        "--folds 5 needs at least 5 groups of 'g' to train and validate on; there are 3",
    ),
    "folds of few times": (pd.DataFrame({"x": X, "t": X % 6}), "time:t", "which cannot make 6 parts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_scheme_that_does_not_fit_the_data_is_refused_in_one_sentence(name: str) -> None:
    features, text, said = REFUSED[name]
    with pytest.raises(InputError, match=said) as refused:
        split(labelled(features), seed=0, scheme=Scheme.parse(text, 5 if "folds" in name else 0))
    assert len(refused.value.sentence()) <= 200


def test_a_split_that_leaves_one_class_to_train_is_refused() -> None:
    table = pd.DataFrame({"t": np.arange(100.0)})
    with pytest.raises(InputError, match=r"--split time:t leaves one class in train \('no'\)"):
        split(labelled(table, (np.arange(100) >= 60).tolist()), seed=0, scheme=Scheme("time", "t"))


@pytest.mark.parametrize("scheme", ["auto", "group:who", "time:x"])
def test_a_split_is_stored_and_read_back_with_its_test_rows_sealed(tmp_path: Path, scheme: str) -> None:
    dataset = grouped([10] * 20)
    made = split(dataset, seed=0, scheme=Scheme.parse(scheme, 3))
    made.save(tmp_path / "split.npz")
    again = Split.load(tmp_path / "split.npz")
    assert again.digest() == made.digest()
    assert (again.notes, again.left_out) == (made.notes, made.left_out)
    for one, other in zip(again.parts(dataset), made.parts(dataset), strict=True):
        pd.testing.assert_frame_equal(one.features, other.features)
    pd.testing.assert_frame_equal(
        again.test.open(dataset, "promotion").features, made.test.open(dataset, "promotion").features
    )
    assert [fold.digest() for fold in again.folds] == [fold.digest() for fold in made.folds]


def test_another_row_or_fold_is_another_digest() -> None:
    dataset = classes_of(60, 60)
    digests = {
        split(dataset, seed=seed, scheme=Scheme(folds=folds)).digest() for seed in range(3) for folds in (0, 2, 3)
    }
    assert len(digests) == 9


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip"])
def test_a_damaged_split_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "split.npz").write_bytes(content)
    with pytest.raises(SurroundingsError, match=r"the stored split split\.npz cannot be read"):
        Split.load(tmp_path / "split.npz")


def test_a_stored_split_that_is_cut_short_anywhere_is_told(tmp_path: Path) -> None:
    path = tmp_path / "split.npz"
    split(classes_of(30, 30), seed=0).save(path)
    whole = path.read_bytes()
    for end in range(0, len(whole), 37):
        path.write_bytes(whole[:end])
        with pytest.raises(SurroundingsError):
            Split.load(path)


@settings(max_examples=60, deadline=None)
@given(copies=st.lists(st.integers(1, 4), min_size=30, max_size=90), k=st.integers(2, 7), seed=st.integers(0, 2**32))
def test_each_row_but_the_sealed_ones_validates_in_one_fold_and_no_equal_rows_come_apart(
    copies: list[int], k: int, seed: int
) -> None:
    which = np.repeat(np.arange(len(copies)), copies)
    dataset = labelled(pd.DataFrame({"x": which * 1.0, "row": np.nan}))
    made = split(dataset, seed=seed, scheme=Scheme(folds=k))
    rows = np.concatenate([made.train, made.validation])
    validated = np.concatenate([fold.validation for fold in made.folds])
    assert sorted(validated.tolist()) == list(range(len(rows)))
    for fold in made.folds:
        assert sorted([*fold.train, *fold.validation]) == list(range(len(rows)))
        assert not set(which[rows[fold.train]]) & set(which[rows[fold.validation]])
        assert abs(len(fold.validation) - len(rows) / k) <= 6


def test_folds_have_their_share_of_every_class_and_change_nothing_of_the_split() -> None:
    dataset = classes_of(200, 50)
    made, plain = (split(dataset, seed=3, scheme=Scheme(folds=folds)) for folds in (5, 0))
    assert made.validation.tolist() == plain.validation.tolist()
    target = np.concatenate([dataset.target[made.train], dataset.target[made.validation]])
    assert [int((target[fold.validation] == 1).sum()) for fold in made.folds] == [8] * 5


def test_the_parts_of_a_fold_are_its_rows() -> None:
    dataset = classes_of(30, 30)
    made = split(dataset, seed=3, scheme=Scheme(folds=3))
    rows = np.concatenate([made.train, made.validation])
    train, validation = made.folds[1].parts(*made.parts(dataset))
    assert train.features["row"].tolist() == rows[made.folds[1].train].tolist()
    assert validation.features["row"].tolist() == rows[made.folds[1].validation].tolist()
    assert validation.target.tolist() == dataset.target[rows[made.folds[1].validation]].tolist()


def test_folds_keep_groups_whole() -> None:
    dataset = grouped([7] * 30)
    made = split(dataset, seed=0, scheme=Scheme("group", "who", 4))
    who = column(dataset, "who")[np.concatenate([made.train, made.validation])]
    for fold in made.folds:
        assert not set(who[fold.train]) & set(who[fold.validation])


def test_folds_by_time_train_on_the_past_alone() -> None:
    table = pd.DataFrame({"t": RANDOM.integers(0, 30, 300) * 1.0})
    made = split(labelled(table), seed=0, scheme=Scheme("time", "t", 4))
    times = table["t"].to_numpy()[np.concatenate([made.train, made.validation])]
    before = -1.0
    for fold in made.folds:
        assert times[fold.train].max() < times[fold.validation].min()
        assert times[fold.train].max() > before
        before = times[fold.train].max()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"split": "grop:x"}, "did you mean 'group'?"),
        ({"split": "nonsense"}, "--split is auto, random, stratified, group:COLUMN or time:COLUMN, got 'nonsense'"),
        ({"split": "group"}, "--split group needs a column, got 'group'; try group:COLUMN"),
        ({"split": "time: "}, "--split time needs a column"),
        ({"split": "random:x"}, "--split random takes no column"),
        ({"folds": "1"}, "--folds must be 0 (one validation part), or 2 to 100, got 1; try 5"),
        ({"folds": "101"}, "--folds must be a whole number from 0 to 100, got '101'"),
    ],
)
def test_a_wrong_split_is_found_before_anything_is_loaded(given: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as refused:
        choose(given)
    assert said in refused.value.sentence()


@pytest.mark.parametrize("text", ["auto", "random", "stratified", "group:who: me", "time:when"])
def test_a_scheme_is_text_and_back(text: str) -> None:
    assert Scheme.parse(text).text == choose({"split": text})["split"] == text
