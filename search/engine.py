"""Run one trial: the loop between an objective's four stages and a `Session`. Knows no Ray and no Optuna.

The engine drives the loop one unit of training at a time. Between two units it reports, keeps the best state,
checkpoints, stops early, prunes, pauses and times out, so that an objective has none of this in it.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from search.blame import Fail, blame, finite
from search.building import Building
from search.checkpoint import Checkpoint, CheckpointDamaged, CheckpointKind, Memory, copied
from search.contract import REPLAY, Learner, Replay
from search.errors import FailReason, SurroundingsError
from search.predictions import Predictions
from search.problem import Problem, Short
from search.randomness import seed_globals, stage_seed
from search.session import Session, SessionLost, Setting
from search.told import Told
from search.trial import Ending, Outcome, Progress, TrialSpec, Verdict

CHECKPOINT_EVERY_S = 10.0
"""Seconds of training between two checkpoints of a running trial."""


def step_of(units: int, budget: int, max_epochs: int) -> int:
    """Map units done onto the sweep's scale 1..max_epochs; 0 while less than one step is done."""
    return max_epochs if units >= budget else units * max_epochs // budget


class TrialRun:
    """One run of one trial; iterate over it to run it, a step at a time, then read `outcome`.

    Args:
        problem: The objective with its data, got and split.
        spec: Which trial.
        setting: What of the plan concerns it.
        session: Its way out.
        resume: Go on from the session's last checkpoint.
        told: What the study has been told at each step before; a training that repeats a step has to come to the same,
            and says so in the outcome's notes where it does not. A checkpoint of a later step is not gone on from:
            the report that it followed was never stored. None: not known.
        checkpoint_every_s: Seconds of training between two checkpoints; `CHECKPOINT_EVERY_S` if not given.
        clock: Monotonic seconds.
        began: When the trial began, by the clock, if that was before now: a fold shares its trial's time.

    Example:
        >>> run = TrialRun(problem, spec, setting, session)
        >>> for progress in run: ...
        >>> run.outcome
    """

    def __init__(
        self,
        problem: Problem,
        spec: TrialSpec,
        setting: Setting,
        session: Session,
        *,
        resume: bool = False,
        told: Mapping[int, Mapping[str, float]] | None = None,
        checkpoint_every_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        began: float | None = None,
    ) -> None:
        self._problem = problem
        self._spec = spec
        self._setting = setting
        self._session = session
        self._resume = resume
        self._told = Told(told)
        self._every_s = CHECKPOINT_EVERY_S if checkpoint_every_s is None else checkpoint_every_s
        self._notes: list[str] = []
        self._clock = clock
        self._began = clock() if began is None else began
        self._stage_s: dict[str, float] = {}
        self._building = Building(problem, spec, setting, self._stage, clock=clock, began=self._began)
        self._predictions = Predictions(problem, self._building)
        self._memory = Memory()
        self._best_state: Checkpoint | None = None
        self._best_saved = 0
        self._replays = False
        self._units = 0
        self._step = 0
        self.outcome = Outcome(Ending.FAIL, reason=FailReason.INVALID, text="the trial was not run")

    def __iter__(self) -> Generator[Progress, None, None]:
        try:
            ending, text = yield from self._train()
            self.outcome = self._end(ending, text)
        except Fail as fail:
            self.outcome = self._failed(fail.reason, fail.text, fail.trace)
        except (SessionLost, SurroundingsError):
            raise
        except (Exception, SystemExit) as error:  # `sys.exit()` in a stage ends the trial, not the worker
            self.outcome = self._failed(*blame(error), trace=traceback.format_exc())
        finally:
            self._close()

    def _train(self) -> Generator[Progress, None, tuple[Ending, str]]:
        learner = self._restored()
        if self._units >= learner.budget:  # trained to its end, which nobody heard of
            return Ending.COMPLETE, "full budget"
        checkpointed = self._clock()
        while True:
            self._seed_globals(f"global {self._units}")  # of each unit, so that a resumed training draws the same
            with self._stage("train"):
                try:
                    training = learner.fit_epoch()
                except StopIteration:
                    return self._ended_by_itself()
            self._units += 1
            step = step_of(self._units, learner.budget, self._setting.max_epochs)
            self._check_time()
            if step <= self._step:
                continue  # less than a step of the sweep's scale
            self._step = step

            with self._stage("evaluate"):
                metrics = finite({**training, **learner.evaluate()})
            self._remember(metrics, learner)
            if note := self._told.difference(step, metrics):
                self._notes.append(note)
            why_it_ends = self._why_it_ends(learner, metrics)
            progress = Progress(step, metrics, self._units, is_last=why_it_ends is not None)
            with self._stage("report"):
                verdict = self._session.report(progress)
            yield progress

            if verdict is Verdict.GONE:
                return Ending.PAUSED, "it is no longer this worker's"
            if verdict is Verdict.PRUNE:
                return Ending.PRUNED, "pruned"
            if why_it_ends is not None:
                return Ending.COMPLETE, why_it_ends
            if verdict in (Verdict.STOP, Verdict.PAUSE):
                self._save(learner)
                return Ending.PAUSED, "the sweep is stopping" if verdict is Verdict.STOP else "it rests at a rung"
            self._check_time()
            # once in a while: keep what a lost worker would lose
            if self._clock() - checkpointed >= self._every_s:
                self._save(learner)
                checkpointed = self._clock()

    def _restored(self) -> Learner:
        """Return the learner as of its furthest checkpoint that can be used; without one training starts anew.

        A learner that replays starts anew, too; what it reports again counts once.
        """
        learner = self._building.learner()
        if not self._resume or not self._keeps_checkpoints:
            return learner
        best, latest = self._load("best"), self._load("latest")
        there = [one for one in (latest, best) if one is not None and one.step <= self._told.last]
        usable = [one for one in there if not isinstance(one.state, Replay)]
        checkpoint = max(usable, key=lambda one: one.step, default=None)
        if checkpoint is None or isinstance(checkpoint.state, Replay):
            return learner
        memory = Memory.from_json(checkpoint.memory)
        if best is None or best.step != memory.best_step:
            self._notes.append(f"the state of its best step {memory.best_step} is gone: training started anew")
            return learner
        try:
            learner.load_state(checkpoint.state)
        except Exception as error:  # the learner's code has changed, say: no fault of the configuration
            self._notes.append(f"its checkpoint does not fit ({blame(error)[1]}): training started anew")
            return self._building.learner()
        self._units, self._step, self._memory = checkpoint.units, checkpoint.step, memory
        self._best_state, self._best_saved = best, memory.best_step
        return learner

    def _load(self, kind: CheckpointKind) -> Checkpoint | None:
        try:
            return self._session.load(kind)
        except CheckpointDamaged:
            self._notes.append(f"its {kind} checkpoint was damaged")
            return None

    def _remember(self, metrics: dict[str, float], learner: Learner) -> None:
        memory, name = self._memory, self._setting.searched.name
        memory.metrics = metrics
        if name in metrics and (
            memory.best_step == 0
            or self._averages  # a mean over more folds says more, even where it is worse
            or _is_better(metrics[name], memory.best_metrics[name], self._setting.searched.direction)
        ):
            memory.best_step, memory.best_metrics = self._step, metrics
        watched, sign = self._watched(metrics)
        value = sign * metrics.get(watched, math.inf)
        if value < memory.watched_best:
            memory.watched_best, memory.watched_step = value, self._step
        if memory.best_step == self._step and self._keeps_checkpoints:
            self._best_state = Checkpoint(self._step, self._units, copied(learner.state()), memory.to_json())
            self._predictions.take(learner)

    def _watched(self, metrics: Mapping[str, float]) -> tuple[str, int]:
        """Return the metric that ends a trial early, and its sign towards smaller-is-better."""
        if "val_loss" in metrics:
            return "val_loss", 1
        return self._setting.searched.name, 1 if self._setting.searched.direction == "minimize" else -1

    def _why_it_ends(self, learner: Learner, metrics: Mapping[str, float]) -> str | None:
        """Return why the training is at its end with this step; None if it is not."""
        if self._units >= learner.budget:
            return "full budget"
        patience = self._setting.patience
        if patience > 0 and not self._averages and self._step - self._memory.watched_step >= patience:
            return f"{self._watched(metrics)[0]} no better for {patience} epochs"
        return None

    def _check_time(self) -> None:
        limit = self._setting.timeout_s
        if limit is not None and self._clock() - self._began > limit:
            raise Fail(FailReason.TIMEOUT, f"longer than {limit:g} s")

    def _ended_by_itself(self) -> tuple[Ending, str]:
        if self._step == 0:
            number = self._spec.number
            raise Fail(
                FailReason.INVALID,
                f"trial {number} ended without one report; yield or return at least one metric",
            )
        return Ending.COMPLETE, "ended by itself"

    def _save(self, learner: Learner) -> None:
        self._save_best()  # first: what "latest" remembers as best is there whatever happens in between
        state = learner.state() if self._keeps_checkpoints else REPLAY
        self._replays = isinstance(state, Replay)
        if self._keeps_checkpoints:
            self._session.save("latest", Checkpoint(self._step, self._units, state, self._memory.to_json()))

    @property
    def _keeps_checkpoints(self) -> bool:
        """A generator has no state to keep: it is run again from its parameters and seed."""
        return self._averages or not isinstance(self._problem.stages, Short)

    @property
    def _averages(self) -> bool:
        """Whether a unit is a whole training: what is reported is the mean so far, and what is kept its parts."""
        return bool(self._problem.folds) or self._setting.replicates > 1

    def _save_best(self) -> None:
        if not self._keeps_checkpoints:
            return
        if self._best_state is not None and self._memory.best_step != self._best_saved:
            with self._stage("evaluate"):
                evaluation = self._predictions.evaluation()
            self._session.save("best", replace(self._best_state, evaluation=evaluation))
            self._best_saved = self._memory.best_step

    def _end(self, ending: Ending, text: str) -> Outcome:
        memory = self._memory
        if ending is Ending.COMPLETE:
            self._save_best()
            metrics = self._building.fold_means or memory.best_metrics
            return self._outcome(ending, memory.best_step, metrics, text=text)
        return self._outcome(ending, self._step, memory.metrics, text=text)

    def _failed(self, reason: FailReason, text: str, trace: str = "") -> Outcome:
        outcome = self._outcome(Ending.FAIL, self._step, self._memory.metrics, text=text)
        return replace(outcome, reason=reason, trace=trace)

    def _outcome(self, ending: Ending, step: int, metrics: Mapping[str, float], *, text: str) -> Outcome:
        spent = self._building.spent(self._stage_s)
        return Outcome(
            ending,
            step,
            metrics,
            self._units,
            text=text,
            stage_s={stage: round(seconds, 6) for stage, seconds in spent.items()},
            notes=(*self._building.notes, *self._building.told, *self._notes, *self._predictions.notes),
            reuse=self._building.reuse,
            splits_batches=self._building.splits_batches,
            gpu_idle=self._building.gpu_idle,
            replays=self._replays,
        )

    def _close(self) -> None:
        before = len(self._building.notes)
        self._building.close()
        self.outcome = replace(self.outcome, notes=(*self.outcome.notes, *self._building.notes[before:]))

    def _seed_globals(self, stage: str) -> None:
        seed_globals(stage_seed(self._setting.seed, self._spec.number, stage))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        begun = self._clock()
        try:
            yield
        finally:
            self._stage_s[name] = self._stage_s.get(name, 0.0) + self._clock() - begun


def _is_better(value: float, than: float, direction: str) -> bool:
    return value < than if direction == "minimize" else value > than
