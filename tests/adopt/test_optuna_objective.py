"""How an Optuna objective ends in a sweep, what it sees of its study, and what the owner makes of its calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import MedianPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from search.choosing import choose
from search.cli.main import main
from search.errors import InputError
from search.launch import prepare
from search.local import LocalSession, run_here, setting_of
from search.paths import StudyFolder
from search.records import study
from search.repeat import repeat
from search.running import trial_run
from search.trial import Ending, Outcome, Verdict
from tests.adopt.optunas import facts, function, launched, opened, plain, run, script, swept
from tests.tuner.sweeps import stored

SIMPLE = """
def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    for step in range(6):
        trial.report(x * x + step * 0.1, step)
        if trial.should_prune():
            raise optuna.TrialPruned(f"at {step}")
    return x * x
"""


def body(line: str) -> str:
    return f"\ndef objective(trial):\n    x = trial.suggest_float('x', 0, 1)\n    {line}\n"


ENDS = [
    ("return None", "fail", "invalid", "the objective returned None; return the value that is searched"),
    ("return 'good'", "fail", "invalid", "the objective returned 'good', which is no number"),
    (
        "return [x, x]",
        "fail",
        "invalid",
        "the objective returned 2 values, and 1 is searched; give --direction 2 times",
    ),
    ("return float('nan')", "fail", "nan", "the objective returned nan"),
    ("raise ValueError('bad luck')", "fail", "exception", "ValueError: bad luck"),
    ("raise SystemExit(3)", "fail", "exception", "SystemExit: 3"),
    ("raise MemoryError", "fail", "out_of_memory", "out of memory"),
    ("raise MemoryError('no room for 3')", "fail", "out_of_memory", "MemoryError: no room for 3"),
    ("trial.set_user_attr('what', object())", "fail", "exception", "attribute 'what' must be a JSON value, got object"),
    (
        "trial.suggest_float('x', 0, 2)",
        "fail",
        "invalid",
        "x is suggested twice with different ranges ([0, 1] then [0, 2])",
    ),
    ("trial.suggest_float('y', 2, 1)", "fail", "invalid", "y: low must not be above high, got [2, 1]"),
    ("trial.suggest_int('y', 0, 9, log=True)", "fail", "invalid", "y: log range needs low >= 1, got [0, 9]"),
    ("trial.study.enqueue_trial({'x': 1})", "fail", "exception", "an objective in a sweep makes and ends no trials"),
    (
        "trial.storage.set_trial_system_attr(trial._trial_id, 'sweep:end', 1)",
        "fail",
        "invalid",
        "not the objective's to set",
    ),
    ("raise optuna.TrialPruned('enough')", "pruned", None, "enough"),
    ("return float('inf')", "complete", None, "its own return"),
    ("import numpy; return numpy.float32(0.5)", "complete", None, "its own return"),
    ("return True", "complete", None, "its own return"),
    ("return [0.5]", "complete", None, "its own return"),
]


@pytest.mark.parametrize(("line", "state", "reason", "text"), ENDS)
def test_each_end_is_told_with_its_reason(line: str, state: str, reason: str | None, text: str, tmp_path: Path) -> None:
    _, (trial,) = run(script(tmp_path, body(line)), tmp_path, trials=1)
    assert trial.state.name.lower() == state
    assert trial.system_attrs["sweep:end"]["reason"] == reason
    assert text in trial.system_attrs["sweep:end"]["text"]
    assert trial.user_attrs == {}


def test_several_values_are_searched_as_several_metrics(tmp_path: Path) -> None:
    path = script(tmp_path, body("return x, 1 - x"))
    status, trials = run(path, tmp_path, trials=6, direction=("minimize", "maximize"))
    assert status.metrics == ("value_0", "value_1")
    assert [trial.values for trial in trials] == [[trial.params["x"], 1 - trial.params["x"]] for trial in trials]
    assert len(status.front) > 0


def test_one_value_where_two_are_searched_fails(tmp_path: Path) -> None:
    _, (trial,) = run(script(tmp_path, body("return x")), tmp_path, trials=1, direction=("minimize", "minimize"))
    said = "the objective returned 1 value, and 2 are searched; give --direction once"
    assert trial.system_attrs["sweep:end"]["text"] == said


def test_values_take_the_names_that_are_given(tmp_path: Path) -> None:
    status, _ = run(script(tmp_path, body("return x")), tmp_path, trials=1, metric=("loss",))
    assert status.metrics == ("loss",)


# --- pruning ---


PRUNED = [
    ("median:n_startup_trials=1", MedianPruner(n_startup_trials=1)),
    ("median:n_startup_trials=2,n_warmup_steps=2,interval_steps=2", MedianPruner(2, 2, 2)),
    ("asha:reduction_factor=2", SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)),
    ("asha:min_early_stopping_rate=1", SuccessiveHalvingPruner(1, 3, 1)),
]
GAPS = """
def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    for step in (0, 3, 4, 10, 7, 30):
        trial.report(float("nan") if step == 4 and x > 0.8 else x * x + 1 / (step + 1), step)
        if step != 10 and trial.should_prune():
            raise optuna.TrialPruned()
    return x * x
