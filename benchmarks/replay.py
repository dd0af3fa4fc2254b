"""Replays searches on recorded learning curves: how many epochs until a good model, ours beside Optuna's own.

    python -m benchmarks.replay [--tables FOLDER] [--seeds 20] [--arms NAME ...] [--sampler NAME ...]

Four workers train side by side, each takes a new trial as soon as its own ends, an epoch is one unit of time, and
every arm meets the same tables with the same seeds. A search ends when it has met the harder target, or after
`--budget` epochs; "never" is a median of searches that did not meet it by then. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial, TrialState

from benchmarks.curves import Table, read, small
from search.study import pruners, samplers
from search.study.choice import Choice

WORKERS: Final = 4
SHORT_TRIALS: Final = 60
"""A short sweep, whose best error is shown beside the targets."""

Point: TypeAlias = tuple[int, ...]


class Search(Protocol):
    """What an arm does: ask for a trial, judge a report, take in an end."""

    def ask(self) -> Trial: ...
    def is_pruned(self, trial: Trial, epoch: int, error: float) -> bool: ...
    def tell(self, trial: Trial, error: float, *, pruned: bool) -> None: ...


class Ours:
    """This project's samplers and pruners, driven as the study's owner drives them."""

    def __init__(self, sampler: str, pruner: str, *, seed: int, epochs: int) -> None:
        self._study = optuna.create_study()
        self._storage = self._study._storage
        self._sampler, self._seed, self._epochs, self._number = Choice.parse(sampler), seed, epochs, 0
        self._pruner = pruners.make(Choice.parse(pruner), directions=["minimize"], seed=seed, max_epochs=epochs)

    def ask(self) -> Trial:
        self._study.sampler = samplers.make(self._sampler, seed=self._seed, number=self._number)
        self._number += 1
        return self._study.ask()

    def is_pruned(self, trial: Trial, epoch: int, error: float) -> bool:
        trial.report(error, epoch)
        return (
            epoch < self._epochs
            and self._pruner.judge(self._study, self._storage.get_trial(trial._trial_id)) is not None
        )

    def tell(self, trial: Trial, error: float, *, pruned: bool) -> None:
        self._pruner.settle(_tell(self._study, trial, error, pruned=pruned))


class Optunas:
    """Optuna's own sampler and pruner."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner, *, epochs: int) -> None:
        self._study, self._epochs = optuna.create_study(sampler=sampler, pruner=pruner), epochs

    def ask(self) -> Trial:
        return self._study.ask()

    def is_pruned(self, trial: Trial, epoch: int, error: float) -> bool:
        trial.report(error, epoch)
        return epoch < self._epochs and trial.should_prune()

    def tell(self, trial: Trial, error: float, *, pruned: bool) -> None:
        _tell(self._study, trial, error, pruned=pruned)


def _tell(study: optuna.Study, trial: Trial, error: float, *, pruned: bool) -> optuna.trial.FrozenTrial:
    if pruned:
        return study.tell(trial, state=TrialState.PRUNED)
    return study.tell(trial, error)


def _ours(sampler: str, pruner: str, seed: int, epochs: int) -> Search:
    return Ours(sampler, pruner, seed=seed, epochs=epochs)


def _random_halving(seed: int, epochs: int) -> Search:
    return Optunas(optuna.samplers.RandomSampler(seed=seed), _halving(), epochs=epochs)


def _tpe_median(seed: int, epochs: int) -> Search:
    return Optunas(optuna.samplers.TPESampler(seed=seed), optuna.pruners.MedianPruner(), epochs=epochs)


def _tpe_halving(seed: int, epochs: int) -> Search:
    return Optunas(optuna.samplers.TPESampler(seed=seed), _halving(), epochs=epochs)


def _halving() -> optuna.pruners.BasePruner:
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)


