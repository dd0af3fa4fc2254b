"""What looks wrong with a data set, in one sentence each: a `Finding`. Nothing is done about it: people decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Dataset, Role, Task
from search.data.columns import ColumnProfile, spread_evenly
from search.data.twins import near_duplicates

MAX_LEVELS: Final = 100
"""A category with more levels is told of: most of them have few rows."""
FEW_ROWS: Final = 10
"""A class with fewer rows is told of."""

_MOSTLY: Final = 0.5
_GIVES_AWAY: Final = 0.99  # of what a perfect prediction gains over a constant one
_DRIFT: Final = 0.3  # rank correlation of a sorted column with the target
_LOOKED_AT: Final = 10_000  # rows; fewer where there are many columns
_CELLS: Final = 2_000_000
_ZEROS: Final = (0.005, 0.6)  # share of the zeros that may stand for missing values
_LARGE: Final = 1e30  # the square of a larger value is beyond what a tree reckons in
_FAR: Final = 5  # usual steps between neighbouring values


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that looks wrong.

    Attributes:
        kind: `identifier`, `copies_target`, `gives_away_target`, `sorted`, `constant`, `all_missing`, `mostly_missing`,
            `zeros`, `many_levels`, `date`, `twin`, `rare_class`, `duplicates` or `contradictions`.
        column: That it is about; "" for the whole data set.
        sentence: For people.
    """

    kind: str
    column: str
    sentence: str

    def to_json(self) -> dict[str, str]:
        """Return the finding as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Finding:
        """Return what `to_json` described."""
        return cls(**values)


def of_columns(table: pd.DataFrame, columns: Sequence[ColumnProfile]) -> Iterator[Finding]:
    """Find what looks wrong in the features by themselves.

    Args:
        table: Cleaned.
        columns: The profile of each of its columns.
    """
    for position, about in enumerate(columns):
        yield from _of_column(table.iloc[:, position], about, len(table))
    for name, other in near_duplicates(table, [one.name for one in columns if one.distinct > 1]):
        yield Finding("twin", other, f"column {other!r} says nearly the same as {name!r}; one of them is enough")


def of_target(dataset: Dataset, columns: Sequence[ColumnProfile]) -> Iterator[Finding]:
    """Find what looks wrong with the target, and which columns of a table give it away."""
    if dataset.task.is_classification:
        yield from _rare_classes(dataset)
    features = dataset.features
    if isinstance(features, np.ndarray):
        return
    rows = spread_evenly(np.arange(len(features)), int(np.clip(_CELLS // max(1, len(columns)), 200, _LOOKED_AT)))
    target = dataset.target[rows]
    for position, about in enumerate(columns):
        if about.distinct < 2:
            continue
        column = features.iloc[:, position]
        yield from _about_target(column, column.iloc[rows], about, dataset, target)


def _rare_classes(dataset: Dataset) -> Iterator[Finding]:
    counts = np.bincount(dataset.target, minlength=len(dataset.classes))
    rare = {name: int(count) for name, count in zip(dataset.classes, counts, strict=True) if 0 < count < FEW_ROWS}
    name, count = next(iter(rare.items()), ("", 0))
    if len(rare) == 1:
        yield Finding("rare_class", "", f"class {name!r} has {count} rows; what is measured on it is mostly chance")
    elif rare:
        said = f"{len(rare)} classes have fewer than {FEW_ROWS} rows, {name!r} for one ({count})"
        yield Finding("rare_class", "", f"{said}; what is measured on them is mostly chance")


def _of_column(column: pd.Series[Any], about: ColumnProfile, rows: int) -> Iterator[Finding]:
    name, present = about.name, rows - about.missing
    if present == 0:
        yield Finding("all_missing", name, f"column {name!r} has no value at all")
        return
    if about.role is Role.CONSTANT:
        yield Finding("constant", name, f"column {name!r} has one value only")
    if about.missing > _MOSTLY * rows:
        yield Finding("mostly_missing", name, f"column {name!r} is missing in {about.missing / rows:.0%} of the rows")
    match about.role:
        case Role.IDENTIFIER:
            said = f"column {name!r} looks like an id: each row has its own value, which says nothing of a new row"
            yield Finding("identifier", name, said)
        case Role.CATEGORY if about.distinct > MAX_LEVELS:
            said = f"column {name!r} has {about.distinct} levels, most of them with few rows"
            yield Finding("many_levels", name, said)
        case Role.DATE:
            said = f"column {name!r} holds dates as text; as levels of a category they mean nothing for a new date"
            yield Finding("date", name, said)
        case Role.NUMERIC if _zeros_look_missing(column.to_numpy(dtype=np.float64), about, present):
            said = f"column {name!r} is 0 in {about.zeros} rows and far from 0 in all others: are these missing values?"
            yield Finding("zeros", name, said)
        case _:
            return


def _zeros_look_missing(values: np.ndarray[Any, Any], about: ColumnProfile, present: int) -> bool:
    """Tell whether 0 lies apart from all other values, which have one sign, and is no rare coincidence."""
    least, most = _ZEROS
    if about.zeros < 3 or not least * present <= about.zeros <= most * present:
        return False
    sizes = np.abs(values[~np.isnan(values) & (values != 0)])
    if about.least is None or about.greatest is None or about.least < 0 < about.greatest:
        return False
    distinct = np.unique(spread_evenly(sizes, 50_000))
    if len(distinct) < FEW_ROWS:
        return False
    low = distinct[: max(FEW_ROWS, len(distinct) // 4)]
    usual = float(np.median(np.diff(low)))
    spread = float(np.subtract(*np.quantile(sizes, [0.75, 0.25])))
    return float(sizes.min()) > max(_FAR * usual, spread / 10)


def _about_target(
    column: pd.Series[Any], sample: pd.Series[Any], about: ColumnProfile, dataset: Dataset, target: np.ndarray[Any, Any]
) -> Iterator[Finding]:
    name = about.name
    if _copies(column, about, dataset):
        yield Finding("copies_target", name, f"column {name!r} is a copy of the target: leave it out")
        return
    share = predictive_power(sample, target, dataset.task)
    if share >= _GIVES_AWAY:
        said = f"column {name!r} alone predicts the target ({share:.1%} of all there is): would it be known beforehand?"
        yield Finding("gives_away_target", name, said)
        return
    if about.type == "number" and about.distinct > _MOSTLY * len(column):
        related = _sorted_and_related(column.to_numpy(dtype=np.float64), sample, dataset.task, target)
        if related >= _DRIFT:
            said = (
                f"the file is sorted by column {name!r}, and the target goes with it (rank correlation {related:.2f})"
            )
            yield Finding("sorted", name, f"{said}: is it a row number?")


def _copies(column: pd.Series[Any], about: ColumnProfile, dataset: Dataset) -> bool:
    """Tell whether the column and the target map onto each other one to one."""
    target = dataset.target
    if about.missing:
        return False
    if dataset.task is Task.REGRESSION:
        if about.type != "number":
            return False
        values = column.to_numpy(dtype=np.float64)
        return (
            _related(spread_evenly(values, 1000), spread_evenly(target, 1000)) > 1 - 1e-9
            and _related(values, target) > 1 - 1e-9
        )
    if about.distinct > len(dataset.classes) or not _map_one_to_one(
        spread_evenly(column, 1000), spread_evenly(target, 1000)
    ):
        return False
    return _map_one_to_one(column, target)


def _map_one_to_one(column: pd.Series[Any], target: np.ndarray[Any, Any]) -> bool:
    levels, classes = pd.factorize(column)[0], pd.factorize(target)[0]
    pairs = pd.unique(levels * np.int64(classes.max() + 1) + classes)
    return len(pairs) == len(pd.unique(levels)) == len(pd.unique(classes))


def predictive_power(column: pd.Series[Any], target: np.ndarray[Any, Any], task: Task) -> float:
    """Return what a small tree on one column gains over a constant prediction, as a share of what could be gained.

    Every other row is learned from, the others are predicted: a column whose values do not come again gains nothing.

    Args:
        column: Cleaned.
        target: (rows,) as in a `Dataset`.
        task: What is predicted.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        values = column.to_numpy(dtype=np.float64)
        size = float(np.nanmax(np.abs(values))) if column.notna().any() else 0.0
        values = values / size if size > _LARGE else values
    else:
        values = _ordered_levels(column, target)
    learned = values.astype(np.float32)[:, None]
    odd = np.arange(len(target)) % 2 == 1
    if task is Task.REGRESSION:
        target = target / max(float(np.abs(target).max()), 1e-300)  # the square of a large value may be none
    seen, unseen = target[~odd], target[odd]
    if task is Task.REGRESSION:
        tree = DecisionTreeRegressor(max_leaf_nodes=64, min_samples_leaf=2, random_state=0)
        wrong, naive = (
            float(np.mean((unseen - guess) ** 2))
            for guess in (tree.fit(learned[~odd], seen).predict(learned[odd]), seen.mean())
        )
    else:
        leaves = int(np.clip(2 * len(np.unique(target)), 8, 64))
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
        guess = tree.fit(learned[~odd], seen).predict(learned[odd])
        wrong = float(np.mean(guess != unseen))
        naive = float(np.mean(unseen != np.bincount(seen).argmax()))
    return 1 - wrong / naive if naive > 0 else 0.0


