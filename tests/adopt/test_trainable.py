"""Trainables of Ray Tune run unchanged, one after the other in one process."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import ray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray import tune
from ray.train._internal.session import get_session
from ray.tune.search.variant_generator import generate_variants

from search import loading, reloading
from search.adopt.tune_space import TuneSpace
from search.contract import Metric
from search.errors import InputError
from search.study.space import describe
from search.trial import ParamValue
from search.tuner import foreign
from search.usermodules import UserFile, import_file
from tests.adopt.projects import launch_of, load, run, write

HEADER = """
from ray import tune

param_space = {"x": tune.uniform(0.0, 1.0)}
"""


@pytest.fixture(autouse=True)
def _leaves_nothing() -> Iterator[None]:
    """Whatever happens in a test: no session and no other working folder stays."""
    before = Path.cwd()
    yield
    foreign.leave()
    assert get_session() is None
    assert Path.cwd() == before


# --- spaces ---

CONVERTED = [
    (tune.uniform(0.1, 0.9), FloatDistribution(0.1, 0.9)),
    (tune.quniform(0.2, 0.8, 0.2), FloatDistribution(0.2, 0.8, step=0.2)),
    (tune.quniform(32, 128, 32), FloatDistribution(32.0, 128.0, step=32.0)),
    (tune.loguniform(1e-4, 1e-1), FloatDistribution(1e-4, 1e-1, log=True)),
    (tune.qloguniform(1e-4, 1e-1, 5e-5), FloatDistribution(1e-4, 1e-1, log=True)),
    (tune.randint(2, 9), IntDistribution(2, 8)),
    (tune.qrandint(4, 13, 4), IntDistribution(4, 12, step=4)),
    (tune.qrandint(4, 13, 1), IntDistribution(4, 12)),
    (tune.lograndint(1, 100), IntDistribution(1, 99, log=True)),
    (tune.choice(["a", 1, 0.5, True, None]), CategoricalDistribution(["a", 1, 0.5, True, None])),
    (tune.choice([[64], [64, 64]]), CategoricalDistribution(["[64]", "[64, 64]"])),
    (tune.grid_search([16, 32]), CategoricalDistribution([16, 32])),
]


@pytest.mark.parametrize(
    ("domain", "expected"), CONVERTED, ids=lambda one: re.sub(r" object at \w+", "", str(one))[:40]
)
def test_each_sampling_object_becomes_the_range_that_it_draws_from(domain: Any, expected: BaseDistribution) -> None:
    assert describe(TuneSpace({"a": {"b": domain}, "c": 3}), seed=0) == {"a.b": expected}


@pytest.mark.parametrize(
    "domain", [one for one, _ in CONVERTED if not isinstance(one, dict)], ids=lambda one: str(type(one))
)
def test_what_tune_draws_lies_in_our_range(domain: Any) -> None:
    ours = describe(TuneSpace({"x": domain}), seed=0)["x"]
    for seed in range(30):
        drawn = domain.sample(random_state=seed)
        drawn = str(drawn) if isinstance(drawn, list) else drawn
        assert ours._contains(ours.to_internal_repr(drawn))


def test_a_config_arrives_nested_as_it_was_with_the_choices_themselves() -> None:
    function = sorted
    template = {
        "opt": {"lr": tune.loguniform(1e-4, 1e-1), "betas": (0.9, 0.99)},
        "layers": tune.choice([[64], [64, 64]]),
        "order": tune.choice([function, max]),
        "blocks": [{"width": tune.randint(1, 9)}, {"width": 7}],
        "rounded": tune.qloguniform(1.0, 100.0, 0.5),
        "steps": tune.qlograndint(8, 65, 8),
        "fixed": {"deep": {"er": [1, {"a": None}]}},
    }
    space = TuneSpace(template)
    params: dict[str, ParamValue] = {"opt.lr": 0.01, "layers": "[64, 64]", "order": "sorted", "blocks.0.width": 3}
    config = space.config({**params, "rounded": 3.3, "steps": 20, "extra.one": 1})
    assert config == {
        "opt": {"lr": 0.01, "betas": (0.9, 0.99)},
        "layers": [64, 64],
        "order": sorted,
        "blocks": [{"width": 3}, {"width": 7}],
        "rounded": 3.5,
        "steps": 16,
        "fixed": {"deep": {"er": [1, {"a": None}]}},
        "extra": {"one": 1},
    }
    assert [note.split()[0] for note in space.notes] == ["layers", "order", "rounded", "steps"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"a": {"b": tune.randn(1.0, 2.0)}}, r"a\.b: tune\.randn has no bounds.*write tune\.uniform\(-5, 7\)"),
        ({"a": tune.sample_from(lambda config: 1)}, r"a: tune\.sample_from.*trial\.suggest_float\('a', 0\.0, 1\.0\)"),
        ({"a": tune.choice([{"b": tune.uniform(0, 1)}])}, r"a: a choice holds another search"),
        ({"a.b": tune.uniform(0, 1), "a": {"b": tune.uniform(0, 1)}}, r"param_space has a\.b twice"),
        ({"a": tune.choice([])}, r"a has no values to choose from"),
        ({"a": tune.randint(3, 3)}, r"a needs finite bounds, the lower one first, got 3 and 2"),
    ],
)
def test_what_has_no_equivalent_is_refused_with_what_to_write(template: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        describe(TuneSpace(template), seed=0)
    assert re.match(said, refused.value.sentence())
    assert len(refused.value.sentence()) <= 200


def test_a_grid_has_the_points_that_tune_has(tmp_path: Path) -> None:
    template = {"a": tune.grid_search([1, 2, 3]), "b": {"c": tune.grid_search(["x", "y"])}, "d": 5}
    theirs = {(one["a"], one["b"]["c"]) for _, one in generate_variants(template)}
    path = write(
        tmp_path,
        """
        from ray import tune
        param_space = {"a": tune.grid_search([1, 2, 3]), "b": {"c": tune.grid_search(["x", "y"])}, "d": 5}
        def train(config):
            tune.report({"loss": config["a"] + len(config["b"]["c"]) + config["d"]})
        """,
    )
    trials = run(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"], sampler="grid", trials=20)
    assert {(one.params["a"], one.params["b.c"]) for one in trials} == theirs
    assert len(trials) == len(theirs)


# --- running ---

FORMS = {
    "reports": "def train(config):\n    for i in range(3):\n        tune.report({'loss': i + 1.0, 'n': {'deep': i}})",
    "yields": "def train(config):\n    for i in range(3):\n        yield {'loss': i + 1.0, 'n': {'deep': i}}",
    "done": "def train(config):\n    for i in range(9):\n"
    "        tune.report({'loss': i + 1.0, 'n': {'deep': i}, 'done': i == 2})",
    "exits": "import sys\n\ndef train(config):\n    for i in range(3):\n"
    "        tune.report({'loss': i + 1.0, 'n': {'deep': i}})\n    sys.exit(0)",
    "class": "class train(tune.Trainable):\n    def setup(self, config):\n        self.i = 0\n    def step(self):\n"
    "        self.i += 1\n        return {'loss': float(self.i), 'n': {'deep': self.i - 1}, 'done': self.i == 3}",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_trainable_is_run_to_its_end(form: str, tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + FORMS[form])
    (trial,) = run(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"], trials=1, max_epochs=9)
    assert trial.state == "complete"
    assert trial.reports == {1: 1.0, 2: 2.0, 3: 3.0}
    assert trial.metrics[3] == {"loss": 3.0, "n/deep": 2.0}


def test_a_returned_result_counts_as_trained_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "def train(config):\n    return {'loss': config['x']}\n")
    flags: dict[str, Any] = {"metric": ["loss"], "direction": ["minimize"], "pruner": "asha", "trials": 6}
    trials = run(path, "train", tmp_path / "r", max_epochs=9, **flags)
    assert [(one.state, list(one.reports)) for one in trials] == [("complete", [9])] * 6


def test_a_trainable_is_stopped_where_it_is_pruned_and_leaves_no_thread(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        HEADER
        + """
