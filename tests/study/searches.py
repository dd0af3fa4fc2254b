"""Whole searches in this process, for tests: a study's owner, and a worker that runs what it suggests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.plan import SweepPlan
from search.status import Status
from search.study.owner import StudyOwner
from search.study.record import TrialRecord
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress, TrialSpec

Measure = Callable[[Mapping[str, Any]], Mapping[str, float]]


def plan_of(folder: Path, **changes: Any) -> SweepPlan:
    """Return the plan of a study that lies in `folder`: one epoch a trial, nothing is pruned."""
    given: dict[str, Any] = {
        "objective": "objective",
        "space": "space",
        "study": folder.name,
        "results": str(folder.parent),
        "metrics": ("loss",),
        "directions": ("minimize",),
        "seed": 5,
        "trials": 20,
        "max_epochs": 1,
        "pruner": "none",
        **changes,
    }
    return SweepPlan(**given)


@dataclass
class Search:
    """A study that one worker runs.

    Attributes:
        ran: Trials that were run for real, in order.
    """

    owner: StudyOwner
    measure: Measure
    ran: list[TrialSpec]

    @classmethod
    def open(
        cls,
        folder: Path,
        space: Any,
        measure: Measure,
        *,
        run: Run | None = None,
        slots: int = 1,
        warm_start: Sequence[Mapping[str, Any]] = (),
        **changes: Any,
    ) -> Search:
        folder.mkdir(parents=True, exist_ok=True)
        plan = plan_of(folder, **changes)
        owner = StudyOwner.open(plan, folder, space, slots=slots, run=run or Run("run"))
        owner.prepare({}, warm_start)
        return cls(owner, measure, [])

    def start(self, turn: str) -> TrialSpec | None:
        """Ask for a trial and begin it; None where there is none for now."""
        spec = self.owner.ask(f"slot {turn}:0").spec
        if spec is not None and self.owner.begin(spec.number, f"t{spec.number}").action == "skip":
            return None
        return spec

    def end(self, spec: TrialSpec, ending: Ending = Ending.COMPLETE, **told: Any) -> None:
        """Run a trial that was begun."""
        self.ran.append(spec)
        metrics = dict(self.measure(spec.params))
        self.owner.report(spec.number, f"t{spec.number}", Progress(1, metrics, 1))
        self.owner.tell(spec.number, f"t{spec.number}", Outcome(ending, 1, metrics, 1, **told))

    def run(self) -> Status:
        """Run trials until there are no more."""
        turn = 0
        while (spec := self.start(f"of run {turn}")) is not None:
            self.end(spec)
            turn += 1
        return self.owner.finish()

    def records(self) -> list[TrialRecord]:
        from search.study.record import from_frozen

        return [from_frozen(trial) for trial in self.owner._parts.study.get_trials()]

    def close(self) -> None:
        self.owner.close()
