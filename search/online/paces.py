"""Two ways to go on learning, one from all rows and one from the newest: how they learn, and which is ahead.

How fast the world changes is not known beforehand. The calm way is the better one where nothing changes, and the quick
one where much does; each is tested on rows before it learns them, and the one that has lately erred less answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from search.contract import Part, Prepared, State
from search.online.base import Base
from search.online.buffer import Buffer
from search.randomness import seeded_globals, stage_seed

FEWEST: Final = 32
SHARE: Final = 0.2
MOST: Final = 1_000
"""New rows after which a learner is trained anew: this share of all that it would be trained on, between the two."""

REFIT_SHARE: Final = 0.5
"""Of a full training, that a learner has at most when it is trained anew."""


@dataclass(frozen=True, slots=True)
class Way:
    """How rows are learnt again.

    Attributes:
        name: Of it.
        steps: Of an incremental learner for each batch of new rows.
        alike, recent: Rows in each of these steps for each new one: drawn from all alike; the newer, the more likely.
        window: Newest rows that another learner is trained on.
    """

    name: str
    steps: int
    alike: int
    recent: int
    window: int


CALM: Final = Way("calm", steps=3, alike=2, recent=1, window=4_000)
QUICK: Final = Way("quick", steps=6, alike=0, recent=2, window=1_000)


class Stepping:
    """A learner that moves with each batch: by its rows, and by some of those before.

    Args:
        base: Has its weights.
        learner: Incremental.
        buffer: Of the rows before; it has the new ones already when they are learnt.
        way: How many of them.
        seed: For those that are drawn.

    Attributes:
        learner: As given.
        prepared: What it was built with.
    """

    def __init__(self, base: Base, learner: Any, buffer: Buffer, way: Way, seed: int) -> None:
        self.learner, self.prepared = learner, base.prepared
        self._buffer, self._way, self._seed = buffer, way, stage_seed(seed, 0, way.name)

    def is_due(self, *, ahead: bool) -> bool:  # noqa: ARG002
        """Tell whether it changes with the rows that have come: always."""
        return True

    def learn(self, new: Part, at: int) -> None:
        """Learn.

        Args:
            new: The rows that have come since the last call.
            at: How many ever came.
        """
        random, count, way = np.random.default_rng([self._seed, at]), len(new.target), self._way
        for _ in range(way.steps):
            again = (self._buffer.sample(random, way.alike * count), self._buffer.recent(random, way.recent * count))
            self.learner.partial_fit(joined(new, *again))

    def state(self) -> State:
        """Return all that `load_state` needs, but for the buffer."""
        found: State = self.learner.state()
        return State(found.arrays, {"learner": dict(found.meta)})

    def load_state(self, state: State) -> None:
        """Go on from `state`."""
        self.learner.load_state(State(state.arrays, state.meta["learner"]))


class Refitting:
    """A learner that is trained anew on the newest rows, each time that enough of them have come.

    Args:
        base: Builds learners.
        buffer: Of the rows.
        way: How many of them it is trained on; old ones fill up what new ones leave free.
        seed: For its training.

    Attributes:
        learner: The last one that was trained; None: none yet.
    """

    def __init__(self, base: Base, buffer: Buffer, way: Way, seed: int) -> None:
        self.learner: Any = None
        self._base, self._buffer, self._way, self._seed = base, buffer, way, stage_seed(seed, 0, way.name)
        self._trained: Part | None = None
        self._at, self._last = 0, 0  # rows that had ever come by its training, and when one was last thought of

    @property
    def prepared(self) -> Prepared:
        """What its learner was built with."""
        prepared = self._base.prepared
        return prepared if self._trained is None else replace(prepared, train=self._trained)

    def is_due(self, *, ahead: bool) -> bool:
        """Tell whether enough rows have come; one that is not ahead costs as little as the calm one does."""
        rows = len(self._buffer) if not ahead else min(len(self._buffer), self._way.window)
        return self._buffer.total - self._last >= max(FEWEST, min(MOST, SHARE * rows))

    def learn(self, new: Part, at: int) -> None:  # noqa: ARG002
        """Train anew; the rows are those of the buffer."""
        self._last = at
        if self._way is QUICK and len(self._buffer) <= self._way.window:
            self.forget()  # the calm one is trained on the same rows
            return
        part = self._buffer.newest(self._way.window)
        random = np.random.default_rng([self._seed, at])
        part = joined(self._buffer.oldest(random, self._way.window - len(part.target)), part)
        if self._base.context.task.is_classification and len(np.unique(part.target)) < 2:
            return  # nothing to tell apart: it waits for another class
        self._train(part, at)

    def forget(self) -> None:
        """Have no learner until the next training."""
        self.learner = self._trained = None

    def state(self) -> State:
        """Return all that `load_state` needs, but for the buffer."""
        part = self._trained
        arrays = {} if part is None else {"features": part.features, "targets": part.target}
        return State(arrays, {"at": self._at, "last": self._last})

    def load_state(self, state: State) -> None:
        """Go on from `state`; the same training gives the same learner."""
        self.forget()
        if state.arrays:
            self._train(Part(state.arrays["features"], state.arrays["targets"]), int(state.meta["at"]))
        self._at, self._last = int(state.meta["at"]), int(state.meta["last"])

    def _train(self, part: Part, at: int) -> None:
        self._trained, self._at = part, at
        seed = stage_seed(self._seed, at, "train")
        with seeded_globals(seed):
            learner = self._base.untrained(self.prepared, replace(self._base.context, seed=seed))
            for _ in range(max(1, min(self._base.units, round(REFIT_SHARE * learner.budget)))):
                learner.fit_epoch()
        self.learner = learner


def joined(*parts: Part | None) -> Part:
    """Return the rows of all parts, one after the other."""
    there = [part for part in parts if part is not None and len(part.target)]
    return Part(np.concatenate([one.features for one in there]), np.concatenate([one.target for one in there]))
