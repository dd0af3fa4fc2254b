"""Tune's class `Trainable`, on reused actors: a slot that runs one trial after the other through the engine."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import ray
from ray.tune import Trainable

from search import loading
from search.data.source import FileSource
from search.engine import Checkpoint, CheckpointKind, SessionLost, TrialRun
from search.errors import SweepError
from search.local import device_of, setting_of, threads_of, use_threads
from search.plan import SweepPlan
from search.problem import Problem, open_problem
from search.trial import Asked, Begun, Progress, TrialSpec, Verdict
from search.trialfiles import decode, encode
from search.tuner.capture import Capture
from search.tuner.searcher import request_of
from search.tuner.watchdog import Watchdog

TURN_S: Final = 1.0
"""How long a slot goes on before Tune hears of it; short trials share one Tune trial, whose own cost is then shared."""


class _RemoteSession:
    """A running trial's way out, through the study actor and the files actor."""

    def __init__(self, study: Any, files: Any, number: int, token: str) -> None:
        self._study, self._files, self._number, self._token = study, files, number, token

    def report(self, progress: Progress) -> Verdict:
        call = self._study.report
        args = (self._number, self._token, progress.step, dict(progress.metrics), progress.units)
        return Verdict(_get(call.remote(*args)))

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        _get(self._files.save.remote(self._number, kind, *encode(checkpoint)))

    def load(self, kind: CheckpointKind) -> Checkpoint | None:
        parts = _get(self._files.load.remote(self._number, kind))
        return decode(*parts) if parts else None


def _get(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise SessionLost(str(error)) from error


class SweepTrainable(Trainable):  # type: ignore[misc]
    """A slot. `step` runs trials until a second has passed, or there is none for it."""

    def setup(self, config: dict[str, Any]) -> None:
        self._problem: Problem | None = None
        self._study = ray.get_actor(config["study"], namespace=config["namespace"])
        self._files = ray.get_actor(config["files"], namespace=config["namespace"])
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._slot: str = new_config["slot"]
        self._turn = 0
        self._spec: TrialSpec | None = None
        self._steps: Iterator[Progress] | None = None
        self._ends = 0.0
        return True

    def step(self) -> dict[str, Any]:
        try:
            self._open()
        except (SweepError, Exception) as error:  # the user's code cannot be loaded here: no trial could ever run
            said = error.sentence() if isinstance(error, SweepError) else f"{type(error).__name__}: {error}"
            _get(self._study.stop.remote("failed", f"a worker cannot open the objective: {said}"))
            return {"done": True}
        heard = time.monotonic() + TURN_S
        while True:
            if self._steps is None and not self._next():
                return {"done": True}
            self._advance(heard)
            if self._steps is not None:
                self._flush_log()
                return {"done": False}

    def _open(self) -> None:
        """Load the objective and its data, once per process."""
        if self._problem is not None:
            return
        plan: SweepPlan = _get(self._study.plan.remote())
        use_threads(threads_of(plan))
        objective = loading.load(plan.objective, kind="objective", folder=Path.cwd()).value
        source = FileSource(plan.data, plan.target, Path.cwd())
        self._problem = open_problem(objective, source, seed=plan.seed)
        self._plan = plan
        self._setting = setting_of(plan, self._problem, device=device_of(plan))

    def _next(self) -> bool:
        """Begin the slot's next trial; False if there is none for it now, or the slot's time is over."""
        if self._turn == 0:
            self._ends = time.monotonic() + TURN_S
        if self._spec is None:
            if time.monotonic() > self._ends:
                return False
            asked: Asked = _get(self._study.ask.remote(request_of(self._slot, self._turn)))
            self._spec = asked.spec
        while self._spec is not None:
            number, self._token = self._spec.number, uuid.uuid4().hex
            worker = f"{ray.util.get_node_ip_address()}:{os.getpid()}"
            watchdog = Watchdog(self._plan.study, number)
            hung = watchdog.last_words()
            begun: Begun = _get(self._study.begin.remote(number, self._token, worker, hung))
            if begun.action == "skip":  # ended by an earlier attempt of this slot
                watchdog.clear()
                if hung:
                    _get(self._files.error.remote(number, hung))
                self._turn += 1
                self._spec = _get(self._study.ask.remote(request_of(self._slot, self._turn))).spec
                continue
            session = _RemoteSession(self._study, self._files, number, self._token)
            assert self._problem is not None
            self._run = TrialRun(self._problem, self._spec, self._setting, session, resume=begun.action == "resume")
            self._steps = iter(self._run)
            self._capture = Capture()
            self._watchdog = watchdog
            if begun.timeout_s is not None:
                watchdog.arm(begun.timeout_s)
            return True
        return False

    def _advance(self, heard: float) -> None:
        """Run steps of the trial until it ends, or Tune has to hear of it."""
        assert self._steps is not None
        with self._capture:
            while next(self._steps, None) is not None:
                if time.monotonic() > heard:
                    return
        self._tell()

    def _tell(self) -> None:
        assert self._spec is not None
        self._watchdog.disarm()
        number, outcome = self._spec.number, self._run.outcome
        self._flush_log()
        if outcome.trace:
            _get(self._files.error.remote(number, outcome.trace))
        self._turn += 1
        request = request_of(self._slot, self._turn) if time.monotonic() < self._ends else None
        asked: Asked = _get(self._study.tell.remote(number, self._token, outcome, request))
        self._spec, self._steps = asked.spec, None

    def _flush_log(self) -> None:
        assert self._spec is not None
        if text := self._capture.take():
            _get(self._files.log.remote(self._spec.number, text))

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: trials keep their checkpoints by their own numbers."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""
