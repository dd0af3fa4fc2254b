"""What a decision costs as a study grows: ours beside Optuna's TPE, in one process, on the same trials.

    python -m benchmarks.ask [SAMPLER+PRUNER ...] [--trials 100 1000 10000] [--decisions 20]

A decision is what a free worker waits for, the suggestion of a trial (or of one that goes on), and the verdict on that
trial's first report. The study holds so many finished trials of 8 parameters and 10 reports each, whose errors follow
from some of the parameters. Processor time; the searches take turns, decision by decision. The first decision after a
study is opened, in which ours takes in what the storage holds, is told apart. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from benchmarks.quality_clock import Search, milliseconds
from benchmarks.quality_optuna import Optunas
from benchmarks.quality_ours import Ours

EPOCHS: Final = 10
SPACE: Final[Mapping[str, BaseDistribution]] = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "decay": FloatDistribution(1e-6, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.8),
    "smoothing": FloatDistribution(0.0, 0.3),
    "width": IntDistribution(8, 512, log=True),
    "layers": IntDistribution(1, 6),
    "optimizer": CategoricalDistribution(["adam", "sgd", "rmsprop"]),
    "activation": CategoricalDistribution(["relu", "tanh"]),
}
THEIRS: Final = "Optuna TPE + halving"


def curve(params: Mapping[str, Any], noise: np.random.Generator) -> list[float]:
    """Return the errors of a trial after each epoch: slow with a small rate, worse the further from the best."""
    rate, dropout = math.log10(params["rate"]), params["dropout"]
    far = (rate + 2.5) ** 2 / 4 + 2 * (dropout - 0.3) ** 2 + abs(params["layers"] - 3) / 10
    far += (
        0.2 * (params["optimizer"] == "sgd") + 0.1 * (params["activation"] == "tanh") - math.log(params["width"]) / 40
    )
    end, speed = 0.1 + 0.3 * (1 - math.exp(-max(far, 0.0))), 0.1 + 0.2 * (rate + 5)
    errors = end + (0.9 - end) * np.exp(-speed * np.arange(1, EPOCHS + 1)) + noise.normal(0, 0.005, EPOCHS)
    return [float(error) for error in errors]


def finished(count: int) -> Iterator[FrozenTrial]:
    """Yield trials that went through all epochs, with uniform parameters."""
    noise, now = np.random.default_rng(0), datetime.now()
    draws = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(count):
        drawn = draws.ask(dict(SPACE))
        errors = curve(drawn.params, noise)
        yield FrozenTrial(
            number=number,
            state=TrialState.COMPLETE,
            value=errors[-1],
            datetime_start=now,
            datetime_complete=now,
            params=drawn.params,
            distributions=dict(SPACE),
            user_attrs={},
            system_attrs={},
            intermediate_values=dict(enumerate(errors, start=1)),
            trial_id=number,
        )


class Trained:
    """The curves of the trials of one search; a trial's row is its place among them."""

    def __init__(self) -> None:
        self._noise = np.random.default_rng(1)
        self.curves: list[list[float]] = []

    def space(self, trial: Trial) -> int:
        """Suggest all parameters."""
        for name, distribution in SPACE.items():
            trial._suggest(name, distribution)
        self.curves.append(curve(trial.params, self._noise))
        return len(self.curves) - 1


class Opened:
    """A search after a history, and the curves of the trials that it begins.

    Args:
        name: `SAMPLER+PRUNER` of ours, or `THEIRS`.
        trials: The history.
    """

    def __init__(self, name: str, trials: Sequence[FrozenTrial]) -> None:
        self._trained = Trained()
        self._search = _opened(name, trials, self._trained)

    def decide(self) -> float:
        """Have the search decide once; return the seconds of processor time that it took."""
        began = time.process_time()
        job = self._search.ask()
        assert job is not None
        error = self._trained.curves[job.row][job.done]
        job.done += 1
        goes_on = self._search.report(job, error)
        took = time.process_time() - began
        while goes_on and job.done < job.until:  # so that what is not finished rests
            job.done += 1
            goes_on = self._search.report(job, self._trained.curves[job.row][job.done - 1])
        return took


def _opened(name: str, trials: Sequence[FrozenTrial], trained: Trained) -> Search:
    if name != THEIRS:
        sampler, _, pruner = name.partition("+")
        ours = Ours(sampler, pruner, trained.space, epochs=EPOCHS, seed=1)
        ours.take_over(trials)
        return ours
    study = optuna.create_study(sampler=TPESampler(seed=1), pruner=SuccessiveHalvingPruner(min_resource=1))
    for trial in trials:
        study._storage.create_new_trial(study._study_id, template_trial=trial)
    return Optunas(study, trained.space, epochs=EPOCHS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours", nargs="*", default=["evolve+asha"], metavar="SAMPLER+PRUNER")
    parser.add_argument("--trials", nargs="+", type=int, default=[100, 1_000, 10_000])
    parser.add_argument("--decisions", type=int, default=20)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    names = [*given.ours, THEIRS]
    means: dict[str, list[float]] = {name: [] for name in names}
    print("| finished trials | search | ms a decision, mean | 99 % | first | of TPE's | of its own at the fewest |")
    print("|---|---|---|---|---|---|---|")
    for count in given.trials:
        trials = [*finished(count)]
        searches = {name: Opened(name, trials) for name in names}
        first = {name: search.decide() for name, search in searches.items()}
        took: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(given.decisions):
            for name, search in searches.items():
                took[name].append(search.decide())
        for name in names:
            mean, high = milliseconds(tuple(took[name]))
            means[name].append(mean)
            share, growth = mean / milliseconds(tuple(took[THEIRS]))[0], mean / means[name][0]
            cells = f"{mean:.2f} | {high:.2f} | {1e3 * first[name]:.1f} | {share:.3f} | {growth:.2f}"
            print(f"| {count:,} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
