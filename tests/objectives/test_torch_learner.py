"""Rules of training in mini-batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from objectives.torch_learner import TorchLearner
from objectives.training import SCHEDULES, Training, make_optimizer, rate_at
from search.contract import Context, Part, Prepared, Task

ROWS, INPUTS = 50, 4


def _prepared(rows: int = ROWS) -> Prepared:
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, INPUTS)).astype(np.float32)
    target = (features[:, 0] > 0).astype(np.int64)
    return Prepared(Part(features, target), Part(features, target))


def _learner(training: Training | None = None, *, rows: int = ROWS, **more: Any) -> TorchLearner:
    context = Context(seed=3, max_epochs=6, task=Task.BINARY, classes=("no", "yes"))
    return TorchLearner(lambda: nn.Linear(INPUTS, 2), training or Training(batch=16), _prepared(rows), context, **more)


def _weights(learner: TorchLearner) -> np.ndarray[Any, Any]:
    return np.concatenate(
        [array.ravel() for name, array in learner.state().arrays.items() if name.startswith("weight.")]
    )


@pytest.mark.parametrize(
    ("schedule", "start", "middle", "end"),
    [("cosine", 1.0, 0.505, 0.01), ("one-cycle", 0.01, 0.8, 0.01), ("constant", 1.0, 1.0, 1.0)],
)
def test_a_schedule_goes_where_its_name_says(schedule: str, start: float, middle: float, end: float) -> None:
    assert rate_at(schedule, 0.0) == pytest.approx(start)
    assert rate_at(schedule, 0.5) == pytest.approx(middle, abs=0.02)
    assert rate_at(schedule, 0.999999) == pytest.approx(end, abs=1e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_never_leaves_its_range(schedule: str) -> None:
    rates = [rate_at(schedule, step / 1000) for step in range(1000)]
    assert min(rates) > 0
    assert max(rates) <= 1


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_biases_and_norms_are_not_decayed(optimizer: str) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    decayed, others = make_optimizer(Training(optimizer, weight_decay=0.1), net).param_groups
    assert [parameter.ndim for parameter in decayed["params"]] == [2]
    assert decayed["weight_decay"] == 0.1
    assert others["weight_decay"] == 0.0


def test_each_optimizer_has_a_rate_of_its_own() -> None:
    params = {"train.lr": 1e-4, "train.sgd_lr": 0.2}
    assert Training.of({**params, "train.optimizer": "adamw"}).lr == 1e-4
    assert Training.of({**params, "train.optimizer": "sgd"}).lr == 0.2


def test_training_leaves_the_randomness_outside_as_it_was() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    learner = _learner()
    learner.fit_epoch()
    assert torch.equal(torch.rand(3), expected)


def test_randomness_outside_does_not_change_training() -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        learner = _learner()
        learner.fit_epoch()
        found.append(_weights(learner))
    np.testing.assert_array_equal(found[0], found[1])


def test_another_seed_trains_another_network() -> None:
    first, second = _learner(), _learner()
    second_context = replace(second._context, seed=4)
    second = TorchLearner(lambda: nn.Linear(INPUTS, 2), Training(batch=16), _prepared(), second_context)
    assert not np.array_equal(_weights(first), _weights(second))


@pytest.mark.parametrize(("least_steps", "passes"), [(1, 1), (4, 1), (5, 2), (40, 10)])
def test_an_epoch_makes_at_least_the_steps_asked(least_steps: int, passes: int) -> None:
    seen: list[int] = []

    def count(features: Tensor) -> Tensor:
        seen.append(len(features))
        return features

    _learner(least_steps=least_steps, augment=count).fit_epoch()
    assert sum(seen) == passes * ROWS


@pytest.mark.parametrize(("units", "budget", "passes"), [(None, 6, 1), (3, 3, 2), (4, 4, 2), (100, 6, 1)])
def test_units_share_out_the_passes_of_a_full_training(units: int | None, budget: int, passes: int) -> None:
    seen: list[int] = []

    def count(features: Tensor) -> Tensor:
        seen.append(len(features))
        return features

    learner = _learner(units=units, augment=count)
    learner.fit_epoch()
    assert (learner.budget, sum(seen)) == (budget, passes * ROWS)


def test_clipping_bounds_a_step() -> None:
    moved = {}
    for clip_norm in (0.0, 1e-4):
        learner = _learner(Training("sgd", lr=1.0, batch=ROWS, schedule="constant", clip_norm=clip_norm))
        before = _weights(learner)
        learner.fit_epoch()
        moved[clip_norm] = np.linalg.norm(_weights(learner) - before)
    assert moved[1e-4] == pytest.approx(1e-4 * 1.9, rel=0.01)  # Nesterov's first step is 1 + momentum
    assert moved[0.0] > 100 * moved[1e-4]


def test_a_state_of_another_architecture_is_refused() -> None:
    state = _learner().state()
    context = Context(max_epochs=6, task=Task.BINARY, classes=("no", "yes"))
    other = TorchLearner(lambda: nn.Linear(INPUTS, 2, bias=False), Training(), _prepared(), context)
    with pytest.raises(RuntimeError, match="bias"):
        other.load_state(state)


def test_a_state_is_a_copy_of_what_goes_on_changing() -> None:
    learner = _learner()
    learner.fit_epoch()
    state = learner.state()
    kept = {name: array.copy() for name, array in state.arrays.items()}
    learner.fit_epoch()
    for name, array in kept.items():
        np.testing.assert_array_equal(state.arrays[name], array)


def test_a_single_row_is_enough() -> None:
    assert _learner(rows=1).fit_epoch()["train_loss"] > 0
