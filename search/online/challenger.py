"""A model that learns from labelled rows as they come, beside the one that answers: the `Challenger`.

It depends on its seed and on the rows that it was given, in their order, and on nothing else: no clock, no other's
randomness. A learner that can goes on from the champion's weights, a few steps for each batch of new rows, on these and
on rows that came before; any other is trained anew, on the newest rows, each time that enough of them have come. Of
either kind there are two, see `paces`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from search.bundle.manifest import Manifest
from search.contract import Part, State
from search.online.base import Base
from search.online.buffer import Buffer
from search.online.choices import LearnChoices
from search.online.competitor import Fixed
from search.online.events import Array
from search.online.paces import CALM, QUICK, Refitting, Stepping
from search.online.packing import prefixed, under
from search.online.published import ONLINE, files_of

Pace: TypeAlias = Stepping | Refitting

_JUDGED: Final = 100
"""Rows after which it is reckoned which of two learners is ahead: trees take as long for one row as for a hundred."""

_MEMORY: Final = 150.0
"""Rows after which the loss of one counts a third, 1 / e, in that."""


class Challenger:
    """Learns and answers.

    Args:
        base: What it begins with.
        buffer: Empty; nobody else adds to it.
        choices: How it learns.
        seed: For all that is random.

    Attributes:
        base: As given, or as `reset` was given.
        buffer: As given.
        learnt: Rows that it has learnt.
    """

    def __init__(self, base: Base, buffer: Buffer, choices: LearnChoices, seed: int) -> None:
        self.base, self.buffer, self._choices, self._seed = base, buffer, choices, seed
        self.learnt = 0
        self._begin()
        buffer.put_old(base.old, base.features(base.old.columns))

    @property
    def refits(self) -> bool:
        """Whether its learner is trained anew from time to time, since it cannot go on learning."""
        return isinstance(self._calm, Refitting)

    @property
    def threshold(self) -> float | None:
        """Of two classes: probability from which on the second one is given."""
        return self.base.head.threshold

    def answer(self, columns: Mapping[str, Array]) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values, float32, as a bundle of its weights would."""
        if self._ahead.learner is None:
            return self._champion.answer(columns)
        return self.base.answered(self._ahead.learner, self.base.features(columns))

    def learn(self, columns: Mapping[str, Array], targets: Array) -> None:
        """Learn from new rows; `LearnChoices.batch` of them at once is best.

        Args:
            columns: By name, as `Model.run` takes them.
            targets: (rows,): class indices as int64, or float64 of a regression.
        """
        new = Part(self.base.features(columns), targets)
        self.buffer.add(columns, targets, new.features)
        self.learnt += len(targets)
        self._unjudged += len(targets)
        ahead = self._ahead
        due = [pace for pace in (self._calm, self._quick) if pace.is_due(ahead=pace is ahead)]
        if due or self._unjudged >= _JUDGED:
            self._judge()
        for pace in due:
            pace.learn(new, self.learnt)

    def drifted(self, rows: int) -> None:
        """Forget what was before a drift.

        Args:
            rows: The newest ones, since it began.
        """
        self.buffer.drop_old(rows)

    def reset(self, base: Base) -> None:
        """Begin again with a champion; what came to be known since stays in the buffer.

        Where the champion was made of this challenger as it is now, it goes on without a break.
        """
        before, self.base, self._champion = self.base, base, Fixed(base.served)
        if base.old is not before.old:  # another study, which may prepare rows in another way
            self.buffer.put_old(base.old, base.features(base.old.columns))
            if self.buffer.new:
                self.buffer.replace_features(base.features(self.buffer.rows().columns))
        made = base.manifest.options.get(ONLINE)
        if made is None or made["rows"] != self.learnt or base is before:
            self._begin()

    def state(self) -> State:
        """Return all that `load_state` needs to go on exactly here, the buffer as well."""
        arrays, told = self.buffer.state()
        calm, quick = self._calm.state(), self._quick.state()
        arrays = prefixed("buffer", arrays) | prefixed("calm", calm.arrays) | prefixed("quick", quick.arrays)
        meta = {
            "learnt": self.learnt,
            "unjudged": self._unjudged,
            "lost": list(self._lost),
            "buffer": told,
            "calm": dict(calm.meta),
            "quick": dict(quick.meta),
        }
        return State(arrays, meta)

    def load_state(self, state: State) -> None:
        """Go on from `state`, which came from a challenger of the same base, choices and seed."""
        arrays, meta = state.arrays, state.meta
        self.buffer.load(under("buffer", arrays), meta["buffer"])
        self.learnt, self._unjudged = int(meta["learnt"]), int(meta["unjudged"])
        self._lost = (float(meta["lost"][0]), float(meta["lost"][1]))
        self._calm.load_state(State(under("calm", arrays), meta["calm"]))
        self._quick.load_state(State(under("quick", arrays), meta["quick"]))

    def files(self) -> tuple[Manifest, dict[str, bytes]]:
        """Return the bundle of its weights as they are: the manifest, and the content of each other file.

        Raises:
            RefusedError: It has learnt nothing yet, cannot be exported, or its bundle answers otherwise than it does.
        """
        ahead = self._ahead
        told = {"rows": self.learnt, "refit": self.refits}
        return files_of(self.base, ahead.learner if self.learnt else None, ahead.prepared, self.buffer, told)

    def _begin(self) -> None:
        self._champion = Fixed(self.base.served)
        self._calm, self._quick = (self._pace(way) for way in (CALM, QUICK))
        self._lost = (0.0, 0.0)  # by the calm one and by the quick one, lately
        self._unjudged = 0

    def _pace(self, way: Any) -> Pace:
        learner = self.base.learner()
        if learner is None:
            return Refitting(self.base, self.buffer, way, self._seed)
        return Stepping(self.base, learner, self.buffer, way, self._seed)

    @property
    def _ahead(self) -> Pace:
        """The one that answers."""
        calm, quick = self._lost
        return self._quick if self._quick.learner is not None and quick < calm else self._calm

    def _judge(self) -> None:
        """Reckon what both lose by the rows that neither has learnt."""
        part, self._unjudged = self.buffer.newest(self._unjudged), 0
        if self._calm.learner is None or self._quick.learner is None:
            return
        kept = np.exp(-len(part.target) / _MEMORY)
        calm, quick = (self._loss(pace, part) for pace in (self._calm, self._quick))
        self._lost = (kept * self._lost[0] + calm, kept * self._lost[1] + quick)

    def _loss(self, pace: Pace, part: Part) -> float:
        """Return the sum of the Brier scores, or of the absolute errors, of rows."""
        answer = self.base.answered(pace.learner, part.features).astype(np.float64)
        if not self.base.context.task.is_classification:
            return float(np.abs(answer - part.target).sum())
        answer[np.arange(len(answer)), part.target] -= 1
        return float((answer**2).sum())