def _ordered_levels(column: pd.Series[Any], target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return levels as numbers in the order of their mean target over every other row, those that learn."""
    codes, levels = pd.factorize(column, use_na_sentinel=False)
    learning = np.arange(len(codes)) % 2 == 0
    sums = np.bincount(codes[learning], weights=target[learning].astype(np.float64), minlength=len(levels))
    counts = np.bincount(codes[learning], minlength=len(levels))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), float(np.mean(target)))
    # levels of equal mean stay apart, so that a class in the middle can be told from a mixture
    ranks = np.empty(len(levels), dtype=np.float64)
    ranks[np.lexsort((np.arange(len(levels)), means))] = np.arange(len(levels))
    return np.where(counts[codes] > 0, ranks[codes], np.nan)


def _sorted_and_related(
    values: np.ndarray[Any, Any], sample: pd.Series[Any], task: Task, target: np.ndarray[Any, Any]
) -> float:
    """Return how far the target goes with a column that the rows are sorted by; 0 if they are not."""
    with np.errstate(invalid="ignore", over="ignore"):  # a step too large for a float has its sign all the same
        steps = np.diff(values)
    if not (bool((steps >= 0).all()) or bool((steps <= 0).all())):
        return 0.0
    ranks = sample.rank().to_numpy()
    if task is Task.REGRESSION:
        return _related(ranks, pd.Series(target).rank().to_numpy())
    return max(_related(ranks, (target == one).astype(np.float64)) for one in np.unique(target))


def _related(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Return the size of the correlation of two columns without missing values."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        one, other = first - first.mean(), second - second.mean()
        size = np.sqrt((one @ one) * (other @ other))
        found = abs(float(one @ other)) / size if size > 0 else 0.0
    return float(found) if np.isfinite(found) else 0.0
