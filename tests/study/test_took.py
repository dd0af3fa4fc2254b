"""What the runs of a trial took is told together, whichever of them ended it.

Mutations that turn these red: keep the last run's seconds alone; let the last run say how rows were come by; take the
last peak of memory; weigh both shares of an idle GPU alike.
"""

from __future__ import annotations

from typing import Any

import pytest

from search.study.writer import what_it_took
from search.trial import Ending, Outcome, Reuse

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
