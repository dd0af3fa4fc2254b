"""Small files that the tests of data read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
from PIL import Image

from search.contract import Dataset
from search.data.source import FileSource
from search.local import run_alone, use_threads
from search.problem import Problem
from search.session import Setting
from search.trial import Outcome, ParamValue


def mixed_table(rows: int = 100) -> pd.DataFrame:
    """Return a table with numbers, text, missing values and a text target of two classes."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, rows).astype(float),
            "city": random.choice(["Köln", "Graz", "Zürich, CH"], rows),
            "label": random.choice(["no", "yes"], rows, p=[0.7, 0.3]),
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[::11, "city"] = None
    return frame


def csv(header: str, row: Callable[[int], str], rows: int = 40) -> str:
    """Return a CSV text with `rows` rows, each made from its number."""
    return "\n".join([header, *(row(number) for number in range(rows))]) + "\n"


def load(path: Path, target: str | None = "y", *, options: str = "") -> Dataset:
    source = FileSource(path.name + options, target, path.parent, results=path.parent / "results")
    return source.table("sklearn:wine")


def write(folder: Path, content: str | bytes, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_images(folder: Path, *, classes: int = 2, each: int = 12, size: tuple[int, int] = (6, 5)) -> Path:
    """Write `class/*.png`, grey, each with its own pixels; `size` is (width, height)."""
    random = np.random.default_rng(0)
    for index in range(classes):
        (folder / f"class{index}").mkdir(parents=True)
        for number in range(each):
            pixels = random.integers(0, 256, size[::-1], dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{index}" / f"{number:03d}.png")
    return folder


def write_excel(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> Path:
    """Write sheets of rows; an empty row stays empty."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


LINEAR: Mapping[str, ParamValue] = {
    "model.family": "linear",
    "preprocess.impute": "median",
    "preprocess.scale": "standard",
    "preprocess.encode": "one-hot",
}
BOOSTING: Mapping[str, ParamValue] = {"model.family": "boosting", "model.shrinkage": 1.0}


def train(problem: Problem, params: Mapping[str, ParamValue]) -> Outcome:
    """Run one trial through the real engine, two steps at most, on one thread as a worker would."""
    use_threads(1)
    return run_alone(problem, 0, params, Setting(seed=0, searched=problem.metrics[0], max_epochs=2))
