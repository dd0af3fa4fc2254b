"""What a warm start gains from a related problem, and loses by one that is not.

    python benchmarks/warm_start.py                     # 20 seeds, random and tpe, 40 trials: two minutes
    python benchmarks/warm_start.py --seeds 5 --trials 30 --samplers evolve

Six numbers and a category; the optimum and the weights are drawn for each seed. The earlier study has 60 uniform
trials of: the same problem moved by a tenth of each range and measured in another unit (related), a problem with an
optimum and weights of its own (unrelated), or the problem turned upside down (inverted). The loss is the best one so
far: its median without a warm start, and with one the geometric mean over the seeds of its ratio to that, with the
standard error; then the share of seeds in which the warm start ended better. The same search with other random draws
shows how much of that is luck.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from search.plan import SweepPlan  # noqa: E402
from search.study.owner import StudyOwner  # noqa: E402
from search.study.runs import Run  # noqa: E402
from search.study.space import describe  # noqa: E402
from search.study.warm import Source, take  # noqa: E402
from search.trial import Ending, Outcome, Progress  # noqa: E402

KINDS = ("a", "b", "c")
NUMBERS = 6
EARLIER = 60
WAYS = ("none", "none, other draws", "related", "unrelated", "inverted")

Loss = Callable[[Mapping[str, Any]], float]


def space(trial: Any) -> None:
    """Suggest a category and six numbers, two of them in log scale."""
    trial.suggest_categorical("kind", KINDS)
    for number in range(NUMBERS):
        if number < 2:
            trial.suggest_float(f"x{number}", 1e-4, 1.0, log=True)
        else:
            trial.suggest_float(f"x{number}", 0.0, 1.0)


def problem(seed: int, moved: float = 0.0) -> Loss:
    """Return a loss with an optimum and weights of its own.

    Args:
        seed: Of both.
        moved: How far the optimum is moved, as a share of each range.
    """
    random = np.random.default_rng(seed)
    at, weights = random.uniform(0.15, 0.85, NUMBERS), random.exponential(1.0, NUMBERS)
    at = np.clip(at + moved * random.choice([-1, 1], NUMBERS), 0, 1)
    best, penalty = KINDS[int(random.integers(len(KINDS)))], random.uniform(0.1, 0.5)

    def loss(params: Mapping[str, Any]) -> float:
        values = np.array([params[f"x{number}"] for number in range(NUMBERS)], dtype=float)
        values[:2] = 1 + np.log10(values[:2]) / 4
        return float((weights * (values - at) ** 2).sum() + (0.0 if params["kind"] == best else penalty))

    return loss


def source(way: str, seed: int) -> Source:
    """Return an earlier study, related in this way to the problem of `seed`."""
    here, there, elsewhere = problem(seed), problem(seed, moved=0.1), problem(seed + 10_000)
    losses: dict[str, Loss] = {
        "related": lambda params: 7.0 * there(params) + 3.0,
        "unrelated": elsewhere,
        "inverted": lambda params: -here(params),
    }
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(EARLIER):
        trial = study.ask()
        space(trial)
        study.tell(trial, losses[way](trial.params))
    known = describe(space, seed=0)
    return take(way, study.get_trials(), ["minimize"], space=known, wanted=["minimize"])


def best_of(way: str, sampler: str, seed: int, trials: int, checkpoints: tuple[int, ...]) -> list[float]:
    """Run one sweep; return its best loss after so many trials each."""
    loss, found = problem(seed), []
    with tempfile.TemporaryDirectory() as folder:
        plan = SweepPlan(
            objective="objective",
            space="space",
            study="s",
            results=folder,
            metrics=("loss",),
            directions=("minimize",),
            seed=seed + 5000 * (way == "none, other draws"),
            trials=trials,
            max_epochs=1,
            sampler=sampler,
            pruner="none",
        )
        owner = StudyOwner.open(plan, Path(folder), space, slots=1, run=Run("run"))
        owner.prepare({}, [] if way.startswith("none") else [source(way, seed).to_json()])
        for turn in range(trials):
            spec = owner.ask(f"slot:{turn}").spec
            if spec is None:
                break
            owner.begin(spec.number, f"t{turn}")
            value = {"loss": loss(spec.params)}
            owner.report(spec.number, f"t{turn}", Progress(1, value, 1))
            owner.tell(spec.number, f"t{turn}", Outcome(Ending.COMPLETE, 1, value))
            found.append(value["loss"])
        owner.close()
    return [min(found[:count]) for count in checkpoints]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--samplers", nargs="*", default=["random", "tpe"])
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    checkpoints = (given.trials // 4, given.trials)
    heads = [f"loss after {count}" for count in checkpoints]
    print(f"| sampler | earlier study | {heads[0]} | {heads[1]} | better at the end |\n|---|---|---|---|---|")
    for sampler in given.samplers:
        by_way = {}
        for way in WAYS:
            by_way[way] = np.array(
                [best_of(way, sampler, seed, given.trials, checkpoints) for seed in range(given.seeds)]
            )
            ratios = np.log(by_way[way] / by_way["none"])
            means, errors = np.exp(ratios.mean(axis=0)), ratios.std(axis=0) / np.sqrt(given.seeds)
            shown = [f"x {mean:.2f} (+- {error:.0%})" for mean, error in zip(means, errors, strict=True)]
            if way == "none":
                shown = [f"{median:.3f}" for median in np.median(by_way[way], axis=0)]
            wins = np.mean(by_way[way][:, 1] < by_way["none"][:, 1])
            share = "" if way == "none" else f"{wins:.0%}"
            print(f"| {sampler} | {way} | {shown[0]} | {shown[1]} | {share} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
