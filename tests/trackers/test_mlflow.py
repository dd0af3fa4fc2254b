"""MLflow's runs, written by its own client into a database and read back."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from search.errors import FailReason
from search.paths import StudyFolder
from search.trackers.chosen import Chosen
from search.trackers.following import _marks
from search.trackers.marks import STUDY
from search.trial import Ending
from tests.trackers.tracked import Study, tracking

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
    path = _marks(Chosen("mlflow"), StudyFolder(tmp_path / "t"))._path
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
    assert _marks(Chosen("mlflow"), study.folder).of(STUDY).run == parent.info.run_id


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
