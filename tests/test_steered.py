"""What can be wrong with what steers a search is told in one sentence before anything starts."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.choosing import choose
from search.errors import InputError
from search.launch import Launch, prepare
from search.plan import SweepPlan
from tests.study.searches import Search

OBJECTIVE = """
from search.contract import objective

def space(trial):
    trial.suggest_float("x", 0, 1)
    trial.suggest_float("y", 0, 1)

@objective(space=space, metrics={"loss": "minimize", "score": "maximize", "size": "minimize"})
def short(run):
    for _ in run.epochs:
        yield {"loss": run.params["x"], "score": 1.0, "size": run.params["y"]}
"""


def wide(trial: Any) -> None:
    """Suggest a parameter that the objective has, and one that it has not."""
    trial.suggest_float("x", 0.0, 2.0)
    trial.suggest_float("z", 0.0, 1.0)


def none_of_it(trial: Any) -> None:
    """Suggest a parameter that the objective has not."""
    trial.suggest_float("z", 0.0, 1.0)


def keep_study(results: Path, name: str, space: Any, *, trials: int = 12, **changes: Any) -> None:
    """Leave a study in the results folder."""
    search = Search.open(results / name, space, lambda params: {"loss": params.get("x", 0.5)}, trials=12, **changes)
    if trials:
        search.run()
    plan = search.owner.plan.to_json()
    search.close()
    (results / name / "plan.json").write_text(json.dumps({"schema": 1, "plan": plan, "code_hash": "", "data_hash": ""}))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("project")
    (tmp_path / "short.py").write_text(OBJECTIVE)
    results = tmp_path / "results"
    keep_study(results, "rain-2025", wide)
    keep_study(results, "upward", wide, directions=("maximize",))
    keep_study(results, "empty", wide, trials=0)
    keep_study(results, "elsewhere", none_of_it)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for number in range(2):
        study = optuna.create_study(storage=f"sqlite:///{tmp_path}/old.db", study_name=f"old{number}")
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
    return tmp_path


def launch(project: Path, **flags: Any) -> Launch:
    given = {name.replace("_", "-"): value for name, value in flags.items()}
    return prepare("short.py", choose({"seed": 1, **given}), results=project / "results", folder=project)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("no bound", {"constraint": ("size",)}, "--constraint takes METRIC<=NUMBER (or >=, <, >), got 'size'"),
    ("a bound twice", {"constraint": ("size<=3", "size <= 3.0")}, "--constraint size<=3 is given twice"),
    ("two signs", {"constraint": ("0<size<=3",)}, "--constraint takes METRIC<=NUMBER (or >=, <, >), got '0<size<=3'"),
    ("bounds apart", {"constraint": ("size<=3", "size>=4")}, "no value keeps to --constraint size>=4 and to size<=3"),
    ("and a point", {"constraint": ("size<3", "size<5", "size>=3")}, "no value keeps to --constraint size>=3 and to "),
    ("no plateau", {"plateau": "0"}, "--plateau must be a whole number >= 1, got '0'"),
    ("no number of trainings", {"replicates": "0"}, "--replicates must be a whole number from 1 to 100, got '0'"),
    ("no value", {"until": "soon"}, "--until must be a number or none, got 'soon'"),
    ("not a value", {"until": "nan"}, "--until must be a number or none, got 'nan'"),
    ("no gain", {"min_gain": "0"}, "--min-gain must be a number > 0, in the metric's unit, or none, got '0'"),
    (
        "no share",
        {"until_confident": "0"},
        "--until-confident must be a share above 0 and at most 1, such as 0.5 or 50%, or none, got '0'",
    ),
    (
        "percent without the sign",
        {"until_confident": "50"},
        "--until-confident must be a share above 0 and at most 1, such as 0.5 or 50%, or none, got '50'",
    ),
    (
        "not a share",
        {"until_confident": "50%%"},
        "--until-confident must be a share above 0 and at most 1, such as 0.5 or 50%, or none, got '50%%'",
    ),
    ("two and until", {"metric": ("loss", "size"), "until": "1"}, "--until needs one metric, got 2 (loss, size)"),
    (
        "two and a gain",
        {"metric": ("loss", "size"), "min_gain": "1"},
        "--min-gain needs one metric, got 2 (loss, size)",
    ),
    (
        "two and a share",
        {"metric": ("loss", "size"), "until_confident": "0.5"},
        "--until-confident needs one metric, got 2 (loss, size)",
    ),
    (
        "two and a warm start",
        {"metric": ("loss", "size"), "warm_start": ("rain-2025",)},
        "--warm-start needs one metric, got 2 (loss, size)",
    ),
    ("no study", {"warm_start": ("snow",)}, "no study 'snow' in"),
    ("a study twice", {"warm_start": ("rain-2025", "rain-2025")}, "--warm-start rain-2025 is given twice"),
    (
        "a password, and twice",
        {"warm_start": ("postgresql://me:hunter2@host/db#a",) * 2},
        "storage 'postgresql://host/db' came with a password",
    ),
    ("another direction", {"warm_start": ("upward",)}, "--warm-start study 'upward' is to maximize its metric"),
    ("no trial", {"warm_start": ("empty",)}, "--warm-start study 'empty' has no completed trial"),
    ("nothing shared", {"warm_start": ("elsewhere",)}, "--warm-start study 'elsewhere' shares no parameter with this"),
    (
        "a grid",
        {"warm_start": ("rain-2025",), "sampler": "grid", "set": ("x=0", "y=0")},
        "--warm-start goes with no grid",
    ),
    ("no database", {"warm_start": ("mysql://x/y",)}, "storage must be journal, sqlite: or postgresql:, got 'mysql:'"),
    (
        "several studies",
        {"warm_start": ("sqlite:///old.db",)},
        "--warm-start: the database holds 2 studies; write URL#NAME",
    ),
    ("another study", {"warm_start": ("sqlite:///old.db#new",)}, "--warm-start: the database holds no study 'new'"),
]


@pytest.mark.parametrize(("flags", "sentence"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_told_in_one_sentence(
    project: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], sentence: str
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(InputError) as told:
        launch(project, **flags)
    said = told.value.sentence()
    assert said.startswith(sentence)
    assert "\n" not in said
    assert len(said.replace(str(project), "")) <= 200
    assert told.value.field.startswith("--") or told.value.field == "storage"


def test_an_undeclared_metric_of_a_bound_is_noted(project: Path) -> None:
    notes = launch(project, constraint=("latency_ms<=3", "size<=1")).notes
    assert [note for note in notes if "no metric" in note] == [
        "the objective declares no metric 'latency_ms'; known: loss, score, size"
    ]


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ("rain", "warm start from rain-2025 (12 trials, 1 of 2 parameters shared)"),
        ("sqlite:///{}/old.db#old1", "warm start from old1 (5 trials, 1 of 2 parameters shared)"),
    ],
)
def test_a_warm_start_is_found_and_told(project: Path, given: str, note: str) -> None:
    made = launch(project, warm_start=(given.format(project),))
    assert note in made.notes
    assert made.plan.warm_start == (made.warm_start[0]["study"],)


def test_a_plan_comes_back_from_json_whole_and_an_older_one_opens(project: Path) -> None:
    flags = {"constraint": ("size<=1",), "replicates": "3", "until": "0.1", "min_gain": "0.01", "warm_start": ("rain",)}
    flags |= {"until_confident": "25%"}
    plan = launch(project, **flags).plan
    assert (plan.constraints, plan.replicates, plan.until, plan.min_gain) == (("size<=1",), 3, 0.1, 0.01)
    assert plan.until_confident == 0.25
    assert SweepPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    older = {key: value for key, value in plan.to_json().items() if key not in {one.replace("-", "_") for one in flags}}
    older = {key: value for key, value in older.items() if key != "constraints"}
    opened = SweepPlan.from_json(older)
    assert (opened.constraints, opened.replicates, opened.until, opened.warm_start) == ((), 1, None, ())


def test_only_a_limit_that_is_sure_to_come_takes_the_place_of_the_default_one(project: Path) -> None:
    assert launch(project, until="0.1", min_gain="0.01", until_confident="0.5").plan.trials == 60
    assert launch(project, plateau="none").plan.trials == 60
    assert launch(project, constraint=("size<=3", "size>=3")).plan.constraints == ("size<=3", "size>=3")
    assert launch(project, plateau="5").plan.trials is None


def test_nothing_is_written_where_a_warm_start_is_read_from(project: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (project / "results").rglob("*") if path.is_file()}
    with sqlite3.connect(project / "old.db") as database:
        count = database.execute("select count(*) from trials").fetchone()
    launch(project, warm_start=("rain", f"sqlite:///{project}/old.db#old0"))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with sqlite3.connect(project / "old.db") as database:
        assert database.execute("select count(*) from trials").fetchone() == count
