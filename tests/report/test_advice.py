"""What is advised, and on which evidence; and the commands that are shown."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from search import loading
from search.choosing import BY_NAME, choose
from search.records.history import History
from search.report.advice import MOST, Advice, advice
from search.report.commands import Commands, as_typed, value_of
from search.report.evidence import Evidence
from search.report.head import head
from search.report.made import made as made_of
from search.study import attributes
from search.usermodules import library
from tests.report.extremes import EXTREMES, history_of, made, searched

X: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


def kinds(history: History) -> list[str]:
    return [one.kind for one in advice(Evidence.of(history))]


def the(history: History, kind: str) -> Advice:
    (found,) = [one for one in advice(Evidence.of(history)) if one.kind == kind]
    return found


def rising(count: int = 30, *, curve: Sequence[float] = (1.0,), **more: Any) -> list[FrozenTrial]:
    """Return trials whose loss falls as x rises, the best one in the middle of them."""
    order = sorted(range(count), key=lambda number: (number * 7) % count)
    return [
        made(n, {"x": order[n] / (count - 1)}, X, [1 - order[n] / count], curve=curve, **more) for n in range(count)
    ]


@pytest.mark.parametrize("name", ["no trials", "all failed", "mixed", "searched", "several metrics"])
def test_advice_is_short_and_has_evidence(tmp_path: Path, name: str) -> None:
    found = advice(Evidence.of(EXTREMES[name](tmp_path)))
    assert len(found) <= MOST
    assert all(one.what and one.evidence.endswith(".") and not one.what.endswith(".") for one in found)


def test_a_best_at_the_end_of_its_range_widens_it(tmp_path: Path) -> None:
    found = the(history_of(tmp_path, rising()), "edge")
    assert found.what == "Widen the range of x in the space's file"
    assert found.evidence.startswith("The best trial is at the upper end of its range, 1, and so are ")


def test_a_best_in_the_middle_widens_nothing(tmp_path: Path) -> None:
    trials = [made(n, {"x": n / 29}, X, [(n / 29 - 0.5) ** 2]) for n in range(30)]
    assert "edge" not in kinds(history_of(tmp_path, trials))


@pytest.mark.parametrize(
    ("range_", "values"),
    [
        (IntDistribution(1, 3), (1, 2, 3)),
        (IntDistribution(32, 128, step=32), (32, 64, 96, 128)),
        (IntDistribution(1, 4, log=True), (1, 2, 3, 4)),
        (FloatDistribution(0.0, 1.0, step=0.25), (0.0, 0.25, 0.5, 0.75, 1.0)),
    ],
)
def test_a_range_of_few_values_has_to_be_at_its_end_more_often_than_by_chance(
    range_: BaseDistribution, values: Sequence[float], tmp_path: Path
) -> None:
    trials = [made(n, {"depth": values[n % len(values)]}, {"depth": range_}, [1 + n]) for n in range(60)]
    assert "edge" not in kinds(history_of(tmp_path, trials))


def test_a_study_that_still_improves_goes_on_and_one_that_does_not_stops(tmp_path: Path) -> None:
    falling = [made(n, {"x": n / 39}, X, [1 - n / 40]) for n in range(40)]
    improving = the(history_of(tmp_path / "a", falling, sampler="tpe"), "improving")
    assert "--trials +20" in improving.command
    once = [made(n, {"x": n / 39}, X, [0.5 if n == 38 else 1.0]) for n in range(40)]
    assert "improving" not in kinds(history_of(tmp_path / "once", once, sampler="tpe"))
    worse = [made(n, {"x": n / 79}, X, [0.1 + n / 80]) for n in range(80)]
    assert "plateau" in kinds(history_of(tmp_path / "b", worse, sampler="tpe"))


def test_a_random_search_that_found_nothing_for_long_is_told_one_thing_and_not_to_stop_as_well(tmp_path: Path) -> None:
    history = history_of(tmp_path, [made(n, {"x": n / 79}, X, [0.1 + n / 80]) for n in range(80)])
    told = "The sampler is random: 80 trials have taught it nothing."
    assert the(history, "sampler").evidence == f"{told} No trial was better than the best for 79 of 80 trials."
    assert not {"plateau", "improving"} & {*kinds(history)}


@pytest.mark.parametrize(("share", "advised"), [(np.nan, False), (0.29, False), (0.4, True)])
def test_a_gpu_that_waits_for_batches_wants_larger_ones_or_more_cpus(
    share: float, advised: bool, tmp_path: Path
) -> None:
    history = history_of(tmp_path, [made(n, {"x": n / 9}, X, [1.0]) for n in range(10)])
    waited = replace(history, gpu_idle=np.full(10, share))
    assert ("GPU waits" in kinds(waited)) is advised
    if advised:
        found = the(waited, "GPU waits")
        assert found.what == "Raise train.batch or --cpus"
        assert found.evidence == "The GPU waited 40% of the training for the next batch, with 1 CPU a trial."
        assert "--cpus 2" in found.command


def test_failures_that_share_a_choice_leave_it_out(tmp_path: Path) -> None:
    family: dict[str, BaseDistribution] = {"family": CategoricalDistribution(("mlp", "forest"))}
    trials = []
    for n in range(40):
        chosen = "mlp" if n % 4 == 0 else "forest"
        failed: dict[str, Any] = {"state": "fail", "reason": "nan", "text": "nan"} if chosen == "mlp" else {}
        trials.append(made(n, {"family": chosen}, family, None if failed else [n / 40], **failed))
    found = the(history_of(tmp_path, trials), "failures")
    assert found.what == "Leave out family = mlp"
    told = (
        "10 of 40 trials failed, 10 of them by nan; 10 of these have family = mlp, and 0 of 30 that did not fail (p = "
    )
    assert found.evidence.startswith(told)
    assert "--set family=forest" in found.command


def test_failures_that_share_an_end_of_a_range_leave_it_out(tmp_path: Path) -> None:
    file = tmp_path / "steel.py"
    file.write_text('def space(trial):\n    trial.suggest_float("x", 0, 1)\n\ndef train(p):\n    return p["x"]\n')
    history = history_of(tmp_path, failing_above(32), space=f"{file}:space")
    found = the(history, "failures")
    assert found.what == "Leave out x above 0.775: change line 2 of steel.py"
    assert found.evidence.endswith("The command tells what the changed file would change.")
    assert "edit s --dry-run" in found.command


def failing_above(count: int) -> list[FrozenTrial]:
    trials = []
    for n in range(40):
        failed: dict[str, Any] = {"state": "fail", "reason": "nan", "text": "nan"} if n >= count else {}
        trials.append(made(n, {"x": n / 40}, X, None if failed else [1 + n / 40], **failed))
    return trials


def test_a_space_of_the_library_is_changed_in_a_copy(tmp_path: Path) -> None:
    space = str(library() / "spaces" / "tabular.py:small")
    found = the(history_of(tmp_path, failing_above(32), space=space), "failures")
    assert (found.what, found.command) == (
        "Leave out x above 0.775: change a copy of tabular.py, which --space takes",
        "",
    )


def test_failures_of_a_space_that_was_edited_since_are_left_alone(tmp_path: Path) -> None:
    history = history_of(tmp_path, failing_above(32))
    assert "failures" in kinds(history)
    assert "failures" not in kinds(replace(history, attributes={**history.attributes, "sweep:edits": [{"trials": 40}]}))


def test_failures_without_a_pattern_are_to_be_read(tmp_path: Path) -> None:
    trials = []
    for n in range(40):
        failed: dict[str, Any] = {"state": "fail", "reason": "exception", "text": "x"} if n % 5 == 0 else {}
        trials.append(made(n, {"x": (n * 17 % 40) / 40}, X, None if failed else [n / 40], **failed))
    found = the(history_of(tmp_path, trials), "failures")
    assert found.what.startswith("Read one of the errors")
    assert "show s --trial 0" in found.command


def test_memory_that_ran_out_is_given(tmp_path: Path) -> None:
    failed: dict[str, Any] = {"state": "fail", "reason": "out_of_memory", "text": "x"}
    trials = [
        made(n, {"x": (n * 17 % 40) / 40}, X, None if n % 9 == 0 else [1.0], **(failed if n % 9 == 0 else {}))
        for n in range(40)
    ]
    assert "--memory" in the(history_of(tmp_path, trials), "failures").command


def test_a_best_that_ends_at_the_full_budget_trains_longer(tmp_path: Path) -> None:
    curve = [1 / step for step in range(1, 10)]
    trials = [made(n, {"x": n / 10}, X, [curve[-1] + n], curve=curve) for n in range(5)]
    found = the(history_of(tmp_path, trials, max_epochs=9), "longer")
    assert found.evidence == "Trial 0 was best at epoch 9 of 9: its curve still improves where training ends."
    assert "--study s-longer" in found.command
    assert "--max-epochs 18" in found.command


def test_a_model_that_is_solved_in_one_go_is_not_to_train_longer(tmp_path: Path) -> None:
    """It reports once, at the end of the scale, so there is no curve that still improves."""
    trials = [made(n, {"x": n / 10}, X, [n / 10], curve=[n / 10]) for n in range(5)]
    for one in trials:
        one.intermediate_values = {9: one.intermediate_values[1]}
        one.system_attrs = {**one.system_attrs, attributes.END: {**one.system_attrs[attributes.END], "step": 9}}
    assert "longer" not in kinds(history_of(tmp_path, trials, max_epochs=9))


def test_one_training_is_told_to_be_one(tmp_path: Path) -> None:
    trials = [made(n, {"x": n / 10}, X, [0.5 + n / 100]) for n in range(5)]
    found = the(history_of(tmp_path / "a", trials), "seeds")
    assert found.evidence == "It was trained once, and is 0.01 better than trial 1: luck may decide that."
    assert "--trials 1" in found.command
    assert "--replicates 5 --set x=0.0" in found.command
    assert "seeds" not in kinds(history_of(tmp_path / "b", trials, replicates=3))


@pytest.mark.parametrize("values", [(-math.inf, 0.5), (-1.5e308, 1.5e308)])
def test_a_lead_that_no_number_says_is_not_told_as_one(tmp_path: Path, values: tuple[float, float]) -> None:
    trials = [made(n, {"x": n / 10}, X, [value]) for n, value in enumerate(values)]
    found = the(history_of(tmp_path, trials), "seeds")
    assert found.evidence == "It was trained once, and is better than trial 1: luck may decide that."


def test_what_is_fixed_already_is_set_once_and_a_name_that_is_taken_is_not_used(tmp_path: Path) -> None:
    trials = [made(n, {"x": 0.5, "y": n / 10}, {**X, "y": X["x"]}, [0.5 + n / 100]) for n in range(5)]
    history = history_of(tmp_path, trials, fixed={"x": 0.5})
    (tmp_path / "s-seeds").mkdir()
    command = the(history, "seeds").command
    assert command.count("--set x=0.5") == 1
    assert "--study s-seeds-2 " in command


def ruled_by_x(count: int) -> list[FrozenTrial]:
    dice = np.random.default_rng(0)
    both = {**X, "noise": X["x"]}
    xs, noises, lucks = dice.random(count), dice.random(count), dice.random(count)
    losses = (xs**2 + 0.5 * lucks).tolist()
    return [made(n, {"x": float(xs[n]), "noise": float(noises[n])}, both, [losses[n]]) for n in range(count)]


@pytest.mark.parametrize(
    ("count", "fixed", "is_advised"), [(1500, {}, True), (40, {}, False), (1500, {"noise": 0.5}, False)]
)
def test_only_what_surely_matters_little_is_fixed(
    tmp_path: Path, count: int, fixed: dict[str, float], is_advised: bool
) -> None:
    history = history_of(tmp_path, ruled_by_x(count), fixed=fixed)
    found = [one for one in advice(Evidence.of(history)) if one.kind == "idle"]
    assert [one.what for one in found] == ["Fix noise, to search the rest more closely"] * is_advised
    assert all("--set noise=" in one.command and "--set x=" not in one.command for one in found)


def test_of_an_imported_study_nothing_is_made_up_and_no_command_would_fail(tmp_path: Path) -> None:
    history = history_of(tmp_path, ruled_by_x(120), objective="", space="")
    history = replace(history, launch={**history.launch, "imported": {"tool": "Optuna", "source": "/a.db"}})
    known = Evidence.of(history)
    found = advice(known)
    assert not {"sampler", "seeds"} & {one.kind for one in found}
    assert all(not one.command or "sweep show" in one.command for one in found)
    page = head(known) + made_of(history, ())
    assert "imported from Optuna" in page
    assert not [
        word
        for word in ("seed 1", "sampler", "sweep resume", "sweep run", "sweep edit", "trained once")
        if word in page
    ]


def test_of_several_metrics_there_is_advice_too(tmp_path: Path) -> None:
    history = EXTREMES["several metrics"](tmp_path)
    assert the(history, "sampler").evidence.startswith("The sampler is random: 60 trials have taught it nothing.")
    values = [[1 - n / 60, 0.5 if n < 55 else n / 600] for n in range(60)]
    several: dict[str, Any] = {"metrics": ("a", "b"), "directions": ("minimize", "minimize")}
    ends = [made(n, {"x": n / 59}, X, values[n], metrics=("a", "b")) for n in range(60)]
    found = the(history_of(tmp_path / "b", ends, **several), "edge")
    assert found.evidence.startswith("3 of the 5 trials on the front are at the upper end of its range, 1.")


def test_a_best_below_the_baseline_comes_first(tmp_path: Path) -> None:
    history = history_of(tmp_path, searched(60), baseline={"val_loss": 0.0001})
    assert kinds(history)[0] == "baseline"


def test_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    history = history_of(tmp_path, searched(20), stopped=None)
    found = the(history, "unfinished")
    assert found.evidence == "It is interrupted: its process ended before the budget was used."
    assert found.command.startswith("sweep resume s")


def test_where_all_failed_the_first_error_is_read(tmp_path: Path) -> None:
    failed: dict[str, Any] = {"state": "fail", "reason": "exception", "text": "x"}
    assert kinds(history_of(tmp_path, [made(n, {"x": 0.1}, X, None, **failed) for n in range(3)])) == ["none completed"]


LAUNCHED: list[dict[str, Any]] = [
    {},
    {"epochs": 300, "time_s": 90.0, "max_epochs": 9},
    {"metrics": ("a", "b"), "directions": ("minimize", "maximize"), "constraints": ("latency_ms<=30",)},
    {"memory_bytes": 500 * 2**20, "cache_bytes": 0, "gpus": 0.5, "sampler": "tpe:multivariate=true"},
    {"warm_start": ("one", "two"), "until": 0.25, "replicates": 3, "storage": "sqlite:///a b.db"},
    {"memory_bytes": 3 * 2**40 + 2**20, "cache_bytes": 2**40 + 2**20, "time_s": 1234567.0, "until": 0.98765432},
]
_OPTIONS = {
    "epochs": "epochs",
    "time_s": "time",
    "max_epochs": "max-epochs",
    "metrics": "metric",
    "directions": "direction",
    "constraints": "constraint",
    "memory_bytes": "memory",
    "cache_bytes": "cache",
    "gpus": "gpus",
    "sampler": "sampler",
    "warm_start": "warm-start",
    "until": "until",
    "replicates": "replicates",
    "storage": "storage",
}


@pytest.mark.parametrize("changes", LAUNCHED)
def test_the_command_that_is_shown_makes_the_same_choices(tmp_path: Path, changes: dict[str, Any]) -> None:
    origins = {_OPTIONS[field]: "flag" for field in changes}
    shown = {key: value for key, value in changes.items() if key != "storage"}  # which nobody could read here
    history = history_of(tmp_path, [], **shown, origins=origins)
    typed = shlex.split(Commands.of(history).launch)
    assert typed[:3] == ["sweep", "run", "/o.py:O"]
    flags: dict[str, Any] = {}
    for flag, text in zip(typed[3::2], typed[4::2], strict=True):
        name = flag.removeprefix("--")
        if name == "results":
            assert text == str(tmp_path)
        elif BY_NAME[name].many:
            flags[name] = (*flags.get(name, ()), text)
        else:
            flags[name] = text
    parsed = choose(flags)
    for field in shown:
        assert parsed[_OPTIONS[field]] == value_of(history.plan, _OPTIONS[field])
    assert parsed["seed"] == history.plan.seed
    assert parsed["study"] == "s"


NUMBERS: dict[str, st.SearchStrategy[float]] = {
    **dict.fromkeys(("time", "grace", "trial-timeout"), st.floats(1, 365 * 86400)),
    "memory": st.integers(50 * 2**20, 2**49),
    "cache": st.one_of(st.just(0), st.integers(50 * 2**20, 2**49)),
    "until": st.floats(allow_nan=False, allow_infinity=False),
    **dict.fromkeys(
        ("gpu-hours", "cpu-hours", "min-gain", "cpus"), st.floats(0, exclude_min=True, allow_infinity=False)
    ),
    "gpus": st.one_of(st.just(0.0), st.floats(0.01, 1), st.integers(1, 2**20).map(float)),
}


def test_every_option_with_a_fraction_or_a_unit_is_tried() -> None:
    assert {one.name for one in BY_NAME.values() if one.placeholder in ("H", "TIME", "SIZE", "VALUE", "X")} == {
        *NUMBERS
    }


@pytest.mark.parametrize("name", NUMBERS)
@given(data=st.data())
def test_a_number_as_typed_is_read_as_what_it_was(name: str, data: st.DataObject) -> None:
    value = data.draw(NUMBERS[name])
    (text,) = as_typed(name, value)
    assert BY_NAME[name].parse(f"--{name}", text) == value


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("time", 90.0, "90s"),
        ("time", 100000.5, "100000.5s"),
        ("memory", 500 * 2**20, "500m"),
        ("memory", 4 * 2**30, "4g"),
        ("memory", 50 * 2**20 + 1, "51200.000976563k"),
        ("cache", 0, "none"),
        ("gpus", 0.5, "0.5"),
        ("gpus", "auto", "auto"),
        ("cpus", 2.0, "2"),
    ],
)
def test_a_number_is_typed_as_people_write_it(name: str, value: float, text: str) -> None:
    assert as_typed(name, value) == [text]


HOOK = "https://user:${PW}@hooks.example.com/services/T00/SECRET"


def test_a_url_that_hears_of_the_sweep_is_in_no_command(tmp_path: Path) -> None:
    commands = Commands.of(history_of(tmp_path, [], notify=HOOK, enqueued=({"x": 1},), origins={"notify": "flag"}))
    assert "notify" not in commands.launch + commands.another("b", {"trials": ["1"]})
    assert commands.launch_note == (
        "The file of --enqueue is not named here; it had 1 points, which the study has. "
        "The URL of --notify is not named here: its path may be a secret."
    )


def test_what_the_library_has_is_called_by_its_name(tmp_path: Path) -> None:
    objective = str(library() / "objectives" / "images.py:Images")
    space = str(library() / "spaces" / "tabular.py:small")
    history = history_of(tmp_path, [], objective=objective, space=space, origins={"space": "flag"})
    assert Commands.of(history).launch.startswith("sweep run images --study s --space tabular:small --seed 1")
    assert loading.load("images", kind="objective", folder=tmp_path).reference == objective


def test_what_only_python_could_launch_has_no_command(tmp_path: Path) -> None:
    commands = Commands.of(history_of(tmp_path, [], objective="__main__:f", space="__main__:s"))
    assert commands.launch == ""
    assert commands.another("b", {"trials": ["1"]}) == ""
    assert commands.launch_note.startswith("It was launched from Python")


def test_commands_name_the_results_folder_unless_it_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = history_of(tmp_path / "results", [])
    assert Commands.of(history).show(3) == f"sweep show s --trial 3 --results {tmp_path / 'results'}"
    monkeypatch.chdir(tmp_path)
    assert Commands.of(history).show(3) == "sweep show s --trial 3"
    assert Commands.of(history).enqueue({"a b": "c d"}) == "sweep enqueue s 'a b=c d'"


def test_a_pruned_trial_is_suspected_whatever_is_not_known_of_others(tmp_path: Path) -> None:
    known = Evidence.of(history_of(tmp_path, searched(20)))
    several = known.regret._replace(number=[6, 7], step=[3, 3], chance=[math.nan, 0.4], left_out=1)
    assert [one.what for one in advice(known._replace(regret=several)) if one.kind == "pruned"] == [
        "Run trial 7 to its end"
    ]
    unknown = known.regret._replace(number=[6], step=[3], chance=[math.nan], left_out=1)
    assert "pruned" not in [one.kind for one in advice(known._replace(regret=unknown))]