"""


QUIET = SIMPLE.replace("if trial.should_prune", "if trial.number % 2 and trial.should_prune").replace(
    "step * 0.1", "step * 0.1 - 5 * (trial.number % 2 == 0)"
)
"""Every other trial is good and asks for no verdict: halving must not count it."""


@pytest.mark.parametrize("body", [SIMPLE, GAPS, QUIET], ids=["each", "gaps", "quiet"])
@pytest.mark.parametrize(("pruner", "theirs"), PRUNED)
def test_trials_are_judged_when_they_ask_as_optuna_judges_them(
    body: str, pruner: str, theirs: Any, tmp_path: Path
) -> None:
    path = script(tmp_path, body)
    launch = launched(str(path), tmp_path / "r", trials=20, sampler="random", pruner=pruner)
    swept(launch)
    ours = [facts(trial) for trial in stored(tmp_path / "r")]
    assert ours == [facts(trial) for trial in plain(function(path), launch, theirs)]
    assert {fact["state"] for fact in ours} == {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.parametrize("body", [SIMPLE, GAPS, QUIET], ids=["each", "gaps", "quiet"])
def test_an_owner_that_is_opened_again_after_each_trial_judges_alike(body: str, tmp_path: Path) -> None:
    path = script(tmp_path, body)
    flags: dict[str, Any] = {"sampler": "tpe:n_startup_trials=4", "pruner": "asha:reduction_factor=2"}
    whole = launched(str(path), tmp_path / "whole", trials=14, **flags)
    swept(whole)
    parts = launched(str(path), tmp_path / "parts", trials=1, **flags)
    for trials in range(1, 15):
        owner = opened(replace(parts, plan=replace(parts.plan, trials=trials)), run=f"run {trials}")
        run_here(owner, parts.problem, setting_of(parts.plan, parts.problem))
        owner.finish()
        owner.close()
    ours, again = stored(tmp_path / "whole"), stored(tmp_path / "parts")
    assert [facts(trial) for trial in again] == [facts(trial) for trial in ours]


def test_a_trial_that_goes_on_although_it_should_not_is_complete(tmp_path: Path) -> None:
    text = SIMPLE.replace('raise optuna.TrialPruned(f"at {step}")', "pass")
    _, trials = run(script(tmp_path, text), tmp_path, trials=8, pruner="median:n_startup_trials=1")
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert not any(trial.system_attrs.get("sweep:pruning") for trial in trials)


# --- what the objective sees ---

VIEW = """
def objective(trial):
    assert isinstance(trial, optuna.trial.Trial) and isinstance(trial.study, optuna.study.Study)
    x = trial.suggest_float("x", 0, 1)
    study = trial.study
    seen = {
        "name": study.study_name, "way": study.direction.name, "number": trial.number, "params": trial.params,
        "trials": len(study.trials), "mine": study.trials[trial.number].state.name,
        "best": study.best_value if trial.number else None, "started": trial.datetime_start is not None,
    }
    trial.set_user_attr("seen", seen)
    study.set_user_attr("last", trial.number)
    trial.set_user_attr("back", study.user_attrs["last"])
    trial.set_constraint("c", x - 0.5)
    trial.set_constraint("d", 0)
    assert trial.constraints == {"c": x - 0.5, "d": 0.0}
    assert trial.user_attrs["back"] == trial.number
    assert trial.distributions == {"x": optuna.distributions.FloatDistribution(0, 1)}
    return x
