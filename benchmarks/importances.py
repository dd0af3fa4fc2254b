"""Our importances beside Optuna's: which parameters come first on five known functions, and what that takes.

    python -m benchmarks.importances [--trials 250] [--seeds 3]

Trials are drawn at random, the same for both. Optuna's are its fANOVA and its PED-ANOVA as they stand.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import FrozenTrial, create_trial

from search.plan import SweepPlan
from search.records.explained import explained
from search.records.importances import judge
from search.records.judged import Judged
from search.study.record import from_frozen

_UNIT = FloatDistribution(0.0, 1.0)
_CIRCLE = FloatDistribution(-math.pi, math.pi)
_HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
"""Hartmann's of six variables: Picheny, Wagner, Ginsbourger, "A benchmark of kriging-based infill criteria", 2013."""


@dataclass(frozen=True)
class Known:
    """A function whose important parameters are known.

    Attributes:
        space: Its parameters.
        loss: Its value.
        real: How many parameters have a main effect at all; the others are ordered by chance.
    """

    space: Mapping[str, BaseDistribution]
    loss: Callable[[Mapping[str, Any]], float]
    real: int


def _branin(given: Mapping[str, Any]) -> float:
    x, y = given["x"], given["y"]
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return float((y - b * x**2 + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10)


def _hartmann(given: Mapping[str, Any]) -> float:
    x = np.array([given[f"x{place}"] for place in range(6)])
    return float(-(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-(_HARTMANN_A * (x - _HARTMANN_P) ** 2).sum(axis=1))))


def _ishigami(given: Mapping[str, Any]) -> float:
    x, y, z = given["x"], given["y"], given["z"]
    return float(math.sin(x) + 7 * math.sin(y) ** 2 + 0.1 * z**4 * math.sin(x))


def _trained(given: Mapping[str, Any]) -> float:
    family = {"a": 0.0, "b": 0.4, "c": 0.7}[given["model.family"]]
    return float(math.log10(given["train.lr"]) + family + given["model.layers"] / 12)


KNOWN = {
    "a sum, weights 5 3 2 1 0 0": Known(
        dict.fromkeys(("a", "b", "c", "d", "e", "f"), _UNIT),
        lambda given: 5 * given["a"] + 3 * given["b"] + 2 * given["c"] + given["d"],
        4,
    ),
    "Branin, and 3 of no effect": Known(
        {"x": FloatDistribution(-5, 10), "y": FloatDistribution(0, 15)} | dict.fromkeys(("p", "q", "r"), _UNIT),
        _branin,
        2,
    ),
    "Hartmann of 6": Known({f"x{place}": _UNIT for place in range(6)}, _hartmann, 6),
    "Ishigami": Known(dict.fromkeys(("x", "y", "z"), _CIRCLE), _ishigami, 2),
    "a choice and a logarithm": Known(
        {
            "train.lr": FloatDistribution(1e-3, 1.0, log=True),
            "model.family": CategoricalDistribution(("a", "b", "c")),
            "model.layers": IntDistribution(1, 8),
            "model.width": IntDistribution(16, 512, log=True),
        },
        _trained,
        3,
    ),
}


def trials(known: Known, count: int, seed: int) -> list[FrozenTrial]:
    """Draw trials of a function."""
    dice = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        given = {name: _drawn(one, dice) for name, one in known.space.items()}
        made.append(create_trial(value=known.loss(given), params=given, distributions=dict(known.space)))
    for number, trial in enumerate(made):
        trial.number = number
    return made


def _drawn(one: BaseDistribution, dice: np.random.Generator) -> Any:
    if isinstance(one, CategoricalDistribution):
        return one.choices[int(dice.integers(len(one.choices)))]
    assert isinstance(one, FloatDistribution | IntDistribution)
    low, high = (math.log(one.low), math.log(one.high)) if one.log else (one.low, one.high)
    drawn = float(dice.uniform(low, high))
    drawn = math.exp(drawn) if one.log else drawn
    return min(one.high, max(one.low, round(drawn) if isinstance(one, IntDistribution) else drawn))


def ours(given: list[FrozenTrial]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the shares of fANOVA and of PED-ANOVA, by parameter, most important first."""
    plan = SweepPlan("o.py:O", "s.py:s", "known", ".", ("loss",), ("minimize",), seed=0)
    judged = Judged.of_records([from_frozen(one) for one in given], plan, len(given))
    found = judge(judged)
    alone = {name: one.share for name, one in explained(judged, found).alone.items()}
    return dict(sorted(alone.items(), key=lambda one: -one[1])), {one.name: one.share for one in found}


def optunas(given: list[FrozenTrial], evaluator: BaseImportanceEvaluator) -> dict[str, float]:
    """Return Optuna's shares."""
    study = optuna.create_study()
    study.add_trials(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(get_param_importances(study, evaluator=evaluator))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ours(trials(KNOWN["Ishigami"], 30, 0))  # loads scikit-learn
    print(f"{given.trials} trials\n\n| function | our fANOVA | Optuna's | first three alike | ours, s | Optuna's, s |")
    print("|---|---|---|---|---|---|")
    for name, known in KNOWN.items():
        same, took, their = 0, [], []
        mine: dict[str, float] = {}
        reference: dict[str, float] = {}
        for seed in range(given.seeds):
            drawn = trials(known, given.trials, seed)
            begun = time.process_time()
            mine, _ = ours(drawn)
            took.append(time.process_time() - begun)
            begun = time.process_time()
            reference = optunas(drawn, FanovaImportanceEvaluator(seed=seed))
            their.append(time.process_time() - begun)
            count = min(3, known.real)
            same += [*mine][:count] == [*reference][:count]
        first, second = (
            ", ".join(f"{one} {share:.2f}" for one, share in [*some.items()][:3]) for some in (mine, reference)
        )
        print(
            f"| {name} | {first} | {second} | {same} of {given.seeds} | {statistics.median(took):.2f} "
            f"| {statistics.median(their):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
