"""What preparing rows takes beside a step of training, and which of them are there already: the `Preparations`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any, Final, TypeAlias

from search.trial import ParamValue

Point: TypeAlias = Mapping[str, ParamValue]

_PREFIX: Final = "preprocess."
_FEWEST: Final = 12
"""Trials that told before it is settled what preparing takes."""
_LEAST_S: Final = 1.0
"""Preparing that takes less is nothing to go by."""
_APART: Final = 4
"""What it takes is a power of this, so that another run of the same sweep hardly ever measures another one."""


class Preparations:
    """Preparations that trials of a study have used and that are kept, by the parameters that they depend on."""

    def __init__(self) -> None:
        self._cost_s: dict[tuple[tuple[str, ParamValue], ...], float] = {}
        self._trained: dict[int, tuple[float, int]] = {}

    def take(self, number: int, params: Point, took: Mapping[str, Any], steps: int) -> None:
        """Take in what a trial told when its worker let go of it.

        Args:
            number: Of the trial.
            params: Its parameters.
            took: As `writer.what_it_took` has it; {} of one that has told nothing.
            steps: That it has been trained.
        """
        prepared = took.get("prepared")
        if not isinstance(prepared, Mapping) or prepared.get("how") == "unkept":
            return
        self._cost_s[_key(params)] = float(prepared.get("cost_s", 0.0))
        stage_s = took.get("stage_s", {})
        self._trained[number] = stage_s.get("train", 0.0) + stage_s.get("evaluate", 0.0), steps

    def is_there(self, point: Point) -> bool:
        """Tell whether rows are prepared as a point needs them."""
        return _key(point) in self._cost_s

    @property
    def steps(self) -> int | None:
        """How many steps take as long as a preparation; 0 where it is not worth counting, None while few have told."""
        if len(self._trained) < _FEWEST:
            return None
        cost_s = median(self._cost_s.values())
        trained_s, steps = (sum(one) for one in zip(*self._trained.values(), strict=True))
        if cost_s < _LEAST_S or not trained_s or not steps:
            return 0
        power = round(math.log(cost_s * steps / trained_s, _APART))
        return int(_APART**power) if power > 0 else 0


def _key(point: Point) -> tuple[tuple[str, ParamValue], ...]:
    return tuple(sorted(one for one in point.items() if one[0].startswith(_PREFIX)))
