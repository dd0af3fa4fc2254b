"""Small files that the tests of data read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from search.contract import Dataset
from search.data.source import FileSource


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
    return FileSource(path.name + options, target, path.parent).table("sklearn:wine")


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
