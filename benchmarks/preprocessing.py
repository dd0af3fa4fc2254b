"""What each preprocessing choice does to the validation score of each family of models, on six real tables.

    python -m benchmarks.preprocessing run scores.csv              # 20 seeds; goes on where the file ends
    python -m benchmarks.preprocessing table scores.csv            # the table as Markdown
    python -m benchmarks.preprocessing table scores.csv --csv docs/preprocess.csv

One choice is changed at a time against the family's own default, which is: missing numbers become the median, numbers
are standardised (but for trees, which do not feel it; boosted trees keep missing values too), categories are one-hot
(for trees: ordered by the mean target). A seed is a split and the randomness of the training; train and validation
rows are those of `sweep run`, 60 % and 20 %, and the test rows are never opened. Trainings are short: networks take
three of their five units, sized as for a sweep of 6 epochs; boosted trees 27 iterations of 8 leaves; forests the first
four of six units (89 trees).

The sixth table is that of the penguins at Palmer station, as recorded (Gorman, Williams, Fraser 2014), whose sex is
predicted: numbers, categories, a date and remarks, with gaps. It needs `pip install --no-deps palmerpenguins`.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from objectives.tabular import FAMILIES, Tabular
from search.contract import Context, Dataset, Role, Task
from search.data.source import FileSource
from search.data.splits import split

SEEDS: Final = 20
TABLES: Final = ("breast_cancer", "diabetes", "digits", "iris", "penguins", "wine")
TREES: Final = ("forest", "boosting")
NETWORKS: Final = ("mlp", "residual")

Params = Mapping[str, Any]

_SMOOTH: Final = {"impute": "median", "scale": "standard", "encode": "one-hot"}
DEFAULTS: Final[dict[str, Params]] = {
    "linear": _SMOOTH,
    "forest": {"impute": "median"},
    "boosting": {},
    "mlp": _SMOOTH,
    "residual": _SMOOTH,
}
MODELS: Final[dict[str, Params]] = {
    "linear": {"model.l2": 1e-2},
    "forest": {},
    "boosting": {"model.shrinkage": 0.1, "model.leaves": 8, "model.min_rows": 5},
    "mlp": {"model.width": 32, "train.lr": 3e-3},
    "residual": {"model.width": 32, "train.lr": 3e-3},
}
UNITS: Final = {"linear": 1, "forest": 4, "boosting": 2, "mlp": 3, "residual": 3}
MAX_EPOCHS: Final = 6

NUMBERS: Final[list[Params]] = [
    *({"scale": value} for value in ("none", "symmetric", "unit", "robust", "quantile", "power")),
    {"clip": 0.005},
    {"clip": 0.02},
    {"outliers": "robust_z"},
]
WHITENING: Final[list[Params]] = [{"whiten": value} for value in ("pca", "zca", "shrinkage")]
ROWS: Final[list[Params]] = [{"outliers": "drop"}, {"duplicates": "drop"}]
GAPS: Final[list[Params]] = [
    *({"impute": value} for value in ("median", "mean", "most_frequent", "knn")),
    {"indicator": True},
]
KINDS: Final[list[Params]] = [
    *({"encode": value} for value in ("one-hot", "ordinal", "target", "hash")),
    *({"rare": value} for value in (5, 20)),
    *({"dates": value} for value in ("parts", "cyclic")),
    *({"text": value} for value in ("words", "characters")),
]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A data set and what is known of its columns."""

    dataset: Dataset
    roles: Mapping[str, Role]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("scores", type=Path, help="CSV, one training a line")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES, metavar="NAME")
    parser.add_argument("--csv", type=Path, help="also write the effects in long form")
    given = parser.parse_args()
    if given.what == "run":
        with threadpool_limits(1):
            run(given.scores, given.tables, given.seeds)
        return
    effects = list(summarise(pd.read_csv(given.scores)))
    print("\n".join(markdown(effects)))
    if given.csv:
        pd.DataFrame(effects).round(5).to_csv(given.csv, index=False)


def run(scores: Path, tables: Sequence[str], seeds: int) -> None:
    """Train every choice of every family on every table, a seed at a time; what the file holds already stays."""
    done = set()
    if scores.exists():
        done = {tuple(line[:4]) for line in csv.reader(scores.open())}
    with scores.open("a", newline="") as file:
        writer = csv.writer(file)
        if not done:
            writer.writerow(("table", "family", "choice", "seed", "val_loss"))
        for seed, name in itertools.product(range(seeds), tables):
            table = load(name)
            for family in FAMILIES:
                for choice in ({}, *choices(family, table)):
                    key = (name, family, label(choice), str(seed))
                    if key not in done:
                        writer.writerow((*key, trained(table, family, choice, seed)))
            file.flush()