ENDED = []
def train(config):
    try:
        for i in range(50):
            tune.report({"loss": config["x"] - i / 100})
        ENDED.append(50)
    finally:
        ENDED.append(i)
""",
    )
    threads = threading.active_count()
    flags: dict[str, Any] = {"metric": ["loss"], "direction": ["minimize"], "pruner": "asha", "trials": 9}
    trials = run(path, "train", tmp_path / "r", max_epochs=9, **flags)
    pruned = [one for one in trials if one.state == "pruned"]
    assert pruned
    assert threading.active_count() == threads
    module = sys.modules[load(path, "train").module.__name__]
    assert [one.last_step - 1 for one in trials] == module.ENDED
    assert foreign.is_clean()


def test_max_epochs_ends_a_trainable_that_would_go_on_for_ever(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "def train(config):\n    while True:\n        tune.report({'loss': 1.0})\n")
    (trial,) = run(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"], trials=1, max_epochs=5)
    assert (trial.state, trial.last_step) == ("complete", 5)


def test_a_function_that_does_not_end_reports_to_no_later_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_FUNCTION_THREAD_TIMEOUT_S", "0.05")
    path = write(
        tmp_path,
        HEADER
        + """
import threading
GO_ON = threading.Event()
CAUGHT = []
def train(config):
    for i in range(4):
        try:
            tune.report({"loss": 1.0 + i})
        except SystemExit:
            CAUGHT.append(i)
            GO_ON.wait(10)
            tune.report({"loss": -1.0})
            CAUGHT.append("went on")
