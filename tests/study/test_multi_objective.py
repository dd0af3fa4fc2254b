"""Several metrics at once: fronts and hypervolume are those of their definitions, and trials are pruned by rank.

Mutations that turn these red: let equal points dominate each other; order a front by number alone; forget what moves
when a point enters a front; read reports of one metric when a study is opened.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from search.study.front import Fronts
from search.study.hypervolume import hypervolume
from search.study.owner import StudyOwner
from search.study.record import from_frozen
from search.study.runs import Run
from search.study.storage import open_for_writing
from search.trial import Ending, Outcome, Progress, Verdict
from tests.study.studies import flat_space
from tests.study.test_promote import plan_of

Point = tuple[float, ...]
CHECKED = 25


def points_of(seed: int, dimensions: int, count: int = 40) -> list[Point]:
    """Return points with many ties."""
    dice = random.Random(seed)
    return [tuple(dice.randrange(7) / 6 for _ in range(dimensions)) for _ in range(count)]


def by_definition(points: list[Point]) -> list[int]:
    """Return the front of each point: those that no other left dominates, again and again."""
    fronts, left = [0] * len(points), set(range(len(points)))
    for front in range(len(points)):
        first = {
            one
            for one in left
            if not any(
                all(a <= b for a, b in zip(points[other], points[one], strict=True)) and points[other] != points[one]
                for other in left
            )
        }
        for one in first:
            fronts[one] = front
        left -= first
    return fronts


@pytest.mark.parametrize("dimensions", [2, 3])
def test_fronts_are_those_of_the_definition_in_whatever_order_points_come(dimensions: int) -> None:
    for seed in range(CHECKED):
        points = points_of(seed, dimensions)
        one_by_one, at_once = Fronts(dimensions), Fronts(dimensions)
        for label in random.Random(seed).sample(range(len(points)), len(points)):
            one_by_one.add(label, points[label])
        at_once.fill([(point, label) for label, point in enumerate(points)])
        expected = by_definition(points)
        assert [one_by_one.front_of(label) for label in range(len(points))] == expected
        assert [at_once.front_of(label) for label in range(len(points))] == expected
        ranks = [one_by_one.rank(label) for label in range(len(points))]
        assert ranks == [at_once.rank(label) for label in range(len(points))]
        assert sorted(ranks) == [*range(len(points))]
        for count in (0, 1, 5, len(points)):
            among = [one_by_one.is_among(label, count) for label in range(len(points))]
            assert among == [rank < count for rank in ranks]


def test_within_a_front_those_with_most_room_come_first() -> None:
    line = [(x, 1 - x) for x in (0.0, 0.1, 0.15, 0.5, 0.7, 1.0)]
    fronts = Fronts(2)
    fronts.fill([(point, label) for label, point in enumerate(line)])
    assert [fronts.rank(label) for label in (0, 5, 3, 4, 2, 1)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_hypervolume_is_the_volume_that_counting_finds(dimensions: int) -> None:
    """Points lie on a grid, so the volume is a number of its cells."""
    for seed in range(CHECKED):
        points = points_of(seed, dimensions, count=8)
        cells = np.stack(np.meshgrid(*[np.arange(6) / 6] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
        covered = np.zeros(len(cells), dtype=bool)
        for point in points:
            covered |= (cells >= np.array(point) - 1e-9).all(axis=1)
        volume = hypervolume(points, [1.0] * dimensions)
        assert volume == pytest.approx(covered.sum() / 6**dimensions)


def test_a_point_beyond_the_reference_adds_nothing() -> None:
    assert hypervolume([(0.5, 0.5), (0.1, 1.5)], (1.0, 1.0)) == 0.25
    assert hypervolume([], (1.0, 1.0)) == 0.0


# --- pruning ---


def measured(number: int, epoch: int) -> dict[str, float]:
    """Return two metrics that pull apart, and one that nobody searches."""
    dice = random.Random(number)
    x, poor = dice.random(), dice.random()
    return {"val_loss": x + poor + 1 / epoch, "speed": x - poor - 1 / epoch, "other": 0.0}


class Sweep:
    """A study of two metrics over a journal, which is opened again before every `crash_every`-th trial."""

    def __init__(self, folder: Path, pruner: str) -> None:
        self.plan = plan_of(
            folder, metrics=("val_loss", "speed"), directions=("minimize", "maximize"), max_epochs=9, pruner=pruner
        )
        self.folder = folder
        self.open()

    def open(self) -> None:
        self.storage = open_for_writing(self.folder / "study.journal", study="s")
        self.owner = StudyOwner(self.plan, self.storage, flat_space, slots=1, run=Run("r"), clock=lambda: 0.0)

    def crash(self) -> None:
        self.storage._lock.forget()
        self.storage._close()
        self.open()

    def run(self, crash_every: int) -> list[tuple[str, int, object]]:
        """Run to the end; return state, last step and pruning of every trial."""
        for turn in range(10_000):
            if crash_every and turn % crash_every == 0:
                self.crash()
            asked = self.owner.ask(f"slot:{turn}")
            if asked.spec is None:
                break
            number, token = asked.spec.number, f"token {turn}"
            self.owner.begin(number, token)
            held = self.owner._hands.get(number)
            assert held is not None
            for epoch in range(held.step + 1, 10):
                verdict = self.owner.report(number, token, Progress(epoch, measured(number, epoch), epoch))
                if verdict is not Verdict.CONTINUE:
                    break
            ending = {Verdict.CONTINUE: Ending.COMPLETE, Verdict.PAUSE: Ending.PAUSED, Verdict.PRUNE: Ending.PRUNED}
            self.owner.tell(number, token, Outcome(ending[verdict], epoch, measured(number, epoch), units=epoch))
        records = [from_frozen(one) for one in self.owner._parts.study.get_trials(deepcopy=False)]
        self.owner.close()
        return [(one.state, one.last_step, dict(one.pruning)) for one in records]


@pytest.mark.parametrize("pruner", ["asha", "asha:promote=true"])
def test_several_metrics_are_pruned_by_rank_and_a_reload_changes_nothing(pruner: str, tmp_path: Path) -> None:
    ends = []
    for crash_every in (0, 1):
        folder = tmp_path / str(crash_every)
        folder.mkdir()
        ends.append(Sweep(folder, pruner).run(crash_every))
    assert ends[0] == ends[1]
    states = Counter(state for state, _, _ in ends[0])
    assert states["complete"] >= 1
    assert states["pruned"] >= 15
    assert states["complete"] + states["pruned"] == 30


def test_who_is_pruned_was_not_among_the_best_third_of_its_rung(tmp_path: Path) -> None:
    """Counted anew from the reports: fronts by definition, over those that came to the rung before."""
    seen: list[Point] = []
    for number, (state, last, pruning) in enumerate(Sweep(tmp_path, "asha").run(0)):
        told = measured(number, 1)
        seen.append((told["val_loss"], -told["speed"]))
        fronts, keep = by_definition(seen), max(len(seen) // 3, 1)
        mine = fronts[number]
        before, with_mine = (sum(front < level for front in fronts) for level in (mine, mine + 1))
        if with_mine <= keep:
            assert last > 1
        elif before >= keep:
            assert (state, last) == ("pruned", 1)
        if state == "pruned" and last == 1:
            assert isinstance(pruning, dict)
            assert pruning["front"] == mine + 1
            assert (pruning["fronts"], pruning["of"], pruning["keep"]) == (max(fronts) + 1, len(seen), keep)
            assert pruning["rank"] > keep
            assert pruning["cutoff"] is None


def test_a_pruned_trial_keeps_all_that_it_reported(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, "asha")
    sweep.run(0)
    sweep.open()
    trials = sweep.owner._parts.study.get_trials(deepcopy=False)
    pruned = [one for one in map(from_frozen, trials) if one.state == "pruned"]
    for record in pruned:
        assert record.metrics == {step: measured(record.number, step) for step in range(1, record.last_step + 1)}
    sweep.owner.close()
