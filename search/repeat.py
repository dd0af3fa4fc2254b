"""Run one stored trial again, alone in this process: same parameters, same seeds, no pruning of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import loading
from search.data.source import FileSource
from search.errors import InputError
from search.local import device_of, run_alone, setting_of, threads_of, use_threads
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.problem import open_problem
from search.study.reading import read_trials
from search.study.record import TrialRecord
from search.trial import Outcome


@dataclass(frozen=True, slots=True)
class RepeatResult:
    """What came of a trial the second time, beside the first.

    Attributes:
        study: Name of the study.
        number: Of the trial.
        recorded: Searched values the first time; of a pruned trial its last report.
        values: Searched values this time; () if it failed.
        metrics: Every metric this time.
        ending: This time.
        changed: Whether the code has changed in between.
    """

    study: str
    number: int
    metrics_searched: tuple[str, ...]
    recorded: tuple[float, ...]
    values: tuple[float, ...]
    metrics: dict[str, float]
    ending: str
    text: str
    changed: bool

    @property
    def equal(self) -> bool:
        """Tell whether every searched value came out the same, to the last bit."""
        return bool(self.values) and self.values == self.recorded

    def to_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "number": self.number,
            "metrics_searched": list(self.metrics_searched),
            "recorded": list(self.recorded),
            "values": list(self.values),
            "metrics": self.metrics,
            "ending": self.ending,
            "text": self.text,
            "equal": self.equal,
            "code_changed": self.changed,
        }

    def lines(self) -> list[str]:
        """Return what is shown to people."""
        pairs = zip(self.metrics_searched, self.recorded, self.values, strict=False)
        said = [f"{name}: {value!r} (recorded: {recorded!r})" for name, recorded, value in pairs]
        verdict = "the same score again" if self.equal else "not the same score"
        if self.changed and not self.equal:
            verdict += "; the code has changed since the study was launched"
        return [f"trial {self.number} of {self.study}: {self.ending}, {self.text}", *said, verdict]


def repeat(folder: StudyFolder, number: int) -> RepeatResult:
    """Run trial `number` again; a pruned trial ends where it was pruned.

    Raises:
        InputError: There is no such trial, or its objective cannot be loaded.
    """
    launch = json.loads(folder.plan.read_text(encoding="utf-8"))
    plan = SweepPlan.from_json(launch["plan"])
    record = _record(folder, plan, number)
    use_threads(threads_of(plan))
    objective = loading.load(plan.objective, kind="objective", folder=Path.cwd())
    space = loading.load(plan.space, kind="space", folder=Path.cwd())
    problem = open_problem(objective.value, FileSource(plan.data, plan.target, Path.cwd()), seed=plan.seed)
    setting = setting_of(plan, problem, device=device_of(plan))
    pruned_after = record.last_step if record.state == "pruned" else None
    outcome = run_alone(problem, number, record.params, setting, pruned_after=pruned_after)
    return RepeatResult(
        study=plan.study,
        number=number,
        metrics_searched=plan.metrics,
        recorded=record.values,
        values=_values(outcome, plan),
        metrics=dict(outcome.metrics),
        ending=outcome.ending.value,
        text=outcome.text,
        changed=loading.code_hash(objective, space) != launch["code_hash"],
    )


def _record(folder: StudyFolder, plan: SweepPlan, number: int) -> TrialRecord:
    records, _ = read_trials(folder, plan)
    if number >= len(records):
        raise InputError(f"study {plan.study!r} has no trial {number}; it has {len(records)}", field="--repeat")
    if records[number].state not in ("complete", "pruned", "fail"):
        raise InputError(f"trial {number} of {plan.study!r} is {records[number].state}", field="--repeat")
    return records[number]


def _values(outcome: Outcome, plan: SweepPlan) -> tuple[float, ...]:
    if not all(name in outcome.metrics for name in plan.metrics):
        return ()
    return tuple(outcome.metrics[name] for name in plan.metrics)
