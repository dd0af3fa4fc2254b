"""`SweepSearchCV` in the place of `GridSearchCV`: the same results, and what the study adds to them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import WilcoxonPruner
from optuna.trial import TrialState
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, ShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from search import SweepSearchCV
from tests.threads import one_thread

__all__ = ["one_thread"]

X, Y = load_iris(return_X_y=True)
ALPHAS = {"alpha": [0.1, 1.0]}
DEPTHS = {"decisiontreeclassifier__max_depth": [1, 3]}
KNOWN = {
    # what scikit-learn's own tests expect of GridSearchCV, too
    "check_supervised_y_2d": "a DataConversionWarning is not caught",
    "check_requires_y_none": "it does not fail gracefully",
}


@pytest.mark.parametrize(
    "search",
    [
        SweepSearchCV(Ridge(), ALPHAS, sampler="grid", cv=2, error_score="raise"),
        SweepSearchCV(RidgeClassifier(), ALPHAS, n_trials=2, random_state=0, cv=2, error_score="raise"),
    ],
    ids=["regressor", "classifier"],
)
def test_it_keeps_to_the_conventions_of_scikit_learn(search: SweepSearchCV) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some checks are made to warn
        checks = check_estimator(search, expected_failed_checks=KNOWN, on_skip=None, on_fail=None)
    failed = {check["check_name"]: check["exception"] for check in checks if check["status"] == "failed"}
    assert not failed
    assert len([check for check in checks if check["status"] == "passed"]) > 40


def same_but_for_times(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert list(ours) == list(theirs)
    for name, column in theirs.items():
        if not name.endswith("_time"):
            np.testing.assert_array_equal(np.ma.getmaskarray(ours[name]), np.ma.getmaskarray(column), err_msg=name)
            shown, wanted = (np.ma.filled(np.ma.asarray(one).astype(object), None) for one in (ours[name], column))
            np.testing.assert_equal([*shown], [*wanted], err_msg=name)


GROUPS = np.arange(len(Y)) % 7
SEVERAL = ["accuracy", "neg_log_loss"]
DROP_INS: dict[str, tuple[Any, Any, dict[str, Any], dict[str, Any]]] = {
    "one parameter": (KNeighborsClassifier(), {"n_neighbors": [1, 5, 3]}, {}, {}),
    "two parameters": (SVC(), {"kernel": ["rbf", "linear"], "C": np.logspace(-1, 1, 3)}, {}, {}),
    "several metrics": (KNeighborsClassifier(), {"n_neighbors": [3, 5]}, {"scoring": SEVERAL, "refit": "accuracy"}, {}),
    "no refit": (KNeighborsClassifier(), {"n_neighbors": [3, 5]}, {"scoring": SEVERAL, "refit": False}, {}),
    "refit by a function": (
        KNeighborsClassifier(),
        {"n_neighbors": [3, 5]},
        {"refit": lambda results: int(np.argmin(results["mean_test_score"]))},
        {},
    ),
    "train scores": (DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, {"return_train_score": True}, {}),
    "a pipeline": (make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)), DEPTHS, {}, {}),
    "steps of a pipeline": (
        Pipeline([("scale", StandardScaler()), ("knn", KNeighborsClassifier())]),
        {"scale": [StandardScaler(), MinMaxScaler(), "passthrough"], "knn__n_neighbors": [1, 3]},
        {},
        {},
    ),
    "several grids": (SVC(), [{"kernel": ["linear"], "C": [1, 2]}, {"kernel": ["rbf"], "gamma": [0.1, 1]}], {}, {}),
    "groups": (KNeighborsClassifier(), {"n_neighbors": [1, 3]}, {"cv": GroupKFold(3)}, {"groups": GROUPS}),
    "weights": (Ridge(), {"alpha": [0.1, 10.0]}, {"cv": 3}, {"sample_weight": np.linspace(0, 1, len(Y))}),
    "random splits": (KNeighborsClassifier(), {"n_neighbors": [1, 3]}, {"cv": ShuffleSplit(3, random_state=1)}, {}),
}


@pytest.mark.parametrize("case", DROP_INS)
def test_a_grid_comes_to_the_results_of_grid_search_cv(case: str) -> None:
    estimator, grid, options, given = DROP_INS[case]
    theirs = GridSearchCV(estimator, grid, **options).fit(X, Y, **given)
    ours = SweepSearchCV(estimator, grid, sampler="grid", **options).fit(X, Y, **given)
    same_but_for_times(ours.cv_results_, theirs.cv_results_)
    for name in ("best_index_", "best_params_", "best_score_", "multimetric_", "n_splits_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name
        assert str(getattr(ours, name, None)) == str(getattr(theirs, name, None)), name
    if options.get("refit", True):
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_metadata_is_routed_as_scikit_learn_does() -> None:
    with config_context(enable_metadata_routing=True):
        estimator = Ridge().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        given = {"groups": GROUPS, "sample_weight": np.linspace(0, 1, len(Y))}
        grid = {"alpha": [0.1, 10.0]}
        theirs = GridSearchCV(estimator, grid, cv=GroupKFold(3)).fit(X, Y, **given)
        ours = SweepSearchCV(estimator, grid, cv=GroupKFold(3), sampler="grid").fit(X, Y, **given)
    same_but_for_times(ours.cv_results_, theirs.cv_results_)


def test_values_that_are_equal_in_python_are_candidates_of_their_own() -> None:
    grid = {"n_neighbors": [1, True, np.int64(3)], "weights": ["uniform", "distance"]}
    search = SweepSearchCV(KNeighborsClassifier(), grid, sampler="grid", error_score=np.nan, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # True is no number of neighbours
        search.fit(X, Y)
    tried = [type(params["n_neighbors"]) for params in search.cv_results_["params"]]
    assert tried == [int, int, bool, bool, np.int64, np.int64]


class Fickle(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Scores `quality`, and fails where it is negative."""

    def __init__(self, quality: float = 0.0, noise: float = 0.0) -> None:
        self.quality = quality
        self.noise = noise

    def fit(self, X: Any, y: Any) -> Fickle:  # noqa: N803
        if self.quality < 0:
            raise ValueError("no quality")
        self.classes_ = np.unique(y)
        self.rows_ = len(X)
        return self

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        return self.quality + self.noise * float(np.sin(1000 * self.quality + X[0, 0]))


