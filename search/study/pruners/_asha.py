"""Asynchronous successive halving: at each rung only the best 1/`reduction_factor` of those seen there go on.

From Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020). By default a trial that is not among
the best when it reaches a rung is pruned there, as in Optuna's `SuccessiveHalvingPruner`. With `promote` it rests, as
in algorithm 2 of the paper, and goes on once it is among the best. With several metrics the order at a rung is that of
non-dominated sorting. What stands at each rung is kept in order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from optuna.trial import FrozenTrial

from search.study import attributes
from search.study.pruners._rule import Heard, Judged, Pruning, PruningRule, Reached
from search.study.pruners._rung import ByFronts, ByValue, Rung
from search.study.reports import Costs


class Asha(PruningRule):
    """Successive halving without waiting for others.

    Rung k is at step `min_resource * reduction_factor ** (min_early_stopping_rate + k)`.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step.
        min_resource: First rung, in steps; "auto" is a hundredth of the last step.
        reduction_factor: One in so many goes on from a rung.
        min_early_stopping_rate: How many rungs are left out at the beginning.
        bootstrap_count: At a rung nobody goes on before more than so many have been there.
        promote: Whether trials rest at rungs instead of being pruned there.
    """

    name = "asha"

    def __init__(
        self,
        *,
        direction: str,
        max_epochs: int,
        min_resource: int | str = 1,
        reduction_factor: int = 3,
        min_early_stopping_rate: int = 0,
        bootstrap_count: int = 0,
        promote: bool = False,
    ) -> None:
        super().__init__(direction=direction, max_epochs=max_epochs)
        if min_resource != "auto" and (isinstance(min_resource, str) or min_resource < 1):
            raise ValueError(f"min_resource must be at least 1, or auto, got {min_resource}")
        if reduction_factor < 2:
            raise ValueError(f"reduction_factor must be at least 2, got {reduction_factor}")
        if min_early_stopping_rate < 0:
            raise ValueError(f"min_early_stopping_rate must be at least 0, got {min_early_stopping_rate}")
        if min_early_stopping_rate > 63:  # nobody trains that far, and its power would take all memory
            raise ValueError(f"min_early_stopping_rate must be at most 63, got {min_early_stopping_rate}")
        if bootstrap_count < 0:
            raise ValueError(f"bootstrap_count must be at least 0, got {bootstrap_count}")
        first = max(max_epochs // 100, 1) if isinstance(min_resource, str) else min_resource
        self._first_step: int = first * reduction_factor**min_early_stopping_rate
        self._reduction_factor = reduction_factor
        self._bootstrap_count = bootstrap_count
        self.promotes = promote
        self._rungs: defaultdict[int, Rung] = defaultdict(self._new_rung)
        self._reached: dict[int, int] = {}  # by trial number: rungs it has been judged at

    @property
    def first_step(self) -> int:
        return self._first_step

    def last_step(self, trial: FrozenTrial) -> int | None:
        return max(self.reports.steps(trial), default=None)

    def steps(self, trial: FrozenTrial) -> list[int]:
        return self.reports.steps(trial)

    def judge_at(self, step: int, trial: FrozenTrial) -> Judged:
        number, costs, judged = trial.number, self.reports.costs(trial, step), None
        while (rung_step := self._rung_step(self._reached.get(number, 0))) <= step:
            if any(map(math.isnan, costs)):
                return Pruning(self.name, step, self.reports.value(costs), rung=rung_step)
            level = self._enter(number, costs)
            judged = self._come_to(level, number) if self.promotes else self._stopped_at(level, number, step)
            if isinstance(judged, Pruning) or (judged is not None and judged.rests):
                break
        return judged

    def rungs_of(self, number: int) -> list[int]:  # noqa: ARG002 - the same for all
        steps, level = [], 0
        while (step := self._rung_step(level)) < self.max_epochs:
            steps.append(step)
            level += 1
        return steps

    def standing(self, number: int, rung: int) -> Pruning | None:
        level = self.rungs_of(number).index(rung)
        return self._pruning(level, number, rung) if level < self._reached.get(number, 0) else None

    def rung_of(self, number: int) -> int:
        """Return the step of the last rung that a trial has come to."""
        return self._rung_step(self._reached[number] - 1)

    def rest(self, number: int) -> None:
        self._rungs[self._reached[number] - 1].wait(number)

    def promotable(self, *, at_least_one: bool = False, none_new: bool = False) -> int | None:  # noqa: ARG002
        for level in sorted(self._rungs, reverse=True) if self.promotes else ():
            best = self._rungs[level].first_waiting()
            if best is not None and (at_least_one or self._has_earned_it(level, best)):
                return best
        return None

    def promote(self, trial: FrozenTrial) -> Reached:
        number, steps = trial.number, self.reports.steps(trial)
        level = self._reached[number] - 1
        self._rungs[level].leave(number)
        reached = Reached(self._rung_step(level), rests=False)
        while not reached.rests and (rung_step := self._rung_step(level + 1)) <= steps[-1]:
            level = self._enter(number, self._costs_at(rung_step, trial, steps))
            reached = self._come_to(level, number)
        if reached.rests:
            self.rest(number)
        return reached

    def settle(self, trial: FrozenTrial) -> None:
        if trial.number in self._reached:
            self._rungs[self._reached[trial.number] - 1].leave(trial.number)

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:
        self._rungs.clear()
        self._reached.clear()
        entries: defaultdict[int, list[tuple[Costs, int]]] = defaultdict(list)
        for trial in trials:
            for level, costs in enumerate(self._recalled(trial, [*(heard or self.steps_heard)(trial)])):
                entries[level].append((costs, trial.number))
                self._reached[trial.number] = level + 1
        for level, there in entries.items():
            self._rungs[level].fill(there)

    def _recalled(self, trial: FrozenTrial, steps: list[int]) -> list[Costs]:
        """Return what a trial of a storage, which was judged at these steps, had at each rung that it came to.

        A report may have jumped over several rungs; where that ended is told by what was stored of it.
        """
        if self.promotes:
            highest = (trial.system_attrs.get(attributes.RUNG) or {}).get("rung", 0)
        else:
            highest = (trial.system_attrs.get(attributes.PRUNING) or {}).get("rung") or math.inf
        steps = [step for step in steps if not any(map(math.isnan, self.reports.costs(trial, step)))]
        found: list[Costs] = []
        while steps and (rung_step := self._rung_step(len(found))) <= min(steps[-1], highest):
            found.append(self._costs_at(rung_step, trial, steps))
        return found

    def _costs_at(self, rung_step: int, trial: FrozenTrial, steps: Iterable[int]) -> Costs:
        """Return the first that a trial reported at a rung or after it."""
        return self.reports.costs(trial, next(step for step in steps if step >= rung_step))

    def _rung_step(self, level: int) -> int:
        return int(self._first_step * self._reduction_factor**level)

    def _new_rung(self) -> Rung:
        return ByValue() if self.reports.dimensions == 1 else ByFronts(self.reports.dimensions)

    def _enter(self, number: int, costs: Costs) -> int:
        """Add a trial's costs at its next rung, and return that."""
        level = self._reached.get(number, 0)
        self._reached[number] = level + 1
        self._rungs[level].enter(number, costs)
        return level

    def _stopped_at(self, level: int, number: int, step: int) -> Pruning | None:
        """Say why a trial that has just come to a rung is pruned there; None lets it go on."""
        rung = self._rungs[level]
        if len(rung) > self._bootstrap_count and rung.is_among(number, self._keep(level)):
            return None
        return self._pruning(level, number, step)

    def _come_to(self, level: int, number: int) -> Reached:
        """Let a trial rest at the rung that it has just come to, unless it is the one that is promoted next."""
        goes_on = self._has_earned_it(level, number)
        if goes_on and (other := self.promotable()) is not None:
            there, rung = self._reached[other] - 1, self._rungs[level]
            goes_on = there < level or (there == level and rung.rank(number) < rung.rank(other))
        return Reached(self._rung_step(level), rests=not goes_on)

    def _has_earned_it(self, level: int, number: int) -> bool:
        rung = self._rungs[level]
        return len(rung) > self._bootstrap_count and rung.rank(number) < self._keep(level)

    def _keep(self, level: int) -> int:
        """Return how many of those at a rung go on; of those that need not rest, at least one."""
        share = len(self._rungs[level]) // self._reduction_factor
        return share if self.promotes else max(share, 1)

    def _pruning(self, level: int, number: int, step: int) -> Pruning:
        rung, keep = self._rungs[level], self._keep(level)
        bar, (front, fronts) = rung.bar(keep), rung.front(number)
        return Pruning(
            self.name,
            step,
            self.reports.value(rung.costs(number)),
            None if bar is None else self.sign * bar,
            rank=rung.rank(number) + 1,
            of=len(rung),
            rung=self._rung_step(level),
            keep=keep,
            front=front,
            fronts=fronts,
        )
