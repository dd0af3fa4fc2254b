"""What a study has spent and reached so far, counted a trial at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from search.errors import FailReason
from search.study.budget import Spent
from search.study.record import TrialRecord
from search.study.reuses import Reuses
from search.study.scores import Scores, score_of


class Ledger:
    """Counts of a study's ended trials; the same for one that ends now and one that is read back from storage.

    Attributes:
        counts: Ended trials by state.
        failures: FAIL trials by reason.
        epochs: Steps reported over all trials.
        epochs_saved: Steps that pruned trials did not run.
        trial_s: Seconds that ended trials held their workers.
        shared_s: Those of trials whose share of GPUs is known.
        gpu_s: Those times their shares, which may have been another one in each attempt.
        seconds: Time that the sweep's runs had taken when the study was opened.
        scores: The best trials.
        reuses: How they came by their prepared rows.
    """

    def __init__(self, directions: Sequence[str], max_epochs: int) -> None:
        self._max_epochs = max_epochs
        self._trials = 0
        self._failures_in_a_row = 0
        self._lost_in_a_row = 0
        self._retried: set[int] = set()
        self.counts = {"complete": 0, "pruned": 0, "fail": 0}
        self.failures: dict[str, int] = {}
        self.epochs = 0
        self.epochs_saved = 0
        self.trial_s = 0.0
        self.shared_s = 0.0
        self.gpu_s = 0.0
        self.seconds = 0.0
        self.scores = Scores(directions)
        self.reuses = Reuses()

    def take_back(self, numbers: Iterable[int]) -> None:
        """Let these failed trials, which are run again, not count towards the budget; call it before `count`."""
        self._retried.update(numbers)

    def forgive(self, record: TrialRecord) -> None:
        """Let a failed trial that has been counted no longer count towards the budget: it is run again."""
        self._retried.add(record.number)
        self._trials -= _is_own(record)

    def count(self, record: TrialRecord, *, in_this_run: bool = True) -> None:
        """Count a trial that has ended; failures in a row are those of this run."""
        self.counts[record.state] += 1
        self.trial_s += record.end.get("held_s", 0.0)
        if "gpus" in record.end:
            self.shared_s += record.end.get("held_s", 0.0)
            self.gpu_s += record.end.get("gpu_s", record.end.get("held_s", 0.0) * record.end["gpus"])
        self.reuses.add(record.end)
        if record.state == "complete":
            self.scores.add(score_of(record))
        else:
            self.scores.pass_by(record.number)
        if record.state == "pruned":
            self.epochs_saved += 0 if record.same_as is not None else max(0, self._max_epochs - record.last_step)
        if record.state == "fail":
            reason = record.end.get("reason") or "unknown"
            self.failures[reason] = self.failures.get(reason, 0) + 1
        # a lost worker is not the configuration's fault: it counts towards nothing but its own limit
        own = _is_own(record)
        self._trials += own and record.number not in self._retried
        if in_this_run and not (record.started is None and record.number in self._retried):  # moved, and never run
            self._lost_in_a_row = 0 if own else self._lost_in_a_row + 1
            self._failures_in_a_row = self._failures_in_a_row + own if record.state == "fail" else 0

    def spent(self, *, held_s: float, seconds: float) -> Spent:
        """Return what has been spent at this moment.

        Args:
            held_s: Seconds that trials which have not ended have held their workers.
            seconds: Time that all runs of the sweep have taken.
        """
        return Spent(
            trials=self._trials,
            seconds=seconds,
            epochs=self.epochs,
            trial_s=self.trial_s + held_s,
            failures_in_a_row=self._failures_in_a_row,
            lost_in_a_row=self._lost_in_a_row,
            since_best=self.scores.since_best if self.scores.best else 0,
            best=self.scores.best.values[0] if self.scores.best else None,
        )


def _is_own(record: TrialRecord) -> bool:
    """Tell whether a trial ended by its own doing, and not with its worker."""
    return record.end.get("reason") != FailReason.WORKER_LOST
