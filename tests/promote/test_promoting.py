"""Rules of a whole promotion: what is registered, what is refused and when, and that the same study gives the same."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, root_mean_squared_error

from objectives.tabular import Tabular
from search import load
from search.bundle.bundle import Bundle
from search.bundle.model import Model
from search.cli.commands import run as sweep
from search.cli.promote import lines
from search.contract import Metric, Part
from search.data.source import FileSource
from search.errors import InputError, RefusedError, SurroundingsError, SweepError
from search.paths import StudyFolder
from search.problem import open_problem
from search.promote.bounds import Bounds, Floor, GroupFloor
from search.promote.candidates import candidates
from search.promote.choices import Promotion
from search.promote.confirm import Manner
from search.promote.exportable import keep_exportable
from search.promote.feeding import columns_of
from search.promote.making import make
from search.promote.natural import natural
from search.promote.opening import opened
from search.promote.openings import openings_of
from search.promote.promoted import note
from search.promote.promoting import promote
from search.promote.seal import open_test
from search.promote.threshold import Costs
from search.records.study import StoredStudy, read
from search.registry.registry import Registry
from search.session import Setting
from search.study.record import TrialRecord
from tests.records import studies as studies_of
from tests.registry import models

from . import confirmed
from .problems import Made, problem_of, table_of

ROWS = 400


def table(target: str) -> pd.DataFrame:
    """Return a table with gaps and text, whose target can be learned."""
    random = np.random.default_rng(0)
    town, age = random.choice(["Ulm", "Köln", "Bonn"], ROWS), random.integers(18, 90, ROWS).astype(float)
    income = np.exp(random.normal(10, 0.5, ROWS)).round(2)
    worth = (age - 50) / 20 + (town == "Köln") * 1.5 - (income > 25_000) + random.normal(0, 0.5, ROWS)
    age[random.random(ROWS) < 0.1] = np.nan
    columns = {"town": pd.Series(town).mask(random.random(ROWS) < 0.05), "age": age, "income": income}
    values = np.where(worth > 0, "yes", "no") if target == "churned" else (100 * worth).round(1)
    return pd.DataFrame({**columns, target: values})


def study(folder: Path, target: str, **flags: Any) -> StoredStudy:
    """Run a short study of one family on such a table, in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    table(target).to_csv(folder / "table.csv", index=False)
    (folder / "mine.py").write_text("from objectives.tabular import Tabular\n\nclass Mine(Tabular):\n    pass\n")
    given = {"data": "table.csv", "target": target, "trials": 3, "set": ("model.family=linear",), "space": "tabular"}
    return confirmed.study(f"{folder / 'mine.py'}:Mine", folder, **{**given, **flags})


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, StoredStudy]:
    folder = tmp_path_factory.mktemp("studies")
    return {target: study(folder / target, target) for target in ("churned", "price")}


@pytest.fixture
def churn(studies: Mapping[str, StoredStudy], tmp_path: Path) -> StoredStudy:
    return copied(studies["churned"], tmp_path)


def copied(stored: StoredStudy, folder: Path) -> StoredStudy:
    """Return a study in a results folder of its own, where no test row was ever out; its data stays where it is."""
    shutil.copytree(stored.folder.root, folder / stored.folder.name)
    return read(StudyFolder(folder / stored.folder.name))


def chosen(**changes: Any) -> Promotion:
    return replace(Promotion(name="m", trial=0), **changes)


def sealed_rows(stored: StoredStudy) -> Part:
    """Return the test rows of a study, as a script of its own would find them."""
    plan = stored.plan
    problem = open_problem(
        Tabular(),
        FileSource(plan.data, plan.target, Path(), results=stored.folder.root.parent),
        seed=plan.seed,
    )
    assert problem.split is not None
    assert problem.dataset is not None
    return problem.split.test.open(problem.dataset, "a test")


