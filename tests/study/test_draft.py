"""A draft is what `study.ask()` would have suggested, and a wrong space is told by file and line."""

from __future__ import annotations

import runpy
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial, TrialState

from search.errors import InputError
from search.study.draft import draft
from search.study.storage import open_for_writing
from search.trial import ParamValue
from tests.study.studies import add_trials, conditional_space, content, flat_space, open_study

GRID: dict[str, list[ParamValue]] = {"x": [-1.0, 0.0, 1.0], "n": [1, 5, 9]}

SAMPLERS: dict[str, tuple[Callable[[], BaseSampler], Any, int]] = {
    "random": (lambda: RandomSampler(seed=3), conditional_space, 25),
    "tpe": (lambda: TPESampler(seed=3, n_startup_trials=5), conditional_space, 25),
    "tpe without liar": (
        lambda: TPESampler(seed=3, n_startup_trials=5, constant_liar=False),
        conditional_space,
        25,
    ),
    "tpe multivariate, in groups": (
        lambda: TPESampler(seed=3, n_startup_trials=5, multivariate=True, group=True),
        conditional_space,
        25,
    ),
    "gp": (lambda: GPSampler(seed=3, n_startup_trials=3), flat_space, 6),
    "cmaes": (lambda: CmaEsSampler(seed=3, n_startup_trials=3), flat_space, 20),
    "qmc": (lambda: QMCSampler(seed=3, scramble=True), flat_space, 20),
    "grid": (lambda: GridSampler(GRID, seed=3), flat_space, 9),
    "nsga2": (lambda: NSGAIISampler(seed=3, population_size=4), conditional_space, 25),
}


def in_memory(sampler: BaseSampler) -> optuna.Study:
    return optuna.create_study(sampler=sampler, study_name="a")


def by_ask(study: optuna.Study, space: Any) -> FrozenTrial:
    trial = study.ask()
    space(trial)
    return study._storage.get_trial(trial._trial_id)


def by_draft(study: optuna.Study, space: Any) -> FrozenTrial:
    template = draft(study, study.sampler, space, fixed={}, attributes={})
    trial_id = study._storage.create_new_trial(study._study_id, template_trial=template)
    return study._storage.get_trial(trial_id)


def suggestions(suggest: Any, name: str) -> list[Any]:
    """Return what is suggested trial by trial, two of them running at any time, some failing and some pruned."""
    make, space, count = SAMPLERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study, found, running = in_memory(make()), [], []
        for number in range(count):
            frozen = suggest(study, space)
            found.append((frozen.number, frozen.params, frozen.distributions, frozen.system_attrs))
            running.append(frozen)
            if len(running) > 2:
                ended = running.pop(0)
                state = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL][number % 4]
                values = [float(number % 7)] if state is TrialState.COMPLETE else None
                study.tell(ended.number, values, state=state)
    return found


@pytest.mark.parametrize("name", SAMPLERS)
def test_drafts_are_what_ask_suggests(name: str) -> None:
    assert suggestions(by_draft, name) == suggestions(by_ask, name)


def test_a_draft_writes_no_trial(tmp_path: Path) -> None:
    storage = open_for_writing(tmp_path / "study.journal", study="a")
    study = open_study(storage.optuna)
    add_trials(study, 3)
    size = (tmp_path / "study.journal").stat().st_size
    template = draft(study, study.sampler, conditional_space, fixed={}, attributes={})
    assert template.number == 3
    assert (tmp_path / "study.journal").stat().st_size == size
    assert len(content(storage.optuna)) == 3
    storage.close()


def test_a_known_number_is_not_counted_again() -> None:
    study = in_memory(RandomSampler(seed=0))
    assert draft(study, study.sampler, flat_space, fixed={}, attributes={}, number=41).number == 41


@pytest.mark.parametrize("name", ["random", "tpe", "nsga2"])
def test_fixed_values_are_taken_and_the_others_suggested_as_in_an_enqueued_trial(name: str) -> None:
    make, _, _ = SAMPLERS[name]
    fixed: dict[str, ParamValue] = {"train.lr": 0.01, "model.family": "mlp", "model.absent": 3}
    enqueued, drafted = in_memory(make()), in_memory(make())
    enqueued.enqueue_trial(fixed)
    expected = by_ask(enqueued, conditional_space)
    template = draft(drafted, drafted.sampler, conditional_space, fixed=fixed, attributes={"request": "r"})
    assert template.params == expected.params
    assert template.params["train.lr"] == 0.01
    assert template.system_attrs == {"request": "r", **expected.system_attrs}


def test_a_space_may_set_attributes_and_constraints() -> None:
    def space(trial: optuna.trial.Trial) -> None:
        x = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("note", "ä")
        trial.set_constraint("small", x - 2)

    study = in_memory(RandomSampler(seed=0))
    template = draft(study, study.sampler, space, fixed={}, attributes={})
    assert template.user_attrs == {"note": "ä"}
    assert list(template.system_attrs.values()) == [template.params["x"] - 2]


