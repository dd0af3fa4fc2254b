"""What a user's objective looks like; the only module that `objectives/` and `spaces/` import.

An *objective* is one machine-learning problem in four stages:

    data -> preprocess -> learner (fit_epoch, evaluate, state) -> metrics

The full form is a class with these stages (`Objective`); the short form is a generator that yields its metrics each
epoch, marked with `@objective(...)`. Neither needs Ray, Optuna or a results folder, so both run in a unit test.
A *space* is a function of an Optuna trial; names are dotted by stage: `preprocess.scale`, `model.width`, `train.lr`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from search.trial import ParamValue

if TYPE_CHECKING:
    import numpy as np
    import optuna
    import pandas as pd

Params: TypeAlias = Mapping[str, ParamValue]
Direction: TypeAlias = Literal["minimize", "maximize"]
Space: TypeAlias = "Callable[[optuna.trial.Trial], object]"


class Task(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"

    @property
    def is_classification(self) -> bool:
        return self is not Task.REGRESSION


class Role(StrEnum):
    """What a column of a table is for; `search.data.roles` has the rules."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"  # two different values at most
    CATEGORY = "category"
    TEXT = "text"  # sentences
    DATE = "date"
    IDENTIFIER = "identifier"  # each row has a value of its own, which says nothing of the next row
    CONSTANT = "constant"  # one value, or none


@dataclass(frozen=True, slots=True)
class Metric:
    """A declared measure: its name, which way is better, and its unit (for people).

    The first metric of an objective is the one that is searched; values always keep their natural sign.
    """

    name: str
    direction: Direction
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """All rows of one problem, before any split.

    Attributes:
        name: For people.
        task: What is predicted.
        features: A table (one row per example; numbers, strings, missing values) or an array whose first axis is
            rows: images are (rows, channels, height, width), float32 in [0, 1] or uint8.
        target: (rows,): class indices 0..k-1 as int64, or float64 for regression.
        classes: The name of each class index; empty for regression.
    """

    name: str
    task: Task
    features: pd.DataFrame | np.ndarray[Any, Any]
    target: np.ndarray[Any, Any]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a data set, as one stage hands them to the next; same shapes as in `Dataset`."""

    features: Any
    target: np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What preprocessing made: train and validation rows, ready for a learner, and what was fitted on train."""

    train: Part
    validation: Part
    transform: object = None


class Source(Protocol):
    """Where data comes from: the user's `--data` and `--target`, or the objective's default."""

    def table(self, default: str) -> Dataset:
        """Load a table: `sklearn:NAME`, a CSV or a Parquet file."""

    def images(self, default: str) -> Dataset:
        """Load images: `sklearn:digits`, a folder `class/*.png`, or an `.npz` with `x` and `y`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage may know besides its parameters and its input.

    Attributes:
        seed: For all randomness of this stage; from (sweep seed, trial number, stage), but for `preprocess` from its
            parameters in place of the trial's number: trials with the same ones share what it makes.
        max_epochs: The longest training of the sweep, for learners that count in epochs.
        threads: CPU threads this trial may use.
        device: `cpu` or `cuda`. What `preprocess` makes on one is used on the other, too.
        task: What is predicted.
        classes: The names of the classes, by index.
        target_variance: Of a regression, the variance of its training target before any row was left out: the unit
            of a loss, so that it means the same for every preparation. 0 where nobody has reckoned it.
        roles: What each column of a table is for, judged by the training rows; empty where nobody has judged.
        micro_batches: Parts into which each batch is split, whose gradients are summed before a step: the batch, and so
            the training, stays what it is, and takes less memory at once. More than 1 after a GPU ran out of memory,
            and only for a learner that says it can, by an attribute `splits_batches = True`.
        precision: `float32`, or `bf16`: networks reckon in bfloat16 where it is safe (autocast); weights are float32.
        compiled: Whether networks are compiled (`torch.compile`).
        devices: GPUs of the trial that its learner trains on together.
    """

    seed: int = 0
    max_epochs: int = 27
    threads: int = 1
    device: str = "cpu"
    task: Task = Task.BINARY
    classes: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    target_variance: float = 0.0
    micro_batches: int = 1
    precision: str = "float32"
    compiled: bool = False
    devices: int = 1


class Replay(StrEnum):
    """The state of a learner that is neither arrays nor JSON: training is repeated from the same seed instead."""

    REPLAY = "replay"


