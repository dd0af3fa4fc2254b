"""Tables have stable columns and say the same in every format."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from search.errors import SurroundingsError
from search.records import tables
from search.records.study import read
from tests.records import studies

ALWAYS = [
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
]


@pytest.mark.parametrize("trials", studies.EXTREMES.values(), ids=studies.EXTREMES)
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_every_study_can_be_written_and_read_back(tmp_path: Path, suffix: str, trials: tuple) -> None:  # type: ignore[type-arg]
    stored = read(studies.store(tmp_path, "m", trials))
    for name, frame in (("trials", tables.trials(stored)), ("reports", tables.reports(stored))):
        path = tmp_path / "out" / f"{name}{suffix}"
        tables.write(frame, path)
        if suffix == ".csv":
            again = pd.read_csv(path)
        elif suffix == ".json":
            again = pd.read_json(io.StringIO(path.read_text(encoding="utf-8")))
        else:
            again = pd.read_parquet(path)
        assert len(again) == len(frame)
        assert list(again.columns) == (list(frame.columns) if len(frame) or suffix != ".json" else [])


def test_the_columns_come_in_a_fixed_order() -> None:
    assert tuple(ALWAYS) == tables._TRIAL


def test_a_row_holds_what_was_stored(tmp_path: Path) -> None:
    frame = tables.trials(read(studies.store(tmp_path, "m", studies.MIXED))).set_index("number")
    assert list(frame.columns) == [
        *ALWAYS[1:],
        "values.val_loss",
        "metrics.val_loss",
        "metrics.val_accuracy",
        "pruned.rule",
        "pruned.step",
        "pruned.cutoff",
        "params.train.lr",
        "params.model.width",
        "params.model.family",
    ]
    assert frame.loc[0, "values.val_loss"] == 0.5
    rows = frame[["state", "reason", "values.val_loss", "pruned.rule", "epochs"]].to_dict("records")
    assert rows[1] | {"reason": None} == {
        "state": "pruned",
        "reason": None,
        "values.val_loss": 0.9,
        "pruned.rule": "asha",
        "epochs": 3,
    }
    assert (rows[4]["state"], rows[4]["reason"]) == ("fail", "nan")
    assert frame["params.model.family"].notna().sum() == 1


def test_reports_hold_every_metric_of_every_step(tmp_path: Path) -> None:
    frame = tables.reports(read(studies.store(tmp_path, "m", studies.MIXED)))
    assert list(frame.columns) == ["number", "step", "metrics.val_loss", "metrics.val_accuracy"]
    mine = frame[frame["number"] == 1]
    assert mine["step"].tolist() == [1, 2, 3]
    assert mine["metrics.val_loss"].tolist() == [0.9, 0.9, 0.9]


def test_a_file_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError, match="cannot be written"):
        tables.write(pd.DataFrame(), tmp_path / "file" / "x.csv")
