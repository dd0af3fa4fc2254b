"""MLflow: a run for the study, and below it one for each trial, by MLflow's client; works with mlflow-skinny."""

from __future__ import annotations

import logging
import math
import os
import posixpath
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final, TypeVar

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

_LONGEST_NAME: Final = 240
"""MLflow takes 250; some are for telling apart what was cut."""

_AT_ONCE: Final = 100
"""Parameters, and tags, that one call may bring."""

_METRICS_AT_ONCE: Final = 1000
_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""MLflow's own answer to a server that is down is to try for minutes."""

_Value = TypeVar("_Value")
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
        self._changed = ExitStack()

    def begin(self, study: Tracked, run: str) -> str:
        from mlflow import MlflowClient

        self._change()
        usual = f"sqlite:///{study.folder.root.resolve().parent / 'mlflow.db'}"
        self._study = study
        self._client = MlflowClient(tracking_uri=self._where or os.environ.get("MLFLOW_TRACKING_URI") or usual)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
        there = self._client.get_experiment_by_name(name)
        self._experiment = there.experiment_id if there is not None else self._client.create_experiment(name)
        self._parent = run or self._found({_STUDY: study.mark}) or self._made_parent(study)
        self._client.update_run(self._parent, status="RUNNING")
        return self._parent

    def start(self, number: int, params: Mapping[str, ParamValue], run: str, at: datetime | None) -> str:
        known = run or self._found({_PARENT: self._parent, _NUMBER: str(number)})
        if known:
            self._client.update_run(known, status="RUNNING")
            return known
        assert self._study is not None
        tags = {_PARENT: self._parent, _NUMBER: str(number)}
        made: str = self._create(f"{self._study.name} #{number}", tags, at)
        self._params(made, params)
        return made

    def report(self, run: str, reports: Sequence[Report]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, _milliseconds(report.at), report.step)
            for report in reports
            for name, value in _named(report.metrics).items()
        ]
        for first in range(0, len(metrics), _METRICS_AT_ONCE):
            self._client.log_batch(run, metrics=metrics[first : first + _METRICS_AT_ONCE])

    def end(self, run: str, record: TrialRecord) -> None:
        from mlflow.entities import RunTag

        told = {"state": record.state, **{name: record.end.get(name) for name in ("reason", "text")}, **record.pruning}
        known = {f"sweep.{name}": str(value) for name, value in told.items() if value is not None}
        tags = [RunTag(name, value[:_LONGEST]) for name, value in _named(known).items()]
        self._client.log_batch(run, metrics=self._values(record), tags=tags)
        self._client.set_terminated(run, _STATES[record.state], _milliseconds(record.ended))

    def abandon(self) -> None:
        """Change back what was changed around it: what hangs is a thread, which ends with its process."""
        self._changed.close()

    def finish(self, run: str, status: Status) -> None:
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        tags = {"state": status.state, "why_stopped": status.why_stopped}
        metrics = []
        if status.best is not None:
            tags["best_trial"] = str(status.best.number)
            tags |= {f"best.{name}": str(value) for name, value in status.best.params.items()}
            values = zip(status.metrics, status.best.values, strict=True)
            bests = _named({f"best_{name}": value for name, value in values})
            metrics = [Metric(name, value, now, status.best.number) for name, value in bests.items()]
        known = _named({f"sweep.{name}": value for name, value in tags.items()})
        every = [RunTag(name, value[:_LONGEST]) for name, value in known.items()]
        for first in range(0, len(every), _AT_ONCE):
            self._client.log_batch(run, tags=every[first : first + _AT_ONCE])
        self._client.log_batch(run, metrics=metrics)
        unended = f"tags.`{_PARENT}` = '{run}' and attributes.status = 'RUNNING'"
        for one in self._client.search_runs([self._experiment], filter_string=unended):  # paused, also by earlier runs
            self._client.set_terminated(one.info.run_id, "KILLED")
        ends = {"finished": "FINISHED", "failed": "FAILED"}
        self._client.set_terminated(run, ends.get(status.state, "KILLED"))
        self._changed.close()

    def _change(self) -> None:
        """Keep MLflow from trying for minutes, and from writing to the terminal that shows the sweep."""
        for name, value in _PATIENCE.items():
            if name not in os.environ:
                os.environ[name] = value
                self._changed.callback(os.environ.pop, name, None)
        for logger in map(logging.getLogger, ("mlflow", "alembic")):
            if logger.level != logging.ERROR:
                self._changed.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.ERROR)

    def _values(self, record: TrialRecord) -> list[Any]:
        """Return what a completed trial came to, which need not be what it reported last."""
        from mlflow.entities import Metric

        if record.state != "complete" or self._study is None:
            return []
        now, step = int(time.time() * 1000), int(record.end.get("step") or record.last_step)
        values = zip(self._study.plan.metrics, record.values, strict=False)
        bests = _named({f"best_{name}": value for name, value in values if math.isfinite(value)})
        return [Metric(name, value, now, step) for name, value in bests.items()]

    def _made_parent(self, study: Tracked) -> str:
        hashes = {f"sweep.{name}": digest for name, digest in study.fingerprints.items()}
        made = self._create(study.name, {_STUDY: study.mark, **hashes}, study.launched)
        self._params(made, study.choices())
        return made

    def _create(self, name: str, tags: Mapping[str, str], at: datetime | None) -> str:
        made = self._client.create_run(self._experiment, _milliseconds(at), dict(tags), name)
        return str(made.info.run_id)

    def _params(self, run: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        every = [Param(name, str(value)[:_LONGEST]) for name, value in _named(params).items()]
        for first in range(0, len(every), _AT_ONCE):
            self._client.log_batch(run, params=every[first : first + _AT_ONCE])

    def _found(self, tags: Mapping[str, str]) -> str:
        """Return the run that has these tags, which was begun and not noted before a kill; "" if there is none."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self._client.search_runs([self._experiment], filter_string=wanted, max_results=1)
        return str(found[0].info.run_id) if found else ""


def _named(values: Mapping[str, _Value]) -> dict[str, _Value]:
    """Return values by names that MLflow takes, each of them once: it refuses other letters, and what is no path."""
    named: dict[str, _Value] = {}
    for name, value in values.items():
        taken = re.sub(r"[^\w.\-/ :]", "_", name)[:_LONGEST_NAME]
        if posixpath.normpath(taken) != taken or taken.startswith((".", "/")):
            taken = "_" + taken.replace("/", "_")
        while taken in named:
            taken += "_"
        named[taken] = value
    return named


def _milliseconds(at: datetime | None) -> int:
    return int((at.timestamp() if at is not None else time.time()) * 1000)