""",
    )
    objective = load(path, "train")
    searched = frozenset({"loss"})
    steps = foreign.run(objective.trainable, {}, searched=searched, seed=1, cpus=1, stays=False)
    assert next(steps) == {"loss": 1.0}
    steps.close()
    assert not foreign.is_clean()
    again = foreign.run(objective.trainable, {}, searched=searched, seed=2, cpus=1, stays=False)
    assert next(again) == {"loss": 1.0}
    (stubborn,) = foreign._lingering
    objective.module.GO_ON.set()
    threading.Thread.join(stubborn, 5)
    assert foreign.is_clean()
    assert [step["loss"] for step in again] == [2.0, 3.0, 4.0]
    assert objective.module.CAUGHT == [0]


def test_a_session_that_was_left_open_is_closed_by_the_next_trial(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + FORMS["reports"])
    objective = load(path, "train")
    first = foreign.run(objective.trainable, {}, searched=frozenset(), seed=1, cpus=1, stays=False)
    next(first)
    second = foreign.run(objective.trainable, {}, searched=frozenset(), seed=2, cpus=1, stays=False)
    assert [one["loss"] for one in second] == [1.0, 2.0, 3.0]
    first.close()


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        ("raise ValueError('too wide')", "exception", "ValueError: too wide"),
        ("tune.report({'loss': 1.0}); raise KeyError('later')", "exception", "KeyError: 'later'"),
        ("tune.report({'loss': float('nan')})", "nan", "metric 'loss' is nan"),
        ("tune.report({'loss': 'low'})", "invalid", "metric 'loss' must be a number, got 'low'"),
        ("tune.report({'other': 1.0})", "invalid", "trial 0 reported no 'loss'; it reported other"),
        ("pass", "invalid", "trial 0 ended without one report; yield or return at least one metric"),
        ("raise MemoryError", "out_of_memory", "out of memory"),
        ("return [1]", "exception", "ValueError: Invalid return or yield value"),
    ],
)
def test_a_failing_trainable_fails_its_trial_in_its_own_words(
    body: str, reason: str, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path, HEADER + f"def train(config):\n    'report'\n    {body}\n")
    trial = run(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"], trials=1)[0]
    assert (trial.state, trial.end["reason"]) == ("fail", reason)
    assert trial.end["text"].startswith(said)


def test_metrics_beside_the_searched_one_may_be_anything(tmp_path: Path) -> None:
    body = (
        "def train(config):\n    tune.report({'loss': 1, 'best': float('inf'), 'note': 'x', 'ok': True, 'acc': 0.5})\n"
    )
    path = write(tmp_path, HEADER + body)
    (trial,) = run(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"], trials=1)
    assert trial.metrics[1] == {"loss": 1.0, "acc": 0.5}


def test_a_trial_works_in_a_folder_of_its_own_and_gets_its_last_checkpoint_back(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        HEADER
        + """
import os, tempfile
SEEN = []
def train(config):
    SEEN.append(tune.get_checkpoint())
    open("beside.txt", "w").close()
    for i in range(3):
        with tempfile.TemporaryDirectory() as folder:
            open(os.path.join(folder, f"{i}.txt"), "w").close()
            tune.report({"loss": 1.0}, checkpoint=tune.Checkpoint.from_directory(folder))
        with tune.get_checkpoint().as_directory() as folder:
            SEEN.append((os.listdir(folder), len(os.listdir(os.path.dirname(folder))), os.getcwd()))
