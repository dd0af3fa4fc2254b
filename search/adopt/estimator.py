"""An estimator of scikit-learn's, with a space beside it, as an objective of ours: the `EstimatorObjective`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from search.adopt.arguments import the_argument
from search.contract import Context, Dataset, Exported, Learner, Metric, Params, Part, Prepared, Source, Space, Task
from search.errors import InputError

if TYPE_CHECKING:
    from search.adopt.scorers import Scorer


def is_candidate(name: str, value: Any) -> bool:  # noqa: ARG001 - the interface of all kinds
    """Tell whether a module's own value is an estimator that predicts: a scaler in a file is none to sweep."""
    return _is_estimator(value) and (hasattr(value, "predict") or not callable(getattr(value, "transform", None)))


def adopt(value: Any, module: ModuleType) -> EstimatorObjective | None:
    """Return an estimator as an objective; None if it is none.

    Raises:
        InputError: It cannot be fitted.
    """
    if not _is_estimator(value):
        return None
    if not callable(getattr(value, "fit", None)):
        raise InputError(
            f"{type(value).__name__} has no fit: it is no estimator that can be trained", field="objective"
        )
    held = vars(module).items()
    names = [name for name, one in held if one is value] or [name for name, one in held if one is type(value)]
    return EstimatorObjective(value, module, names[0] if names else "")


def _is_estimator(value: Any) -> bool:
    methods = ("get_params", "set_params")
    return not inspect.isclass(value) and all(callable(getattr(value, one, None)) for one in methods)


