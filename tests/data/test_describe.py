from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.contract import Dataset, Task
from search.data.describe import Description, describe
from search.data.source import FileSource

from .files import load, mixed_table


def made(name: str, folder: Path) -> Dataset:
    if name == "mixed":
        mixed_table().to_csv(folder / "x.csv", index=False)
        return load(folder / "x.csv", "label")
    source = FileSource(f"sklearn:{name}", None, folder)
    return source.images("") if name == "digits" else source.table("")


@pytest.mark.parametrize("name", ["mixed", "diabetes", "digits", "wine"])
def test_a_description_goes_to_json_and_back(tmp_path: Path, name: str) -> None:
    description = describe(made(name, tmp_path))
    assert Description.from_json(json.loads(json.dumps(description.to_json()))) == description


LINES = {
    "mixed": (
        "x.csv: 100 rows, 1 numeric and 1 text columns, 12.5% of the cells missing",
        "binary: no 64, yes 36",
    ),
    "diabetes": (
        "sklearn:diabetes: 442 rows, 10 numeric and 0 text columns, 0.0% of the cells missing",
        "regression: 25 to 346, mean 152.133",
    ),
    "digits": (
        "sklearn:digits: 1797 rows, images of 1x8x8 (channels, height, width)",
        "multiclass: 3 183, 1 182, 5 182, 4 181, 6 181, 9 180, 7 179, 0 178, 2 177, 8 174",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_description_is_a_few_lines(tmp_path: Path, name: str) -> None:
    lines = describe(made(name, tmp_path)).lines()
    assert tuple(lines[:2]) == LINES[name]
    assert lines[2].startswith("fingerprint ")


def test_many_classes_are_cut_short() -> None:
    dataset = Dataset("many", Task.MULTICLASS, np.zeros((40, 1)), np.arange(40) % 20, tuple(map(str, range(20))))
    assert describe(dataset).lines()[1].endswith(", 9 2, and 10 more classes")
