"""What preparing rows takes beside a step of training, and which of them are there already: the `Preparations`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, TypeAlias

from search.trial import ParamValue

Key: TypeAlias = tuple[tuple[str, ParamValue], ...]

_PREFIX: Final = "preprocess."
_FEWEST: Final = 12
"""Trials that told before it is settled what preparing takes."""
_LEAST_S: Final = 1.0
"""Preparing that takes less is nothing to go by."""
_APART: Final = 4
"""What it takes is a power of this, so that another run of the same sweep hardly ever measures another one."""


@dataclass(frozen=True, slots=True)
class _Told:
    key: Key
    cost_s: float
    trained_s: float
    steps: int


class Preparations:
    """Preparations that trials of a study have had, and that are kept, by the parameters that they depend on."""

    def __init__(self) -> None:
        self._there: set[Key] = set()
        self._told: dict[int, _Told] = {}

    def take(self, number: int, params: Mapping[str, ParamValue], took: Mapping[str, Any], steps: int) -> None:
        """Take in what a trial told when its worker let go of it.

        Args:
            number: Of the trial.
            params: Its parameters, as it was run.
            took: As `writer.what_it_took` has it; {} of one that has told nothing.
            steps: That it had been trained by then.
        """
        prepared = took.get("prepared")
        if not isinstance(prepared, Mapping) or prepared.get("how") == "unkept":
            return
        key, stage_s = key_of(params, _PREFIX), took.get("stage_s", {})
        self._there.add(key)
        trained_s = stage_s.get("train", 0.0) + stage_s.get("evaluate", 0.0)
        self._told[number] = _Told(key, float(prepared.get("cost_s", 0.0)), trained_s, steps)

    def is_there(self, point: Mapping[str, ParamValue]) -> bool:
        """Tell whether a trial has had rows prepared as a point needs them."""
        return key_of(point, _PREFIX) in self._there

    @property
    def steps(self) -> int | None:
        """How many steps take as long as a preparation; 0 where it is not worth counting, None while few have told."""
        if len(self._told) < _FEWEST:
            return None
        told = [self._told[number] for number in sorted(self._told)]  # in whatever order they were heard of
        cost_s = median({one.key: one.cost_s for one in told}.values())
        trained_s, steps = sum(one.trained_s for one in told), sum(one.steps for one in told)
        if cost_s < _LEAST_S or not trained_s or not steps:
            return 0
        power = round(math.log(cost_s * steps / trained_s, _APART))
        return int(_APART**power) if power > 0 else 0


def key_of(point: Mapping[str, ParamValue], prefix: str = "") -> Key:
    """Return what two points have in common that have the same parameters of these names."""
    return tuple(sorted(one for one in point.items() if one[0].startswith(prefix)))
