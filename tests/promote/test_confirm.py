"""The best trials of a study are trained again: the same rows and parameters, fresh seeds, nothing that steers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.cli.commands import run as sweep
from search.data.splits import Split
from search.errors import InputError, RefusedError, SurroundingsError
from search.local import run_alone, setting_of
from search.opening import load_planned, open_planned
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.promote import confirm
from search.promote.candidates import NoCandidate, candidates
from search.promote.confirm import Manner
from search.promote.confirmation import Confirmation, is_over, read_confirmation
from search.randomness import stage_seed
from search.records.find import study_folder
from search.records.study import read
from search.reloading import forget_changed
from search.status import Status
from search.study import attributes
from search.study.lock import acquire
from tests.promote.confirmed import SEEDED, confirmed, run, study, write
from tests.records import studies

POINTS = tuple({"train.x": x} for x in (3.0, 1.0, 2.0))


@contextmanager
def never() -> Iterator[Callable[[Status], None]]:
    raise AssertionError("a sweep was begun")
    yield


# --- who may win ---


def numbers(folder: StudyFolder, top: int) -> list[int]:
    return [record.number for record in candidates(read(folder), top)]


def test_candidates_are_the_best_trials_each_with_parameters_of_its_own(tmp_path: Path) -> None:
    trials = [studies.trial("complete", [value], params={"train.lr": lr}, minute=minute) for minute, (value, lr) in
              enumerate([(0.5, 0.1), (0.3, 0.2), (0.3, 0.2), (0.4, 0.3), (0.9, 0.4)])]  # fmt: skip
    folder = studies.store(tmp_path, "s", [*trials, studies.trial("pruned", [0.1])])
    assert numbers(folder, 3) == [1, 3, 0]
    assert numbers(folder, 99) == [1, 3, 0, 4]


def test_twins_among_the_best_do_not_hide_those_behind(tmp_path: Path) -> None:
    twins = [studies.trial("complete", [0.1], params={"train.lr": 0.1}, minute=minute) for minute in range(60)]
    folder = studies.store(tmp_path, "s", [*twins, studies.trial("complete", [0.2], params={"train.lr": 0.2})])
    assert numbers(folder, 2) == [0, 60]


def test_a_trial_that_misses_a_constraint_is_no_candidate(tmp_path: Path) -> None:
    trials = [studies.trial("complete", [value], params={"train.lr": value}) for value in (0.1, 0.2)]
    trials[0].system_attrs["constraints:latency_ms<=30"] = 1.5
    folder = studies.store(tmp_path, "s", trials)
    assert numbers(folder, 2) == [1]


def test_with_several_metrics_candidates_are_of_the_front_by_the_first(tmp_path: Path) -> None:
    values = [(0.5, 0.1), (0.2, 0.4), (0.6, 0.6), (0.3, 0.3)]
    trials = [studies.trial("complete", values=pair, params={"train.lr": pair[0]}) for pair in values]
    changes: dict[str, Any] = {"metrics": ("val_loss", "speed"), "directions": ("minimize", "minimize")}
    folder = studies.store(tmp_path, "s", trials, **changes)
    assert numbers(folder, 9) == [1, 3, 0]


@pytest.mark.parametrize("trials", ["no trials", "all failed", "all pruned", "only waiting"])
def test_a_study_without_a_completed_trial_ends_with_1(
    tmp_path: Path, trials: str, capsys: pytest.CaptureFixture[str]
) -> None:
    studies.store(tmp_path, "s", studies.EXTREMES[trials])
    assert sweep(["confirm", "s", "--results", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"error: study 's' has no completed trial; `sweep show s --results {tmp_path}` says why\n"
    )


# --- the plan ---


def test_whatever_steers_or_ends_a_search_is_left_out(tmp_path: Path) -> None:
    steered: dict[str, Any] = {
        "time_s": 1.0, "epochs": 1, "gpu_hours": 1.0, "cpu_hours": 1.0, "max_failures": 1, "plateau": 1, "until": 0.0,
        "min_gain": 1.0, "until_confident": 1.0, "warm_start": ("t",), "fixed": {"train.lr": 1.0}, "sampler": "grid",
        "pruner": "asha",
        "storage": "sqlite:///x", "track": ("mlflow:x",), "notify": "http://x", "keep_checkpoints": "none",
    }  # fmt: skip
    kept: dict[str, Any] = {
        "data": "d.csv", "target": "y", "split": "random", "folds": 4, "max_epochs": 7, "cpus": 2.0, "gpus": 1.0,
        "concurrency": 2, "patience": 3, "memory_bytes": 10**9, "cache_bytes": 10**9, "constraints": ("a<=1",),
        "address": "auto", "retries": 5, "grace_s": 2.0,
    }  # fmt: skip
    stored = read(studies.store(tmp_path, "s", studies.MIXED))
    plan, chosen = replace(stored.plan, **steered, **kept), candidates(stored, 2)
    again = confirm.plan_of(plan, "s", chosen, 5)
    assert {name: getattr(again, name) for name in kept} == kept
    bare = SweepPlan("o", "s", "s", "r", ("m",), ("minimize",), seed=1)
    usual = {name: getattr(bare, name) for name in steered} | {
        "sampler": "random",
        "pruner": "none",
        "keep_checkpoints": "all",
    }
    assert {name: getattr(again, name) for name in steered} == usual
    assert (again.trials, again.replicates, again.confirms, again.candidates) == (2, 5, "s", (2, 5))
    assert again.enqueued == tuple(record.params for record in chosen)
    assert SweepPlan.from_json(json.loads(json.dumps(again.to_json()))) == again


def test_the_split_stays_and_the_seed_is_fresh_and_the_same_each_time(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "s", studies.MIXED, seed=7)
    plan, chosen = read(folder).plan, candidates(read(folder), 3)
    made = [confirm.plan_of(plan, "s", chosen[:count], 3) for count in (3, 3, 2)]
    assert [one.rows_seed for one in made] == [plan.rows_seed] * 3 == [7] * 3
    assert made[0].seed == made[1].seed
    assert len({7, made[0].seed, made[2].seed}) == 3


@pytest.mark.parametrize(
    ("changes", "limit_s"),
    [({}, 30.0), ({"replicates": 2}, 15.0), ({"replicates": 9}, 10.0), ({"by_hand": True}, 10.0)],
)
def test_a_time_out_is_for_as_many_trainings_as_a_trial_has(
    tmp_path: Path, changes: dict[str, Any], limit_s: float
) -> None:
    folder = studies.store(tmp_path, "s", studies.MIXED, trial_timeout_s=10.0, **changes)
    assert confirm.plan_of(read(folder).plan, "s", candidates(read(folder), 2), 3).trial_timeout_s == limit_s


def test_a_plan_of_before_knows_of_no_confirmation() -> None:
    plan = SweepPlan("o", "s", "s", "r", ("m",), ("minimize",), seed=5)
    values = {
        name: value for name, value in plan.to_json().items() if name not in ("split_seed", "confirms", "candidates")
    }
    assert SweepPlan.from_json(values) == plan
    assert plan.rows_seed == 5


# --- what is trained, and what it comes to ---


def test_each_training_is_known_to_the_last_bit(tmp_path: Path) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    found = confirmed(stored, 2, 4)
    again = read(StudyFolder(tmp_path / "s-confirm"))
    problem = open_planned(load_planned(again.plan), again.plan, tmp_path)
    setting = setting_of(again.plan, problem)
    for place, number in enumerate((1, 2)):
        row = next(row for row in found.standings.rows if row.number == number)
        expected = []
        for unit in range(4):
            fresh = replace(setting, replicates=1, seed=stage_seed(again.plan.seed, 0, f"fold {unit}"))
            expected.append(run_alone(problem, place, POINTS[number], fresh).metrics["val_loss"])
        assert [*row.values] == expected
        assert len({*expected}) == 4
        assert row.mean == pytest.approx(again.records[place].values[0])
        assert row.searched == stored.records[number].values[0]
    assert found.seeds == 4
    assert found.winner == 1
    assert Confirmation.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_of_a_cross_validation_a_value_is_the_mean_over_its_folds(tmp_path: Path) -> None:
    point = {"model.family": "linear"}
    stored = study("tabular", tmp_path, points=(point,), data="sklearn:iris", folds=2, set=("train.lr=0.01",))
    found = confirmed(stored, 1, 2)
    (row,) = found.standings.rows
    again = read(StudyFolder(tmp_path / "s-confirm"))
    steps = again.records[0].metrics
    assert again.records[0].end["units"] == 4
    assert sum(row.values) / 2 == pytest.approx(again.records[0].values[0])
    assert row.values[0] == pytest.approx(steps[1]["val_loss"])  # two epochs are two replicates: the first one's mean
    ours, theirs = (Split.load(one.folder.split).digest() for one in (stored, again))
    assert ours == theirs


@pytest.mark.parametrize("seeds", [1, 3])
def test_an_objective_that_ignores_its_seed_is_said_to(tmp_path: Path, seeds: int) -> None:
    deaf = SEEDED.replace("run.seed % 1000 / 1000", "0.5")
    found = confirmed(study(str(write(tmp_path, deaf)), tmp_path, points=POINTS), 2, seeds)
    assert [row.values for row in found.standings.rows] == [(1.5,) * seeds, (2.5,) * seeds]
    assert any("every seed gives the same value" in said for said in found.sentences()) == (seeds > 1)
    assert found.sentences()[-1].endswith("had val_loss 1.5 there, and has the same with fresh seeds")


def test_an_optuna_objective_is_run_once_for_each_seed(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(
        "import random\n\ndef objective(trial):\n    return trial.suggest_float('x', 0, 9) + random.random()\n"
    )
    stored = study(str(tmp_path / "theirs.py"), tmp_path, points=({"x": 8.0}, {"x": 2.0}))
    found = confirmed(stored, 2, 3)
    assert [row.number for row in found.standings.rows] == [1, 0]
    assert [len({*row.values}) for row in found.standings.rows] == [3, 3]
    assert all(2 <= value < 3 for value in found.standings.winner.values)


def test_a_candidate_that_fails_now_is_left_out_with_the_reason(tmp_path: Path) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    chosen = candidates(stored, 2)
    lost = replace(chosen[0], params={"train.x": 99.0})  # which its space does not allow
    found_in = run(confirm.prepare(stored, [lost, chosen[1]], 2))
    found = read_confirmation(found_in, [lost, chosen[1]], top=3)
    assert found.winner == 2
    assert found.standings.optimism is None
    assert "trial 1 is left out: it was enqueued, and " in "\n".join(found.sentences())
    assert found.notes == ("3 candidates were asked for, and the study has 2",)
    with pytest.raises(NoCandidate, match=r"^no candidate could be trained again: trial 1: it was enqueued"):
        read_confirmation(run(confirm.prepare(stored, [lost], 1)), [lost], top=1)


def test_what_was_not_trained_is_not_held_against_a_candidate(tmp_path: Path) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    chosen = candidates(stored, 3)
    half = run(confirm.prepare(stored, chosen, 2), trials=1)
    with pytest.raises(SurroundingsError, match=r"^the confirmation ended before all were trained: told so$"):
        read_confirmation(half, chosen, top=3)


def test_a_point_whose_space_has_grown_since_says_nothing_of_its_trial(tmp_path: Path) -> None:
    path = write(tmp_path, SEEDED)
    stored = study(str(path), tmp_path, points=POINTS)
    path.write_text(path.read_text().replace("10.0)", '10.0)\n    trial.suggest_float("train.new", 0, 1)'))
    forget_changed()
    chosen = candidates(stored, 1)
    again = run(confirm.prepare(stored, chosen, 1, Manner(accept_changes=True)))
    with pytest.raises(NoCandidate, match=r"its space has changed in train\.new$"):
        read_confirmation(again, chosen, top=1)


def test_a_checkpoint_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    confirmed(stored, 1, 2)
    again = read(StudyFolder(tmp_path / "s-confirm"))
    (again.folder.trial(0).checkpoint / "best.json").unlink()
    with pytest.raises(SurroundingsError, match=r"^the checkpoint of trial 0 of 's-confirm' is gone or damaged$"):
        confirm.confirm(stored, 1, 2, Manner(showing=never))


# --- the study of its own ---


def test_what_was_confirmed_is_read_and_what_differs_is_another_study(tmp_path: Path) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    first = confirmed(stored, 2, 2)
    assert confirm.confirm(stored, 2, 2, Manner(showing=never)) == first
    for top, seeds in ((2, 3), (1, 2)):
        launch = confirm.prepare(stored, candidates(stored, top), seeds)
        assert launch.folder == StudyFolder(tmp_path / "s-confirm-2")
        with pytest.raises(AssertionError, match="a sweep was begun"):
            confirm.confirm(stored, top, seeds, Manner(showing=never))


def test_changed_code_is_refused_and_trained_only_when_that_is_accepted(tmp_path: Path) -> None:
    path = write(tmp_path, SEEDED)
    stored = study(str(path), tmp_path, points=POINTS)
    first = confirmed(stored, 1, 2)
    path.write_text(path.read_text().replace("% 1000 / 1000", "% 1000 / 999"))
    assert confirm.confirm(stored, 1, 2, Manner(showing=never)) == first  # of what the study trained
    with pytest.raises(RefusedError, match="the code changed since the study's last run began") as refused:
        confirm.confirm(stored, 1, 3, Manner(showing=never))
    assert refused.value.hint == "--accept-changes trains with what is there now"
    with pytest.raises(AssertionError, match="a sweep was begun"):
        confirm.confirm(stored, 1, 2, Manner(showing=never, accept_changes=True))
    assert not (tmp_path / "s-confirm-2").exists()


def test_neither_a_running_study_nor_a_confirmation_is_confirmed(tmp_path: Path) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    confirmed(stored, 1, 1)
    with acquire(stored.folder.root, study="s"), pytest.raises(RefusedError, match="is being run by"):
        confirm.confirm(stored, 1, 1, Manner(showing=never))
    with pytest.raises(InputError, match=r"^'s-confirm' is itself a confirmation of 's'$"):
        confirm.confirm(read(StudyFolder(tmp_path / "s-confirm")), 1, 1, Manner(showing=never))


def test_the_start_of_a_name_means_the_study_and_not_its_confirmations(tmp_path: Path) -> None:
    for name in ("rain-1", "rain-1-confirm", "rain-1-confirm-2"):
        studies.store(tmp_path, name)
    assert study_folder(tmp_path, "rai").name == "rain-1"
    assert study_folder(tmp_path, "rain-1-confirm").name == "rain-1-confirm"
    with pytest.raises(InputError, match="fits rain-1-confirm and rain-1-confirm-2"):
        study_folder(tmp_path, "rain-1-c")


# --- the command ---


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--top", "0"), "--top must be a whole number from 1 to 100, got '0'"),
        (("--seeds", "2.5"), "--seeds must be a whole number from 1 to 100, got '2.5'"),
        (("--seeds", "101"), "--seeds must be a whole number from 1 to 100, got '101'"),
    ],
)
def test_counts_that_are_none_are_refused(
    tmp_path: Path, flags: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    studies.store(tmp_path, "s", studies.MIXED)
    assert sweep(["confirm", "s", *flags, "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_the_command_shows_the_table_the_verdict_and_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    found = confirmed(stored, 2, 3)
    there = ["--top", "2", "--results", str(tmp_path)]
    assert sweep(["confirm", "s", *there]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[2].split()[:5] == ["trial", "val_loss", "searched", "confirmed", "deviation"]
    assert lines[3].split()[0] == "#1"
    assert lines[3].endswith("winner")
    assert found.sentences()[0] in lines
    assert "  train.x = 1" in lines
    assert f"  sweep promote s --as NAME --results {tmp_path}" in shown.err.splitlines()
    assert sweep(["confirm", "s", *there, "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(json.dumps(found.to_json()))
    assert shown.err == ""


# --- over Ray ---


@pytest.mark.usefixtures("ray_session")
def test_the_best_trials_are_trained_again_on_the_same_rows(tmp_path: Path) -> None:
    points = tuple({"model.family": "forest", "model.kind": kind} for kind in ("bagged", "extra"))
    stored = study("tabular", tmp_path, points=points, data="sklearn:wine")
    said: list[str] = []
    found = confirm.confirm(stored, 2, 2, Manner(said.append))
    again = read(StudyFolder(tmp_path / "s-confirm"))
    assert said[0] == "study s-confirm: 2 trials of s, 2 seeds each"
    assert {row.number for row in found.standings.rows} == {0, 1}
    assert [record.params for record in again.records] == [one.params for one in candidates(stored, 2)]
    assert Split.load(again.folder.split).digest() == Split.load(stored.folder.split).digest()
    assert again.launch["data_hash"] == stored.launch["data_hash"]
    # the same trainings in this process come to the same
    problem = open_planned(load_planned(again.plan), again.plan, tmp_path)
    setting = replace(setting_of(again.plan, problem), replicates=1, seed=stage_seed(again.plan.seed, 0, "fold 1"))
    alone = run_alone(problem, 0, again.records[0].params, setting)
    first = next(row for row in found.standings.rows if row.number == again.plan.candidates[0])
    assert first.values[1] == alone.metrics["val_loss"] != first.values[0]
    assert confirm.confirm(stored, 2, 2, Manner(showing=never)) == found


@pytest.mark.usefixtures("ray_session")
def test_a_confirmation_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    stored = study(str(write(tmp_path, SEEDED)), tmp_path, points=POINTS)
    half = run(confirm.prepare(stored, candidates(stored, 3), 2), trials=1)
    assert not is_over(half)
    assert half.records.by_state["complete"] == 1
    found = confirm.confirm(stored, 3, 2)
    assert found.confirmation == "s-confirm"
    again = read(StudyFolder(tmp_path / "s-confirm"))
    assert is_over(again)
    assert len(again.attributes[attributes.RUNS]) == 2
    assert again.records[0].ended == half.records[0].ended
    assert {row.number for row in found.standings.rows} == {0, 1, 2}
