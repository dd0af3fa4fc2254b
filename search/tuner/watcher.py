"""Watches a sweep from beside Tune: shows where it stands, passes on signals, ends what does not pause or is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from search.errors import ExitCode
from search.plan import SweepPlan
from search.status import Status
from search.tuner import cluster
from search.tuner.answers import Standing
from search.tuner.calls import OUT_OF_REACH_S
from search.tuner.hung import Hung
from search.tuner.membership import Membership
from search.tuner.preparing import Preparers
from search.tuner.signals import Family, Interruption, end_tune
from search.tuner.tables import Tables

VIEW_EVERY_S: Final = 0.25
MEET_EVERY_S: Final = 1.0
"""How often new processes of the sweep are noticed."""

GONE_S: Final = OUT_OF_REACH_S - 10.0
"""How long another machine's Ray may be out of reach: about as long as workers wait.

Ray itself would end us after 60 s, without a word, and it may take us some seconds to notice and to end.
"""

IDLE_S: Final = 1.0
"""How long Tune may take to return once no trial runs: it would wait for workers that have yet to start."""

HARD_S: Final = 15.0
"""How long Tune may take to return once its workers have been ended."""


class Away:
    """For how long something has been out of reach without a break."""

    def __init__(self) -> None:
        self._since: float | None = None

    def lasts_s(self, is_away: bool, *, since: float, now: float | None = None) -> float:
        """Take in whether it is out of reach, and return for how many seconds it has been.

        Args:
            is_away: At this look.
            since: When this look began.
            now: When it ended; None for this moment.
        """
        self._since = (since if self._since is None else self._since) if is_away else None
        return 0.0 if self._since is None else (time.monotonic() if now is None else now) - self._since


class Watcher(threading.Thread):
    """A thread that runs while Tune does.

    Args:
        study: Handle of the study actor.
        name: Of that actor.
        interruption: The user's signals.
        view: Takes where the sweep stands.
        family: The sweep's processes; None where Ray is not ours.
        tables: Of the study, to be kept near its journal.
        plan: What a trial asks, and how long it may take to pause.
        preparers: As in `Membership`.
    """

    def __init__(
        self,
        study: Any,
        name: str,
        interruption: Interruption,
        view: Callable[[Status], None],
        family: Family | None,
        tables: Tables,
        plan: SweepPlan,
        preparers: Preparers | None = None,
    ) -> None:
        super().__init__(name="sweep-watcher", daemon=True)
        self._study, self._name, self._interruption, self._view = study, name, interruption, view
        self._family, self._tables, self._grace_s = family, tables, plan.grace_s
        self._membership = Membership(study, plan, preparers) if family is None else None
        self._over = threading.Event()
        self._stopping_since: float | None = None
        self._ended: float | None = None
        self._met = 0.0
        self._away = Away()
        self._hung = Hung(study, name)

    def run(self) -> None:
        import ray

        while not self._over.wait(VIEW_EVERY_S):
            self._look_around()
            try:
                standing: Standing = ray.get(self._study.standing.remote(), timeout=10)
            except ray.exceptions.RayTaskError as error:  # an error of ours, which would come again
                self._give_up(f"the study server failed: {str(error).strip().splitlines()[-1]}")
                continue
            except ray.exceptions.RayError:  # the study restarts, or Ray goes down
                continue
            status = standing.status
            if status is None:
                continue
            if self._interruption.asked.is_set() and status.state == "running":  # said again to one that restarted
                name = signal.Signals(self._interruption.signum).name
                self._study.stop.remote("interrupted", f"{name} was received")
            self._grace_s = self._grace_s if standing.grace_s is None else standing.grace_s  # it may be edited
            self._show(status)
            self._hung.end(standing.overdue)
            if standing.at_once:
                self._interruption.end_now(130, "ended at once")
            self._end_after_grace(status)

    def finish(self) -> None:
        self._over.set()
        self.join()

    def _look_around(self) -> None:
        """Notice new processes, and the end of those without which Ray is none."""
        if time.monotonic() - self._met < MEET_EVERY_S:
            return
        self._met = time.monotonic()
        if self._family is not None:
            self._family.meet()
        with suppress(OSError):  # no room for one more process: the tables can wait
            self._tables.keep_near()
        lost = cluster.what_is_lost(self._family)
        away_s = self._away.lasts_s(bool(lost), since=self._met)
        if not lost and self._membership is not None:
            self._membership.look()
        if lost and (self._family is not None or away_s >= GONE_S) and not self._over.is_set():
            self._give_up(lost)

    def _show(self, status: Status) -> None:
        """Show where the sweep stands; a terminal that has gone ends the display, not the sweep."""
        try:
            self._view(status)
        except Exception:
            self._view = lambda _: None

    def _give_up(self, why: str) -> None:
        """End the sweep at once, its storage in order if that can be."""
        import ray

        with suppress(ray.exceptions.RayError):
            ray.get(self._study.finish.remote(), timeout=2)
        self._interruption.end_now(int(ExitCode.SURROUNDINGS), f"error: {why}")

    def _end_after_grace(self, status: Status) -> None:
        """End trials that have not paused in time once the sweep is stopping."""
        if status.state == "running":
            return
        now = time.monotonic()
        self._stopping_since = self._stopping_since or self._interruption.since or now
        if self._ended is None:
            idle = status.state != "finished" and not status.trials.get("running")
            patience_s = min(IDLE_S, self._grace_s) if idle else self._grace_s
            if now - self._stopping_since > patience_s and not self._over.is_set():
                self._ended = now
                end_tune()
                if self._family is not None:  # what they did since their last checkpoint is done again
                    self._family.kill("Trainable")
        elif now - self._ended > HARD_S and self._family is not None:
            self._study.finish.remote()
            time.sleep(1.0)
            code = 128 + self._interruption.signum if self._interruption.signum else 130
            self._interruption.end_now(code, "Ray did not end in time")
