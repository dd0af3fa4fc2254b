"""What the ended trials of a study came to, counted a trial at a time in the order of their ends: the `Totals`."""

from __future__ import annotations

import bisect
import hashlib
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from search.plan import SweepPlan
from search.status import TrialScore
from search.study.record import TrialRecord
from search.study.reuses import Reuses
from search.study.scores import Scores, score_of

LEADERS: Final = 50
"""Best trials that are kept."""

MOST_KINDS: Final = 200
"""Kinds of failure that are told apart."""


@dataclass(slots=True)
class Kind:
    """Failures that are alike: of one reason, with texts that differ only in their numbers.

    Attributes:
        reason: Theirs.
        shape: Digest of their text without numbers.
        count: How many.
        first: The lowest number among them.
    """

    reason: str
    shape: str
    count: int
    first: int


class Totals:
    """Counts, best trials and failures of a study.

    Attributes:
        counts: Ended trials by state.
        failures: FAIL trials by reason.
        epochs: Steps that ended trials reported.
        pruned_epochs: Those of pruned trials; one that took another's result saved nothing.
        at_s: Seconds of the study's life at which the last of them ended.
        begun: The highest number of those that ever began; -1 if none did.
        reuses: How they came by their prepared rows.
        scores: The best one, or the front.
        kinds: Kinds of failure; None if there are too many.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self._plan = plan
        self._sign = 1.0 if plan.directions[0] == "minimize" else -1.0
        self._last: tuple[datetime, int] | None = None  # end and number of the trial that was counted last
        self._leaders: list[tuple[bool, float, int, TrialScore]] | None = []
        self.counts = {"complete": 0, "pruned": 0, "fail": 0}
        self.failures: dict[str, int] = {}
        self.epochs = 0
        self.pruned_epochs = 0
        self.at_s = 0.0
        self.begun = -1
        self.reuses = Reuses()
        self.scores = Scores(plan.directions)
        self.kinds: dict[tuple[str, str], Kind] | None = {}

    @classmethod
    def of(cls, plan: SweepPlan, records: Iterable[TrialRecord]) -> Totals:
        """Count these trials, in the order of their ends; those that have not ended are left out."""
        made = cls(plan)
        for record in in_order(record for record in records if record.ended is not None):
            made.add(record)
        return made

    def comes_next(self, record: TrialRecord) -> bool:
        """Tell whether a trial ended after all that were counted."""
        return record.ended is not None and (self._last is None or self._last < (record.ended, record.number))

    def add(self, record: TrialRecord) -> None:
        """Count a trial, which comes next."""
        assert record.ended is not None
        self._last = (record.ended, record.number)
        self.counts[record.state] += 1
        self.epochs += record.epochs_run
        self.at_s = max(self.at_s, record.at_s)
        self.reuses.add(record.end)
        if record.started is not None:
            self.begun = max(self.begun, record.number)
        if record.state == "complete":
            self._take_in(score_of(record))
            return
        self.scores.pass_by(record.number)
        if record.state == "pruned":
            self.pruned_epochs += record.last_step if record.same_as is None else self._plan.max_epochs
            return
        reason = reason_of(record)
        self.failures[reason] = self.failures.get(reason, 0) + 1
        self._tell_apart(record, reason)

    def epochs_saved(self, max_epochs: int) -> int:
        """Return the steps that pruned trials did not run."""
        return max(0, self.counts["pruned"] * max_epochs - self.pruned_epochs)

    def leaders(self, count: int) -> list[TrialScore] | None:
        """Return the best COMPLETE trials, with several metrics those of the front; None if they are not all kept."""
        if len(self._plan.metrics) > 1:
            front = sorted(self.scores.front, key=lambda one: (self._sign * one.values[0], one.number))
            return front[:count]
        if self._leaders is None or count > LEADERS < self.counts["complete"]:
            return None
        return [one[-1] for one in self._leaders[:count]]

    def to_json(self) -> dict[str, Any]:
        return {
            "basis": basis(self._plan),
            "last": None if self._last is None else [self._last[0].isoformat(), self._last[1]],
            "counts": self.counts,
            "failures": self.failures,
            "epochs": self.epochs,
            "pruned_epochs": self.pruned_epochs,
            "at_s": self.at_s,
            "begun": self.begun,
            "reuses": self.reuses.to_json(),
            "front": [score.to_json() for score in self.scores.front],
            "since_best": self.scores.since_best,
            "worst": list(self.scores.worst),
            "moves": [list(move) for move in self.scores.moves],
            "missed": self.scores.missed,
            "nearest": None if self.scores.nearest is None else self.scores.nearest.to_json(),
            "leaders": None if self._leaders is None else [one[-1].to_json() for one in self._leaders],
            "kinds": None
            if self.kinds is None
            else [[one.reason, one.shape, one.count, one.first] for one in self.kinds.values()],
        }

    @classmethod
    def from_json(cls, plan: SweepPlan, values: Mapping[str, Any]) -> Totals:
        made = cls(plan)
        if values["last"] is not None:
            made._last = (datetime.fromisoformat(values["last"][0]), values["last"][1])
        made.counts, made.failures = dict(values["counts"]), dict(values["failures"])
        made.epochs, made.pruned_epochs = values["epochs"], values["pruned_epochs"]
        made.at_s, made.begun = values["at_s"], values["begun"]
        made.reuses = Reuses.from_json(values["reuses"])
        made.scores.front = tuple(map(_score, values["front"]))
        made.scores.since_best = values["since_best"]
        made.scores.worst = tuple(values.get("worst", ()))
        made.scores.moves = tuple((int(ended), value) for ended, value in values.get("moves", ()))
        made.scores.ended = sum(made.counts.values())
        made.scores.missed = values.get("missed", 0)
        made.scores.nearest = _score(values["nearest"]) if values.get("nearest") else None
        led = values["leaders"]
        made._leaders = None if led is None else [made._ranked(score) for score in map(_score, led)]
        kinds = values["kinds"]
        made.kinds = None if kinds is None else {(one[0], one[1]): Kind(*one) for one in kinds}
        return made

    def _take_in(self, score: TrialScore) -> None:
        self.scores.add(score)
        if any(math.isnan(value) for value in score.values):
            self._leaders = None  # nothing is before or behind it
        if self._leaders is not None and len(self._plan.metrics) == 1:
            bisect.insort(self._leaders, self._ranked(score), key=lambda one: one[:3])
            del self._leaders[LEADERS:]

    def _ranked(self, score: TrialScore) -> tuple[bool, float, int, TrialScore]:
        return score.violation > 0, self._sign * score.values[0], score.number, score

    def _tell_apart(self, record: TrialRecord, reason: str) -> None:
        if self.kinds is None:
            return
        shape = shape_of(record)
        kind = self.kinds.get((reason, shape))
        if kind is not None:
            kind.count, kind.first = kind.count + 1, min(kind.first, record.number)
        elif len(self.kinds) < MOST_KINDS:
            self.kinds[(reason, shape)] = Kind(reason, shape, 1, record.number)
        else:
            self.kinds = None


def basis(plan: SweepPlan) -> list[Any]:
    """Return what totals depend on beside the trials: in another time zone ends may come in another order."""
    several = ["worst"] if len(plan.metrics) > 1 else []  # which totals from before it was counted lack
    return [plan.study, list(plan.metrics), list(plan.directions), list(time.tzname), *several]


def in_order(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return ended trials in the order of their ends."""
    return sorted(records, key=lambda record: (record.ended, record.number))


def reason_of(record: TrialRecord) -> str:
    return record.end.get("reason") or "unknown"


def shape_of(record: TrialRecord) -> str:
    """Return a digest of a failure's text that does not depend on the numbers in it."""
    shape = re.sub(r"\d+", "#", str(record.end.get("text", "")))
    return hashlib.blake2b(shape.encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _score(values: Mapping[str, Any]) -> TrialScore:
    plain = (values["number"], tuple(values["values"]), values["params"], values["metrics"], values["step"])
    return TrialScore(*plain, values.get("constraints", {}))
