"""What the default sweep of a table is worth: its winner beside scikit-learn's default HistGradientBoosting.

    python benchmarks/tabular.py                                # every table, five splits each
    python benchmarks/tabular.py --tables credit wine --splits 2

Both are scored on test rows that neither saw. The sweep trains on the train rows and chooses on the validation rows;
its winner is then trained again on both, as a user would. The rival gets train and validation rows as well, and text
columns as categories, which it handles natively. All of it depends on the seed of the split alone; a generated table
is drawn anew for each. The space's ranges were chosen by looking at seeds 0 to 4, so the seeds here begin at 100.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.mixed_tables import TABLES, generate  # noqa: E402
from objectives import scoring  # noqa: E402
from objectives.tabular import Tabular  # noqa: E402
from search.building import stage_params  # noqa: E402
from search.contract import Context, Dataset, Part, Task  # noqa: E402
from search.data.source import FileSource  # noqa: E402
from search.data.splits import split  # noqa: E402
from search.engine import step_of  # noqa: E402
from search.local import run_here, setting_of, use_threads  # noqa: E402
from search.plan import SweepPlan  # noqa: E402
from search.problem import Problem, Seen, problem_of  # noqa: E402
from search.randomness import preparation_seed, stage_seed  # noqa: E402
from search.status import TrialScore  # noqa: E402
from search.study.owner import StudyOwner  # noqa: E402
from search.study.runs import Run  # noqa: E402
from spaces.tabular import tabular  # noqa: E402

PACKAGED = ("breast_cancer", "wine", "diabetes", "digits")
SPLITS = 5
FIRST_SEED = 100
TRIALS = 60  # as `sweep run` does when no budget is given

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """One table at one split: the scores on its test rows.

    Attributes:
        winner: Of the sweep, as its checkpoint is: trained on the train rows.
        again: The winner trained on train and validation rows.
        rival: The default boosted trees on train and validation rows.
    """

    family: str
    winner: Scores
    again: Scores
    rival: Scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=[*TABLES, *PACKAGED], metavar="NAME")
    parser.add_argument("--splits", type=int, default=SPLITS, metavar="N")
    given = parser.parse_args()
    use_threads(1)
    print(f"{TRIALS} trials, {given.splits} splits; loss: log loss, or squared error in units of the variance in train")
    print(
        "| table | rows | loss: winner | trained again | rival | change by the sweep (95%) | accuracy or R2 | better |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in given.tables:
        seeds = range(FIRST_SEED, FIRST_SEED + given.splits)
        results = [compare(load(name, seed), seed) for seed in seeds]
        print(row(load(name, FIRST_SEED), results), flush=True)


def load(name: str, seed: int) -> Dataset:
    """Return a generated table drawn by the seed, or a packaged one."""
    return generate(name, seed) if name in TABLES else FileSource(None, None, ROOT).table(f"sklearn:{name}")


def compare(dataset: Dataset, seed: int) -> Result:
    """Run the default sweep on one split, then score its winner and the rival on the test rows."""
    parts = split(dataset, seed=seed)
    train, validation = parts.parts(dataset)
    stages = Tabular()
    metrics = tuple(stages.metrics(dataset))
    source = FileSource(None, None, ROOT)
    seen = Seen(dataset.name, dataset.task, dataset.classes, train, validation, (), "", parts.digest())
    problem = problem_of(stages, source, seen)
    plan = SweepPlan(
        objective="objectives/tabular.py:Tabular",
        space="spaces/tabular.py:tabular",
        study="benchmark",
        results="",
        metrics=(metrics[0].name,),
        directions=(metrics[0].direction,),
        seed=seed,
        trials=TRIALS,
    )
    best = search(plan, problem)
    test = parts.test.open(dataset, "benchmark: the sweep is over")
    every = Part(pd.concat([train.features, validation.features]), np.concatenate([train.target, validation.target]))
    return Result(
        family=str(best.params["model.family"]),
        winner=trained(plan, problem, best, train, test),
        again=trained(plan, problem, best, every, test),
        rival=rival(problem, every, test, seed),
    )


def search(plan: SweepPlan, problem: Problem) -> TrialScore:
    """Run a whole sweep in this process and return its best trial."""
    with tempfile.TemporaryDirectory() as folder:
        owner = StudyOwner.open(plan, Path(folder), tabular, slots=1, run=Run("run"))
        try:
            run_here(owner, problem, setting_of(plan, problem))
            best = owner.finish().best
        finally:
            owner.close()
    assert best is not None, "no trial of the sweep completed"
    return best


def trained(plan: SweepPlan, problem: Problem, best: TrialScore, train: Part, test: Part) -> Scores:
    """Train the configuration of the best trial, with its seeds, to its best step, and score the test rows."""

    def context(seed: int) -> Context:
        return Context(seed, plan.max_epochs, task=problem.task, classes=problem.classes)

    stages, chosen = Tabular(), stage_params(best.params, "preprocess.")
    training = context(stage_seed(plan.seed, best.number, "train"))
    prepared = stages.preprocess(chosen, train, test, context(preparation_seed(plan.seed, chosen)))
    params = {name: value for name, value in best.params.items() if not name.startswith("preprocess.")}
    learner = stages.learner(params, prepared, training)
    for units in range(1, learner.budget + 1):
        learner.fit_epoch()
        if step_of(units, learner.budget, plan.max_epochs) >= best.step:
            break
    prediction = learner.predict(prepared.validation.features)  # type: ignore[attr-defined]
    return scoring.score(prediction, test, problem.train, training)


def rival(problem: Problem, train: Part, test: Part, seed: int) -> Scores:
    """Score scikit-learn's default boosted trees; text columns become categories, missing values stay."""
    table = pd.concat([train.features, test.features])
    text = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    table[text] = table[text].astype("category")
    known, unknown = table.iloc[: len(train.target)], table.iloc[len(train.target) :]
    context = Context(task=problem.task, classes=problem.classes)
    if problem.task is Task.REGRESSION:
        values: Any = HistGradientBoostingRegressor(random_state=seed).fit(known, train.target).predict(unknown)
        return scoring.score(values, test, problem.train, context)
    found: Any = HistGradientBoostingClassifier(random_state=seed).fit(known, train.target).predict_proba(unknown)
    return scoring.score(found, test, problem.train, context)


