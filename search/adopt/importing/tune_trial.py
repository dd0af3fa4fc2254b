"""One trial of a Ray Tune experiment, as its folder tells it: the `TuneTrial`. No pickle is opened."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from search.adopt.tune_numbers import numbers_of

PICKLED: Final = "CLOUDPICKLE_FALLBACK"
"""How Ray marks a value that JSON cannot hold."""


@dataclass(frozen=True, slots=True)
class TuneTrial:
    """A trial of Ray Tune's.

    Attributes:
        folder: Of the trial; it may be gone.
        status: TERMINATED, ERROR, RUNNING, PENDING or PAUSED; "" where no state file tells.
        config: Nested, as the trainable got it.
        searched: Names of what was searched, by `outer/inner`; () where it is not known.
        results: Numbers by step.
        error: The end of its error; "" if it has none.
        started: Local time.
        ended: Local time.
        damaged: Lines of its results that are no JSON.
    """

    folder: Path
    status: str
    config: Mapping[str, Any]
    searched: tuple[str, ...] = ()
    results: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    error: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    damaged: int = 0

    @classmethod
    def read(cls, folder: Path, state: Mapping[str, Any] | None) -> TuneTrial | None:
        """Read a trial.

        Args:
            folder: Its own.
            state: What the experiment's state says of it; None if that does not know it.

        Returns:
            None where there is no trial: a folder of something else.
        """
        params = _json(folder / "params.json")
        config = state.get("config") if state is not None else params
        if not isinstance(config, Mapping):
            config = params if isinstance(params, Mapping) else None
        if config is None:
            return None
        rows, damaged = _results(folder)
        results = {int(row.get("training_iteration", index)): numbers_of(row) for index, row in enumerate(rows, 1)}
        searched = state.get("evaluated_params") if state is not None else None
        started, ended = _times(folder, rows)
        return cls(
            folder=folder,
            status=str(state.get("status", "")) if state is not None else "",
            config=config,
            searched=tuple(searched) if isinstance(searched, Mapping) else (),
            results=results,
            error=_last_line(folder / "error.txt"),
            started=started,
            ended=ended,
            damaged=damaged,
        )


def _results(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the results of a trial, and how many lines were no JSON."""
    path, rows, damaged = folder / "result.json", [], 0
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            row = _parsed(line) if line.strip() else None
            if isinstance(row, dict):
                rows.append(row)
            else:
                damaged += bool(line.strip())
    if not rows and (folder / "progress.csv").is_file():
        with (folder / "progress.csv").open(encoding="utf-8", errors="replace", newline="") as file:
            rows = [{key: _number(text) for key, text in row.items() if key} for row in csv.DictReader(file)]
    return rows, damaged


def _times(folder: Path, rows: list[dict[str, Any]]) -> tuple[datetime | None, datetime | None]:
    stamps = [float(row["timestamp"]) for row in rows if isinstance(row.get("timestamp"), (int, float))]
    if stamps:
        took = rows[-1].get("time_total_s")
        started = stamps[-1] - took if isinstance(took, (int, float)) else stamps[0]
        return datetime.fromtimestamp(min(started, stamps[0])), datetime.fromtimestamp(stamps[-1])
    try:
        made = datetime.fromtimestamp((folder / "params.json").stat().st_mtime)
    except OSError:
        return None, None
    return made, made


def _last_line(path: Path) -> str:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")


def _json(path: Path) -> Any:
    try:
        return _parsed(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _number(text: str | None) -> Any:
    try:
        return float(text) if text else None
    except ValueError:
        return text
