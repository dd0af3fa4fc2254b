"""Whole sweeps over real Ray: every end of a trial, budgets, seeds, resources, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.errors import SurroundingsError
from search.status import Status
from tests.tuner.sweeps import SLOW, run, stored, write

pytestmark = pytest.mark.usefixtures("ray_session")

CURVES = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize", "val_accuracy": "maximize"})
def curves(run):
    for epoch in run.epochs:
        loss = run.params["train.x"] + 1.0 / epoch
        yield {"val_loss": loss, "val_accuracy": 1.0 - loss / 2}
"""

ENDS = """
import os, re, signal, time

ENDS = ["complete", "exception", "nan", "sleep", "native", "lost_once", "lost", "silent", "memory", "text"]

def space(trial):
    trial.suggest_categorical("model.end", ENDS)

@objective(space=space, metrics={"val_loss": "minimize"})
def ends(run):
    end = run.params["model.end"]
    if end == "silent":
        return
    print("it says", end)
    for epoch in run.epochs:
        if epoch == 3 and end == "exception":
            raise ValueError("no such column")
        if epoch == 3 and end == "memory":
            raise MemoryError
        if epoch == 3 and end == "sleep":
            time.sleep(60)
        if epoch == 3 and end == "native":
            re.match(r"(a+)+$", "a" * 60 + "b")
        if epoch == 3 and (end == "lost" or (end == "lost_once" and not (HERE / end).exists())):
            (HERE / end).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        value = {"nan": float("nan"), "text": "low"}.get(end, 1.0) if epoch == 3 else 1.0
        yield {"val_loss": value / epoch if isinstance(value, float) else value}
"""

