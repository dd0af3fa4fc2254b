"""Experiments of Ray Tune become studies: what a real run of Tune leaves behind is read, and nothing of it is run."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search.cli.main import main
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.records import study as records
from search.resume import changed, prepare
from search.study import attributes
from search.study.owner import StudyOwner
from search.study.runs import Run
from tests.adopt.projects import write
from tests.tuner.sweeps import stored

Output = pytest.CaptureFixture[str]

TRAIN = """
from ray import tune

param_space = {
    "opt": {"lr": tune.loguniform(1e-4, 1e-1)},
    "units": tune.grid_search([16, 32, 64]),
    "layers": tune.choice([[8], [8, 8]]),
    "fixed": 3,
}

def train(config):
    if config["units"] == 64:
        tune.report({"loss": 9.0})
        raise ValueError("too wide")
    for i in range(3):
        tune.report({"loss": config["opt"]["lr"] + 1 / (i + 1), "acc": {"top": i / 10}, "note": "x"})
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    """Run six trials in Tune itself, as its users do; a third of them fail."""
    from ray import tune

    place = tmp_path_factory.mktemp("tune")
    spec = importlib.util.spec_from_file_location("tuned_elsewhere", write(place, TRAIN))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)  # not registered: Ray sends its function by value
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_GLOBAL_CHECKPOINT_S"):
            patch.delenv(name, raising=False)
        tune.Tuner(
            module.train,
            param_space=module.param_space,
            tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=2),
            run_config=tune.RunConfig(name="exp", storage_path=str(place / "ray"), verbose=0),
        ).fit()
    return place / "ray" / "exp"


@pytest.fixture
def folder(experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the experiment in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(experiment, tmp_path / "exp")
    return tmp_path / "exp"


def change(folder: Path, status: dict[int, str]) -> None:
    """Have the state file say otherwise of some trials."""
    (path,) = folder.glob("experiment_state-*.json")
    state = json.loads(path.read_text())
    for one in state["trial_data"]:
        said = json.loads(one[0])
        said["status"] = status.get(int(said["trial_id"][-5:]), said["status"])
        one[0] = json.dumps(said)
    path.write_text(json.dumps(state))


def of(folder: Path, number: int) -> Path:
    """Return the folder of a trial."""
    (found,) = folder.glob(f"*_{number:05d}_*")
    return found


def test_each_trial_comes_with_its_results_and_its_error(folder: Path, capsys: Output) -> None:
    assert main(["import", "exp", "--direction", "minimize"]) == 0
    trials = stored(Path("results"), "exp")
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL"] * 2
    for number, trial in enumerate(trials):
        config = json.loads((of(folder, number) / "params.json").read_text())
        rows = [json.loads(line) for line in (of(folder, number) / "result.json").read_text().splitlines()]
        assert trial.params == {
            "opt.lr": config["opt"]["lr"],
            "units": config["units"],
            "layers": str(config["layers"]),
        }
        assert trial.intermediate_values == {row["training_iteration"]: row["loss"] for row in rows}
        assert trial.datetime_start <= trial.datetime_complete  # type: ignore[operator]
        if trial.state is TrialState.COMPLETE:
            assert trial.value == rows[-1]["loss"]
            assert trial.user_attrs == {"loss": rows[-1]["loss"], "acc/top": 0.2}
            assert trial.system_attrs[attributes.metrics_key(2)] == {"loss": rows[1]["loss"], "acc/top": 0.1}
        else:
            assert trial.system_attrs[attributes.END]["text"] == "ValueError: too wide"
            assert trial.system_attrs[attributes.END]["reason"] == "exception"
    said = capsys.readouterr().err
    assert "the value of a trial is its last loss; one that a scheduler stopped counts as COMPLETE" in said
    assert "ranges of layers, opt.lr, units span the values that were seen" in said


def test_the_ranges_are_those_of_the_param_space_if_it_is_given(folder: Path) -> None:
    write(folder.parent, TRAIN)
    assert main(["import", "exp", "--direction", "minimize", "--space", "train.py:param_space"]) == 0
    assert stored(Path("results"), "exp")[0].distributions == {
        "opt.lr": FloatDistribution(1e-4, 1e-1, log=True),
        "units": CategoricalDistribution([16, 32, 64]),
        "layers": CategoricalDistribution(["[8]", "[8, 8]"]),
    }


def test_an_imported_experiment_goes_on_with_its_trainable(folder: Path) -> None:
    write(folder.parent, TRAIN)
    given = ["--objective", "train.py:train", "--pruner", "none", "--sampler", "tpe"]
    assert main(["import", "exp", "--direction", "minimize", *given]) == 0
    read = records.read(StudyFolder(Path("results/exp")))
    assert (read.plan.trials, read.plan.max_epochs) == (6, 3)
    launch = prepare(read, changed(read.plan, {"trials": "+3"}), accept_changes=False)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run("more"))
    try:
        owner.prepare({})
        run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
        owner.finish()
    finally:
        owner.close()
    trials = stored(Path("results"), "exp")
    assert len(trials) == 9
    assert all(trial.state.is_finished() for trial in trials)
    assert trials[0].distributions == trials[8].distributions


