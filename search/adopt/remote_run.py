"""One run of an objective of Optuna's on a worker: called once, and its end told as Optuna would tell it."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.exceptions import TrialPruned

from search.adopt.remote_line import ByHandSession, Left, Line
from search.adopt.remote_trial import remote_trial
from search.blame import Fail, blame
from search.errors import FailReason, InputError
from search.randomness import seed_globals, stage_seed
from search.trial import Ending, Outcome, Progress, TrialSpec

if TYPE_CHECKING:
    from optuna.trial import Trial

    from search.session import Setting


@dataclass(frozen=True, slots=True)
class Called:
    """What an objective is called with, and what its values are called.

    Attributes:
        function: Takes a trial and returns a value, or several.
        names: Of the values.
        directions: Of the values.
    """

    function: Callable[[Any], Any]
    names: tuple[str, ...]
    directions: tuple[str, ...]


class ObjectiveRun:
    """One run of one trial; iterate over it to run it whole, then read `outcome`.

    Args:
        called: The objective.
        spec: Which trial.
        setting: What of the plan concerns it.
        session: Its way out.
        told: What the study was told at each step by an attempt before.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        called: Called,
        spec: TrialSpec,
        setting: Setting,
        session: ByHandSession,
        *,
        told: Mapping[int, Mapping[str, float]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._called, self._spec, self._setting, self._told = called, spec, setting, told
        self._clock, self._began = clock, clock()
        self._line = Line(session, lambda: clock() - self._began, setting.timeout_s)
        self._trial: Trial | None = None
        self.outcome = Outcome(Ending.FAIL, reason=FailReason.INVALID, text="the trial was not run")

    def __iter__(self) -> Generator[Progress, None, None]:
        seed_globals(stage_seed(self._setting.seed, self._spec.number, "global 0"))
        try:
            self.outcome = self._run()
        except Left as left:
            self.outcome = self._left(left)
        except TrialPruned as pruned:
            self.outcome = self._ended(Ending.PRUNED, text=str(pruned).strip() or "pruned")
        except Fail as fail:
            self.outcome = self._ended(Ending.FAIL, text=fail.text, reason=fail.reason)
        except InputError as fault:
            self.outcome = self._ended(
                Ending.FAIL, text=fault.sentence(), reason=FailReason.INVALID, trace=traceback.format_exc()
            )
        except (Exception, SystemExit) as error:  # `sys.exit()` ends the trial, not the worker
            self.outcome = self._raised(error, *blame(error))
        if self._line.left is not None:  # also where the objective caught it
            self.outcome = self._left(self._line.left)
        if self._line.lost is not None:
            raise self._line.lost
        yield from ()

    def _run(self) -> Outcome:
        self._trial = remote_trial(self._line, self._spec.number, list(self._called.directions))
        returned = self._called.function(self._trial)
        self._line.check_time()
        values = values_of(returned, len(self._called.directions))
        return self._ended(Ending.COMPLETE, values, text="its own return")

    def _raised(self, error: BaseException, reason: FailReason, text: str) -> Outcome:
        ends_sweep = bool(self._setting.catch) and not is_named(type(error), self._setting.catch)
        trace = traceback.format_exc()
        return self._ended(Ending.FAIL, text=text, reason=reason, trace=trace, ends_sweep=ends_sweep)

    def _left(self, left: Left) -> Outcome:
        return self._ended(left.ending, text=left.text, reason=left.reason)

    def _ended(self, ending: Ending, values: tuple[float, ...] = (), **given: Any) -> Outcome:
        reports = self._trial._cached_frozen_trial.intermediate_values if self._trial is not None else {}
        metrics = dict(zip(self._called.names, values, strict=True)) if values else {}
        if not values and reports and math.isfinite(reports[max(reports)]):
            metrics = {self._called.names[0]: reports[max(reports)]}
        return Outcome(
            ending,
            step=max(reports, default=0),
            metrics=metrics,
            units=len(reports),
            stage_s={"train": round(self._clock() - self._began, 6)},
            notes=tuple(self._notes(reports)),
            **given,
        )

    def _notes(self, reports: Mapping[int, float]) -> list[str]:
        """Say where an objective that runs again comes to something else than it reported before."""
        name = self._called.names[0]
        for step in sorted(reports.keys() & self._told.keys()):
            before = self._told[step].get(name)
            if before is not None and before != reports[step] and not math.isnan(before):
                return [f"repeated training differs at step {step}: {name} {reports[step]}, was {before}"]
        return []


def values_of(returned: Any, count: int) -> tuple[float, ...]:
    """Return what an objective returned as numbers; Optuna accepts the same.

    Args:
        returned: A value, or a sequence of them.
        count: How many there should be.

    Raises:
        Fail: It is something else.
    """
    if returned is None:
        raise Fail(FailReason.INVALID, "the objective returned None; return the value that is searched")
    values = []
    for one in returned if isinstance(returned, Sequence) else [returned]:
        try:
            value = float(one)
        except (TypeError, ValueError) as error:
            raise Fail(FailReason.INVALID, f"the objective returned {returned!r:.80}, which is no number") from error
        if math.isnan(value):
            raise Fail(FailReason.NAN, "the objective returned nan")
        values.append(value)
    if len(values) != count:
        raise Fail(
            FailReason.INVALID,
            f"the objective returned {_counted(len(values))}, and {count} {'is' if count == 1 else 'are'} searched; "
            f"give --direction {_times(len(values))}",
        )
    return tuple(values)


def is_named(kind: type[BaseException], names: Sequence[str]) -> bool:
    """Tell whether an exception is of one of these classes, given as `NAME` or `package.module.NAME`."""
    own = {name for one in kind.__mro__ for name in (one.__name__, f"{one.__module__}.{one.__qualname__}")}
    return not own.isdisjoint(names)


def _counted(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
