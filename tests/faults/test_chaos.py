"""Nothing that was acknowledged is lost, whatever dies: a short run of `benchmarks/chaos.py`, and its mutations.

A figure is one only if breaking the code turns it red. `python benchmarks/chaos.py --mutate NAME` breaks it:

| what is held against the storage | mutation that turns it red |
|---|---|
| acknowledged reports are there, steps are unbroken | buffer-reports, swallow-write-errors |
| acknowledged ends are there, the budget is exact, what the command prints is what is stored | forget-ended |
| a request has one trial | ignore-requests |
| nothing is taken from a living worker, no trial is given twice | adopt-at-restart |
| nothing is held by nobody | keep-leases, ignore-lost-workers, ignore-room |
| no verdict is contradicted | forget-verdicts |
| a training that goes on comes to the figures of one that was never disturbed | skew-resume |
| the best trial's checkpoint is there, and no other | drop-checkpoints, ignore-room |
| nothing of a dead driver is alive 30 s later | no-reaper |
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import chaos
from benchmarks.chaos_draw import SCENES
from benchmarks.chaos_mutations import MUTATIONS
from search.contract import Metric
from search.data.source import FileSource
from search.engine import TrialRun
from search.problem import open_problem
from search.session import Setting
from search.trial import Progress, TrialSpec, Verdict
from tests.learners import Curve, Curves
from tests.test_engine import Recorder

# Without kills by time, which may come before anything has begun.
SEED = 3


@pytest.mark.timeout(600)
def test_nothing_is_lost_when_the_driver_a_worker_or_the_study_server_is_killed(tmp_path: Path) -> None:
    tally = chaos.run(tmp_path, driver_kills=4, other_kills=6, seed=SEED, minutes=8)
    assert not tally.failures
    assert tally.kills["driver"] >= 4
    assert sum(tally.kills.get(target, 0) for target in ("worker", "server", "files")) >= 6


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", ["buffer-reports", "drop-checkpoints"])
def test_code_that_loses_something_is_noticed(tmp_path: Path, mutation: str) -> None:
    tally = chaos.run(tmp_path, driver_kills=0, other_kills=0, seed=SEED, mutation=mutation)
    assert any(SCENES[mutation].breach in one for one in tally.failures), tally.failures


def test_every_mutation_has_a_scene() -> None:
    assert set(SCENES) == set(MUTATIONS)


def test_a_checkpoint_that_is_ahead_of_the_study_is_not_gone_on_from() -> None:
    """A full disk refuses a report, the trial pauses with a checkpoint behind it: its step must be told again."""
    problem = open_problem(Curves(lambda *_: Curve([0.5, 0.4, 0.3, 0.2])), FileSource(None, None, Path()), seed=0)
    session = Recorder([Verdict.CONTINUE, Verdict.CONTINUE, Verdict.STOP])

    def run(*, resume: bool, told: dict[int, dict[str, float]]) -> list[Progress]:
        setting = Setting(seed=0, searched=Metric("val_loss", "minimize"), max_epochs=4)
        return list(TrialRun(problem, TrialSpec(0, {}), setting, session, resume=resume, told=told))

    run(resume=False, told={})
    assert session.saved["latest"].step == 3
    stored = {1: {"val_loss": 0.5}, 2: {"val_loss": 0.4}}  # the third was answered with a stop, and not stored
    steps = [progress.step for progress in run(resume=True, told=stored)]
    assert steps == [1, 2, 3, 4]
