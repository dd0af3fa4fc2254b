"""Search spaces of other tools, as Python: the printed code suggests what their files say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.adopt.spaces import read
from search.choosing import BY_NAME, choose
from search.cli.main import main
from search.errors import InputError
from search.study import pruners, samplers
from search.study.choice import Choice
from search.study.space import describe
from tests.adopt.projects import load, write

Output = pytest.CaptureFixture[str]

WANDB = """
program: train.py
method: bayes
metric: {name: val_loss, goal: minimize, target: 0.05}
run_cap: 40
early_terminate: {type: hyperband, min_iter: 3, eta: 2}
parameters:
  optimizer: {values: [adam, sgd]}
  lambda: {values: [0.1, 1, null, true]}
  epochs: {value: 10}
  lr: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
  wd: {distribution: log_uniform, min: -10, max: -2}
  inv: {distribution: inv_log_uniform, min: 1, max: 3}
  dropout: {min: 0.0, max: 0.5}
  layers: {min: 1, max: 5}
  depth: {distribution: int_uniform, min: 2, max: 9}
  width: {distribution: q_uniform, q: 16, min: 16, max: 250}
  fine: {distribution: q_uniform, q: 0.1, min: 0.1, max: 0.7}
  batch: {distribution: q_log_uniform_values, q: 8, min: 32, max: 256}
  units: {distribution: q_log_uniform_values, min: 4, max: 64}
  noise: {distribution: normal, mu: 0, sigma: 0.1}
  weighted: {values: [a, b], probabilities: [0.9, 0.1]}
  model:
    parameters:
      heads: {values: [1, 2, 4]}
      act: {parameters: {slope: {min: 0.0, max: 1.0}}}
"""

KATIB = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: tpe}
spec:
  objective: {type: maximize, goal: 0.99, objectiveMetricName: accuracy, additionalMetricNames: [loss]}
  algorithm: {algorithmName: tpe}
  parallelTrialCount: 3
  maxTrialCount: 12
  maxFailedTrialCount: 3
  earlyStopping:
    algorithmName: medianstop
    algorithmSettings: [{name: min_trials_required, value: "5"}, {name: start_step, value: "4"}]
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "0.03", distribution: logUniform}}
    - {name: --num-layers, parameterType: int, feasibleSpace: {min: "2", max: "5"}}
    - {name: pool, parameterType: int, feasibleSpace: {min: "2", max: "9", step: "3"}}
    - {name: optimizer, parameterType: categorical, feasibleSpace: {list: [sgd, adam, ftrl]}}
    - {name: width, parameterType: discrete, feasibleSpace: {list: ["16", "0.5"]}}
    - {name: mom, parameterType: double, feasibleSpace: {min: "0.5", max: "0.9", step: "0.1"}}
"""

NNI = {
    "lr": {"_type": "loguniform", "_value": [0.0001, 0.1]},
    "n": {"_type": "randint", "_value": [1, 5]},
    "drop": {"_type": "quniform", "_value": [0.1, 0.5, 0.1]},
    "wide": {"_type": "qloguniform", "_value": [1, 64, 1]},
    "free": {"_type": "uniform", "_value": [-1, 1]},
    "size": {"_type": "choice", "_value": [16, 32, "auto"]},
    "layer0": {
        "_type": "choice",
        "_value": [
            {"_name": "Empty"},
            {
                "_name": "Conv",
                "kernel": {"_type": "choice", "_value": [1, 2, 3]},
                "act": {
                    "_type": "choice",
                    "_value": [{"_name": "relu"}, {"_name": "leaky", "slope": {"_type": "uniform", "_value": [0, 1]}}],
                },
            },
            {"_name": "Pool", "kernel": {"_type": "randint", "_value": [2, 9]}},
        ],
    },
    "bad": {"_type": "normal", "_value": [0, 1]},
}

TUNE = """
from ray import tune

param_space = {
    "opt": {"lr": tune.loguniform(1e-4, 1e-1)},
    "units": tune.qrandint(16, 64, 16),
    "layers": tune.choice([[64], [64, 64]]),
    "fixed": {"epochs": 3},
}
other = {"x": tune.uniform(0, 1)}
"""

