"""All calls that a study has had come again, in any order, at any moment: it answers, and nothing changes.

Mutations that turn these red: take a report of a step that was reported before; give a request that was answered a
second trial; take a repeated begin for the loss of a worker (`StudyOwner`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.local import run_here, setting_of
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Asked, Begun, Outcome, Progress, Verdict
from tests.faults.test_full_disk import LEARNS, launch_in, undisturbed, what_happened


class Echoing(StudyOwner):
    """An owner to which, every few calls, all calls so far are made again, shuffled."""

    every = 0
    log: list[Callable[[], Any]]
    chance: random.Random

    def _echo(self, call: Callable[[], Any]) -> None:
        self.log.append(call)
        if len(self.log) % self.every == 0:
            for again in self.chance.sample(self.log, len(self.log)):
                again()

    def ask(self, request: str) -> Asked:
        answer = super().ask(request)
        self._echo(lambda: StudyOwner.ask(self, request))
        return answer

    def begin(self, number: int, token: str, **about: Any) -> Begun:
        answer = super().begin(number, token, **about)
        self._echo(lambda: StudyOwner.begin(self, number, token, **about))
        return answer

    def report(self, number: int, token: str, progress: Progress) -> Verdict:
        answer = super().report(number, token, progress)
        changed = Progress(progress.step, {name: value + 1 for name, value in progress.metrics.items()}, progress.units)
        self._echo(lambda: StudyOwner.report(self, number, token, changed))
        return answer

    def tell(self, number: int, token: str, outcome: Outcome) -> None:
        super().tell(number, token, outcome)
        self._echo(lambda: StudyOwner.tell(self, number, token, outcome))


@pytest.mark.parametrize("pruner", ["asha", "auto"])
@pytest.mark.parametrize("every", [1, 5, 17])
def test_calls_that_come_again_in_any_order_change_nothing(tmp_path: Path, every: int, pruner: str) -> None:
    (tmp_path / "learns.py").write_text(LEARNS)
    expected = undisturbed(tmp_path / "whole", tmp_path / "learns.py", trials=12, pruner=pruner)
    launch = launch_in(tmp_path / "echo", tmp_path / "learns.py", trials=12, pruner=pruner)
    owner = Echoing.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run("one"))
    owner.every, owner.log, owner.chance = every, [], random.Random(every)
    owner.prepare(launch.baseline)
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem))
    told = owner.status()
    for again in owner.chance.sample(owner.log, len(owner.log)):
        again()
    for when in (owner.status(), owner.finish()):
        assert (when.trials, when.best, when.epochs_run) == (told.trials, told.best, told.epochs_run)
    owner.close()
    assert [[*row[:3], [list(pair) for pair in row[3]], row[4]] for row in what_happened(tmp_path / "echo")] == expected
