"""One suggestion: what has to be drawn is a `Draw`, and it comes to the same in whichever process it is drawn.

A suggestion of TPE takes hundreds of milliseconds in a study of 10,000 trials. So that no verdict waits for it, a
`Replica` of the study, in a process of its own, draws it, and the study's owner stores it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import optuna
from optuna.trial import FrozenTrial

from search.contract import Space
from search.plan import SweepPlan
from search.randomness import stage_seed
from search.study import attributes, samplers
from search.study.choice import Choice
from search.study.draft import draft
from search.study.mapping import SpaceMapping
from search.study.seen import through, view_of
from search.study.storage import open_for_reading
from search.trial import ParamValue

APART: Final = frozenset({"evolve", "gp", "tpe"})
"""Samplers that take long, and keep nothing in the study but its trials: a replica draws what the owner would."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What is to be drawn.

    Attributes:
        number: Of the new trial.
        fixed: Values of parameters.
        redraw: How often it has been drawn already, and was known.
        forgiven: Failed trials that are run again.
        edition: Of plan and space; what was drawn for another one is of no use.
    """

    number: int
    fixed: Mapping[str, ParamValue]
    redraw: int = 0
    forgiven: Collection[int] = field(default_factory=frozenset)
    edition: int = 0


Drawn: TypeAlias = tuple[Draw, FrozenTrial]
"""What was to be drawn, and what was."""


def drawn(
    study: optuna.Study,
    plan: SweepPlan,
    space: Space,
    wanted: Draw,
    *,
    request: str = "",
    mapping: SpaceMapping | None = None,
) -> FrozenTrial:
    """Draw the parameters of a trial, which is not stored.

    Args:
        study: Read for its history.
        plan: Its sampler and seed.
        space: Evaluated once.
        wanted: What to draw.
        request: Of the ask that it answers.
        mapping: How trials of an earlier space stand in this one.

    Raises:
        InputError: The space is wrong.
    """
    sampler, seed = Choice.parse(plan.sampler), plan.seed
    if wanted.redraw:  # built anew from the same seed, a sampler would draw the same
        seed = stage_seed(seed, wanted.redraw, "redraw")
    study.sampler = samplers.make(sampler, seed=seed, number=wanted.number)
    given, begun = {attributes.REQUEST: request}, time.perf_counter()
    seen = through(mapping, view_of(sampler.name, study, forgiven=wanted.forgiven))
    made = draft(study, study.sampler, space, fixed=wanted.fixed, attributes=given, number=wanted.number, seen=seen)
    made.system_attrs[attributes.SUGGESTED_S] = round(time.perf_counter() - begun, 6)
    return made


class Replica:
    """A study as its journal has it, kept up to date by reading what was added.

    Args:
        plan: The sweep.
        journal: Written by the study's owner, and by nobody else.
        space: The search space.
    """

    def __init__(self, plan: SweepPlan, journal: Path, space: Space) -> None:
        self._plan, self._space = plan, space
        self._study = optuna.Study(plan.study, open_for_reading(journal))

    def draw(self, wanted: Draw) -> FrozenTrial:
        """Draw a trial after all that the journal holds now.

        Raises:
            InputError: The space is wrong.
            SurroundingsError: The journal cannot be read.
        """
        return drawn(self._study, self._plan, self._space, wanted)


class Ahead:
    """What was drawn apart for the trial that comes next, and is not stored yet."""

    def __init__(self) -> None:
        self._drawn: dict[tuple[int, int], FrozenTrial] = {}
        self.edition = 0

    def begin_edition(self) -> None:
        """Forget what was drawn: plan or space are others from here on."""
        self._drawn.clear()
        self.edition += 1

    def bring(self, wanted: Draw, made: FrozenTrial) -> None:
        """Keep what was drawn, if it is for this edition."""
        if wanted.edition != self.edition:
            return
        self._drawn = {key: one for key, one in self._drawn.items() if key[0] == wanted.number}
        self._drawn[wanted.number, wanted.redraw] = made

    def get(self, number: int, redraw: int) -> FrozenTrial | None:
        """Return what was drawn for a trial, None if nothing was."""
        return self._drawn.get((number, redraw))

    def take(self, number: int, redraw: int, request: str) -> FrozenTrial | None:
        """Return it as the answer to a request, and forget it."""
        made = self._drawn.pop((number, redraw), None)
        if made is not None:
            made.system_attrs[attributes.REQUEST] = request
        return made
