"""Time by stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from search.records.history import History
from search.report.figures import stages
from search.study import attributes
from tests.report.extremes import history_of, made
from tests.report.standing import stands

PLAIN = {"x": FloatDistribution(0.0, 1.0)}


def three(results: Path) -> History:
    """Return a study of one trial of each end, of two seconds each, one after the other, and four seconds without."""
    spent = {"train": 1.0, "preprocess": 0.25}
    trials = [
        made(0, {"x": 0.1}, dict(PLAIN), [1.0], stage_s=spent),
        made(2, {"x": 0.2}, dict(PLAIN), [1.0], state="pruned", curve=[1.0], stage_s={"train": 2.0}),
        made(4, {"x": 0.3}, dict(PLAIN), None, state="fail", reason="nan", stage_s={"tea": 0.5}),
    ]
    return history_of(results, trials, seconds=10.0)


def test_seconds_are_summed_by_stage_and_end(tmp_path: Path) -> None:
    found = stages.info(three(tmp_path))
    assert found.states == ["complete", "pruned", "fail", "idle"]
    assert found.trials == [1, 1, 1, 0]
    assert dict(zip(found.stages, found.seconds, strict=True)) == {
        "preprocess": [0.25, 0, 0, 0],
        "train": [1, 2, 0, 0],
        "tea": [0, 0, 0.5, 0],
        "other": [0.75, 0, 1.5, 0],
        "idle": [0, 0, 0, pytest.approx(4)],
    }


def test_the_finding_tells_the_longest_stage_and_what_was_in_vain(tmp_path: Path) -> None:
    words = stages.words(stages.info(three(tmp_path)))
    said = (
        "50% of 6 s of workers' time was training; 33% went to trials that were pruned; 33% went to trials that failed"
    )
    assert words.finding == said
    assert "Workers were without a trial for 4 s." in words.note


@pytest.mark.parametrize("rests", [True, False], ids=["rests", "taken on, then interrupted"])
def test_trials_that_nobody_holds_took_what_the_runs_that_let_go_of_them_took(tmp_path: Path, *, rests: bool) -> None:
    resting = made(0, {"x": 0.1}, dict(PLAIN), None, state="running", curve=[1.0, 0.9])
    spans: list[Any] = [[0.0, 2.0, "10.0.0.1:100"], [4.0, 5.0, "10.0.0.1:100"]]
    resting.system_attrs = {
        **resting.system_attrs,
        attributes.LEASE: {"held": False},
        attributes.RUNG: {"rung": 1, "rests": rests},
        attributes.TOOK: {"step": 2, "stage_s": {"train": 2.5}, "spans": spans},
    }
    found = stages.info(history_of(tmp_path, [resting], seconds=10.0))
    assert (found.states, found.trials) == (["paused", "idle"], [1, 0])
    taken = {name: row[0] for name, row in zip(found.stages, found.seconds, strict=True)}
    assert taken == {"train": 2.5, "other": 0.5, "idle": 0}
    assert "100% went to trials that are paused" in stages.words(found).finding


def test_what_the_cache_saved_is_told(tmp_path: Path) -> None:
    history = three(tmp_path)
    known = replace(history, status=replace(history.status, prepared={"made": 1, "found": 2}, saved_s=90.0))
    note = stages.words(stages.info(known)).note
    assert "2 of 3 trials had their prepared rows from others, which saved 90 s." in note


def test_how_long_gpus_waited_is_told_by_the_time_that_they_trained(tmp_path: Path) -> None:
    history = three(tmp_path)
    assert "GPUs" not in stages.words(stages.info(history)).note
    waited = replace(history, gpu_idle=np.array([0.1, 0.4, np.nan]))
    assert "GPUs waited for batches 30% of the training." in stages.words(stages.info(waited)).note


def test_stages_are_told_apart_by_more_than_colour(tmp_path: Path) -> None:
    drawn = stands(stages.PLOT, three(tmp_path))
    looks = [(one["marker"]["color"], one["marker"]["pattern"].get("shape", "")) for one in drawn["data"]]
    assert len(set(looks)) == len(looks)
    assert [one["name"] for one in drawn["data"]] == ["preprocess", "train", "tea", "other", "idle"]


def test_a_trial_that_took_anothers_result_took_no_time(tmp_path: Path) -> None:
    history = three(tmp_path)
    same = history.same_as.copy()
    same[0] = 1
    assert stages.info(replace(history, same_as=same)).states == ["pruned", "fail", "idle"]