def test_what_was_searched_within_lists_and_as_a_whole_is_imported_and_what_no_config_has_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    told = []
    for number in range(2):
        config = {"blocks": [{"width": 8 + number}, 4], "opt": {"name": "adam", "lr": 0.1}, "a/b": number, "sizes": [1]}
        searched = {"blocks/0/width": 8 + number, "blocks/1": 4, "opt": config["opt"], "a/b": number, "gone/x": 1}
        place = tmp_path / "exp" / f"train_{number}"
        place.mkdir(parents=True)
        (place / "params.json").write_text(json.dumps(config))
        (place / "result.json").write_text(json.dumps({"loss": 1.0, "training_iteration": 1}))
        state = {"relative_logdir": place.name, "status": "TERMINATED", "config": config, "evaluated_params": searched}
        told.append([json.dumps(state | {"trial_id": str(number)}), ""])
    (tmp_path / "exp" / "experiment_state-1.json").write_text(json.dumps({"trial_data": told, "runner_data": {}}))
    assert main(["import", "exp", "--metric", "loss", "--direction", "minimize"]) == 0
    assert stored(Path("results"), "exp")[1].params == {
        "blocks.0.width": 9,
        "blocks.1": 4,
        "opt": "{'name': 'adam', 'lr': 0.1}",
        "a/b": 1,
    }
    assert "gone.x was left out: it was searched, and no trial's config has it" in capsys.readouterr().err


def test_what_had_not_ended_is_told_as_it_is(folder: Path, capsys: Output) -> None:
    change(folder, {1: "RUNNING", 3: "PENDING", 4: "PAUSED"})
    assert main(["import", "exp", "--direction", "minimize"]) == 0
    said = capsys.readouterr().err
    assert "1 pending trials were left out" in said
    assert "2 running trials became FAIL" in said
    reasons = [one.system_attrs[attributes.END]["reason"] for one in stored(Path("results"), "exp")]
    assert reasons == [None, "worker_lost", "exception", "worker_lost", "exception"]


def test_damaged_lines_are_skipped_and_counted(folder: Path, capsys: Output) -> None:
    path = of(folder, 0) / "result.json"
    first, second, third = path.read_text().splitlines()
    path.write_text("\n".join([first, second[:40], third, "\0\0"]))
    assert main(["import", "exp", "--direction", "minimize"]) == 0
    assert "2 damaged lines of results were skipped" in capsys.readouterr().err
    assert list(stored(Path("results"), "exp")[0].intermediate_values) == [1, 3]


def test_without_its_state_an_experiment_is_read_from_its_folders(folder: Path) -> None:
    for path in folder.glob("experiment_state-*.json"):
        path.write_text(path.read_text()[:200])
    for path in folder.glob("*/result.json"):
        path.unlink()  # progress.csv is left
    assert main(["import", "exp", "--metric", "loss", "--direction", "minimize"]) == 0
    trials = stored(Path("results"), "exp")
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL"] * 2
    assert list(trials[0].intermediate_values) == [1, 2, 3]
    assert "fixed" not in trials[0].params
    assert trials[0].distributions["units"] == IntDistribution(16, 64)


def test_no_pickle_is_opened(folder: Path, capsys: Output) -> None:
    evil = b"cos\nsystem\n(S'echo hacked > hacked'\ntR."
    for path in [folder / "tuner.pkl", *folder.glob("*/params.pkl"), *folder.glob("*/error.pkl")]:
        path.write_bytes(evil)
    (path,) = folder.glob("experiment_state-*.json")
    state = json.loads(path.read_text())
    for one in state["trial_data"]:
        said = json.loads(one[0])
        said["config"]["layers"] = {"_type": "CLOUDPICKLE_FALLBACK", "value": evil.hex()}
        one[0] = json.dumps(said)
    path.write_text(json.dumps(state))
    assert main(["import", "exp", "--direction", "minimize"]) == 0
    assert "layers was left out: its values are pickles" in capsys.readouterr().err
    assert not Path("hacked").exists()


def remove(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


WRONG: list[tuple[list[str], Callable[[Path], Any], str]] = [
    ([], lambda path: None, "exp does not say whether a lower or a higher loss is better; give --direction"),
    (["--direction", "up"], lambda path: None, "--direction"),
    (
        ["--direction", "minimize", "--metric", "los"],
        lambda path: None,
        "no trial reported 'los'; did you mean 'loss'?",
    ),
    (["--study-name", "x"], lambda path: None, "--study-name is for a storage of several studies; use --as"),
    (
        ["--direction", "minimize"],
        lambda path: remove(path, "*/result.json", "*/progress.csv"),
        "exp has no trial with a result; result.json holds them",
    ),
    (
        ["--direction", "minimize"],
        lambda path: remove(path, "experiment_state-*.json"),
        "exp does not say which metric was searched; it has acc/top, loss",
    ),
]


@pytest.mark.parametrize(("flags", "harm", "said"), WRONG, ids=[said[:40] for *_, said in WRONG])
def test_what_is_not_clear_is_asked_for(
    flags: list[str], harm: Callable[[Path], Any], said: str, folder: Path, capsys: Output
) -> None:
    harm(folder)
    assert main(["import", "exp", *flags]) == 2
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert said in sentence
    assert not Path("results").exists()


def test_a_folder_is_found_from_where_it_lies(folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert main(["import", "~/exp", "--direction", "maximize", "--as", "up", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["study"], told["directions"]) == ("up", ["maximize"])
    plan = json.loads(Path("results/up/plan.json").read_text())
    assert plan["imported"] == {"tool": "Ray Tune", "study": "exp", "source": str(folder)}
    assert re.match(r"\d{4}-", plan["launched"])
    assert [path.name for path in Path("results").iterdir()] == ["up"]