def own_score(estimator: Fickle, X: Any, y: Any) -> float:  # noqa: N803
    return estimator.score(X, y)


def quality(trial: Any) -> None:
    """Suggest how good a candidate is."""
    trial.suggest_float("quality", 0.0, 1.0)
    trial.suggest_float("noise", 0.0, 0.3)


@pytest.mark.parametrize("scoring", [None, {"own": own_score, "other": own_score}])
def test_pruned_candidates_have_nan_in_the_splits_that_were_not_run_and_rank_last(scoring: Any) -> None:
    search = SweepSearchCV(
        Fickle(), quality, scoring=scoring, refit="own", n_trials=30, pruner="wilcoxon", cv=6, random_state=3
    ).fit(X, Y)
    trials, results = search.study_.trials, search.cv_results_
    pruned = np.array([trial.state is TrialState.PRUNED for trial in trials])
    assert 0 < pruned.sum() < 30
    for name in ("own", "other") if scoring else ("score",):
        scores = np.array([results[f"split{split}_test_{name}"] for split in range(6)]).T
        for row, trial in zip(scores, trials, strict=True):
            assert [*row[np.isfinite(row)]] == [*trial.intermediate_values.values()], "of each split its own"
        np.testing.assert_array_equal(np.isnan(results[f"mean_test_{name}"]), pruned)
        np.testing.assert_array_equal(results[f"rank_test_{name}"] == max(results[f"rank_test_{name}"]), pruned)
    np.testing.assert_array_equal(np.isnan(results["mean_fit_time"]), pruned)
    assert not pruned[search.best_index_]


