"""Classification or regression on any table: the family of models is a parameter like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from search.contract import Context, Dataset, Exported, Learner, Metric, Params, Part, Prepared, Source, Space

from . import scoring
from .choices import Preprocessing, Transformers, check_own
from .params import read_choice
from .preprocess import prepare

FAMILIES: Final = ("linear", "forest", "boosting", "mlp", "residual")


class Tabular:
    """Predict a column of a table from its other columns: numbers, text, dates, missing values.

    Attributes:
        transformers: A subclass's own choices, `{"preprocess.scale": {"log": make}}`: `make(context)` returns a fresh
            scikit-learn transformer, and a space may then suggest `log` for `preprocess.scale`.
    """

    space: Space | str = "tabular"
    transformers: Transformers = MappingProxyType({})

    def data(self, source: Source) -> Dataset:
        """Load the user's table, or a small real one."""
        return source.table("sklearn:breast_cancer")

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        """Declare the log loss, or the squared error in units of the target's variance, and what people read beside.

        Raises:
            ValueError: `transformers` has an entry where none can stand; better told now than by every trial.
        """
        check_own(self.transformers)
        return scoring.CLASSIFICATION if dataset.task.is_classification else scoring.REGRESSION

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        """Clean, scale, whiten and encode, fitted on the training rows; some of these may be left out."""
        choices = Preprocessing.of(params, self.transformers)
        return prepare(choices, train, validation, context, self.transformers)

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Learner:
        """Build the learner of the family that `model.family` names.

        Raises:
            ValueError: The family needs values where the prepared features have none.
        """
        family = read_choice(params, "model.family", FAMILIES, "boosting")
        if family != "boosting" and np.isnan(prepared.train.features).any():
            raise ValueError(f"the {family} family needs preprocess.impute: the table has missing values")
        # A family is imported when it is chosen: trees must not wait for torch.
        match family:
            case "linear":
                from .models import linear

                return linear.learner(params, prepared, context)
            case "forest":
                from .models import forest

                return forest.learner(params, prepared, context)
            case "boosting":
                from .models import boosting

                return boosting.learner(params, prepared, context)
            case _:
                from .models import mlp

                return mlp.learner(params, prepared, context, skip=family == "residual")

    def export(self, learner: Any, prepared: Prepared, context: Context) -> Exported:
        """Return what was fitted and trained as two ONNX graphs.

        Raises:
            NotExportable: A step has no counterpart in ONNX; `exports.py` lists them.
        """
        from .exporting import exported

        return exported(learner, prepared.transform)

    def why_no_export(self, params: Params, train: Part, context: Context) -> Sequence[str]:
        """Name the choices that concern a column of this table and that no ONNX graph repeats."""
        from .exports import concerning, why_not

        return list(why_not(concerning(params, train.features, context.roles.values())))

    def baseline(self, train: Part, validation: Part, context: Context) -> Mapping[str, float]:
        """Score the class frequencies, or the mean, of the training rows."""
        return scoring.naive(train, validation, context)
