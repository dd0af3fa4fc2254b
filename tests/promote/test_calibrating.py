"""Probabilities are made to mean what they say, and a threshold is chosen by what mistakes cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from search.bundle.signature import LABEL, PROBABILITIES
from search.contract import Task
from search.errors import InputError
from search.promote.calibrating import calibrate, halves, log_loss, softened, temperature
from search.promote.graph import Head, whole
from search.promote.measures import Judged
from search.promote.threshold import Costs, mean_cost, threshold
from tests.bundle import bundles

Array = np.ndarray[Any, Any]


def drawn(rows: int, classes: int, sureness: float, seed: int = 0) -> tuple[Array, Array]:
    """Return probabilities that are too sure by a factor, of logits, and targets drawn from the right ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 2
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (right.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1)
    given = np.exp(logits * sureness)
    return given / given.sum(axis=1, keepdims=True), target


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("sureness", [0.5, 1.0, 3.0])
def test_the_temperature_is_how_much_too_sure_a_model_is(classes: int, sureness: float) -> None:
    assert temperature(*drawn(20_000, classes, sureness)) == pytest.approx(sureness, rel=0.05)


def test_a_model_that_is_too_sure_is_softened_and_its_loss_falls() -> None:
    found = calibrate(*drawn(500, 3, 3.0))
    assert found.temperature == pytest.approx(3, rel=0.2)
    assert found.after < found.before
    assert found.sentence.startswith("probabilities are softened by a temperature of ")
    assert calibrate(*drawn(500, 3, 0.3)).sentence.startswith("probabilities are sharpened by a temperature of 0.")


def test_a_temperature_that_helps_no_held_out_row_is_not_taken() -> None:
    """A third of such samples of a model that needs none would take one by their own loss."""
    taken = [calibrate(*drawn(60, 3, 1.0, seed=seed)) for seed in range(30)]
    kept = [one for one in taken if one.temperature == 1.0]
    assert len(kept) >= 15
    assert kept[0].after >= kept[0].before
    assert kept[0].sentence.startswith("not calibrated: it would not lower the log loss")


def test_few_rows_say_nothing() -> None:
    found = calibrate(*drawn(19, 2, 3.0))
    assert (found.temperature, found.after) == (1.0, found.before)
    assert found.sentence == "not calibrated: 19 validation rows are too few to tell whether it helps"


@pytest.mark.parametrize("right", [True, False])
def test_rows_that_are_known_by_heart_have_a_temperature_all_the_same(right: bool) -> None:
    target = np.arange(40) % 2
    sure = np.eye(2)[target if right else 1 - target]
    found = calibrate(sure, target)
    assert 0.05 <= found.temperature <= 20
    assert np.isfinite([found.before, found.after]).all()


def test_a_class_is_dealt_out_to_both_halves() -> None:
    target = np.array([0] * 7 + [1] * 4 + [2])
    half = halves(target)
    assert [(half & (target == label)).sum() for label in range(3)] == [4, 2, 0]
    assert half.sum() == 6


@pytest.mark.parametrize("degrees", [0.3, 1.0, 2.5])
def test_the_graph_does_the_same(degrees: float) -> None:
    exported = bundles.exported()
    said = {one: asked(exported, Head(("no", "yes"), temperature=one))[PROBABILITIES] for one in (1.0, degrees)}
    np.testing.assert_allclose(softened(said[1.0].astype(np.float64), degrees), said[degrees], atol=1e-6)


def test_the_graph_gives_the_second_class_from_the_threshold_on() -> None:
    exported = bundles.exported()
    plain = asked(exported, Head(("no", "yes")))[PROBABILITIES]
    chosen = threshold(plain, np.arange(len(plain)) % 2, Costs(3, 1)).threshold
    label = asked(exported, Head(("no", "yes"), threshold=chosen))[LABEL]
    assert label.tolist() == ["yes" if one >= np.float32(chosen) else "no" for one in plain[:, 1]]


def asked(exported: Any, head: Head) -> dict[str, Array]:
    graph: onnx.ModelProto = whole([exported], head)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    columns = {name: random.normal(40, 20, (64, 1)).astype(np.float32) for name in ("age", "income")}
    columns["town"] = np.array([["Bonn"]] * 64, dtype=object)
    names = [LABEL, PROBABILITIES]
    return dict(zip(names, session.run(names, columns), strict=True))


