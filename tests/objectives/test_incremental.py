"""Rules of learners that go on learning after their training, from a few rows at a time.

Each of these turns it red: steps at a rate of 0, or whose dropout draws from outside or is not counted in the state;
batch norms that learn from a few rows; gradients that are no numbers taken as they are; targets of a regression not in
units of its deviation; class weights forgotten; least squares that forget nothing, or weigh replayed rows; a linear
step without its bound, or with moments that one absurd row ruins; a class that training had no row of kept at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from objectives.models.linear import Linear
from objectives.models.recursive import MEMORY, Recursive, with_one
from objectives.torch_learner import TorchLearner
from objectives.training import Training
from search.contract import Context, Incremental, Part, Prepared, State, Task
from tests.objectives.training import INPUTS, convolutional, images, learner, one_output, plain, table

Array = np.ndarray[Any, Any]


def dropped() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))


def linear(prepared: Prepared | None = None, task: Task = Task.BINARY, *, weighing: str = "none") -> Linear:
    classes = {Task.REGRESSION: (), Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("a", "b", "c")}[task]
    made = Linear(1e-3, {"train.class_weight": weighing}, prepared or table(), Context(task=task, classes=classes))
    made.fit_epoch()
    return made


def opposite(seed: int, rows: int = 32) -> Part:
    """Return rows of the concept of `table`, turned round."""
    features = np.random.default_rng(seed).normal(size=(rows, INPUTS)).astype(np.float32)
    return Part(features, (features[:, 0] <= 0).astype(np.int64))


def of(made: Any, part: Part) -> float:
    """Return a classifier's accuracy."""
    return float((made.predict(part.features).argmax(axis=1) == part.target).mean())


MADE: dict[str, Callable[[], Any]] = {
    "network": lambda: learner(plain, training=Training(lr=1e-2, batch=16)),
    "with dropout": lambda: learner(dropped, training=Training(lr=1e-2, batch=16)),
    "linear": linear,
}


@pytest.mark.parametrize("name", MADE)
def test_they_follow_a_concept_that_turns_round(name: str) -> None:
    made = MADE[name]()
    assert isinstance(made, Incremental)
    for seed in range(150):
        made.partial_fit(opposite(seed))
    assert of(made, opposite(1000, 500)) > 0.9


@pytest.mark.parametrize("name", MADE)
def test_a_state_goes_on_exactly_where_it_was(name: str) -> None:
    made, other = MADE[name](), MADE[name]()
    for seed in range(3):
        made.partial_fit(opposite(seed))
    torch.manual_seed(99)
    other.load_state(made.state())
    for seed in range(3, 6):
        made.partial_fit(opposite(seed))
        other.partial_fit(opposite(seed))
    ours, theirs = made.state(), other.state()
    assert ours.meta == theirs.meta
    assert {key: one.tolist() for key, one in ours.arrays.items()} == {
        key: one.tolist() for key, one in theirs.arrays.items()
    }


@pytest.mark.parametrize("name", MADE)
def test_weights_alone_give_the_same_answers(name: str) -> None:
    made, other = MADE[name](), MADE[name]()
    made.partial_fit(opposite(1))
    other.load_weights(made.weights())
    features = opposite(2).features
    assert np.array_equal(made.predict(features), other.predict(features))
    other.partial_fit(opposite(3))
    assert not np.array_equal(made.predict(features), other.predict(features))


@pytest.mark.parametrize("name", MADE)
def test_rows_that_are_no_numbers_change_nothing(name: str) -> None:
    made = MADE[name]()
    before = made.predict(opposite(0).features)
    made.partial_fit(Part(np.full((4, INPUTS), np.inf, dtype=np.float32), np.zeros(4, dtype=np.int64)))
    made.partial_fit(Part(np.full((4, INPUTS), np.nan, dtype=np.float32), np.zeros(4, dtype=np.int64)))
    assert np.array_equal(made.predict(opposite(0).features), before)


@pytest.mark.parametrize("name", MADE)
def test_one_row_is_enough_for_a_step(name: str) -> None:
    made = MADE[name]()
    made.partial_fit(opposite(0, rows=1))
    assert np.isfinite(made.predict(opposite(1).features)).all()


def test_steps_leave_the_randomness_outside_as_it_was() -> None:
    made = MADE["with dropout"]()
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    made.partial_fit(opposite(0))
    assert torch.equal(torch.rand(3), expected)


def test_batch_norms_keep_the_statistics_of_their_training() -> None:
    made = learner(convolutional, images())
    made.fit_epoch()
    before = made.weights()
    random = np.random.default_rng(0)
    made.partial_fit(Part(9 + random.normal(size=(2, 1, 8, 8)).astype(np.float32), np.array([0, 1])))
    after = made.weights()
    kept = [name for name in before if "running" in name or "tracked" in name]
    assert kept
    assert all(np.array_equal(before[name], after[name]) for name in kept)
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    made.fit_epoch()  # training itself goes on as ever
    assert any(not np.array_equal(before[name], made.weights()[name]) for name in kept)


