"""Rules of how a network trains: in bfloat16, in parts, compiled, from rows that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from objectives.idle import Idle, gaps
from objectives.images import Images
from objectives.loading import Rows, fits
from objectives.precision import autocast
from search.contract import Closing, Context, Task, Telling
from search.data.source import FileSource
from search.local import devices_of, precision_of, run_alone
from search.plan import SweepPlan
from search.problem import open_problem
from search.session import Setting
from search.trial import Ending
from tests.objectives.training import convolutional, images, learner, one_output, plain, table, trained


def test_bf16_reckons_in_bf16_and_keeps_weights_in_float32() -> None:
    seen: list[torch.dtype] = []

    class Watched(nn.Linear):
        def forward(self, features: Tensor) -> Tensor:
            output = super().forward(features)
            seen.append(output.dtype)
            return output

    made = learner(lambda: Watched(4, 2), precision="bf16")
    made.fit_epoch()
    made.evaluate()
    assert set(seen) == {torch.bfloat16}
    assert {parameter.dtype for parameter in made._net.parameters()} == {torch.float32}
    assert {array.dtype for array in made.state().arrays.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("build", "prepared"), [(plain, table()), (convolutional, images())], ids=["table", "images"])
def test_bf16_comes_near_float32(build: Any, prepared: Any) -> None:
    exact, _ = trained(learner(build, prepared), epochs=4)
    near, _ = trained(learner(build, prepared, precision="bf16"), epochs=4)
    assert near != exact
    assert near == pytest.approx(exact, rel=0.05)


def test_a_graph_of_a_bf16_training_says_what_its_learner_predicts() -> None:
    made = learner(convolutional, images(), precision="bf16")
    trained(made)
    session = onnxruntime.InferenceSession(made.onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    (told,) = session.run(None, {"features": images().validation.features})
    np.testing.assert_allclose(told, made.predict(images().validation.features), atol=1e-5)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="float32 or bf16, got 'fp8'"):
        autocast("fp8", torch.device("cpu"))


@pytest.mark.parametrize("micro_batches", [2, 3, 100])
@pytest.mark.parametrize(
    ("build", "prepared", "more", "task"),
    [
        (plain, table(), {"class_weights": np.array([1.0, 3.0])}, Task.BINARY),
        (one_output, table(regression=True), {}, Task.REGRESSION),
    ],
    ids=["classes", "regression"],
)
def test_a_batch_in_parts_trains_what_the_whole_one_does(
    build: Any, prepared: Any, more: dict[str, Any], task: Task, micro_batches: int
) -> None:
    whole, weights = trained(learner(build, prepared, more=more, task=task))
    made = learner(build, prepared, more=more, task=task, micro_batches=micro_batches)
    parts, their_weights = trained(made)
    assert made.splits_batches
    assert parts == pytest.approx(whole, rel=1e-5)
    for name, array in weights.items():
        np.testing.assert_allclose(their_weights[name], array, rtol=1e-4, atol=1e-6)


def test_parts_hold_fewer_rows_at_once() -> None:
    seen: list[int] = []

    class Watched(nn.Linear):
        def forward(self, features: Tensor) -> Tensor:
            seen.append(len(features))
            return super().forward(features)

    learner(lambda: Watched(4, 2), micro_batches=4).fit_epoch()
    assert max(seen) == 4
    assert sum(seen) == 50


def test_batch_norms_that_see_parts_are_told_of() -> None:
    assert learner(convolutional, images()).notes == ()
    assert learner(convolutional, images(), micro_batches=2).notes == (
        "its batches were split, and its batch norms saw each part by itself",
    )


def test_a_compiled_network_trains_what_it_does_uncompiled() -> None:
    plainly, _ = trained(learner())
    made = learner(compiled=True)
    losses: list[float] = []
    with torch.compiler.set_stance("force_eager"):  # all but the compiler: benchmarks/gpu.py has that, which takes long
        for _ in range(2):
            losses += [made.fit_epoch()["train_loss"], made.evaluate()["val_loss"]]
    assert losses == pytest.approx(plainly, rel=1e-4)
    assert made.notes[0].startswith("its network was compiled: the first batch took "), made.notes


def test_a_network_that_cannot_be_compiled_trains_as_it_is() -> None:
    plainly, _ = trained(learner())
    made = learner(compiled=True)
    with torch.compiler.set_stance("force_eager"):
        made.begin()

    def broken(features: Tensor) -> Tensor:
        raise RuntimeError("no compiler here")

    assert made._gradients.compiled is not None
    made._gradients.compiled._forward = broken
    assert [made.fit_epoch()["train_loss"], made.evaluate()["val_loss"]] == plainly[:2]
    (note,) = made.notes
    assert note == "its network could not be compiled, and ran as it is: RuntimeError: no compiler here"


@pytest.mark.parametrize(("epoch", "goes_on"), [(0, True), (1, False)])
def test_what_fails_in_the_first_epoch_is_run_again_as_if_it_had_not_been_and_later_fails(
    epoch: int, goes_on: bool
) -> None:
    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))

    plain, made, seen = learner(network), learner(network, compiled=True), list[int]()
    with torch.compiler.set_stance("force_eager"):
        made.begin()

    def broken(features: Tensor) -> Tensor:
        seen.append(made.epoch)
        output: Tensor = made._net(features)
        if seen.count(epoch) == 3:
            raise RuntimeError("no code for this size")
        return output

    assert made._gradients.compiled is not None
    made._gradients.compiled._forward = broken
    assert goes_on or made.fit_epoch() == plain.fit_epoch()
    if not goes_on:
        with pytest.raises(RuntimeError, match="no code for this size"):
            made.fit_epoch()
        return
    assert made.fit_epoch() == plain.fit_epoch()
    for name, array in plain.weights().items():
        np.testing.assert_array_equal(made.weights()[name], array, err_msg=name)
    assert "could not be compiled" in made.notes[0]


def test_a_network_that_fails_by_itself_fails_compiled_too() -> None:
    class Broken(nn.Linear):
        def forward(self, features: Tensor) -> Tensor:
            raise ValueError("its own fault")

    made = learner(lambda: Broken(4, 2), compiled=True)
    with torch.compiler.set_stance("force_eager"), pytest.raises(ValueError, match="its own fault"):
        made.fit_epoch()


@pytest.mark.parametrize("size", [1, 7, 50, 64])
def test_rows_that_are_brought_batch_by_batch_are_those_that_lie_there(size: int) -> None:
    features, order = torch.arange(100.0).reshape(50, 2), torch.randperm(50)
    there, brought = (
        [*Rows(features, torch.device("cpu"), resident=resident).batches(order, size)] for resident in (True, False)
    )
    assert len(there) == len(brought) == -(-50 // size)
    for (one_rows, one), (other_rows, other) in zip(there, brought, strict=True):
        assert torch.equal(one_rows, other_rows)
        assert torch.equal(one, other)


def test_what_fails_while_a_batch_is_brought_fails_the_training() -> None:
    rows = Rows(torch.zeros(4, 1), torch.device("cpu"), resident=False)
    with pytest.raises(IndexError):
        list(rows.batches(torch.tensor([0, 9]), 1))


@pytest.mark.parametrize(
    ("needed", "free", "there"), [(10**12, None, True), (25, 100, True), (26, 100, False), (0, 0, True)]
)
def test_rows_lie_on_the_device_where_a_quarter_of_what_is_free_is_enough(
    needed: int, free: int | None, there: bool
) -> None:
    assert fits(needed, free) is there


def test_idle_time_is_what_lies_between_batches() -> None:
    assert gaps([(0.0, 10.0), (15.0, 20.0), (20.0, 30.0), (40.0, 50.0)]) == (15.0, 50.0)
    assert gaps([(0.0, 10.0), (9.0, 20.0)]) == (0.0, 20.0)
    assert gaps([(3.0, 10.0)]) == (0.0, 7.0)


def test_a_cpu_has_no_idle_share() -> None:
    idle = Idle(torch.device("cpu"))
    with idle.batch():
        pass
    idle.end_epoch()
    assert idle.share is None
    made = learner()
    assert isinstance(made, Telling)
    assert isinstance(made, Closing)
    assert made.gpu_idle is None


@pytest.mark.parametrize(
    ("asked", "device", "given"),
    [("float32", "cuda", "float32"), ("bf16", "cpu", "bf16"), ("auto", "cpu", "float32"), ("auto", "cuda", "float32")],
)
def test_auto_is_float32_where_there_is_no_gpu_that_has_bf16(asked: str, device: str, given: str) -> None:
    if asked == "auto" and device == "cuda" and torch.cuda.is_available():
        given = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    assert precision_of(_plan(precision=asked), device) == given


@pytest.mark.parametrize(
    ("gpus", "device", "devices"), [(0, "cpu", 1), (0.25, "cuda", 1), (1, "cuda", 1), (2, "cuda", 2), (2, "cpu", 1)]
)
def test_a_learner_trains_on_all_whole_gpus_of_its_trial(gpus: float, device: str, devices: int) -> None:
    assert devices_of(_plan(gpus=float(gpus)), device) == min(devices, max(1, torch.cuda.device_count()))


def test_how_a_trial_trains_reaches_its_learner_and_no_stage_before() -> None:
    seen: dict[str, Context] = {}

    class Watched(Images):
        def preprocess(self, params: Any, train: Any, validation: Any, context: Context) -> Any:
            seen["preprocess"] = context
            return super().preprocess(params, train, validation, context)

        def learner(self, params: Any, prepared: Any, context: Context) -> Any:
            seen["train"] = context
            return super().learner(params, prepared, context)

    problem = open_problem(Watched(), FileSource(None, None, Path()), seed=0)
    setting = Setting(seed=0, searched=problem.metrics[0], max_epochs=2, precision="bf16", micro_batches=2)
    outcome = run_alone(problem, 0, {"model.width": 4, "model.depth": 1}, setting)
    assert outcome.ending is Ending.COMPLETE, outcome.text
    assert (seen["train"].precision, seen["train"].micro_batches, seen["train"].devices) == ("bf16", 2, 1)
    assert (seen["preprocess"].precision, seen["preprocess"].micro_batches) == ("float32", 1)
    assert "its batches were split, and its batch norms saw each part by itself" in outcome.notes
    assert outcome.gpu_idle is None


def _plan(**given: Any) -> SweepPlan:
    common: dict[str, Any] = {
        "objective": "o",
        "space": "s",
        "study": "s",
        "results": "r",
        "metrics": ("m",),
        "seed": 0,
    }
    return SweepPlan(**common, directions=("minimize",), **given)
