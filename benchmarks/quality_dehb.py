"""DEHB's own optimizer, asked and told; needs `quality-peers.txt`."""

from __future__ import annotations

import tempfile
from importlib import metadata
from typing import Any, Final

from dehb import DEHB  # type: ignore[import-not-found]
from loguru import logger  # type: ignore[import-not-found]

from benchmarks.quality_budgets import Asked, ByBudget, space
from benchmarks.quality_clock import Search
from benchmarks.quality_tables import Table

NAMES: Final = ("",)


def version(name: str) -> str:
    """Return whose code an arm is."""
    return f"dehb {metadata.version('dehb')}"


def make(name: str, table: Table, seed: int) -> Search:
    """Build DEHB with budgets of 1, 3, 9 and 27 epochs."""
    logger.remove()
    optimizer = DEHB(
        f=_unused,
        cs=space(table, seed),
        min_fidelity=1,
        max_fidelity=table.epochs,
        eta=3,
        seed=seed,
        n_workers=1,
        output_path=tempfile.mkdtemp(prefix="quality-dehb-"),
        log_level="ERROR",
        save_freq=None,
    )

    def ask() -> Asked:
        job = optimizer.ask()
        return Asked(job, dict(job["config"]), round(job["fidelity"]))

    def tell(job: Any, error: float) -> None:
        optimizer.tell(job, {"fitness": error, "cost": float(job["fidelity"]), "info": {}})

    return ByBudget(table, ask, tell)


def _unused(*args: Any, **kwargs: Any) -> dict[str, float]:
    return {}