""",
    )
    run(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"], trials=1)
    first, *later = load(path, "train").module.SEEN
    assert first is None
    assert [(names, count) for names, count, _ in later] == [(["0.txt"], 1), (["1.txt"], 1), (["2.txt"], 1)]
    assert len({where for _, _, where in later}) == 1
    assert not Path(later[0][2]).exists()
    assert not list(tmp_path.glob("**/beside.txt"))


def test_a_file_that_turns_off_own_folders_stays_where_it_is(tmp_path: Path) -> None:
    body = "import os\nos.environ.setdefault('RAY_CHDIR_TO_TRIAL_DIR', '0')\nSEEN = []\n"
    path = write(tmp_path, HEADER + body + "def train(config):\n    SEEN.append(os.getcwd())\n    return {'loss': 1}\n")
    run(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"], trials=1)
    assert [str(Path.cwd())] == load(path, "train").module.SEEN


def test_parameters_and_resources_bound_by_tune_come_along(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        HEADER
        + """
def train(config, data):
    tune.report({"loss": config["x"] + sum(data)})
bound = tune.with_parameters(tune.with_resources(train, {"cpu": 1}), data=[100.0, 200.0])
""",
    )
    (trial,) = run(path, "bound", tmp_path / "r", metric=["loss"], direction=["minimize"], trials=1)
    assert trial.reports[1] == 300 + float(trial.params["x"] or 0)


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    body = "import random\ndef train(config):\n    for _ in range(3):\n        tune.report({'loss': random.random()})\n"
    path = write(tmp_path, HEADER + body)
    flags: dict[str, Any] = {"metric": ["loss"], "direction": ["minimize"], "trials": 2}
    first, second = (run(path, "train", tmp_path / name, **flags) for name in ("a", "b"))
    assert [one.reports for one in first] == [one.reports for one in second]
    assert first[0].reports != first[1].reports


# --- what is said, and who is meant ---

TUNED = (
    HEADER + "def train(config):\n    tune.report({'loss': 1.0})\n\nif __name__ == '__main__':\n    tune.Tuner(train, "
)


@pytest.mark.parametrize(
    ("call", "flags", "expected"),
    [
        ("tune_config=tune.TuneConfig(metric='loss', mode='min'))", {}, Metric("loss", "minimize")),
        ("tune_config=tune.TuneConfig(metric='acc', mode='max'))", {}, Metric("acc", "maximize")),
        ("tune_config=tune.TuneConfig(mode='max'))", {"metric": ["acc"]}, Metric("acc", "maximize")),
        (
            "tune_config=tune.TuneConfig(metric='loss', mode='min'))",
            {"direction": ["maximize"]},
            Metric("loss", "maximize"),
        ),
        ("param_space=param_space)", {"metric": ["a"], "direction": ["maximize"]}, Metric("a", "maximize")),
    ],
)
def test_metric_and_direction_come_from_the_file_where_no_flag_says_them(
    call: str, flags: dict[str, Any], expected: Metric, tmp_path: Path
) -> None:
    path = write(tmp_path, TUNED + call)
    launch = launch_of(path, "train", tmp_path / "r", **flags)
    assert (launch.plan.metrics, launch.plan.directions) == ((expected.name,), (expected.direction,))
    assert launch.problem.metrics == (expected,)


@pytest.mark.parametrize(
    ("call", "flags", "said"),
    [
        ("param_space=param_space)", {}, "train.py does not say which metric is searched; give --metric NAME"),
        (
            "param_space=param_space)",
            {"metric": ["a"]},
            "train.py does not say whether a lower or a higher a is better",
        ),
        ("tune_config=tune.TuneConfig(metric='b', mode='min'))", {"metric": ["a"]}, "train.py does not say whether a"),
    ],
)
def test_a_metric_that_nobody_names_is_asked_for(call: str, flags: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path, TUNED + call)
    with pytest.raises(InputError) as refused:
        launch_of(path, "train", tmp_path / "r", **flags)
    assert refused.value.sentence().startswith(said)


def test_what_the_file_says_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path, TUNED + "tune_config=tune.TuneConfig(metric='loss', mode='min', num_samples=50))")
    assert launch_of(path, "train", tmp_path / "r").notes == (
        "train.py line 9 searches loss (minimize): so does this sweep",
        "train.py line 9 has num_samples=50: --trials says how many here",
        "a trial ends by itself, after --max-epochs reports, or --patience reports without a better one",
    )


def test_a_file_without_a_param_space_is_told_what_to_write(tmp_path: Path) -> None:
    path = write(tmp_path, "from ray import tune\ndef train(config):\n    tune.report({'loss': 1.0})\n")
    with pytest.raises(InputError, match="has no param_space at its top level"):
        launch_of(path, "train", tmp_path / "r", metric=["loss"], direction=["minimize"])
    write(tmp_path, "def space(trial):\n    trial.suggest_float('a.b', 0, 1)\n", "mine.py")
    flags: dict[str, Any] = {"metric": ["loss"], "direction": ["minimize"], "space": str(tmp_path / "mine.py")}
    assert run(path, "train", tmp_path / "r", **flags)[0].state == "complete"


def test_of_several_functions_the_one_that_reports_is_meant(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        HEADER + "def helper(path):\n    return path\n\ndef fit(spec):\n    tune.report({'loss': 1.0})\n",
    )
    assert load(path).trainable.__name__ == "fit"


def test_a_space_may_be_named_as_the_dict_that_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER)
    assert describe(load(path, "param_space", "space"), seed=0) == {"x": FloatDistribution(0.0, 1.0)}


@pytest.mark.parametrize(
    "body",
    [
        "def train(config):\n    return 1.0\n",  # no Ray
        "import ray\ndef objective(trial):\n    return 1.0\n",  # Optuna's
        "import ray\ndef train(a, b):\n    return 1.0\n",
        "import ray\nclass Train:\n    pass\n",
    ],
)
def test_what_is_no_trainable_is_left_to_others(body: str, tmp_path: Path) -> None:
    import importlib.util

    from search.adopt import trainable

    path = write(tmp_path, body)
    spec = importlib.util.spec_from_file_location("made_up", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("train", "objective", "Train"):
        if hasattr(module, name):
            assert trainable.adopt(getattr(module, name), module) is None


QUICKSTARTS = {
    "ray": """
        import ray
        from ray import tune

        ray.init(num_cpus=1)

        def objective(config):
            score = config["a"] ** 2 + config["b"]
            return {"score": score}

        search_space = {
            "a": tune.grid_search([0.001, 0.01, 0.1, 1.0]),
            "b": tune.choice([1, 2, 3]),
        }

        tuner = tune.Tuner(objective, param_space=search_space)

        results = tuner.fit()
        print(results.get_best_result(metric="score", mode="min").config)
        """,
    "optuna": """
        import optuna

        def objective(trial):
            x = trial.suggest_float("x", -10, 10)
            return (x - 2) ** 2

        study = optuna.create_study()
        study.optimize(objective, n_trials=100)

        study.best_params
        print(study.best_value)
        """,
}


@pytest.mark.parametrize("tool", QUICKSTARTS)
def test_a_script_is_loaded_without_starting_the_search_that_it_starts(
    tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, up = (tune.Tuner.fit, tune.run, ray.init, optuna.Study.optimize), ray.is_initialized()
    path = write(tmp_path, QUICKSTARTS[tool], f"{tool}_quick.py")
    module = import_file(UserFile.of(path))
    assert callable(module.objective)
    assert not hasattr(module, "results")
    assert ray.is_initialized() is up
    assert capsys.readouterr().out == ""
    assert (tune.Tuner.fit, tune.run, ray.init, optuna.Study.optimize) == before


def test_the_quickstart_of_ray_runs_unchanged(tmp_path: Path) -> None:
    path = write(tmp_path, QUICKSTARTS["ray"])
    flags: dict[str, Any] = {"metric": ["score"], "direction": ["minimize"], "sampler": "grid", "trials": 20}
    trials = run(path, "objective", tmp_path / "r", **flags)
    assert len(trials) == 12
    assert min(one.values[0] for one in trials) == 0.001**2 + 1


def test_resources_that_a_file_asks_for_are_noted(tmp_path: Path) -> None:
    body = "def train(config):\n    return {'loss': 1.0}\nbound = tune.with_resources(train, {'cpu': 2, 'gpu': 0.5})\n"
    path = write(tmp_path, HEADER + body)
    notes = launch_of(path, "bound", tmp_path / "r", metric=["loss"], direction=["minimize"]).notes
    assert "train.py asks for 2 CPU, 0.5 GPU a trial: --cpus and --gpus say it here" in notes


def test_a_space_may_be_edited_without_its_trainable_counting_as_changed(tmp_path: Path) -> None:
    hashes = []
    for high in ("0.5", "9.0"):
        folder = tmp_path / high
        folder.mkdir()
        path = write(folder, QUICKSTARTS["ray"].replace("0.001, 0.01", high), "quick.py")
        objective = loading.load(f"{path}:objective", kind="objective", folder=folder)
        hashes.append(reloading.objective_hash(objective, loading.load_space(objective, None, folder=folder)))
    assert hashes[0] == hashes[1]
