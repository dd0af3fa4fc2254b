"""An objective whose preprocessing takes most of a trial: quantile transform and whitening, of eight kinds.

What keeps it is the arm of the benchmark that the environment names: nothing, joblib, or memory maps written by hand.
The sweep's own cache needs nothing here: that arm computes, as if nothing were kept.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import SGDRegressor
from sklearn.preprocessing import QuantileTransformer

from search.contract import Context, Dataset, Metric, Params, Part, Prepared, Source, State, Task

ARM = os.environ.get("PREPROCESS_ARM", "redo")
FOLDER = Path(os.environ.get("PREPROCESS_FOLDER", "."))
STEPS = int(os.environ.get("PREPROCESS_STEPS", "300"))  # of one epoch
ROWS = int(os.environ.get("PREPROCESS_ROWS", "100000"))
COLUMNS, BATCH = 96, 256
KINDS = [
    f"{output}-{quantiles}-{width}"
    for output in ("normal", "uniform")
    for quantiles in (500, 1000)
    for width in (48, 64)
]

Array = np.ndarray[Any, Any]


def space(trial: Any) -> None:
    trial.suggest_categorical("preprocess.kind", KINDS)
    trial.suggest_float("train.rate", 1e-4, 1e-2, log=True)


def compute(train: Array, validation: Array, kind: str) -> tuple[Array, Array]:
    """Prepare both parts: (rows, COLUMNS + width) float32."""
    output, quantiles, width = kind.split("-")
    quantile = QuantileTransformer(n_quantiles=int(quantiles), output_distribution=output, random_state=0)
    white = PCA(int(width), whiten=True, svd_solver="covariance_eigh").fit(train)
    quantile.fit(train)
    first, second = (
        np.hstack([quantile.transform(rows), white.transform(rows)]).astype(np.float32) for rows in (train, validation)
    )
    return first, second


def by_joblib(train: Array, validation: Array, kind: str) -> tuple[Array, Array]:
    """As joblib's documentation has it."""
    from joblib import Memory  # type: ignore[import-untyped]

    arrays: tuple[Array, Array] = Memory(FOLDER / "joblib", verbose=0).cache(compute)(train, validation, kind)
    return arrays


def by_memory_map(train: Array, validation: Array, kind: str) -> tuple[Array, Array]:
    """As somebody would write it who knows files, locks and memory maps, and what the result depends on."""
    names = [FOLDER / f"{kind}.{part}.npy" for part in ("train", "validation")]
    with (FOLDER / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not names[-1].exists():
            for name, array in zip(names, compute(train, validation, kind), strict=True):
                half = name.with_suffix(".half.npy")
                np.save(half, array, allow_pickle=False)
                half.replace(name)
    first, second = (np.load(name, mmap_mode="r") for name in names)
    return first, second


class Learner:
    """Stochastic gradient descent on random batches."""

    budget = 3

    def __init__(self, rate: float, prepared: Prepared, context: Context) -> None:
        self._model = SGDRegressor(learning_rate="constant", eta0=rate, random_state=0)
        self._prepared = prepared
        self._seed, self._epoch = context.seed, 0

    def fit_epoch(self) -> dict[str, float]:
        train, draw = self._prepared.train, np.random.default_rng([self._seed, self._epoch])
        for _ in range(STEPS):
            rows = draw.integers(len(train.target), size=BATCH)
            self._model.partial_fit(train.features[rows], train.target[rows])
        self._epoch += 1
        return {}

    def evaluate(self) -> dict[str, float]:
        held = self._prepared.validation
        return {"val_loss": float(np.mean((self._model.predict(held.features) - held.target) ** 2))}

    def state(self) -> State:
        return State({"coef": self._model.coef_, "intercept": self._model.intercept_}, {"epoch": self._epoch})

    def load_state(self, state: State) -> None:
        self._model.coef_, self._model.intercept_ = state.arrays["coef"], state.arrays["intercept"]
        self._epoch = state.meta["epoch"]


class Heavy:
    """A regression on a generated matrix."""

    def space(self, trial: Any) -> None:
        space(trial)

    def data(self, source: Source) -> Dataset:
        draw = np.random.default_rng(0)
        features = draw.normal(size=(ROWS, COLUMNS)) ** 3
        target = np.tanh(features[:, :8]).sum(axis=1) + draw.normal(size=ROWS)
        return Dataset("heavy", Task.REGRESSION, features.astype(np.float32), target)

    def metrics(self, dataset: Dataset) -> tuple[Metric, ...]:
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        make = {"joblib": by_joblib, "memory map": by_memory_map}.get(ARM, compute)
        first, second = make(train.features, validation.features, str(params["kind"]))
        return Prepared(Part(first, train.target), Part(second, validation.target))

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Learner:
        return Learner(float(str(params["train.rate"])), prepared, context)
