"""MLflow: a run for the study, and below it one for each trial, by MLflow's client; works with mlflow-skinny."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from search.status import Status
from search.study.record import TrialRecord
from search.trackers.tracker import Report, Tracked
from search.trial import ParamValue

_EXPERIMENT: Final = "sweep"
_PARENT: Final = "mlflow.parentRunId"
_STUDY: Final = "sweep.study_mark"
_NUMBER: Final = "sweep.trial"
_LONGEST: Final = 500
"""Characters of a value; MLflow takes 6,000, its older servers 500."""

_AT_ONCE: Final = 100
"""Parameters, and tags, that one call may bring."""

_METRICS_AT_ONCE: Final = 1000
_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""MLflow's own answer to a server that is down is to try for minutes."""

_STATES: Final = {"complete": "FINISHED", "pruned": "KILLED", "fail": "FAILED"}


class MLflow:
    """Writes to a tracking server, a database, or a folder.

    Args:
        where: Tracking URI; "" for `MLFLOW_TRACKING_URI`, or else `mlflow.db` in the results folder.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._client: Any = None
        self._experiment = self._parent = ""
        self._study: Tracked | None = None

    def begin(self, study: Tracked, run: str) -> str:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # they write to the terminal that shows the sweep
            logging.getLogger(name).setLevel(logging.ERROR)
        usual = f"sqlite:///{study.folder.root.resolve().parent / 'mlflow.db'}"
        self._study = study
        self._client = MlflowClient(tracking_uri=self._where or os.environ.get("MLFLOW_TRACKING_URI") or usual)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
        there = self._client.get_experiment_by_name(name)
        self._experiment = there.experiment_id if there is not None else self._client.create_experiment(name)
        self._parent = run or self._found({_STUDY: study.mark}) or self._made_parent(study)
        self._client.update_run(self._parent, status="RUNNING")
        return self._parent

    def start(self, number: int, params: Mapping[str, ParamValue], run: str) -> str:
        known = run or self._found({_PARENT: self._parent, _NUMBER: str(number)})
        if known:
            self._client.update_run(known, status="RUNNING")
            return known
        assert self._study is not None
        tags = {_PARENT: self._parent, _NUMBER: str(number)}
        made: str = self._create(f"{self._study.name} #{number}", tags)
        self._params(made, params)
        return made

    def report(self, run: str, reports: Sequence[Report]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, _milliseconds(report), report.step)
            for report in reports
            for name, value in report.metrics.items()
        ]
        for first in range(0, len(metrics), _METRICS_AT_ONCE):
            self._client.log_batch(run, metrics=metrics[first : first + _METRICS_AT_ONCE])

    def end(self, run: str, record: TrialRecord) -> None:
        from mlflow.entities import RunTag

        told = {"state": record.state, **{name: record.end.get(name) for name in ("reason", "text")}, **record.pruning}
        tags = [RunTag(f"sweep.{name}", str(value)[:_LONGEST]) for name, value in told.items() if value is not None]
        self._client.log_batch(run, metrics=self._values(record), tags=tags)
        at = int(record.ended.timestamp() * 1000) if record.ended is not None else None
        self._client.set_terminated(run, _STATES[record.state], at)

    def abandon(self) -> None:
        """Do nothing: what hangs is a thread, which ends with its process."""

    def finish(self, run: str, status: Status) -> None:
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        tags = {"state": status.state, "why_stopped": status.why_stopped}
        metrics = []
        if status.best is not None:
            tags["best_trial"] = str(status.best.number)
            tags |= {f"best.{name}": str(value) for name, value in status.best.params.items()}
            values = zip(status.metrics, status.best.values, strict=True)
            metrics = [Metric(f"best_{name}", value, now, status.best.number) for name, value in values]
        every = [RunTag(f"sweep.{name}"[:250], value[:_LONGEST]) for name, value in tags.items()]
        for first in range(0, len(every), _AT_ONCE):
            self._client.log_batch(run, tags=every[first : first + _AT_ONCE])
        self._client.log_batch(run, metrics=metrics)
        ends = {"finished": "FINISHED", "failed": "FAILED"}
        self._client.set_terminated(run, ends.get(status.state, "KILLED"))

    def _values(self, record: TrialRecord) -> list[Any]:
        """Return what a completed trial came to, which need not be what it reported last."""
        from mlflow.entities import Metric

        if record.state != "complete" or self._study is None:
            return []
        now, step = int(time.time() * 1000), int(record.end.get("step") or record.last_step)
        values = zip(self._study.plan.metrics, record.values, strict=False)
        return [Metric(f"best_{name}", value, now, step) for name, value in values if math.isfinite(value)]

    def _made_parent(self, study: Tracked) -> str:
        hashes = {f"sweep.{name}": digest for name, digest in study.fingerprints.items()}
        made = self._create(study.name, {_STUDY: study.mark, **hashes})
        self._params(made, study.choices())
        return made

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        run: str = self._client.create_run(self._experiment, run_name=name, tags=dict(tags)).info.run_id
        return run

    def _params(self, run: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        every = [Param(name[:250], str(value)[:_LONGEST]) for name, value in params.items()]
        for first in range(0, len(every), _AT_ONCE):
            self._client.log_batch(run, params=every[first : first + _AT_ONCE])

    def _found(self, tags: Mapping[str, str]) -> str:
        """Return the run that has these tags, which was begun and not noted before a kill; "" if there is none."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self._client.search_runs([self._experiment], filter_string=wanted, max_results=1)
        return str(found[0].info.run_id) if found else ""


def _milliseconds(report: Report) -> int:
    return int((report.at.timestamp() if report.at is not None else time.time()) * 1000)