def test_wilcoxon_prunes_as_optunas_own_pruner_does_on_the_same_splits() -> None:
    search = SweepSearchCV(Fickle(), quality, n_trials=30, pruner="wilcoxon", cv=6, random_state=3).fit(X, Y)
    whole = SweepSearchCV(Fickle(), quality, n_trials=30, cv=6, random_state=3).fit(X, Y)
    assert [trial.params for trial in whole.study_.trials] == [trial.params for trial in search.study_.trials]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(direction="maximize", pruner=WilcoxonPruner(p_threshold=0.1))
    for row in range(30):
        trial = study.ask()
        scores = [whole.cv_results_[f"split{split}_test_score"][row] for split in range(6)]
        for split, score in enumerate(scores[:-1]):
            trial.report(score, split)
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            trial.report(scores[-1], 5)
            study.tell(trial, float(np.mean(scores)))
    assert [trial.state for trial in search.study_.trials] == [trial.state for trial in study.trials]


SPACES: dict[str, Any] = {
    "a function with dots": lambda trial: trial.suggest_float("clf.min_samples_split", 0.1, 0.9),
    "a function with underscores": lambda trial: trial.suggest_float("clf__min_samples_split", 0.1, 0.9),
    "distributions": {"clf__min_samples_split": FloatDistribution(0.1, 0.9)},
    "distributions and lists": {
        "clf__min_samples_split": FloatDistribution(0.1, 0.9, log=True),
        "clf__max_depth": IntDistribution(1, 9),
        "clf__criterion": ["gini", "entropy"],
        "clf__splitter": CategoricalDistribution(["best", "random"]),
    },
}


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("sampler", ["random", "tpe:n_startup_trials=2"])
def test_a_space_may_be_written_in_several_ways(kind: str, sampler: str) -> None:
    estimator = Pipeline([("scale", StandardScaler()), ("clf", DecisionTreeClassifier(random_state=0))])
    search = SweepSearchCV(estimator, SPACES[kind], n_trials=4, cv=2, sampler=sampler, random_state=0).fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    assert 0.1 <= search.best_estimator_[-1].min_samples_split <= 0.9
    again = SweepSearchCV(estimator, SPACES[kind], n_trials=4, cv=2, sampler=sampler, random_state=0).fit(X, Y)
    same_but_for_times(again.cv_results_, search.cv_results_)


def test_parameters_of_a_conditional_space_are_masked_where_they_are_not_suggested() -> None:
    def space(trial: Any) -> None:
        if trial.suggest_categorical("kernel", ["rbf", "linear"]) == "rbf":
            trial.suggest_float("gamma", 0.01, 1.0)

    results = SweepSearchCV(SVC(), space, n_trials=12, cv=2, random_state=0).fit(X, Y).cv_results_
    np.testing.assert_array_equal(results["param_gamma"].mask, results["param_kernel"] == "linear")


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_candidate_that_fails_is_nan_and_the_search_goes_on(sampler: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = SweepSearchCV(
            Fickle(), {"quality": FloatDistribution(-1, 1)}, n_trials=12, sampler=sampler, random_state=0
        )
        search.fit(X, Y)
    failed = np.array([params["quality"] < 0 for params in search.cv_results_["params"]])
    assert 0 < failed.sum() < 12
    np.testing.assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), failed)
    assert [trial.state is TrialState.FAIL for trial in search.study_.trials] == failed.tolist()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_of_which_every_fit_fails_says_so(sampler: str) -> None:
    search = SweepSearchCV(Fickle(), {"quality": FloatDistribution(-1, -0.5)}, n_trials=3, sampler=sampler)
    with pytest.raises(ValueError, match=r"All the .* fits failed"):
        search.fit(X, Y)


@pytest.mark.parametrize("how", [{}, {"pruner": "wilcoxon"}, {"sampler": "tpe"}, {"n_jobs": 2, "pruner": "wilcoxon"}])
def test_a_number_for_a_failed_fit_counts_however_candidates_are_batched(how: dict[str, Any]) -> None:
    grid = {"quality": [0.5, -0.5, 0.75, -0.75]}
    options: dict[str, Any] = {"cv": 3, "error_score": 0.25}
    given: dict[str, Any] = {"sampler": "grid", "n_trials": 4} | how
    with warnings.catch_warnings(), joblib.parallel_config("threading"):
        warnings.simplefilter("ignore")
        theirs = GridSearchCV(Fickle(), grid, **options).fit(X, Y).cv_results_
        ours = SweepSearchCV(Fickle(), grid, random_state=0, **options, **given).fit(X, Y)
    wanted = dict(zip(theirs["param_quality"], theirs["mean_test_score"], strict=True))
    found = dict(zip(ours.cv_results_["param_quality"], ours.cv_results_["mean_test_score"], strict=True))
    assert {0.25, 0.5} <= {*found.values()}
    assert found == {quality: wanted[quality] for quality in found}
    for trial in ours.study_.trials:
        assert (trial.state, trial.value) == (TrialState.COMPLETE, wanted[trial.params["quality"]])