EXPECTED = {
    "complete": ("COMPLETE", None, 4),
    "exception": ("FAIL", "exception", 2),
    "nan": ("FAIL", "nan", 2),
    "sleep": ("FAIL", "timeout", 2),
    "native": ("FAIL", "timeout", 2),
    "lost_once": ("COMPLETE", None, 4),
    "lost": ("FAIL", "worker_lost", 2),
    "silent": ("FAIL", "invalid", 0),
    "memory": ("FAIL", "out_of_memory", 2),
    "text": ("FAIL", "invalid", 2),
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    """One sweep in which each trial ends in its own way."""
    folder = tmp_path_factory.mktemp("ends")
    path = write(folder, ENDS)
    points = folder / "points.jsonl"
    points.write_text("\n".join(json.dumps({"model.end": end}) for end in EXPECTED))
    run(
        path,
        folder,
        enqueue=str(points),
        trials=len(EXPECTED) - 1,  # a lost worker is not the configuration's fault: it does not count
        trial_timeout="3s",
        retries=1,
        pruner="none",
        patience=0,
    )
    return folder


@pytest.mark.parametrize("end", EXPECTED)
def test_every_end_is_told_truthfully_and_the_sweep_goes_on(ends: Path, end: str) -> None:
    state, reason, reports = EXPECTED[end]
    trial = next(trial for trial in stored(ends) if trial.params["model.end"] == end)
    assert (trial.state.name, trial.system_attrs["sweep:end"]["reason"]) == (state, reason)
    assert len(trial.intermediate_values) == reports


def test_what_a_trial_printed_and_its_traceback_lie_in_its_folder(ends: Path) -> None:
    number = next(trial.number for trial in stored(ends) if trial.params["model.end"] == "exception")
    folder = ends / "s" / "trials" / f"{number:05d}"
    assert (folder / "log.txt").read_text() == "it says exception\n"
    assert "ValueError: no such column" in (folder / "error.txt").read_text()


def test_a_lost_worker_keeps_the_trials_number_and_is_counted(ends: Path) -> None:
    trials = {trial.params["model.end"]: trial for trial in stored(ends)}
    assert trials["lost_once"].system_attrs["sweep:end"]["lost"] == 1
    assert trials["lost"].system_attrs["sweep:end"]["lost"] == 2


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> tuple[Path, Status]:
    """A sweep on two lanes with the default pruner, and how it ended."""
    folder = tmp_path_factory.mktemp("pruned")
    return folder, run(write(folder, CURVES), folder, trials=25, max_epochs=9, concurrency=2).status


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> tuple[Path, list[Status]]:
    """The same sweep on one lane, two times, and how they ended."""
    folder = tmp_path_factory.mktemp("twice")
    path, flags = write(folder, CURVES), {"trials": 12, "sampler": "tpe:n_startup_trials=5", "seed": 3}
    return folder, [run(path, folder, concurrency=1, study=name, **flags).status for name in ("one", "two")]


def test_a_sweep_prunes_and_its_storage_agrees_with_its_status(pruned: tuple[Path, Status]) -> None:
    trials, status = stored(pruned[0]), pruned[1]
    assert status.state == "finished"
    assert status.why_stopped == "25 of 25 trials"
    states = [trial.state.name.lower() for trial in trials]
    assert {state: states.count(state) for state in set(states)} == {
        state: count for state, count in status.trials.items() if count
    }
    assert states.count("pruned") >= 8
    best = min((trial for trial in trials if trial.state.name == "COMPLETE"), key=lambda trial: trial.value or 0)
    assert status.best is not None
    assert (status.best.number, status.best.values[0]) == (best.number, best.value)
    for trial in trials:
        assert trial.intermediate_values == {
            step: trial.params["train.x"] + 1.0 / step for step in trial.intermediate_values
        }
        assert sorted(trial.intermediate_values) == list(range(1, max(trial.intermediate_values) + 1))
        assert ("sweep:pruning" in trial.system_attrs) == (trial.state.name == "PRUNED")


FORGETS = CURVES.replace(
    "        yield {", "        if run.params['train.x'] < 0.3:\n            yield {'other': 1.0}\n        yield {"
)


def test_a_trial_that_leaves_the_searched_metric_out_fails_alone(tmp_path: Path) -> None:
    ended = run(write(tmp_path, FORGETS), tmp_path, trials=12, pruner="none", concurrency=1, seed=1)
    invalid = [trial for trial in stored(tmp_path) if trial.state.name == "FAIL"]
    assert {trial.params["train.x"] < 0.3 for trial in invalid} == {True}
    assert ended.status.failures == {"invalid": len(invalid)}
    assert len(stored(tmp_path)) == 12


EXITS = CURVES.replace("        yield {", "        raise SystemExit('enough')\n        yield {")


@pytest.fixture(scope="module")
def exits(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> tuple[Path, Status]:
    folder = tmp_path_factory.mktemp("exits")
    return folder, run(write(folder, EXITS), folder, trials=2).status


def test_an_objective_that_exits_fails_its_trial_and_not_its_worker(exits: tuple[Path, Status]) -> None:
    folder, status = exits
    assert status.failures == {"exception": 2}
    end = stored(folder)[0].system_attrs["sweep:end"]
    assert (end["text"], end["lost"]) == ("SystemExit: enough", 0)


def test_a_sweep_without_one_completed_trial_has_failed(exits: tuple[Path, Status]) -> None:
    assert exits[1].state == "failed"


def test_the_budget_of_trials_is_exact(pruned: tuple[Path, Status], twice: tuple[Path, list[Status]]) -> None:
    assert len(stored(pruned[0])) == sum(pruned[1].trials.values()) == 25
    assert len(stored(twice[0], "one")) == sum(twice[1][0].trials.values()) == 12


def test_one_lane_and_one_seed_give_the_same_trials_twice(twice: tuple[Path, list[Status]]) -> None:
    first, second = (
        [(trial.state, trial.params, trial.intermediate_values, trial.values) for trial in stored(twice[0], name)]
        for name in ("one", "two")
    )
    assert first == second


SEEN = """
import os, threading

def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def seen(run):
    print(repr(os.environ.get("CUDA_VISIBLE_DEVICES")), os.environ.get("OMP_NUM_THREADS"), run.threads, os.getpid())
    yield {"val_loss": run.params["train.x"]}
"""


@pytest.mark.parametrize(("gpus", "allowed"), [(1.0, {"'0'", "'1'"}), (0.5, {"'0'", "'1'"}), (0.0, {"''"})])
def test_a_trial_sees_only_its_own_gpu(tmp_path: Path, gpus: float, allowed: set[str]) -> None:
    run(write(tmp_path, SEEN), tmp_path, trials=4, gpus=gpus, cpus=0.5, concurrency=2)
    devices = {log.read_text().split()[0] for log in (tmp_path / "s" / "trials").rglob("log.txt")}
    assert devices <= allowed
    assert devices


def test_a_trials_threads_are_its_cpus(tmp_path: Path) -> None:
    run(write(tmp_path, SEEN), tmp_path, trials=1, cpus=2)
    (log,) = (tmp_path / "s" / "trials").rglob("log.txt")
    assert log.read_text().split()[1:3] == ["2", "2"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"gpus": 3}, "a trial asks 3 GPUs, the cluster has 2, the largest node 2; `--gpus 2`, or "),
        ({"cpus": 64}, "a trial asks 64 CPUs, the largest node has 2"),
    ],
)
def test_a_demand_that_nothing_can_meet_is_refused_before_anything_is_written(
    tmp_path: Path, flags: dict[str, int], sentence: str
) -> None:
    with pytest.raises(SurroundingsError) as caught:
        run(write(tmp_path, CURVES), tmp_path, trials=1, **flags)
    assert sentence in caught.value.sentence()
    assert not (tmp_path / "s").exists()


