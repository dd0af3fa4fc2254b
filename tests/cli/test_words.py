"""A status is shown in words that fit the terminal, whatever state the sweep is in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.cli import words
from search.cli.progress import Lines
from search.durations import duration
from search.status import RunningTrial, Status, SweepState, TrialScore
from search.study.budget import Budget, Spent, exhausted

NONE = Status(
    study="digits", state="running", metrics=("val_loss",), directions=("minimize",), trials={}, max_epochs=20
)
BEST = TrialScore(7, (0.0123456,), {"train.lr": 0.001, "model.family": "m\x1blp"}, {"val_loss": 0.0123456}, 12)
MIDDLE = replace(
    NONE,
    trials={"complete": 5, "pruned": 6, "fail": 1, "running": 2, "paused": 0, "waiting": 0},
    best=BEST,
    best_age=3,
    epochs_run=140,
    epochs_saved=60,
    seconds=65.4,
    baseline={"val_loss": 2.3},
    failures={"nan": 1},
    running=(RunningTrial(12, 5, 0.2), RunningTrial(13, 0, None)),
    target_trials=60,
)
TWO = replace(
    MIDDLE,
    metrics=("a", "b"),
    directions=("minimize", "minimize"),
    best=replace(BEST, values=(1.0, 2.0)),
    front=(BEST,),
)
MANY = replace(MIDDLE, running=tuple(RunningTrial(n, 1, 1e-9) for n in range(100)), left_s=7200.0)
EVERY = {"none": NONE, "middle": MIDDLE, "two": TWO, "many": MANY}


def test_the_live_display_shows_all_that_matters() -> None:
    assert words.live(MIDDLE, columns=120, rows=24) == [
        "digits   1 min 05 s   about 4 min 22 s left",
        "trials   12 of 60 ended   ██░░░░░░░░░░   5 complete, 6 pruned, 1 fail, 2 running",
        "best     val_loss 0.012346 by trial 7, 3 trials ago   (naive baseline: val_loss 2.3)",
        "epochs   140 run, 60 saved by pruning (30%)",
        "  #12    ███░░░░░░░░░ epoch 5 of 20   val_loss 0.2",
        "  #13    ░░░░░░░░░░░░ epoch 0 of 20   no report yet",
    ]


MOVED = replace(
    MIDDLE,
    moves=((1, 0.9), (2, 0.5), (9, 0.0123456)),
    running=(RunningTrial(12, 5, 0.2, (), tuple(1 / n for n in range(1, 31))), RunningTrial(13, 1, 0.5, (), (0.5,))),
)


@pytest.mark.parametrize(
    ("columns", "best", "curve"),
    [
        (120, "   █▅▅▅▅▅▅▅▁▁▁▁   (naive baseline: val_loss 2.3)", "val_loss 0.2   █▄▃▃▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁"),
        (60, ", 3 trials ago   █▅▅▁▁…", "val_loss 0.2   █▇▅▄▃▂▁"),
        (50, ", 3 trials a…", "val_loss 0.2"),
    ],
)
def test_the_live_display_draws_curves_where_there_is_room(columns: int, best: str, curve: str) -> None:
    lines = words.live(MOVED, columns=columns, rows=24)
    assert lines[2].endswith(best)
    assert lines[4].endswith(curve)
    assert lines[5].endswith("val_loss 0.5")


@pytest.mark.parametrize("status", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("columns", [20, 80])
def test_the_live_display_fits_the_terminal(status: Status, columns: int) -> None:
    lines = words.live(status, columns=columns, rows=12)
    assert max(len(line) for line in lines) <= columns
    assert len(lines) <= 12


@pytest.mark.parametrize("status", EVERY.values(), ids=EVERY)
def test_every_status_has_a_summary_and_a_log_line(status: Status) -> None:
    assert words.summary(replace(status, state="finished", why_stopped="60 of 60 trials"))
    assert "\n" not in words.log_line(status)


def test_the_leaderboard_names_trial_values_epoch_and_parameters() -> None:
    assert words.leaderboard([BEST], ["val_loss"], columns=None) == [
        "trial  val_loss  epoch  parameters",
        "   #7  0.012346     12  train.lr=0.001  model.family=m\\x1blp",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (42, "42 s"), (200, "3 min 20 s"), (7800, "2 h 10 min")]
)
def test_durations_carry_their_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("values", "text"), [([], ""), ([1.0], "▁"), ([1.0, 1.0], "▁▁"), ([0.0, 0.5, 1.0], "▁▅█"), ([2.0, 1.0], "█▁")]
)
def test_a_curve_is_a_line_of_bars(values: list[float], text: str) -> None:
    assert words.spark(values) == text


def test_a_curve_may_have_gaps_and_a_scale_of_others() -> None:
    assert words.spark([None, 0.5, 2.0, -1.0, None], low=0.0, high=1.0) == " ▅█▁ "
    assert words.spark([None, None]) == "  "
    assert words.spark([3.0, None], low=1.0, high=1.0) == "▁ "


def test_a_long_curve_is_thinned() -> None:
    assert len(words.spark([float(n) for n in range(1000)])) <= 40


def test_time_left_is_the_shorter_of_the_clock_and_the_pace() -> None:
    assert words.left_s(NONE) is None
    assert words.left_s(replace(MIDDLE, left_s=10.0)) == 10.0
    assert words.left_s(replace(MIDDLE, trials={"complete": 60})) == 0.0


def test_plain_lines_come_for_news_only_and_at_most_one_a_second() -> None:
    now, lines = [0.0], list[str]()
    shown = Lines(lines.append, clock=lambda: now[0])
    one = replace(NONE, trials={"complete": 1}, best=BEST)
    two = replace(one, trials={"complete": 2})
    for at, status in [(0.0, NONE), (0.1, one), (0.2, one), (0.3, two), (1.2, two), (5.0, two)]:
        now[0] = at
        shown.update(status)
    assert len(lines) == 2
    shown.update(replace(two, trials={"complete": 3}, state="finished"))
    assert len(lines) == 3
    assert lines[-1].startswith("[0.0 s] 3 trials: 3 complete; best val_loss 0.012346 by trial 7")


@pytest.mark.parametrize(("front", "said"), [((BEST,), "1 trial on the"), ((BEST, BEST), "2 trials on the")])
def test_the_trials_of_a_front_are_counted_in_good_english(front: tuple[TrialScore, ...], said: str) -> None:
    assert words.best(replace(TWO, front=front)).startswith(said)


SPENT = Spent(trials=9, seconds=70.0, epochs=41, trial_s=7200.0, since_best=5, best=0.1)


@pytest.mark.parametrize("state", ["finished", "failed"])
@pytest.mark.parametrize(
    ("limit", "more"),
    [
        ({"trials": 9}, "--trials +20"),
        ({"trials": 3}, "--trials 29"),
        ({"seconds": 60.0}, "--time +1h"),
        ({"epochs": 40}, "--epochs +1000"),
        ({"cpu_hours": 2.0}, "--cpu-hours +1"),
        ({"gpu_hours": 1.0}, "--gpu-hours +1"),
        ({"plateau": 5}, "--plateau +20"),
        ({"until": 0.2}, "--until none"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else None,
)
def test_what_goes_on_raises_the_budget_that_is_used_up(limit: dict[str, Any], more: str, state: SweepState) -> None:
    """A sweep of which no trial completed is failed, and its budget used up all the same."""
    why = exhausted(Budget(**limit), SPENT, cpus=1, gpus=1)
    assert why is not None
    status = replace(NONE, state=state, why_stopped=why, trials={"fail": 9}, target_trials=limit.get("trials"))
    assert words.resume(status) == f"resume digits {more}"


@pytest.mark.parametrize("why", ["3 trials in a row failed", "trial 4 raised ValueError: 3 of 4 epochs"])
def test_a_sweep_that_failed_is_resumed_as_it_is(why: str) -> None:
    assert words.resume(replace(NONE, state="failed", why_stopped=why)) == "resume digits"
