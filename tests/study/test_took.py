"""What the runs of a trial took is told together, whichever of them ended it.

Mutations that turn these red: keep the last run's seconds alone; let the last run say how rows were come by; take the
last peak of memory; weigh both shares of an idle GPU alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.study.writer import what_it_took
from search.trial import Ending, Outcome, Progress, Reuse
from tests.study.test_promote import Sweep

FIRST = Outcome(
    Ending.PAUSED,
    step=1,
    units=1,
    stage_s={"preprocess": 2.0, "train": 1.0},
    notes=("rows were dropped",),
    peak_mb=900.0,
    reuse=Reuse("made", 2.0, 2.0),
    gpu_idle=0.8,
    gpu_peak_mb=300.0,
    gpu_mb=8000.0,
)
SECOND = Outcome(
    Ending.PRUNED,
    step=9,
    units=9,
    stage_s={"train": 3.0, "evaluate": 0.5},
    notes=("rows were dropped", "its latest checkpoint was damaged"),
    peak_mb=700.0,
    reuse=Reuse("found", 2.0, 0.1),
    gpu_idle=0.4,
    gpu_peak_mb=500.0,
    gpu_mb=8000.0,
)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("units", 9),
        ("stage_s", {"preprocess": 2.0, "train": 4.0, "evaluate": 0.5}),
        ("notes", ["rows were dropped", "its latest checkpoint was damaged"]),
        ("peak_mb", 900.0),
        ("prepared", {"how": "made", "cost_s": 2.0, "took_s": 2.0}),
        ("gpu_idle", 0.5),
        ("gpu_peak_mb", 500.0),
        ("gpu_mb", 8000.0),
    ],
)
def test_runs_are_told_together(key: str, told: Any) -> None:
    assert what_it_took(SECOND, what_it_took(FIRST, {}))[key] == told


def test_an_end_that_no_run_brought_about_tells_what_the_runs_took() -> None:
    took = what_it_took(SECOND, what_it_took(FIRST, {}))
    assert what_it_took(Outcome(Ending.PRUNED, step=9), took) == took


def test_what_was_not_measured_is_not_told() -> None:
    assert what_it_took(Outcome(Ending.PAUSED, units=1), {}) == {"step": 0, "units": 1, "stage_s": {}}


@pytest.mark.parametrize("crashes", [False, True])
def test_a_trial_that_was_stopped_and_resumed_took_what_both_runs_took(tmp_path: Path, *, crashes: bool) -> None:
    sweep = Sweep(tmp_path, pruner="none", trials=1)
    number, token = sweep.ask(0) or (-1, "")
    sweep.owner.report(number, token, Progress(1, {"val_loss": 1.0}, 1))
    sweep.now_s = 4.0
    sweep.owner.tell(number, token, replace(FIRST, metrics={"val_loss": 1.0}))
    if crashes:
        sweep.crash()
    sweep.now_s = 10.0
    again, token = sweep.ask(1) or (-1, "")
    assert again == number
    sweep.owner.report(number, token, Progress(2, {"val_loss": 0.5}, 2))
    sweep.now_s = 12.0
    sweep.owner.tell(number, token, replace(SECOND, ending=Ending.COMPLETE, metrics={"val_loss": 0.5}))
    (record,) = sweep.records()
    assert record.end["stage_s"] == {"preprocess": 2.0, "train": 4.0, "evaluate": 0.5}
    assert record.end["prepared"]["how"] == "made"
    assert [span[1] - span[0] for span in record.took["spans"]] == [4.0]
    assert record.end["held_s"] == pytest.approx(6.0)