"""


def test_the_study_is_seen_as_it_is(tmp_path: Path) -> None:
    _, trials = run(script(tmp_path, VIEW), tmp_path, trials=4)
    best: float | None = None
    for trial in trials:
        assert trial.user_attrs == {
            "seen": {
                "name": "s",
                "way": "MINIMIZE",
                "number": trial.number,
                "params": trial.params,
                "trials": trial.number + 1,
                "mine": "RUNNING",
                "best": best,
                "started": True,
            },
            "back": trial.number,
        }
        assert trial.value is not None
        best = trial.value if best is None else min(best, trial.value)
        assert trial.constraints == {"c": trial.params["x"] - 0.5, "d": 0.0}


def test_an_objective_can_stop_the_study_and_ends_as_it_would(tmp_path: Path) -> None:
    text = SIMPLE.replace("    for step", "    if trial.number == 3:\n        trial.study.stop()\n    for step")
    status, trials = run(script(tmp_path, text), tmp_path, trials=20, pruner="none")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert (status.state, status.why_stopped) == ("finished", "the objective called study.stop() in trial 3")


CALLABLES = """
import functools
class Objective:
    def __init__(self, low=0.25):
        self.low = low
    def __call__(self, trial):
        return trial.suggest_float("x", self.low, 1)
def with_data(trial, data):
    return trial.suggest_float("x", 0, data)