EXPECTED: dict[str, dict[str, BaseDistribution]] = {
    "sweep.yaml": {
        "epochs": CategoricalDistribution([10]),
        "optimizer": CategoricalDistribution(["adam", "sgd"]),
        "lambda": CategoricalDistribution([0.1, 1, None, True]),
        "lr": FloatDistribution(0.0001, 0.1, log=True),
        "wd": FloatDistribution(math.exp(-10), math.exp(-2), log=True),
        "inv": FloatDistribution(math.exp(-3), math.exp(-1), log=True),
        "dropout": FloatDistribution(0.0, 0.5),
        "layers": IntDistribution(1, 5),
        "depth": IntDistribution(2, 9),
        "width": IntDistribution(16, 256, step=16),
        "fine": FloatDistribution(0.1, 0.7, step=0.1),
        "batch": IntDistribution(32, 256, log=True),
        "units": IntDistribution(4, 64, log=True),
        "weighted": CategoricalDistribution(["a", "b"]),
        "model.heads": CategoricalDistribution([1, 2, 4]),
        "model.act.slope": FloatDistribution(0.0, 1.0),
    },
    "katib.yaml": {
        "lr": FloatDistribution(0.01, 0.03, log=True),
        "num-layers": IntDistribution(2, 5),
        "pool": IntDistribution(2, 8, step=3),
        "optimizer": CategoricalDistribution(["sgd", "adam", "ftrl"]),
        "width": CategoricalDistribution([16, 0.5]),
        "mom": FloatDistribution(0.5, 0.9, step=0.1),
    },
    "space.json": {
        "lr": FloatDistribution(0.0001, 0.1, log=True),
        "n": IntDistribution(1, 4),
        "drop": FloatDistribution(0.1, 0.5, step=0.1),
        "wide": IntDistribution(1, 64, log=True),
        "free": FloatDistribution(-1.0, 1.0),
        "size": CategoricalDistribution([16, 32, "auto"]),
        "layer0": CategoricalDistribution(["Empty", "Conv", "Pool"]),
        "layer0.Conv.kernel": CategoricalDistribution([1, 2, 3]),
        "layer0.Conv.act": CategoricalDistribution(["relu", "leaky"]),
        "layer0.Conv.act.leaky.slope": FloatDistribution(0.0, 1.0),
        "layer0.Pool.kernel": IntDistribution(2, 8),
    },
    "train.py": {
        "fixed.epochs": CategoricalDistribution([3]),
        "opt.lr": FloatDistribution(1e-4, 1e-1, log=True),
        "units": IntDistribution(16, 64, step=16),
        "layers": CategoricalDistribution(["[64]", "[64, 64]"]),
    },
}

FLAGS = {
    "sweep.yaml": {
        "metric": "val_loss",
        "direction": "minimize",
        "until": "0.05",
        "sampler": "gp",
        "trials": "40",
        "pruner": "asha:min_resource=3,reduction_factor=2",
    },
    "katib.yaml": {
        "metric": "accuracy",
        "direction": "maximize",
        "until": "0.99",
        "sampler": "tpe",
        "trials": "12",
        "concurrency": "3",
        "pruner": "median:n_startup_trials=5,n_warmup_steps=4",
    },
    "space.json": {},
    "train.py": {},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, WANDB, "sweep.yaml")
    write(tmp_path, KATIB, "katib.yaml")
    write(tmp_path, json.dumps(NNI), "space.json")
    write(tmp_path, TUNE, "train.py")
    return tmp_path


@pytest.mark.parametrize("name", EXPECTED)
def test_the_printed_code_suggests_what_the_file_says(name: str, folder: Path, capsys: Output) -> None:
    assert main(["import", name]) == 0
    saved = folder / "mine.py"
    saved.write_text(capsys.readouterr().out)
    assert describe(load(saved, kind="space"), seed=0) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_space_itself_suggests_the_same_as_its_code(name: str, folder: Path) -> None:
    space = read.read(name)
    assert space is not None
    found = describe(space, seed=0)
    assert found == {key: one for key, one in EXPECTED[name].items() if key not in space.constants}


@pytest.mark.parametrize("name", FLAGS)
def test_the_flags_are_those_of_sweep_run(name: str, folder: Path) -> None:
    space = read.read(name)
    assert space is not None
    assert space.flags == FLAGS[name]
    choose({flag: (value,) if BY_NAME[flag].many else value for flag, value in space.flags.items()})
    if "sampler" in space.flags:
        samplers.check(Choice.parse(space.flags["sampler"]))
    if "pruner" in space.flags:
        pruners.check(Choice.parse(space.flags["pruner"]), 27)
    for flag, value in space.flags.items():
        assert f"--{flag} {value}" in space.python()