def test_a_metric_that_is_never_reported_ends_the_sweep_at_its_first_trial(tmp_path: Path) -> None:
    ended = run(write(tmp_path, CURVES), tmp_path, trials=30, metric=("vloss",), concurrency=1)
    assert ended.status.state == "failed"
    assert ended.status.why_stopped == "trial 0 reported no 'vloss'; it reported val_accuracy, val_loss"
    assert len(stored(tmp_path)) == 1


FAILS = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def fails(run):
    raise RuntimeError("always")
    yield {}
"""


def test_a_sweep_that_only_fails_can_be_stopped_early(tmp_path: Path) -> None:
    ended = run(write(tmp_path, FAILS), tmp_path, trials=50, max_failures=3, concurrency=1)
    assert ended.status.trials["fail"] == 3
    assert (ended.status.state, ended.status.why_stopped) == ("failed", "3 trials in a row failed")


def test_a_used_up_time_budget_pauses_what_runs(tmp_path: Path) -> None:
    ended = run(write(tmp_path, SLOW), tmp_path, time="4s", max_epochs=100, pruner="none", patience=0)
    assert ended.status.state in ("finished", "failed")
    assert ended.status.why_stopped == "the time budget of 4 s is used up"
    assert ended.status.trials["paused"] >= 1
    assert ended.status.trials["running"] == 0


def test_an_epoch_budget_ends_the_sweep(tmp_path: Path) -> None:
    ended = run(write(tmp_path, CURVES), tmp_path, epochs=30, pruner="none", patience=0)
    assert ended.status.why_stopped == "30 of 30 epochs"
    assert 30 <= ended.status.epochs_run <= 31


def test_plan_and_journal_lie_in_the_studys_folder(pruned: tuple[Path, Status]) -> None:
    folder = pruned[0]
    plan = json.loads((folder / "s" / "plan.json").read_text())
    assert plan["plan"]["trials"] == 25
    assert plan["plan"]["origins"]["trials"] == "flag"
    assert plan["versions"]["optuna"]
    assert plan["code_hash"]
    assert (folder / "s" / "study.journal").exists()
