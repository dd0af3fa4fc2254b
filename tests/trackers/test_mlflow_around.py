"""What MLflow's tracker does to names, and to the program around it."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from search.records.study import read
from search.status import Status, TrialScore
from search.trackers.mlflow import MLflow
from search.trackers.tracker import Report, Tracked
from tests.trackers.tracked import Study

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

NAMES = ["f1@0.5", "a%b", "p(x)", "lr<1>", 'a"b', "../x", "/x", "a//b", ".", "größe", "x:y z/w", "n" * 300, "a@b", ""]


@pytest.fixture
def ended(tmp_path: Path) -> tuple[Tracked, Status]:
    """A study that has ended, and how it stands."""
    study = Study(tmp_path)
    status = study.close()
    return Tracked("mark", study.folder, read(study.folder).plan), status


def test_names_that_mlflow_refuses_are_told_by_others(tmp_path: Path, ended: tuple[Tracked, Status]) -> None:
    from mlflow import MlflowClient

    tracked, status = ended
    tracker = MLflow(f"sqlite:///{tmp_path / 'm.db'}")
    parent = tracker.begin(tracked, "")
    run = tracker.start(0, {name: place for place, name in enumerate(NAMES)}, "", None)
    tracker.report(run, [Report(1, {name: float(place) for place, name in enumerate(NAMES)})])
    best = TrialScore(0, (0.5,), dict.fromkeys(NAMES, 1))
    tracker.finish(parent, replace(status, metrics=("f1@0.5",), best=best))
    client = MlflowClient(f"sqlite:///{tmp_path / 'm.db'}")
    told = client.get_run(run).data
    assert sorted(int(value) for value in told.params.values()) == [*range(len(NAMES))]
    assert {name: int(value) for name, value in told.params.items()} == told.metrics
    assert told.metrics.items() >= {"f1_0.5": 0, "a_b": 1, "größe": 9, "x:y z/w": 10, "a_b__": 12}.items()
    found = client.get_run(parent).data
    assert found.metrics == {"best_f1_0.5": 0.5}
    assert found.tags.items() >= {"sweep.best.f1_0.5": "1", "sweep.best.a_b": "1"}.items()


@pytest.mark.parametrize("how", ["finish", "abandon"])
def test_the_program_around_it_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, ended: tuple[Tracked, Status], how: str
) -> None:
    import mlflow  # which sets a level itself

    assert mlflow
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    logging.getLogger("alembic").setLevel(logging.WARNING)

    def around() -> list[object]:
        return [dict(os.environ), *(logging.getLogger(name).level for name in ("mlflow", "alembic"))]

    before, tracker = around(), MLflow("")
    parent = tracker.begin(ended[0], "")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    if how == "finish":
        tracker.finish(parent, ended[1])
    else:
        tracker.abandon()
    assert around() == before
