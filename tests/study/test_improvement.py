"""A search ends when it has what was wanted, or when another trial is not expected to bring enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler

from search.study.budget import Budget, Spent, exhausted
from search.study.improvement import EVERY, IN_A_ROW
from search.study.outlook import LEAST_TRIALS, MOST_TRIALS, Foresight
from search.study.runs import Run
from search.trial import Ending
from tests.study.searches import Search, plan_of


def branches(trial: Any) -> None:
    """Suggest two numbers, and a third behind a choice."""
    trial.suggest_float("x", -1.0, 1.0)
    trial.suggest_float("y", 1e-4, 1.0, log=True)
    if trial.suggest_categorical("kind", ["a", "b"]) == "b":
        trial.suggest_int("n", 1, 8)


def bowl(params: Mapping[str, Any]) -> dict[str, float]:
    """Return a smooth loss, whose least value is 0."""
    depth = (params["x"] - 0.3) ** 2 + (np.log10(params["y"]) / 4 + 0.5) ** 2
    return {"loss": float(depth + (0.1 * params["n"] if params["kind"] == "b" else 0.0))}


def told(count: int, loss: Any, *, seed: int = 0) -> list[optuna.trial.FrozenTrial]:
    """Return random trials with their results."""
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    for _ in range(count):
        trial = study.ask()
        branches(trial)
        study.tell(trial, loss(trial.params))
    return study.get_trials()


@pytest.mark.parametrize(
    ("direction", "until", "best", "stops"),
    [
        ("minimize", 0.2, 0.2, True),
        ("minimize", 0.2, 0.21, False),
        ("maximize", 0.9, 0.95, True),
        ("maximize", 0.9, 0.89, False),
        ("minimize", 0.2, None, False),
        ("minimize", None, -9.0, False),
    ],
)
def test_a_sweep_ends_when_its_best_reaches_what_was_wanted(
    tmp_path: Path, direction: str, until: float | None, best: float | None, stops: bool
) -> None:
    plan = plan_of(tmp_path, directions=(direction,), until=until)
    why = exhausted(Budget.of(plan), Spent(best=best), cpus=1, gpus=0)
    assert (why is not None) == stops
    if why is not None:
        assert why == f"the best is {best:g}, which reaches --until {until:g}"


def test_a_trial_that_misses_a_constraint_reaches_nothing(tmp_path: Path) -> None:
    for name, constraints, ran in (("free", (), 1), ("bound", ("loss>=99",), 20)):
        search = Search.open(tmp_path / name, branches, bowl, until=50.0, constraints=constraints)
        search.run()
        assert len(search.ran) == ran
        search.close()


def test_the_value_to_reach_may_change_at_a_resume(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", branches, bowl, until=50.0)
    assert search.run().state == "finished"
    search.close()
    search = Search.open(tmp_path / "s", branches, bowl, until=None, run=Run("two"), trials=4)
    assert search.run().why_stopped == "4 of 4 trials"
    search.close()


def test_a_solved_problem_ends_with_the_reason(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", branches, bowl, trials=300, sampler="tpe", min_gain=0.02)
    status = search.run()
    assert status.state == "finished"
    assert status.why_stopped.startswith("expected improvement of another trial is ")
    assert status.why_stopped.endswith(" loss, below --min-gain 0.02")
    assert status.best is not None
    assert status.best.values[0] < 0.02  # so there was no more to gain than that
    assert LEAST_TRIALS + (IN_A_ROW - 1) * EVERY <= len(search.ran) < 150
    search.close()


def test_looks_in_a_row_go_on_after_a_restart(tmp_path: Path) -> None:
    """Restarts are closer to each other than the looks that it takes."""
    whole = Search.open(tmp_path / "whole", branches, bowl, trials=300, sampler="tpe", min_gain=0.02)
    expected = whole.run().why_stopped
    whole.close()
    ran = []
    for restart in range(60):
        run = Run(f"run {restart}")
        search = Search.open(tmp_path / "s", branches, bowl, run=run, trials=300, sampler="tpe", min_gain=0.02)
        for turn in range(7):
            if (spec := search.start(f"{restart} {turn}")) is None:
                break
            search.end(spec)
        ran += search.ran
        if spec is None:
            break
        search.close()
    assert search.owner.finish().why_stopped == expected
    search.close()
    assert [one.params for one in ran] == [one.params for one in whole.ran]


@pytest.mark.parametrize("changes", [{"trials": 360}, {"min_gain": 0.03}])
def test_a_study_that_had_finished_and_goes_on_looks_anew(changes: dict[str, Any], tmp_path: Path) -> None:
    """One look that finds too little was enough if the three before its end still counted."""
    search = Search.open(tmp_path / "s", branches, bowl, trials=300, sampler="tpe", min_gain=0.02)
    assert "--min-gain" in search.run().why_stopped
    search.close()
    plan = {"trials": 300, "sampler": "tpe", "min_gain": 0.02, **changes}
    search = Search.open(tmp_path / "s", branches, bowl, run=Run("two"), **plan)
    assert "--min-gain" in search.run().why_stopped
    assert len(search.ran) == IN_A_ROW * EVERY
    search.close()


def test_other_limits_begin_their_looks_anew(tmp_path: Path) -> None:
    plan: dict[str, Any] = {"trials": 300, "sampler": "tpe"}
    whole = Search.open(tmp_path / "s", branches, bowl, min_gain=0.02, **plan)
    for turn in range(LEAST_TRIALS + 2 * EVERY):
        spec = whole.start(str(turn))
        assert spec is not None
        whole.end(spec)
    whole.close()
    search = Search.open(tmp_path / "s", branches, bowl, run=Run("two"), min_gain=9.0, **plan)
    assert "--min-gain 9" in search.run().why_stopped
    assert len(search.ran) == IN_A_ROW * EVERY
    search.close()


def test_with_room_for_more_it_goes_on(tmp_path: Path) -> None:
    """The best of 60 random trials is well above the least value, and the gain that is asked for is small."""
    search = Search.open(tmp_path / "s", branches, bowl, trials=60, sampler="random", min_gain=1e-5)
    assert search.run().why_stopped == "60 of 60 trials"
    search.close()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_is_expected_is_near_what_is_there_to_gain(tmp_path: Path, sign: float) -> None:
    direction = "minimize" if sign > 0 else "maximize"
    looking = Foresight(plan_of(tmp_path, directions=(direction,)))
    trials = told(50, lambda params: sign * bowl(params)["loss"])
    left = min(sign * one.values[0] for one in trials)
    found = looking.of(trials)
    assert found is not None
    assert 0.3 * left < found.next < 3 * left


def test_noise_is_no_promise(tmp_path: Path) -> None:
    """Where all is noise, the luckiest result is no sign of better ones to come; nor is a far worse one."""
    random = np.random.default_rng(1)
    looking = Foresight(plan_of(tmp_path))
    found = looking.of(told(60, lambda _: float(random.normal())))
    assert found is not None
    assert found.next < 0.4  # the best of 60 is 2.3 below the mean
    wild = looking.of(told(60, lambda params: bowl(params)["loss"] + 1e6 * (params["x"] < -0.9)))
    assert wild is not None
    assert wild.next < 1.0


def test_it_does_not_look_before_there_are_enough_trials(tmp_path: Path) -> None:
    looking = Foresight(plan_of(tmp_path))
    assert looking.of(told(LEAST_TRIALS - 1, lambda params: bowl(params)["loss"])) is None
    assert looking.of(told(LEAST_TRIALS, lambda params: bowl(params)["loss"])) is not None
    assert looking.of(told(LEAST_TRIALS, lambda _: 0.5)) == (0.0, 0.0, 0.0)
    assert looking.of([]) is None


def test_a_look_learns_from_no_more_than_so_many_trials_and_from_the_best(tmp_path: Path) -> None:
    """Its cost grows with their cube; at a thousand a look takes 40 ms."""
    looking = Foresight(plan_of(tmp_path))
    trials = told(400, lambda params: bowl(params)["loss"])
    chosen, costs = looking._chosen(trials)
    assert len(chosen) == len(costs) == MOST_TRIALS
    best = sorted(trials, key=lambda one: float(one.values[0]))[: MOST_TRIALS // 2]
    assert {one.number for one in best} <= {one.number for one in chosen}
    found = looking.of(trials)
    assert found is not None
    assert found.next < 0.1


def test_pruned_trials_count_as_poor_ones(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", branches, bowl, trials=60, max_epochs=3, min_gain=0.05, sampler="tpe")
    for turn in range(60):
        spec = search.start(str(turn))
        if spec is None:
            break
        search.end(spec, Ending.PRUNED if turn % 3 == 2 else Ending.COMPLETE)
    assert "--min-gain" in search.owner.finish().why_stopped
    search.close()


def test_fixed_numbers_are_not_improved_on(tmp_path: Path) -> None:
    """With the best value of `x` out of reach, what could be gained by it is not expected."""
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(40):
        study.enqueue_trial({"x": -1.0})
        trial = study.ask()
        branches(trial)
        study.tell(trial, bowl(trial.params)["loss"])
    plan = plan_of(tmp_path)
    fixed = Foresight(replace(plan, fixed={"x": -1.0})).of(study.get_trials())
    assert fixed is not None
    assert fixed.next < 0.1
