"""The default sampler: begins what the `auto` rule decided; see `search.study.auto`."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from search.study import attributes
from search.study.auto.decision import STARTS, Decision
from search.study.auto.points import uniform
from search.study.pruners._auto import Auto
from search.study.pruners._rule import NO_LIMIT, PruningRule, directions_of
from search.study.reports import Reports


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a trial is suggested.

    Attributes:
        decision: Of the rule.
        tpe: Who suggests instead, where there are no steps.
    """

    decision: Decision | None = None
    tpe: TPESampler | None = None


_NOTHING: Final = _Asked()
_MOST_ASKED: Final = 1000
"""Trials of which it is kept what they are suggested."""


class AutoSampler(BaseSampler):
    """Suggests what one model of all learning curves expects most of, and now and then a point drawn anywhere.

    The first trials are spread out: choices take turns, and a number's range is cut into as many strata, each of them
    in another one (McKay, Beckman, Conover, "A Comparison of Three Methods", 1979). Beside the rule `auto` (as
    `study.pruner`) both go by the same decisions; beside another pruner it decides for new trials alone. Of an
    objective with one step it suggests what Optuna's TPE does.

    Args:
        seed: Of all draws; None: another one each time.

    Raises:
        ValueError: It is no such seed.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        if seed is not None and (type(seed) is not int or seed < 0):
            raise ValueError(f"seed must be a whole number of 0 or more, or None, got {seed!r}")
        self._seed = seed
        self._random = np.random.default_rng(seed)
        self._asked: dict[tuple[str, int], _Asked] = {}
        self._rule: Auto | None = None
        self._own: Auto | None = None

    def reseed_rng(self) -> None:
        self._random = np.random.default_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        rule = self._rule_of(study)
        if rule.max_epochs == 1:
            tpe = TPESampler(seed=int(self._random.integers(2**32)))
            self._keep(study, trial, _Asked(tpe=tpe))
            study._storage.set_trial_system_attr(trial._trial_id, attributes.WHY, {"by": "tpe"})
            return tpe.infer_relative_search_space(study, trial)
        with rule.lock:
            decided, known = rule.decision(study), rule.distributions
        self._keep(study, trial, _Asked(decided))
        why: dict[str, Any] = {"by": decided.by, "until": decided.until}
        if decided.predicted is not None:
            why |= {"predicted": decided.predicted.to_json(), "among": decided.among}
        study._storage.set_trial_system_attr(trial._trial_id, attributes.WHY, why)
        if decided.point is None:
            return {}
        fixed = trial.system_attrs.get("fixed_params", {})
        return {name: known[name] for name in decided.point if name not in fixed and not known[name].single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        asked = self._asked_of(study, trial)
        if asked.tpe is not None:
            return asked.tpe.sample_relative(study, trial, search_space)
        point = None if asked.decision is None else asked.decision.point
        return {} if point is None else {name: point[name] for name in search_space}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        asked = self._asked_of(study, trial)
        if asked.tpe is not None:
            return asked.tpe.sample_independent(study, trial, param_name, param_distribution)
        share = float(self._random.random())
        is_start = asked.decision is not None and asked.decision.by == "start"
        if isinstance(param_distribution, CategoricalDistribution):
            choices = param_distribution.choices
            return choices[
                self._turn(param_name, trial.number, len(choices)) if is_start else int(share * len(choices))
            ]
        if is_start:
            share = self._spread(param_name, trial.number, share)
        return uniform(param_distribution, np.array([share]))[0]

    def _keep(self, study: optuna.Study, trial: FrozenTrial, asked: _Asked) -> None:
        self._asked[study.study_name, trial.number] = asked
        if len(self._asked) > _MOST_ASKED:
            for oldest in [*self._asked][:-_MOST_ASKED]:
                self._asked.pop(oldest, None)

    def _asked_of(self, study: optuna.Study, trial: FrozenTrial) -> _Asked:
        return self._asked.get((study.study_name, trial.number), _NOTHING)

    def _turn(self, name: str, number: int, choices: int) -> int:
        """Return the choice whose turn it is: each comes once before any comes again, in an order of its own."""
        lap, place = divmod(number, choices)
        return int(self._drawn(name, lap).permutation(choices)[place])

    def _spread(self, name: str, number: int, share: float) -> float:
        """Return a place in the stratum of a parameter's range that is this trial's."""
        return (int(self._drawn(name).permutation(STARTS)[number % STARTS]) + share) / STARTS

    def _drawn(self, name: str, *more: int) -> np.random.Generator:
        seed = self._rule.seed if self._rule is not None else 0
        return np.random.default_rng((seed, zlib.crc32(name.encode()), *more))

    def _rule_of(self, study: optuna.Study) -> Auto:
        """Return the rule to go by: the pruner's if it is one, its adviser, else one of the sampler's own.

        Raises:
            ValueError: The pruner was built for other directions than the study's.
        """
        beside, ways = study.pruner if isinstance(study.pruner, PruningRule) else None, directions_of(study)
        knows = beside is not None and beside.reports.dimensions == len(ways)
        if beside is not None and (knows or len(ways) == 1):  # of several values Optuna asks no pruner
            beside.check_directions(study)
        if isinstance(beside, Auto) and knows:
            self._rule = beside
        elif beside is not None and isinstance(beside.adviser, Auto):
            self._rule = beside.adviser
        else:
            last = beside.max_epochs if beside is not None else NO_LIMIT
            if self._own is None or (self._own.reports.directions, self._own.max_epochs) != (ways, last):
                self._own = Auto(direction=ways[0], max_epochs=last, seed=self._seed or 0, promote=False)
                self._own.reports = beside.reports if beside is not None and knows else Reports(ways)
            self._rule = self._own
        return self._rule
