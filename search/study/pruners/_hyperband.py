"""Hyperband: several successive halvings side by side, which begin to prune later and later.

A trial belongs to one bracket for life. As in Optuna's `HyperbandPruner` the bracket is drawn by a checksum, but of
(seed, trial number): the same seed prunes alike whatever the study is called.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate

from optuna.trial import FrozenTrial

from search.study.pruners._asha import Asha
from search.study.pruners._rule import Heard, Judged, Pruning, PruningRule, Reached


class Hyperband(PruningRule):
    """Brackets of successive halving; bracket b has its first rung at `min_resource * reduction_factor ** b`.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step.
        seed: Of the sweep; with a trial's number it decides the bracket.
        min_resource: First rung of the first bracket, in steps.
        max_resource: What the number of brackets is reckoned from; "auto" is the last step.
        reduction_factor: One in so many goes on from a rung.
        bootstrap_count: At a rung nobody goes on before more than so many have been there.
        promote: Whether trials rest at rungs instead of being pruned there.
    """

    name = "hyperband"

    def __init__(
        self,
        *,
        direction: str,
        max_epochs: int,
        seed: int,
        min_resource: int = 1,
        max_resource: int | str = "auto",
        reduction_factor: int = 3,
        bootstrap_count: int = 0,
        promote: bool = False,
    ) -> None:
        super().__init__(direction=direction, max_epochs=max_epochs)
        if isinstance(max_resource, str) and max_resource != "auto":
            raise ValueError(f"max_resource must be a whole number or auto, got {max_resource}")
        last = max_epochs if isinstance(max_resource, str) else max_resource
        if not 1 <= min_resource <= last:
            raise ValueError(f"min_resource must be between 1 and max_resource ({last}), got {min_resource}")
        self._seed = seed
        self.promotes = promote
        self._brackets = [
            Asha(
                direction=direction,
                max_epochs=max_epochs,
                min_resource=min_resource,
                reduction_factor=reduction_factor,
                min_early_stopping_rate=bracket,
                bootstrap_count=bootstrap_count,
                promote=promote,
            )
            for bracket in range(_bracket_count(last / min_resource, reduction_factor))
        ]
        self._shares = list(accumulate(_shares(len(self._brackets), reduction_factor)))

    @property
    def first_step(self) -> int:
        return self._brackets[0].first_step

    def judge_at(self, step: int, trial: FrozenTrial) -> Judged:
        judged = self._bracket_of(trial.number).judge_at(step, trial)
        return replace(judged, rule=self.name) if isinstance(judged, Pruning) else judged

    def rungs_of(self, number: int) -> list[int]:
        return self._bracket_of(number).rungs_of(number)

    def standing(self, number: int, rung: int) -> Pruning | None:
        standing = self._bracket_of(number).standing(number, rung)
        return standing and replace(standing, rule=self.name)

    def rest(self, number: int) -> None:
        self._bracket_of(number).rest(number)

    def promotable(self, *, at_least_one: bool = False, none_new: bool = False) -> int | None:  # noqa: ARG002
        best = [one.promotable(at_least_one=at_least_one) for one in self._brackets]
        return max((one for one in best if one is not None), key=self._rung_of, default=None)

    def promote(self, trial: FrozenTrial) -> Reached:
        return self._bracket_of(trial.number).promote(trial)

    def settle(self, trial: FrozenTrial) -> None:
        self._bracket_of(trial.number).settle(trial)

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:
        own: dict[int, list[FrozenTrial]] = {id(bracket): [] for bracket in self._brackets}
        for trial in trials:
            own[id(self._bracket_of(trial.number))].append(trial)
        for bracket in self._brackets:
            bracket.replay(own[id(bracket)], heard)

    def _rung_of(self, number: int) -> int:
        """Return the step of the rung at which a trial rests."""
        return self._bracket_of(number).rung_of(number)

    def _bracket_of(self, number: int) -> Asha:
        ticket = zlib.crc32(f"{self._seed}_{number}".encode()) % self._shares[-1]
        return self._brackets[bisect_right(self._shares, ticket)]


def _bracket_count(ratio: float, reduction_factor: int) -> int:
    # The logarithm may come out just below a whole number; Optuna counts so, and so do we.
    return math.floor(math.log(ratio, reduction_factor)) + 1 if reduction_factor > 1 else 1


def _shares(brackets: int, reduction_factor: int) -> list[int]:
    """Return how many trials go to each bracket, of a total that is their sum."""
    later = [brackets - 1 - bracket for bracket in range(brackets)]
    return [math.ceil(brackets * reduction_factor**s / (s + 1)) for s in later]
