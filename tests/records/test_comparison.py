"""Studies side by side: curves, budgets, intervals, and what makes a comparison unfair."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial

from search.errors import InputError
from search.records.anytime import curves
from search.records.best_of import difference, losses_of
from search.records.comparison import compare
from search.records.history import History
from tests.report.extremes import EXTREMES, history_of, made, searched

X: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


def trials(losses: Sequence[float | None], *, epochs: int = 1) -> list[FrozenTrial]:
    """Return trials that came to these losses, None being pruned ones; the n-th ends after n + 2 seconds."""
    return [
        made(number, {"x": 0.5}, X, [0.9], state="pruned", curve=[0.9] * epochs)
        if loss is None
        else made(number, {"x": 0.5}, X, [loss], curve=[loss] * epochs)
        for number, loss in enumerate(losses)
    ]


def test_the_best_so_far_moves_when_a_better_trial_ends(tmp_path: Path) -> None:
    history = history_of(tmp_path, trials([0.5, None, 0.7, 0.2], epochs=3), seconds=9.0)
    found = curves(history)
    assert (found["trials"].x, found["trials"].y, found["trials"].total) == ((1, 4), (0.5, 0.2), 4)
    assert (found["epochs"].x, found["epochs"].total) == ((3, 12), 12)
    assert (found["seconds"].x, found["seconds"].total) == ((2, 5), 9)
    assert [found["trials"].at(spent) for spent in (0.5, 1, 3.9, 4)] == [None, 0.5, 0.5, 0.2]


def test_more_is_better_where_the_metric_is_maximized(tmp_path: Path) -> None:
    history = history_of(tmp_path, trials([0.5, 0.2, 0.7]), directions=("maximize",))
    assert curves(history)["trials"].y == (0.5, 0.7)


def test_several_metrics_are_compared_by_the_hypervolume_from_one_reference(tmp_path: Path) -> None:
    known = {"metrics": ("a", "b"), "directions": ("minimize", "minimize")}
    points = ([(0.0, 1.0), (1.0, 0.0)], [(1.0, 1.0), (0.5, 0.5)])
    sides = [
        history_of(
            tmp_path,
            [made(n, {"x": 0.5}, X, [*point], metrics=("a", "b")) for n, point in enumerate(each)],
            name=name,
            **known,
        )
        for name, each in zip("st", points, strict=True)
    ]
    found = compare(sides)
    assert found.measure == "hypervolume"
    assert [side.curves["trials"].y for side in found.sides] == [(0.0,), (0.0, 0.25)]
    assert found.verdict() == "t has the largest hypervolume at 2 trials each"
    assert found.differences == ()


def test_a_front_is_ranked_at_as_many_trials_as_the_shortest_study_has(tmp_path: Path) -> None:
    known = {"metrics": ("a", "b"), "directions": ("minimize", "minimize")}
    points = ([(1.0, 1.0), (0.8, 0.8), (0.1, 0.1)], [(0.5, 0.5), (0.4, 0.4)])
    sides = [
        history_of(
            tmp_path,
            [made(n, {"x": 0.5}, X, [*point], metrics=("a", "b")) for n, point in enumerate(each)],
            name=name,
            **known,
        )
        for name, each in zip(("long", "short"), points, strict=True)
    ]
    found = compare(sides)
    assert (found.ranking, found.verdict()) == ((1, 0), "short has the largest hypervolume at 2 trials each")


def test_trials_that_took_the_result_of_another_are_no_draws(tmp_path: Path) -> None:
    history = history_of(tmp_path, trials([0.5, 0.4, 0.4, 0.4, 0.4, 0.4]))
    copied = replace(history, same_as=np.array([-1, -1, 1, 1, 1, 1]))
    assert losses_of(copied).tolist() == [0.5, 0.4]
    (side, _) = compare([copied, history_of(tmp_path, trials([0.5]), name="other")]).sides
    assert (side.numbers, side.values, side.ended, side.ran) == ((0, 1), (0.5, 0.4), 6, 2)


def test_a_leader_that_is_behind_at_as_many_trials_is_told_so(tmp_path: Path) -> None:
    long = history_of(tmp_path, trials([0.1, *np.linspace(0.5, 0.9, 599).tolist()]), name="long")
    short = history_of(tmp_path, trials(np.linspace(0.101, 0.13, 8).tolist()), name="short")
    said = "long has the best val_loss after 600 trials, but at 8 trials each short is ahead by more than chance"
    assert compare([long, short]).verdict() == said


def test_bests_are_compared_at_what_all_have_spent(tmp_path: Path) -> None:
    first = history_of(tmp_path, trials([0.5, 0.4, 0.1], epochs=2), name="a", seconds=5.0)
    second = history_of(tmp_path, trials([0.3, 0.6], epochs=1), name="b", seconds=3.5)
    budgets = {one.axis: (one.spent, one.bests) for one in compare([first, second]).budgets}
    assert budgets == {"trials": (2, (0.4, 0.3)), "epochs": (2, (0.5, 0.3)), "seconds": (3.5, (0.4, 0.3))}


def test_the_best_of_n_is_drawn_as_often_as_it_should_be() -> None:
    """The best of n from N values is the i-th best with the probability ((N-i+1)/N)^n - ((N-i)/N)^n."""
    from search.records.best_of import DRAWS, _bests

    drawn = _bests(np.array([3.0, 1.0, 2.0, math.inf]), 2, np.random.default_rng(0))
    shares = [float((drawn == value).mean()) for value in (1.0, 2.0, 3.0, math.inf)]
    assert shares == pytest.approx([7 / 16, 5 / 16, 3 / 16, 1 / 16], abs=4 / math.sqrt(DRAWS))


@pytest.mark.parametrize(("gap", "apart"), [(0.0, False), (0.05, False), (5.0, True)])
def test_studies_are_told_apart_only_by_more_than_chance(gap: float, apart: bool) -> None:
    dice = np.random.default_rng(1)
    better, worse = dice.normal(0, 1, 40), dice.normal(gap, 1, 60)
    found = difference((0, 1), (better, worse))
    assert found is not None
    assert found.apart is apart
    assert found.trials == 40
    assert found.low <= found.value <= found.high


def test_chance_alone_is_rarely_taken_for_a_difference() -> None:
    dice = np.random.default_rng(2)
    studies = [dice.normal(0, 1, 30) for _ in range(15)]
    found = [difference(pair, (studies[pair[0]], studies[pair[1]])) for pair in combinations(range(15), 2)]
    wrong = sum(one is not None and (one.low > 0 or one.high < 0) for one in found)
    assert wrong <= 0.12 * len(found)


def test_what_the_measurement_leaves_open_widens_the_interval() -> None:
    better, worse = np.linspace(0, 1, 20), np.linspace(0.2, 1, 20)
    plain, noisy = difference((0, 1), (better, worse)), difference((0, 1), (better, worse), (0.3, 0.4))
    assert plain is not None
    assert noisy is not None
    assert noisy.noise == 0.5
    assert noisy.high - noisy.low > 2 * (plain.high - plain.low)


@pytest.mark.parametrize("losses", [[0.1, 0.2], [math.inf] * 9])
def test_too_few_trials_give_no_interval(losses: list[float]) -> None:
    assert difference((0, 1), (np.array(losses), np.linspace(0, 1, 9))) is None


def test_trials_without_a_value_leave_an_interval_open(tmp_path: Path) -> None:
    few = history_of(tmp_path, trials([0.5, *[None] * 9]), name="few")
    many = history_of(tmp_path, trials([0.1 + n / 100 for n in range(10)]), name="many")
    (found,) = compare([few, many]).differences
    assert (found.better, found.worse) == (1, 0)
    assert math.isinf(found.high)
    assert compare([few, many]).to_json()["differences"][0]["interval"][1] is None


UNFAIR = [
    ({"max_epochs": 3}, {}, "epochs", "the longest training differs (--max-epochs): a 9, b 3"),
    ({"replicates": 3}, {}, "replicates", "a value is the mean of different counts: a 1, b 3"),
    ({"constraints": ("t<=1",)}, {}, "constraints", "the constraints differ: a none, b t<=1"),
    ({"objective": "/p.py:P"}, {}, "code", "they are of different objectives: a /o.py:O, b /p.py:P"),
    ({"folds": 5}, {}, "split", "the splits differ: a auto, 0 folds, b auto, 5 folds"),
    ({"seed": 2}, {}, "split", "the seeds differ, and splits may follow them: a 1, b 2"),
    ({}, {"data_hash": "2" * 64}, "data", f"they were given different data: a {'1' * 12}, b {'2' * 12}"),
    ({}, {"objective_hash": "2" * 64}, "code", f"the code of the objective differs: a {'1' * 12}, b {'2' * 12}"),
    ({}, {"code_hash": "2" * 64}, None, ""),  # the space alone
    ({"baseline": {"val_loss": 0.5}}, {}, "baseline", "a naive prediction scores differently: a 0.7, b 0.5"),
    ({"sampler": "tpe"}, {}, None, ""),
    ({"notify": "https://h/x"}, {}, None, ""),
]


@pytest.mark.parametrize(("plan", "launch", "what", "said"), UNFAIR)
def test_what_makes_a_comparison_unfair_is_told(
    tmp_path: Path, plan: dict[str, object], launch: dict[str, str], what: str | None, said: str
) -> None:
    sides = []
    hashes = dict.fromkeys(("data_hash", "objective_hash", "code_hash"), "1" * 64)
    for name, changed, known in (("a", {}, hashes), ("b", plan, {**hashes, **launch})):
        given = {"baseline": {"val_loss": 0.7}, **changed}
        history = history_of(tmp_path, trials([0.5, 0.4]), name=name, **given)
        written = json.loads(history.folder.plan.read_text())
        history.folder.plan.write_text(json.dumps(written | known))
        from search.records.study import read

        sides.append(History.of(read(history.folder)))
    found = [(one.what, one.text) for one in compare(sides).unfair]
    assert found == ([(what, said)] if what else [])
    assert "notify" not in str(compare(sides).choices)


def test_other_seeds_are_fair_where_no_data_was_given_that_would_be_split(tmp_path: Path) -> None:
    sides = [history_of(tmp_path, trials([0.5, 0.4]), name=f"s{seed}", seed=seed) for seed in (1, 2)]
    assert compare(sides).unfair == ()


@pytest.mark.parametrize("count", [1, 2])
def test_studies_that_are_level_are_told_so(tmp_path: Path, count: int) -> None:
    metrics = ("a", "b")[:count]
    known: dict[str, Any] = {"metrics": metrics, "directions": ("minimize",) * count}
    points = [[0.5] * count, [0.25] * count, [0.75] * count]
    made_of = [made(n, {"x": 0.5}, X, point, metrics=metrics) for n, point in enumerate(points)]
    found = compare([history_of(tmp_path, made_of, name=name, **known) for name in "st"])
    assert found.verdict() == "s and t share the " + ("best a", "largest hypervolume at 3 trials each")[count - 1]


def test_studies_in_which_nothing_completed_have_no_common_budgets(tmp_path: Path) -> None:
    found = compare([history_of(tmp_path, trials([None] * 3), name=name) for name in "ab"])
    assert found.budgets == ()
    assert found.sides[0].curves["trials"].total == 3


def test_other_numbers_of_trials_and_a_running_study_are_told(tmp_path: Path) -> None:
    few = history_of(tmp_path, trials([0.5]), name="few")
    many = history_of(tmp_path, trials([0.5] * 10), name="many")
    assert [one.what for one in compare([few, many]).unfair] == ["trials"]


def test_parameters_and_spaces_stand_side_by_side(tmp_path: Path) -> None:
    kinds = CategoricalDistribution(("tree", "net"))
    first = made(0, {"x": 0.5, "kind": "tree"}, {**X, "kind": kinds}, [0.5])
    second = made(0, {"x": 0.25, "y": 2.0}, {**X, "y": FloatDistribution(1.0, 9.0, log=True)}, [0.4])
    found = compare([history_of(tmp_path, [one], name=name) for name, one in (("a", first), ("b", second))])
    assert {row.name: row.values for row in found.bests} == {
        "x": ("0.5", "0.25"),
        "kind": ("tree", None),
        "y": (None, "2"),
    }
    assert {row.name: (row.values, row.differs) for row in found.spaces} == {
        "x": (("0 to 1", "0 to 1"), False),
        "kind": (("tree | net", None), True),
        "y": ((None, "1 to 9 log"), True),
    }


def test_a_parameter_that_no_trial_had_is_known_from_the_launch(tmp_path: Path) -> None:
    history = history_of(tmp_path, trials([0.5]))
    distributions: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0.0, 1.0, step=0.1),
        "kind": CategoricalDistribution(("a", None, 1)),
    }
    launch = {**history.launch, "parameters": {name: str(one) for name, one in distributions.items()}}
    from search.records.differing import space

    assert space(replace(history, launch=launch)) == {"x": "0 to 1 by 0.1", "kind": "a | None | 1"}


def test_other_metrics_are_nothing_to_compare(tmp_path: Path) -> None:
    one, other = history_of(tmp_path, (), name="a"), history_of(tmp_path, (), name="b", directions=("maximize",))
    with pytest.raises(InputError, match=r"a searches val_loss \(minimize\) and b val_loss \(maximize\)"):
        compare([one, other])


@pytest.mark.parametrize("count", [0, 1, 9])
def test_two_to_eight_studies_are_compared(tmp_path: Path, count: int) -> None:
    with pytest.raises(InputError, match=f"takes 2 to 8 studies, got {count}"):
        compare([history_of(tmp_path, (), name=f"s{n}") for n in range(count)])


def test_a_study_is_not_compared_with_itself(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'s' was given twice"):
        compare([history_of(tmp_path, ())] * 2)


@pytest.mark.parametrize("name", EXTREMES)
def test_every_study_can_be_compared_and_told_as_json(tmp_path: Path, name: str) -> None:
    sides = [EXTREMES[name](tmp_path / place) for place in "ab"]
    found = compare(sides)
    assert [side.name for side in found.sides] == [f"{place}/s" for place in "ab"]
    json.dumps(found.to_json(), allow_nan=False)
    assert found.verdict()


def test_equal_studies_are_not_told_apart(tmp_path: Path) -> None:
    sides = [history_of(tmp_path, searched(60), name=name) for name in "abc"]
    found = compare(sides)
    assert found.verdict() == "a and b and c share the best val_loss"
    assert [one.apart for one in found.differences] == [False] * 3
