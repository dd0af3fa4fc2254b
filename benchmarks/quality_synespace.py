"""A table's space as Syne Tune describes spaces, of either release that is measured."""

from __future__ import annotations

from typing import Any

from syne_tune.config_space import choice, randint  # type: ignore[import-not-found]

from benchmarks.quality_tables import Table


def space(table: Table) -> dict[str, Any]:
    """Return the space of a table; it knows no conditions, so every branch's parameters are always there."""
    return {
        axis.name: choice([*range(len(axis.values))])
        if axis.kind == "categorical"
        else randint(0, len(axis.values) - 1)
        for axis in table.axes
    }
