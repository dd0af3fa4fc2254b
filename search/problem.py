"""The first stage, done once per process: an objective together with its data, got and split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from search.candidates import RULE, is_objective
from search.contract import (
    REPLAY,
    Context,
    Dataset,
    Learner,
    Metric,
    Objective,
    Params,
    Part,
    Replay,
    Run,
    ShortForm,
    Source,
    State,
    Task,
)
from search.data.splits import split
from search.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """An objective with its data.

    Attributes:
        stages: The objective, or a short form made to look like one.
        metrics: As declared; the first is searched by default.
        dataset: All rows, for descriptions and fingerprints; no stage after `data` ever sees it.
        train, validation: What the stages get. The test rows stay out.
    """

    stages: Objective | Short
    metrics: tuple[Metric, ...]
    source: Source
    train: Part
    validation: Part
    dataset: Dataset | None = None
    task: Task = Task.REGRESSION
    classes: tuple[str, ...] = ()


def open_problem(objective: object, source: Source, *, seed: int) -> Problem:
    """Get the data of an objective and split it by the sweep's seed; the test part is left sealed.

    Raises:
        InputError: The data is wrong, or the objective has neither form.
    """
    if hasattr(objective, "declared_metrics"):
        short = Short(cast("ShortForm", objective))
        nothing = Part(None, cast("Any", None))
        return Problem(short, short.metrics, source, nothing, nothing)
    if not is_objective(objective):
        raise InputError(f"{objective!r} is no objective: it takes {RULE['objective']}", field="objective")
    stages = cast("Objective", objective)
    dataset = stages.data(source)
    train, validation = split(dataset, seed=seed).parts(dataset)
    metrics = tuple(stages.metrics(replace(dataset, features=train.features, target=train.target)))
    return Problem(stages, metrics, source, train, validation, dataset, dataset.task, dataset.classes)


class Short:
    """The short form, a generator of metrics, as an objective with one stage."""

    def __init__(self, function: ShortForm) -> None:
        self._function = function
        self.metrics: tuple[Metric, ...] = function.declared_metrics  # type: ignore[attr-defined]

    def learner(self, params: Params, problem: Problem, context: Context) -> Learner:
        run = Run(params, context.seed, context.max_epochs, context.threads, context.device, problem.source)
        return _Yielding(self._function(run), context.max_epochs)


class _Yielding:
    """A generator as a learner: one unit is one `yield`; it ends when the generator does."""

    def __init__(self, steps: Iterator[Mapping[str, float]], budget: int) -> None:
        if not hasattr(steps, "__next__"):
            raise InputError(f"an objective in the short form must yield its metrics, it returned {steps!r:.80}")
        self._steps = steps
        self._metrics: Mapping[str, float] = {}
        self.budget = budget

    def fit_epoch(self) -> Mapping[str, float]:
        self._metrics = next(self._steps)
        if not isinstance(self._metrics, Mapping):
            raise TypeError(f"yield a dict of metrics such as {{'val_loss': 0.5}}, got {self._metrics!r:.80}")
        return {}

    def evaluate(self) -> Mapping[str, float]:
        return self._metrics

    def state(self) -> State | Replay:
        return REPLAY

    def load_state(self, state: State) -> None:
        raise AssertionError(f"a generator is replayed, never loaded: {state}")
