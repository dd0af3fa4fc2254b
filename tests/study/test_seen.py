"""What samplers learn from trials that failed: a region where everything fails is left, a lost machine is nothing."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.errors import FailReason
from search.plan import SweepPlan
from search.study import samplers
from search.study.choice import Choice
from search.study.draft import draft
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.study.seen import view_of
from search.trial import Ending, Outcome, Progress


def plane(trial: optuna.trial.Trial) -> None:
    trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_float("y", 0.0, 1.0)


def share_that_fails(folder: Path, sampler: str, trials: int, seed: int) -> float:
    """Run a sweep whose trials fail where `x` is large, and whose best lies there; count in its later half."""
    folder.mkdir()
    plan = SweepPlan(
        objective="objective",
        space="space",
        study="a",
        results=str(folder.parent),
        metrics=("val_loss",),
        directions=("minimize",),
        seed=seed,
        trials=trials,
        sampler=sampler,
        pruner="none",
        max_epochs=1,
    )
    owner, fails = StudyOwner.open(plan, folder, plane, slots=1, run=Run("run")), []
    for turn in range(trials):
        spec = owner.ask(f"slot:{turn}").spec
        assert spec is not None
        x, y = float(str(spec.params["x"])), float(str(spec.params["y"]))
        fails.append(x > 0.5)
        owner.begin(spec.number, "t")
        outcome = Outcome(Ending.FAIL, reason=FailReason.OUT_OF_MEMORY, text="out of memory")
        if not fails[-1]:
            loss = {"val_loss": (x - 0.9) ** 2 + (y - 0.8) ** 2}
            owner.report(spec.number, "t", Progress(1, loss, 1))
            outcome = Outcome(Ending.COMPLETE, 1, loss)
        owner.tell(spec.number, "t", outcome)
    owner.close()
    later = fails[trials // 2 :]
    return sum(later) / len(later)


@pytest.mark.parametrize(
    ("sampler", "trials", "seeds", "most"),
    [
        ("tpe", 50, 3, 0.5),
        ("gp", 24, 1, 0.3),
        ("cmaes", 50, 8, 0.28),
        ("evolve", 50, 8, 0.28),
        ("nsga2:population_size=10", 50, 4, 0.3),
    ],
)
def test_a_region_where_everything_fails_is_left(
    tmp_path: Path, sampler: str, trials: int, seeds: int, most: float
) -> None:
    """Half of the uniform points would fail; of those of a sampler that learns nothing, most, towards the best."""
    shares = [share_that_fails(tmp_path / str(seed), sampler, trials, seed) for seed in range(seeds)]
    assert sum(shares) / seeds < most


@pytest.mark.parametrize("sampler", ["tpe:n_startup_trials=5", "gp:n_startup_trials=5", "cmaes", "evolve", "nsga2"])
def test_a_lost_machine_leaves_suggestions_exactly_as_they_are(sampler: str) -> None:
    choice, suggested = Choice.parse(sampler), []
    for lost_at in (0.05, 0.95):
        study = study_with("worker_lost", lost_at, complete=20)
        study.sampler = samplers.make(choice, seed=1, number=21)
        view = view_of(choice.name, study)
        suggested.append(draft(study, study.sampler, line, fixed={}, attributes={}, seen=view).params)
    assert suggested[0] == suggested[1]


def line(trial: optuna.trial.Trial) -> None:
    trial.suggest_float("x", 0.0, 1.0)


def study_with(reason: str | None, x: float = 0.4, *, complete: int = 0) -> optuna.Study:
    """Return a study of one metric, or of two, with a FAIL in second place."""
    several = [[1.0, 2.0], None, [3.0, 4.0]]
    single = [[0.7], None, *([abs(0.3 - number / complete)] for number in range(1, complete))]
    study = optuna.create_study(directions=["minimize"] if complete else ["minimize", "maximize"])
    floats: dict[str, optuna.distributions.BaseDistribution] = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    for number, values in enumerate(single if complete else several):
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.FAIL if values is None else TrialState.COMPLETE,
                values=values,
                params={"x": x if values is None else number / 30},
                distributions=floats,
                system_attrs={"sweep:end": {"reason": reason}} if values is None else {},
            )
        )
    return study


@pytest.mark.parametrize("reason", ["exception", "nan", "timeout", "out_of_memory", "invalid"])
def test_a_failure_is_shown_as_the_worst_of_each_metric_or_as_worse_than_any(reason: str) -> None:
    study = study_with(reason)
    failed = study.trials[1]
    shown = {name: view(failed) for name in ("gp", "cmaes", "tpe", "evolve") if (view := view_of(name, study))}
    assert {name: (one.state.name, one.values) for name, one in shown.items()} == {
        "gp": ("COMPLETE", [3.0, 2.0]),
        "cmaes": ("COMPLETE", [3.0, 2.0]),
        "tpe": ("PRUNED", None),
        "evolve": ("PRUNED", None),
    }
    assert failed.state is TrialState.FAIL


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "evolve", "nsga2", "random", "qmc", "grid"])
@pytest.mark.parametrize("reason", ["worker_lost", None])
def test_a_lost_machine_is_shown_as_it_is(sampler: str, reason: str | None) -> None:
    study = study_with(reason)
    view = view_of(sampler, study) or (lambda trial: trial)
    assert [view(trial) for trial in study.trials] == study.trials


def test_a_failure_that_is_run_again_is_shown_as_it_is() -> None:
    study = study_with("nan")
    for sampler in ("tpe", "gp", "cmaes", "evolve"):
        view = view_of(sampler, study, forgiven={1})
        assert view is not None
        assert view(study.trials[1]) == study.trials[1]


def test_nothing_is_the_worst_before_the_first_value() -> None:
    study = optuna.create_study()
    assert view_of("gp", study) is None


@pytest.mark.parametrize("sampler", ["tpe:n_startup_trials=3", "evolve:n_startup_trials=1,uniform_share=0"])
def test_of_two_metrics_a_pruned_trial_has_not_failed(sampler: str) -> None:
    """It has no value, and stands as far to the left of the best as a failed one to the right."""
    choice, study = Choice.parse(sampler), optuna.create_study(directions=["minimize", "minimize"])
    floats: dict[str, optuna.distributions.BaseDistribution] = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    ends = [(TrialState.COMPLETE, 0.5), *((TrialState.PRUNED, 0.46 - 0.03 * away) for away in range(15))]
    ends += [(TrialState.FAIL, 0.54 + 0.03 * away) for away in range(15)]
    for state, x in ends:
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=[1.0, 1.0] if state is TrialState.COMPLETE else None,
                params={"x": x},
                distributions=floats,
                system_attrs={"sweep:end": {"reason": "nan"}} if state is TrialState.FAIL else {},
            )
        )
    view, suggested = view_of(choice.name, study), []
    for number in range(12):
        study.sampler = samplers.make(choice, seed=1, number=number)
        suggested.append(draft(study, study.sampler, line, fixed={}, attributes={}, seen=view).params["x"])
    assert sum(float(str(x)) < 0.5 for x in suggested) >= 9
