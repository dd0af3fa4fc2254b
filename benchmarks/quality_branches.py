"""Grids of configurations, of one family of models or of several behind a parameter that names the family."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from benchmarks.quality_problems import Configuration, Curves, Problem
from benchmarks.quality_tables import INACTIVE, Axis, Point, Table, Value

Trainer: TypeAlias = Callable[[Problem, Sequence[Configuration]], Curves]


@dataclass(frozen=True, slots=True)
class Branch:
    """All combinations of some parameters, and what trains them."""

    family: str
    train: Trainer
    axes: tuple[Axis, ...]

    def points(self) -> list[Point]:
        return list(itertools.product(*[range(len(axis.values)) for axis in self.axes]))

    def curves(self, problem: Problem) -> Curves:
        return self.train(problem, [dict(self._named(point)) for point in self.points()])

    def _named(self, point: Point) -> Iterator[tuple[str, Value]]:
        return ((axis.name, axis.values[index]) for axis, index in zip(self.axes, point, strict=True))


@dataclass(frozen=True, slots=True)
class Grid:
    """A table to make: a branch, or several behind a first parameter that names the family."""

    problem: Callable[[], Problem]
    branches: tuple[Branch, ...]

    def make(self, name: str) -> Table:
        problem = self.problem()
        curves = [branch.curves(problem) for branch in self.branches]
        val, test, seconds = (
            np.concatenate([getattr(one, part) for one in curves]) for part in ("val", "test", "seconds")
        )
        only = self.branches[0]
        axes, points = self._together() if len(self.branches) > 1 else (only.axes, only.points())
        return Table(
            name=name,
            family=" or ".join(branch.family for branch in self.branches),
            problem=problem.told,
            axes=axes,
            val=val,
            test=test,
            points=np.array(points, np.int16),
            seconds=(seconds / seconds.mean()).astype(np.float32),
        )

    def _together(self) -> tuple[tuple[Axis, ...], list[Point]]:
        """Return the parameters of all branches behind `family`, and each branch's points among them."""
        axes = [Axis("family", "categorical", tuple(branch.family for branch in self.branches))]
        points: list[Point] = []
        width = sum(len(branch.axes) for branch in self.branches)
        for number, branch in enumerate(self.branches):
            before = len(axes) - 1
            after = width - before - len(branch.axes)
            idle = (INACTIVE,)
            points += [(number, *idle * before, *point, *idle * after) for point in branch.points()]
            axes += [replace(axis, name=f"{branch.family}.{axis.name}", when=branch.family) for axis in branch.axes]
        return tuple(axes), points
