"""What a verdict costs as a study grows, ours beside Optuna's, and how often the two differ.

    python benchmarks/pruners.py                       # both tables, about six minutes
    python benchmarks/pruners.py --histories 0         # the times alone

The same trials go to both pruners in one process: curves that flatten, a report each epoch, ended when pruned. A study
of the given size is laid down first; then more trials run in it, first with ours and then with Optuna's, and each call
is timed, in CPU time since the machine may be shared. Ours keeps books when a trial ends, so that is counted in;
Optuna's reads a storage in memory, its fastest.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial, TrialState, create_trial

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from search.study import pruners  # noqa: E402
from search.study.choice import Choice  # noqa: E402
from tests.study.histories import KINDS, play  # noqa: E402

SEED = 7
EPOCHS = 27
FACTOR = 3

OPTUNAS: dict[str, Callable[[], BasePruner]] = {
    "asha": lambda: SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR),
    "hyperband": lambda: HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=FACTOR),
    "median": MedianPruner,
}


@dataclass
class Pair:
    """A study with both pruners of one name."""

    name: str
    study: optuna.Study
    ours: pruners.PruningRule
    optunas: BasePruner
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))

    @classmethod
    def of(cls, name: str) -> Pair:
        rule = pruners.make(Choice(name), directions=["minimize"], seed=SEED, max_epochs=EPOCHS)
        return cls(name, optuna.create_study(study_name=str(SEED)), rule, OPTUNAS[name]())  # it keys brackets by name

    def curve(self) -> list[float]:
        """Return a value for each epoch."""
        end, slope = self.dice.random(), self.dice.random()
        return [end + slope / step + self.dice.gauss(0, 0.02) for step in range(1, EPOCHS + 1)]


def lay_down(pair: Pair, size: int) -> None:
    """Fill the study with `size` ended trials, judged by ours, as they would stand in the storage of either."""
    for number in range(size):
        trial = create_trial(state=TrialState.RUNNING)
        trial.number = number
        for step, value in enumerate(pair.curve(), start=1):
            trial.intermediate_values[step] = value
            if pair.ours.judge(pair.study, trial) is not None:
                trial.state = TrialState.PRUNED
                break
        else:
            trial.state = TrialState.COMPLETE
        trial.value = value
        trial.datetime_complete = trial.datetime_start
        trial.system_attrs = optunas_rungs(pair, trial)
        pair.study.add_trial(trial)
        pair.ours.settle(trial)


def optunas_rungs(pair: Pair, trial: FrozenTrial) -> dict[str, float]:
    """Return what Optuna's halving notes in a trial: its value at each rung it reached."""
    if pair.name == "median":
        return {}
    first = 0
    if isinstance(pair.optunas, HyperbandPruner):
        if not pair.optunas._pruners:
            pair.optunas._try_initialization(pair.study)
        first = pair.optunas._get_bracket_id(pair.study, trial)
    last = trial.last_step or 0
    steps = [FACTOR**rung for rung in range(first, 4) if FACTOR**rung <= min(last, EPOCHS - 1)]
    return {f"completed_rung_{rung}": trial.intermediate_values[step] for rung, step in enumerate(steps)}


def run_with_ours(pair: Pair, curves: list[list[float]], first: int) -> tuple[list[int | None], float]:
    """Run trials numbered from `first`; return the step at which each was pruned, and CPU seconds in the pruner."""
    pruned_at: list[int | None] = []
    spent_s = 0.0
    for number, curve in enumerate(curves, start=first):
        trial = create_trial(state=TrialState.RUNNING)
        trial.number = number
        pruned_at.append(None)
        for step, value in enumerate(curve[:-1], start=1):
            trial.intermediate_values[step] = value
            begun = time.thread_time()
            pruned = pair.ours.prune(pair.study, trial)
            spent_s += time.thread_time() - begun
            if pruned:
                pruned_at[-1] = step
                break
        trial.state = TrialState.PRUNED if pruned_at[-1] else TrialState.COMPLETE
        begun = time.thread_time()
        pair.ours.settle(trial)
        spent_s += time.thread_time() - begun
    return pruned_at, spent_s


def run_with_optunas(pair: Pair, curves: list[list[float]]) -> tuple[list[int | None], float]:
    """Run the same trials in the study."""
    pruned_at: list[int | None] = []
    spent_s = 0.0
    storage = pair.study._storage
    for curve in curves:
        trial_id = pair.study.ask()._trial_id
        pruned_at.append(None)
        for step, value in enumerate(curve[:-1], start=1):
            storage.set_trial_intermediate_value(trial_id, step, value)
            trial = storage.get_trial(trial_id)
            begun = time.thread_time()
            pruned = pair.optunas.prune(pair.study, trial)
            spent_s += time.thread_time() - begun
            if pruned:
                pruned_at[-1] = step
                break
        state = TrialState.PRUNED if pruned_at[-1] else TrialState.COMPLETE
        storage.set_trial_state_values(trial_id, state, [value])
    return pruned_at, spent_s


def rebuilding_s(pair: Pair) -> float:
    """Return how long taking up the study after a restart lasts."""
    trials = pair.study.get_trials(deepcopy=False)
    begun = time.perf_counter()
    pair.ours.replay(trials)
    return time.perf_counter() - begun


def print_times(sizes: list[int], trials: int) -> None:
    print(f"\nMean CPU time of one report, {EPOCHS} epochs a trial, default options, {trials} trials timed.\n")
    print("| pruner | trials before | reports | Optuna's, µs | ours, µs | ratio | verdicts | ours after a restart, s |")
    print("|---|---|---|---|---|---|---|---|")
    for name in OPTUNAS:
        for size in sizes:
            pair = Pair.of(name)
            lay_down(pair, size)
            restart_s = rebuilding_s(pair)
            curves = [pair.curve() for _ in range(trials)]
            gc.collect()
            gc.freeze()  # or one of the two would pay for the garbage of both
            ours, ours_s = run_with_ours(pair, curves, size)
            optunas, optunas_s = run_with_optunas(pair, curves)
            gc.unfreeze()
            reports = sum(step or EPOCHS - 1 for step in ours)
            said = "alike" if ours == optunas else "DIFFERENT"
            print(
                f"| {name} | {size:,} | {reports} | {1e6 * optunas_s / reports:,.1f} | {1e6 * ours_s / reports:.1f} "
                f"| {optunas_s / ours_s:,.0f} | {said} | {restart_s:.3f} |",
                flush=True,
            )


def print_agreement(histories: int) -> None:
    print(f"\nVerdicts on {histories:,} random histories.\n")
    print("| pruner | histories | verdicts | prunings | histories that differ |")
    print("|---|---|---|---|---|")
    for kind, make in enumerate(KINDS):
        played = [play(seed) for seed in range(kind, histories, len(KINDS))]
        verdicts, prunings = sum(one.verdicts for one in played), sum(one.prunings for one in played)
        differing = sum(one.differences > 0 for one in played)
        print(
            f"| {make.__name__.strip('_')} | {len(played):,} | {verdicts:,} | {prunings:,} | {differing} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--trials", type=int, default=150, help="trials timed in a study of each size (default 150)")
    parser.add_argument("--histories", type=int, default=10_000, help="random histories (default 10000; 0: none)")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print_times(given.sizes, given.trials)
    if given.histories:
        print_agreement(given.histories)


if __name__ == "__main__":
    main()