@dataclass(frozen=True, slots=True, eq=False)
class EstimatorObjective:
    """An estimator or a pipeline in our full form; its parameters are what `set_params` takes.

    Attributes:
        estimator: As the user made it; each trial trains a copy.
        module: It stands in, with its space beside it.
        name: It has there.
        asked: The metrics that are searched; () for its own.
        at_once: Whether each training is one unit.
    """

    estimator: Any
    module: ModuleType
    name: str
    asked: tuple[Scorer, ...] = ()
    at_once: bool = False

    def searching(self, names: Sequence[str], directions: Sequence[str]) -> EstimatorObjective:
        """Return the same objective, measuring these scorers first.

        Raises:
            InputError: scikit-learn has no such scorer, or one is named twice.
        """
        from search.adopt.scorers import scorer_of

        asked = [scorer_of(name) for name in names]
        for one, name in zip(asked, names, strict=True):
            if asked.count(one) > 1:
                raise InputError(f"--metric {name} is given twice", field="--metric", hint="give each metric once")
        if len(directions) == len(asked):
            asked = [replace(one, direction=cast("Any", way)) for one, way in zip(asked, directions, strict=True)]
        return replace(self, asked=tuple(asked))

    @staticmethod
    def named(names: Sequence[str]) -> tuple[str, ...]:
        """Return the metrics of these scorers by the names that are reported.

        Raises:
            InputError: scikit-learn has no such scorer.
        """
        from search.adopt.scorers import scorer_of

        return tuple(scorer_of(name).metric.name for name in names)

    def whole(self) -> EstimatorObjective:
        """Return the same objective for a fold, which is fitted at once."""
        return replace(self, at_once=True)

    @property
    def space(self) -> Space:
        """`NAME_space` of its module, or the only function of a trial there.

        Raises:
            InputError: There is none, or more than one.
        """
        own = getattr(self.module, f"{self.name}_space", None)
        if callable(own):
            return cast("Space", own)
        found = {name: one for name, one in vars(self.module).items() if _is_space(one, self.module)}
        if len(found) == 1:
            return cast("Space", next(iter(found.values())))
        said = f"{len(found)} search spaces ({', '.join(found)})" if found else "no search space"
        raise InputError(
            f"{self.module.__name__.rpartition('.')[2]} holds {said} for {self.name or 'the estimator'}",
            field="space",
            hint=f"write def {self.name or 'model'}_space(trial), or pass --space",
        )

    def check_choices(self, parameters: Iterable[str], data: str | None) -> None:
        """Check, before anything runs, that there is data and that the estimator has what a space suggests.

        Args:
            parameters: Names of all that the space suggests.
            data: Reference of the user's.

        Raises:
            InputError: There is no data or no parameter, or the estimator lacks one.
        """
        from search.adopt.estimator_params import check_names

        if data is None:
            said = f"{type(self.estimator).__name__} brings no data"
            raise InputError(said, field="--data", hint="give --data FILE --target COLUMN")
        given = tuple(parameters)
        if not given:
            raise InputError("the space suggests no parameter", field="space", hint="trial.suggest_float(...) does")
        for name in given:
            if name.startswith("preprocess."):  # a stage of ours, which an estimator has none of
                raise InputError(f"{name} is no parameter here", field=name, hint=f"write {name.replace('.', '__')}")
        check_names(given, self.estimator)

    def data(self, source: Source) -> Dataset:
        """Load the user's table.

        Raises:
            InputError: The estimator cannot learn its target, or cannot take its columns.
        """
        dataset = source.table("")
        self._check_task(dataset)
        self._check_columns(dataset)
        return dataset

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        """Declare what is searched, then accuracy and log loss, or R2 and the root of the mean squared error.

        Raises:
            InputError: What is searched cannot score this target, or this estimator.
        """
        from search.adopt import scorers

        for one in self.asked:
            scorers.check(one, self.estimator, dataset)
        return [one.metric for one in self._measured(dataset.task)]

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:  # noqa: ARG002
        """Hand the rows on as they are: a pipeline has its own steps."""
        return Prepared(train, validation)

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Learner:
        """Build a copy of the estimator with a trial's parameters; what is random in it is seeded."""
        from search.adopt.estimator_learner import EstimatorLearner
        from search.adopt.estimator_params import with_params

        made = with_params(self.estimator, params, seed=context.seed % 2**32, threads=context.threads)
        return EstimatorLearner(made, self._measured(context.task), prepared, context, whole=self.at_once)

    def export(self, learner: Any, prepared: Prepared, context: Context) -> Exported:
        """Return a trained estimator as two ONNX graphs.

        Raises:
            NotExportable: A step has no converter, or the classifier gives no probabilities.
        """
        from search.adopt.estimator_export import exported

        head, last = learner.trained()
        return exported(head, last, prepared.train.features, context)

    def baseline(self, train: Part, validation: Part, context: Context) -> Mapping[str, float]:
        """Score the class frequencies, or the mean, of the training rows.

        Raises:
            InputError: What is searched has no value on these rows, since a class is missing there.
        """
        from search.adopt import scorers

        naive, measured = scorers.guess(context.task, train.target), self._measured(context.task)
        classes = len(context.classes)
        scores = scorers.measure(measured, naive, validation.features, validation.target, classes)
        for one in self.asked:
            if math.isnan(scores[one.metric.name]) and len(set(validation.target.tolist())) < classes:
                raise InputError(
                    f"{one.name} is not defined on validation rows without some class",
                    field="--metric",
                    hint="try --metric neg_log_loss, or another --split or --folds",
                )
        return scores

    def _measured(self, task: Task) -> list[Scorer]:
        from search.adopt.scorers import defaults_for

        known = {one.name for one in self.asked}
        return [*self.asked, *(one for one in defaults_for(task, self.estimator) if one.name not in known)]

    def _check_task(self, dataset: Dataset) -> None:
        from sklearn.base import is_classifier, is_regressor

        kind = type(self.estimator).__name__
        is_one = {True: is_classifier, False: is_regressor}
        wanted = dataset.task.is_classification
        if is_one[wanted](self.estimator):
            return
        if not is_one[not wanted](self.estimator):
            raise InputError(f"{kind} is neither a classifier nor a regressor", field="objective")
        target, other = ("classes", "regression") if wanted else ("numbers", "classification")
        is_what = "regressor" if wanted else "classifier"
        raise InputError(
            f"{kind} is a {is_what}, and the target of {dataset.name} is {target}",
            field="--target",
            hint=f"name the data as in 'FILE?task={other}', or take another estimator",
        )

    def _check_columns(self, dataset: Dataset) -> None:
        """Refuse text and gaps that scikit-learn's own estimators take only behind other steps."""
        features: Any = dataset.features
        if not hasattr(features, "columns") or not type(self.estimator).__module__.startswith("sklearn."):
            return
        from sklearn.pipeline import Pipeline
        from sklearn.utils import get_tags

        parts = [self.estimator, *self.estimator.get_params(deep=True).values()]
        if any(isinstance(one, Pipeline) for one in parts):
            return
        kind, hint = type(self.estimator).__name__, "put it into a Pipeline behind {}, or run tabular"
        text = [name for name, one in features.items() if one.dtype.kind not in "biuf"]
        if text:
            raise InputError(
                f"{kind} takes no text, as in column {text[0]!r}", field="data", hint=hint.format("an encoder")
            )
        gaps = [name for name, one in features.items() if one.isna().any()]
        if gaps and not get_tags(self.estimator).input_tags.allow_nan:
            said = f"{kind} takes no missing values, as in column {gaps[0]!r}"
            raise InputError(said, field="data", hint=hint.format("SimpleImputer"))


def _is_space(value: Any, module: ModuleType) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__ and the_argument(value) == "trial"