ARMS: Final[Mapping[str, Callable[[int, int], Search]]] = {
    "random + asha": partial(_ours, "random", "asha"),
    "Optuna random + halving": _random_halving,
    "Optuna TPE + median": _tpe_median,
    "Optuna TPE + halving": _tpe_halving,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one search reached.

    Attributes:
        epochs: Until each target, infinite if not met.
        short_error: Best error when its first `SHORT_TRIALS` trials had ended.
        short_epochs: What these trials cost, with what the other workers had done by then.
    """

    epochs: tuple[float, ...]
    short_error: float
    short_epochs: int


def suggest(trial: Trial, axes: Sequence[int], *, conditional: bool) -> Point:
    """Suggest a point of the grid; a parameter of two values is a choice.

    With `conditional`, the first such choice opens a branch: the other parameters have names of their own behind it.
    """
    kinds: list[BaseDistribution] = [
        CategoricalDistribution([0, 1]) if size == 2 else IntDistribution(0, size - 1) for size in axes
    ]
    branch = axes.index(2) if conditional and 2 in axes else None
    taken = {} if branch is None else {branch: int(trial._suggest("family", kinds[branch]))}
    behind = "" if branch is None else f"family{taken[branch]}."
    for axis, kind in enumerate(kinds):
        if axis != branch:
            taken[axis] = int(trial._suggest(f"{behind}axis{axis}", kind))
    return tuple(taken[axis] for axis in range(len(axes)))


def replay(search: Search, table: Table, *, budget: int, conditional: bool) -> Found:
    """Run one search on a table."""

    def start() -> tuple[Trial, Sequence[float]]:
        trial = search.ask()
        return trial, table.error[suggest(trial, table.axes, conditional=conditional)].tolist()

    targets = table.targets()
    met = dict.fromkeys(targets, math.inf)
    best = math.inf
    short: tuple[float, int] | None = None
    running = [(*start(), 0) for _ in range(WORKERS)]
    ended = 0
    for spent in range(budget):
        worker = spent % WORKERS
        trial, curve, epoch = running[worker]
        error, epoch = curve[epoch], epoch + 1
        best = min(best, error)
        for target in targets:
            if best <= target and math.isinf(met[target]):
                met[target] = spent + 1
        pruned = search.is_pruned(trial, epoch, error)
        running[worker] = (trial, curve, epoch)
        if pruned or epoch == table.epochs:
            search.tell(trial, error, pruned=pruned)
            ended += 1
            short = (best, spent + 1) if ended == SHORT_TRIALS else short
            running[worker] = (*start(), 0)
        if ended >= SHORT_TRIALS and not any(map(math.isinf, met.values())):
            break
    return Found(tuple(met.values()), *(short or (best, budget)))


def _row(table: Table, arm: str, found: Sequence[Found], seconds: float, budget: int) -> str:
    medians = [np.quantile([one.epochs[index] for one in found], 0.5, method="nearest") for index in (0, 1)]
    shown = "/".join("never" if math.isinf(one) else f"{one:,.0f}" for one in medians)
    missed = "/".join(str(sum(math.isinf(one.epochs[index]) for one in found)) for index in (0, 1))
    means = [math.exp(np.mean([math.log(min(one.epochs[index], budget)) for one in found])) for index in (0, 1)]
    above = 100 * float(np.mean([one.short_error for one in found]) - table.error.min())
    mean = f"{means[0]:,.0f}/{means[1]:,.0f}"
    cost = np.mean([one.short_epochs for one in found])
    return f"| {table.name} | {arm} | {shown} | {missed} | {mean} | {above:.2f} ({cost:.0f}) | {seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, help="folder of table_NAME.npz (default: a small table, made once)")
    parser.add_argument("--only", nargs="+", help="names of tables")
    parser.add_argument(
        "--arms", nargs="+", default=list(ARMS), choices=list(ARMS), metavar="ARM", help=f"of {', '.join(ARMS)}"
    )
    parser.add_argument("--sampler", action="append", default=[], help="one more arm: this sampler of ours with asha")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=2000)
    parser.add_argument("--budget", type=int, default=1200, help="epochs")
    parser.add_argument("--conditional", action="store_true", help="parameters behind the first choice of two")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for sampler in given.sampler:
        samplers.check(Choice.parse(sampler))
    arms = {name: ARMS[name] for name in given.arms}
    arms |= {f"{sampler} + asha": partial(_ours, sampler, "asha") for sampler in given.sampler}
    tables = read(given.tables) if given.tables else [small(Path(".cache"))]
    print(
        f"{given.seeds} seeds from {given.first_seed}, {WORKERS} workers, at most {given.budget:,} epochs a search.\n"
    )
    print(
        "| table | search | median epochs to good/very good | missed | mean (geometric, a miss as the budget) "
        f"| points above the best after {SHORT_TRIALS} trials (epochs they cost) | seconds |"
    )
    print("|---|---|---|---|---|---|---|")
    for table in tables:
        if given.only and table.name not in given.only:
            continue
        for name, arm in arms.items():
            began = time.process_time()
            found = [
                replay(arm(seed, table.epochs), table, budget=given.budget, conditional=given.conditional)
                for seed in range(given.first_seed, given.first_seed + given.seeds)
            ]
            print(_row(table, name, found, time.process_time() - began, given.budget), flush=True)


if __name__ == "__main__":
    main()
