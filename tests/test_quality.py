"""The benchmark of search quality: its clock, what it counts, and how it compares.

Mutations that turn these red: a worker that reports before its epoch is over; ties given to the higher worker; a
resting trial that begins anew; scoring by validation errors; a later equal error taken as the better one; `for_good`
as `first`; a miss left out of medians; ratios of different seeds; a row of another table's content that still counts;
a decision's time that does not hold up the others; a parameter of another branch that is suggested.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import quality_arms, quality_runs
from benchmarks.quality_clock import Change, Job, drawn, replay
from benchmarks.quality_page import BEGIN, END, write
from benchmarks.quality_runs import FILE, Cell, Setting, aims, append, first, for_good, rows, run
from benchmarks.quality_shown import Sheet, compared, listed, sheets
from benchmarks.quality_stats import against, scores
from benchmarks.quality_tables import Axis, Table


def table(name: str = "small", *, epochs: int = 9, seed: int = 0) -> Table:
    """Return 3 x 8 x 6 configurations, whose second parameter is there in one branch only."""
    axes = (
        Axis("family", "categorical", ("mlp", "trees")),
        Axis("mlp.rate", "float", tuple(10.0**power for power in range(-8, 0)), log=True, when="mlp"),
        Axis("trees.leaves", "int", (2, 4, 8, 16, 32, 64), when="trees"),
        Axis("share", "float", (0.0, 0.25, 0.5, 0.75)),
    )
    points = [(0, rate, -1, share) for rate in range(8) for share in range(4)]
    points += [(1, -1, leaves, share) for leaves in range(6) for share in range(4)]
    random = np.random.default_rng(seed)
    test = (random.random((len(points), 1)) + 1 / np.arange(1, epochs + 1)).astype(np.float32)
    val = (test + random.normal(0, 0.02, test.shape)).astype(np.float32)
    seconds = np.where(np.array(points)[:, 0] == 0, 2.0, 0.5).astype(np.float32)
    return Table(name, "mixed", "made up", axes, val, test, np.array(points), seconds)


class Told:
    """Gives out jobs from a list, notes what it hears, and lets trials go on as told."""

    def __init__(self, jobs: Sequence[Job | None], stops: Sequence[tuple[int, int]] = ()) -> None:
        self.jobs, self.stops = [*jobs], stops
        self.heard: list[tuple[int, int]] = []

    def ask(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def report(self, job: Job, error: float) -> bool:
        self.heard.append((job.trial, job.done))
        return (job.trial, job.done) not in self.stops


def job(trial: int, *, row: int | None = None, done: int = 0, until: int = 9) -> Job:
    return Job(trial, trial if row is None else row, done, until)


def test_workers_take_turns_an_epoch_each_and_the_lower_comes_first() -> None:
    told = Told([job(0, until=2), job(1, until=2), job(2, until=1)])
    made = replay(told, table(), workers=2, budget=100)
    assert told.heard == [(0, 1), (1, 1), (0, 2), (1, 2), (2, 1)]
    assert (made.epochs, made.clock, made.trials) == (5, 3.0, 3)


def test_a_worker_is_free_as_soon_as_the_search_says_so() -> None:
    told = Told([job(0), job(1, until=2)], stops=[(0, 1)])
    replay(told, table(), workers=1, budget=100)
    assert told.heard == [(0, 1), (1, 1), (1, 2)]


def test_a_trial_that_is_taken_on_again_goes_on_from_where_it_was() -> None:
    told = Told([job(0, done=3, until=5)])
    made = replay(told, table(), workers=1, budget=100)
    assert told.heard == [(0, 4), (0, 5)]
    assert made.changes[0].test == pytest.approx(float(table().test[0, 3]))


def test_a_worker_that_gets_nothing_waits_for_the_next_event() -> None:
    told = Told([job(0, until=3), None, job(1, until=1)])
    made = replay(told, table(), workers=2, budget=100)
    assert told.heard == [(0, 1), (0, 2), (1, 1), (0, 3)]
    assert made.epochs == 4


def test_what_is_returned_has_the_lowest_validation_error_so_far_and_is_scored_by_its_test_error() -> None:
    made_up = table()
    made_up.val[:3, 0], made_up.test[:3, 0] = (0.5, 0.4, 0.4), (0.1, 0.7, 0.05)
    told = Told([job(0, until=1), job(1, until=1), job(2, until=1)])
    changes = replay(told, made_up, workers=1, budget=100).changes
    assert [(one.epochs, round(one.test, 6)) for one in changes] == [(1, 0.1), (2, 0.7)]  # the third is no lower


def test_an_epoch_takes_its_seconds_and_decisions_hold_up_whoever_asks_next() -> None:
    made_up = table()
    trees = made_up.rows[(1, -1, 0, 0)]
    told = Told([job(0, until=1), job(1, row=trees, until=2)])
    made = replay(told, made_up, workers=2, budget=100, epoch_s=10.0)
    assert told.heard == [(1, 1), (1, 2), (0, 1)]  # 5 s an epoch of trees, 20 s one of the network
    assert made.clock >= 20.0


def test_with_seconds_a_search_ends_when_its_time_is_up_and_not_its_epochs() -> None:
    made_up = table()
    trees = made_up.rows[(1, -1, 0, 0)]
    many = [job(number, row=trees, until=2) for number in range(30)]
    made = replay(Told(many), made_up, workers=1, budget=9, epoch_s=10.0)
    assert 15 <= made.epochs <= 18  # of 5 s each, in 90 s


def test_only_the_branch_that_is_taken_is_suggested() -> None:
    asked: list[str] = []

    def draw(axis: Axis) -> int:
        asked.append(axis.name)
        return 1

    row = drawn(table(), draw)
    assert asked == ["family", "trees.leaves", "share"]
    assert tuple(table().points[row]) == (1, -1, 1, 1)


@pytest.mark.parametrize(
    ("errors", "met_first", "met_for_good"),
    [
        ([0.3, 0.1], 2, 2),
        ([0.1, 0.3, 0.05], 1, 3),
        ([0.1, 0.3], 1, math.inf),
        ([0.3, 0.2], math.inf, math.inf),
        ([0.1], 1, 1),
    ],
)
def test_a_target_is_met_first_and_met_for_good(errors: list[float], met_first: float, met_for_good: float) -> None:
    changes = [Change(epochs, float(epochs), error) for epochs, error in enumerate(errors, start=1)]
    assert (first(changes, 0.1), for_good(changes, 0.1)) == (met_first, met_for_good)


def test_no_target_is_harder_than_what_training_everything_would_return() -> None:
    made_up = table()
    made_up.val[5, 2] = -1.0
    assert all(aim >= made_up.test[5, 2] for aim in aims(made_up))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table().save(tmp_path)
    quality_runs._table.cache_clear()
    quality_runs.content.cache_clear()
    return tmp_path


SETTING = Setting(workers=4, budget=60)
ARMS = ("ours:random+asha", "ours:evolve+asha:promote=true", "optuna:tpe+halving", "optuna:random")


@pytest.mark.parametrize("arm", [*ARMS, "ours:random+hyperband:promote=true", "optuna:tpe+hyperband"])
def test_a_search_comes_to_the_same_with_the_same_seed(arm: str, folder: Path) -> None:
    twice = [run(Cell(arm, "small", 7, SETTING), folder) for _ in range(2)]
    assert twice[0].changes == twice[1].changes
    assert twice[0].epochs == SETTING.budget


def test_trials_that_rest_are_trained_on_and_none_is_trained_twice() -> None:
    made_up = table(epochs=27)
    search = quality_arms.make("ours:random+asha:promote=true", made_up, 3)
    told: list[tuple[int, int]] = []

    class Heard:
        def ask(self) -> Job | None:
            return search.ask()

        def report(self, job: Job, error: float) -> bool:
            told.append((job.trial, job.done))
            return search.report(job, error)

    replay(Heard(), made_up, workers=4, budget=300)
    assert len(told) == len(set(told)) == 300
    steps = {trial: [step for one, step in told if one == trial] for trial, _ in told}
    assert all(found == [*range(1, len(found) + 1)] for found in steps.values())
    assert max(map(len, steps.values())) == 27


def _all(folder: Path, seeds: Sequence[int]) -> None:
    for arm in ARMS:
        for seed in seeds:
            append(folder / FILE, run(Cell(arm, "small", seed, SETTING), folder))


def test_rows_are_read_as_they_were_written(folder: Path) -> None:
    _all(folder, [1])
    made = [run(Cell(arm, "small", 1, SETTING), folder) for arm in ARMS]
    assert [(row.key, row.changes, row.first) for row in rows(folder / FILE)] == [
        (row.key, row.changes, row.first) for row in made
    ]


def test_rows_of_a_table_that_is_another_one_now_do_not_count(folder: Path) -> None:
    _all(folder, [1])
    assert sheets(rows(folder / FILE), ["small"], folder)
    table(seed=1).save(folder)
    quality_runs._table.cache_clear()
    quality_runs.content.cache_clear()
    assert not sheets(rows(folder / FILE), ["small"], folder)


def test_ours_is_compared_on_the_seeds_in_common_and_a_miss_counts_as_the_budget(folder: Path) -> None:
    _all(folder, [1, 2, 3])
    kept = list(rows(folder / FILE))
    made_up = table()
    ours = scores("ours:random+asha", [row for row in kept if row.arm == "ours:random+asha"], made_up, SETTING)
    peer = scores("optuna:random", [row for row in kept if row.arm == "optuna:random"][::-1], made_up, SETTING)
    assert peer.seeds == (1, 2, 3)
    ours.first[:, 1], peer.first[:, 1] = (10, 20, 30), (40, math.inf, math.inf)
    ratio = against(ours, [peer], 1, limit=60)
    assert ratio is not None
    assert (ratio.ours, ratio.theirs) == (20, math.inf)
    assert ratio.ratio == pytest.approx(20 / 60)
    assert ratio.means == pytest.approx((10 / 40 * 20 / 60 * 30 / 60) ** (1 / 3))
    assert (ratio.our_misses, ratio.their_misses, ratio.seeds) == (0, 2, 3)
    assert ratio.low <= ratio.ratio <= ratio.high


def test_wins_and_losses_are_both_told(folder: Path) -> None:
    _all(folder, [1, 2])
    lines = [*compared(sheets(rows(folder / FILE), ["small"], folder), "ours:random+asha")]
    assert [line.split(" | ")[1] for line in lines if line.startswith("| small")] == ["loose", "tight"]
    assert sum("ahead on" in line and "behind on" in line for line in lines) == 2


def test_one_command_makes_the_page_and_its_figure_anew_and_leaves_the_rest(folder: Path) -> None:
    _all(folder, [1, 2])
    page = folder / "quality.md"
    page.write_text(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n")
    found = sheets(rows(folder / FILE), ["small"], folder)
    write(found, ["ours:random+asha"], page)
    once = page.read_text()
    write(found, ["ours:random+asha"], page)
    assert page.read_text() == once
    assert once.startswith(f"Before.\n{BEGIN}\n")
    assert once.endswith(f"{END}\nAfter.\n")
    assert "old" not in once
    assert (folder / "quality-4.svg").read_text().count("<polyline") == 3  # ours that is named, and the peers


def test_a_table_says_how_well_its_validation_error_tells_the_good_ones() -> None:
    test = np.random.default_rng(0).permutation(400).astype(np.float32)[:, None] / 400
    axis, points = Axis("x", "float", tuple(range(400))), np.arange(400)[:, None]
    for val, met in ((test, 6), ((test + 1 / 3) % 1, 1)):
        one = Table("one", "mlp", "made up", (axis,), val, test, points, np.ones(400))
        said = "\n".join(listed(Sheet(one, Setting(4, 1200, None), {})))
        assert f"Of the 6 configurations of lowest validation error {met} meet the loose target." in said
