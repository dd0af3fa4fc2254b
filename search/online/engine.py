"""What is learnt and decided by reading the log of a model that keeps learning: the `Engine`.

It is a fold: its state depends on the events and their order alone, not on the time at which it reads them, nor on how
many at once: it works whenever so many labels have come that the challenger may take its next step, very many rows were
shown, or an order comes, and not before. So a state and the events behind it give, bit for bit, what an undisturbed
run had.

Each row is answered by all models with what they know when it is shown, long before its label comes: first a test, then
training ("prequential", Dawid 1984; Gama, Sebastiao and Rodrigues 2013).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from search.errors import SweepError
from search.online.admission import Fate, fate_of, is_outside, widen_target
from search.online.challenger import Challenger
from search.online.choices import Choices
from search.online.contest import (
    CHALLENGER,
    PREVIOUS,
    WINNER,
    Answering,
    Protected,
    Registered,
    Rival,
    error_of,
    fell_through,
    stands,
)
from search.online.drift import Alarm
from search.online.events import Event, Ordered
from search.online.kept import Row, table, targets
from search.online.packing import joined, taken
from search.online.publishing import Publisher
from search.online.state import CHAMPION, State, is_behind, renew
from search.online.steps import Step, steps_of
from search.online.waiting import SERVED, Block

_LASTS: Final = 500
"""Labels after which a drift whose error is still up is one that lasts."""

_REST: Final = 5_000
"""Labels between two sweeps over the newest rows."""

_SHOWN: Final = 4_096
"""Rows that are shown, without so many labels that the challenger may take a step, until they are answered."""

_SETTLED: Final = 500
"""Labels after which a champion has reigned for long."""

_RISE: Final = 0.02
"""By so much the error is up, at the least."""


class Engine:
    """Reads events.

    Args:
        classes: Of the champion; () of a regression.
        champion: Answers clients.
        challenger: Learns; the model of that rival in `state`.
        choices: How.
        publisher: Carries out what is decided.
        state: From `state.fresh`, or of an earlier reading of the same log.

    Attributes:
        state: All that it knows, but the models.
        champion: Answers clients.
        challenger: Learns.
        behind: Labels that wait for enough others to make up a step.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        champion: Registered,
        challenger: Challenger,
        choices: Choices,
        publisher: Publisher,
        state: State,
    ) -> None:
        self.champion, self.challenger, self.state = champion, challenger, state
        self.behind = 0
        self._unanswered = 0
        self._classes, self._choices, self._publisher = classes, choices, publisher
        self._protected = Protected(state.holdout, state.trusted)
        self._steps: list[Step] = []
        self._changed = False

    def take(self, events: Iterable[Event]) -> None:
        """Read on, as far as there are labels for a step.

        Args:
            events: Those behind the last one it was given, or, of a state, those from `state.sequence` on.

        Raises:
            SweepError: What was decided cannot be carried out; nothing is lost by reading the same events again from
                an earlier state.
        """
        for event in events:
            for step in steps_of(event, done=self.state.done if event.sequence == self.state.sequence else 0):
                self._steps.append(step)
                self.behind += step.is_label
                self._unanswered += 0 if step.is_label else len(step.ids)
                is_due = self.behind == self._choices.learn.batch or self._unanswered >= _SHOWN
                if is_due or step.order is not None:
                    self._work()

    def bring(self, model: Registered, why: str) -> None:
        """Have the winner of a sweep stand for election."""
        self.state.rivals[WINNER] = self._rival(WINNER, model)
        self._tell("winner", why, model=model.label)

    def succeed(self, champion: Registered, why: str, *, at_s: float) -> None:
        """Have another champion, that somebody else has chosen at this Unix time."""
        self.state.now_s = at_s
        self._crown(champion, "by hand", why)
        self._follow()
        self.state.rivals = {CHALLENGER: self._rival(CHALLENGER, self.challenger)}

    # --- the order of the work ---

    def _work(self) -> None:
        """Take all steps, and go on behind the one at which a model changed: later rows are answered anew."""
        steps, self._steps = self._steps, []
        self.behind = self._unanswered = 0
        while steps:
            steps = steps[self._walk(steps) :]

    def _walk(self, steps: Sequence[Step]) -> int:
        """Take steps until a model changes; return how many were taken."""
        block, first = self._answer(steps), 0
        self._changed = False
        for index, step in enumerate(steps):
            self.state.sequence, self.state.done, self.state.now_s = step.sequence, step.done, step.at_s
            if step.order is not None:
                self._order(step.order)
            elif step.is_label:
                self._label(step)
            else:
                assert block is not None
                self._see(step, block, first)
                first += len(step.ids)
            if self._changed:
                return index + 1
        return len(steps)

    def _answer(self, steps: Sequence[Step]) -> Block | None:
        """Have all models answer the rows of steps; None where there are no rows."""
        asked = [step for step in steps if step.columns is not None]
        if not asked:
            return None
        columns = joined(step.columns for step in asked if step.columns is not None)
        answers = {CHAMPION: self.champion.answer(columns)}
        answers |= {rival.key: rival.model.answer(columns) for rival in self.state.rivals.values()}
        answers[SERVED] = served = np.full_like(answers[CHAMPION], np.nan, dtype=np.float64)
        counts = [len(step.ids) for step in asked]
        shown = np.repeat([step.served is not None for step in asked], counts)
        if shown.any():
            served[shown] = np.concatenate([step.served for step in asked if step.served is not None])
        at_s = np.repeat([step.at_s for step in asked], counts)
        return Block(self.state.reign, columns, answers, shown, at_s)

    # --- a step ---

    def _see(self, step: Step, block: Block, first: int) -> None:
        state, rows = self.state, len(step.ids)
        state.waiting.expire(step.at_s)
        state.waiting.add(step.ids, block, first)
        if step.served is not None:
            state.count("shown", rows)
        for alarm in state.inputs.update(taken(block.columns, slice(first, first + rows))):
            self._alarm(alarm)

    def _label(self, label: Step) -> None:
        """Test with one label, then hand the row on to whom it is for."""
        state, target = self.state, label.target
        assert target is not None
        found = state.waiting.pop(label.ids[0])
        if found is None:
            state.count("unknown")
            return
        block, index = found
        state.count("labelled")
        row = Row(label.ids[0], state.counts["labelled"], block.row(index), target, label.source)
        was_held = state.shift.is_holding  # the label itself must not decide whether it speaks in a test
        held = state.shift.update(target)
        if not held:
            self._let_go()
        if (served := block.answer(SERVED, index)) is not None:
            state.metrics[SERVED].update(served, target)
        fate = fate_of(state, row, trusted=label.trusted, held=held)
        if block.reign == state.reign:
            self._compare(block, index, target, counts=fate.counts and not was_held)
        state.draw_curve()
        self._hand_on(row, fate)
        self._look_back()
        self._decide()

    def _compare(self, block: Block, index: int, target: float, *, counts: bool) -> None:
        """Hold the rivals against the champion on one row."""
        state, champion = self.state, block.answer(CHAMPION, index)
        assert champion is not None
        state.metrics[CHAMPION].update(champion, target)
        own = error_of(self.champion, champion, target, state.loss)
        for role, rival in state.rivals.items():
            answer = block.answer(rival.key, index)
            if answer is None:
                continue
            rival.measured.update(answer, target)
            if counts:
                difference = own - error_of(rival.model, answer, target, state.loss)
                rival.test.update(difference)
                if role == CHALLENGER:
                    state.lead.update(-difference)
        if not counts:
            return
        state.recent.append(own)
        state.loss.learn(champion, target)
        alarm = state.errors.update(own)
        if alarm is not None:
            self._alarm(alarm)
            self._drifted(alarm)

    def _hand_on(self, row: Row, fate: Fate) -> None:
        """Give a row to the challenger, or to whom it is for instead."""
        state = self.state
        is_wider = fate is not Fate.TRUSTED and state.ranges.note(row.columns, outside=fate is Fate.OUTSIDE)
        match fate:
            case Fate.LEARN:
                self._learn(row)
            case Fate.TRUSTED:
                state.count("trusted")
                state.trusted.add(row)
            case Fate.HOLDOUT:
                state.count("holdout")
                state.holdout.add(row)
            case Fate.HELD:
                state.count("held")
                state.held.add(row)
            case _:
                self._put_aside(row, fate)
        if is_wider:
            self._tell("ranges", "a fifth of the newest rows lie outside the ranges that were seen: they are widened")
            self._widened()

    def _learn(self, row: Row) -> None:
        state = self.state
        state.count("learnt")
        state.due.add(row)
        if len(state.due) == self._choices.learn.batch:
            rows = state.due.clear()
            self.challenger.learn(table(rows), targets(rows, classes=bool(self._classes)))
            self._changed = True

    def _put_aside(self, row: Row, fate: Fate) -> None:
        self.state.count("aside")
        (self.state.outside if fate is Fate.OUTSIDE else self.state.aside).add(row)
        self._publisher.aside(self.state.number(), self.state.now_s, row, fate.value)

    def _learn_late(self, row: Row) -> None:
        """Learn a row after all, if its source may have it learnt, and nobody has paused the learning."""
        if self.state.paused:
            self._put_aside(row, Fate.PAUSED)
        elif self.state.shares.admits(row.source):
            self._learn(row)
        else:
            self._put_aside(row, Fate.SHARE)

    def _release(self) -> None:
        """Have what was put aside learnt after all."""
        rows = [*self.state.outside.clear(), *self.state.aside.clear()]
        self.state.count("aside", -len(rows))
        for row in rows:
            self._learn(row)

    def _widened(self) -> None:
        """Have the rows learnt that lie inside the ranges by now."""
        rows = self.state.outside.clear()
        widen_target(self.state, [row.target for row in rows])
        for row in rows:
            if is_outside(self.state, row):
                self.state.outside.add(row)
            else:
                self.state.count("aside", -1)
                self._learn_late(row)

    def _let_go(self) -> None:
        """Decide about the rows that were held: labels that came to stay are learnt, a short burst of them is not."""
        rows = self.state.held.clear()
        self.state.count("held", -len(rows))
        for row in rows:
            if self.state.shift.stays:
                self._learn_late(row)
            else:
                self._put_aside(row, Fate.HELD)

    def _order(self, order: Ordered) -> None:
        state = self.state
        if order.action in ("pause", "resume"):
            state.paused = order.action == "pause"
        elif order.action == "release":
            self._release()
        elif order.action == "reset":
            self._reset()
        self._tell("order", order.why, action=order.action)

    # --- drift ---

    def _alarm(self, alarm: Alarm) -> None:
        self.state.alarmed(alarm)
        self._tell("alarm", alarm.sentence, detector=alarm.detector, column=alarm.column)

    def _drifted(self, alarm: Alarm) -> None:
        """React to an error that rose: what was true before may be so no longer."""
        self.state.rose_at = self.state.counts["labelled"] - alarm.rows
        fresh = sum(row.at > self.state.rose_at for row in self.state.due)
        self.challenger.drifted(max(0, alarm.rows - fresh))
        if self.state.drift_at is None:
            self.state.drift_at, self.state.drift_from = self.state.counts["labelled"], alarm.value
        self._changed = True

    def _look_back(self) -> None:
        """Start a sweep over the newest rows if a drift is still felt long after."""
        state, at = self.state, self.state.counts["labelled"]
        if state.drift_at is None or at < state.drift_at + _LASTS:
            return
        error = state.recent_error()
        if error is None:  # of a champion that has just taken over: it gets its time
            return
        begun, before = state.drift_at, state.drift_from
        state.drift_at = None
        rise = max(_RISE, 3 * (max(before, 0.0) * max(1 - before, 0.0) / _LASTS) ** 0.5)
        if error - before < rise or not self._choices.resweep or at < state.swept_at + _REST:
            return
        why = f"{at - begun} rows after the drift the error is {error:.3g}, {before:.3g} before"
        if self._publisher.resweep(self.challenger.buffer, why):
            state.swept_at = at
            self._tell("resweep", why)

    # --- decisions ---

    def _decide(self) -> None:
        """Let a rival take over that is better, or have the challenger begin again that is worse."""
        state, at = self.state, self.state.counts["labelled"]
        for role in (PREVIOUS, WINNER, CHALLENGER):
            rival = state.rivals.get(role)
            if rival is None or not stands(rival, self._choices.alpha / 2, at):
                continue
            objection = self._protected.objection(self.champion, rival, state.loss, at, drifted_at=state.rose_at)
            if objection:
                fell_through(rival, at, objection)
                self._tell("objection", objection, role=role)
                continue
            self._take_over(rival)
            return
        if is_behind(state):
            self._tell("reset", "the challenger does worse than the champion: it begins again from there")
            self._reset()

    def _take_over(self, rival: Rival) -> None:
        before = self.champion
        evidence = f"evidence {rival.test.log_evidence:.1f} over {rival.test.since} rows"
        why = f"the {rival.role} is better than {before.label}: {evidence}"
        place = f"{self.state.sequence}.{self.state.done}"
        try:
            if rival.role == CHALLENGER:
                champion = self._publisher.publish(self.challenger, place, why)
            else:
                champion = self._publisher.restore(rival.model, place, why, back=rival.role == PREVIOUS)
        except SweepError as error:
            fell_through(rival, self.state.counts["labelled"], error.sentence())
            self._tell("failed", error.sentence(), role=rival.role)
            return
        previous = self._to_keep(rival)
        self._crown(champion, "rollback" if rival.role == PREVIOUS else "take-over", why)
        if rival.role != CHALLENGER:
            self._follow()
        winner = self.state.rivals.get(WINNER)
        self.state.rivals = {
            CHALLENGER: self._rival(CHALLENGER, self.challenger),
            PREVIOUS: self._rival(PREVIOUS, previous),
        }
        if winner is not None and winner is not rival:  # it has won a sweep, and goes on standing
            self.state.rivals[WINNER] = self._rival(WINNER, winner.model)

    def _follow(self) -> None:
        """Have the challenger learn on from the champion, and rows held against its study where that is another one."""
        before = self.challenger.base
        try:
            self.challenger = self._publisher.follow(self.champion, self.challenger)
        except SweepError as error:  # a study that is gone, say: it learns on from where it is
            self._tell("failed", error.sentence(), role=CHALLENGER)
            return
        base = self.challenger.base
        if base.manifest.study != before.manifest.study:
            renew(self.state, base.signature, base.old.columns)

    def _to_keep(self, rival: Rival) -> Answering:
        """Return whom the new champion can be rolled back to: the last one that reigned for long.

        After a drift one takes over after the other, each a little better; if the drift reverses, the one from before
        it is wanted.
        """
        known = self.state.rivals.get(PREVIOUS)
        reigned = self.state.counts["labelled"] - self.state.crowned_at
        is_short = reigned < _SETTLED and known is not None and known is not rival
        return known.model if is_short and known is not None else self.champion

    def _crown(self, champion: Registered, how: str, why: str) -> None:
        state = self.state
        state.swapped(self.champion.label, champion.label, how, why)
        self._tell(how, why, before=self.champion.label, after=champion.label)
        self.champion = champion
        state.begin_reign(champion)
        self._changed = True

    def _reset(self) -> None:
        self._follow()
        self.state.rivals[CHALLENGER] = self._rival(CHALLENGER, self.challenger)
        self._changed = True

    def _rival(self, role: str, model: Answering) -> Rival:
        return self.state.rival(role, model)

    def _tell(self, event: str, why: str, **more: Any) -> None:
        state = self.state
        told = {"at_s": state.now_s, "row": state.counts["labelled"], "event": event, "why": why, **more}
        self._publisher.audit(state.number(), told)