def test_a_step_of_a_few_rows_counts_classes_as_training_did() -> None:
    weighted = [learner(plain, more={"class_weights": np.array(one)}) for one in ([1.0, 1.0], [1.0, 0.0])]
    part = Part(opposite(0).features, np.ones(32, dtype=np.int64))
    before = [made.predict(part.features) for made in weighted]
    for made in weighted:
        made.partial_fit(part)
    assert not np.array_equal(weighted[0].predict(part.features), before[0])
    assert np.array_equal(weighted[1].predict(part.features), before[1])


@pytest.mark.parametrize("made", ["network", "linear"])
def test_a_regression_follows_values_in_units_of_its_target(made: str) -> None:
    prepared = table(regression=True)
    prepared = Prepared(*(Part(one.features, 1000 * one.target) for one in (prepared.train, prepared.validation)))
    one: TorchLearner | Linear = linear(prepared, Task.REGRESSION)
    if made == "network":
        one = learner(one_output, prepared, training=Training(lr=3e-2, batch=16), task=Task.REGRESSION, classes=())
    random = np.random.default_rng(1)
    features = random.normal(size=(4000, INPUTS)).astype(np.float32)
    target = 2000.0 - 3000.0 * features[:, 0]
    for begin in range(0, 3800, 19):
        rows = slice(begin, begin + 19)
        one.partial_fit(Part(features[rows], target[rows]))
    error = one.predict(features[3800:]) - target[3800:]
    assert np.abs(error).mean() < 600


def test_least_squares_are_those_of_all_rows_each_counting_less_with_its_age() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 3)) * [1.0, 50.0, 0.01]
    target = features @ [1.0, 0.1, 20.0] + random.normal(size=400)
    start, step = features[:100], 10
    recursive, found = Recursive(start), np.linalg.lstsq(with_one(start), target[:100], rcond=None)[0][None]
    counted = np.full(100, MEMORY / 100)
    for begin in range(100, 400, step):
        rows = slice(begin, begin + step)
        found = recursive.step(found, features[rows], target[rows], None)
        counted = np.concatenate([counted * np.exp(-step / MEMORY), np.ones(step)])
    root = np.sqrt(counted)
    expected = np.linalg.lstsq(with_one(features) * root[:, None], target * root, rcond=None)[0]
    assert np.allclose(found[0], expected, rtol=1e-3)


def test_a_linear_step_is_the_same_for_columns_of_any_scale() -> None:
    scale = np.array([1.0, 1e3, 1e-2, 10.0], dtype=np.float32)
    prepared = table()
    scaled = Prepared(*(Part(one.features * scale, one.target) for one in (prepared.train, prepared.validation)))
    answers = []
    for rows, by in ((prepared, 1.0), (scaled, scale)):
        made = linear(rows)
        made.load_weights({"coefficients": np.zeros((2, INPUTS + 1))})
        for seed in range(3):
            made.partial_fit(Part(opposite(seed).features * by, opposite(seed).target))
        answers.append(made.predict(opposite(9).features * by))
    assert np.allclose(answers[0], answers[1], atol=1e-3)


def test_a_class_that_training_had_no_row_of_can_be_learnt() -> None:
    prepared = table()
    made = linear(prepared, Task.MULTICLASS)
    part = Part(np.zeros((8, INPUTS), dtype=np.float32), np.full(8, 2))
    assert of(made, part) == 0
    for _ in range(400):
        made.partial_fit(part)
    assert of(made, part) == 1


def test_a_linear_model_counts_classes_as_its_training_did() -> None:
    rows = np.r_[np.zeros(45, dtype=np.int64), np.ones(5, dtype=np.int64)]
    prepared = Prepared(Part(table().train.features, rows), Part(table().train.features, rows))
    part = Part(np.zeros((10, INPUTS), dtype=np.float32), np.r_[np.zeros(9, dtype=np.int64), 1])
    shares = []
    for choice in ("none", "balanced"):
        made = linear(prepared, weighing=choice)
        for _ in range(400):
            made.partial_fit(part)
        shares.append(made.predict(part.features)[0, 1])
    assert shares == pytest.approx([0.1, 0.5], abs=0.02)


def test_a_state_of_a_training_has_nothing_of_rows_that_came_later() -> None:
    assert set(linear().state().arrays) == {"coefficients"}
    assert dict(learner().state().meta) == {"epoch": 0}
    with pytest.raises(RuntimeError, match="fitted or loaded"):
        Linear(1e-3, {}, table(), Context(classes=("no", "yes"))).partial_fit(opposite(0))
    made = linear()
    made.partial_fit(opposite(0))
    made.load_state(State({"coefficients": np.zeros((2, INPUTS + 1))}))
    assert set(made.state().arrays) == {"coefficients"}
