"""All that can be said of a data set before anything is learned from it: the `Profile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from search.contract import Dataset
from search.data import suspicions
from search.data.columns import ColumnProfile, profile_column
from search.data.describe import Description, describe, describe_table
from search.data.duplicates import equal_rows, tied_counts
from search.data.suspicions import Finding


@dataclass(frozen=True, slots=True)
class Profile:
    """What a data set holds, column by column, and what looks wrong with it.

    Attributes:
        about: The whole of it in a few facts.
        columns: Of a table, each of its features; empty for images.
        values: Of images, their least and greatest value, as stored; else empty.
        duplicates: Rows that are equal to an earlier one in every feature and in the target.
        contradictions: Rows that are equal to another one in every feature, but not in the target.
        findings: What looks wrong.
        notes: What reading it left out or changed, a sentence each.
    """

    about: Description
    columns: tuple[ColumnProfile, ...]
    values: tuple[float, ...]
    duplicates: int
    contradictions: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON-ready values."""
        return {
            **self.about.to_json(),
            "columns": [column.to_json() for column in self.columns],
            "values": list(self.values),
            "duplicates": self.duplicates,
            "contradictions": self.contradictions,
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Profile:
        """Return the profile that `to_json` described."""
        own = ("columns", "values", "duplicates", "contradictions", "findings", "notes")
        return cls(
            about=Description.from_json({name: value for name, value in values.items() if name not in own}),
            columns=tuple(ColumnProfile.from_json(column) for column in values["columns"]),
            values=tuple(values["values"]),
            duplicates=values["duplicates"],
            contradictions=values["contradictions"],
            findings=tuple(Finding.from_json(finding) for finding in values["findings"]),
            notes=tuple(values["notes"]),
        )

    def lines(self) -> list[str]:
        """Return what stands above the columns: a few lines of text."""
        lines = self.about.lines()
        if self.values:
            low, high = self.values
            lines.insert(1, f"values {low:g} to {high:g}")
        lines.insert(-1, f"{self.duplicates} rows are copies of another")
        return lines


def profile(dataset: Dataset, notes: Sequence[str] = ()) -> Profile:
    """Return all that can be said of a data set.

    It takes a few seconds for a million rows of 50 columns: missing, different, least, greatest and mean values are of
    all rows; quantiles, and what is compared with the target or with another column, of a sample spread evenly.

    Args:
        dataset: All rows.
        notes: What reading it left out or changed.
    """
    features = dataset.features
    blocks = equal_rows(features)
    duplicates, contradictions = tied_counts(blocks, dataset.target)
    columns: tuple[ColumnProfile, ...] = ()
    values: tuple[float, ...] = ()
    findings: list[Finding] = []
    if isinstance(features, np.ndarray):
        values = (float(features.min()), float(features.max())) if features.size else ()
    else:
        columns = _columns(features)
        findings += suspicions.of_columns(features, columns)
    findings += suspicions.of_target(dataset, columns)
    findings += _of_rows(duplicates, contradictions)
    return Profile(describe(dataset), columns, values, duplicates, contradictions, _ordered(findings), tuple(notes))


def profile_table(table: pd.DataFrame, name: str, notes: Sequence[str] = ()) -> Profile:
    """Return what can be said of a table as long as nobody has said what is to be predicted.

    Args:
        table: Cleaned.
        name: For people.
        notes: What reading it left out or changed.
    """
    duplicates, _ = tied_counts(equal_rows(table), None)
    columns = _columns(table)
    findings = [*suspicions.of_columns(table, columns), *_of_rows(duplicates, 0)]
    return Profile(describe_table(table, name), columns, (), duplicates, 0, _ordered(findings), tuple(notes))


def _columns(table: pd.DataFrame) -> tuple[ColumnProfile, ...]:
    return tuple(profile_column(str(name), column) for name, column in table.items())


def _of_rows(duplicates: int, contradictions: int) -> list[Finding]:
    found = []
    if duplicates:
        found.append(Finding("duplicates", "", f"{duplicates} rows are copies of another; a split keeps them together"))
    if contradictions:
        said = f"{contradictions} rows have another with equal features and a different target"
        found.append(Finding("contradictions", "", said))
    return found


_WORST_FIRST = ("copies_target", "gives_away_target", "sorted", "identifier", "all_missing", "rare_class")


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return what spoils a result first, then the rest as found."""
    weight = {kind: position for position, kind in enumerate(_WORST_FIRST)}
    return tuple(sorted(findings, key=lambda finding: weight.get(finding.kind, len(weight))))
