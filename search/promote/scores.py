"""What the sealed test rows say of a model, with how sure that is and what it is beside: the `Scores`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from search.contract import Task
from search.promote.certainty import intervals
from search.promote.estimates import ClassScore, Estimate
from search.promote.groups import Groups, by_class, by_column
from search.promote.intervals import MIN_ROWS
from search.promote.measures import DIRECTIONS, Array, Judged, smooth, values
from search.promote.paired import Difference, compared


@dataclass(frozen=True, slots=True)
class Optimism:
    """How much better the search's own best looked than it is.

    Attributes:
        searched: The metric of the search.
        found: Its best value there, on validation rows: the best of many looks.
        metric: The same metric by its name here; None where it is not measured on test rows.
        test: Its value on the test rows.
        gap: How much better the search's was, whichever way the metric goes; below 0 where the test's is.
    """

    searched: str
    found: float
    metric: str | None = None
    test: Estimate | None = None
    gap: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Optimism:
        """Return what `to_json` described."""
        test = values["test"]
        return cls(**{**values, "test": None if test is None else Estimate(**test)})


@dataclass(frozen=True, slots=True)
class Scores:
    """How a model does on rows that neither the search nor the training saw.

    Attributes:
        task: What is predicted.
        rows: How many test rows there are.
        main: The metric that stands first: the searched one, or the loss.
        metrics: Each with its interval.
        baseline: The same metrics of a prediction without any feature: class frequencies, or mean, of train.
        gain: By how much the model is better than that, by the main metric.
        classes: How well each class is found; () of a regression.
        groups: Scores by the values of a column, where one was named.
        optimism: Of the search; None where nothing was searched.
        notes: What people should know, a sentence each.
    """

    task: str
    rows: int
    main: str
    metrics: Mapping[str, Estimate]
    baseline: Mapping[str, float]
    gain: Difference | None = None
    classes: tuple[ClassScore, ...] = ()
    groups: Groups | None = None
    optimism: Optimism | None = None
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "task": self.task,
            "rows": self.rows,
            "main": self.main,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "baseline": dict(self.baseline),
            "gain": self.gain and self.gain.to_json(),
            "classes": [one.to_json() for one in self.classes],
            "groups": self.groups and self.groups.to_json(),
            "optimism": self.optimism and self.optimism.to_json(),
            "notes": [*self.notes],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scores:
        """Return the scores that `to_json` described."""
        gain, groups, optimism = (values.get(name) for name in ("gain", "groups", "optimism"))
        return cls(
            task=Task(values["task"]).value,
            rows=values["rows"],
            main=values["main"],
            metrics={name: Estimate(**one) for name, one in values["metrics"].items()},
            baseline=dict(values["baseline"]),
            gain=None if gain is None else Difference.from_json(gain),
            classes=tuple(ClassScore.from_json(one) for one in values.get("classes", ())),
            groups=None if groups is None else Groups.from_json(groups),
            optimism=None if optimism is None else Optimism.from_json(optimism),
            notes=tuple(values.get("notes", ())),
        )


def score(
    judged: Judged,
    train: Array,
    *,
    classes: tuple[str, ...] = (),
    searched: tuple[str, float] | None = None,
    by: tuple[str, Any] | None = None,
    seed: int = 0,
) -> Scores:
    """Score a model on the test rows.

    A million rows take seconds.

    Args:
        judged: What the model says of them, beside the truth.
        train: (rows,) target of the training rows, which the baseline knows.
        classes: Names of the classes, by index.
        searched: The metric of the search, and its best value there.
        by: A column's name and its (rows,) values, to score each of them.
        seed: Of the bootstrap; the same one gives the same scores.
    """
    naive = _naive(judged, train)
    found = values(judged)
    limits = intervals(judged, seed=seed)
    metrics = {name: Estimate(value, *(limits[name] or (None, None))) for name, value in found.items()}
    own = counterpart(searched[0], judged.task) if searched is not None else None
    usual = "log_loss" if judged.task.is_classification else "loss"
    main = own if own is not None and own in metrics else usual
    return Scores(
        task=judged.task.value,
        rows=len(judged.target),
        main=main,
        metrics=metrics,
        baseline=values(naive),
        gain=compared(main, judged, naive, seed=seed),
        classes=by_class(judged, classes) if judged.task.is_classification else (),
        groups=by_column(judged, *by, main, seed=seed) if by is not None else None,
        optimism=_optimism(searched, own, metrics),
        notes=_notes(judged, metrics, searched, own),
    )


def counterpart(searched: str, task: Task) -> str | None:
    """Return what a metric of the search is called on test rows; None where it is not measured there."""
    name = searched.removeprefix("val_")
    if name == "loss" and task.is_classification:
        name = "log_loss"
    return name if searched.startswith("val_") and name in smooth(task) else None


def _naive(judged: Judged, train: Array) -> Judged:
    """Return what somebody would say who knows the training target and looks at no feature."""
    if not judged.task.is_classification:
        said: Array = np.full(len(judged.target), float(np.mean(train)))
    else:
        share = np.bincount(train, minlength=judged.prediction.shape[1]) / len(train)
        said = np.broadcast_to(share, judged.prediction.shape)
    return Judged(said, judged.target, judged.task, judged.variance, judged.threshold)


def _optimism(searched: tuple[str, float] | None, own: str | None, metrics: Mapping[str, Estimate]) -> Optimism | None:
    if searched is None:
        return None
    name, found = searched
    if own is None or own not in metrics:
        return Optimism(name, found)
    test = metrics[own]
    gap = found - test.value if DIRECTIONS[own] == "maximize" else test.value - found
    return Optimism(name, found, own, test, gap)


def _notes(
    judged: Judged, metrics: Mapping[str, Estimate], searched: tuple[str, float] | None, own: str | None
) -> tuple[str, ...]:
    notes, rows = [], len(judged.target)
    if rows < MIN_ROWS:
        notes.append(f"{rows} test rows are too few for most intervals")
    if judged.task.is_classification and "auc" not in metrics:
        notes.append("there is no AUC: all test rows are of one class")
    if not judged.task.is_classification and "r2" not in metrics:
        notes.append("there is no R2: the target is the same in all test rows")
    if searched is not None and own is None:
        notes.append(
            f"the searched metric {searched[0]} is not measured on the test rows, so nothing is said of optimism"
        )
    return tuple(notes)
