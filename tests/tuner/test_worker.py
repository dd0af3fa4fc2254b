"""What a worker is called, and what comes from it: its GPU in the time line, its predictions in the winner's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.paths import StudyFolder
from search.records.history import History
from search.records.study import read
from search.report.lanes import lanes_of
from search.tuner.worker import name_of, pid_of
from tests.tuner.sweeps import run


@pytest.mark.parametrize(
    ("gpus", "name"),
    [
        ([], "10.0.0.2:4242"),
        ([0], "10.0.0.2:4242 gpu 0"),
        ([1, 3], "10.0.0.2:4242 gpu 1,3"),
        (["MIG-1a/2/0"], "10.0.0.2:4242 gpu MIG-1a/2/0"),
    ],
)
def test_a_worker_is_called_after_its_machine_its_process_and_its_gpus(gpus: list[object], name: str) -> None:
    assert name_of("10.0.0.2", 4242, gpus) == name
    assert pid_of(name) == 4242


def test_the_process_of_a_name_is_found_behind_any_address() -> None:
    assert pid_of("fe80::1:77 gpu 0") == 77


@pytest.mark.usefixtures("ray_session")
def test_a_sweep_on_gpus_names_them_and_keeps_what_its_best_predicts(tmp_path: Path) -> None:
    path = tmp_path / "problem.py"
    path.write_text(
        "from objectives.tabular import Tabular\n\n"
        "def space(trial):\n    trial.suggest_float('model.l2', 1e-4, 1.0, log=True)\n"
        "    trial.suggest_categorical('model.family', ['linear'])\n\n"
        "class Small(Tabular):\n    space = staticmethod(space)\n"
    )
    ended = run(path, tmp_path / "results", data="sklearn:wine", gpus=1, trials=2, concurrency=1, pruner="none")
    history = History.of(read(StudyFolder(Path(ended.status.results))))
    assert {name.partition(" ")[2] for name in history.workers} <= {"gpu 0", "gpu 1"}
    assert all(" gpu " in name for name in lanes_of(history).names)
    assert history.evaluation is not None
    assert history.evaluation.measures["log_loss"].value == pytest.approx(history.values[history.best, 0])