def two(second: list[float]) -> Array:
    return np.stack([1 - np.array(second, np.float32), np.array(second, np.float32)], axis=1)


CHOSEN = [
    # probabilities, target, fn, fp, threshold, mean cost
    ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1, 1, 0.5, 0.0),  # the middle of the gap
    ([0.1, 0.3, 0.4, 0.9], [0, 1, 0, 1], 1, 1, 0.65, 0.25),  # of two ranges the wider one
    ([0.1, 0.6, 0.7, 0.9], [0, 1, 0, 1], 1, 1, 0.35, 0.25),
    ([0.1, 0.3, 0.4, 0.9], [0, 1, 0, 1], 5, 1, 0.2, 0.25),
    ([0.1, 0.3, 0.4, 0.9], [0, 1, 0, 1], 1, 5, 0.65, 0.25),
    ([0.2, 0.3], [1, 1], 1, 1, 0.1, 0.0),  # all are of the second class
    ([0.2, 0.3], [0, 0], 1, 1, 0.65, 0.0),  # none is
    ([0.5, 0.5], [0, 1], 3, 1, 0.25, 0.5),  # nothing is told apart
]


@pytest.mark.parametrize(("second", "target", "missed", "alarm", "expected", "cost"), CHOSEN)
def test_the_threshold_of_the_least_cost(
    second: list[float], target: list[int], missed: float, alarm: float, expected: float, cost: float
) -> None:
    found = threshold(two(second), np.array(target), Costs(missed, alarm))
    assert found.threshold == pytest.approx(expected, abs=1e-6)
    assert found.cost == cost


@pytest.mark.parametrize("seed", range(10))
def test_no_threshold_costs_less(seed: int) -> None:
    random = np.random.default_rng(seed)
    second = random.choice([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0], 30)
    target = random.integers(0, 2, 30)
    costs = Costs(*random.integers(1, 6, 2))
    found = threshold(two(second.tolist()), target, costs)
    assert 0 <= found.threshold <= 1
    every = [costs.of(two(second.tolist()), target, one).mean() for one in np.linspace(0, 1, 101)]
    assert found.cost == pytest.approx(min(every))


def test_numbers_that_lie_side_by_side_are_told_apart() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    found = threshold(two([float(low), float(high)]), np.array([0, 1]), Costs(1, 1))
    assert low < np.float32(found.threshold) <= high
    assert found.cost == 0


@pytest.mark.parametrize(("wrong", "low", "high"), [(0, 0.0, 0.8213), (4, 0.4033, 2.0919)])
def test_a_cost_has_a_width_where_no_row_is_wrong(wrong: int, low: float, high: float) -> None:
    """Wilson's intervals of 0 and of 4 in 20 are 0 to 0.1611 and 0.0807 to 0.4160."""
    second = np.array([0.9] * 10 + [0.1] * 10)
    target = np.array([1] * 10 + [0] * 10)
    second[:wrong] = 0.1
    found = mean_cost(Costs(5, 1), Judged(two(second.tolist()), target, Task.BINARY))
    assert (found.mean, found.low, found.high) == pytest.approx((5 * wrong / 20, low, high), abs=1e-3)


def test_what_is_said_of_a_threshold() -> None:
    probabilities, target = drawn(400, 2, 1.0)
    found = threshold(probabilities, target, Costs(5, 1))
    assert found.costs.known_best == pytest.approx(1 / 6)
    assert found.cost <= found.known_best < found.plain
    assert found.cost <= found.held_out
    said = found.sentence("yes")
    assert said.startswith("'yes' is given from its probability of 0.")
    assert "0.1667, the best threshold of exact probabilities" in said


@pytest.mark.parametrize("text", ["fn=5,fp=1", " fp=1 , fn=5.0"])
def test_costs_are_read_and_told(text: str) -> None:
    assert Costs.parse(text) == Costs(missed=5, alarm=1)
    assert Costs.parse(Costs.parse(text).text) == Costs(5, 1)


@pytest.mark.parametrize(
    "text", ["", "5,1", "fn=5", "fn=5,fp=x", "fn=0,fp=1", "fn=-1,fp=1", "fn=nan,fp=1", "fn=1,fp=inf", "fn=1,fp=1,tp=2"]
)
def test_what_is_no_cost(text: str) -> None:
    with pytest.raises(InputError, match="--cost takes what a missed second class and a false alarm cost"):
        Costs.parse(text)


def test_a_loss_has_a_floor() -> None:
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-7))