def row(dataset: Dataset, results: Sequence[Result]) -> str:
    """Return a table's line: mean losses, the relative change with its interval, and the number people know."""
    second = "val_r2" if dataset.task is Task.REGRESSION else "val_accuracy"
    losses = [f"{mean([getattr(one, who)['val_loss'] for one in results]):.4f}" for who in ("winner", "again", "rival")]
    changes = [math.log(max(one.again["val_loss"], 1e-6) / max(one.rival["val_loss"], 1e-6)) for one in results]
    seconds = [f"{mean([getattr(one, who)[second] for one in results]):.3f}" for who in ("again", "rival")]
    better = sum(change < 0 for change in changes)
    return (
        f"| {dataset.name} ({dataset.task.value}) | {len(dataset.target)} | {' | '.join(losses)} | {interval(changes)} "
        f"| {' / '.join(seconds)} | {better} of {len(results)} |"
    )


def interval(changes: Sequence[float]) -> str:
    """Return the mean relative change, from logarithms of ratios, with its 95% interval over the splits."""
    centre = mean(changes)
    if len(changes) < 2:
        return f"{math.expm1(centre):+.0%}"
    reach = float(student.ppf(0.975, len(changes) - 1)) * float(np.std(changes, ddof=1)) / math.sqrt(len(changes))
    return f"{math.expm1(centre):+.0%} [{math.expm1(centre - reach):+.0%}, {math.expm1(centre + reach):+.0%}]"


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


if __name__ == "__main__":
    main()
