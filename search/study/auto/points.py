"""Points that have not been tried, from which the next one is chosen: the `Candidates`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.study.auto.history import Array, History
from search.study.encoding import from_unit, to_unit
from search.trial import ParamValue

_ANYWHERE: Final = 300
_NEARBY: Final = 100
_CHANGES: Final = 1.5
"""Parameters that a neighbour changes on average."""
_SPREAD: Final = 0.2
"""Deviation of a neighbour's number, as a share of the range."""

Point = Mapping[str, ParamValue]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Points of the space, some of which may have been tried.

    Attributes:
        points: Their parameters.
        near: How many of them, the last ones, are neighbours of good trials.
    """

    points: Sequence[Point]
    near: int


def candidates(history: History, best: Sequence[int], fixed: Point, random: np.random.Generator) -> Candidates:
    """Draw points anywhere in the space, and near the best trials.

    What a conditional space asks for is known from the trials that there were: a point has the parameters that one of
    them had, drawn anew; the choices that opened them are among those seen beside them.

    Args:
        history: All trials.
        best: Numbers of the best ones.
        fixed: What every point has.
        random: To draw with.
    """
    weights = history.weights()
    counts = random.multinomial(_ANYWHERE, np.array([one for _, one in weights]) / sum(one for _, one in weights))
    anywhere: list[Point] = []
    for (names, _), count in zip(weights, counts, strict=True):
        anywhere += _anywhere(history, names, int(count), random) if count else []
    nearby = _nearby(history, best, random) if best else []
    drawn = [_with(fixed, one) for one in anywhere], [_with(fixed, one) for one in nearby]
    return Candidates([*drawn[0], *drawn[1]], len(drawn[1]))


def _with(fixed: Point, point: Point) -> Point:
    return point if not fixed else {name: fixed.get(name, value) for name, value in point.items()}


def _anywhere(history: History, names: tuple[str, ...], count: int, random: np.random.Generator) -> list[Point]:
    flat = len(history.structures) == 1
    columns: dict[str, list[Any]] = {}
    for name in names:
        one = history.distributions[name]
        if isinstance(one, CategoricalDistribution):
            choices = one.choices if flat else history.choices_of(names, name)
            columns[name] = [choices[place] for place in random.integers(len(choices), size=count)]
        else:
            columns[name] = uniform(one, random.random(count))
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _nearby(history: History, best: Sequence[int], random: np.random.Generator) -> list[Point]:
    flat = len(history.structures) == 1
    found: list[Point] = []
    for number in random.choice(np.asarray(best), size=_NEARBY):
        point = dict(history.params[number])
        changed = random.random(len(point)) < _CHANGES / max(len(point), 1)
        steps = random.normal(size=len(point))
        for (name, value), changes, step in zip([*point.items()], changed, steps, strict=True):
            if not changes:
                continue
            one = history.distributions[name]
            if isinstance(one, CategoricalDistribution):
                choices = one.choices if flat else history.choices_of(tuple(sorted(point)), name)
                point[name] = choices[int(random.integers(len(choices)))]
            elif isinstance(value, int | float):  # a space may have had a choice there before
                point[name] = _moved(one, value, float(step))
        found.append(point)
    return found


def _moved(one: BaseDistribution, value: Any, step: float) -> ParamValue:
    """Return a number near another one: at least a step of its range away."""
    assert isinstance(one, FloatDistribution | IntDistribution)
    here = to_unit(float(value), one)
    there = from_unit(here + _SPREAD * step, one)
    if there == value and one.step is not None:
        steps = round((value - one.low) / one.step) + (1 if step > 0 else -1)
        there = min(one.high, max(one.low, one.low + steps * one.step))
    return int(there) if isinstance(one, IntDistribution) else there


def uniform(one: BaseDistribution, shares: Array) -> list[float | int]:
    """Return the numbers at these shares of a range, each step of which is as likely as any other."""
    assert isinstance(one, FloatDistribution | IntDistribution)
    low, high, step = float(one.low), float(one.high), one.step
    if one.log:
        half = 0.5 if isinstance(one, IntDistribution) else 0.0
        drawn = np.exp(np.log(low - half) + shares * (np.log(high + half) - np.log(low - half)))
        drawn = np.round(drawn) if half else drawn
    elif step is None:
        drawn = low + shares * (high - low)
    else:
        drawn = low + step * np.floor(shares * (math.floor((high - low) / step + 1e-9) + 1))
    drawn = np.clip(drawn, low, high)
    return [int(value) for value in drawn] if isinstance(one, IntDistribution) else [float(value) for value in drawn]
