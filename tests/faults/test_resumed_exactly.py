"""An interrupted and resumed study ends with exactly the trials of an uninterrupted one, in every family of models.

Mutations that turn these red: leave the global generators unseeded in `TrialRun._train`; keep the early-stopping
memory out of a checkpoint; offer paused trials after new ones in `StudyOwner.ask`; forget `told` at a resume; let a
trial rest whose training ends with the report that brought it to a rung (`Progress.is_last`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.choosing import choose
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Progress, Verdict

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("linear", "forest", "boosting", "mlp", "residual")


class Killed(BaseException):
    """Ends a run where a kill would: nobody gets to clean up."""


class Fragile(StudyOwner):
    """An owner that counts new reports, and asks for a stop, or dies, at one of them: before or after it is stored."""

    how = ""
    left = 10**9

    def report(self, number: int, token: str, progress: Progress) -> Verdict:
        held = self._hands.get(number)
        self.left -= held is not None and progress.step > held.step  # repeated training gets nobody further
        if self.left == 0 and self.how == "dies before the write":
            raise Killed
        if self.left == 0 and self.how == "stops":
            self.stop("interrupted", "the test wants it")
        verdict = super().report(number, token, progress)
        if self.left == 0 and self.how == "dies before the answer":
            raise Killed
        return verdict


@contextmanager
def opened(launch: Launch, run: str) -> Iterator[Fragile]:
    owner = Fragile.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run(run))
    owner.prepare(launch.baseline)
    try:
        yield owner
    finally:
        owner.close()


def go_on(owner: Fragile, launch: Launch) -> None:
    """Run trials; a checkpoint follows each epoch, so that all of them are gone on from."""
    setting = setting_of(launch.plan, launch.problem)
    with suppress(Killed):
        run_here(owner, launch.problem, setting, launch.folder.root, checkpoint_every_s=0.0)
        owner.finish()


def trials_of(launch: Launch) -> list[tuple[Any, ...]]:
    storage = JournalStorage(JournalFileBackend(str(launch.folder.journal)))
    return [
        (
            trial.number,
            trial.state,
            dict(trial.params),
            dict(trial.intermediate_values),
            trial.values,
            {key: value for key, value in trial.system_attrs.items() if key.startswith("sweep:metrics")},
            trial.system_attrs.get("sweep:pruning"),
            trial.system_attrs["sweep:end"]["text"],
            trial.system_attrs["sweep:end"].get("notes"),
        )
        for trial in optuna.load_study(study_name=launch.plan.study, storage=storage).trials
    ]


def launch_of(name: str, folder: Path) -> Launch:
    objective, flags = SWEEPS[name]
    points = [{"model.family": family} for family in FAMILIES] if objective == "tabular" else []
    (folder / "points").write_text("\n".join(json.dumps(point) for point in points))
    given = {"study": "s", "seed": 5, "enqueue": str(folder / "points"), **flags}
    return prepare(objective, choose(given), results=folder, folder=ROOT)


SWEEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "tables": ("tabular", {"trials": 9, "max-epochs": 9, "data": "sklearn:wine", "patience": 3}),
    "tables to the end": (
        "tabular",
        {"trials": 7, "max-epochs": 6, "data": "sklearn:wine", "patience": 0, "pruner": "none", "sampler": "tpe"},
    ),
    "images": ("images", {"trials": 5, "max-epochs": 5, "patience": 2, "pruner": "none"}),
}


@pytest.fixture(scope="module", params=SWEEPS)
def uninterrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Any]]:
    name: str = request.param
    launch = launch_of(name, tmp_path_factory.mktemp("whole"))
    with opened(launch, "run") as owner:
        go_on(owner, launch)
    found = trials_of(launch)
    if SWEEPS[name][0] == "tabular":
        assert [trial[2]["model.family"] for trial in found[: len(FAMILIES)]] == list(FAMILIES)
    return name, found


@pytest.mark.parametrize("how", ["stops", "dies before the write", "dies before the answer"])
def test_a_sweep_that_ends_again_and_again_comes_to_the_same_trials(
    uninterrupted: tuple[str, list[Any]], how: str, tmp_path: Path
) -> None:
    name, expected = uninterrupted
    launch = launch_of(name, tmp_path)
    runs = 0
    for runs in range(1, 60):
        with opened(launch, f"run {runs}") as owner:
            owner.how, owner.left = how, 2 + runs % 4
            go_on(owner, launch)
        if all("sweep:end" in trial.system_attrs for trial in stored(launch)) and len(stored(launch)) == len(expected):
            break
    assert trials_of(launch) == expected
    assert runs > 2


def stored(launch: Launch) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(launch.folder.journal)))
    return optuna.load_study(study_name=launch.plan.study, storage=storage).trials
