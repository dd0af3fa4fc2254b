"""NSGA-II whose parents may be gone: hidden from the sampler since the space was edited, so that too few are left."""

from __future__ import annotations

from typing import Final

import optuna
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial

_LEAST: Final = 3
"""Parents that any crossover does with."""


class Nsga2(NSGAIISampler):
    """Optuna's NSGA-II, drawing at random where fewer parents can be seen than a crossover takes."""

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        parents = super().get_parent_population(study, generation)
        return parents if len(parents) >= _LEAST else []
