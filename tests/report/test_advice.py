"""What is advised, and on which evidence; and the commands that are shown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from search import loading
from search.choosing import BY_NAME, choose
from search.records.history import History
from search.report.advice import MOST, Advice, advice
from search.report.commands import Commands, value_of
from search.report.evidence import Evidence
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


def test_a_short_whole_range_has_to_be_at_its_end_more_often_than_by_chance(tmp_path: Path) -> None:
    depth: dict[str, BaseDistribution] = {"depth": IntDistribution(1, 3)}
    trials = [made(n, {"depth": 1 + n % 3}, depth, [n / 30 + 0.001 * (n % 3)]) for n in range(30)]
    assert "edge" not in kinds(history_of(tmp_path, trials))


def test_a_study_that_still_improves_goes_on_and_one_that_does_not_stops(tmp_path: Path) -> None:
    falling = [made(n, {"x": n / 39}, X, [1 - n / 40]) for n in range(40)]
    improving = the(history_of(tmp_path / "a", falling), "improving")
    assert "--trials +20" in improving.command
    worse = [made(n, {"x": n / 79}, X, [0.1 + n / 80]) for n in range(80)]
    assert "plateau" in kinds(history_of(tmp_path / "b", worse))


def test_failures_that_share_a_choice_leave_it_out(tmp_path: Path) -> None:
    family: dict[str, BaseDistribution] = {"family": CategoricalDistribution(("mlp", "forest"))}
    trials = []
    for n in range(40):
        chosen = "mlp" if n % 4 == 0 else "forest"
        failed: dict[str, Any] = {"state": "fail", "reason": "nan", "text": "nan"} if chosen == "mlp" else {}
        trials.append(made(n, {"family": chosen}, family, None if failed else [n / 40], **failed))
    found = the(history_of(tmp_path, trials), "failures")
    assert found.what == "Leave out family = mlp"
    told = "10 of 40 trials failed, 10 of them by nan; 10 of these have family = mlp, and 0 of 30 others (p = "
    assert found.evidence.startswith(told)
    assert "--set family=forest" in found.command


def test_failures_that_share_an_end_of_a_range_leave_it_out(tmp_path: Path) -> None:
    trials = []
    for n in range(40):
        failed: dict[str, Any] = {"state": "fail", "reason": "nan", "text": "nan"} if n >= 32 else {}
        trials.append(made(n, {"x": n / 40}, X, None if failed else [1 + n / 40], **failed))
    assert the(history_of(tmp_path, trials), "failures").what == "Leave out x above 0.775"


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


def test_one_training_is_told_to_be_one(tmp_path: Path) -> None:
    trials = [made(n, {"x": n / 10}, X, [0.5 + n / 100]) for n in range(5)]
    found = the(history_of(tmp_path / "a", trials), "seeds")
    assert found.evidence == "It was trained once, and is 0.01 better than trial 1: luck may decide that."
    assert "--trials 1" in found.command
    assert "--replicates 5 --set x=0.0" in found.command
    assert "seeds" not in kinds(history_of(tmp_path / "b", trials, replicates=3))


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
