"""What peers have in common that ask for a configuration with a budget, and hear of its last epoch alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ConfigSpace import (  # type: ignore[import-not-found]
    CategoricalHyperparameter,
    ConfigurationSpace,
    EqualsCondition,
    UniformIntegerHyperparameter,
)

from benchmarks.quality_clock import Job, row_of
from benchmarks.quality_tables import Axis, Table


class Asked(NamedTuple):
    """What is to be trained: the peer's own handle, the configuration, and epochs in all."""

    handle: Any
    config: dict[str, Any]
    epochs: int


class ByBudget:
    """A search whose trials have a budget each.

    A configuration that was trained for less goes on from its checkpoint: neither peer asks for that, but its user
    could.

    Args:
        table: The problem.
        ask: The peer's.
        tell: Takes the handle, and the error after the last epoch.
    """

    def __init__(self, table: Table, ask: Callable[[], Asked | None], tell: Callable[[Any, float], None]) -> None:
        self._table, self._ask, self._tell = table, ask, tell
        self._trained: dict[int, int] = {}

    def ask(self) -> Job | None:
        asked = self._ask()
        if asked is None:
            return None
        row = row_of(self._table, asked.config)
        done = self._trained.get(row, 0)
        return Job(asked.handle, row, done if done < asked.epochs else 0, asked.epochs)

    def report(self, job: Job, error: float) -> bool:
        self._trained[job.row] = max(job.done, self._trained.get(job.row, 0))
        if job.done < job.until:
            return True
        self._tell(job.trial, error)
        return False


def space(table: Table, seed: int) -> Any:
    """Return the space of a table, with the conditions of its branches."""
    made = ConfigurationSpace(seed=seed)
    parameters = {axis.name: _parameter(axis) for axis in table.axes}
    made.add(*parameters.values())
    first = table.axes[0]
    for axis in table.axes:
        if axis.when is not None:
            branch = first.values.index(axis.when)
            made.add(EqualsCondition(parameters[axis.name], parameters[first.name], branch))
    return made


def _parameter(axis: Axis) -> Any:
    last = len(axis.values) - 1
    if axis.kind == "categorical":
        return CategoricalHyperparameter(axis.name, [*range(last + 1)])
    return UniformIntegerHyperparameter(axis.name, 0, last)