REPLAY: Final = Replay.REPLAY


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that a learner needs to go on: arrays by name (weights, optimizer moments) and plain JSON."""

    arrays: Mapping[str, np.ndarray[Any, Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Learner(Protocol):
    """A model in training. The engine drives it one unit at a time.

    Attributes:
        budget: Units of a full training (epochs, batches of trees, folds), at least 1. The engine maps units onto
            the sweep's one scale of steps, so that trials of different families are compared like with like.
    """

    budget: int

    def fit_epoch(self) -> Mapping[str, float]:
        """Train one unit and return metrics of training (`train_loss`), or nothing."""

    def evaluate(self) -> Mapping[str, float]:
        """Measure the declared metrics on the validation rows, with frozen weights."""

    def state(self) -> State | Replay:
        """Return all that `load_state` needs to go on exactly here, or `REPLAY`."""

    def load_state(self, state: State) -> None:
        """Go on from `state`, which came from a learner built with the same parameters and seed."""


@runtime_checkable
class Predicting(Protocol):
    """A learner that shows what it predicts; one without this method has no confusion matrix and no residuals."""

    def predicted(self) -> np.ndarray[Any, Any]:
        """Return what the last `evaluate` predicted of the validation rows, in an array that nobody writes into.

        (rows, classes) probabilities, (rows,) indices of classes where there are none, or (rows,) values in units of
        the target. It is called where a step is the best so far: it should cost nothing.
        """


@runtime_checkable
class Telling(Protocol):
    """A learner that tells how its training went, besides its metrics; both are read when a run of its trial has ended.

    Attributes:
        gpu_idle: Share of the training time in which its GPU had nothing to do; None where nobody measured it.
        notes: What people should know, a sentence each.
    """

    gpu_idle: float | None
    notes: Sequence[str]


@runtime_checkable
class Closing(Protocol):
    """A learner that holds more than memory: processes, say, or open files."""

    def close(self) -> None:
        """Let go of it: the run of its trial has ended, also where that failed. Nothing is called after it."""


@runtime_checkable
class Incremental(Protocol):
    """A learner that can go on learning after its training, from rows as they come; others are trained anew.

    Its `state` is arrays and JSON, and holds all that the next `partial_fit` depends on.
    """

    def partial_fit(self, part: Part) -> None:
        """Learn from a few prepared rows, once; it may be called without end.

        Args:
            part: Of any number of rows, at least one; some classes may be missing.
        """

    def weights(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Return copies of its weights by name, as its objective exports them."""

    def load_weights(self, weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Go on from weights that `weights` returned, as a learner that is trained and has learnt no row since.

        Raises:
            Exception: They belong to another architecture.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """A trained model as others run it: two ONNX graphs, and what they have to agree with.

    Attributes:
        prepare: A serialized graph with an input per raw column that is read, named like it, of shape (rows, 1):
            float32 with NaN for a missing number, or strings with "" for a missing one. Of images, one input `image`:
            (rows, channels, height, width) float32 in [0, 1]. Its one output are the prepared features.
        model: A serialized graph from the prepared features, its one input, to its one output: (rows, classes) float32
            probabilities of all classes, or (rows, 1) float32 values in units of the target.
        predict: Returns what the trained pipeline itself says of raw rows, as (rows, classes) or (rows,).
        weights: Arrays of the trained model, by name, for whoever goes on training it; {} where it has none.
    """

    prepare: bytes
    model: bytes
    predict: Callable[[Any], np.ndarray[Any, Any]]
    weights: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


class NotExportable(ValueError):
    """Something trained has no counterpart in ONNX; the text says which step, and why."""


@runtime_checkable
class Exporting(Protocol):
    """An objective whose trained models can be promoted; one without this method is searched, and no more."""

    def export(self, learner: Any, prepared: Prepared, context: Context) -> Exported:
        """Return a trained learner as ONNX graphs.

        Args:
            learner: Of this objective, trained.
            prepared: That it was built with.
            context: That it was built with.

        Raises:
            NotExportable: A step has no counterpart.
        """


@runtime_checkable
class Foreseeing(Protocol):
    """An objective that knows from parameters alone what keeps its models from being exported."""

    def why_no_export(self, params: Params, train: Part, context: Context) -> Sequence[str]:
        """Return a sentence for each parameter that does, with its name and the reason; none where nothing is known.

        Args:
            params: All of a trial, by their whole names.
            train: Raw rows of the training.
            context: With the task and the roles of columns.
        """


@runtime_checkable
class Objective(Protocol):
    """One machine-learning problem, stage by stage. Each stage gets its own parameters, without the stage's prefix."""

    @property
    def space(self) -> Space | str:
        """The default search space; a class attribute will do."""

    def data(self, source: Source) -> Dataset:
        """Get all rows. The engine splits them and seals the test part: no stage is ever handed a test row."""

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        """Declare what `evaluate` measures; the first is searched. Gets the training rows only."""

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        """Prepare rows; whatever is fitted is fitted on `train`. Gets the parameters under `preprocess.`."""

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Learner:
        """Build the learner. Gets the parameters under `model.` and `train.`, with these prefixes."""

    def baseline(self, train: Part, validation: Part, context: Context) -> Mapping[str, float]:
        """Score a naive prediction (the most frequent class, the mean) on the declared metrics.

        An objective without this method has no baseline.
        """


@dataclass(frozen=True, slots=True)
class Run:
    """What the short form gets: all parameters, a seed, and how long it may train.

    Attributes:
        params: Every suggested parameter by its full name.
        seed: For all randomness of this trial.
        max_epochs: Yield at most this often; what comes later is not asked for.
        source: The user's data, or the default that is passed to it.
        precision, compiled, devices: As in `Context`; what they mean is the generator's to do.
    """

    params: Params
    seed: int
    max_epochs: int
    threads: int
    device: str
    source: Source
    precision: str = "float32"
    compiled: bool = False
    devices: int = 1

    @property
    def epochs(self) -> range:
        """1, 2, ... `max_epochs`."""
        return range(1, self.max_epochs + 1)


ShortForm: TypeAlias = Callable[[Run], Iterator[Mapping[str, float]]]
_Short = TypeVar("_Short", bound=ShortForm)


def objective(*, space: Space | str, metrics: Mapping[str, Direction]) -> Callable[[_Short], _Short]:
    """Mark a generator as an objective.

    Args:
        space: The default search space: a function of a trial, or a reference to one.
        metrics: The metrics it yields, and which way each is better; the first is searched.

    Example:
        >>> @objective(space=my_space, metrics={"val_loss": "minimize"})
        ... def digits(run):
        ...     for epoch in run.epochs:
        ...         yield {"val_loss": ...}
    """
    declared = tuple(Metric(name, direction) for name, direction in metrics.items())

    def mark(function: _Short) -> _Short:
        function.space = space  # type: ignore[attr-defined]
        function.declared_metrics = declared  # type: ignore[attr-defined]
        return function

    return mark
