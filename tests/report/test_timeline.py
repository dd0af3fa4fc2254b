"""Trials on the lanes of their workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from search.records.history import Floats, History
from search.records.spans import Spans
from search.report.figures import timeline
from search.report.lanes import lanes_of
from search.report.spans import spoken
from tests.report.extremes import history_of, made
from tests.report.standing import stands


def timed(
    results: Path, spans: Sequence[tuple[float, float]], workers: Sequence[str], *, life_s: float = 10.0
) -> History:
    """Return a study of completed trials that ran so, each on its worker."""
    plain = {"x": FloatDistribution(0.0, 1.0)}
    trials = [made(n, {"x": n / 99}, dict(plain), [1.0 + n], worker=worker) for n, worker in enumerate(workers)]
    history = history_of(results, trials)
    begun, ended = (np.array(times, np.float64) for times in zip(*spans, strict=True))
    return replace(history, begun_s=begun, ended_s=ended, status=replace(history.status, seconds=life_s))


def test_trials_that_ran_side_by_side_have_lanes_of_their_own(tmp_path: Path) -> None:
    spans = [(0, 4), (0, 2), (2, 5), (5, 6), (1, 3)]
    workers = ["a:1", "a:2", "a:3", "a:1", "b:1"]
    found = timeline.info(timed(tmp_path, spans, workers))
    assert found.lanes == ["a · 1", "a · 2", "b"]
    assert dict(zip(found.trial, found.lane, strict=True)) == {0: 0, 1: 1, 2: 1, 3: 0, 4: 2}
    assert found.busy == pytest.approx((4 + 2 + 3 + 1 + 2) / 30)
    assert found.idle_at_end_s == pytest.approx(4 + 5 + 7)


def test_a_trial_that_rested_is_drawn_where_it_ran_and_not_while_it_rested(tmp_path: Path) -> None:
    history = timed(tmp_path, [(0, 10), (6, 8)], ["a:1", "a:1"])  # 0 rested from 2 to its end, 1 from 3 to 6
    rested = Spans(np.array([0, 1]), np.array([0, 0]), np.array([0.0, 2.0]), np.array([2.0, 3.0]))
    found = timeline.info(replace(history, let_go=rested))
    assert found.lanes == ["a"]
    assert sorted(zip(found.trial, found.begin_s, found.end_s, strict=True)) == [(0, 0, 2), (1, 2, 3), (1, 6, 8)]
    assert found.busy == pytest.approx(0.5)
    assert timeline.words(found).note.startswith("2 trials on 1 lane")


@pytest.mark.parametrize(
    ("workers", "lanes"),
    [
        (["10.0.0.2:7 gpu 0", "10.0.0.2:8 gpu 1"], ("10.0.0.2 gpu 0", "10.0.0.2 gpu 1")),
        (["10.0.0.2:7 gpu 0", "10.0.0.2:8 gpu 0"], ("10.0.0.2 gpu 0 · 1", "10.0.0.2 gpu 0 · 2")),
        (["10.0.0.10:7", "10.0.0.9:8"], ("10.0.0.9", "10.0.0.10")),
        (["local:4", "::1:9"], ("::1", "local")),
    ],
)
def test_lanes_are_called_after_machines_and_gpus(workers: list[str], lanes: tuple[str, ...], tmp_path: Path) -> None:
    assert lanes_of(timed(tmp_path, [(0, 5), (0, 5)], workers)).names == lanes


def test_a_trial_tells_how_long_its_gpu_waited(tmp_path: Path) -> None:
    history = timed(tmp_path, [(0, 5), (0, 5)], ["a:1", "a:2"])
    assert "hovertext" not in stands(timeline.PLOT, history)["data"][0]
    (bars,) = stands(timeline.PLOT, replace(history, gpu_idle=np.array([0.4, np.nan])))["data"]
    assert bars["hovertext"] == ["<br>GPU waited 40% of its training", ""]
    assert "%{hovertext}" in bars["hovertemplate"]


def test_the_finding_tells_idle_time(tmp_path: Path) -> None:
    words = timeline.words(timeline.info(timed(tmp_path, [(0, 180), (0, 600)], ["a:1", "a:2"], life_s=600)))
    assert words.finding == "Workers were busy 65% of 10 min; 7 min idle at the end"


def test_a_running_trial_ends_now_and_a_paused_one_is_left_out(tmp_path: Path) -> None:
    plain = {"x": FloatDistribution(0.0, 1.0)}
    trials = [made(0, {"x": 0.1}, dict(plain), [1.0]), made(1, {"x": 0.2}, dict(plain), None, state="running")]
    history = history_of(tmp_path, trials)  # nobody runs it: what ran is paused
    assert timeline.info(history).trial == [0]
    assert timeline.info(history).unknown == 1
    assert timeline.words(timeline.info(history)).note.startswith("1 trial on 1 lane: a lane is a place")
    assert "1 paused trials are left out" in timeline.words(timeline.info(history)).note
    running = replace(history, state=np.array([0, 3], np.int8), status=replace(history.status, seconds=50.0))
    assert timeline.info(running).end_s == [2.0, 50.0]


def test_resumes_are_lines(tmp_path: Path) -> None:
    history = replace(timed(tmp_path, [(0, 5)], ["a:1"]), runs_s=(0.0, 4.0, 6.0))
    layout = stands(timeline.PLOT, history)["layout"]
    assert [shape["x0"] for shape in layout["shapes"]] == [4.0, 6.0]
    assert {note["text"] for note in layout["annotations"]} == {"resume 1", "resume 2"}


def test_very_many_trials_are_drawn_as_cells_of_the_state_that_took_most(tmp_path: Path) -> None:
    history = stretched(tmp_path, 12_000)
    found = timeline.info(history)
    drawn = stands(timeline.PLOT, history)
    bars = sum(len(trace["y"]) for trace in drawn["data"])
    assert 0 < bars <= 2_000
    assert "cells of" in timeline.words(found).note
    for lane in (0, 1):  # every second of a lane is in one bar
        ends = sorted(
            (base, base + long)
            for trace in drawn["data"]
            for base, long, y in zip(trace["base"], trace["x"], trace["y"], strict=True)
            if y == lane
        )
        assert all(one[1] <= other[0] + 1e-3 for one, other in pairwise(ends))
        assert sum(end - begin for begin, end in ends) == pytest.approx(found.life_s / 3600, rel=0.01)


def test_the_states_that_took_most_are_those_drawn(tmp_path: Path) -> None:
    history = stretched(tmp_path, 12_000, pruned_from=6_000)
    drawn = stands(timeline.PLOT, history)
    by_name = {trace["name"]: trace for trace in drawn["data"]}
    half = history.status.seconds / 7200
    assert (
        max(base + x for base, x in zip(by_name["complete"]["base"], by_name["complete"]["x"], strict=True))
        < half * 1.01
    )
    assert min(by_name["pruned"]["base"]) > half * 0.99


def stretched(results: Path, count: int, pruned_from: int | None = None) -> History:
    """Return a study of trials of two seconds each on two lanes, all the time."""
    one = timed(results, [(0, 2), (0, 2)], ["a:1", "b:1"])
    numbers = np.arange(count)
    begun: Floats = (numbers // 2 * 2).astype(np.float64)
    state = np.zeros(count, np.int8)
    state[count if pruned_from is None else pruned_from :] = 1
    none = np.full(count, -1)
    return replace(
        one,
        state=state,
        begun_s=begun,
        ended_s=begun + 2.0,
        worker=numbers % 2,
        same_as=none,
        gpu_idle=np.full(count, np.nan),
        status=replace(one.status, seconds=float(count)),
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (2.34, "2.3 s"), (42, "42 s"), (200, "3.3 min"), (7200, "120 min"), (20_000, "5.6 h")],
)
def test_spans_are_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_short_trials_far_apart_are_drawn_faintly(tmp_path: Path) -> None:
    history = stretched(tmp_path, 2_500)
    begun: Floats = (np.arange(2_500) * 400.0).astype(np.float64)
    history = replace(
        history, begun_s=begun, ended_s=begun + 1.0, status=replace(history.status, seconds=float(begun[-1]) + 1)
    )
    (bars,) = stands(timeline.PLOT, history)["data"]
    assert set(bars["marker"]["opacity"]) == {timeline._FAINT}
    assert "faint where there was longer no trial" in timeline.words(timeline.info(history)).note
