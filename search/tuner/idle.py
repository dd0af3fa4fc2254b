"""Gives back what idle workers hold of a cluster: other sweeps wait for it."""

from __future__ import annotations

import functools
import time
from typing import Any, Final

from search.tuner.searcher import StudySearcher

_ASK_EVERY_S: Final = 0.25
"""How often a sweep that runs nothing asks its study for a trial."""


def give_back_idle_workers() -> None:
    """Have Tune end idle workers as soon as the study has no trial for them: it would keep one, with its resources.

    Where nothing runs Tune would also wait for a trial in a loop of its own, in which no worker can end.
    """
    from ray.tune.execution.tune_controller import TuneController as Controller

    name = "_update_trial_queue"  # private, like all that it uses here
    original = getattr(Controller, name, None)
    if original is None or hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def asked(self: Any, blocking: bool = False, timeout: int = 600) -> bool:
        searcher = getattr(self._search_alg, "searcher", None)
        if not (isinstance(searcher, StudySearcher) and searcher.shares):
            return bool(original(self, blocking=blocking, timeout=timeout))
        while not original(self, blocking=False):
            if not (self._pending_trials or self._staged_trials):  # one that is new takes over a worker
                self._cleanup_cached_actors(force_all=True)
            if not blocking or self.is_finished():
                return False
            time.sleep(_ASK_EVERY_S)
            blocking = not self.get_trials()  # all else of Tune reckons with one at least
        return True

    setattr(Controller, name, asked)
