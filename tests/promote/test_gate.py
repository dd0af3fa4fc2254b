"""A model serves only if it beats what it would replace, and keeps the bounds that were asked of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search.bundle.bundle import Bundle, write_bundle
from search.bundle.manifest import Manifest, Member
from search.bundle.model import Model
from search.choosing import choose
from search.contract import Dataset, Part, Task
from search.errors import InputError, RefusedError
from search.launch import prepare
from search.problem import Problem
from search.promote.bounds import Bounds, Floor, GroupFloor, latency_ms, size_bytes
from search.promote.choices import Promotion
from search.promote.feeding import columns_of
from search.promote.gate import Facts, judge, judge_serving
from search.promote.graph import Head, whole
from search.promote.groups import by_column
from search.promote.measures import Judged
from search.promote.opponent import Incumbent, Opponent, face, incumbent
from search.promote.paired import Difference
from search.promote.scores import Scores, score
from search.promote.threshold import Costs
from tests.bundle import bundles

from .problems import problem_of

TRUTH = np.array([0, 1] * 100)


def said(right: float, truth: np.ndarray[Any, Any] = TRUTH) -> np.ndarray[Any, Any]:
    """Return probabilities that are right for a share of the rows: the first of them."""
    sure = np.where(np.arange(len(truth)) < right * len(truth), truth, 1 - truth)
    second = 0.1 + 0.8 * sure
    return np.stack([1 - second, second], axis=1)


def scores_of(right: float) -> Scores:
    judged = Judged(said(right), TRUTH, Task.BINARY)
    return score(judged, TRUTH[:99], classes=("no", "yes"), searched=("val_accuracy", 0.9))


def against(gain: float, low: float | None, high: float | None) -> Opponent:
    return Opponent(3, Difference("accuracy", 0.9 + gain, 0.9, gain, low, high), 200)


FACTS = Facts(scores_of(0.9), latency_ms=0.5, size_bytes=40_960)

VERDICTS: list[tuple[str, Bounds, Facts, str]] = [
    ("nothing is in production", Bounds(), FACTS, ""),
    ("better beyond noise", Bounds(), replace(FACTS, production=against(0.02, 0.01, 0.03)), ""),
    (
        "better within noise",
        Bounds(),
        replace(FACTS, production=against(0.002, -0.004, 0.008)),
        "refused: accuracy gain 0.002 over version 3 (95% interval -0.004 to 0.008) is not above 0",
    ),
    (
        "the same model again",
        Bounds(),
        replace(FACTS, production=against(0.0, 0.0, 0.0)),
        "refused: accuracy gain 0 over version 3 (95% interval 0 to 0) is not above 0",
    ),
    (
        "too few rows for an interval",
        Bounds(),
        replace(FACTS, production=against(0.5, None, None)),
        "refused: accuracy gain 0.5 over version 3 (95% interval unknown) is not above 0",
    ),
    (
        "less than the gain that was asked for",
        Bounds(min_gain=0.05),
        replace(FACTS, production=against(0.02, 0.01, 0.03)),
        "refused: accuracy gain 0.02 over version 3 (95% interval 0.01 to 0.03) is less than 0.05",
    ),
    (
        "enough of a gain, but not surely any",
        Bounds(min_gain=0.01),
        replace(FACTS, production=against(0.02, -0.01, 0.05)),
        "refused: accuracy gain 0.02 over version 3 (95% interval -0.01 to 0.05) is not above 0",
    ),
    ("not worse than allowed", Bounds(min_gain=-0.02), replace(FACTS, production=against(-0.005, -0.015, 0.005)), ""),
    (
        "perhaps worse than allowed",
        Bounds(min_gain=-0.01),
        replace(FACTS, production=against(-0.005, -0.015, 0.005)),
        "refused: accuracy gain -0.005 over version 3 (95% interval -0.015 to 0.005) is not above -0.01",
    ),
    (
        "not to be compared",
        Bounds(),
        replace(FACTS, production=Opponent(3, None, 0, why_not="it gives other classes")),
        "refused: it cannot be compared with version 3: it gives other classes; --no-comparison does without",
    ),
    (
        "told not to compare",
        Bounds(compare=False),
        replace(FACTS, production=Opponent(3, None, 0, why_not="it gives other classes")),
        "",
    ),
    (
        "no better than the most frequent class",
        Bounds(),
        replace(FACTS, scores=scores_of(0.4)),
        "refused: accuracy 0.4 does not beat the baseline 0.5",
    ),
    ("fast and small enough", Bounds(max_latency_ms=0.5, max_size_bytes=40_960), FACTS, ""),
    ("slow", Bounds(max_latency_ms=30), replace(FACTS, latency_ms=41), "refused: latency p95 41 ms > 30 ms"),
    ("large", Bounds(max_size_bytes=2**20), replace(FACTS, size_bytes=3 * 2**20), "refused: size 3 MB > 1 MB"),
    ("floors that hold", Bounds(floors=(Floor("accuracy", 0.9), Floor("log_loss", 0.5))), FACTS, ""),
    ("a floor", Bounds(floors=(Floor("accuracy", 0.95),)), FACTS, "refused: accuracy 0.9 < 0.95"),
    ("a floor of a loss", Bounds(floors=(Floor("log_loss", 0.2),)), FACTS, "refused: log_loss 0.3251 > 0.2"),
    ("a floor of another task", Bounds(floors=(Floor("rmse", 2),)), FACTS, "refused: rmse is not defined on these"),
    ("every class", Bounds(worst_class=Floor("recall", 0.9)), FACTS, ""),
    ("the worst class", Bounds(worst_class=Floor("recall", 0.95)), FACTS, "refused: recall of no 0.9 < 0.95"),
    (
        "all that fails is told",
        Bounds(max_latency_ms=30, floors=(Floor("accuracy", 0.95),)),
        replace(FACTS, latency_ms=41),
        "refused: latency p95 41 ms > 30 ms; accuracy 0.9 < 0.95",
    ),
]


@pytest.mark.parametrize(
    ("bounds", "facts", "sentence"), [one[1:] for one in VERDICTS], ids=[one[0] for one in VERDICTS]
)
def test_the_gate(bounds: Bounds, facts: Facts, sentence: str) -> None:
    verdict = judge(bounds, facts)
    assert verdict.passed is not bool(sentence)
    if not sentence:
        verdict.refuse()
        return
    with pytest.raises(RefusedError) as refused:
        verdict.refuse()
    assert refused.value.sentence().startswith(sentence)


def test_a_refusal_stays_short_and_counts_what_it_leaves_out() -> None:
    floors = tuple(Floor(name, 1.0) for name in ("accuracy", "balanced_accuracy", "auc") * 5)
    with pytest.raises(RefusedError, match=r"; and \d+ more$") as refused:
        judge(Bounds(floors=floors), FACTS).refuse()
    assert len(refused.value.sentence()) <= 200


def test_a_gain_within_noise_over_the_baseline_is_told() -> None:
    (note,) = judge(Bounds(), replace(FACTS, scores=scores_of(0.52))).notes
    assert note.startswith("the gain over the naive baseline is within noise: -0.0")
    assert not judge(Bounds(), FACTS).notes


def test_a_gain_that_is_just_what_was_asked_for_is_enough_and_not_called_more() -> None:
    (_, check) = judge(Bounds(min_gain=0.02), replace(FACTS, production=against(0.02, 0.01, 0.03))).checks
    assert (check.passed, check.sentence.endswith(" is 0.02 or more")) == (True, True)


def test_what_can_be_judged_without_test_rows_is() -> None:
    bounds = Bounds(max_latency_ms=1, max_size_bytes=10, floors=(Floor("accuracy", 1),))
    assert [(one.name, one.passed) for one in judge_serving(bounds, 0.5, 20).checks] == [
        ("latency", True),
        ("size", False),
    ]


def grouped(towns: list[str], floor: Floor) -> tuple[Bounds, Facts]:
    """Nine of ten rows are right in the first half, one of two in the second."""
    right = np.concatenate([said(0.9, TRUTH[:100]), said(0.5, TRUTH[100:])])
    judged = Judged(right, TRUTH, Task.BINARY)
    groups = by_column(judged, "town", np.array(towns, dtype=object), floor.metric)
    scores = score(judged, TRUTH[:99], classes=("no", "yes"), searched=("val_accuracy", 0.9))
    return Bounds(worst_group=GroupFloor("town", floor)), replace(FACTS, scores=scores, groups=groups)


@pytest.mark.parametrize(
    ("towns", "sentence"),
    [
        (["aa"] * 100 + ["bb"] * 100, "refused: accuracy where town is bb (100 rows) 0.5 < 0.6"),
        (["aa", "aa", "bb", "bb"] * 50, ""),
        (["aa"] * 190 + ["bb"] * 10, ""),  # ten rows are the worst somewhere, always
        (
            [f"t{row}" for row in range(200)],
            "refused: no group of town has 20 test rows, so the worst one is not known",
        ),
    ],
)
def test_the_worst_group(towns: list[str], sentence: str) -> None:
    verdict = judge(*grouped(towns, Floor("accuracy", 0.6)))
    assert verdict.passed is not bool(sentence)
    if sentence:
        with pytest.raises(RefusedError) as refused:
            verdict.refuse()
        assert refused.value.message == sentence


@pytest.mark.parametrize(("rows", "sentence"), [(19, "precision of no 0.8403 is as"), (20, "precision of yes 0 < 0.5")])
def test_a_class_that_is_never_given_is_the_worst_but_not_one_of_a_few_rows(rows: int, sentence: str) -> None:
    truth = np.array([0] * 100 + [1] * rows)
    always = np.tile([0.9, 0.1], (len(truth), 1))
    scores = score(Judged(always, truth, Task.BINARY), truth, classes=("no", "yes"))
    check = judge(Bounds(worst_class=Floor("precision", 0.5)), replace(FACTS, scores=scores)).checks[-1]
    assert check.sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("given", "floor"),
    [("accuracy=0.9", Floor("accuracy", 0.9)), (" rmse = 3.5", Floor("rmse", 3.5)), ("r2=-1e-3", Floor("r2", -0.001))],
)
def test_a_floor_is_a_metric_and_a_value(given: str, floor: Floor) -> None:
    assert Floor.parse(given) == floor
    assert GroupFloor.parse(f"a:b c:{given}") == GroupFloor("a:b c", floor)


@pytest.mark.parametrize(
    "given", ["", "accuracy", "accuracy=", "accuracy=nan", "accuracy=inf", "=0.9", "acuracy=0.9", "accuracy=90"]
)
def test_what_is_no_floor(given: str) -> None:
    for parse in (Floor.parse, lambda text: GroupFloor.parse(f"town:{text}")):
        with pytest.raises(InputError) as refused:
            parse(given)
        assert len(refused.value.sentence()) <= 200


@pytest.mark.parametrize("given", ["accuracy=0.9", ":accuracy=0.9", "town:", "town:calibration_error=0.1"])
def test_what_is_no_floor_of_a_group(given: str) -> None:
    with pytest.raises(InputError, match="--worst-group"):
        GroupFloor.parse(given)


@pytest.mark.parametrize(
    "made",
    [
        lambda: Floor("nonsense", 1),
        lambda: Floor("rmse", math.nan),
        lambda: Floor("log_loss", -0.1),
        lambda: Floor("recall", 1.1),
        lambda: GroupFloor("town", Floor("recall", 0.5)),
        lambda: Bounds(floors=(Floor("recall", 0.5),)),
        lambda: Bounds(worst_class=Floor("accuracy", 0.5)),
        lambda: Bounds(max_size_bytes=0),
        lambda: Bounds(max_latency_ms=math.nan),
        lambda: Bounds(min_gain=math.inf),
        lambda: Bounds(min_gain=0.1, compare=False),
        lambda: Costs(0, 1),
        lambda: Promotion("m", top=0),
        lambda: Promotion("m", seeds=101),
        lambda: Promotion("m", trial=-1),
        lambda: Promotion("m", trial=0, top=5),
        lambda: Promotion("m", trial=0, seeds=1),
        lambda: Promotion("m", trial=0, ensemble=True),
        lambda: Promotion("m", top=1, ensemble=True),
        lambda: Promotion("m", candidate=True, bounds=Bounds(min_gain=0.1)),
        lambda: Promotion("m", candidate=True, bounds=Bounds(compare=False)),
        lambda: Promotion("m", bounds=Bounds(worst_class=Floor("recall", 0.5))).check(problem_of(people(95))),
        lambda: Bounds(floors=(Floor("rmse", 1),)).check(Task.BINARY),
        lambda: Bounds(worst_group=GroupFloor("town", Floor("rmse", 1))).check(Task.BINARY),
    ],
)
def test_what_cannot_be_asked_for_is_told_at_once(made: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        made()


@pytest.mark.parametrize(("given", "ms"), [("30ms", 30.0), ("0.5ms", 0.5), ("250us", 0.25), ("2s", 2000.0)])
def test_a_latency_has_a_unit(given: str, ms: float) -> None:
    assert latency_ms("--max-latency", given) == ms


@pytest.mark.parametrize(("given", "size"), [("10m", 10 * 2**20), ("500k", 512_000), ("1.5MB", 1_572_864)])
def test_a_size_has_a_unit(given: str, size: int) -> None:
    assert size_bytes("--max-size", given) == size


@pytest.mark.parametrize("given", ["30", "", "-1ms", "0ms", "0k", "ms", "1h", "1e3ms", "10"])
def test_what_is_neither_latency_nor_size(given: str) -> None:
    for parse in (latency_ms, size_bytes):
        with pytest.raises(InputError, match="with its unit, got"):
            parse("--max", given)


# What is in production is asked the same rows.


def people(rows: int, *, seed: int = 0) -> Dataset:
    each = [np.random.default_rng([seed, row]) for row in range(rows)]
    features = pd.DataFrame(
        {
            "age": [random.normal(40, 10) for random in each],
            "income": [random.normal(30, 20) for random in each],
            "town": [bundles.TOWNS[random.integers(3)] for random in each],
        }
    )
    signal = features.age + features.income + [random.normal(0, 10) for random in each]
    return Dataset("people", Task.BINARY, features, (signal > 70).to_numpy(np.int64), ("no", "yes"))


def production(root: Path, problem: Problem, study: str = "old", **changed: Any) -> Bundle:
    """Write the bundle of a study whose rows were those of a problem."""
    signature = bundles.signature_of()
    member = Member(1, {"model.kind": "linear"}, seed=3, units=5)
    manifest = Manifest(study, "tabular", (member,), "val_loss", problem.data_hash, problem.split_hash, "c" * 64, {})
    graph = whole([bundles.exported()], Head(("no", "yes")))
    write_bundle(root, replace(manifest, **changed), bundles.contents(graph, signature, {}))
    return Bundle.open(root)


def sealed_part(problem: Problem) -> Part:
    assert problem.split is not None
    assert problem.dataset is not None
    return problem.split.test.open(problem.dataset, "a test")


def faced(bundle: Bundle, problem: Problem, results: Path, shift: float = 0.0) -> Opponent:
    """Compare production with a model that says what it says, but for a shift towards the truth."""
    part = sealed_part(problem)
    theirs = Model(bundle).run(columns_of(part.features, bundle.signature)).probabilities
    assert theirs is not None
    ours = theirs.astype(np.float64)
    ours += shift * np.where(np.stack([1 - part.target, part.target], axis=1) == 1, 1, -1)
    known = incumbent(bundle, 2, results=results, problem=problem)
    return face(known, problem=problem, part=part, ours=ours.clip(0, 1), metric="log_loss")


def test_production_is_asked_the_same_rows(tmp_path: Path) -> None:
    problem = problem_of(people(200))
    bundle = production(tmp_path / "b", problem)
    same, better = faced(bundle, problem, tmp_path), faced(bundle, problem, tmp_path, 0.1)
    assert (same.rows, same.note, same.difference) == (40, "", replace(same.difference, gain=0.0, low=0.0, high=0.0))  # type: ignore[type-var]
    assert better.difference is not None
    assert better.difference.low is not None
    assert 0 < better.difference.low < better.difference.gain


def test_classes_in_another_order_are_the_same_classes(tmp_path: Path) -> None:
    problem = problem_of(people(200))
    bundle = production(tmp_path / "b", problem)
    swapped = replace(problem, classes=("yes", "no"))
    part = sealed_part(problem)
    part = Part(part.features, 1 - part.target)
    theirs = Model(bundle).run(columns_of(part.features, bundle.signature)).probabilities
    assert theirs is not None
    known = incumbent(bundle, 2, results=tmp_path, problem=swapped)
    found = face(known, problem=swapped, part=part, ours=theirs[:, ::-1], metric="log_loss").difference
    assert found is not None
    assert found.gain == 0


@pytest.mark.parametrize("rows", [200, 800])
def test_rows_that_production_learned_from_are_left_out(tmp_path: Path, rows: int) -> None:
    """Another split of the same data: it would be compared on rows that it knows by heart."""
    dataset = people(rows)
    before, problem = problem_of(dataset, seed=1), problem_of(dataset, seed=2)
    assert before.split is not None
    assert problem.split is not None
    before.split.save(tmp_path / "old" / "split.npz")
    new = int(np.isin(problem.split.test._sealed(), before.split.test._sealed()).sum())
    bundle = production(tmp_path / "b", before)
    assert (new < 20) is (rows == 200)
    if new < 20:
        with pytest.raises(RefusedError, match=f"trained or chosen on all but {new} of the 40 test rows"):
            incumbent(bundle, 2, results=tmp_path, problem=problem)
        return
    found = faced(bundle, problem, tmp_path)
    assert (found.rows, found.difference is None) == (new, False)
    assert found.note == f"compared on the {new} of 160 test rows that version 2 was neither trained nor chosen on"


def test_rows_are_known_again_in_data_that_has_grown(tmp_path: Path) -> None:
    """The study's own data is opened once more, and its rows are found among the new ones."""
    dataset = people(400)
    assert isinstance(dataset.features, pd.DataFrame)
    path = tmp_path / "people.csv"
    dataset.features.assign(label=np.array(dataset.classes)[dataset.target]).to_csv(path, index=False)
    given = {"data": str(path), "target": "label", "study": "old", "seed": 1}
    launch = prepare("tabular", choose(given), results=tmp_path, folder=tmp_path)
    before = launch.problem
    assert before.dataset is not None
    assert before.split is not None
    before.split.save(launch.folder.split)
    launch.folder.plan.write_text(json.dumps(launch.record()))

    grown = people(800)
    assert isinstance(grown.features, pd.DataFrame)
    assert isinstance(before.dataset.features, pd.DataFrame)
    kept = np.concatenate([before.split.train, before.split.validation])
    later = pd.concat([before.dataset.features, grown.features[400:]], ignore_index=True)
    target = np.concatenate([before.dataset.target, grown.target[400:]])
    problem = problem_of(replace(before.dataset, features=later, target=target), seed=2)
    assert problem.split is not None
    new = int((~np.isin(problem.split.test._sealed(), kept)).sum())
    found = faced(production(tmp_path / "b", before), problem, tmp_path)
    assert 90 < new == found.rows < 140
    assert found.note == f"compared on the {new} of 160 test rows that version 2 was neither trained nor chosen on"


