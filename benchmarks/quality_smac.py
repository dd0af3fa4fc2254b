"""SMAC3's multi-fidelity facade, asked and told; needs `quality-peers.txt`."""

from __future__ import annotations

import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from smac import MultiFidelityFacade, Scenario  # type: ignore[import-not-found]
from smac.runhistory import TrialValue  # type: ignore[import-not-found]

from benchmarks.quality_budgets import Asked, ByBudget, space
from benchmarks.quality_clock import Search
from benchmarks.quality_tables import Table

NAMES: Final = ("",)


def version(name: str) -> str:
    """Return whose code an arm is."""
    return f"smac {metadata.version('smac')}"


def make(name: str, table: Table, seed: int) -> Search:
    """Build SMAC with budgets of 1, 3, 9 and 27 epochs."""
    scenario = Scenario(
        space(table, seed),
        deterministic=True,
        n_trials=100_000,
        min_budget=1,
        max_budget=table.epochs,
        seed=seed,
        output_directory=Path(tempfile.mkdtemp(prefix="quality-smac-")),
    )
    facade = MultiFidelityFacade(scenario, _unused, overwrite=True, logging_level=50)

    def ask() -> Asked:
        info = facade.ask()
        return Asked(info, dict(info.config), round(info.budget))

    def tell(info: Any, error: float) -> None:
        facade.tell(info, TrialValue(cost=error, time=info.budget), save=False)

    return ByBudget(table, ask, tell)


def _unused(config: Any, seed: int, budget: float) -> float:
    return 0.0
