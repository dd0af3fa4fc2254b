"""How far a sweep has come: what it has spent, and whether it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from search.plan import SweepPlan
from search.status import RunningTrial, Status, SweepState
from search.study.budget import Budget, Spent, hopeless, reached, room_for_one, steps_left, used_up
from search.study.held import Hands
from search.study.ledger import Ledger

_TO_SPARE: Final = 1.25
"""Times the steps of one whole trial that are kept for it."""


class Course:
    """The budget of a sweep against what its trials have cost, and the reason for which it stops.

    Args:
        plan: Its limits.
        ledger: What its ended trials have cost.
        hands: Its trials that have not ended.
        clock: Monotonic seconds.

    Attributes:
        stopping: State and reason, once the sweep takes no more trials; None before.
        at_its_end: Whether it has come to its end then, rather than to that of what it may cost.
    """

    def __init__(self, plan: SweepPlan, ledger: Ledger, hands: Hands, clock: Callable[[], float]) -> None:
        self._plan, self._ledger, self._hands, self._clock = plan, ledger, hands, clock
        self._began = clock()
        self.stopping: tuple[SweepState, str] | None = None
        self.at_its_end = False
        self._limit = ""  # the one that was used up, where that is the reason
        self._budget = Budget.of(plan)

    def follow(self, plan: SweepPlan) -> None:
        """Go by the limits of another plan from here on."""
        self._plan, self._budget = plan, Budget.of(plan)

    @property
    def seconds(self) -> float:
        """Seconds that all runs of the sweep have taken up to now."""
        return self._ledger.seconds + self._clock() - self._began

    def spent(self) -> Spent:
        """Return what the study has spent over all its runs."""
        now = self._clock()
        held_s = sum(held.seconds(now) for held in self._hands)
        spent = self._ledger.spent(held_s=held_s, seconds=self.seconds)
        if self._budget.plateau is not None and (front := self._ledger.scores.front):
            rest = self._hands.resting_after(max(one.number for one in front))
            spent = replace(spent, since_best=spent.since_best + rest)
        if not self._ledger.gpu_s and not self._plan.gpus:
            return spent
        ledger, each = self._ledger, self._plan.gpus
        gpu_s = ledger.gpu_s + (ledger.trial_s - ledger.shared_s) * each
        return replace(spent, gpu_s=gpu_s + sum(held.gpu_seconds(now) for held in self._hands))

    def has_room(self, *, besides: int) -> bool:
        """Tell whether one more trial fits into the budget beside so many that will count, too."""
        return room_for_one(self._budget, self.spent(), besides=besides)

    def is_closing(self, last: int, slots: int) -> bool:
        """Tell whether what the sweep may cost is just enough to train one more trial to its last step, beside others.

        Args:
            last: That step.
            slots: Trials at once.
        """
        return self._steps_left()[1] <= _TO_SPARE * last * slots

    def is_short(self, last: int) -> bool:
        """Tell the same of one trial alone, while others wait."""
        return self._steps_left()[0] <= _TO_SPARE * last

    def _steps_left(self) -> tuple[float, float]:
        if not self._budget.limits_costs:
            return math.inf, math.inf
        return steps_left(self._budget, self.spent(), cpus=self._plan.cpus, gpus=self._plan.gpus)

    def trials_left(self) -> int | None:
        """Return how many trials the budget has room for, those that have not ended among them; None for no limit."""
        return None if self._budget.trials is None else self._budget.trials - self.spent().trials

    def pace(self, busy: int) -> tuple[float | None, float | None]:
        """Estimate the seconds of a trial, and those until the budget is used up; None where that cannot be told.

        Args:
            busy: Trials that are held at once.
        """
        spent, left = self.spent(), self.trials_left()
        trial_s = spent.trial_s / spent.trials if spent.trials else None
        estimates = [] if self._budget.seconds is None else [max(0.0, self._budget.seconds - spent.seconds)]
        if trial_s is not None and left is not None and busy:
            estimates.append(max(0, left) * trial_s / busy)
        return trial_s, min(estimates, default=None)

    def why_stopping(self) -> str | None:
        """Say why there will be no more trials; a used-up budget stops running trials, too."""
        if self.stopping is None:
            if (why := reached(self._budget, self.spent())) is not None:
                self.stop("finished", why, at_its_end=True)
            elif over := self._used_up():
                self._limit, why = next(iter(over.items()))
                self.stop("finished", why)
        elif self._limit and self.stopping[0] == "finished":  # trials that ran then have told more since
            self.stopping = "finished", self._used_up().get(self._limit, self.stopping[1])
        return self.stopping[1] if self.stopping else None

    def _used_up(self) -> dict[str, str]:
        return used_up(self._budget, self.spent(), cpus=self._plan.cpus, gpus=self._plan.gpus)

    def stop(self, state: SweepState, why: str, *, at_its_end: bool = False) -> None:
        """Take no more trials; a failure or an interruption weighs more than a budget that is used up."""
        if self.stopping is None or (state in ("failed", "interrupted") and self.stopping[0] != "failed"):
            self.stopping, self.at_its_end = (state, why), at_its_end

    def stop_if_hopeless(self) -> None:
        """Stop a sweep that only fails."""
        why = hopeless(self._budget, self.spent())
        if why is not None:
            self.stop("failed", why)

    def status(self, *, waiting: int, baseline: Mapping[str, float]) -> Status:
        """Return where the sweep stands.

        Args:
            waiting: Points that are enqueued and not taken.
            baseline: Metrics of a naive prediction.
        """
        plan, ledger, running, seconds = self._plan, self._ledger, self._hands.running, self.seconds
        state, why = self.stopping or ("running", "")
        counts = {**ledger.counts, "running": len(running), "paused": len(self._hands) - len(running)}
        shown = tuple(RunningTrial(one.spec.number, one.step, one.value, one.values, one.curve) for one in running)
        return Status(
            study=plan.study,
            state=state,
            metrics=plan.metrics,
            directions=plan.directions,
            trials={**counts, "waiting": waiting},
            best=ledger.scores.best,
            front=ledger.scores.front if len(plan.metrics) > 1 else (),
            worst=ledger.scores.worst,
            best_age=ledger.scores.since_best,
            moves=ledger.scores.moves,
            missed=ledger.scores.missed,
            nearest=ledger.scores.nearest,
            replicates=plan.replicates,
            epochs_run=ledger.epochs,
            epochs_saved=ledger.epochs_saved,
            seconds=seconds,
            why_stopped=why,
            results=str(Path(plan.results) / plan.study),
            baseline=baseline,
            failures=dict(ledger.failures),
            prepared=dict(ledger.reuses.counts),
            saved_s=ledger.reuses.saved_s,
            running=shown,
            max_epochs=plan.max_epochs,
            target_trials=plan.trials,
            left_s=None if plan.time_s is None else max(0.0, plan.time_s - seconds),
        )
