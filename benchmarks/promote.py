"""Replays halving in both forms on recorded learning curves: trials pruned at rungs, and trials that rest there.

    python -m benchmarks.promote [--tables FOLDER] [--seeds 20] [--pruner NAME ...] [--sampler NAME]

The clock is that of `benchmarks.replay`: four workers train side by side, an epoch is one unit of time, every arm meets
the same tables with the same seeds, and with the same configurations in the same order. A pause costs nothing here:
a trial goes on from its checkpoint. Each search is replayed twice, without a limit of trials until it has met the
harder target, or for `--budget` epochs; and as a sweep of `--trials` trials to its end. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial

from benchmarks.curves import Table, read, small
from benchmarks.replay import WORKERS, suggest
from search.study import pruners, samplers
from search.study.choice import Choice
from search.study.pruners import Pruning

PRUNERS: Final = ("asha", "asha:promote=true", "hyperband", "hyperband:promote=true")


@dataclass(slots=True)
class Job:
    """A trial in a worker's hands."""

    trial: Trial
    curve: list[float]
    epochs: int = 0


@dataclass(slots=True)
class Search:
    """A study's rules, driven as its owner drives them.

    Attributes:
        most: Trials in all; infinite for no limit.
        resting: Trials that rest at a rung, by number.
    """

    table: Table
    sampler: Choice
    rule: pruners.PruningRule
    seed: int
    most: float
    study: optuna.Study = field(default_factory=optuna.create_study)
    begun: int = 0
    complete: int = 0
    resting: dict[int, Job] = field(default_factory=dict)

    def next(self, *, alone: bool) -> Job | None:
        """Return what a free worker takes on; `alone` if no other one is busy."""
        job = self._promoted(at_least_one=False)
        if job is not None:
            return job
        if self.begun < self.most:
            return self._new()
        return self._promoted(at_least_one=True) if alone and not self.complete else None

    def report(self, job: Job) -> bool:
        """Train an epoch; tell whether the worker goes on with it."""
        error, job.epochs = job.curve[job.epochs], job.epochs + 1
        job.trial.report(error, job.epochs)
        if job.epochs == self.table.epochs:
            self.complete += 1
            self.rule.settle(self.study.tell(job.trial, error))
            return False
        judged = self.rule.judge(self.study, self._stored(job))
        if isinstance(judged, Pruning):
            self.rule.settle(self.study.tell(job.trial, state=optuna.trial.TrialState.PRUNED))
            return False
        if judged is not None and judged.rests:
            self.resting[job.trial.number] = job
            self.rule.rest(job.trial.number)
            return False
        return True

    def _promoted(self, *, at_least_one: bool) -> Job | None:
        number = self.rule.promotable(at_least_one=at_least_one)
        if number is None:
            return None
        self.rule.promote(self._stored(self.resting[number]))
        return self.resting.pop(number)

    def _new(self) -> Job:
        self.study.sampler = samplers.make(self.sampler, seed=self.seed, number=self.begun)
        self.begun += 1
        trial = self.study.ask()
        return Job(trial, self.table.error[suggest(trial, self.table.axes, conditional=False)].tolist())

    def _stored(self, job: Job) -> FrozenTrial:
        return self.study._storage.get_trial(job.trial._trial_id)


@dataclass(frozen=True, slots=True)
class Found:
    """What one search reached.

    Attributes:
        met: Epochs until each target, infinite if not met.
        best: Least error of all reports.
        epochs: That it took.
    """

    met: tuple[float, ...]
    best: float
    epochs: int


def replay(search: Search, *, budget: int) -> Found:
    """Run one search; workers take turns, an epoch each, and one that has nothing to do waits."""
    targets = search.table.targets()
    met, best, spent = dict.fromkeys(targets, math.inf), math.inf, 0
    lanes: list[Job | None] = [None] * WORKERS
    while spent < budget:
        for lane, job in enumerate(lanes):
            if job is None:
                lanes[lane] = search.next(alone=not any(lanes))
        if not any(lanes):
            break
        for lane, job in enumerate(lanes):
            if job is None or spent >= budget:
                continue
            spent += 1
            if not search.report(job):
                lanes[lane] = search.next(alone=not any(one for one in lanes if one is not job))
            best = min(best, job.curve[job.epochs - 1])
            for target in targets:
                if best <= target and math.isinf(met[target]):
                    met[target] = spent
        if math.isinf(search.most) and not any(map(math.isinf, met.values())):
            break
    return Found(tuple(met.values()), best, spent)


def _row(table: Table, arm: str, found: Sequence[Found], short: Sequence[Found], budget: int) -> str:
    medians = [np.quantile([one.met[index] for one in found], 0.5, method="nearest") for index in (0, 1)]
    shown = "/".join("never" if math.isinf(one) else f"{one:,.0f}" for one in medians)
    missed = "/".join(str(sum(math.isinf(one.met[index]) for one in found)) for index in (0, 1))
    means = [math.exp(np.mean([math.log(min(one.met[index], budget)) for one in found])) for index in (0, 1)]
    above = 100 * float(np.mean([one.best for one in short]) - table.error.min())
    cost = np.mean([one.epochs for one in short])
    return f"| {table.name} | {arm} | {shown} | {missed} | {means[0]:,.0f}/{means[1]:,.0f} | {above:.2f} ({cost:.0f}) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, help="folder of table_NAME.npz (default: a small table, made once)")
    parser.add_argument("--pruner", nargs="+", default=[*PRUNERS[:2]], help=f"such as {', '.join(PRUNERS)}")
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=2000)
    parser.add_argument("--budget", type=int, default=1200, help="epochs")
    parser.add_argument("--trials", type=int, default=60, help="of a sweep that is replayed to its end")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def found(table: Table, pruner: str, seed: int, *, most: float, budget: int) -> Found:
        rule = pruners.make(Choice.parse(pruner), directions=["minimize"], seed=seed, max_epochs=table.epochs)
        return replay(Search(table, Choice.parse(given.sampler), rule, seed, most), budget=budget)

    print(
        f"{given.sampler}, {given.seeds} seeds from {given.first_seed}, {WORKERS} workers, "
        f"at most {given.budget:,} epochs a search.\n\n"
        "| table | pruner | median epochs to good/very good | missed | mean (geometric, a miss as the budget) "
        f"| points above the best after {given.trials} trials (epochs they cost) |\n|---|---|---|---|---|---|"
    )
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for table in read(given.tables) if given.tables else [small(Path(".cache"))]:
        for pruner in given.pruner:
            long = [found(table, pruner, seed, most=math.inf, budget=given.budget) for seed in seeds]
            short = [found(table, pruner, seed, most=given.trials, budget=10**9) for seed in seeds]
            print(_row(table, pruner, long, short, given.budget), flush=True)


if __name__ == "__main__":
    main()
