"""The parameters of a study's next trial: near good ones of an earlier study, or the sampler's; the `Drafts`."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final

import optuna
from optuna.trial import FrozenTrial

from search.contract import Space
from search.plan import SweepPlan
from search.study import attributes
from search.study.choice import Choice
from search.study.draft import UnfitPoint
from search.study.drawing import APART, Ahead, Draw, drawn
from search.study.known import Known
from search.study.mapping import SpaceMapping
from search.study.warm import WarmStart
from search.trial import ParamValue

_REDRAWS: Final = {"gp": 1}
"""Fewer of a sampler that takes long, and comes to the same."""

REDRAWS: Final = 5
"""How often parameters are drawn again because another trial has them."""

SLOW_S: Final = 0.05
"""Suggestions that take longer are drawn apart, where that can be, so that no verdict waits for them."""

SLOW_IN_A_ROW: Final = 3
"""So many have to: one alone may be the machine's doing."""


class Drafts:
    """Draws trials, which are stored by others.

    Args:
        plan: Its sampler, seed and fixed parameters.
        study: Read for its history.
        space: The search space.
        known: The study's trials by their parameters.
        forgiven: Failed trials that are run again; all three are kept up to date by their owner.

    Attributes:
        number: Of the trial that comes next: so many are in the study, of any state.
        warm: The earlier studies that it learns from, if there are any.
        mapping: How trials of an earlier space stand in this one, once it was edited.
    """

    def __init__(
        self, plan: SweepPlan, study: optuna.Study, space: Space, known: Known, forgiven: Collection[int]
    ) -> None:
        self._plan, self._study, self._space, self._known, self._forgiven = plan, study, space, known, forgiven
        self._sampler = Choice.parse(plan.sampler)
        self._ahead = Ahead()
        self._took_s = deque([0.0] * SLOW_IN_A_ROW, maxlen=SLOW_IN_A_ROW)  # the last suggestions
        self.number = 0
        self.warm: WarmStart | None = None
        self.mapping: SpaceMapping | None = None

    def follow(self, plan: SweepPlan) -> None:
        """Go by another plan from here on."""
        self._plan = plan
        self._ahead.begin_edition()

    def search(self, space: Space, mapping: SpaceMapping) -> None:
        """Search another space from here on; `mapping` is how the trials before are shown to the sampler."""
        self._space, self.mapping = space, mapping
        self._ahead.begin_edition()

    def next(self, request: str) -> FrozenTrial:
        """Draw the next trial; again, some times, while its parameters are known.

        Args:
            request: Of the ask that it answers.

        Raises:
            InputError: The space is wrong.
        """
        made = self._drawn(request, 0)
        for redraw in range(1, 1 + self._redraws):
            if not self._known.has(made.params):
                break
            made = self._drawn(request, redraw)
        return made

    def foresee(self) -> Draw | None:
        """Return what `next` has to draw, if that takes long and another process can; else None.

        What comes of it is handed to `bring`, and the next call says what else has to be drawn.
        """
        if min(self._took_s) < SLOW_S or self._sampler.name not in APART or self._plan.storage is not None:
            return None
        if self.warm is not None or self.mapping is not None:
            return None
        for redraw in range(1 + self._redraws):
            made = self._ahead.get(self.number, redraw)
            if made is None:
                return self._wanted(self.number, self._plan.fixed, redraw)
            if not self._known.has(made.params):
                return None
        return None

    def bring(self, wanted: Draw, made: FrozenTrial) -> None:
        """Take what was drawn elsewhere for a later `next`; it is of no use once the study has gone past it."""
        self._ahead.bring(wanted, made)

    def of(self, number: int, given: Mapping[str, ParamValue], request: str, *, redraw: int = 0) -> FrozenTrial:
        """Draw a trial some of whose parameters are given.

        Args:
            number: Of the trial.
            given: Values by parameter.
            request: Of the ask that it answers.
            redraw: How often it has been drawn already, and was known.

        Raises:
            UnfitPoint: The space does not allow what is given.
            InputError: The space is wrong.
        """
        made = self._ahead.take(number, redraw, request) if given is self._plan.fixed else None
        if made is None:
            wanted = self._wanted(number, given, redraw)
            made = drawn(self._study, self._plan, self._space, wanted, request=request, mapping=self.mapping)
        self._took_s.append(made.system_attrs[attributes.SUGGESTED_S])
        return made

    def _drawn(self, request: str, redraw: int) -> FrozenTrial:
        """Draw the next trial: near the good ones of an earlier study, or by the sampler."""
        number, fixed = self.number, self._plan.fixed
        proposed = None if self.warm is None else self.warm.propose(number, redraw)
        if proposed is None:
            return self.of(number, fixed, request, redraw=redraw)
        source, point = proposed
        point = {name: value for name, value in point.items() if name not in fixed}
        while True:
            try:
                made = self.of(number, {**point, **fixed}, request, redraw=redraw)
            except UnfitPoint as fault:
                if fault.field not in point:
                    raise
                del point[fault.field]  # allowed beside other values only
                continue
            made.system_attrs.pop("fixed_params", None)
            made.system_attrs |= {attributes.WARM: source, **({"fixed_params": dict(fixed)} if fixed else {})}
            return made

    def _wanted(self, number: int, given: Mapping[str, ParamValue], redraw: int) -> Draw:
        return Draw(number, dict(given), redraw, frozenset(self._forgiven), self._ahead.edition)

    @property
    def _redraws(self) -> int:
        """How often it is drawn again at the most."""
        return _REDRAWS.get(self._sampler.name, REDRAWS)
