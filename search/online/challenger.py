"""A model that learns from labelled rows as they come, beside the one that answers: the `Challenger`.

It depends on its seed and on the rows that it was given, in their order, and on nothing else: no clock, no other's
randomness. A learner that can goes on from the champion's weights, a few steps for each batch of new rows, on these and
on rows that came before; any other is trained anew, on the newest rows, each time that enough of them have come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from search.bundle.manifest import Manifest
from search.contract import Part, Prepared, State
from search.online.base import Base
from search.online.buffer import Buffer
from search.online.choices import LearnChoices
from search.online.competitor import Fixed
from search.online.events import Array
from search.online.packing import prefixed, under
from search.online.published import files_of
from search.randomness import seeded_globals, stage_seed

STEPS: Final = 4
"""Of an incremental learner for each batch of new rows."""

REPLAYED: Final = 2
"""Rows that are learnt again in each step, for each new one: one drawn from all, one from the recent."""

FEWEST: Final = 50
SHARE: Final = 0.2
MOST: Final = 1_000
"""New rows after which a learner is trained anew: this share of all that it would be trained on, between the two."""

REFIT_ROWS: Final = 4_000
"""Newest rows that it is trained on; all of a buffer would take seconds."""

REFIT_SHARE: Final = 0.5
"""Of a full training, that it has at most."""


class Challenger:
    """Learns and answers.

    Args:
        base: What it begins with.
        buffer: Empty; nobody else adds to it.
        choices: How it learns.
        seed: For all that is random.

    Attributes:
        learnt: Rows that it has learnt.
        base: What it begins with.
        buffer: Rows to learn from again.
    """

    def __init__(self, base: Base, buffer: Buffer, choices: LearnChoices, seed: int) -> None:
        self.buffer, self._choices, self._seed = buffer, choices, seed
        self.learnt = 0
        self.base, self._champion, self._incremental = _began(base)
        self._refitted: Any = None
        self._trained: Part | None = None  # what it was trained on
        self._refit_at, self._since = 0, 0  # rows learnt before that, and since
        buffer.put_old(base.old, base.features(base.old.columns))

    @property
    def refits(self) -> bool:
        """Whether its learner is trained anew from time to time, since it cannot go on learning."""
        return self._incremental is None

    def answer(self, columns: Mapping[str, Array]) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values, float32, as a bundle of its weights would."""
        learner = self._incremental or self._refitted
        if learner is None:
            return self._champion.answer(columns)
        return self.base.answered(learner, self.base.features(columns))

    def learn(self, columns: Mapping[str, Array], targets: Array) -> None:
        """Learn from new rows; `LearnChoices.batch` of them at once is best.

        Args:
            columns: By name, as `Model.run` takes them.
            targets: (rows,): class indices as int64, or float64 of a regression.
        """
        features = self.base.features(columns)
        self.buffer.add(columns, targets, features)
        self.learnt += len(targets)
        if self._incremental is not None:
            self._step(Part(features, targets))
            return
        self._since += len(targets)
        if self._since >= self._due():
            self._refit()

    def drifted(self, rows: int) -> None:
        """Forget what was before a drift: only the newest rows, so many, are still true."""
        self.buffer.drop_old(rows)
        self._since = 0

    def reset(self, base: Base) -> None:
        """Begin again with a champion's weights; what came to be known since stays in the buffer.

        Where it has these weights already, since the champion was made of it, it goes on without a break.
        """
        if base.old is not self.base.old:  # another study, which may prepare rows in another way
            self.buffer.put_old(base.old, base.features(base.old.columns))
            if self.buffer.new:
                self.buffer.replace_features(base.features(self.buffer.rows().columns))
        goes_on = self._incremental is not None and _same(self._incremental.weights(), base.weights)
        learner = self._incremental
        self.base, self._champion, self._incremental = _began(base)
        if goes_on:
            self._incremental = learner
        self._refitted = self._trained = None

    def state(self) -> State:
        """Return all that `load_state` needs to go on exactly here, the buffer as well."""
        arrays, buffer = self.buffer.state()
        arrays = prefixed("buffer", arrays)
        meta: dict[str, Any] = {"learnt": self.learnt, "since": self._since, "buffer": buffer}
        if self._incremental is not None:
            own = self._incremental.state()
            arrays |= prefixed("learner", own.arrays)
            meta["learner"] = dict(own.meta)
        elif self._trained is not None:
            arrays |= {"refit/features": self._trained.features, "refit/targets": self._trained.target}
            meta["refit_at"] = self._refit_at
        return State(arrays, meta)

    def load_state(self, state: State) -> None:
        """Go on from `state`, which came from a challenger of the same base, choices and seed."""
        meta = state.meta
        self.buffer.load(under("buffer", state.arrays), meta["buffer"])
        self.learnt, self._since = int(meta["learnt"]), int(meta["since"])
        if self._incremental is not None:
            self._incremental.load_state(State(under("learner", state.arrays), meta["learner"]))
        self._trained = self._refitted = None
        if own := under("refit", state.arrays):
            self._train(Part(own["features"], own["targets"]), int(meta["refit_at"]))

    def files(self) -> tuple[Manifest, dict[str, bytes]]:
        """Return the bundle of its weights as they are: the manifest, and the content of each other file.

        Raises:
            RefusedError: It has learnt nothing yet, cannot be exported, or its bundle answers otherwise than it does.
        """
        learner = self._incremental if self.learnt else None
        prepared = self.base.prepared if learner is not None else self._prepared()
        learner = learner or self._refitted
        told = {"rows": self.learnt, "refit": self.refits}
        return files_of(self.base, learner, prepared, self.buffer, told)

    def _random(self) -> np.random.Generator:
        return np.random.default_rng([self._seed, self.learnt])

    def _step(self, new: Part) -> None:
        """Learn from new rows, and from some of those before."""
        random, count = self._random(), len(new.target)
        for _ in range(STEPS):
            again = (self.buffer.sample(random, count), self.buffer.recent(random, count))
            self._incremental.partial_fit(_joined(new, *again))

    def _due(self) -> float:
        return max(FEWEST, min(MOST, SHARE * (len(self.buffer) - self._since)))

    def _refit(self) -> None:
        """Train anew on the newest rows; of old ones as many as there is room for."""
        new = self.buffer.newest(REFIT_ROWS)
        part = _joined(self.buffer.oldest(self._random(), REFIT_ROWS - len(new.target)), new)
        if self.base.context.task.is_classification and len(np.unique(part.target)) < 2:
            return  # nothing to tell apart: it waits for another class
        self._since = 0
        self._train(part, self.learnt)

    def _train(self, part: Part, at: int) -> None:
        self._trained, self._refit_at = part, at
        seed = stage_seed(self._seed, at, "refit")
        with seeded_globals(seed):
            learner = self.base.untrained(self._prepared(), replace(self.base.context, seed=seed))
            for _ in range(max(1, min(self.base.units, round(REFIT_SHARE * learner.budget)))):
                learner.fit_epoch()
        self._refitted = learner

    def _prepared(self) -> Prepared:
        """Return the rows of the last training as the learner takes them."""
        prepared = self.base.prepared
        return prepared if self._trained is None else replace(prepared, train=self._trained)


def _began(base: Base) -> tuple[Base, Fixed, Any]:
    return base, Fixed(base.served), base.learner()


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def _joined(*parts: Part | None) -> Part:
    there = [part for part in parts if part is not None]
    return Part(np.concatenate([one.features for one in there]), np.concatenate([one.target for one in there]))
