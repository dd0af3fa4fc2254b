"""What a model that goes on learning is made of, from a study on the disk and from rows in memory.

Each of these turns it red: features that differ from the study's own; weights, temperature or threshold of the bundle
that are not read; a study whose code or rows come to another model; validation rows of a refit forgotten; an ensemble,
or a learner that does not predict, taken all the same; a sample of old rows that forgets a class.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.tabular import Tabular
from search.contract import Part
from search.errors import InputError, RefusedError
from search.online.base import Base, base_of
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import LearnChoices
from search.online.competitor import Fixed
from search.promote.choices import Promotion
from search.promote.promoting import promote
from search.registry.registry import Registry
from search.serve.backend import Served
from tests.online.bases import FAMILIES, base, table, taken
from tests.promote import confirmed

OWN = "from objectives.tabular import Tabular\n\n\nclass Mine(Tabular):\n    pass\n"


def write_table(path: Path, *, seed: int = 0) -> None:
    frame, target = table(seed, 400)
    frame.assign(answer=np.where(target == 1, "yes", "no")).to_csv(path, index=False)


def production(folder: Path, family: str, **options: Any) -> Served:
    """Run a study of one trial of an objective of its own, and promote that."""
    write_table(folder / "table.csv")
    (folder / "mine.py").write_text(OWN)
    own = tuple(f"{name}={value}" for name, value in FAMILIES[family].items() if name.startswith("model."))
    given: dict[str, Any] = {
        "data": "table.csv",
        "target": "answer",
        "trials": 1,
        "set": own,
        "space": "tabular",
        "max_epochs": 5,
    }
    stored = confirmed.study(f"{folder / 'mine.py'}:Mine", folder, **given)
    promote(stored, Promotion.of("rain", {"trial": "0", **options}))
    return Served(Registry.of(folder, "rain").bundle(1), "rain", 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"refit": True, "calibrate": True}),
    ("mlp", {"cost": "fn=5,fp=1"}),
    ("boosting", {"calibrate": True}),
]


@pytest.mark.parametrize(("family", "options"), OPTIONS)
def test_a_model_learns_on_from_its_study(folder: Path, family: str, options: dict[str, Any]) -> None:
    served = production(folder, family, **options)
    one = base_of(folder, served)
    made = Challenger(one, Buffer(), LearnChoices(), 0)
    frame, target = table(5, 96)
    columns = taken(one, frame)
    assert np.allclose(made.answer(columns), Fixed(served).answer(columns), atol=1e-4)
    assert one.head.threshold == served.bundle.signature.threshold
    assert len(one.prepared.train.target) == len(one.old)
    assert (len(one.old) > 300) is ("refit" in options)  # of 400 rows; 60 of them are the test's
    made.drifted(0)
    made.learn(columns, 1 - target)
    manifest, files = made.files()
    assert manifest.study == served.bundle.manifest.study
    assert set(files) == set(served.bundle.manifest.files)


def test_a_study_that_is_not_what_it_was_is_refused(folder: Path) -> None:
    served = production(folder, "linear")
    assert len(base_of(folder, served, old=50).old) == 50
    mine = folder / "mine.py"
    mine.write_text(OWN.replace("pass", "budget = 1"))
    with pytest.raises(RefusedError):
        base_of(folder, served)
    assert base_of(folder, served, accept_changes=True).signature == served.bundle.signature
    mine.write_text(OWN)
    write_table(folder / "table.csv", seed=1)
    with pytest.raises(RefusedError):
        base_of(folder, served, accept_changes=True)
    (folder / "s").rename(folder / "t")
    with pytest.raises(InputError, match="comes from the study 's'"):
        base_of(folder, served)


def test_several_trials_that_vote_do_not_learn_on(folder: Path) -> None:
    one = base("linear").served
    voting = replace(one.bundle.manifest, members=one.bundle.manifest.members * 2)
    with pytest.raises(InputError, match="a vote of 2 trials"):
        base_of(folder, replace(one, bundle=replace(one.bundle, manifest=voting)))


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_prepared_as_the_study_did(family: str) -> None:
    one, frame = base(family), table(0, 600)[0]
    fitted: Any = one.prepared.transform
    assert np.allclose(one.features(taken(one, frame)), fitted.apply(frame), rtol=1e-4, atol=1e-4)


class Scaled(Tabular):
    """Prepares rows otherwise than it did when its model was made."""

    def preprocess(self, *given: Any) -> Any:
        made = super().preprocess(*given)
        doubled = Part(made.validation.features * 2, made.validation.target)
        return replace(made, validation=doubled)


class Silent(Tabular):
    """Has learners without `predict`."""

    def learner(self, params: Any, *others: Any) -> Any:
        class Mute:
            def __init__(self, learner: Any) -> None:
                self.budget, self.fit_epoch, self.evaluate = learner.budget, learner.fit_epoch, learner.evaluate
                self.state, self.load_state, self.weights = learner.state, learner.load_state, learner.weights
                self.onnx, self.inner = learner.onnx, learner

        return Mute(super().learner(params, *others))

    def export(self, learner: Any, *others: Any) -> Any:
        return super().export(learner.inner, *others)


@pytest.mark.parametrize(
    ("stages", "family", "error", "said"),
    [
        (Scaled(), "linear", RefusedError, "prepares rows otherwise"),
        (Silent(), "boosting", InputError, "no method `predict`"),
    ],
)
def test_what_would_learn_another_model_is_refused(stages: Any, family: str, error: type[Exception], said: str) -> None:
    frame, target = table(0, 300)
    params = {**FAMILIES[family], "preprocess.impute": "median"}
    with pytest.raises(error, match=said):
        Base.in_memory(stages, Part(frame, target), params, classes=("no", "yes"))


def test_weights_that_are_not_those_of_the_graph_are_refused() -> None:
    class Otherwise(Tabular):
        def export(self, *given: Any) -> Any:
            made = super().export(*given)
            return replace(made, weights={name: one * 1.1 for name, one in made.weights.items()})

    frame, target = table(0, 300)
    params = {**FAMILIES["linear"], "preprocess.impute": "median"}
    with pytest.raises(RefusedError, match="answers otherwise than its weights"):
        Base.in_memory(Otherwise(), Part(frame, target), params, classes=("no", "yes"))


def test_old_rows_are_a_sample_of_each_class() -> None:
    frame, _ = table(0, 2_000)
    target = np.zeros(2_000, dtype=np.int64)
    target[:100] = 1
    params = {**FAMILIES["linear"], "preprocess.impute": "median"}
    one = Base.in_memory(Tabular(), Part(frame, target), params, classes=("no", "yes"), old=400)
    share = one.prepared.train.target.mean()
    assert len(one.old) == 400
    assert one.old.targets.mean() == pytest.approx(share, abs=0.003)


def test_a_frame_and_an_array_hold_the_same_rows() -> None:
    values = np.random.default_rng(0).normal(size=(300, 4))
    target = (values[:, 0] > 0).astype(np.int64)
    params = {"model.family": "linear"}
    frame = pd.DataFrame(values, columns=[f"x{index}" for index in range(4)])
    ours, theirs = (
        Base.in_memory(Tabular(), Part(rows, target), params, classes=("a", "b")) for rows in (values, frame)
    )
    assert np.allclose(ours.features(ours.old.columns), theirs.features(theirs.old.columns))
