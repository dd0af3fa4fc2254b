"""Run one stored trial again, alone in this process: same parameters, same seeds, no pruning of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import loading
from search.errors import InputError
from search.local import device_of, run_alone, setting_of, threads_of, use_threads
from search.opening import load_planned, open_sent, rows_of, users_code
from search.plan import SweepPlan
from search.records.study import StoredStudy
from search.resume import accepted_codes
from search.study.record import TrialRecord
from search.trial import Outcome


@dataclass(frozen=True, slots=True)
class RepeatResult:
    """What came of a trial the second time, beside the first.

    Attributes:
        study: Name of the study.
        first: The trial as recorded; its values are those of its last report if it was pruned, () if it failed.
        second: This time.
        values: Searched values this time; () if not all were reported.
        code_changed: Whether the code has changed in between.
        data_changed: Whether the data has.
    """

    study: str
    metrics_searched: tuple[str, ...]
    first: TrialRecord
    second: Outcome
    values: tuple[float, ...]
    code_changed: bool
    data_changed: bool

    @property
    def ending(self) -> str:
        return self.second.ending.value

    @property
    def equal(self) -> bool:
        """Tell whether it ended alike: a FAIL for the same reason, else every searched value to the last bit."""
        if self.ending != self.first.state:
            return False
        if self.ending == "fail":
            return self.second.reason == self.first.end.get("reason")
        return bool(self.values) and self.values == self.first.values

    def to_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "number": self.first.number,
            "metrics_searched": list(self.metrics_searched),
            "recorded": list(self.first.values),
            "recorded_ending": self.first.state,
            "recorded_reason": self.first.end.get("reason"),
            "values": list(self.values),
            "metrics": dict(self.second.metrics),
            "ending": self.ending,
            "reason": self.second.reason,
            "text": self.second.text,
            "equal": self.equal,
            "code_changed": self.code_changed,
            "data_changed": self.data_changed,
        }

    def lines(self) -> list[str]:
        """Return what is shown to people."""
        pairs = zip(self.metrics_searched, self.first.values, self.values, strict=False)
        said = [f"{name}: {value!r} (recorded: {recorded!r})" for name, recorded, value in pairs]
        end = self.first.end
        if "fail" in (self.ending, self.first.state):
            said.append(f"recorded: {_end(self.first.state, end.get('reason'), end.get('text'))}")
        now = _end(self.ending, self.second.reason, self.second.text)
        return [f"trial {self.first.number} of {self.study}: {now}", *said, self._verdict()]

    def _verdict(self) -> str:
        if self.equal:
            return "the same failure again" if self.ending == "fail" else "the same score again"
        verdict = "not the same score" if self.ending == self.first.state != "fail" else "not the same end"
        changed = [name for name, is_so in (("code", self.code_changed), ("data", self.data_changed)) if is_so]
        since = f"; the {' and the '.join(changed)} changed since the study was launched" if changed else ""
        return verdict + since


def repeat(stored: StoredStudy, record: TrialRecord) -> RepeatResult:
    """Run a trial of a study again; a pruned trial ends where it was pruned.

    Raises:
        InputError: The trial has not ended, or its objective or data cannot be loaded.
    """
    plan = stored.plan
    if record.state not in ("complete", "pruned", "fail"):
        raise InputError(f"trial {record.number} of {plan.study!r} is {record.state}", field="--repeat")
    use_threads(threads_of(plan))
    objective = load_planned(plan)
    space = loading.load(plan.space, kind="space", folder=Path.cwd())
    with users_code(objective, "data"):
        problem = open_sent(objective, plan, stored.folder, rows_of(stored.launch))
    setting = setting_of(plan, problem, device=device_of(plan))
    pruned_after = record.last_step if record.state == "pruned" else None
    number = record.number if record.same_as is None else record.same_as  # whose seeds its result is of
    outcome = run_alone(problem, number, record.params, setting, pruned_after=pruned_after)
    return RepeatResult(
        study=plan.study,
        metrics_searched=plan.metrics,
        first=record,
        second=outcome,
        values=_values(outcome, plan),
        code_changed=loading.code_hash(objective, space) not in accepted_codes(stored),
        data_changed=problem.data_hash != stored.launch["data_hash"],
    )


def _end(ending: str, reason: str | None, text: str | None) -> str:
    return f"{ending}{f' ({reason})' if reason else ''}{f', {text}' if text else ''}"


def _values(outcome: Outcome, plan: SweepPlan) -> tuple[float, ...]:
    if not all(name in outcome.metrics for name in plan.metrics):
        return ()
    return tuple(outcome.metrics[name] for name in plan.metrics)