def test_each_thing_without_an_equivalent_is_a_sentence(folder: Path) -> None:
    notes = {name: [note.split(":")[0] for note in space.notes] for name in FLAGS if (space := read.read(name))}
    assert notes == {
        "sweep.yaml": ["batch", "noise", "weighted"],
        "katib.yaml": [
            "additional metrics are recorded by themselves",
            "maxFailedTrialCount counts all failures, --max-failures those in a row",
        ],
        "space.json": ["bad"],
        "train.py": ["layers is recorded by the text of its choices; a trainable gets the choices themselves"],
    }


@pytest.mark.parametrize("value", ["[64, 32]", "{a: 1}"])
def test_a_fixed_value_of_wandb_that_is_nested_is_left_out_with_a_sentence(value: str, folder: Path) -> None:
    write(folder, f"parameters:\n  layers: {{value: {value}}}\n  lr: {{min: 0.1, max: 0.2}}\n", "fixed.yaml")
    space = read.read("fixed.yaml")
    assert space is not None
    assert "layers" not in space.python()
    assert space.notes == ("layers: a list or a dict is no value of a parameter, and is left out; set it in the code",)


def test_an_experiment_of_nni_has_its_space_inside(folder: Path) -> None:
    tuner = {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}
    content = {"searchSpace": {"x": NNI["n"]}, "maxTrialNumber": 30, "trialConcurrency": 2, "tuner": tuner}
    write(folder, yaml.safe_dump({**content, "maxExperimentDuration": "1h"}), "config.yml")
    space = read.read("config.yml")
    assert space is not None
    assert space.flags == {"trials": "30", "concurrency": "2", "time": "1h", "sampler": "tpe", "direction": "maximize"}
    assert describe(space, seed=0) == {"x": IntDistribution(1, 4)}


def test_max_iter_of_wandb_sets_the_rungs_and_the_length(folder: Path) -> None:
    content = yaml.safe_load(WANDB)
    content["early_terminate"] = {"type": "hyperband", "max_iter": 27, "s": 2, "eta": 3}
    write(folder, yaml.safe_dump(content), "other.yaml")
    space = read.read("other.yaml")
    assert space is not None
    assert space.flags["pruner"] == "asha:min_resource=3,reduction_factor=3"
    assert space.flags["max-epochs"] == "27"


def test_what_a_file_says_stays_text_in_the_code(folder: Path) -> None:
    evil = "x'\nimport os\nos.mkdir('hacked')\n#\u2028\"\"\""
    branch = {"_name": evil, "a": {"_type": "choice", "_value": [evil]}}
    entries = {
        name: {"_type": "choice", "_value": [branch, {"_name": "b"}]} for name in (evil, "trial", "if", "a.b", "a_b")
    }
    tuner = {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}}
    for name, content in (
        ("evil.yaml", {"parameters": {evil: {"values": [evil]}}, "metric": {"name": evil}}),
        ("evil.yml", {"searchSpace": entries, "maxExperimentDuration": evil, "tuner": tuner}),
    ):
        write(folder, yaml.safe_dump(content), name)
        space = read.read(name)
        assert space is not None
        (folder / f"{name[5:]}.py").write_text(space.python())
        assert describe(load(folder / f"{name[5:]}.py", kind="space"), seed=0) == describe(space, seed=0)
    assert not (folder / "hacked").exists()


def test_a_space_goes_into_a_file_that_is_not_there_yet(folder: Path, capsys: Output) -> None:
    assert main(["import", "train.py:other", "-o", "mine.py"]) == 0
    assert capsys.readouterr().out == ""
    assert describe(load(folder / "mine.py", kind="space"), seed=0) == {"x": FloatDistribution(0.0, 1.0)}
    assert main(["import", "train.py:other", "-o", "mine.py"]) == 2
    assert "mine.py exists already" in capsys.readouterr().err