def test_learners_of_a_promotion_let_go_of_what_they_hold_once_nobody_asks_them() -> None:
    built, closed = list[Any](), list[Any]()

    class Holding(Made):
        def learner(self, *given: Any) -> Any:
            learner: Any = super().learner(*given)
            learner.close = lambda: closed.append(learner)
            built.append(learner)
            return learner

    problem = open_problem(Holding(table_of(200)), FileSource(None, None, Path()), seed=0)
    winner = TrialRecord(0, "complete", {"model.family": "linear", "preprocess.impute": "median"})
    setting = Setting(seed=0, searched=Metric("val_loss", "minimize"), max_epochs=1)
    made = make(problem, [winner], setting, chosen(refit=True), target="y")
    assert closed == built[:-1]
    made.members[0].predict(problem.validation.features)
    made.close()
    assert closed == built


@pytest.mark.parametrize("target", ["churned", "price"])
def test_the_scores_are_those_of_the_registered_graph_on_the_sealed_rows(
    studies: Mapping[str, StoredStudy], target: str, tmp_path: Path
) -> None:
    stored = copied(studies[target], tmp_path)
    promoted = promote(stored, chosen(group="town"))
    registry = Registry.of(tmp_path, "m")
    assert registry.read().aliases == {"production": 1}
    bundle = registry.bundle(1)
    rows = sealed_rows(stored)
    said = Model(bundle).run(columns_of(rows.features, bundle.signature))
    if target == "churned":
        exact = np.asarray(said.probabilities, dtype=np.float64)
        expected = log_loss(rows.target, exact / exact.sum(axis=1, keepdims=True))
        assert promoted.scores.metrics["log_loss"].value == pytest.approx(expected, rel=1e-6)
        assert said.label is not None
        assert set(said.label) <= {"no", "yes"}
        assert promoted.scores.optimism is not None
        even = replace(promoted.scores, optimism=replace(promoted.scores.optimism, gap=0.0))
        assert "the same as on test rows" in "\n".join(lines(replace(promoted, scores=even)))
    else:
        expected = root_mean_squared_error(rows.target, said.value)
        assert promoted.scores.metrics["rmse"].value == pytest.approx(expected, rel=1e-6)
    assert promoted.scores.rows == len(rows.target) == ROWS // 5
    assert promoted.scores.groups is not None
    assert {one.name for one in promoted.scores.groups.groups} >= {"Ulm", "Köln", "Bonn"}
    kept = json.loads(stored.folder.promotion.read_text())["promotions"]
    assert [one["version"] for one in kept] == [1]


def test_the_test_rows_are_used_once_unless_a_reason_is_given_which_the_card_tells(churn: StoredStudy) -> None:
    promote(churn, chosen())
    with pytest.raises(RefusedError, match="the test split was used"):
        promote(churn, chosen(candidate=True))
    again = promote(churn, chosen(candidate=True, trial=1, again="a bound was mistyped"))
    assert again.version == 2
    registry = Registry.of(churn.folder.root.parent, "m")
    assert registry.read().aliases == {"production": 1, "candidate": 2}
    assert "**Not all of them are new:**" in registry.bundle(2).card
    assert "a bound was mistyped" in registry.bundle(2).card
    assert len(openings_of(churn.folder.root.parent)) == 2


def test_a_model_that_is_no_better_than_production_does_not_take_its_place(churn: StoredStudy) -> None:
    promote(churn, chosen())
    with pytest.raises(RefusedError, match=r"over version 1 .* is not above 0"):
        promote(churn, chosen(trial=1, again="another penalty"))
    contents = Registry.of(churn.folder.root.parent, "m").read()
    assert contents.aliases == {"production": 1}
    assert list(contents.versions) == [1]