def test_the_same_parameter_may_be_suggested_twice_alike() -> None:
    def space(trial: optuna.trial.Trial) -> None:
        assert trial.suggest_float("x", 0, 1) == trial.suggest_float("x", 0, 1)

    study = in_memory(RandomSampler(seed=0))
    draft(study, study.sampler, space, fixed={}, attributes={})


WRONG_SPACES = [
    (
        "trial.suggest_float('train.lr', 0, 1)\ntrial.suggest_float('train.lr', 0, 2)",
        "train.lr is suggested twice with different ranges ([0, 1] then [0, 2]) in spaces/tab.py line 3",
    ),
    (
        "trial.suggest_categorical('m', ['a'])\ntrial.suggest_categorical('m', ['a', 'b'])",
        "m is suggested twice with different ranges (a then a, b) in spaces/tab.py line 3",
    ),
    (
        "trial.suggest_float('train.lr', 1e-5, 1)\ntrial.suggest_float('train.lr', 1e-5, 1, log=True)",
        "train.lr is suggested twice with different ranges (a float in [1e-5, 1] then a float in [1e-5, 1] in",
    ),
    (
        "trial.suggest_int('n', 0, 4)\ntrial.suggest_float('n', 0, 4)",
        "n is suggested twice with different ranges (an int in [0, 4] then a float in [0, 4]) in spaces/tab.py line 3",
    ),
    (
        "trial.suggest_float('train.lr', 0, 0.1, log=True)",
        "train.lr: log range needs low > 0, got [0, 0.1]; see spaces/tab.py line 2",
    ),
    (
        "trial.suggest_int('width', 0, 10, log=True)",
        "width: log range needs low >= 1, got [0, 10]; see spaces/tab.py line 2",
    ),
    (
        "trial.suggest_float('train.lr', 2, 1)",
        "train.lr: low must not be above high, got [2, 1]; see spaces/tab.py line 2",
    ),
    ("trial.suggest_int('n', 2, 1)", "n: low must not be above high, got [2, 1]; see spaces/tab.py line 2"),
    ("x = 1\n1 / 0", "spaces/tab.py line 3 fails: ZeroDivisionError: division by zero"),
    ("helper()", "spaces/tab.py line 6 fails: ValueError: of a helper"),
    ("import json\njson.loads('{')", "spaces/tab.py line 3 fails: JSONDecodeError: Expecting property name"),
    ("trial.suggest_categorical('m', [])", "spaces/tab.py line 2 fails: ValueError: The `choices` must contain"),
    ("trial.suggest_float('x', 0, 1, step=-1)", "spaces/tab.py line 2 fails: ValueError: `step > 0` must hold"),
    ("trial.suggest_flaot('x', 0, 1)", "spaces/tab.py line 2 fails: AttributeError: "),
    ("trial.suggest_float('x', 'a', 1)", "spaces/tab.py line 2 fails: TypeError: "),
    ("trial.report(0.5, 1)", "spaces/tab.py line 2 fails: RuntimeError: a space only suggests parameters"),
    ("raise SystemExit", "spaces/tab.py line 2 fails: SystemExit: no message"),
    ("import sys\nsys.exit('enough')", "spaces/tab.py line 3 fails: SystemExit: enough"),
    ("raise Exception", "spaces/tab.py line 2 fails: Exception: no message"),
]


def load_space(folder: Path, body: str) -> Any:
    file = folder / "spaces" / "tab.py"
    file.parent.mkdir()
    file.write_text(
        "def space(trial):\n"
        + textwrap.indent(body, "    ")
        + "\n\n\ndef helper():\n    raise ValueError('of a helper')\n"
    )
    return runpy.run_path(str(file))["space"]


@pytest.mark.parametrize(("body", "sentence"), WRONG_SPACES)
def test_a_wrong_space_is_told_with_its_line(
    body: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = in_memory(RandomSampler(seed=0))
    with pytest.raises(InputError) as caught:
        draft(study, study.sampler, load_space(tmp_path, body), fixed={}, attributes={})
    assert caught.value.sentence().startswith(sentence)
    assert "\n" not in caught.value.sentence()
    assert study.trials == []


@pytest.mark.parametrize(
    ("fixed", "sentence"),
    [
        ({"train.lr": 5.0}, "train.lr=5 is outside [1e-5, 0.1] of the space"),
        ({"model.family": "tree"}, "model.family is one of linear, mlp, got 'tree'"),
        ({"model.family": "mlp", "model.dropout": 0.05}, "model.dropout=0.05 is between the steps of 0.1 from 0"),
    ],
)
def test_a_fixed_value_that_the_space_does_not_allow_is_refused(fixed: Any, sentence: str) -> None:
    study = in_memory(RandomSampler(seed=0))
    with pytest.raises(InputError) as caught:
        draft(study, study.sampler, conditional_space, fixed=fixed, attributes={})
    assert caught.value.message.startswith(sentence)