def test_json_tells_all_of_it(folder: Path, capsys: Output) -> None:
    assert main(["import", "sweep.yaml", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"source", "tool", "python", "flags", "constants", "notes"}
    assert (told["tool"], told["constants"]) == ("Weights & Biases", {"epochs": 10})


def changed(**changes: Any) -> str:
    content = {"method": "grid", "parameters": {"x": {"min": 0, "max": 1}}, **changes}
    return json.dumps(content)


WRONG = [
    ("sweep.yaml", changed(method="bayse"), "unknown method 'bayse'; did you mean 'bayes'?"),
    ("sweep.yaml", changed(metod="grid"), "unknown key 'metod'; did you mean 'method'?"),
    ("sweep.yaml", changed(parameters={"x": {"minn": 0}}), "unknown key of x 'minn'; did you mean 'min'?"),
    ("sweep.yaml", changed(parameters={"x": {"min": 0}}), "x needs value, values, or min and max"),
    ("sweep.yaml", changed(parameters={"x": 3}), "x needs entries of its own, got 3"),
    ("sweep.yaml", changed(parameters={"x": {"min": 2, "max": 1}}), "x needs finite bounds, the lower one first"),
    ("sweep.yaml", changed(parameters={"x": {"min": "a", "max": 1.0}}), "x.min must be a number, got 'a'"),
    ("sweep.yaml", changed(parameters={"x": {"values": []}}), "x needs a list of values, got []"),
    ("sweep.yaml", changed(parameters={"x": {"distribution": "unifrm"}}), "unknown distribution 'unifrm'"),
    (
        "sweep.yaml",
        changed(parameters={"x": {"distribution": "log_uniform", "min": 1, "max": 1000}}),
        "x: log_uniform takes exponents, got 1 and 1000; log_uniform_values takes values",
    ),
    (
        "sweep.yaml",
        changed(parameters={"x": {"distribution": "log_uniform_values", "min": 0, "max": 1}}),
        "x in log scale needs a low > 0, got 0",
    ),
    (
        "sweep.yaml",
        changed(parameters={"x": {"distribution": "q_uniform", "q": 0, "min": 0, "max": 1}}),
        "x.q must be above 0, got 0",
    ),
    ("sweep.yaml", changed(early_terminate={"type": "envelope"}), "unknown early_terminate.type 'envelope'"),
    ("sweep.yaml", "a: [1, 2", "line 1: no YAML"),
    ("sweep.yaml", "- 1\n- 2\n", "holds no search space; it takes a W&B sweep"),
    ("sweep.yaml", "x: !!python/object/apply:os.system ['echo hacked > hacked']\n", "no YAML: "),
    ("sweep.yaml", "", "holds no search space"),
    ("sweep.yaml", "name: x\n", "holds no search space"),
    ("katib.yaml", "kind: Experiment\nspec: {}\n", "katib.yaml has no spec.parameters"),
    ("katib.yaml", "kind: Experiment\n", "spec needs entries of its own, got None"),
    (
        "katib.yaml",
        "kind: Experiment\nspec: {parameters: [{name: x, parameterType: real}]}\n",
        "unknown parameterType of x 'real'",
    ),
    (
        "katib.yaml",
        "kind: Experiment\nspec: {parameters: [{name: x, parameterType: int, feasibleSpace: {min: one, max: '2'}}]}\n",
        "x.min must be a number, got 'one'",
    ),
    ("space.json", '{"x": {"_type": "choise", "_value": [1]}}', "unknown _type of x 'choise'; did you mean 'choice'?"),
    ("space.json", '{"x": {"_type": "uniform", "_value": [1]}}', "x: uniform takes 2 numbers, got [1]"),
    ("space.json", '{"x": {"_type": "quniform", "_value": [0, 1, 0]}}', "x: quniform needs a step above 0, got 0"),
    ("space.json", '{"x": {"_type": "choice"}}', "x needs a list of values, got None"),
    ("space.json", '{"x": ', "space.json: no JSON"),
    ("train.py", "x = 1\n", "train.py has no param_space (looked for param_space, search_space, config, space)"),
    ("train.py", "import nothing_of_this_name\n", "train.py line 1 fails to import"),
    (
        "train.py",
        "from ray import tune\nparam_space = {'a': tune.sample_from(lambda config: 1)}\n",
        "a: tune.sample_from draws where no sampler can see it",
    ),
]


@pytest.mark.parametrize(("name", "content", "said"), WRONG, ids=[said[:40] for _, _, said in WRONG])
def test_a_wrong_file_is_one_sentence(
    name: str, content: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(content)
    assert main(["import", name]) == 2
    written = capsys.readouterr()
    (sentence,) = [line for line in written.err.splitlines() if line.startswith("error:")]
    assert said in sentence
    assert len(sentence) <= 230
    assert written.out == ""
    assert not (tmp_path / "hacked").exists()


def test_a_space_takes_no_options_of_a_study(folder: Path, capsys: Output) -> None:
    assert main(["import", "sweep.yaml", "--as", "x", "--objective", "a.py"]) == 2
    assert "SOURCE is a search space, which takes no --as, --objective; give them to" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none.yaml", "none.json", "none.py", "none.py:param_space"])
def test_a_missing_file_is_named(name: str, capsys: Output) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read.read(name)
