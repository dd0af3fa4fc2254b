"""A table with a column of every kind, gaps in all of them, and rows that are stranger than those it was fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from objectives.exports import Export
from search.contract import Context, Part, Role, Task

ROLES = {"when": Role.DATE, "remark": Role.TEXT}
WORDS = ("Good", "bad", "ugly!", "It's", "Straße", "naïve", "x-ray", "100%", "日本", "İstanbul")

Array = np.ndarray[Any, Any]


def table(rows: int, seed: int, *, strange: bool = False) -> pd.DataFrame:
    """Return rows; strange ones hold extreme numbers, unseen categories, words and dates as well."""
    random = np.random.default_rng(seed)
    found = pd.DataFrame(
        {
            "größe %": random.normal(size=rows),
            "features": random.integers(1990, 2024, rows).astype(float),
            "skewed": random.lognormal(3, 2, rows),
            "flag": random.integers(0, 2, rows).astype(float),
            "tiny": random.normal(size=rows) * 1e-6 + 3e-6,
            "town": random.choice(["Ulm", "Köln", "a,b", "x y"], rows),
            "variable": random.choice([f"v{index}" for index in range(30)], rows),
            "when": pd.to_datetime(random.integers(0, 10**9, rows), unit="s").strftime("%Y-%m-%dT%H:%M:%S"),
            "remark": [" ".join(random.choice(WORDS, 6)) for _ in range(rows)],
        }
    )
    for name in found.columns:
        found[name] = found[name].mask(random.random(rows) < 0.08, np.nan if found[name].dtype == float else None)
    if not strange:
        found.iloc[rows // 2 : rows // 2 + 5] = found.iloc[:5].to_numpy()  # some are there twice
        return found
    for name in ("größe %", "features", "skewed", "tiny"):
        for value in (1e9, -1e9, 3e38, 1e300, -np.inf, 0.0):
            found.loc[random.integers(rows), name] = value
    for name in ("town", "variable", "remark", "when"):
        found.loc[random.integers(0, rows, 20), name] = "2300-01-01" if name == "when" else "unseen"
    return found


def target(rows: int, task: Task) -> Array:
    random = np.random.default_rng(rows)
    if task is Task.REGRESSION:
        return random.normal(1000, 100, rows)
    return np.asarray(random.integers(0, 2 if task is Task.BINARY else 3, rows), dtype=np.int64)


def context(task: Task = Task.BINARY, seed: int = 3) -> Context:
    return Context(seed=seed, task=task, roles=ROLES)


def part(rows: int, seed: int, task: Task = Task.BINARY, *, strange: bool = False) -> Part:
    return Part(table(rows, seed, strange=strange), target(rows, task))


def images(rows: int, seed: int, *, strange: bool = False) -> Part:
    random = np.random.default_rng(seed)
    pixels = random.random((rows, 3, 9, 8)).astype(np.float32) ** 2
    pixels[:, :, 0] = 0.5  # of one colour
    return Part(np.minimum(pixels, 0.1) if strange else pixels, np.arange(rows) % 2)


def setting(choice: Export, *, prefix: str = "preprocess.") -> dict[str, Any]:
    """Return the parameters of the preprocess stage, without their prefix, that put one choice to work."""
    whole = {**choice.needs, choice.parameter: choice.value}
    return {name.removeprefix(prefix): value for name, value in whole.items() if name.startswith(prefix)}


def named(choice: Export) -> str:
    return f"{choice.parameter.removeprefix('preprocess.')}={choice.value}"
