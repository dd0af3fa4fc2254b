"""Generated tables of numbers and text with missing values, each with a structure of its own, made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Dataset, Task

Array = np.ndarray[Any, Any]
Random = np.random.Generator

ROWS: Final = 1500


def generate(name: str, seed: int) -> Dataset:
    """Return one draw of the table of that name, the same for the same seed."""
    random = np.random.default_rng([list(TABLES).index(name), seed])
    table, target, task = TABLES[name](random)
    if task is Task.REGRESSION:
        return Dataset(name, task, table, target.astype(np.float64))
    classes = tuple(str(one) for one in range(int(target.max()) + 1))
    return Dataset(name, task, table, target.astype(np.int64), classes)


def _credit(random: Random) -> tuple[pd.DataFrame, Array, Task]:
    """One in seven defaults; odds are linear in logarithms, ratios and categories; gaps where people do not say."""
    income = random.lognormal(10, 0.6, ROWS)
    debt = random.lognormal(8.5, 1.0, ROWS)
    age = random.uniform(18, 75, ROWS)
    job = _text(random, {"office": 0.4, "trade": 0.3, "student": 0.1, "retired": 0.15, "artist": 0.05})
    region = _text(random, {f"region {index}": 1 / 12 for index in range(12)})
    effect = pd.Series(job).map({"office": -0.5, "trade": 0.0, "student": 1.0, "retired": -0.8, "artist": 0.7})
    odds = -3.0 + 1.3 * np.log(debt / income * 6) + effect.to_numpy() - 0.02 * (age - 40)
    table = pd.DataFrame({"income": income, "debt": debt, "age": age, "job": job, "region": region})
    _lose(table, random, {"income": 0.2, "debt": 0.05, "job": 0.1, "region": 0.1})
    return table, _flip(random, odds), Task.BINARY


def _machines(random: Random) -> tuple[pd.DataFrame, Array, Task]:
    """Four states of a machine by thresholds of its sensors, which differ by type; a broken sensor says nothing."""
    sensors = random.normal(size=(ROWS, 8))
    model = _text(random, {f"type-{letter}": 0.25 for letter in "abcd"})
    shift = pd.Series(model).map({"type-a": 0.0, "type-b": 0.6, "type-c": -0.6, "type-d": 1.0}).to_numpy()
    hot = sensors[:, 0] + shift > 0.4
    shaking = sensors[:, 1] * sensors[:, 2] > 0.3
    state = 2 * hot + shaking
    noisy = random.random(ROWS) < 0.12
    state = np.where(noisy, random.integers(0, 4, ROWS), state)
    table = pd.DataFrame({f"sensor {index}": sensors[:, index] for index in range(8)} | {"model": model})
    # a sensor breaks where it is hot: that it is missing says something
    table.loc[hot & (random.random(ROWS) < 0.4), "sensor 3"] = np.nan
    _lose(table, random, {"sensor 0": 0.1, "sensor 1": 0.1, "sensor 5": 0.3, "model": 0.05})
    return table, state, Task.MULTICLASS


def _houses(random: Random) -> tuple[pd.DataFrame, Array, Task]:
    """A price: size times a rate of the district, of which there are forty; steps for age; heavy noise."""
    size = random.lognormal(4.5, 0.4, ROWS)
    rooms = np.clip(np.round(size / 28 + random.normal(0, 0.8, ROWS)), 1, None)
    year = random.integers(1900, 2024, ROWS).astype(np.float64)
    rates = random.lognormal(0, 0.35, 40)
    district = random.choice(40, ROWS, p=random.dirichlet(np.full(40, 2.0)))
    heating = _text(random, {"gas": 0.5, "oil": 0.2, "electric": 0.2, "wood": 0.1})
    price = size * rates[district] * (1 + 0.2 * (year > 1990)) + 12 * (heating == "gas")
    price *= random.lognormal(0, 0.15, ROWS)
    names = np.array([f"district {index}" for index in range(40)], dtype=object)[district]
    table = pd.DataFrame({"size": size, "rooms": rooms, "year": year, "district": names, "heating": heating})
    _lose(table, random, {"size": 0.08, "rooms": 0.1, "year": 0.25, "heating": 0.15, "district": 0.03})
    return table, price, Task.REGRESSION


def _survey(random: Random) -> tuple[pd.DataFrame, Array, Task]:
    """Answers on ordered scales written as words; most questions say nothing; the odds add up a few of them."""
    words = np.array(["never", "rarely", "sometimes", "often", "always"], dtype=object)
    answers = random.integers(0, 5, (ROWS, 12))
    age = random.normal(45, 15, ROWS)
    odds = 0.7 * (answers[:, 0] - 2) - 0.6 * (answers[:, 1] - 2) + 0.5 * np.abs(answers[:, 2] - 2) + 0.02 * (age - 45)
    table = pd.DataFrame({f"question {index}": words[answers[:, index]] for index in range(12)} | {"age": age})
    _lose(table, random, dict.fromkeys(table.columns, 0.12))
    return table, _flip(random, odds - 0.4), Task.BINARY


def _demand(random: Random) -> tuple[pd.DataFrame, Array, Task]:
    """A smooth quantity: waves over the day and the year, weather, a factor of the weekday."""
    hour, day = random.uniform(0, 24, ROWS), random.uniform(0, 365, ROWS)
    warmth = 15 - 10 * np.cos(2 * np.pi * day / 365) + random.normal(0, 4, ROWS)
    weekday = _text(random, dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 1 / 7))
    factor = np.where(np.isin(weekday, ["sat", "sun"]), 0.7, 1.0)
    used = factor * (50 + 20 * np.sin(2 * np.pi * (hour - 8) / 24)) + 0.08 * (warmth - 18) ** 2
    table = pd.DataFrame({"hour": hour, "day": day, "warmth": warmth, "weekday": weekday})
    _lose(table, random, {"warmth": 0.2, "hour": 0.03, "weekday": 0.05})
    return table, used + random.normal(0, 3, ROWS), Task.REGRESSION


def _checkers(random: Random) -> tuple[pd.DataFrame, Array, Task]:
    """A board of axis-parallel cells among columns of noise: boosted trees at their default are at home here."""
    numbers = random.uniform(-1, 1, (ROWS, 10))
    colour = _text(random, {"red": 0.5, "green": 0.3, "blue": 0.2})
    cell = (numbers[:, 0] > 0.1) ^ (numbers[:, 1] > -0.2)
    odds = 4.0 * (cell ^ (colour == "blue")) - 2.0
    table = pd.DataFrame({f"x{index}": numbers[:, index] for index in range(10)} | {"colour": colour})
    _lose(table, random, {"x0": 0.05, "x1": 0.05, "x4": 0.3, "colour": 0.05})
    return table, _flip(random, odds), Task.BINARY


TABLES: Final[dict[str, Callable[[Random], tuple[pd.DataFrame, Array, Task]]]] = {
    "credit": _credit,
    "machines": _machines,
    "houses": _houses,
    "survey": _survey,
    "demand": _demand,
    "checkers": _checkers,
}


def _text(random: Random, shares: dict[str, float]) -> Array:
    return random.choice(np.array(list(shares), dtype=object), ROWS, p=np.array(list(shares.values())))


def _flip(random: Random, odds: Array) -> Array:
    """Draw 0 or 1 from log odds."""
    return (random.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(np.int64)


def _lose(table: pd.DataFrame, random: Random, shares: dict[str, float]) -> None:
    """Make a share of a column's values missing at random."""
    for name, share in shares.items():
        gone = random.random(len(table)) < share
        table[name] = table[name].mask(gone, np.nan if table[name].dtype == np.float64 else None)