def test_a_candidate_that_is_suggested_again_is_a_trial_and_no_row() -> None:
    search = SweepSearchCV(Fickle(), {"quality": [0.5, 0.75]}, n_trials=8, cv=2, random_state=0).fit(X, Y)
    assert len(search.study_.trials) == 8
    assert sorted(search.cv_results_["param_quality"]) == [0.5, 0.75]


def test_a_failing_fit_is_told_as_by_scikit_learn() -> None:
    search = SweepSearchCV(Fickle(), {"quality": [0.5, -0.5]}, sampler="grid")
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, Y)


def test_a_time_out_begins_no_candidate_after_it() -> None:
    search = SweepSearchCV(KNeighborsClassifier(), {"n_neighbors": IntDistribution(1, 9)}, cv=2, timeout=0.3).fit(X, Y)
    assert len(search.cv_results_["params"]) > 1
    with pytest.raises(ValueError, match="timeout=1e-06 s was over before a candidate began"):
        search.set_params(timeout=1e-6).fit(X, Y)


def nothing(trial: Any) -> None:
    """Suggest nothing."""


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no such parameter": ({"n_neighbours": [1]}, {}, "no parameter 'n_neighbours'; did you mean 'n_neighbors'"),
    "no such parameter of a function": (
        lambda trial: trial.suggest_int("neighbors", 1, 3),
        {},
        "no parameter 'neighbors'; did you mean 'n_neighbors'",
    ),
    "suggests nothing": (nothing, {}, "the space suggests no parameter"),
    "no grids": ([], {}, "space must have something to search, got"),
    "an empty list": ({"n_neighbors": []}, {}, "n_neighbors has no values"),
    "no list": ({"n_neighbors": 3}, {}, "n_neighbors must be a list of values or a distribution, got 3"),
    "text": ({"n_neighbors": "auto"}, {}, "n_neighbors must be a list"),
    "no such sampler": ({"n_neighbors": [1]}, {"sampler": "tpee"}, "unknown sampler 'tpee'; did you mean 'tpe'"),
    "no such option": ({"n_neighbors": [1]}, {"sampler": "tpe:seed=1"}, "no option 'seed'"),
    "no such pruner": ({"n_neighbors": [1]}, {"pruner": "wilcox"}, "unknown pruner 'wilcox'"),
    "too few splits to prune": ({"n_neighbors": [1]}, {"pruner": "wilcoxon", "cv": 2}, "wilcoxon cannot prune with 2"),
    "a pruner that lets trials rest": (
        {"n_neighbors": [1]},
        {"pruner": "asha:promote=true", "cv": 5},
        "promote lets trials rest",
    ),
    "a grid of a range": ({"p": FloatDistribution(1, 2)}, {"sampler": "grid"}, "grid needs a step for p"),
    "no such scorer": ({"n_neighbors": [1]}, {"scoring": "acuracy"}, "'scoring' parameter"),
    "no candidates": ({"n_neighbors": [1]}, {"n_trials": 0}, "'n_trials' parameter"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_search_is_told_in_a_sentence_before_anything_is_fitted(case: str) -> None:
    space, options, said = WRONG[case]
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        SweepSearchCV(KNeighborsClassifier(), space, **options).fit(X, Y)


def test_candidates_may_be_fitted_by_the_workers_of_ray(ray_session: None) -> None:
    grid = {"C": [0.1, 1.0, 10.0], "kernel": ["linear", "rbf"]}
    theirs = GridSearchCV(SVC(), grid, cv=3).fit(X, Y)
    ours = SweepSearchCV(SVC(), grid, sampler="grid", cv=3, address="local").fit(X, Y)
    same_but_for_times(ours.cv_results_, theirs.cv_results_)
    import ray

    assert ray.is_initialized(), "a Ray that was there before stays"