made = Objective(0.5)
partial = functools.partial(with_data, data=0.125)
"""


@pytest.mark.parametrize(("name", "low", "high"), [("Objective", 0.25, 1), ("made", 0.5, 1), ("partial", 0, 0.125)])
def test_instances_and_partials_run_too(name: str, low: float, high: float, tmp_path: Path) -> None:
    launch = launched(f"{script(tmp_path, CALLABLES)}:{name}", tmp_path / "r", trials=2)
    swept(launch)
    assert [trial.distributions["x"] for trial in stored(tmp_path / "r")] == [
        optuna.distributions.FloatDistribution(low, high)
    ] * 2


# --- the user's wishes ---


def test_a_database_holds_the_same(tmp_path: Path) -> None:
    path, url = script(tmp_path, GAPS), f"sqlite:///{tmp_path}/a.db"
    flags: dict[str, Any] = {"trials": 8, "sampler": "tpe:n_startup_trials=3", "pruner": "median:n_startup_trials=1"}
    _, journal = run(path, tmp_path / "journal", **flags)
    swept(launched(str(path), tmp_path / "r", storage=url, **flags))
    database = optuna.load_study(study_name="s", storage=url).trials
    assert [facts(trial) for trial in database] == [facts(trial) for trial in journal]


def test_fixed_and_enqueued_values_hold(tmp_path: Path) -> None:
    (tmp_path / "points").write_text('{"x": 0.5}\n{"x": -0.5}\n')
    _, trials = run(script(tmp_path, SIMPLE), tmp_path, trials=3, enqueue="points")
    assert [trial.params["x"] for trial in trials[:2]] == [0.5, -0.5]
    _, trials = run(script(tmp_path, SIMPLE), tmp_path / "fixed", trials=3, set=("x=0.25",))
    assert [trial.params["x"] for trial in trials] == [0.25] * 3


def test_a_point_is_enqueued_as_typed_or_as_trials_suggested_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    launch = launched(str(script(tmp_path, SIMPLE)), tmp_path, trials=2)
    swept(launch)
    assert main(["enqueue", "s", "x=0.5", "--results", str(tmp_path)]) == 0
    assert main(["enqueue", "s", "x=5", "--results", str(tmp_path)]) == 2
    assert "x=5 is outside [-1, 1]" in capfd.readouterr().err
    assert main(["enqueue", "s", "xx=0.5", "--results", str(tmp_path)]) == 2
    assert "no parameter 'xx'; did you mean x?" in capfd.readouterr().err
    swept(replace(launch, plan=replace(launch.plan, trials=3)), run="again")
    assert stored(tmp_path)[2].params == {"x": 0.5}


def test_choices_that_no_storage_holds_stand_in_the_study_as_text(tmp_path: Path) -> None:
    text = """
    def objective(trial):
        grams = trial.suggest_categorical("grams", [(1, 1), (1, 2), "(1, 1)", None])
        sizes = trial.suggest_categorical("sizes", [[1], [2, 3]])
        assert trial.params["grams"] == grams
        trial.set_user_attr("is", repr(grams))
        return trial.suggest_float("x", 0, 1) + len(grams or ()) + sizes[1]
    """
    (tmp_path / "points").write_text('{"grams": "(1, 2)"}\n')
    _, trials = run(script(tmp_path, text), tmp_path, trials=25, sampler="tpe", set=("sizes=[2, 3]",), enqueue="points")
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    shown = {"(1, 1) #2": "(1, 1)", "(1, 2)": "(1, 2)", "(1, 1)": "'(1, 1)'", None: "None"}
    assert all(trial.user_attrs["is"] == shown[trial.params["grams"]] for trial in trials)
    assert trials[0].params["grams"] == "(1, 2)"
    assert {trial.params["sizes"] for trial in trials} == {"[2, 3]"}


def test_a_failed_trial_is_tried_again_with_its_parameters(tmp_path: Path) -> None:
    text = "\ndef objective(trial):\n    x = trial.suggest_float('x', 0, 1)\n    return x / trial.number\n"
    launch = launched(str(script(tmp_path, text)), tmp_path, trials=2)
    swept(launch)
    assert main(["retry", "s", "0", "--results", str(tmp_path)]) == 0
    swept(launch, run="again")
    trials = stored(tmp_path)
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert trials[2].params == trials[0].params


def test_a_fixed_value_outside_its_range_is_invalid_and_ends_the_sweep(tmp_path: Path) -> None:
    status, (trial,) = run(script(tmp_path, SIMPLE), tmp_path, trials=9, set=("x=7",))
    assert status.state == "failed"
    assert status.why_stopped.startswith("--set in trial 0: x=7 is outside [-1, 1] of the space")
    assert trial.system_attrs["sweep:end"]["reason"] == "invalid"
    assert trial.system_attrs["sweep:end"]["text"].startswith("x=7 is outside [-1, 1] of the space")


def test_a_fixed_name_that_nobody_suggests_ends_the_sweep(tmp_path: Path) -> None:
    status, trials = run(script(tmp_path, SIMPLE), tmp_path, trials=9, set=("xx=0",))
    assert (status.state, len(trials)) == ("failed", 1)
    assert status.why_stopped == "trial 0 suggested no 'xx', which --set fixes; did you mean 'x'?"


def test_an_exception_that_is_not_caught_ends_the_sweep(tmp_path: Path) -> None:
    text = body("raise ZeroDivisionError('x') if trial.number == 1 else ValueError('y')")
    status, trials = run(script(tmp_path, text), tmp_path, trials=9, catch=("ValueError", "builtins.KeyError"))
    assert [trial.state for trial in trials] == [TrialState.FAIL] * 2
    assert (status.state, status.why_stopped) == (
        "failed",
        "trial 1 raised ZeroDivisionError: x, which --catch does not name",
    )
    status, trials = run(script(tmp_path, text), tmp_path / "base", trials=3, catch=("Exception",))
    assert len(trials) == 3


REFUSED = [
    ({"data": "x.csv"}, "--data has no effect on an Optuna objective: it gets its data by itself"),
    ({"folds": "3"}, "--folds has no effect on an Optuna objective: it splits its data by itself"),
    ({"sampler": "grid"}, "sampler grid needs a space, and an Optuna objective has none before it runs"),
    ({"pruner": "hyperband"}, "hyperband has to know the longest training of an Optuna objective"),
    ({"pruner": "patient:wrapped=hyperband"}, "hyperband has to know the longest training of an Optuna objective"),
    ({"pruner": "asha:min_resource=auto"}, "min_resource=auto is a part of the longest training"),
    (
        {"pruner": "median", "direction": ("minimize", "minimize")},
        "an Optuna objective with several values is not pruned, got --pruner median",
    ),
    ({"metric": ("a", "b"), "direction": ("minimize",)}, "1 directions but 2 values reported (a, b)"),
    (
        {"constraint": ("latency<=1",)},
        "--constraint latency<=1 needs a value that the Optuna objective returns, got value",
    ),
]


@pytest.mark.parametrize(("flags", "said"), REFUSED)
def test_choices_that_do_not_go_with_it_are_one_sentence(flags: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = script(tmp_path, SIMPLE)
    with pytest.raises(InputError) as error:
        prepare(str(path), choose(flags), results=tmp_path, folder=tmp_path)
    assert error.value.message.startswith(said)
    assert len(error.value.sentence()) <= 200


def test_a_bound_on_a_returned_value_is_a_constraint_of_its_trials(tmp_path: Path) -> None:
    text = "def objective(trial):\n    x = trial.suggest_float('x', 0, 1)\n    return x, 1 - x\n"
    flags = {"metric": ("loss", "size"), "direction": ("minimize", "minimize"), "constraint": ("size<=0.5",)}
    _, trials = run(script(tmp_path, text), tmp_path, trials=4, **flags)
    assert [trial.constraints for trial in trials] == [{"size<=0.5": trial.values[1] - 0.5} for trial in trials]


def test_the_longest_training_lets_hyperband_prune(tmp_path: Path) -> None:
    _, trials = run(script(tmp_path, SIMPLE), tmp_path, trials=12, pruner="hyperband", max_epochs=6)
    assert TrialState.PRUNED in {trial.state for trial in trials}


def test_catch_is_refused_for_other_objectives(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--catch is for Optuna objectives"):
        prepare("tabular", choose({"catch": ("ValueError",)}), results=tmp_path, folder=tmp_path)


# --- calls that come again, and trials that go on ---


def test_repeated_calls_change_nothing(tmp_path: Path) -> None:
    launch = launched(str(script(tmp_path, SIMPLE)), tmp_path / "r", trials=2, pruner="none")
    owner = opened(launch)
    assert owner.ask("slot:0").spec is not None
    owner.begin(0, "token")
    ranged = optuna.distributions.FloatDistribution(0, 1)

    def call(action: str, *arguments: Any) -> Any:
        return owner.by_hand(0, "token", action, arguments).value

    first = call("suggest", "x", ranged)
    other = call("suggest", "y", ranged)
    assert (call("suggest", "x", ranged), call("suggest", "y", ranged)) == (first, other)
    assert first != other
    for value in (1.0, 2.0):
        call("report", 0, value)
        call("system_attr", "constraints:c", value)
    assert owner.status().epochs_run == 1
    assert owner.by_hand(0, "another", "report", (1, 1.0)).verdict is Verdict.GONE
    owner.tell(0, "token", Outcome(Ending.COMPLETE, metrics={"value": 1.0}))
    assert owner.by_hand(0, "token", "report", (1, 1.0)).verdict is Verdict.GONE
    owner.close()
    (trial,) = stored(tmp_path / "r")
    assert (trial.intermediate_values, trial.constraints) == ({0: 1.0}, {"c": 1.0})


def test_a_verdict_is_given_on_the_last_report_and_stays_until_the_next(tmp_path: Path) -> None:
    launch = launched(str(script(tmp_path, SIMPLE)), tmp_path / "r", trials=3, pruner="median:n_startup_trials=1")
    owner = opened(launch)
    for number, value in enumerate((0.0, 9.0)):
        assert owner.ask(f"slot:{number}").spec is not None
        owner.begin(number, "token")
        for step in range(4):
            assert owner.by_hand(number, "token", "report", (step, value)).verdict is Verdict.CONTINUE
        if number == 0:
            owner.tell(0, "token", Outcome(Ending.COMPLETE, metrics={"value": 0.0}))
    asked = [owner.by_hand(1, "token", "prune", (step,)).value for step in (None, 1, 3, 3)]
    assert asked == [False, False, True, True]  # an attempt that repeats steps is not pruned at the earlier ones
    owner.by_hand(1, "token", "report", (4, -1.0))
    owner.tell(1, "token", Outcome(Ending.COMPLETE, metrics={"value": 1.0}))
    owner.close()
    assert not stored(tmp_path / "r")[1].system_attrs.get("sweep:pruning")


def test_a_trial_that_the_sweep_stops_goes_on_with_its_parameters_and_counts_once(tmp_path: Path) -> None:
    text = SIMPLE.replace(
        "        if trial.should_prune", "        (HERE / str(step)).touch()\n        if trial.should_prune"
    )
    path = script(tmp_path, f"from pathlib import Path\nHERE = Path(__file__).parent\n{text}")
    launch = launched(str(path), tmp_path / "r", trials=3, pruner="none")
    owner = opened(launch)
    spec = owner.ask("slot:0").spec
    assert spec is not None
    owner.begin(0, "token")
    calls = []

    def by_hand(action: str, arguments: tuple[Any, ...]) -> Any:
        calls.append(action)
        if action == "report" and arguments[0] == 3:
            owner.stop("interrupted", "by hand")
        return owner.by_hand(0, "token", action, arguments)

    session = LocalSession(0, lambda _: Verdict.CONTINUE, by_hand=by_hand)
    attempt = trial_run(launch.problem, spec, setting_of(launch.plan, launch.problem), session)
    assert list(attempt) == []
    assert attempt.outcome.ending is Ending.PAUSED
    owner.tell(0, "token", attempt.outcome)
    owner.finish()
    owner.close()
    (paused,) = stored(tmp_path / "r")
    assert paused.state is TrialState.RUNNING
    assert list(paused.intermediate_values) == [0, 1, 2, 3]
    owner = opened(launch, run="again")
    assert owner.status().epochs_run == 4
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem))
    assert owner.finish().epochs_run == 18
    owner.close()
    resumed = stored(tmp_path / "r")[0]
    assert resumed.params == paused.params
    assert resumed.state is TrialState.COMPLETE
    assert resumed.system_attrs["sweep:end"].get("notes", []) == []


LATE = """
import time
from pathlib import Path
def objective(trial):
    time.sleep(1.05)
    try:
        return trial.suggest_float("x", 0, 1)
    except Exception:
        (Path(__file__).parent / "went on").touch()
        return 0.0
"""


def test_a_trial_is_out_of_time_at_its_next_call_whatever_it_catches(tmp_path: Path) -> None:
    _, (trial,) = run(script(tmp_path, LATE), tmp_path, trials=1, trial_timeout="1s")
    assert trial.system_attrs["sweep:end"]["reason"] == "timeout"
    assert trial.system_attrs["sweep:end"]["text"] == "longer than 1 s"
    assert not (tmp_path / "went on").exists()


def test_a_trial_runs_again_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(script(tmp_path, SIMPLE), tmp_path, trials=12, pruner="median:n_startup_trials=2")
    kept = study.read(StudyFolder(tmp_path / "s"))
    results = [repeat(kept, study.trial(kept, str(number))) for number in range(12)]
    assert all(result.equal for result in results)
    assert {result.ending for result in results} == {"complete", "pruned"}
