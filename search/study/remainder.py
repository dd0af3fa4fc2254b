"""What an ask gets when nothing new is to come, and what becomes of points that cannot be run: the `Remainder`."""

from __future__ import annotations

from collections.abc import Callable

from search.errors import FailReason
from search.study import attributes
from search.study.course import Course
from search.study.held import Hands, Held
from search.study.ledger import Ledger
from search.study.mixed import MovedPoint
from search.study.resting import Resting
from search.study.suggester import Suggester
from search.study.writer import TrialWriter
from search.trial import Asked, Ending, Outcome, TrialSpec


class Remainder:
    """The trials that are left of a study: those that rest at rungs, and enqueued ones that nobody can run.

    Args:
        hands: The trials that have not ended.
        ledger: Counts those that have.
        course: Says whether the sweep goes on.
        resting: The trials that rest.
        suggester: Has the enqueued ones.
        writer: Writes to the storage.
        end: Ends a trial.
    """

    def __init__(
        self,
        hands: Hands,
        ledger: Ledger,
        course: Course,
        resting: Resting,
        suggester: Suggester,
        writer: TrialWriter,
        end: Callable[[Held, Outcome], None],
    ) -> None:
        self._hands, self._ledger, self._course = hands, ledger, course
        self._resting, self._suggester, self._writer, self._end = resting, suggester, writer, end

    def ask(self, request: str) -> Asked:
        """Answer an ask when nothing new is to come: what runs may still run to its end, then those that rest end.

        While no trial of the study is COMPLETE the best of those at the highest rung goes on: a small sweep would
        otherwise end with nothing that was trained to its end.
        """
        if not self._hands.busy:
            none_yet = not self._ledger.counts["complete"]
            promoted = self._resting.wake(request, at_least_one=True) if none_yet else None
            if promoted is not None:
                return Asked(promoted.spec)
            self.end_resting()
        return Asked(done=self._course.why_stopping())

    def ask_after_the_last_point(self, why: str, request: str) -> Asked:
        """Answer an ask when the sampler has nothing left, and say why it has not."""
        asked = self.ask(request)
        if self._hands.busy:  # with what was given out now, if anything was
            return asked
        self._course.stop("finished", why)
        return Asked(done=self._course.why_stopping())

    def end_resting(self) -> None:
        """End the trials that rest at a rung, which will not be promoted any more."""
        for held, pruning, outcome in [*self._resting.left()]:
            with self._writer.batch():
                self._writer.attribute(held, attributes.PRUNING, pruning.to_json())
                self._end(held, outcome)

    def move_waiting(self, fault: MovedPoint) -> None:
        """Enqueue an enqueued trial once more, as another one that Optuna lets have what it asks for."""
        self._suggester.move_waiting()
        self._ledger.take_back([self._suggester.first_waiting.number])
        self.refuse_waiting(f"its point goes on as another trial, since {fault.message}")

    def refuse_waiting(self, text: str) -> None:
        """End an enqueued trial that cannot be run, and go on with the next."""
        waiting = self._suggester.first_waiting
        held = Held(TrialSpec(waiting.number, {}), waiting._trial_id, "")
        self._hands.hold(held)
        self._suggester.give_up_waiting()
        self._end(held, Outcome(Ending.FAIL, reason=FailReason.INVALID, text=text))