def test_the_very_model_that_is_registered_is_refused_before_it_costs_a_test_row(churn: StoredStudy) -> None:
    promote(churn, chosen())
    with pytest.raises(RefusedError, match="this very model is version 1 of m"):
        promote(churn, chosen(again="the same once more"))
    assert len(openings_of(churn.folder.root.parent)) == 1
    kept = json.loads(churn.folder.promotion.read_text())["promotions"]
    assert [one.get("outcome") for one in kept] == [None, "refused before its test"]


def test_changed_data_is_refused_whatever_is_accepted(tmp_path: Path) -> None:
    """Its test rows may have been among those that were searched on."""
    stored = study(tmp_path, "churned")
    table("churned").iloc[1:].to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(RefusedError, match="the data changed"):
        promote(stored, chosen(), Manner(accept_changes=True))
    assert openings_of(tmp_path) == ()


def test_what_the_gate_refuses_is_no_version_but_the_opening_counts(churn: StoredStudy) -> None:
    churn.folder.promotion.mkdir()  # so that the study's own note of it cannot be written, which changes nothing
    with pytest.raises(RefusedError, match=r"refused: accuracy 0\.\d+ < 0\.9999"):
        promote(churn, chosen(bounds=Bounds(floors=(Floor("accuracy", 0.9999),))))
    results = churn.folder.root.parent
    assert Registry.of(results, "m").read().versions == {}
    assert [path.name for path in (results / "models" / "m").iterdir() if path.is_dir()] == []
    assert [one.outcome for one in openings_of(results)] == ["refused"]


def test_a_model_that_is_too_large_or_too_slow_costs_no_test_row(churn: StoredStudy) -> None:
    for bounds in (Bounds(max_size_bytes=10), Bounds(max_latency_ms=1e-6)):
        with pytest.raises(RefusedError, match=r"refused: (size|latency)"):
            promote(churn, chosen(bounds=bounds))
    assert openings_of(churn.folder.root.parent) == ()