@pytest.mark.parametrize("gone", ["folder", "split"])
def test_what_production_learned_from_may_not_be_known(tmp_path: Path, gone: str) -> None:
    dataset = people(200)
    before, problem = problem_of(dataset, seed=1), problem_of(dataset, seed=2)
    if gone == "split":  # a study of the same name that is another one
        assert problem.split is not None
        problem.split.save(tmp_path / "old" / "split.npz")
    found = faced(production(tmp_path / "b", before), problem, tmp_path)
    assert found.rows == 40
    assert found.note == (
        "version 2 comes from other data or another split, and whether it was trained on some of these test rows is "
        "not known: if so, it looks better than it is"
    )


UNFIT: list[tuple[str, Mapping[str, Any], str]] = [
    ("task", {"task": Task.MULTICLASS}, "it is for binary, this is multiclass"),
    ("classes", {"classes": ("no", "maybe")}, "it gives other classes"),
]


@pytest.mark.parametrize(("changed", "why"), [one[1:] for one in UNFIT], ids=[one[0] for one in UNFIT])
def test_another_problem_is_not_compared(tmp_path: Path, changed: Mapping[str, Any], why: str) -> None:
    problem = problem_of(people(200))
    bundle = production(tmp_path / "b", problem)
    with pytest.raises(RefusedError) as refused:
        incumbent(bundle, 2, results=tmp_path, problem=replace(problem, **changed))
    assert refused.value.message == f"it cannot be compared with version 2: {why}"


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"income": "salary"}, "it reads the column 'income', which is not there"),
        ({"town": "income", "income": "town"}, "it does not take these rows (could not convert string"),
    ],
)
def test_rows_that_production_cannot_take_are_not_compared(
    tmp_path: Path, columns: Mapping[str, str], why: str
) -> None:
    problem = problem_of(people(200))
    bundle, part, learned = production(tmp_path / "b", problem), sealed_part(problem), problem.validation
    renamed = replace(problem, validation=Part(learned.features.rename(columns=columns), learned.target))
    with pytest.raises(RefusedError, match=re.escape(why)):
        incumbent(bundle, 2, results=tmp_path, problem=renamed)
    known = incumbent(bundle, 2, results=tmp_path, problem=problem)
    other = Part(part.features.rename(columns=columns), part.target)
    found = face(known, problem=problem, part=other, ours=said(0.9, part.target), metric="log_loss")
    assert found.difference is None
    assert found.why_not.startswith(why)


def test_what_the_new_rows_do_not_define_is_a_reason_and_no_wrong_input(tmp_path: Path) -> None:
    problem = problem_of(people(200))
    part = sealed_part(problem)
    known = Incumbent(production(tmp_path / "b", problem), 2, part.target == 1, "")
    found = face(known, problem=problem, part=part, ours=said(0.9, part.target), metric="auc")
    assert (found.difference, found.why_not[:18]) == (None, "auc is not defined")
