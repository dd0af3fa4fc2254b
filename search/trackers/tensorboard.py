"""TensorBoard: a folder of event files a trial, with its scalars and its hyperparameters, through tensorboardX."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from search.status import Status
from search.study.record import TrialRecord
from search.trackers.tracker import Report, Tracked
from search.trial import ParamValue

_FLUSH_S: Final = 10
_STUDY: Final = "study"


class TensorBoard:
    """Writes below a folder: `study/`, and `trial-00007/` for each trial.

    Args:
        where: That folder; "" for `tensorboard/` in the study's own.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._root = Path(where)
        self._open: dict[str, Any] = {}
        self._searched = ""

    def begin(self, study: Tracked, run: str) -> str:
        self._root = Path(self._where) / study.name if self._where else study.folder.root / "tensorboard"
        self._searched = study.plan.metrics[0]
        self._writer(_STUDY)
        return _STUDY

    def start(self, number: int, params: Mapping[str, ParamValue], run: str, at: datetime | None) -> str:
        return f"trial-{number:05d}"

    def report(self, run: str, reports: Sequence[Report]) -> None:
        writer = self._writer(run)
        for report in reports:
            at = report.at.timestamp() if report.at is not None else time.time()
            for name, value in report.metrics.items():
                writer.add_scalar(name, value, report.step, walltime=at)

    def end(self, run: str, record: TrialRecord) -> None:
        from tensorboardX.summary import hparams

        writer = self._writer(run)
        writer.add_text("ended", _ending(record), record.last_step)
        values = {name: value for name, value in record.end.get("metrics", {}).items() if isinstance(value, float)}
        if record.state == "complete":
            if record.values:
                values[self._searched] = record.values[0]
                self._writer(_STUDY).add_scalar(f"trials/{self._searched}", record.values[0], record.number)
            told = {
                name: value if isinstance(value, (bool, int, float, str)) else str(value)
                for name, value in record.params.items()
            }
            for summary in hparams(told, values):
                writer.file_writer.add_summary(summary)
        self._open.pop(run).close()

    def abandon(self) -> None:
        """Do nothing: what hangs is a thread, which ends with its process."""

    def finish(self, run: str, status: Status) -> None:
        for writer in self._open.values():
            writer.close()
        self._open.clear()

    def _writer(self, run: str) -> Any:
        if run not in self._open:
            from tensorboardX import SummaryWriter

            apart = f".{time.time_ns()}"  # two files of one second would have one name, and the later one be all
            self._open[run] = SummaryWriter(str(self._root / run), flush_secs=_FLUSH_S, filename_suffix=apart)
        return self._open[run]


def _ending(record: TrialRecord) -> str:
    reason, text = record.end.get("reason"), record.end.get("text")
    return ": ".join(str(part) for part in (record.state, reason, text) if part)
