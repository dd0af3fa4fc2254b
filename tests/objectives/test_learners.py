"""Rules that every family of models keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from objectives.tabular import FAMILIES, Tabular
from search.checkpoint import Checkpoint
from search.contract import REPLAY, Learner, Part, Predicting, Prepared, State, Task
from search.trialfiles import decode, encode

from .tables import Example, mixed

NETWORK = {
    "model.width": 24,
    "model.depth": 2,
    "model.dropout": 0.2,
    "train.lr": 3e-3,
    "train.weight_decay": 0.01,
    "train.schedule": "one-cycle",
    "train.clip_norm": 1.0,
    "train.label_smoothing": 0.02,
}
PARAMS: dict[str, dict[str, Any]] = {
    "linear": {"model.l2": 1e-3},
    "forest": {"model.kind": "extra", "model.min_rows": 2, "model.split_features": 0.7},
    "boosting": {"model.shrinkage": 0.2, "model.leaves": 6, "model.min_rows": 3, "model.split_features": 0.5},
    "mlp": NETWORK,
    "residual": {**NETWORK, "train.optimizer": "sgd", "train.sgd_lr": 0.03},
}
CASES = [(family, task) for family in FAMILIES for task in Task]
PREPROCESS = {"impute": "median", "scale": "standard", "encode": "one-hot"}

every_case = pytest.mark.parametrize(("family", "task"), CASES)


def prepared(example: Example) -> Prepared:
    return Tabular().preprocess(PREPROCESS, example.train, example.validation, example.context)


def build(family: str, rows: Prepared, example: Example, **more: Any) -> Learner:
    return Tabular().learner({"model.family": family, **PARAMS[family], **more}, rows, example.context)


def train(learner: Learner, units: int) -> list[dict[str, float]]:
    return [{**learner.fit_epoch(), **learner.evaluate()} for _ in range(units)]


@every_case
def test_the_same_seed_trains_the_same_model_bit_by_bit(family: str, task: Task) -> None:
    example = mixed(task)
    first, second = (build(family, prepared(example), example) for _ in range(2))
    assert train(first, first.budget) == train(second, second.budget)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_predicted_can_be_asked_for_after_an_evaluation(family: str) -> None:
    example = mixed(Task.BINARY)
    learner = build(family, prepared(example), example)
    assert isinstance(learner, Predicting)
    with pytest.raises(RuntimeError, match="only after `evaluate`"):
        learner.predicted()
    train(learner, 1)
    assert len(learner.predicted()) == len(example.validation.target)


@every_case
def test_training_that_was_saved_and_loaded_goes_on_bit_by_bit(family: str, task: Task) -> None:
    example = mixed(task)
    whole = build(family, prepared(example), example)
    expected = train(whole, whole.budget)
    half = build(family, prepared(example), example)
    cut = half.budget // 2
    train(half, cut)
    parts = encode(Checkpoint(step=1, units=cut, state=half.state()))
    checkpoint = decode(parts)
    assert checkpoint is not None
    fresh = build(family, prepared(example), example)
    if checkpoint.state is REPLAY:
        train(fresh, cut)
    else:
        assert isinstance(checkpoint.state, State)
        fresh.load_state(checkpoint.state)
    assert train(fresh, fresh.budget - cut) == expected[cut:]


@pytest.mark.parametrize("family", ["forest", "boosting"])
def test_trees_are_repeated_and_never_loaded(family: str) -> None:
    example = mixed(Task.BINARY)
    learner = build(family, prepared(example), example)
    assert learner.state() is REPLAY
    with pytest.raises(TypeError, match="trained again"):
        learner.load_state(State({}))


@every_case
def test_every_family_beats_the_naive_prediction_where_there_is_something_to_learn(family: str, task: Task) -> None:
    example = mixed(task, rows=300)
    learner = build(family, prepared(example), example)
    naive = Tabular().baseline(example.train, example.validation, example.context)
    best = min(step["val_loss"] for step in train(learner, learner.budget))
    assert best < 0.8 * naive["val_loss"]


@every_case
def test_prepared_rows_may_be_read_only_and_are_never_written_to(family: str, task: Task) -> None:
    example = mixed(task)
    rows = prepared(example)
    arrays = (rows.train.features, rows.train.target, rows.validation.features, rows.validation.target)
    for array in arrays:
        array.flags.writeable = False
    train(build(family, rows, example), 1)


@every_case
def test_evaluating_changes_nothing(family: str, task: Task) -> None:
    example = mixed(task)
    plain, watched = (build(family, prepared(example), example) for _ in range(2))
    units = min(2, plain.budget)
    for _ in range(units):
        plain.fit_epoch()
    train(watched, units)
    assert plain.evaluate() == watched.evaluate() == watched.evaluate()


@every_case
def test_a_seed_of_any_size_will_do(family: str, task: Task) -> None:
    example = mixed(task)
    seeded = replace(example, context=replace(example.context, seed=2**64 - 1))
    train(build(family, prepared(seeded), seeded), 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_class_without_a_training_row_gets_no_more_than_a_trace_of_probability(family: str) -> None:
    example = mixed(Task.MULTICLASS)
    known = np.flatnonzero(example.train.target != 2)
    without = replace(example, train=Part(example.train.features.iloc[known], example.train.target[known]))
    rows = prepared(without)
    learner = build(family, rows, without)
    scores = train(learner, learner.budget)[-1]
    assert all(np.isfinite(value) for value in scores.values())
    found = learner.predict(rows.validation.features)  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found[:, 2].mean() < 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_balanced_classes_raise_the_recall_of_a_rare_one(family: str) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 3)).astype(np.float32)
    target = (features[:, 0] + random.normal(size=600) > 1.9).astype(np.int64)
    half = slice(0, 300), slice(300, 600)
    rows = Prepared(*(Part(features[part], target[part]) for part in half))
    example = mixed(Task.BINARY)
    params = {"model.min_rows": 10} if family in ("forest", "boosting") else {}
    recall = {}
    for choice in ("none", "balanced"):
        learner = build(family, rows, example, **params, **{"train.class_weight": choice})
        recall[choice] = train(learner, learner.budget)[-1]["val_balanced_accuracy"]
    assert recall["balanced"] > recall["none"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_regression_ignores_class_weights(family: str) -> None:
    example = mixed(Task.REGRESSION)
    learner = build(family, prepared(example), example, **{"train.class_weight": "balanced"})
    assert train(learner, 1) == train(build(family, prepared(example), example), 1)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "boosting"])
def test_a_family_that_needs_values_says_so(family: str) -> None:
    example = mixed(Task.BINARY)
    rows = Tabular().preprocess({}, example.train, example.validation, example.context)
    with pytest.raises(ValueError, match=f"the {family} family needs preprocess.impute"):
        build(family, rows, example)


def test_boosted_trees_take_missing_values_as_they_are() -> None:
    example = mixed(Task.BINARY)
    rows = Tabular().preprocess({}, example.train, example.validation, example.context)
    assert np.isnan(rows.train.features).any()
    assert train(build("boosting", rows, example), 2)


@pytest.mark.parametrize(
    ("family", "params", "said"),
    [
        ("boosting", {"model.shrinkage": 0.0}, r"model.shrinkage must be in \(0, 1\]"),
        ("linear", {"model.l2": 0.0}, "model.l2 must be above 0"),
        ("mlp", {"train.optimizer": "adam"}, "train.optimizer must be one of adamw, sgd, got 'adam'"),
        ("mlp", {"train.lr": 0}, "learning rate must be above 0"),
        ("mlp", {"train.label_smoothing": 1.0}, "train.label_smoothing must be in"),
        ("mlp", {"model.width": 2.5}, "model.width must be a whole number >= 1, got 2.5"),
        ("forest", {"train.class_weight": "auto"}, "train.class_weight must be one of none, balanced"),
    ],
)
def test_a_wrong_parameter_is_told_in_one_sentence(family: str, params: dict[str, Any], said: str) -> None:
    example = mixed(Task.BINARY)
    with pytest.raises(ValueError, match=said):
        build(family, prepared(example), example, **params)


def test_an_unknown_family_lists_the_known_ones() -> None:
    example = mixed(Task.BINARY)
    with pytest.raises(ValueError, match=r"model\.family must be one of linear, forest, boosting, mlp, residual"):
        Tabular().learner({"model.family": "svm"}, prepared(example), example.context)
