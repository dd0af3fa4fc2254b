"""Objectives of Optuna's documentation, unchanged: a sweep's trials are those of plain Optuna, one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import MedianPruner, NopPruner, PercentilePruner, SuccessiveHalvingPruner, WilcoxonPruner
from optuna.trial import TrialState

from tests.adopt.optunas import facts, function, launched, plain, project, swept
from tests.tuner.sweeps import stored


@dataclass(frozen=True)
class Case:
    """An example, the flags that it is run with beside what its script says, and Optuna's pruner."""

    name: str
    pruner: Callable[[], optuna.pruners.BasePruner] = NopPruner
    flags: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.name, *map(str, self.flags.values())])


CASES = [
    Case("sklearn_simple"),
    Case("sklearn_pruning", MedianPruner),
    Case(
        "sklearn_pruning",
        lambda: PercentilePruner(40.0, n_startup_trials=1),
        {"pruner": "percentile:percentile=40,n_startup_trials=1"},
    ),
    Case("lightgbm_integration", lambda: MedianPruner(n_warmup_steps=5, n_startup_trials=2)),
    Case("xgboost_integration", lambda: MedianPruner(n_warmup_steps=2, n_startup_trials=2)),
    Case("multi_objective", NopPruner, {"trials": 40}),
    Case("constraints"),
    Case("artifacts", MedianPruner, {}, ("artifact_id",)),
    Case("pytorch_simple", lambda: SuccessiveHalvingPruner(min_resource=1)),
    Case("wilcoxon", lambda: WilcoxonPruner(p_threshold=0.1)),
    Case("wilcoxon", NopPruner, {"sampler": "gp", "pruner": "none", "trials": 14}),
    Case("wilcoxon", NopPruner, {"sampler": "cmaes", "pruner": "none"}),
    Case("wilcoxon", NopPruner, {"sampler": "qmc", "pruner": "none"}),
    Case("wilcoxon", NopPruner, {"sampler": "tpe:multivariate=true,n_startup_trials=5", "pruner": "none"}),
]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # of classes that the examples make
@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.name}-{case.flags.get('sampler', '')}{case.flags.get('pruner', '')}"
)
def test_an_example_of_optunas_runs_unchanged_and_comes_to_the_same(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = project(case.name, tmp_path)
    launch = launched(str(path), tmp_path / "results", **case.flags)
    swept(launch)
    ours = [facts(trial, without=case.without) for trial in stored(tmp_path / "results")]
    theirs = [facts(trial, without=case.without) for trial in plain(function(path), launch, case.pruner())]
    assert ours == theirs
    assert len(ours) == launch.plan.trials


@pytest.mark.parametrize("name", ["sklearn_pruning", "lightgbm_integration", "pytorch_simple"])
def test_the_examples_that_prune_do_prune(name: str, tmp_path: Path) -> None:
    launch = launched(str(project(name, tmp_path)), tmp_path / "results")
    swept(launch)
    trials = stored(tmp_path / "results")
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    assert 0 < len(pruned) < len(trials)
    assert all(trial.value == trial.intermediate_values[trial.last_step or 0] for trial in pruned)
    assert all(trial.system_attrs["sweep:pruning"]["step"] == trial.last_step for trial in pruned)
