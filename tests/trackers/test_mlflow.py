"""MLflow's runs, written by its own client into a database and read back."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from search.errors import FailReason
from search.paths import StudyFolder
from search.records.study import read
from search.trackers.catching_up import catch_up
from search.trackers.chosen import Chosen
from search.trackers.following import marks_of
from search.trackers.marks import STUDY
from search.trial import Ending
from tests.trackers.tracked import Study, tracking, until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def runs(results: Path) -> tuple[Any, list[Any]]:
    """Return MLflow's client, and all runs but the study's, in order of trials."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("sweep")
    found = client.search_runs([experiment.experiment_id])
    return client, sorted(found, key=lambda run: int(run.data.tags.get("sweep.trial", "-1")))


def test_a_study_is_a_run_with_one_below_it_for_each_trial_also_over_a_resume(tmp_path: Path) -> None:
    study = Study(tmp_path)
    with tracking(study, "mlflow") as (_, said):
        study.trial([0.25, 0.5])
        study.trial([0.75], Ending.FAIL, reason=FailReason.NAN, text="loss is nan")
        study.close()
    assert said == []
    path = marks_of(Chosen("mlflow"), StudyFolder(tmp_path / "t"))._path
    kept = path.read_text().splitlines()
    path.write_text("\n".join(kept[:2]) + "\n")  # a kill left MLflow with more than is marked
    study = Study(tmp_path, "two")
    with tracking(study, "mlflow") as (_, said):
        study.trial([0.125])
        status = study.close()
    assert said == []
    assert status.best is not None
    client, (parent, first, failed, last) = runs(tmp_path)
    assert {one.data.tags["mlflow.parentRunId"] for one in (first, failed, last)} == {parent.info.run_id}
    assert [one.info.status for one in (parent, first, failed, last)] == ["KILLED", "FINISHED", "FAILED", "FINISHED"]
    curve = client.get_metric_history(first.info.run_id, "val_loss")
    assert {(one.step, one.value) for one in curve} == {(1, 0.25), (2, 0.5)}
    assert first.data.metrics["best_val_loss"] == 0.25
    assert failed.data.tags["sweep.reason"] == "nan"
    assert failed.data.tags["sweep.text"] == "loss is nan"
    assert parent.data.tags["sweep.best_trial"] == "2"
    assert parent.data.metrics["best_val_loss"] == 0.125
    assert last.data.params == {name: str(value) for name, value in status.best.params.items()}
    assert parent.data.params["max_epochs"] == "9"
    assert Chosen("mlflow").text == "mlflow"
    assert marks_of(Chosen("mlflow"), study.folder).of(STUDY).run == parent.info.run_id


def test_a_trial_that_is_paused_is_closed_with_the_sweep_and_open_again_when_it_goes_on(tmp_path: Path) -> None:
    study = Study(tmp_path)
    with tracking(study, "mlflow") as (_, said):
        study.trial([0.5])
        study.trial([0.5], None)
        study.close()
    _, (parent, ended, paused) = runs(tmp_path)
    assert [one.info.status for one in (parent, ended, paused)] == ["KILLED", "FINISHED", "KILLED"]
    study = Study(tmp_path, "two")
    with tracking(study, "mlflow") as (_, said):
        spec = study.owner.ask("slot again:0").spec
        assert spec is not None
        study.owner.begin(spec.number, "again")
        until(lambda: runs(tmp_path)[1][2].info.status == "RUNNING")
        study.close()
    assert said == []
    assert [one.info.status for one in runs(tmp_path)[1]] == ["KILLED", "FINISHED", "KILLED"]


def test_a_tracker_that_comes_late_is_told_all_with_the_times_at_which_it_was(tmp_path: Path) -> None:
    study = Study(tmp_path, track=("mlflow",))
    study.trial([0.5, 0.25])
    study.close()
    written = json.loads(study.folder.plan.read_text())
    study.folder.plan.write_text(json.dumps(written | {"launched": "2026-01-02T15:00:00+00:00"}))
    time.sleep(0.05)
    said: list[str] = []
    for _ in range(2):
        catch_up(study.folder, said.append)
    assert said == ["tracker mlflow is told what it missed"]
    (record,) = read(study.folder).records
    assert record.started is not None
    assert record.ended is not None
    client, (parent, run) = runs(tmp_path)
    began, ended = (int(at.timestamp() * 1000) for at in (record.started, record.ended))
    assert (run.info.start_time, run.info.end_time) == (began, ended)
    assert parent.info.start_time == 1767366000000
    assert {one.timestamp for one in client.get_metric_history(run.info.run_id, "val_loss")} == {ended}


def test_a_server_that_is_down_ends_the_tracker_and_not_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        study = Study(tmp_path)
        with tracking(study, "mlflow", f"http://127.0.0.1:{taken.getsockname()[1]}") as (thread, said):
            study.trial([0.5])
            thread.join(30)
            assert study.close().trials["complete"] == 1
    assert len(said) == 1
    assert said[0].startswith("tracker mlflow is off: MlflowException API request")
    assert len(said[0]) < 250