def test_the_same_study_gives_the_same_bundle(studies: Mapping[str, StoredStudy], tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        promoted = promote(copied(studies["churned"], tmp_path / name), chosen(calibrate=True))
        digests.add(Bundle.open(promoted.folder).digest)
    assert len(digests) == 1
    assert promoted.manifest.objective == "mine.py:Mine"  # wherever that lies


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "refit": ({"refit": True}, {"refit": True}),
    "calibrate": ({"calibrate": True}, {"calibrate": True}),
    "cost": ({"costs": Costs(missed=9.0, alarm=1.0)}, {"cost": "fn=9,fp=1"}),
    "all": (
        {"refit": True, "calibrate": True, "costs": Costs(missed=1.0, alarm=4.0)},
        {"refit": True, "calibrate": True, "cost": "fn=1,fp=4"},
    ),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_what_changes_the_model_is_in_its_manifest_and_its_graph_does_it(churn: StoredStudy, name: str) -> None:
    changes, told = CHANGES[name]
    promoted = promote(churn, chosen(**changes))
    bundle = Bundle.open(promoted.folder)
    assert promoted.manifest.options == told
    assert (bundle.signature.threshold is not None) == ("cost" in told)
    said = Model(bundle).run(columns_of(sealed_rows(churn).features, bundle.signature))
    assert said.probabilities is not None
    border = np.float32(0.5 if bundle.signature.threshold is None else bundle.signature.threshold)
    np.testing.assert_array_equal(said.label, np.where(said.probabilities[:, 1] >= border, "yes", "no"))


def test_what_has_no_export_is_refused_before_any_test_row_is_out(tmp_path: Path) -> None:
    stored = study(tmp_path, "churned", set=("model.family=linear", "preprocess.impute=knn"), space="tabular_full")
    with pytest.raises(RefusedError, match="trial 0 cannot be promoted"):
        promote(stored, chosen())
    assert openings_of(tmp_path) == ()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a cost of a regression": ({"costs": Costs(missed=1.0, alarm=1.0)}, "of two classes"),
    "calibrated values": ({"calibrate": True}, "this is a regression"),
    "a group that is no column": ({"group": "twon"}, "--group: there is no column 'twon'"),
    "a worst group that is no column": (
        {"bounds": Bounds(worst_group=GroupFloor("twon", Floor("rmse", 9)))},
        "--worst-group: there is no column 'twon'",
    ),
    "a floor of classes": ({"bounds": Bounds(floors=(Floor("accuracy", 0.9),))}, "--floor: no metric 'accuracy'"),
    "a worst group of classes": (
        {"bounds": Bounds(worst_group=GroupFloor("town", Floor("accuracy", 0.9)))},
        "--worst-group: no metric 'accuracy'",
    ),
    "a worst class of values": ({"bounds": Bounds(worst_class=Floor("recall", 0.9))}, "this is a regression"),
    "a trial that is not there": ({"trial": 99}, "has no trial 99"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_what_does_not_fit_is_told_before_anything_is_trained(
    studies: Mapping[str, StoredStudy], tmp_path: Path, name: str
) -> None:
    changes, said = WRONG[name]
    with pytest.raises(InputError, match=said):
        promote(copied(studies["price"], tmp_path), chosen(**changes))
    assert openings_of(tmp_path) == ()


INCOMPARABLE: dict[str, tuple[str, type[SweepError], str]] = {
    "another task": ("", RefusedError, "version 3: it is for binary, this is regression; --no-comparison does without"),
    "a damaged bundle": ("3/model.onnx", RefusedError, "; --no-comparison does without"),
    "a damaged registry": ("registry.json", SurroundingsError, "registry.json"),
}


@pytest.mark.parametrize("name", list(INCOMPARABLE))
def test_what_cannot_be_compared_with_production_costs_no_test_row(
    studies: Mapping[str, StoredStudy], tmp_path: Path, name: str
) -> None:
    stored = copied(studies["price"], tmp_path)
    damaged, error, said = INCOMPARABLE[name]
    open_test(tmp_path, problem_of(table_of(40)), "other", "m")
    root = models.three(tmp_path, "m").folder.root
    if damaged:
        (root / damaged).write_bytes(b"?")
    with pytest.raises(error) as refused:
        promote(stored, chosen())
    assert said in refused.value.sentence()
    assert [one.study for one in openings_of(tmp_path)] == ["other"]


FULL = """
from objectives.tabular import Tabular

class Full(Tabular):
    def space(self, trial):
        trial.suggest_categorical("preprocess.impute", ["knn", "median"])
        trial.suggest_categorical("model.family", ["linear"])
"""


@pytest.mark.parametrize("both", [True, False])
def test_what_cannot_be_exported_is_left_out_before_anything_is_trained(tmp_path: Path, both: bool) -> None:
    table("churned").to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "full.py").write_text(FULL)
    points = tuple({"preprocess.impute": one, "model.family": "linear"} for one in ("knn", "median")[: 1 + both])
    given: dict[str, Any] = {"data": str(tmp_path / "table.csv"), "target": "churned", "points": points}
    stored, heard = confirmed.study(f"{tmp_path / 'full.py'}:Full", tmp_path, **given), list[str]()
    why = "preprocess.impute=knn has no export: no converter repeats the search for the nearest rows"
    with pytest.raises(RefusedError, match=f"trial 0 cannot be promoted: {why}"):
        promote(stored, chosen(), Manner(heard.append))
    if both:
        problem = opened(stored, Manner()).problem
        keep = keep_exportable(stored, 2, problem, heard.append)
        assert [one.number for one in candidates(stored, 2, keep)] == [1]
        assert heard == [f"trial 0 is left out: {why}"]
    else:
        with pytest.raises(RefusedError, match=f"no trial of 's' can be exported; of the best one, trial 0: {why}"):
            promote(stored, Promotion("m"), Manner(heard.append))
        assert heard == []


def test_one_trial_is_no_ensemble(tmp_path: Path) -> None:
    stored = study(tmp_path, "churned", trials=1)
    with pytest.raises(RefusedError, match="only trial 0 could vote"):
        promote(stored, Promotion("m", ensemble=True, seeds=1))
    assert openings_of(tmp_path) == ()


def test_an_objective_without_an_export_cannot_be_promoted(tmp_path: Path) -> None:
    stored = confirmed.study(f"{confirmed.write(tmp_path, confirmed.SEEDED)}:seeded", tmp_path)
    with pytest.raises(InputError, match="no method `export`"):
        promote(stored, chosen())


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"trial": 0}, RefusedError, r"\(study other\), .*; again=\"reason\" opens it once more and the card says so"),
        ({"nope": 1}, InputError, "no option 'nope'; known: again, "),
        ({"max_latency": 30}, InputError, "^max_latency must be a time with its unit, got '30'; try 30ms"),
        ({"refit": "yes"}, InputError, "refit takes True or False, got 'yes'"),
        ({"worst_group": {"town": {"accuracy": 1, "recall": 1}}}, InputError, "worst_group takes one bound, got"),
        ({"accept-changes": True}, InputError, "no option 'accept-changes'"),
    ],
)
def test_a_program_hears_of_keywords(
    churn: StoredStudy, given: dict[str, Any], error: type[SweepError], said: str
) -> None:
    results, rows = churn.folder.root.parent, opened(churn, Manner()).problem
    if "trial" in given:
        open_test(results, rows, "other", "m")
    with pytest.raises(error, match=said):
        load(churn.folder.name, results=results).promote("m", **given)


