from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from search.data import sets
from search.data.formats import read_table
from search.data.pictures import read_images
from search.data.reference import Reference
from search.data.source import FileSource
from search.errors import InputError
from search.paths import DataFolder


@pytest.fixture
def place(tmp_path: Path) -> DataFolder:
    (tmp_path / "place").mkdir()
    return DataFolder(tmp_path / "place")


def table(made_of: Bunch, name: str, place: DataFolder) -> pd.DataFrame:
    made = sets.convert(name, made_of, place)
    assert made.target == "target"
    return read_table(made.path, Reference(f"sklearn:{name}", "sklearn", name))


def test_a_regression_is_a_table_with_its_target_last(place: DataFolder) -> None:
    frame = pd.DataFrame({"MedInc": [1.5, 2.5], "HouseAge": [41.0, 21.0], "MedHouseVal": [4.5, 3.5]})
    bunch = Bunch(
        data=frame[["MedInc", "HouseAge"]], target=frame["MedHouseVal"], frame=frame, target_names=["MedHouseVal"]
    )
    read = table(bunch, "california_housing", place)
    assert list(read) == ["MedInc", "HouseAge", "target"]
    assert read["target"].tolist() == [4.5, 3.5]


def test_texts_that_are_bytes_and_numbers_that_are_objects_become_what_they_are(place: DataFolder) -> None:
    frame = pd.DataFrame(
        {
            "duration": pd.Series([0, 12], dtype=object),
            "protocol": pd.Series([b"tcp", b"udp"], dtype=object),
            "labels": pd.Series([b"normal.", b"smurf."], dtype=object),
        }
    )
    bunch = Bunch(frame=frame, data=frame[["duration", "protocol"]], target=frame["labels"], target_names=["labels"])
    read = table(bunch, "kddcup99", place)
    assert read["duration"].tolist() == [0, 12]
    assert read["protocol"].tolist() == ["tcp", "udp"]
    assert read["target"].tolist() == ["normal.", "smurf."]


def test_news_are_a_table_of_text_with_classes_by_name(place: DataFolder) -> None:
    bunch = Bunch(data=["a\nb", "c"], target=np.array([1, 0]), target_names=["alt.atheism", "sci.space"], filenames=[])
    read = table(bunch, "20newsgroups", place)
    assert read["text"].tolist() == ["a\nb", "c"]
    assert read["target"].tolist() == ["sci.space", "alt.atheism"]


@pytest.mark.parametrize("names", [None, ["Ann", "Bob"]])
def test_faces_are_images(place: DataFolder, names: list[str] | None) -> None:
    images = np.random.default_rng(0).random((20, 8, 6), dtype=np.float32)
    bunch = Bunch(images=images, data=images.reshape(20, -1), target=np.arange(20) % 2, DESCR="faces")
    if names:
        bunch.target_names = np.array(names)
    made = sets.convert("olivetti_faces", bunch, place)
    dataset = read_images(made.path)
    assert isinstance(dataset.features, np.ndarray)
    assert dataset.features.shape == (20, 1, 8, 6)
    assert dataset.classes == (("0", "1") if names is None else ("Ann", "Bob"))


@pytest.mark.parametrize("name", sets.FETCHED)
def test_scikit_learn_has_a_function_for_each_that_takes_what_it_is_given(name: str) -> None:
    import inspect

    from sklearn import datasets

    taken = inspect.signature(getattr(datasets, f"fetch_{name}")).parameters
    assert {"data_home", "n_retries", "delay", *sets.FETCHED[name]} <= set(taken)


def test_an_unknown_name_lists_the_packaged_and_the_downloaded_ones(tmp_path: Path) -> None:
    said = r"no packaged data set 'nothing'; known: breast_cancer, .*wine, and by download: 20newsgroups, california_h"
    with pytest.raises(InputError, match=said):
        FileSource("sklearn:nothing", None, tmp_path, results=tmp_path / "results").table("sklearn:wine")


def test_a_packaged_table_is_no_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sklearn:iris is a table; scikit-learn's images are digits, lfw_people"):
        FileSource("sklearn:iris", None, tmp_path, results=tmp_path / "results").images("sklearn:digits")


def test_without_a_network_it_is_one_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    """In a network namespace of its own, which has no way out."""
    check = (
        "from pathlib import Path\nfrom search.data.source import FileSource\n"
        f"root = Path({str(tmp_path)!r})\n"
        "FileSource('sklearn:california_housing', None, root, results=root / 'results').table('')"
    )
    done = subprocess.run(["unshare", "-rn", sys.executable, "-c", check], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip("this system gives no network namespace")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("search.errors.SurroundingsError: sklearn:california_housing cannot be downloaded: ")
    assert not list((tmp_path / "results").rglob("*.tmp"))
