from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from search.contract import Dataset, Task
from search.data.fingerprint import fingerprint
from search.data.source import FileSource

from .files import load, mixed_table


def features_of(dataset: Dataset) -> pd.DataFrame:
    assert isinstance(dataset.features, pd.DataFrame)
    return dataset.features


@pytest.fixture
def mixed(tmp_path: Path) -> Dataset:
    mixed_table().to_csv(tmp_path / "x.csv", index=False)
    return load(tmp_path / "x.csv", "label")


def test_csv_and_parquet_of_one_table_have_one_fingerprint(mixed: Dataset, tmp_path: Path) -> None:
    mixed_table().to_parquet(tmp_path / "other.parquet", index=False)
    assert fingerprint(load(tmp_path / "other.parquet", "label")) == fingerprint(mixed)


def test_one_changed_cell_changes_it(mixed: Dataset) -> None:
    known = {fingerprint(mixed)}
    features = features_of(mixed)
    for column, value in (("age", 17.5), ("age", np.nan), ("city", "Bern"), ("city", None)):
        changed = features.copy()
        changed.loc[1, column] = value
        known.add(fingerprint(replace(mixed, features=changed)))
    target = mixed.target.copy()
    target[3] = 1 - target[3]
    known.add(fingerprint(replace(mixed, target=target)))
    assert len(known) == 6


def test_names_types_order_classes_and_task_change_it_and_the_name_does_not(mixed: Dataset) -> None:
    features = features_of(mixed)
    known = {
        fingerprint(one)
        for one in (
            mixed,
            replace(mixed, features=features.rename(columns={"age": "years"})),
            replace(mixed, features=features[["city", "age"]]),
            replace(mixed, features=features.astype({"age": np.float32})),
            replace(mixed, features=features[::-1]),
            replace(mixed, classes=("yes", "no")),
            replace(mixed, task=Task.MULTICLASS),
        )
    }
    assert len(known) == 7
    assert fingerprint(replace(mixed, name="moved.csv")) == fingerprint(mixed)


def test_texts_are_told_apart_where_they_join_alike() -> None:
    def of(texts: list[str | None]) -> str:
        return fingerprint(Dataset("", Task.REGRESSION, pd.DataFrame({"a": texts}), np.zeros(2)))

    assert len({of(["a", "bc"]), of(["ab", "c"]), of(["abc", None]), of(["abc", ""]), of([None, "abc"])}) == 5


@pytest.mark.parametrize("storage", ["pyarrow", "python"])
@pytest.mark.parametrize("rows", [0, 1, 7, 500])
def test_text_has_one_fingerprint_however_it_is_stored(storage: Literal["pyarrow", "python"], rows: int) -> None:
    pool = np.array(["a", "", None, "ö", "\U0001f600x", "a longer text", "b\0c"], dtype=object)
    plain = pd.Series(pool[np.random.default_rng(rows).integers(0, len(pool), rows)], dtype=object)
    stored = plain.astype(pd.StringDtype(storage, na_value=np.nan))
    views = [slice(None), slice(1, -1), slice(None, None, 2), slice(None, None, -1)]
    for one, other in [(plain[view], stored[view]) for view in views] + [
        (pd.concat([plain, plain[2:]]), pd.concat([stored, stored[2:]])),
        (plain.mask(plain == "a"), stored.mask(stored == "a")),
    ]:
        assert of_column(one) == of_column(other)


def of_column(column: pd.Series[Any]) -> str:
    return fingerprint(Dataset("", Task.REGRESSION, column.to_frame("a"), np.zeros(len(column))))


def test_every_nan_is_alike_and_so_is_zero() -> None:
    quiet, loud = np.array([0x7FF8000000000000, 0xFFF8000000000001], dtype=np.uint64).view(np.float64)
    one, other = np.array([quiet, 0.0]), np.array([loud, -0.0])
    assert fingerprint(Dataset("", Task.REGRESSION, one[:, None], np.zeros(2))) == fingerprint(
        Dataset("", Task.REGRESSION, other[:, None], np.zeros(2))
    )


def test_the_layout_of_an_array_does_not_change_it_but_its_shape_does() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4)

    def of(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> str:
        return fingerprint(Dataset("", Task.REGRESSION, array, np.zeros(2)))

    assert of(pixels) == of(np.asfortranarray(pixels))
    assert of(pixels) != of(pixels.reshape(2, 1, 4, 3))


def test_it_is_the_same_in_any_process() -> None:
    check = (
        "from pathlib import Path; from search.data.fingerprint import fingerprint\n"
        "from search.data.source import FileSource\n"
        "print(fingerprint(FileSource('sklearn:iris', None, Path()).table('')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "5", "PATH": ""},
    )
    assert done.stdout.strip() == fingerprint(FileSource("sklearn:iris", None, Path()).table(""))
