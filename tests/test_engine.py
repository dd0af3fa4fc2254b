"""The loop of one trial: what it reports, when it ends, and how that end is told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.checkpoint import Checkpoint, CheckpointKind
from search.contract import Context, Metric, Params, Run, objective
from search.data.source import FileSource
from search.engine import TrialRun, step_of
from search.errors import FailReason
from search.problem import Problem, open_problem
from search.randomness import preparation_seed, stage_seed
from search.session import SessionLost, Setting
from search.trial import Ending, Outcome, Progress, TrialSpec, Verdict
from tests.learners import Curve, Curves, line, yielding

LOSS = Metric("val_loss", "minimize")
NO_SOURCE = FileSource(None, None, Path())


class Recorder:
    """A session that keeps what it is told, and answers from a list of verdicts."""

    def __init__(self, verdicts: Sequence[Verdict] = ()) -> None:
        self.reports: list[Progress] = []
        self.saved: dict[CheckpointKind, Checkpoint] = {}
        self._verdicts = list(verdicts)

    def report(self, progress: Progress) -> Verdict:
        self.reports.append(progress)
        return self._verdicts.pop(0) if self._verdicts else Verdict.CONTINUE

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        self.saved[kind] = checkpoint

    def load(self, kind: CheckpointKind) -> Checkpoint | None:
        return self.saved.get(kind)


def problem_of(losses: Sequence[Any], budget: int | None = None) -> Problem:
    def make(params: Params, context: Context) -> Curve:
        return Curve(losses, budget)

    return open_problem(Curves(make), NO_SOURCE, seed=0)


def run(
    problem: Problem, session: Recorder, *, max_epochs: int = 4, params: Params | None = None, **setting: Any
) -> Outcome:
    resume = setting.pop("resume", False)
    clock = setting.pop("clock", None)
    made = Setting(seed=0, searched=setting.pop("searched", LOSS), max_epochs=max_epochs, **setting)
    extra = {"clock": clock} if clock else {}
    trial = TrialRun(problem, TrialSpec(3, params or {}), made, session, resume=resume, **extra)
    for _ in trial:
        pass
    return trial.outcome


@pytest.mark.parametrize(
    ("budget", "max_epochs", "steps"),
    [
        (4, 4, [1, 2, 3, 4]),
        (2, 4, [2, 4]),
        (1, 27, [27]),
        (8, 4, [0, 1, 1, 2, 2, 3, 3, 4]),
        (3, 10, [3, 6, 10]),
        (5, 3, [0, 1, 1, 2, 3]),
    ],
)
def test_units_of_any_learner_map_onto_one_scale_that_ends_at_its_last_step(
    budget: int, max_epochs: int, steps: list[int]
) -> None:
    assert [step_of(unit, budget, max_epochs) for unit in range(1, budget + 1)] == steps


def test_a_trial_reports_each_step_once_and_completes_with_its_best() -> None:
    session = Recorder()
    outcome = run(problem_of([0.5, 0.3, 0.4, 0.6]), session)
    assert [report.step for report in session.reports] == [1, 2, 3, 4]
    assert (outcome.ending, outcome.step, outcome.metrics) == (Ending.COMPLETE, 2, {"val_loss": 0.3})
    assert outcome.text == "full budget"
    assert session.saved["best"].state.arrays["done"] == np.array([2])  # type: ignore[union-attr]


def test_units_that_are_less_than_a_step_are_trained_but_not_reported() -> None:
    session = Recorder()
    outcome = run(problem_of([9.0, 0.8, 9.0, 0.6, 9.0, 0.4, 9.0, 0.2]), session)
    assert [(report.step, report.units, report.metrics["val_loss"]) for report in session.reports] == [
        (1, 2, 0.8),
        (2, 4, 0.6),
        (3, 6, 0.4),
        (4, 8, 0.2),
    ]
    assert outcome.units == 8


def test_a_pruned_trial_has_told_its_last_report() -> None:
    session = Recorder([Verdict.CONTINUE, Verdict.PRUNE])
    outcome = run(problem_of([0.5, 0.7, 0.1, 0.1]), session)
    assert outcome.ending is Ending.PRUNED
    assert (outcome.step, outcome.metrics) == (2, {"val_loss": 0.7})
    assert len(session.reports) == 2


def test_a_stop_pauses_with_a_checkpoint_and_a_later_run_goes_on_from_it() -> None:
    session = Recorder([Verdict.CONTINUE, Verdict.STOP])
    problem = problem_of([0.5, 0.3, 0.4, 0.35])
    assert run(problem, session).ending is Ending.PAUSED
    assert session.saved["latest"].step == 2

    outcome = run(problem, session, resume=True)
    assert [report.step for report in session.reports] == [1, 2, 3, 4]
    assert (outcome.ending, outcome.step, outcome.metrics["val_loss"]) == (Ending.COMPLETE, 2, 0.3)


def test_a_stop_at_the_last_step_completes() -> None:
    outcome = run(problem_of([0.5, 0.3]), Recorder([Verdict.CONTINUE, Verdict.STOP]), max_epochs=2)
    assert outcome.ending is Ending.COMPLETE


def test_patience_ends_a_trial_when_val_loss_stops_falling_whatever_is_searched() -> None:
    curve = [
        {"val_loss": loss, "val_accuracy": accuracy}
        for loss, accuracy in [(3, 0.1), (2, 0.2), (4, 0.3), (5, 0.4), (1, 0.9)]
    ]
    session = Recorder()
    outcome = run(problem_of(curve), session, max_epochs=5, patience=2, searched=Metric("val_accuracy", "maximize"))
    assert len(session.reports) == 4
    assert (outcome.ending, outcome.step) == (Ending.COMPLETE, 4)
    assert outcome.text == "val_loss no better for 2 epochs"


def test_early_stopping_remembers_over_a_pause() -> None:
    losses = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    session = Recorder([Verdict.CONTINUE, Verdict.STOP])
    run(problem_of(losses), session, max_epochs=6, patience=3)
    outcome = run(problem_of(losses), session, max_epochs=6, patience=3, resume=True)
    assert [report.step for report in session.reports] == [1, 2, 3, 4]
    assert (outcome.ending, outcome.step) == (Ending.COMPLETE, 1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, FailReason.NAN),
        (math.inf, FailReason.NAN),
        (-math.inf, FailReason.NAN),
        (np.float16("inf"), FailReason.NAN),
        (None, FailReason.INVALID),
        ("0.5", FailReason.INVALID),
        (True, FailReason.INVALID),
        ([0.5, 0.4], FailReason.INVALID),
        (10**400, FailReason.INVALID),
    ],
)
def test_a_value_that_is_no_finite_number_fails_the_trial_and_is_never_reported(value: Any, reason: FailReason) -> None:
    session = Recorder()
    outcome = run(problem_of([0.5, {"val_loss": value}, 0.1, 0.1]), session)
    assert (outcome.ending, outcome.reason) == (Ending.FAIL, reason)
    assert [report.metrics["val_loss"] for report in session.reports] == [0.5]
    assert "val_loss" in outcome.text


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), 1, np.int64(1)])
def test_any_scalar_number_is_a_metric(value: Any) -> None:
    outcome = run(problem_of([value]), Recorder(), max_epochs=1)
    assert outcome.ending is Ending.COMPLETE
    assert type(outcome.metrics["val_loss"]) is float


class Broken(Curve):
    """Raises in one of its methods."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__([0.5, 0.4])
        self._where, self._error = where, error

    def fit_epoch(self) -> Mapping[str, float]:
        if self._where == "fit_epoch":
            raise self._error
        return super().fit_epoch()

    def evaluate(self) -> Mapping[str, Any]:
        if self._where == "evaluate":
            raise self._error
        return super().evaluate()


