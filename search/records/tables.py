"""A study as data frames with stable column names, and as files."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.output import write_output
from search.records.study import StoredStudy
from search.study.predicted import Predicted
from search.study.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd

_TRIAL = (
    "number",
    "state",
    "reason",
    "text",
    "started",
    "ended",
    "seconds",
    "epochs",
    "units",
    "attempts_lost",
    "peak_mb",
    "machine",
    "gpu",
    "gpus",
    "gpu_peak_mb",
    "gpu_idle",
)
_PRUNED = ("rule", "step", "cutoff")


def trials(study: StoredStudy) -> pd.DataFrame:
    """Return one row per trial, in order of numbers.

    Columns are those of every trial, then `values.METRIC` of the searched metrics (of a pruned trial its last
    report), `metrics.METRIC` of all metrics at the trial's best step, `pruned.rule`, `pruned.step`, `pruned.cutoff`,
    of a rule that predicts `pruned.predicted`, `pruned.low`, `pruned.high` and `pruned.chance`, where it is known
    `suggested.by`, with a prediction `suggested.step`, `suggested.predicted`, `suggested.low` and `suggested.high`,
    and `params.NAME`. What a trial does not have is missing.
    """
    import pandas as pd

    rows = [trial_row(record, study.plan.metrics) for record in study.records]
    values = [f"values.{name}" for name in study.plan.metrics]
    always = [f"pruned.{key}" for key in _PRUNED]
    pruned = [*always, *(name for name in _under("pruned.", rows) if name not in always)]
    more = [*_under("suggested.", rows), *_under("params.", rows)]
    columns = [*_TRIAL, *values, *_under("metrics.", rows), *pruned, *more]
    return _whole(pd.DataFrame(rows, columns=columns), rows)


def reports(study: StoredStudy) -> pd.DataFrame:
    """Return one row per report: `number`, `step` and `metrics.METRIC`, in order of trial and step."""
    import pandas as pd

    searched = study.plan.metrics[0]
    rows = [row for record in study.records for row in report_rows(record, searched)]
    metrics = _under("metrics.", rows) or [f"metrics.{searched}"]
    return pd.DataFrame(rows, columns=["number", "step", *metrics])


def trial_row(record: TrialRecord, metrics: Sequence[str]) -> dict[str, Any]:
    """Return a trial's row by the names of the columns; `metrics` are the searched ones."""
    end, (machine, gpu) = record.end, record.place
    row: dict[str, Any] = {
        "number": record.number,
        "state": record.state,
        "reason": end.get("reason"),
        "text": end.get("text"),
        "started": record.started,
        "ended": record.ended,
        "seconds": record.seconds,
        "epochs": record.last_step,
        "units": end.get("units"),
        "attempts_lost": record.lost,
        "peak_mb": record.end.get("peak_mb"),
        "machine": machine or None,
        "gpu": gpu or None,
        "gpus": end.get("gpus"),
        "gpu_peak_mb": end.get("gpu_peak_mb"),
        "gpu_idle": end.get("gpu_idle"),
    }
    row |= dict(zip((f"values.{name}" for name in metrics), record.values, strict=False))
    row |= {f"metrics.{name}": value for name, value in end.get("metrics", {}).items()}
    row |= {f"pruned.{key}": record.pruning.get(key) for key in _PRUNED}
    row |= _foreseen("pruned.", Predicted.from_json(record.pruning.get("predicted")))
    if record.pruning.get("chance") is not None:
        row["pruned.chance"] = record.pruning["chance"]
    if record.origin.by:
        row["suggested.by"] = record.origin.by
    if record.origin.predicted is not None:
        row["suggested.step"] = record.origin.predicted.step
    row |= _foreseen("suggested.", record.origin.predicted)
    row |= {f"params.{name}": value for name, value in record.params.items()}
    return row


def report_rows(record: TrialRecord, searched: str) -> list[dict[str, Any]]:
    """Return a row for each report of a trial, in order of steps; `searched` is the metric that is reported."""
    return [
        {"number": record.number, "step": step}
        | ({f"metrics.{searched}": record.reports[step]} if step in record.reports else {})
        | {f"metrics.{name}": value for name, value in record.metrics.get(step, {}).items()}
        for step in sorted({*record.reports, *record.metrics})
    ]


def _foreseen(prefix: str, predicted: Predicted | None) -> dict[str, float]:
    if predicted is None:
        return {}
    return {f"{prefix}predicted": predicted.value, f"{prefix}low": predicted.low, f"{prefix}high": predicted.high}


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole, in the format of the file's suffix: CSV, Parquet, or JSON (a list of rows).

    Raises:
        SurroundingsError: The file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        content: bytes | str = frame.to_csv(index=False)
    elif suffix == ".json":
        content = json.dumps([_plain(row) for row in frame.to_dict("records")], ensure_ascii=False, indent=1) + "\n"
    else:
        buffer = io.BytesIO()
        _uniform(frame).to_parquet(buffer, index=False)
        content = buffer.getvalue()
    write_output(path, content, field="--output")


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row as JSON: what is missing or not finite as null, times as ISO text."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        plain = value.item() if hasattr(value, "item") else value
        if type(plain).__name__ == "NAType":  # of an integer column
            plain = None
        if isinstance(plain, float) and not math.isfinite(plain):
            plain = None
        elif hasattr(plain, "isoformat"):
            plain = None if plain != plain else plain.isoformat()  # NaT is not itself
        found[str(name)] = plain
    return found


def _under(prefix: str, rows: list[dict[str, Any]]) -> list[str]:
    """Return the columns with a prefix, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row if name.startswith(prefix)))


def _whole(frame: pd.DataFrame, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Keep integers what they are where some trials have none; pandas makes floats of them."""
    names = [name for name in frame.columns if frame[name].dtype == "float64" and frame[name].hasnans]
    values = {name: [row[name] for row in rows if row.get(name) is not None] for name in names}
    whole = [name for name, found in values.items() if found and all(type(value) is int for value in found)]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def _uniform(frame: pd.DataFrame) -> pd.DataFrame:
    """Make columns of mixed types text, as a column of Parquet has one type."""
    mixed = [name for name in frame.columns if len({type(value) for value in frame[name].dropna()}) > 1]
    return frame.assign(**{name: frame[name].map(str, na_action="ignore") for name in mixed})
