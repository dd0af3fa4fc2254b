"""The study's one owner: suggests trials, judges reports, and is the only writer of the storage.

Usable without Ray. Calls are at-least-once, so each is idempotent: an ask by its request, a begin by its token, a
report by (trial, step), a tell by the trial. One thread calls it.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import TrialState

from search.contract import Space
from search.errors import FailReason
from search.plan import SweepPlan
from search.status import RunningTrial, Status, SweepState
from search.study import attributes, pruners
from search.study.choice import Choice
from search.study.course import Course
from search.study.held import Held, take_up
from search.study.ledger import Ledger
from search.study.record import from_frozen
from search.study.runs import closed, last_event_of
from search.study.storage import StudyStorage, open_for_writing
from search.study.suggester import Suggester
from search.trial import Asked, Begun, Ending, Outcome, Progress, TrialSpec, Verdict

SYNC_EVERY_S: Final = 1.0
"""Longest time that an acknowledged report may be lost to a power cut."""

SYNC_GAP_S: Final = 0.1
"""Shortest time between two syncs: where many short trials end, one sync serves several, at the next call."""

UNHEARD_S: Final = 60.0
"""How long after its time-out a trial that was lost without a word is taken to have hung."""

_STATES: Final = {
    Ending.COMPLETE: TrialState.COMPLETE,
    Ending.PRUNED: TrialState.PRUNED,
    Ending.FAIL: TrialState.FAIL,
}


class StudyOwner:
    """The one `optuna.Study` of a sweep, and what is known of its trials.

    Args:
        plan: The sweep as launched.
        storage: Open for writing; the owner's from here on.
        space: The search space.
        slots: How many trials may be held at once.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        plan: SweepPlan,
        storage: StudyStorage,
        space: Space,
        *,
        slots: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._storage = storage
        self._slots = slots
        self._clock = clock
        self._synced = clock()
        self._sync_due = False
        self._pruner = pruners.make(
            Choice.parse(plan.pruner),
            directions=plan.directions,
            seed=plan.seed,
            max_epochs=plan.max_epochs,
        )
        self._ledger = Ledger(plan.directions, plan.max_epochs)
        self._held: dict[int, Held] = {}
        self._requests: dict[str, int] = {}
        self._released: deque[int] = deque()  # numbers of held trials whose slot is gone
        self._course = Course(plan, self._ledger, self._held.values, clock)
        self._study = _open_study(plan, storage.optuna)
        self._suggester = Suggester(plan, self._study, storage, space)
        self._reload()

    @classmethod
    def open(cls, plan: SweepPlan, folder: Path, space: Space, *, slots: int) -> StudyOwner:
        """Open, or make, the study of `plan` in its folder.

        Raises:
            RefusedError: Another process owns it.
            SurroundingsError: The storage cannot be written, or is damaged.
        """
        storage = open_for_writing(plan.storage or folder / "study.journal", study=plan.study, folder=folder)
        try:
            return cls(plan, storage, space, slots=slots)
        except BaseException:
            storage.close()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        """What was repaired in the storage when it was opened, a sentence each."""
        return tuple(self._storage.notes)

    # --- the four calls of a worker ---

    def ask(self, request: str) -> Asked:
        """Give a free worker its next trial; the same request gets the same answer.

        Raises:
            InputError: The space is wrong.
        """
        known = self._requests.get(request)
        if known is not None:
            held = self._held.get(known)
            return Asked(held.spec if held is not None else TrialSpec(known, {}))  # `begin` skips what has ended
        if self._course.why_stopping() is not None:
            return Asked(done=self._course.why_stopping())
        taken_back = self._take_released(request)
        if taken_back is not None:
            return Asked(taken_back.spec)
        if len(self._running()) >= self._slots or not self._course.has_room():
            return Asked()
        if self._suggester.exhausted:
            return self._after_the_last_point()
        frozen = self._suggester.next(request)
        spec = TrialSpec(frozen.number, dict(frozen.params))
        self._held[frozen.number] = Held(spec, frozen._trial_id, request)
        self._requests[request] = frozen.number
        return Asked(spec)

    def begin(self, number: int, token: str, *, worker: str = "", hung: str = "") -> Begun:
        """Let a worker start a trial: anew, from its last checkpoint, or not at all.

        A fresh token for a trial that has begun already means that the worker before was lost. How often that may
        happen is decided here and nowhere else.

        Args:
            number: The trial.
            token: Unique to this attempt.
            worker: Who, for people.
            hung: Where the attempt before hung when its watchdog ended it; "" if it was lost otherwise.
        """
        held = self._held.get(number)
        if held is None:
            return Begun("skip")
        if held.token == token:
            return Begun("resume" if held.resumed else "start", self._plan.trial_timeout_s)
        if held.began is not None:
            self._lose(held, hung)
            if number not in self._held:
                return Begun("skip")
        resumed = held.lost > 0 or held.paused
        attempt = {
            "token": token,
            "worker": worker,
            "started": time.time(),
            "resumed": resumed,
            "lost": held.lost,  # with the new attempt: a crash in between leaves the loss to be found again
            "held_s": held.before_s,
        }
        self._attribute(held, attributes.ATTEMPT, attempt)  # which ends a pause, too: its lease names another token
        held.token, held.began, held.resumed, held.paused = token, self._clock(), resumed, False
        if number in self._released:  # its worker was only late
            self._released.remove(number)
        return Begun("resume" if resumed else "start", self._plan.trial_timeout_s)

    def report(self, number: int, token: str, progress: Progress) -> Verdict:
        """Take one step of a trial in, and say whether it goes on. Stored before it is answered."""
        held = self._held.get(number)
        if held is None or held.token != token or held.paused:
            return Verdict.STOP
        if progress.step <= held.step:  # a repeated call, or a replayed training
            return held.verdict if progress.step == held.step else Verdict.CONTINUE
        missing = [name for name in self._plan.metrics if name not in progress.metrics]
        if missing:
            self._refuse_report(held, missing[0], progress)
            return Verdict.STOP
        with self._storage.batch():  # in a journal report and verdict are one write: a crash keeps both or neither
            self._store(held, progress)
            held.verdict = self._judge(held, progress)
        self._sync_if_due()
        return held.verdict

    def tell(self, number: int, token: str, outcome: Outcome) -> None:
        """End a trial, or pause it; whatever comes after its end changes nothing."""
        held = self._held.get(number)
        if held is None or held.token != token:
            return
        if outcome.ending is Ending.PAUSED:
            self._pause(held)
            return
        self._end(held, outcome)
        self._course.stop_if_hopeless()

    def release(self, slot: str) -> None:
        """Take back the trials that a slot asked for and did not end; the next ask gets them."""
        for request, number in list(self._requests.items()):
            if request.rpartition(":")[0] != slot:
                continue
            del self._requests[request]
            held = self._held.get(number)
            if held is None:
                continue
            held.request = ""
            self._store_lease(held)
            if not held.paused and number not in self._released:
                self._released.append(number)

    # --- the sweep as a whole ---

    def stop(self, state: SweepState, why: str) -> None:
        """Ask for no more trials, and let running ones pause at their next report."""
        self._course.stop(state, why)

    def finish(self) -> Status:
        """End this run of the sweep: nothing stays held by nobody, and everything is on disk."""
        for held in list(self._held.values()):
            if not held.paused:
                self._pause(held)
        if self._course.why_stopping() is None:
            self._course.stop("stopped", "ended before its budget was used up")
        assert self._course.stopping is not None
        state, why = self._course.stopping
        if state == "finished" and not self._ledger.counts["complete"]:
            state = "failed"
        *before, this_run = self._study_attributes()[attributes.RUNS]
        self._set_study(attributes.RUNS, [*before, {**this_run, "seconds": self._course.run_s}])
        self._set_study(attributes.STOPPED, {"state": state, "why": why})
        self._storage.sync()
        self._course.stopping = (state, why)
        return self.status()

    def close(self) -> None:
        """Let go of the storage and its lock."""
        self._storage.close()

    def tick(self) -> str | None:
        """Do what time asks for: sync, and notice used-up budgets. Say why the sweep is stopping, if it is."""
        self._sync_if_due()
        return self._course.why_stopping()

    def prepare(self, baseline: Mapping[str, float]) -> None:
        """Keep the score of a naive prediction, and queue the points to try first; done once in a study's life."""
        if attributes.BASELINE in self._study_attributes():
            return
        with self._storage.batch():
            for point in self._plan.enqueued:
                self._suggester.enqueue(point)
            self._set_study(attributes.BASELINE, dict(baseline))

    def status(self) -> Status:
        """Return where the sweep stands."""
        held = self._held.values()
        running = [one for one in held if not one.paused]
        ledger, scores = self._ledger, self._ledger.scores
        counts = {**ledger.counts, "running": len(running), "paused": len(self._held) - len(running)}
        state, why = self._course.stopping or ("running", "")
        seconds = self._course.spent().seconds
        return Status(
            study=self._plan.study,
            state=state,
            metrics=self._plan.metrics,
            directions=self._plan.directions,
            trials={**counts, "waiting": self._suggester.waiting},
            best=scores.best,
            front=scores.front if len(self._plan.metrics) > 1 else (),
            best_age=scores.since_best,
            epochs_run=ledger.epochs,
            epochs_saved=ledger.epochs_saved,
            seconds=seconds,
            why_stopped=why,
            results=str(Path(self._plan.results) / self._plan.study),
            baseline=self._study_attributes().get(attributes.BASELINE, {}),
            failures=dict(ledger.failures),
            running=tuple(RunningTrial(one.spec.number, one.step, one.value) for one in running),
            max_epochs=self._plan.max_epochs,
            target_trials=self._plan.trials,
            left_s=None if self._plan.time_s is None else max(0.0, self._plan.time_s - seconds),
        )

    def _take_released(self, request: str) -> Held | None:
        """Give a trial whose slot is gone to this request; None if there is none that has not ended meanwhile."""
        while self._released:
            held = self._held.get(self._released[0])
            if held is not None and not held.paused:
                held.request = request
                self._store_lease(held)
                self._requests[request] = self._released.popleft()
                return held
            self._released.popleft()
        return None

    def _after_the_last_point(self) -> Asked:
        """Answer an ask when the sampler has nothing left: what runs may still run to its end."""
        if self._running():
            return Asked()
        self._course.stop("finished", "every point of the grid has been tried")
        return Asked(done=self._course.why_stopping())

    # --- judging ---

    def _store(self, held: Held, progress: Progress) -> None:
        storage, first = self._storage.optuna, self._plan.metrics[0]
        value = progress.metrics[first]
        if len(self._plan.metrics) == 1:
            storage.set_trial_intermediate_value(held.trial_id, progress.step, value)
        if len(progress.metrics) > 1:
            self._attribute(held, attributes.metrics_key(progress.step), dict(progress.metrics))
        self._ledger.epochs += progress.step - held.step
        held.step, held.value = progress.step, value

    def _judge(self, held: Held, progress: Progress) -> Verdict:
        if progress.step < self._plan.max_epochs:
            trial = self._storage.optuna.get_trial(held.trial_id)
            pruning = self._pruner.judge(self._study, trial)
            if pruning is not None:
                self._attribute(held, attributes.PRUNING, pruning.to_json())
                return Verdict.PRUNE
        return Verdict.CONTINUE if self._course.why_stopping() is None else Verdict.STOP

    def _refuse_report(self, held: Held, missing: str, progress: Progress) -> None:
        said = f"trial {held.spec.number} reported no {missing!r}; it reported {', '.join(sorted(progress.metrics))}"
        self._end(held, Outcome(Ending.FAIL, reason=FailReason.INVALID, text=said, units=progress.units))
        if self._ledger.epochs == 0:  # nobody has ever reported it: no trial will
            self._course.stop("failed", said)

    # --- ending ---

    def _end(self, held: Held, outcome: Outcome) -> None:
        state, values = _STATES[outcome.ending], self._values(held, outcome)
        end = {
            "reason": outcome.reason.value if outcome.reason else None,
            "text": attributes.short(outcome.text),
            "step": outcome.step,
            "metrics": dict(outcome.metrics),
            "units": outcome.units,
            "stage_s": dict(outcome.stage_s),
            "lost": held.lost,
            "held_s": held.seconds(self._clock()),
        }
        with self._storage.batch():
            self._attribute(held, attributes.END, end)
            for name, value in outcome.metrics.items() if outcome.ending is Ending.COMPLETE else ():
                self._storage.optuna.set_trial_user_attr(held.trial_id, name, value)
            self._storage.optuna.set_trial_state_values(held.trial_id, state, values)
        del self._held[held.spec.number]
        ended = self._storage.optuna.get_trial(held.trial_id)
        self._ledger.count(from_frozen(ended))
        self._pruner.settle(ended)
        self._sync_at_an_end()

    def _values(self, held: Held, outcome: Outcome) -> list[float] | None:
        if outcome.ending is Ending.COMPLETE:
            return [outcome.metrics[name] for name in self._plan.metrics]
        if outcome.ending is Ending.PRUNED and held.value is not None and len(self._plan.metrics) == 1:
            return [held.value]  # as Optuna does: the last report
        return None

    def _store_lease(self, held: Held) -> None:
        lease = {
            "held": not held.paused,
            "token": held.token,
            "request": held.request,
            "held_s": held.before_s,
        }
        self._attribute(held, attributes.LEASE, lease)

    def _pause(self, held: Held) -> None:
        held.let_go(self._clock())
        held.paused = True
        self._store_lease(held)
        self._sync_at_an_end()

    def _lose(self, held: Held, hung: str) -> None:
        """Note that the worker of a trial was lost; give the trial up if that was once too often, or its own doing."""
        assert held.began is not None
        lasted_s = self._clock() - held.began
        held.let_go(self._clock())
        held.lost += 1
        limit_s = self._plan.trial_timeout_s
        if limit_s is not None and (hung or lasted_s >= limit_s + UNHEARD_S):
            self._end(
                held, Outcome(Ending.FAIL, held.step, reason=FailReason.TIMEOUT, text=f"longer than {limit_s:g} s")
            )
        elif held.lost > self._plan.retries:
            text = f"its worker was lost {held.lost} times"
            self._end(held, Outcome(Ending.FAIL, held.step, reason=FailReason.WORKER_LOST, text=text))
        self._course.stop_if_hopeless()

    # --- bookkeeping ---

    def _running(self) -> list[Held]:
        return [one for one in self._held.values() if not one.paused]

    def _reload(self) -> None:
        """Take up what the storage holds."""
        trials = self._study.get_trials(deepcopy=False)
        runs = closed(self._study_attributes().get(attributes.RUNS, []), last_event_of(map(from_frozen, trials)))
        self._ledger.seconds = sum(run["seconds"] for run in runs)
        self._set_study(attributes.RUNS, [*runs, {"started": time.time()}])
        for trial in sorted(trials, key=lambda one: (one.datetime_complete is None, one.datetime_complete, one.number)):
            lease = trial.system_attrs.get(attributes.LEASE, {})
            request = lease.get("request", trial.system_attrs.get(attributes.REQUEST))
            if request:
                self._requests[request] = trial.number
            record = from_frozen(trial)
            self._ledger.epochs += record.last_step
            if trial.state.is_finished():
                self._ledger.count(record)
            elif request is not None and trial.state is TrialState.RUNNING:
                held = self._held[trial.number] = take_up(trial, request, self._clock())
                if not (request or held.paused) and lease["token"] == held.token:
                    self._released.append(trial.number)
        for trial in trials:  # enqueued and not taken: WAITING, or RUNNING if a crash cut the taking short
            open_ = not trial.state.is_finished() and attributes.REQUEST not in trial.system_attrs
            self._suggester.know(trial.number, waiting=open_)
        self._pruner.replay(trials)
        self._course.stop_if_hopeless()

    def _attribute(self, held: Held, key: str, value: Any) -> None:
        self._storage.optuna.set_trial_system_attr(held.trial_id, key, value)

    def _set_study(self, key: str, value: Any) -> None:
        self._storage.optuna.set_study_system_attr(self._study._study_id, key, value)

    def _study_attributes(self) -> dict[str, Any]:
        return self._storage.optuna.get_study_system_attrs(self._study._study_id)

    def _sync_at_an_end(self) -> None:
        self._sync_due = True
        self.tick()

    def _sync_if_due(self) -> None:
        since = self._clock() - self._synced
        if since > SYNC_EVERY_S or (self._sync_due and since > SYNC_GAP_S):
            self._sync()

    def _sync(self) -> None:
        self._storage.sync()
        self._synced, self._sync_due = self._clock(), False


def _open_study(plan: SweepPlan, storage: optuna.storages.BaseStorage) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study on stderr
    directions = [optuna.study.StudyDirection[one.upper()] for one in plan.directions]
    study = optuna.create_study(storage=storage, study_name=plan.study, directions=directions, load_if_exists=True)
    attrs = storage.get_study_system_attrs(study._study_id)
    if attributes.SCHEMA_KEY not in attrs:
        storage.set_study_system_attr(study._study_id, attributes.SCHEMA_KEY, attributes.SCHEMA)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(plan.metrics))
    return study
