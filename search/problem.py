"""The first stage, done once per process: an objective together with its data, got and split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, cast, runtime_checkable

import numpy as np

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
    Prepared,
    Replay,
    Role,
    Run,
    ShortForm,
    Source,
    State,
    Task,
)
from search.data.fingerprint import fingerprint
from search.data.folding import Fold
from search.data.roles import roles_of
from search.data.scheme import Scheme
from search.data.splits import Split, split
from search.errors import InputError

if TYPE_CHECKING:
    from search.prepared import Preparations
    from search.trial import Reuse


_AUTO: Final = Scheme()


@runtime_checkable
class SelfSuggesting(Protocol):
    """An objective that suggests its parameters, trains and reports by itself; it has no stages.

    Attributes:
        suggests_itself: True.
        searched: What it returns, a metric for each value.
    """

    suggests_itself: bool
    searched: tuple[Metric, ...]

    def trial_run(self, spec: Any, setting: Any, session: Any, *, told: Any, resumed: bool) -> Any:
        """Return a run of one trial, as `search.running.Run`."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What trials see of a data set, and by what it is known.

    Attributes:
        name: For people.
        folds: Of a cross-validation over the two parts; empty for none.
        data_hash: Fingerprint of the whole data set.
        split_hash: Of which rows are train, validation and test, and of the folds.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    train: Part
    validation: Part
    folds: tuple[Fold, ...]
    data_hash: str
    split_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """An objective with its data.

    Attributes:
        stages: The objective, or a short form made to look like one.
        metrics: As declared; the first is searched by default.
        train, validation: What the stages get. The test rows stay out.
        dataset: All rows, for descriptions; no stage after `data` ever sees it, and no worker has it.
        split: Which rows belong where; None where they came split.
        roles: What each column is for, by the training rows.
        target_variance: Of the training rows of a regression; 0 for classes, or where the target does not vary.
        folds: Of a cross-validation over the two parts; empty for none.
        data_hash: Fingerprint of the data; "" when the objective gets its own.
        split_hash: Of which rows are train, validation and test, and of the folds.
        rows: Which of them these are, where they are not all: a hash of the fold.
        preparations: What the preprocess stage made before; None to make all anew.
    """

    stages: Objective | Short | SelfSuggesting
    metrics: tuple[Metric, ...]
    source: Source
    train: Part
    validation: Part
    dataset: Dataset | None = None
    split: Split | None = None
    task: Task = Task.REGRESSION
    classes: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    target_variance: float = 0.0
    folds: tuple[Fold, ...] = ()
    data_hash: str = ""
    split_hash: str = ""
    rows: str = ""
    preparations: Preparations | None = None

    def prepared(self, params: Params, context: Context) -> tuple[Prepared, Reuse | None]:
        """Run the preprocess stage, or return what it made before of the same rows with the same parameters.

        Args:
            params: Of the stage, without their prefix.
            context: Of the stage.

        Returns:
            The prepared rows, and how they came about; None where nothing is kept.
        """

        def make() -> Prepared:
            return self.stages.preprocess(params, self.train, self.validation, context)  # type: ignore[union-attr]

        if self.preparations is None:
            return make(), None
        return self.preparations.get(params, context, make, rows=self.rows)


def open_problem(objective: object, source: Source, *, seed: int, scheme: Scheme = _AUTO) -> Problem:
    """Get the data of an objective and split it by the sweep's seed; the test part is left sealed.

    Raises:
        InputError: The data is wrong, or the objective has neither form.
    """
    if hasattr(objective, "declared_metrics"):
        return open_short(objective, source)
    if isinstance(objective, SelfSuggesting):
        nothing = Part(None, cast("Any", None))
        return Problem(objective, objective.searched, source, nothing, nothing)
    if not is_objective(objective):
        raise InputError(f"{objective!r} is no objective: it takes {RULE['objective']}", field="objective")
    dataset = cast("Objective", objective).data(source)
    made = split(dataset, seed=seed, scheme=scheme)
    train, validation = made.parts(dataset)
    known = fingerprint(dataset), made.digest()
    seen = Seen(dataset.name, dataset.task, dataset.classes, train, validation, made.folds, *known)
    return replace(problem_of(objective, source, seen), dataset=dataset, split=made)


def open_short(objective: object, source: Source) -> Problem:
    """Return an objective in the short form, which gets its own data, as a problem."""
    short = Short(cast("ShortForm", objective))
    nothing = Part(None, cast("Any", None))
    return Problem(short, short.metrics, source, nothing, nothing)


def problem_of(objective: object, source: Source, seen: Seen) -> Problem:
    """Return an objective with data that was got and split before."""
    stages, train = cast("Objective", objective), seen.train
    shown = Dataset(seen.name, seen.task, train.features, train.target, seen.classes)
    return Problem(
        stages,
        tuple(stages.metrics(shown)),
        source,
        train,
        seen.validation,
        task=seen.task,
        classes=seen.classes,
        roles={} if isinstance(train.features, np.ndarray) else roles_of(train.features),
        target_variance=variance_of(train, seen.task),
        folds=seen.folds,
        data_hash=seen.data_hash,
        split_hash=seen.split_hash,
    )


def variance_of(train: Part, task: Task) -> float:
    """Return the variance of a regression's training target; 0 for classes."""
    return 0.0 if task.is_classification else float(np.var(train.target))


class Short:
    """The short form, a generator of metrics, as an objective with one stage."""

    def __init__(self, function: ShortForm) -> None:
        self._function = function
        self.metrics: tuple[Metric, ...] = function.declared_metrics  # type: ignore[attr-defined]

    def learner(self, params: Params, problem: Problem, context: Context) -> Learner:
        given = (params, context.seed, context.max_epochs, context.threads, context.device, problem.source)
        run = Run(*given, context.precision, context.compiled, context.devices)
        return _Yielding(self._function(run), getattr(self._function, "budget", None) or context.max_epochs)


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
