"""Trials that rest at rungs, of a pruner that promotes: who goes on next, and what becomes of those that never do.

A trial that comes to a rung pauses there with its checkpoint. It is RUNNING in storage like every paused trial, and its
attribute `sweep:rung` says at which rung it rests: that alone tells a reload what the rule had decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import optuna
from optuna.trial import FrozenTrial

from search.study import attributes
from search.study.held import Hands, Held
from search.study.pruners import Pruning, PruningRule, Reached
from search.study.record import from_frozen, told
from search.study.writer import TrialWriter
from search.trial import Ending, Outcome, Verdict


class Resting:
    """The resting trials of a study.

    Args:
        metric: The searched one, with several the first.
        pruner: Which promotes them; most rules let nobody rest.
        hands: The trials that have not ended.
        storage: Of the study.
        writer: Writes to it.
    """

    def __init__(
        self, metric: str, pruner: PruningRule, hands: Hands, storage: optuna.storages.BaseStorage, writer: TrialWriter
    ) -> None:
        self._metric = metric
        self._pruner, self._hands, self._storage, self._writer = pruner, hands, storage, writer

    def take_over(self) -> None:
        """Let those rest that the storage says do, once the pruner knows all trials."""
        for held in self._hands.resting:
            self._pruner.rest(held.spec.number)

    def come_to(self, held: Held, reached: Reached, *, can_rest: bool) -> Verdict:
        """Store that a trial has come to a rung, and say whether it goes on.

        Args:
            held: The trial.
            reached: What the rule said.
            can_rest: Whether it has something left to train; else it ends by itself, wherever it stands.
        """
        if reached.rests and not can_rest:
            reached = replace(reached, rests=False, told=None)
        self._writer.attribute(held, attributes.RUNG, reached.to_json())
        self._went_on(held, reached)
        return Verdict.PAUSE if reached.rests else Verdict.CONTINUE

    def rest(self, held: Held) -> None:
        """Let a trial rest, now that its worker has let go of it."""
        self._hands.rest(held)
        self._pruner.rest(held.spec.number)

    def wake(self, request: str, *, at_least_one: bool = False, none_new: bool = False) -> Held | None:
        """Give a trial that goes on to whoever asked; None if none has earned it.

        Args:
            request: Of the ask.
            at_least_one: Whether the best of the highest rung goes on although it has not.
            none_new: Whether no new trial can be begun instead.
        """
        while (number := self._pruner.promotable(at_least_one=at_least_one, none_new=none_new)) is not None:
            held = self._hands.get(number)
            assert held is not None
            trial = self._trial(held)
            reached = self._pruner.promote(trial)
            with self._writer.batch():
                self._writer.attribute(held, attributes.RUNG, reached.to_json())
                self._went_on(held, reached)
                if not reached.rests:  # else it had been trained past the next rung, too
                    held.verdict = Verdict.CONTINUE
                    self._hands.wake(held, request)
                    self._writer.lease(held)
                    return held
        return None

    def left(self) -> Iterator[tuple[Held, Pruning, Outcome]]:
        """Yield every resting trial with why it goes no further and how it ends."""
        for held in sorted(self._hands.resting, key=lambda one: one.spec.number):
            trial = self._trial(held)
            rung = trial.system_attrs[attributes.RUNG]
            why = self._pruner.standing(trial.number, rung["rung"])
            assert why is not None
            yield held, why, _outcome(trial, self._metric)

    def _went_on(self, held: Held, reached: Reached) -> None:
        """Store how far a trial goes on, if its rule says so."""
        if reached.went_on is not None:
            before = self._trial(held).system_attrs.get(attributes.WENT_ON, [])
            self._writer.attribute(held, attributes.WENT_ON, [*before, reached.went_on.to_json()])

    def _trial(self, held: Held) -> FrozenTrial:
        return self._storage.get_trial(held.trial_id)


def _outcome(trial: FrozenTrial, metric: str) -> Outcome:
    """Return the end of a trial that no run brought about: it took what its runs had."""
    record = from_frozen(trial)
    step = record.last_step
    return Outcome(Ending.PRUNED, step, told(record, metric).get(step, {}), text="it rested at a rung to the end")
