"""The test part is sealed: whatever stands in its rows, no trial comes out differently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from objectives.images import Images
from objectives.tabular import Tabular
from search.contract import Dataset, Metric, Source
from search.data.source import FileSource
from search.data.splits import split
from search.local import run_alone
from search.problem import open_problem
from search.session import Setting
from search.study.example import example
from spaces.images import images
from spaces.tabular import tabular

SEED = 4


def poisoned(dataset: Dataset) -> Dataset:
    """Return the data with its test rows made absurd, each in its own way.

    Targets stay, since the split is stratified by them; and rows stay different, since equal ones go together.
    """
    parts = split(dataset, seed=SEED)
    test = np.setdiff1d(np.arange(len(dataset.target)), np.concatenate([parts.train, parts.validation]))
    features = dataset.features.copy()
    absurd = 1e30 * (1 + np.arange(len(test)) / len(test))
    if isinstance(features, pd.DataFrame):
        features.iloc[test] = absurd[:, None]
    else:
        features[test] = absurd[:, None, None, None]
    return replace(dataset, features=features)


class PoisonedTabular(Tabular):
    def data(self, source: Source) -> Dataset:
        return poisoned(super().data(source))


class PoisonedImages(Images):
    def data(self, source: Source) -> Dataset:
        return poisoned(super().data(source))


NO_SOURCE = FileSource(None, None, Path())


@pytest.mark.parametrize("family", ["linear", "forest", "boosting", "mlp", "residual"])
def test_poisoned_test_rows_change_no_trial_of_a_table(family: str) -> None:
    params = example(
        "random", tabular, ["minimize"], seed=1, fixed={"model.family": family, "preprocess.whiten": "none"}
    )
    setting = Setting(seed=SEED, searched=Metric("val_loss", "minimize"), max_epochs=5)
    clean, dirty = (
        run_alone(open_problem(objective, NO_SOURCE, seed=SEED), 0, params, setting)
        for objective in (Tabular(), PoisonedTabular())
    )
    assert clean.metrics
    assert clean.metrics == dirty.metrics


def test_poisoned_test_rows_change_no_trial_on_images() -> None:
    params = example("random", images, ["maximize"], seed=1, fixed={})
    setting = Setting(seed=SEED, searched=Metric("val_accuracy", "maximize"), max_epochs=1)
    clean, dirty = (
        run_alone(open_problem(objective, NO_SOURCE, seed=SEED), 0, params, setting)
        for objective in (Images(), PoisonedImages())
    )
    assert clean.metrics == dirty.metrics


def test_the_poison_would_show_if_a_single_row_leaked() -> None:
    problem = open_problem(PoisonedTabular(), NO_SOURCE, seed=SEED)
    assert problem.dataset is not None
    held = [part.features.to_numpy().max() for part in (problem.train, problem.validation)]
    assert max(held) < 1e30 <= problem.dataset.features.to_numpy().max()  # type: ignore[union-attr]