def load(name: str) -> Table:
    if name != "penguins":
        return Table(FileSource(None, None, Path()).table(f"sklearn:{name}"), {})
    found = importlib.util.find_spec("palmerpenguins")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the penguins are not here; try: pip install --no-deps palmerpenguins")
    raw = pd.read_csv(Path(found.submodule_search_locations[0]) / "data" / "penguins-raw.csv")
    raw = raw[raw.Sex.isin(["MALE", "FEMALE"])].reset_index(drop=True)
    left_out = ["studyName", "Sample Number", "Individual ID", "Region", "Stage", "Sex"]
    target = (raw.Sex == "MALE").to_numpy(dtype=np.int64)
    features = raw.drop(columns=left_out)
    roles = {"Date Egg": Role.DATE, "Comments": Role.TEXT}
    return Table(Dataset("penguins", Task.BINARY, features, target, ("FEMALE", "MALE")), roles)


def choices(family: str, table: Table) -> Iterator[Params]:
    """Yield what is changed: only what this family can feel on this table."""
    features = table.dataset.features
    assert isinstance(features, pd.DataFrame)
    if family not in TREES:
        yield from NUMBERS
    if family != "boosting" or not features.isna().any(axis=None):
        yield from WHITENING
    yield from ROWS
    found = []
    if features.isna().any(axis=None):
        found += GAPS
    if table.roles:
        found += KINDS
    default = {"encode": "ordinal", **DEFAULTS[family]}
    yield from (choice for choice in found if not choice.items() <= default.items())


def label(choice: Params) -> str:
    return ", ".join(f"{name}={value}" for name, value in choice.items()) or "default"


def trained(table: Table, family: str, choice: Params, seed: int) -> float:
    """Return the validation loss of a short training."""
    dataset = table.dataset
    train, validation = split(dataset, seed=seed).parts(dataset)
    context = Context(
        seed=seed,
        max_epochs=MAX_EPOCHS,
        task=dataset.task,
        classes=dataset.classes,
        roles=table.roles,
        target_variance=0.0 if dataset.task.is_classification else float(np.var(train.target)),
    )
    params = dict(DEFAULTS[family]) | dict(choice)
    if "whiten" in choice:
        params = {"impute": "median", "scale": "standard"} | params
    stages = Tabular()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = stages.preprocess(params, train, validation, context)
        learner = stages.learner({"model.family": family, **MODELS[family]}, prepared, context)
        for _ in range(UNITS[family]):
            learner.fit_epoch()
    return float(learner.evaluate()["val_loss"])


def summarise(scores: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the mean change of the loss by each choice, and half of its 95 % interval, paired over the seeds."""
    losses = {
        (str(family), str(choice), str(table)): group.set_index("seed")["val_loss"].astype(float)
        for (family, choice, table), group in scores.groupby(["family", "choice", "table"], sort=False)
    }
    for (family, choice, table), mine in losses.items():
        default = losses[family, "default", table]
        change = mine if choice == "default" else (mine - default).dropna()
        count = len(change)
        yield {
            "family": family,
            "choice": choice,
            "table": table,
            "seeds": count,
            "default_loss": float(default.mean()),
            "change": float(change.mean()),
            "reach": float(student.ppf(0.975, count - 1) * change.std(ddof=1) / math.sqrt(count)) if count > 1 else 0.0,
        }


def markdown(effects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table for each family: a row for each choice, a column for each table."""
    for family in FAMILIES:
        mine = {(one["choice"], one["table"]): one for one in effects if one["family"] == family}
        tables = [name for name in TABLES if ("default", name) in mine]
        yield f"\n### {family}\n"
        yield f"| choice | {' | '.join(tables)} |"
        yield "|---" * (1 + len(tables)) + "|"
        for choice in dict.fromkeys(choice for choice, _ in mine):
            cells = [cell(mine.get((choice, name))) for name in tables]
            yield f"| {choice} | {' | '.join(cells)} |"


def cell(one: Mapping[str, Any] | None) -> str:
    """Return the change and its reach, bold where the interval leaves out 0 and it shows."""
    if one is None:
        return ""
    if one["choice"] == "default":
        return f"{one['change']:.3f}"
    if abs(one["change"]) < 5e-5 and one["reach"] < 5e-5:
        return "0"
    text = f"{one['change']:+.3f} ± {one['reach']:.3f}"
    return f"**{text}**" if abs(one["change"]) > max(one["reach"], 0.0005) else text


if __name__ == "__main__":
    main()
