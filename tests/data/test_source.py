from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from search.contract import Dataset, Source, Task
from search.data import packaged
from search.data.source import FileSource
from search.errors import InputError

from .files import mixed_table, write_images

PACKAGED = {
    "breast_cancer": (569, 30, Task.BINARY, ("benign", "malignant")),
    "diabetes": (442, 10, Task.REGRESSION, ()),
    "digits": (1797, 64, Task.MULTICLASS, tuple("0123456789")),
    "iris": (150, 4, Task.MULTICLASS, ("setosa", "versicolor", "virginica")),
    "wine": (178, 13, Task.MULTICLASS, ("class_0", "class_1", "class_2")),
}


@pytest.mark.parametrize("name", packaged.TABLES)
def test_every_packaged_table_loads_with_its_task_and_classes(tmp_path: Path, name: str) -> None:
    rows, columns, task, classes = PACKAGED[name]
    dataset = FileSource(f"sklearn:{name}", None, tmp_path).table("sklearn:none")
    assert dataset.name == f"sklearn:{name}"
    assert dataset.features.shape == (rows, columns)
    assert dataset.target.shape == (rows,)
    assert dataset.target.dtype == (np.float64 if task is Task.REGRESSION else np.int64)
    assert (dataset.task, dataset.classes) == (task, classes)


def test_without_a_reference_the_objectives_default_is_loaded(tmp_path: Path) -> None:
    source: Source = FileSource(None, None, tmp_path)
    assert source.table("sklearn:wine").name == "sklearn:wine"


def test_another_column_of_a_packaged_table_can_be_the_target(tmp_path: Path) -> None:
    dataset = FileSource("sklearn:wine", "alcohol", tmp_path).table("sklearn:wine")
    assert dataset.task is Task.REGRESSION
    assert isinstance(dataset.features, pd.DataFrame)
    assert "target" in dataset.features
    assert "alcohol" not in dataset.features


def test_packaged_images_are_floats_from_0_to_1_with_a_channel_axis(tmp_path: Path) -> None:
    dataset = FileSource("sklearn:digits", None, tmp_path).images("sklearn:digits")
    assert isinstance(dataset.features, np.ndarray)
    assert dataset.features.shape == (1797, 1, 8, 8)
    assert dataset.features.dtype == np.float32
    assert (dataset.features.min(), dataset.features.max()) == (0, 1)
    assert dataset.target[:4].tolist() == [0, 1, 2, 3]
    assert dataset.classes == tuple("0123456789")


@pytest.mark.parametrize("name", ["x.csv", "x.CSV", "x.tsv", "x.parquet", "Größe 100%/ün #1.csv", "a:b?c.csv", "x"])
def test_a_table_is_found_by_its_path_from_the_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    frame = mixed_table()
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    for reference in (name, str(path)):
        dataset = FileSource(reference, "label", tmp_path).table("sklearn:wine")
        assert (dataset.name, len(dataset.target)) == (path.name, 100)


A_TABLE = "a table is a CSV, TSV, JSON lines, Parquet, Feather or Excel file"
UNKNOWN = {
    "sklearn:": "'sklearn:' names nothing; known: a file or folder, a URL, or one of sklearn:NAME",
    "htps://example.org/x.csv": "unknown kind of data 'htps:'; known: a file or folder, a URL, or one of sklearn:NAME",
    "tabel.csv": r"data file 'tabel.csv' does not exist \(looked in .*\); did you mean 'table.csv'\?",
    "none/x.csv": r"data file 'none/x.csv' does not exist \(looked in .*\); known: a file or folder, a URL, or one of",
    "": r"data file '' does not exist",
    "a\0b": r"data file 'a\\x00b' does not exist",
    "x" * 5000: "data file 'xxxx",
    "folder": "folder is a folder without files; " + A_TABLE,
    "pipe": "pipe is a pipe or a device; " + A_TABLE,
    "arrays.npz": "arrays.npz is a file of arrays; " + A_TABLE,
    "table.csv?tsk=regression": r"table.csv has an unknown option 'tsk'; did you mean 'task'\?",
    "table.csv?task=ranking": "task is classification or regression, got 'ranking'",
    "table.parquet?encoding=latin-1": "table.parquet is Parquet, which takes no encoding=",
    "sklearn:wine?encoding=latin-1": "sklearn:wine takes no encoding=; it takes drop=",
    f"sklearn:wine?snapshot={'0' * 64}": "sklearn:wine takes no snapshot=; it takes task=, drop=",
    "sklearn:wine?task=regression": "target 'target' is text .'class_0'.; a regression needs numbers",
}


@pytest.mark.parametrize("reference", UNKNOWN)
def test_a_reference_to_nothing_says_what_there_is(tmp_path: Path, reference: str) -> None:
    mixed_table().to_csv(tmp_path / "table.csv", index=False)
    mixed_table().to_parquet(tmp_path / "table.parquet")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    np.savez(tmp_path / "arrays.npz", x=np.zeros(3))
    target = None if reference.startswith("sklearn") else "label"
    with pytest.raises(InputError) as refusal:
        FileSource(reference, target, tmp_path).table("sklearn:wine")
    assert re.match(UNKNOWN[reference], refusal.value.sentence())


def test_a_file_needs_a_target(tmp_path: Path) -> None:
    mixed_table().to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(
        InputError, match=r"x.csv needs --target, the column to predict; it has age, city, label \(3 colu"
    ):
        FileSource("x.csv", None, tmp_path).table("sklearn:wine")


def test_images_have_no_target_column(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--target names a column of a table, but sklearn:digits is read as images"):
        FileSource("sklearn:digits", "y", tmp_path).images("sklearn:digits")


def test_a_table_is_no_images(tmp_path: Path) -> None:
    mixed_table().to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(InputError, match=r"x\.csv holds no images"):
        FileSource("x.csv", None, tmp_path).images("sklearn:digits")


def test_the_task_of_a_file_can_be_overruled(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(100), "grade": [number % 6 for number in range(100)]}).to_csv(
        tmp_path / "x.csv", index=False
    )

    def load(options: str) -> Dataset:
        return FileSource("x.csv" + options, "grade", tmp_path).table("sklearn:wine")

    assert load("").task is Task.MULTICLASS
    assert load("?task=classification").task is Task.MULTICLASS
    assert load("?task=regression").task is Task.REGRESSION


def test_a_source_travels_to_another_process(tmp_path: Path) -> None:
    write_images(tmp_path / "shapes")
    source = pickle.loads(pickle.dumps(FileSource("shapes", None, tmp_path)))
    assert len(source.images("sklearn:digits").target) == 24


def test_naming_a_source_imports_no_heavy_library() -> None:
    check = (
        "import sys; from pathlib import Path; from search.data.source import FileSource\n"
        "FileSource(None, None, Path())\n"
        "heavy = ('pandas', 'sklearn', 'PIL', 'pyarrow', 'torch', 'ray', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_column_with_a_comma_in_its_name_is_dropped_and_a_cut_name_is_answered_by_how_it_is_written(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{n},{n % 7},{'ab'[n % 2]}\n" for n in range(40))
    (tmp_path / "x.csv").write_text(f'"age, years",b,label\n{rows}')
    assert list(FileSource("x.csv?drop=age%2C years", "label", tmp_path).table("").features) == ["b"]
    with pytest.raises(InputError) as told:
        FileSource("x.csv?drop=age, years", "label", tmp_path).table("")
    assert told.value.hint == "a comma within a name is written %2C: drop=age%2C years"
