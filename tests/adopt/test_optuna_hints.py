"""What a script says of its study becomes the default of a sweep; nothing of it is run."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from search.adopt import hints
from search.choosing import choose
from search.launch import Launch, prepare
from tests.adopt.optunas import script

OBJECTIVE = "def objective(trial):\n    return trial.suggest_float('x', 0, 1)\n"

SAID: list[tuple[str, dict[str, Any]]] = [
    ("optuna.create_study()", {}),
    ("optuna.create_study(direction='maximize')", {"direction": ["maximize"]}),
    ("optuna.create_study(direction=optuna.study.StudyDirection.MAXIMIZE)", {"direction": ["maximize"]}),
    ("optuna.create_study(directions=['minimize', 'maximize'])", {"direction": ["minimize", "maximize"]}),
    ("optuna.create_study(sampler=optuna.samplers.TPESampler(seed=7))", {"sampler": "tpe", "seed": 7}),
    (
        "optuna.create_study(sampler=TPESampler(multivariate=True, n_startup_trials=20))",
        {"sampler": "tpe:multivariate=true,n_startup_trials=20"},
    ),
    ("optuna.create_study(sampler=optuna.samplers.CmaEsSampler())", {"sampler": "cmaes"}),
    ("optuna.create_study(pruner=optuna.pruners.NopPruner())", {"pruner": "none"}),
    (
        "optuna.create_study(pruner=MedianPruner(3, n_warmup_steps=2))",
        {"pruner": "median:n_startup_trials=3,n_warmup_steps=2"},
    ),
    ("optuna.create_study(pruner=PercentilePruner(25.0))", {"pruner": "percentile:percentile=25.0"}),
    (
        "optuna.create_study(pruner=PatientPruner(MedianPruner(), patience=2))",
        {"pruner": "patient:wrapped=median,patience=2"},
    ),
    ("optuna.create_study(pruner=SuccessiveHalvingPruner())", {"pruner": "asha:reduction_factor=4,min_resource=1"}),
    ("study = optuna.create_study()\nstudy.optimize(objective, n_trials=7)", {"trials": 7}),
    ("N = 7\nstudy = optuna.create_study()\nstudy.optimize(objective, N, 60)", {"trials": 7, "time": "60s"}),
    ("study = optuna.create_study()\nstudy.optimize(lambda trial: objective(trial), n_trials=7)", {"trials": 7}),
    (
        "study = optuna.create_study()\nstudy.optimize(objective, catch=(ValueError, torch.cuda.OutOfMemoryError))",
        {"catch": ["ValueError", "torch.cuda.OutOfMemoryError"]},
    ),
    ("study = optuna.create_study()\nstudy.set_metric_names(['loss'])", {"metric": ["loss"]}),
    (
        "def main():\n    s = optuna.create_study(direction='maximize')\n    s.optimize(objective)",
        {"direction": ["maximize"]},
    ),
    ("sampler = TPESampler()\nstudy = optuna.create_study(sampler=sampler)", {"sampler": "tpe"}),
    (
        "a = create_study()\nb = create_study(direction='maximize')\na.optimize(other)\nb.optimize(objective)",
        {"direction": ["maximize"]},
    ),
    (
        (
            "a = create_study()\na.optimize(objective)\na.set_metric_names(['e'])\n"
            "b = create_study()\nb.set_metric_names([])"
        ),
        {"metric": ["e"]},
    ),
    ("optuna.create_study(sampler=RandomSampler(42))", {"sampler": "random", "seed": 42}),
    ("ERRORS = (OSError,)\nstudy.optimize(objective, catch=ERRORS)", {"catch": ["OSError"]}),
]


@pytest.mark.parametrize(("text", "defaults"), SAID)
def test_what_is_a_literal_is_taken(text: str, defaults: dict[str, Any], tmp_path: Path) -> None:
    found = hints.read(script(tmp_path, OBJECTIVE + text), "objective")
    assert found.defaults == defaults
    assert found.left == []


LEFT = [
    ("optuna.create_study(direction=way())", "direction (line 4) is no literal"),
    ("optuna.create_study(sampler=Mine())", "sampler (line 4) is none of CmaEsSampler, GPSampler, "),
    ("optuna.create_study(sampler=TPESampler(gamma=f))", "gamma of TPESampler (line 4)"),
    ("optuna.create_study(storage='sqlite:///a.db')", "storage (line 4; see --storage)"),
    ("optuna.create_study(study_name='rain')", "study_name (line 4; see --study)"),
    ("optuna.create_study().optimize(objective, n_trials=args.n)", "n_trials (line 4) is no literal"),
    ("optuna.create_study().optimize(objective, n_jobs=-1)", "n_jobs -1 (see --concurrency)"),
    ("optuna.create_study().optimize(objective, callbacks=[log])", "callbacks (line 4): they are not called"),
    ("optuna.create_study().enqueue_trial({'x': 1})", "enqueue_trial (line 4; see --enqueue)"),
    ("a.optimize(objective)\nb.optimize(objective)", "it makes or runs several studies (lines 4, 5); give flags"),
    ("optuna.create_study(sampler=CmaEsSampler({'x': 0.5}, seed=1))", "x0 of CmaEsSampler (line 4)"),
    ("optuna.create_study(sampler=TPESampler(True, 1.0))", "True of TPESampler (line 4); 1.0 of TPESampler (line 4)"),
    ("optuna.create_study(sampler=RandomSampler(seed))", "seed of RandomSampler (line 4) is no literal"),
    ("optuna.create_study(sampler=TPESampler(**options))", "what TPESampler (line 4) takes by **"),
    ("optuna.create_study(**options)", "what create_study (line 4) takes by **"),
    ("study.optimize(objective, *options)", "what optimize (line 4) takes by *"),
    ("optuna.create_study().set_metric_names(names)", "set_metric_names (line 4; see --metric)"),
    (
        "a = create_study()\na.optimize(objective)\nb = create_study()\nfor s in (a, b): s.set_metric_names(['c'])",
        "set_metric_names (line 7; see --metric)",
    ),
    ("N = 9\ndef main(N):\n    study.optimize(objective, N)", "n_trials (line 6) is no literal"),
    ("N = 9\nN += 90\nstudy.optimize(objective, N)", "n_trials (line 6) is no literal"),
    ("N = 9\nfor N in (1, 2):\n    study.optimize(objective, N)", "n_trials (line 6) is no literal"),
    ("N = 9\nN, M = 1, 2\nstudy.optimize(objective, N)", "n_trials (line 6) is no literal"),
    ("N = 9\nfrom settings import N\nstudy.optimize(objective, N)", "n_trials (line 6) is no literal"),
]


@pytest.mark.parametrize(("text", "said"), LEFT)
def test_what_cannot_be_taken_is_named(text: str, said: str, tmp_path: Path) -> None:
    found = hints.read(script(tmp_path, OBJECTIVE + text), "objective")
    assert said in found.notes("rain.py")[-1]


def launch_of(folder: Path, text: str, **flags: Any) -> Launch:
    path = script(folder, OBJECTIVE + dedent(text))
    return prepare(str(path), choose({"study": "s", **flags}), results=folder, folder=folder)


MAIN = """
if __name__ == "__main__":
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    study.optimize(objective, n_trials=5)
"""


def test_a_flag_wins_over_the_script_and_is_not_said_to_come_from_it(tmp_path: Path) -> None:
    launch = launch_of(tmp_path, MAIN, direction=("minimize",), trials=9)
    assert (launch.plan.directions, launch.plan.trials, launch.plan.pruner) == (("minimize",), 9, "none")
    assert launch.notes == ("taken from rain.py line 6: pruner none (--pruner override)",)
    assert (launch.plan.origins["pruner"], launch.plan.origins["direction"]) == ("script", "flag")


def test_without_a_word_optunas_own_defaults_hold(tmp_path: Path) -> None:
    one = launch_of(tmp_path, "")
    assert (one.plan.sampler, one.plan.pruner, one.plan.directions, one.notes) == ("tpe", "median", ("minimize",), ())
    several = launch_of(tmp_path, "optuna.create_study(directions=['minimize', 'maximize'])", study="two")
    assert (several.plan.sampler, several.plan.pruner) == ("nsga2", "none")


def test_a_pruner_that_a_script_has_beside_several_values_is_left(tmp_path: Path) -> None:
    text = "optuna.create_study(directions=['minimize', 'maximize'], pruner=optuna.pruners.MedianPruner())"
    launch = launch_of(tmp_path, text)
    assert (launch.plan.pruner, launch.plan.origins["pruner"]) == ("none", "default")
    assert launch.notes == (
        "taken from rain.py line 4: directions minimize, maximize (--direction override)",
        "not taken from rain.py: pruner (an objective with several values is not pruned)",
    )


def test_an_option_that_is_not_here_is_left_and_the_rest_is_taken(tmp_path: Path) -> None:
    text = "def main():\n    optuna.create_study(direction='maximize', sampler=CmaEsSampler(restart_strategy='ipop'))"
    launch = launch_of(tmp_path, text)
    assert (launch.plan.directions, launch.plan.sampler) == (("maximize",), "tpe")
    said = "not taken from rain.py: sampler (sampler cmaes has no option 'restart_strategy')"
    assert launch.notes == ("taken from rain.py line 5: direction maximize (--direction override)", said)


def test_the_script_is_read_and_its_main_block_is_not_run(tmp_path: Path) -> None:
    ran = str(tmp_path / "ran")
    text = f"if __name__ == '__main__':\n    open({ran!r}, 'w')\n    optuna.create_study(direction='maximize')\n"
    assert launch_of(tmp_path, text).plan.directions == ("maximize",)
    assert not (tmp_path / "ran").exists()


def test_a_script_without_a_main_block_is_loaded_without_running_its_study(tmp_path: Path) -> None:
    text = f"study = optuna.create_study()\nstudy.optimize(objective, n_trials=3)\nopen({str(tmp_path / 'ran')!r}, 'w')"
    assert launch_of(tmp_path, text).plan.trials == 3
    assert not (tmp_path / "ran").exists()


def test_of_several_functions_of_a_trial_the_one_called_objective_is_taken(tmp_path: Path) -> None:
    assert launch_of(tmp_path, "def model(trial):\n    return 1\n").plan.objective.endswith("rain.py:objective")
