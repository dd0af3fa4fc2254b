"""What trials reported while they ran: the `Reports`, every one of them in one column for each metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.study.record import TrialRecord

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Reports:
    """Every report, in order of trials and then of steps, one after the other.

    Attributes:
        trial: (reports,): number of its trial.
        step: (reports,): on the sweep's scale.
        values: By metric, (reports,): NaN where a step did not measure it. The searched ones are always there.
        starts: (trials + 1,): the reports of trial n are those from `starts[n]` to before `starts[n + 1]`.
    """

    trial: Ints
    step: Ints
    values: Mapping[str, Floats]
    starts: Ints

    def of(self, number: int) -> slice:
        """Return where the reports of a trial stand."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))


class Reporting:
    """Gathers reports from trials, in order of their numbers.

    Args:
        metrics: The searched ones; the single value that a report has is of the first.
        count: Of the trials.
    """

    def __init__(self, metrics: Sequence[str], count: int) -> None:
        self._searched = metrics[0]
        self._reported: dict[str, list[float]] = {name: [] for name in metrics}
        self._steps: list[int] = []
        self._starts = np.zeros(count + 1, np.int64)

    def take(self, record: TrialRecord) -> None:
        """Read the reports of a trial."""
        reports, metrics = record.reports, record.metrics
        steps = sorted(metrics.keys() | reports.keys()) if metrics else [*reports]
        before = len(self._steps)
        self._steps.extend(steps)
        for position, step in enumerate(steps):
            told = metrics.get(step)
            if step in reports:
                _write(self._reported, self._searched, before + position, reports[step])
            for name, value in (told or {}).items():
                _write(self._reported, name, before + position, value)
        for values in self._reported.values():
            values.extend([np.nan] * (len(self._steps) - len(values)))
        self._starts[record.number + 1] = len(self._steps)

    def reports(self) -> Reports:
        """Return all of them."""
        return Reports(
            trial=np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts)),
            step=np.array(self._steps, np.int64),
            values={name: np.array(values, float) for name, values in self._reported.items()},
            starts=self._starts,
        )


def _write(columns: dict[str, list[float]], name: str, position: int, value: float) -> None:
    values = columns.setdefault(name, [])
    if len(values) > position:
        values[position] = value
        return
    values.extend([np.nan] * (position - len(values)))
    values.append(value)
