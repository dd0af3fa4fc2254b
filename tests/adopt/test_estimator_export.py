"""Rules of exporting scikit-learn's estimators: a bundle says what they say, or says which step has no counterpart."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from search.adopt.estimator import EstimatorObjective
from search.contract import Context, Exporting, NotExportable, Part, Task
from tests.promote.bundled import Bundled, bundled, classes_of, exported
from tests.threads import one_thread

__all__ = ["one_thread"]

NUMBERS = ["a b", "größe", "n"]


def table(rows: int, seed: int, *, texts: bool, gaps: bool) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    found = pd.DataFrame(random.normal(size=(rows, 3)), columns=NUMBERS)
    found["n"] = np.round(found.n * 3)
    if gaps:
        found.loc[::9, "größe"] = np.nan
    if texts:
        found["town.x"] = pd.array(random.choice(["Ulm", "Köln", "a,b"], rows), dtype=pd.StringDtype(na_value=np.nan))
        if gaps:
            found.loc[::7, "town.x"] = np.nan
    return found


def target(features: pd.DataFrame, task: Task) -> Any:
    signal = features["a b"].to_numpy() + features["n"].to_numpy()
    if task is Task.REGRESSION:
        return signal * 50 + 300
    return np.digitize(signal, [0.0] if task is Task.BINARY else [-1.0, 1.0])


def promoted(estimator: Any, task: Task, *, texts: bool = False, gaps: bool = False) -> tuple[Bundled, Any]:
    features = table(200, 1, texts=texts, gaps=gaps)
    part = Part(features, target(features, task))
    context = Context(task=task, classes=classes_of(task), seed=1, max_epochs=3)
    objective = EstimatorObjective(estimator, ModuleType("mine"), "model")
    assert isinstance(objective, Exporting)
    made = exported(objective, {}, part, part, context)
    return bundled([made], part, context), table(60, 2, texts=texts, gaps=gaps)


def columns(*, impute: bool) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler()) if impute else StandardScaler()
    return ColumnTransformer([("n", numbers, NUMBERS), ("t", OneHotEncoder(handle_unknown="ignore"), ["town.x"])])


CASES = {
    "logistic": (make_pipeline(StandardScaler(), LogisticRegression()), Task.MULTICLASS, {}),
    "bare": (Ridge(), Task.REGRESSION, {}),
    "forest": (RandomForestClassifier(n_estimators=5), Task.BINARY, {}),
    "boosting": (HistGradientBoostingClassifier(max_iter=5), Task.MULTICLASS, {"gaps": True}),
    "boosted numbers": (HistGradientBoostingRegressor(max_iter=5), Task.REGRESSION, {"gaps": True}),
    "old boosting": (make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=5)), Task.REGRESSION, {}),
    "bayes": (GaussianNB(), Task.BINARY, {}),
    "network": (
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=3)),
        Task.REGRESSION,
        {},
    ),
    "columns": (make_pipeline(columns(impute=False), LogisticRegression()), Task.BINARY, {"texts": True}),
    "gaps": (make_pipeline(columns(impute=True), LogisticRegression()), Task.BINARY, {"texts": True, "gaps": True}),
    "filled texts": (
        make_pipeline(
            ColumnTransformer(
                [
                    ("n", SimpleImputer(), NUMBERS),
                    (
                        "t",
                        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                        ["town.x"],
                    ),
                ]
            ),
            LogisticRegression(),
        ),
        Task.BINARY,
        {"texts": True, "gaps": True},
    ),
    "some columns": (
        make_pipeline(ColumnTransformer([("n", "passthrough", ["n", "a b"])]), LogisticRegression()),
        Task.BINARY,
        {"texts": True},
    ),
    "selected": (
        make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector("town")),
                remainder="passthrough",
            ),
            LogisticRegression(),
        ),
        Task.MULTICLASS,
        {"texts": True},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_estimator_says_the_same_in_a_bundle(case: str) -> None:
    estimator, task, options = CASES[case]
    found, rows = promoted(estimator, task, **options)
    compared = found.compared(rows)
    assert compared.worst < 1e-4
    assert compared.kinds["as they are"].rows == len(rows)


@pytest.mark.parametrize(
    ("column", "value", "said"), [("town.x", "", "empty texts"), ("a b", 1e39, "numbers beyond float32")]
)
def test_what_a_bundle_takes_for_missing_is_no_value_of_a_training(column: str, value: Any, said: str) -> None:
    features = table(60, 1, texts=True, gaps=True)
    labels = target(features, Task.BINARY)
    features[column] = features[column].astype(object if value == "" else float)
    features.loc[3, column] = value
    part, context = Part(features, labels), Context(task=Task.BINARY, classes=("no", "yes"), seed=1, max_epochs=3)
    trees = HistGradientBoostingClassifier(max_iter=2)
    numbers = ColumnTransformer([("t", OneHotEncoder(sparse_output=False), ["town.x"])], remainder="passthrough")
    objective = EstimatorObjective(make_pipeline(numbers, trees), ModuleType("mine"), "model")
    with pytest.raises(NotExportable, match=f"column '{column}' was trained with {said}"):
        exported(objective, {}, part, part, context)


class Mine(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, features: Any, y: object = None) -> Mine:
        self.n_features_in_ = features.shape[1]
        return self

    def transform(self, features: Any) -> Any:
        return features * 2


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (make_pipeline(StandardScaler(), LinearSVC()), "LinearSVC gives no probabilities"),
        (make_pipeline(Mine(), LogisticRegression()), r"no converter of Mine \(step 'mine'\)"),
        (
            Pipeline([("f", FunctionTransformer(np.abs)), ("last", LogisticRegression())]),
            r"cannot convert FunctionTransformer \(step 'f'\): .*identity\)\. You may \.\.\.$",
        ),
        (LGBMClassifier(n_estimators=2, verbose=-1), "no converter of LGBMClassifier$"),
    ],
)
def test_a_step_without_a_counterpart_is_named(estimator: Any, said: str) -> None:
    with pytest.raises(NotExportable, match=said) as caught:
        promoted(estimator, Task.BINARY)
    assert len(str(caught.value)) < 200
