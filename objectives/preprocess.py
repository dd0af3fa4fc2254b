"""Preparing a table: every step is fitted on the training rows alone, and says nothing of any other row.

`exports.py` lists which choices an ONNX graph can repeat; the default spaces offer no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from search.contract import Context, Part, Prepared, Role

from .choices import DATES, TEXT, Preprocessing, Transformers, own_step
from .columns import Columns, as_table, frequent_levels, useful_columns
from .dates import DateParts, has_two_dates
from .encoding import encoder
from .missing import Missing
from .numeric import numeric_steps
from .rows import kept_rows
from .words import has_terms, vectorizer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class FittedTable:
    """What was fitted on the training rows.

    Attributes:
        columns: The raw columns that `pipeline` reads.
        pipeline: A fitted ColumnTransformer over a table from `as_table`.
    """

    columns: Columns
    pipeline: Any

    def apply(self, features: pd.DataFrame | Array) -> Array:
        """Prepare rows of the raw table.

        Returns:
            (rows, columns) float32, C-contiguous; NaN only where `preprocess.impute` is `none`.
        """
        with np.errstate(over="ignore"):  # what overflows in scaling is drawn in afterwards
            return _dense(self.pipeline.transform(as_table(features)))


def prepare(
    choices: Preprocessing, train: Part, validation: Part, context: Context, own: Transformers | None = None
) -> Prepared:
    """Leave out the training rows that are not wanted, fit on the others, then prepare both parts.

    Args:
        own: A user's own transformers.

    Raises:
        ValueError: No row is left, or no column holds two different values.
    """
    fitted, kept = _fit(choices, train, context, own or {})
    return Prepared(train=kept, validation=Part(fitted.apply(validation.features), validation.target), transform=fitted)


def fit_table(choices: Preprocessing, train: Part, context: Context, own: Transformers | None = None) -> FittedTable:
    """Fit every step on the training rows.

    Raises:
        ValueError: No row is left, or no column holds two different values.
    """
    return _fit(choices, train, context, own or {})[0]


def _fit(choices: Preprocessing, train: Part, context: Context, own: Transformers) -> tuple[FittedTable, Part]:
    """Return what was fitted, and the prepared training rows: a cross-fitted code differs from that of a new row."""
    table = as_table(train.features)
    kept = kept_rows(choices, table, train.target, context)
    target = train.target
    if not kept.all():
        table, target = table.loc[kept].reset_index(drop=True), target[kept]
    columns, levels = _columns(choices, table, context)
    blocks = _blocks(choices, table, target, columns, levels, context, own)
    if not blocks:
        raise ValueError("no column holds two different values in the training rows; nothing can be learned")
    pipeline = ColumnTransformer(blocks, sparse_threshold=0.0)
    with np.errstate(over="ignore", invalid="ignore"):  # PCA divides 0 by 0 where no numeric column varies any more
        features = _dense(pipeline.fit_transform(table, target))
    return FittedTable(columns, pipeline), Part(features, target)


def _columns(choices: Preprocessing, table: pd.DataFrame, context: Context) -> tuple[Columns, dict[str, list[str]]]:
    """Return the columns by what becomes of them, and the frequent categories of those that are categories."""
    useful = useful_columns(table, keep_missing=choices.impute == "none")
    dates = _with_role(Role.DATE, useful.text, context) if choices.dates != "category" else ()
    words = _with_role(Role.TEXT, useful.text, context) if choices.text != "category" else ()
    others = [name for name in useful.text if name not in (*dates, *words)]
    levels = {name: frequent_levels(table[name], at_least=choices.rare) for name in others}
    if choices.encode != "hash":
        levels = {name: one for name, one in levels.items() if one}
    if choices.dates in DATES:
        dates = tuple(name for name in dates if has_two_dates(table[name]))
    if choices.text in TEXT:
        words = tuple(name for name in words if has_terms(table[name], choices.text))
    return Columns(useful.numeric, tuple(levels), dates, words), levels


def _with_role(role: Role, names: tuple[str, ...], context: Context) -> tuple[str, ...]:
    return tuple(name for name in names if context.roles.get(name) is role)


def _blocks(
    choices: Preprocessing,
    table: pd.DataFrame,
    target: Array,
    columns: Columns,
    levels: dict[str, list[str]],
    context: Context,
    own: Transformers,
) -> list[tuple[str, Any, Any]]:
    """Return the unfitted transformers, each with its name and its columns."""
    numeric, dates, categories = list(columns.numeric), list(columns.dates), list(columns.text)
    blocks: list[tuple[str, Any, Any]] = []
    if numeric or dates:
        steps = numeric_steps(choices, len(table), context, own)
        if dates:
            parts = own_step(own, "dates", choices.dates, context) or DateParts(cycles=choices.dates == "cyclic")
            kinds = [("numbers", "passthrough", numeric), ("dates", parts, dates)]
            steps.insert(0, ("columns", ColumnTransformer(kinds, sparse_threshold=0.0)))
        blocks.append(("numeric", Pipeline(steps) if steps else "passthrough", numeric + dates))
    if choices.indicator:
        gaps = [name for name in numeric if table[name].isna().any()]
        if gaps:
            blocks.append(("missing", Missing(), gaps))
    if categories:
        mine = own_step(own, "encode", choices.encode, context)
        blocks.append(("text", mine or encoder(choices, table, levels, target, context), categories))
    for index, name in enumerate(columns.words):
        mine = own_step(own, "text", choices.text, context)
        blocks.append((f"words{index}", mine or vectorizer(choices.text, choices.terms), name))
    return blocks


def _dense(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float32)