@pytest.mark.parametrize("where", ["preprocess", "learner", "fit_epoch", "evaluate"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such column"), FailReason.EXCEPTION),
        (MemoryError(), FailReason.OUT_OF_MEMORY),
        (MemoryError("no room for 12 layers"), FailReason.OUT_OF_MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate"), FailReason.OUT_OF_MEMORY),
        (KeyError("x"), FailReason.EXCEPTION),
    ],
)
def test_an_exception_in_any_stage_fails_the_trial_with_its_traceback(
    where: str, error: Exception, reason: FailReason
) -> None:
    def make(params: Params, context: Context) -> Curve:
        if where == "learner":
            raise error
        return Broken(where, error)

    curves = Curves(make)
    if where == "preprocess":

        def broken(*_: object) -> Any:
            raise error

        curves.preprocess = broken  # type: ignore[method-assign,assignment]
    outcome = run(open_problem(curves, NO_SOURCE, seed=0), Recorder())
    assert (outcome.ending, outcome.reason) == (Ending.FAIL, reason)
    assert type(error).__name__ in outcome.trace
    assert str(error) in outcome.text


class Unclosed(Curve):
    def close(self) -> None:
        raise RuntimeError("it is still open")


class Shut(Curve):
    close = 101.5  # a price, say


@pytest.mark.parametrize(
    ("kind", "notes"), [(Unclosed, ("its learner could not close: RuntimeError: it is still open",)), (Shut, ())]
)
def test_a_learner_that_cannot_close_changes_nothing_of_its_trial(kind: type[Curve], notes: tuple[str, ...]) -> None:
    outcome = run(open_problem(Curves(lambda *_: kind([3.0, 2.0])), NO_SOURCE, seed=0), Recorder(), max_epochs=2)
    assert (outcome.ending, outcome.notes) == (Ending.COMPLETE, notes)


def test_a_trial_longer_than_its_time_out_fails() -> None:
    ticks = iter(range(0, 1000, 2))
    outcome = run(problem_of([0.5] * 4), Recorder(), timeout_s=9.0, clock=lambda: float(next(ticks)))
    assert (outcome.ending, outcome.reason, outcome.text) == (Ending.FAIL, FailReason.TIMEOUT, "longer than 9 s")


def test_a_lost_session_is_no_fault_of_the_trial() -> None:
    class Gone(Recorder):
        def report(self, progress: Progress) -> Verdict:
            raise SessionLost("the study is gone")

    with pytest.raises(SessionLost):
        run(problem_of([0.5]), Gone())


def test_each_stage_gets_its_own_parameters_and_its_own_seed() -> None:
    curves = Curves(lambda params, context: Curve([0.5]))
    problem = open_problem(curves, NO_SOURCE, seed=0)
    run(problem, Recorder(), params={"preprocess.scale": "standard", "model.width": 8, "train.lr": 0.1})
    (prepared, _, _, first), (learned, _, second) = curves.handed
    assert prepared == {"scale": "standard"}
    assert learned == {"model.width": 8, "train.lr": 0.1}
    assert (first.seed, second.seed) == (preparation_seed(0, prepared), stage_seed(0, 3, "train"))
    assert first.seed != second.seed


def test_no_stage_is_handed_a_test_row() -> None:
    curves = Curves(lambda params, context: Curve([0.5]))
    problem = open_problem(curves, NO_SOURCE, seed=0)
    run(problem, Recorder())
    seen = {row for _, *parts, _ in curves.handed[:1] for part in parts for row in part.target}
    assert problem.dataset is not None
    assert 0 < len(seen) < len(problem.dataset.target)
    assert len(seen) == len(problem.train.target) + len(problem.validation.target)


def test_the_short_form_runs_through_the_same_loop() -> None:
    session = Recorder()
    outcome = run(open_problem(yielding, NO_SOURCE, seed=0), session, params={"train.x": 0.0})
    assert [report.metrics["val_loss"] for report in session.reports] == [1.0, 1 / 2, 1 / 3, 1 / 4]
    assert outcome.ending is Ending.COMPLETE


def test_the_short_form_completes_with_its_best_too() -> None:
    @objective(space=line, metrics={"val_loss": "minimize"})
    def up_and_down(run: Run) -> Iterator[Mapping[str, float]]:
        yield from ({"val_loss": loss} for loss in (5.0, 1.0, 9.0))

    session = Recorder()
    outcome = run(open_problem(up_and_down, NO_SOURCE, seed=0), session, max_epochs=3)
    assert (outcome.step, outcome.metrics) == (2, {"val_loss": 1.0})
    assert not session.saved  # a generator has no state to keep


def test_global_generators_are_seeded_for_each_trial() -> None:
    import random

    @objective(space=line, metrics={"val_loss": "minimize"})
    def careless(run: Run) -> Iterator[Mapping[str, float]]:
        yield {"val_loss": random.random() + float(np.random.rand())}

    problem = open_problem(careless, NO_SOURCE, seed=0)
    assert run(problem, Recorder(), max_epochs=1).metrics == run(problem, Recorder(), max_epochs=1).metrics


def test_a_generator_that_ends_early_completes_with_its_best() -> None:
    @objective(space=line, metrics={"val_loss": "minimize"})
    def short(run: Run) -> Iterator[Mapping[str, float]]:
        yield {"val_loss": 0.5}

    outcome = run(open_problem(short, NO_SOURCE, seed=0), Recorder())
    assert (outcome.ending, outcome.text) == (Ending.COMPLETE, "ended by itself")


def test_a_trial_without_one_report_is_invalid() -> None:
    @objective(space=line, metrics={"val_loss": "minimize"})
    def silent(run: Run) -> Iterator[Mapping[str, float]]:
        yield from ()

    outcome = run(open_problem(silent, NO_SOURCE, seed=0), Recorder())
    assert (outcome.ending, outcome.reason) == (Ending.FAIL, FailReason.INVALID)
    assert outcome.text == "trial 3 ended without one report; yield or return at least one metric"


def test_a_short_form_that_yields_no_dict_says_what_to_yield() -> None:
    @objective(space=line, metrics={"val_loss": "minimize"})
    def bare(run: Run) -> Iterator[Any]:
        yield 0.5

    outcome = run(open_problem(bare, NO_SOURCE, seed=0), Recorder())
    assert outcome.reason is FailReason.EXCEPTION
    assert "yield a dict of metrics" in outcome.text
