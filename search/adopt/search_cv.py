"""`SweepSearchCV`: a search in the place of scikit-learn's `GridSearchCV`, suggested and pruned by a study."""

from __future__ import annotations

import contextlib
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import joblib  # type: ignore[import-untyped]
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from search.adopt.estimator_params import check_names, names_of
from search.adopt.search_cv_results import SplitResults
from search.adopt.search_cv_space import read_space
from search.adopt.search_cv_trials import SearchTrials, Wanted
from search.errors import InputError

_ALL: Final = 2**31
_MAX_SEED: Final = 2**31 - 1


class SweepSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Search the parameters of an estimator with cross-validation, in this process or on Ray.

    A drop-in for `GridSearchCV`: `cv_results_`, `best_params_`, `best_estimator_`, scoring, groups, metadata and refit
    are scikit-learn's own. Suggestions and pruning between splits are those of `sweep run`. A candidate that is pruned
    has nan in the splits that were not run, and ranks last.

    Args:
        estimator: Is cloned.
        space: A function of an Optuna trial, a dict of lists or of Optuna's distributions, or a list of dicts of lists.
        n_trials: Trials of `study_`; None for every point of a grid, for as many as begin within `timeout`, or else
            for 20. A candidate that is suggested again counts, and has no second row in `cv_results_`.
        scoring: As in `GridSearchCV`. Of several metrics the one that `refit` names is searched, else the first.
        n_jobs: Fits at a time. A sampler that learns, and a pruner, see so many candidates at once.
        refit: As in `GridSearchCV`, like `cv`, `verbose`, `pre_dispatch`, `error_score` and `return_train_score`.
        sampler: With options as in `tpe:multivariate=true`. `grid` tries every point.
        pruner: `none`, or a rule with options as in `wilcoxon:p_threshold=0.2`; asked after each split but the last.
        random_state: Of the suggestions; the estimator has its own.
        timeout: Seconds after which no candidate begins.
        address: Of the Ray whose workers fit: `HOST:PORT`, `auto`, or `local` for one that is started on this
            machine and ended afterwards. None is this process, and joblib as usual.

    Attributes:
        study_: The Optuna study of the search, in memory.

    Example:
        >>> search = SweepSearchCV(SVC(), {"C": [1, 10], "kernel": ["rbf", "linear"]}, sampler="grid").fit(X, y)
        >>> search.best_params_
    """

    n_splits_: int
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "space": [callable, dict, list, tuple],
        "n_trials": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "sampler": [str],
        "pruner": [str],
        "random_state": ["random_state"],
        "timeout": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "address": [str, None],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        space: Callable[[Any], object] | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_trials: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        sampler: str = "random",
        pruner: str = "none",
        random_state: Any = None,
        timeout: float | None = None,
        address: str | None = None,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n_trials = n_trials
        self.sampler = sampler
        self.pruner = pruner
        self.random_state = random_state
        self.timeout = timeout
        self.address = address

    def fit(self, X: Any, y: Any = None, **params: Any) -> SweepSearchCV:  # noqa: N803 - scikit-learn's names
        """Search, and fit the best candidate on all rows; arguments as those of `GridSearchCV.fit`.

        Raises:
            ValueError: A choice of the search is wrong.
            SurroundingsError: No Ray answers at `address`.
        """
        with self._workers():
            return super().fit(X, y, **params)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def _workers(self) -> Iterator[None]:
        """Have the fits run where the user wants them."""
        if self.address is None:
            yield
            return
        from search.tuner.pool import ray_jobs  # which imports Ray

        with ray_jobs(self.address, n_jobs=self.n_jobs):
            yield

    def _run_search(self, evaluate_candidates: Callable[..., Any]) -> None:
        """Evaluate candidates in batches, for as long as the study has any; scikit-learn calls it from `fit`."""
        splits: int = self.n_splits_
        random = check_random_state(self.random_state)
        wanted = Wanted(self.sampler, self.pruner, self.n_trials, self.timeout, int(random.randint(_MAX_SEED)))
        try:
            space = read_space(self.space, names_of(self.estimator))
            trials = SearchTrials(space, wanted, splits=splits)
            check_names(space.names(trials.parameters), self.estimator)
        except InputError as fault:
            raise ValueError(fault.sentence()) from fault
        results = self._results = SplitResults(self._checked_cv_orig, splits, self.error_score)
        most = _ALL if trials.independent else max(1, joblib.effective_n_jobs(self.n_jobs))
        together = [[number] for number in range(splits)] if trials.prunes else [[*range(splits)]]
        try:
            while batch := trials.ask(most):
                going = {trial: results.add(space.candidate(trial.params)) for trial in batch}
                for these in together:
                    self.n_splits_ = len(these)  # which the evaluation compares with what it is handed
                    rows = [*going.values()]
                    results.evaluate(evaluate_candidates, rows, these)
                    for trial, row in [*going.items()]:
                        if not all(trials.report(trial, results.score(row, one, self.refit)) for one in these):
                            del going[trial]
                    if not going:
                        break
                for trial in going:
                    trials.complete(trial)
            if results.is_empty:
                raise ValueError(f"timeout={self.timeout} s was over before a candidate began; give it more")
        finally:
            self.n_splits_ = splits
            del self._results
        trials.finish()
        self.study_ = trials.study
        results.raise_if_nothing_was_fitted()
        with warnings.catch_warnings():
            if not results.failed:  # what pruning left out is no failure
                warnings.filterwarnings("ignore", "One or more of the (test|train) scores are non-finite")
            results.columns.update(super()._format_results(results.candidates, splits, results.table()))

    def _format_results(
        self,
        candidate_params: Any,  # noqa: ARG002 - scikit-learn's interface
        n_splits: int,  # noqa: ARG002
        out: Any,
        more_results: Any = None,  # noqa: ARG002
    ) -> Any:
        """Take in what a batch came to; scikit-learn calls it after each, and keeps what the last call returned."""
        self._results.take(out)
        return self._results.columns