def test_a_program_gives_dicts_and_numbers() -> None:
    given = {
        "cost": {"fn": 5, "fp": 1},
        "floor": {"accuracy": 0.5, "auc": 0.25},
        "worst_group": {"a:b": {"accuracy": 0.5}},
        "worst_class": {"recall": 0.25},
        "min_gain": -1,
        "refit": True,
    }
    made = Promotion.of("m", natural(given))
    bounds = made.bounds
    assert (made.costs, made.refit, bounds.min_gain) == (Costs(5, 1), True, -1)
    assert bounds.floors == (Floor("accuracy", 0.5), Floor("auc", 0.25))
    assert bounds.worst_group == GroupFloor("a:b", Floor("accuracy", 0.5))
    assert bounds.worst_class == Floor("recall", 0.25)


def test_a_package_that_is_missing_is_told_before_anything_is_trained(
    churn: StoredStudy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    results, said = churn.folder.root.parent, "a promotion needs skl2onnx, which is not installed"
    with pytest.raises(SurroundingsError, match=said):
        promote(churn, chosen())
    with pytest.raises(SurroundingsError, match=said):
        load(churn.folder.name, results=results).promote("m")
    assert sweep(["promote", churn.folder.name, "--as", "m", "--results", str(results)]) == 3
    assert capsys.readouterr() == ("", f"error: {said}; pip install 'sweep-search[promote]'\n")


def test_the_command_says_nothing_beside_json(churn: StoredStudy, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--as", "m", "--trial", "0", "--json", "--results", str(churn.folder.root.parent)]
    assert sweep(["promote", churn.folder.name, *given]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["version"] == 1
    assert "next" not in shown.err


def test_of_promotions_at_once_each_is_noted_and_a_damaged_file_is_kept(tmp_path: Path) -> None:
    stored = read(studies_of.store(tmp_path, "s", studies_of.MIXED))
    stored.folder.promotion.write_text('{"promotions": [')
    with ThreadPoolExecutor(8) as many:
        list(many.map(lambda number: note(stored, {"version": number}), range(16)))
    kept = json.loads(stored.folder.promotion.read_text())["promotions"]
    assert sorted(one["version"] for one in kept) == [*range(16)]
    assert stored.folder.root.joinpath("promotion.json.damaged-1").read_text() == '{"promotions": ['
