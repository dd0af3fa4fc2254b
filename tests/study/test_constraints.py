"""A trial that misses a constraint is complete, and never the best; the samplers hear of it as Optuna tells them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.cli import words
from search.errors import FailReason, InputError
from search.paths import StudyFolder
from search.records import study as records
from search.records.derived import refresh
from search.records.leaderboard import leaders
from search.study import constraints
from search.study.constraints import Constraint
from search.trial import Ending, Outcome
from tests.study.searches import Search, plan_of

BOUND = "size<=0.3"


def plane(trial: Any) -> None:
    """Suggest two numbers."""
    trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_float("y", 0.0, 1.0)


def cost(params: Mapping[str, Any]) -> dict[str, float]:
    """Return a loss that is best where the size is largest."""
    return {"loss": 1.0 - params["x"] + 0.1 * params["y"], "size": params["x"]}


def x_of(one: Any) -> float:
    return float(one.params["x"])


@pytest.mark.parametrize(
    ("text", "kept", "missed"),
    [("a<=2", (2.0, -5.0), (2.1,)), ("a>=2", (2.0, 9.0), (1.9,)), ("a<2", (1.9,), (2.0, 3.0)), ("a>2", (2.1,), (2.0,))],
)
def test_a_bound_is_kept_or_missed(text: str, kept: tuple[float, ...], missed: tuple[float, ...]) -> None:
    one = Constraint.parse(text)
    assert Constraint.parse(one.text()) == one
    assert all(one.excess(value) <= 0 for value in kept)
    assert all(one.excess(value) > 0 for value in missed)


def test_how_far_a_trial_is_beyond_is_in_the_unit_of_its_metric() -> None:
    assert Constraint.parse("latency_ms <= 30").excess(42.0) == 12.0
    assert Constraint.parse("auc>=0.9").excess(0.75) == pytest.approx(0.15)


@pytest.mark.parametrize(
    "text", ["", "size", "size==3", "size<=", "<=3", "size<=big", "size<=nan", "size<=1e999", "a<=<3"]
)
def test_what_is_no_bound_is_told_in_one_sentence(text: str) -> None:
    with pytest.raises(InputError) as told:
        constraints.option("--constraint", text)
    assert told.value.message.startswith("--constraint takes METRIC<=NUMBER")
    assert len(told.value.sentence()) <= 200


def test_a_bound_that_is_given_twice_is_told() -> None:
    with pytest.raises(InputError, match="given twice"):
        constraints.check(["a<=3", "b<=3", "a<=3"])


@pytest.mark.parametrize(
    "sampler", ["random", "tpe", "evolve", "gp:n_startup_trials=20", "cmaes", "nsga2:population_size=6"]
)
def test_the_best_keeps_to_the_constraint_whatever_suggests(tmp_path: Path, sampler: str) -> None:
    search = Search.open(tmp_path / "s", plane, cost, trials=24, sampler=sampler, constraints=(BOUND,))
    status = search.run()
    best = status.best
    assert best is not None
    assert x_of(best) <= 0.3
    kept = [one for one in search.records() if x_of(one) <= 0.3]
    assert best.values[0] == min(one.values[0] for one in kept)
    assert status.missed == 24 - len(kept) > 0
    search.close()


@pytest.mark.parametrize("sampler", ["tpe:n_startup_trials=10", "evolve"])
def test_a_sampler_learns_to_keep_to_it(tmp_path: Path, sampler: str) -> None:
    """Uniform draws keep to it in 15 of 50; blind to it a sampler would go to where the loss is best, and miss it."""
    shares = {}
    for name, bounds in (("bound", (BOUND,)), ("free", ())):
        search = Search.open(tmp_path / name, plane, cost, trials=50, sampler=sampler, constraints=bounds)
        search.run()
        shares[name] = sum(x_of(one) <= 0.3 for one in search.records()[20:]) / 30
        search.close()
    assert shares["bound"] > shares["free"] + 0.25


def test_a_failed_trial_is_no_better_to_a_sampler_than_one_that_misses(tmp_path: Path) -> None:
    """GP takes no trials with another number of constraints; a failed one has none of its own."""
    for sampler in ("gp:n_startup_trials=8", "tpe:n_startup_trials=4", "cmaes"):
        search = Search.open(tmp_path / sampler[:2], plane, cost, trials=10, sampler=sampler, constraints=(BOUND,))
        for turn in range(10):
            spec = search.start(str(turn))
            assert spec is not None
            if turn == 2:
                told = Outcome(Ending.FAIL, reason=FailReason.NAN, text="the loss is nan")
                search.owner.tell(spec.number, f"t{spec.number}", told)
            else:
                search.end(spec)
        search.close()


def test_plain_optuna_knows_what_was_missed(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", plane, cost, constraints=(BOUND,))
    status = search.run()
    search.close()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "s" / "study.journal")))
    study = optuna.load_study(study_name="s", storage=storage)
    assert status.best is not None
    assert study.best_trial.number == status.best.number
    assert all(one.constraints == {BOUND: pytest.approx(x_of(one) - 0.3)} for one in study.trials)


def test_where_nothing_keeps_to_it_the_nearest_is_named(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", plane, cost, constraints=("size<=-1", "loss<=9"))
    status = search.run()
    nearest = min(search.records(), key=lambda one: x_of(one))
    assert (status.best, status.state, status.missed) == (None, "finished", 20)
    assert status.nearest is not None
    assert status.nearest.number == nearest.number
    assert status.to_json()["best"] is None
    assert status.to_json()["infeasible"]["nearest"]["number"] == nearest.number
    said = words.best(status)
    assert f"the nearest is trial {nearest.number}, which misses size<=-1 (has {nearest.params['x']:.6g})" in said
    search.close()


def test_the_front_holds_only_what_keeps_to_it(tmp_path: Path) -> None:
    two: dict[str, Any] = {"metrics": ("loss", "y"), "directions": ("minimize", "maximize")}
    search = Search.open(tmp_path / "s", plane, lambda one: {**cost(one), "y": one["y"]}, constraints=(BOUND,), **two)
    status = search.run()
    assert status.front
    assert all(x_of(one) <= 0.3 for one in status.front)
    search.close()


def test_a_constrained_metric_that_is_not_reported_ends_the_sweep_at_its_first_trial(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", plane, cost, constraints=("latency_ms<=30",))
    status = search.run()
    assert status.state == "failed"
    assert status.why_stopped == "trial 0 reported no 'latency_ms'; it reported loss, size"
    search.close()


def test_what_an_objective_sets_itself_counts_the_same(tmp_path: Path) -> None:
    """An Optuna objective calls `trial.set_constraint`, which stores an attribute of the same form."""
    search = Search.open(tmp_path / "s", plane, cost)
    for turn in range(8):
        spec = search.start(str(turn))
        assert spec is not None
        stored = search.owner._parts.study._storage
        trial_id = stored.get_trial_id_from_study_id_trial_number(search.owner._parts.study._study_id, spec.number)
        stored.set_trial_system_attr(trial_id, "constraints:small", x_of(spec) - 0.5)
        search.end(spec)
    kept = [one for one in search.records() if x_of(one) <= 0.5]
    best = search.owner.status().best
    assert best is not None
    assert best.number == min(kept, key=lambda one: one.values).number
    search.close()


def test_the_stored_study_says_the_same_with_and_without_its_tables(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", plane, cost, constraints=(BOUND,), trials=30)
    status = search.run()
    search.close()
    folder = StudyFolder(tmp_path / "s")
    plan = plan_of(tmp_path / "s", constraints=(BOUND,), trials=30)
    folder.plan.write_text(json.dumps({"schema": 1, "plan": plan.to_json(), "code_hash": "", "data_hash": ""}))
    for _ in range(2):
        stored = records.read(folder)
        there = records.status(stored)
        assert (there.best, there.missed, there.nearest) == (status.best, status.missed, status.nearest)
        board = leaders(stored, 30)
        misses = [one.violation > 0 for one in board]
        assert misses == sorted(misses)  # those that miss come last
        assert board[0] == status.best
        shown = words.leaderboard(board, ("loss",), columns=None)
        assert "misses" in shown[0]
        assert f"{BOUND} (has" in shown[-1]
        refresh(folder)
