"""Rules of sweeps over the newest rows: what is run, what comes of it after a crash, and that what fails is told.

Mutations that turn this file red: `resume` run in place of `run` or the other way round; the leash left out; `--set`,
`--split` or the budget dropped; a table whose unread columns are left out; numbers as classes written as text; `known`
ignored; `taken` not written; a failure raised, or kept so that no other sweep starts; the environment passed on.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from search.bundle.signature import IMAGE, Input, Kind, Signature
from search.cli.commands import run as sweep
from search.data.tables import make_dataset
from search.errors import RefusedError
from search.online.buffer import Rows
from search.online.newest import as_parquet, table_of, why_not
from search.online.resweep_commands import Commands, SweepOptions, free_name
from search.online.resweeping import Sweeps
from search.paths import OnlineFolder, StudyFolder
from search.promote.feeding import columns_of
from search.records.study import read_launch
from search.registry.registry import Registry

from .resweeps import OPTIONS, buffer_of, champion, served, table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder with a model in production."""
    folder = tmp_path_factory.mktemp("resweeps")
    champion(folder)
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def quiet(_: str) -> None:
    pass


def until(is_so: Callable[[], bool], *, most_s: float = 240) -> None:
    """Wait for something."""
    deadline_s = time.monotonic() + most_s
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def kept(results: Path) -> dict[str, Any]:
    """Return what is in the file."""
    return dict(json.loads(OnlineFolder.of(results, "rain").resweep.read_bytes()))


def write(results: Path, **values: Any) -> None:
    """Have a sweep that was before."""
    path = OnlineFolder.of(results, "rain").resweep
    path.parent.mkdir(parents=True, exist_ok=True)
    commands: dict[str, list[str]] = {name: [] for name in ("run", "resume", "fetch", "promote", "promote_again")}
    told = {"number": 1, "study": "s-online-1", "why": "w", "state": "running", "commands": commands, "data_hash": "h"}
    path.write_text(json.dumps({**told, **values}))


def test_a_sweep_whose_learner_is_killed_goes_on_and_its_winner_is_handed_out_once(results: Path) -> None:
    secrets = {"SWEEP_TOKEN": "a", "SWEEP_LABEL_TOKEN": "b", "SWEEP_ADMIN_TOKEN": "c", "SWEEP_COLLECT_KEY": "d"}
    learner = subprocess.Popen(
        [sys.executable, "-m", "tests.online.resweeps", str(results)], cwd=ROOT, env={**os.environ, **secrets}
    )
    study = StudyFolder.of(results, "s-online-1")
    try:
        until(study.trial(0).root.exists)  # before that, nothing is left to go on with
        child = psutil.Process(kept(results)["pid"])
        assert not set(secrets) & set(child.environ())
    finally:
        learner.send_signal(signal.SIGKILL)
        learner.wait()
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    try:
        until(lambda: sweeps.look() or sweeps.to_json()["state"] != "running")  # type: ignore[func-returns-value]
        assert not child.is_running()
        assert sweeps.to_json()["state"] == "finished", sweeps.to_json()
    finally:
        sweeps.close()
    log = OnlineFolder.of(results, "rain").resweep_log.read_text()
    begun = [line.split()[2] for line in log.splitlines() if line.startswith("$ sweep")]
    assert begun == ["run", "resume", "promote"]
    contents = Registry.of(results, "rain").read()
    assert dict(contents.aliases) == {"production": 1, "candidate": 2}
    assert contents.versions[2].study == "s-online-1"
    _, plan = read_launch(study)
    assert (plan.warm_start, plan.fixed, plan.trials) == (("s",), {"model.family": "linear"}, 2)
    assert not why_not(Registry.of(results, "rain").bundle(2).signature, served(results).bundle.signature)

    assert sweeps.found
    again = Sweeps(results, "rain", OPTIONS, quiet)
    assert (sweeps.take_winner(), sweeps.take_winner(), sweeps.found) == (2, None, False)
    assert again.found
    assert again.take_winner(known=[1, 2]) is None  # whoever took it was killed after it had written so down
    assert not Sweeps(results, "rain", OPTIONS, quiet).found


def test_a_command_on_a_leash_ends_as_by_sigterm_when_its_input_ends(results: Path) -> None:
    command = [sys.executable, "-m", "search.cli.leashed", "serve", "rain", "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, "--results", str(results)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "url" in json.loads(process.stdout.readline())
        process.stdin.write(b"nothing that anybody reads")
        process.stdin.flush()
        time.sleep(0.2)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 143


def test_a_winner_that_was_taken_is_written_down_at_the_next_look_and_not_before(results: Path) -> None:
    write(results, state="finished", version=1)
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    assert sweeps.take_winner() == 1
    assert Sweeps(results, "rain", OPTIONS, quiet).found
    sweeps.look()
    assert not Sweeps(results, "rain", OPTIONS, quiet).found


def test_what_won_before_a_crash_and_was_not_noticed_is_found(results: Path) -> None:
    _registered_again(results, "s-online-1")
    write(results, swept=True, tried=True)
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    sweeps.look()
    assert (sweeps.found, sweeps.take_winner()) == (True, 2)


def test_a_winner_that_somebody_has_put_into_production_is_not_handed_out(results: Path) -> None:
    _registered_again(results, "s-online-1")
    Registry.of(results, "rain").move("production", 2, "by hand")
    write(results, swept=True, tried=True)
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    sweeps.look()
    assert (sweeps.to_json()["state"], sweeps.found) == ("finished", False)


def _registered_again(results: Path, study: str) -> None:
    """Register version 1 once more, as if it came from another study."""
    from search.bundle.bundle import write_bundle
    from search.registry.entries import Facts

    registry = Registry.of(results, "rain")
    bundle = registry.bundle(1)
    files = {name: (bundle.root / name).read_bytes() for name in bundle.manifest.files}
    with registry.staging() as staged:
        write_bundle(staged, replace(bundle.manifest, study=study, files={}), files)
        registry.add(staged, Facts(), {}, "a test")


def test_what_a_command_refuses_is_told_and_the_next_drift_starts_another(results: Path) -> None:
    model, said = served(results), list[str]()
    path = StudyFolder.of(results, "s").plan
    path.write_text(path.read_text().replace(":Mine", ":Gone"))
    sweeps = Sweeps(results, "rain", OPTIONS, said.append)
    sweeps.start(buffer_of(table(300, 1), model), model, "the error has risen")
    until(lambda: sweeps.look() or sweeps.to_json()["state"] != "running")  # type: ignore[func-returns-value]
    told = sweeps.to_json()
    assert (told["state"], told["study"]) == ("failed", "s-online-1")
    assert told["why"].startswith("the error has risen; ")
    assert "Gone" in told["why"]
    assert told["used_s"] > 0
    assert said[-1].startswith("s-online-1 failed: ")
    assert Sweeps(results, "rain", OPTIONS, quiet).to_json() == told
    sweeps.start(buffer_of(table(300, 1), model), model, "once more")
    assert (kept(results)["number"], sweeps.to_json()["state"]) == (2, "running")
    sweeps.start(buffer_of(table(300, 1), model), model, "and again")
    assert (kept(results)["number"], kept(results)["why"]) == (2, "once more")
    sweeps.close()


def test_rows_that_are_no_use_are_told_and_nothing_is_started(results: Path) -> None:
    model = served(results)
    rows = table(300, 1)
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    for some, what in ((rows[:19], "19 new rows"), (rows[rows["answer"] == "no"], "'yes' there are 0")):
        sweeps.start(buffer_of(some.reset_index(drop=True), model), model, "w")
        assert sweeps.to_json()["state"] == "failed"
        assert what in sweeps.to_json()["why"]
    assert not OnlineFolder.of(results, "rain").data.exists()


def test_a_study_that_no_command_can_name_is_told(results: Path) -> None:
    model, path = served(results), StudyFolder.of(results, "s").plan
    launch = json.loads(path.read_text())
    launch["plan"]["objective"] = "value:mine"
    path.write_text(json.dumps(launch).replace("value:mine", f"{_by_value()}:mine"))
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    sweeps.start(buffer_of(table(300, 1), model), model, "w")
    assert "no command can name" in sweeps.to_json()["why"]


def _by_value() -> str:
    from search.loading import BY_VALUE

    return BY_VALUE


@pytest.mark.parametrize(
    ("code", "state"), [(-15, "running"), (143, "running"), (-9, "failed"), (130, "failed"), (1, "failed")]
)
def test_only_a_sweep_that_was_ended_from_outside_goes_on_by_itself(
    results: Path, monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    how = f"import os, signal; os.kill(os.getpid(), {-code})" if code < 0 else f"raise SystemExit({code})"
    monkeypatch.setattr(sys, "executable", _program(results, how))
    write(results)
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    sweeps.look()
    child = psutil.Process(kept(results)["pid"])
    until(lambda: child.status() == psutil.STATUS_ZOMBIE)  # its end is the sweeps' to notice
    sweeps.look()
    assert sweeps.to_json()["state"] == state
    sweeps.look()
    assert (kept(results)["pid"] != child.pid) == (state == "running")
    sweeps.close()


def _program(folder: Path, code: str) -> str:
    """Write a program that takes Python's place."""
    path = folder / "program"
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"number": 1}'])
def test_a_file_that_is_damaged_is_told_and_another_sweep_may_start(results: Path, content: str) -> None:
    model = served(results)
    write(results)
    OnlineFolder.of(results, "rain").resweep.write_text(content)
    sweeps = Sweeps(results, "rain", OPTIONS, quiet)
    sweeps.look()
    assert (sweeps.to_json()["state"], sweeps.found) == ("failed", False)
    assert "cannot be read" in sweeps.to_json()["why"]
    sweeps.start(buffer_of(table(300, 1), model), model, "w")
    assert (sweeps.to_json()["state"], kept(results)["number"]) == ("running", 1)
    sweeps.close()


def test_the_command_plans_what_the_study_had_but_for_its_rows_and_its_budget(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = served(results)
    _, plan = read_launch(StudyFolder.of(results, "s"))
    plan = replace(plan, results=str(results), folds=3, cpus=2.0, patience=5, sampler="tpe", memory_bytes=2**30)
    plan = replace(
        plan, origins={**plan.origins, **dict.fromkeys(("folds", "cpus", "patience", "sampler", "memory"), "flag")}
    )
    options = SweepOptions(trials=7, time_s=90.0)
    data = f"{results / 'table.csv'}?task=classification"
    commands = Commands.of(plan, model.bundle.manifest, "s-online-1", "rain", data, "answer", options)
    assert sweep([*commands.run, "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)["plan"]
    changed = {
        "study": "s-online-1", "trials": 7, "time_s": 90.0, "warm_start": ["s"], "data": data,
    }  # fmt: skip
    same = {name: value for name, value in plan.to_json().items() if name not in ("origins", *changed)}
    assert {name: planned[name] for name in same} == json.loads(json.dumps(same))
    assert {name: planned[name] for name in changed} == changed


@pytest.mark.parametrize(
    ("trials", "time_s", "said"),
    [
        (None, None, ["--trials", "30", "--time", "900s"]),
        (5, None, ["--trials", "5"]),
        (None, 60.0, ["--time", "60s"]),
    ],
)
def test_a_sweep_always_has_a_budget(results: Path, trials: int | None, time_s: float | None, said: list[str]) -> None:
    model = served(results)
    _, plan = read_launch(StudyFolder.of(results, "s"))
    options = SweepOptions(trials=trials, time_s=time_s)
    run = Commands.of(plan, model.bundle.manifest, "n", "rain", "d", "t", options).run
    assert [one for at, one in enumerate(run) if {"--trials", "--time"} & {one, run[at - 1]}] == said


def test_the_winner_is_made_as_the_champion_was_and_runs_where_the_sweep_does(results: Path) -> None:
    model = served(results)
    _, plan = read_launch(StudyFolder.of(results, "s"))
    manifest = replace(model.bundle.manifest, options={"refit": True, "ensemble": True, "cost": "fn=5,fp=1"})
    given = Commands.of(plan, manifest, "n", "rain", "d", "t", SweepOptions(address="auto"))
    assert given.promote[:5] == ("promote", "n", "--as", "rain", "--candidate")
    assert ("--refit" in given.promote, "--ensemble" in given.promote) == (True, False)
    assert given.promote[given.promote.index("--cost") + 1] == "fn=5,fp=1"
    assert given.run[given.run.index("--address") + 1] == given.resume[given.resume.index("--address") + 1] == "auto"


def test_a_study_of_two_metrics_is_no_warm_start_and_a_split_by_a_column_is_left_out(results: Path) -> None:
    model = served(results)
    _, plan = read_launch(StudyFolder.of(results, "s"))
    plan = replace(plan, metrics=("a", "b"), directions=("minimize",) * 2, split="time:day", origins={"split": "flag"})
    run = Commands.of(plan, model.bundle.manifest, "n", "rain", "d", "t", SweepOptions()).run
    assert not {"--warm-start", "--split"} & set(run)


def test_names_of_studies_are_free_and_do_not_grow(tmp_path: Path) -> None:
    assert free_name(tmp_path, "rain", 1) == (1, "rain-online-1")
    assert free_name(tmp_path, "rain-online-1", 2) == (2, "rain-online-2")
    (tmp_path / "rain-online-1").mkdir()
    assert free_name(tmp_path, "rain", 1) == (2, "rain-online-2")
    assert len(free_name(tmp_path, "r" * 100, 1)[1]) < 100


def read(table: pd.DataFrame, target: str, task: str, folder: Path) -> Any:
    """Return a table as a sweep reads it from its file."""
    path = folder / "t.parquet"
    path.write_bytes(as_parquet(table))
    return make_dataset(pd.read_parquet(path), target, name="t", task=task).dataset


def test_a_table_reads_as_the_rows_that_the_model_took(made: Path, tmp_path: Path) -> None:
    signature = served(made).bundle.signature
    rows = table(200, 2)
    targets = np.array([signature.classes.index(one) for one in rows["answer"]], np.int64)
    columns = columns_of(rows, signature)
    assert "same" not in columns
    found = read(table_of(Rows(columns, targets), signature), "answer", "classification", tmp_path)
    assert found.classes == signature.classes
    np.testing.assert_array_equal(found.target, targets)
    assert [*found.features] == ["town", "a", "b", "same"]  # or who sends it would be refused from then on
    again = columns_of(found.features, signature)
    for name, values in columns.items():
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.parametrize(
    "classes",
    [("no", "yes"), ("0", "1"), ("2", "10", "11"), ("-1", "0.5"), ("10", "11", "2"), ("inf", "nan"), ("1", "x")],
)
def test_classes_keep_their_order(classes: tuple[str, ...], tmp_path: Path) -> None:
    task = "binary" if len(classes) == 2 else "multiclass"
    signature = Signature(task, "y", (Input("a", Kind.NUMBER),), classes)
    targets = np.arange(60) % len(classes)
    rows = Rows({"a": np.arange(60, dtype=np.float32)}, targets)
    found = read(table_of(rows, signature), "y", "classification", tmp_path)
    assert found.classes == classes
    np.testing.assert_array_equal(found.target, targets)


def test_few_whole_numbers_stay_a_regression(tmp_path: Path) -> None:
    signature = Signature("regression", "y", (Input("a", Kind.NUMBER),))
    rows = Rows({"a": np.arange(60, dtype=np.float32)}, np.arange(60) % 3 * 1.0)
    found = read(table_of(rows, signature), "y", "regression", tmp_path)
    assert (found.task, found.classes) == ("regression", ())
    np.testing.assert_array_equal(found.target, rows.targets)


def test_images_are_no_table() -> None:
    signature = Signature("binary", "y", (Input(IMAGE, Kind.IMAGE, shape=(1, 8, 8)),), ("a", "b"))
    rows = Rows({IMAGE: np.zeros((30, 1, 8, 8), np.float32)}, np.arange(30) % 2)
    with pytest.raises(RefusedError, match="images"):
        table_of(rows, signature)


A, B, C = Input("a", Kind.NUMBER), Input("b", Kind.TEXT), Input("c", Kind.NUMBER, used=False)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({}, ""),
        ({"inputs": (A, replace(B, used=False), replace(C, used=True))}, ""),
        ({"task": "multiclass"}, "multiclass"),
        ({"classes": ("yes", "no")}, "the classes yes, no"),
        ({"inputs": (A, replace(B, kind=Kind.NUMBER), C)}, "'b' as a number"),
        ({"inputs": (A, B, replace(C, kind=Kind.TEXT))}, "'c' as a text"),
        ({"inputs": (A, B, C, replace(A, name="d"))}, "'d', which the champion does not"),
        ({"inputs": (A, B, C, replace(C, name="d"))}, "takes the column 'd', which the champion does not"),
        ({"inputs": (A, B)}, "'c', which clients may send"),
    ],
)
def test_a_winner_has_to_answer_the_same_question(theirs: dict[str, Any], said: str) -> None:
    ours = Signature("binary", "y", (A, B, C), ("no", "yes"))
    found = why_not(replace(ours, **theirs), ours)
    assert said in found
    assert bool(said) == bool(found)


def test_a_winner_has_to_take_images_of_the_same_size() -> None:
    image = Input("image", Kind.IMAGE, shape=(1, 28, 28))
    ours = Signature("binary", "", (image,), ("no", "yes"))
    assert why_not(ours, ours) == ""
    theirs = replace(ours, inputs=(replace(image, shape=(3, 28, 28)),))
    assert why_not(theirs, ours) == "it takes images of 3 x 28 x 28, and the champion of 1 x 28 x 28"


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (Kind.NUMBER, None, [0.0] * 20),
        (Kind.TEXT, None, ["-"] * 20),
        (Kind.NUMBER, [math.nan, *[1.0] * 19], [0.0] * 20),
        (Kind.TEXT, ["", *["x"] * 19], ["-"] * 20),
        (Kind.NUMBER, [1.0, 2.0] * 10, [1.0, 2.0] * 10),
        (Kind.TEXT, ["x", "y"] * 10, ["x", "y"] * 10),
    ],
)
def test_what_the_champion_does_not_read_is_told_where_every_row_has_it(kind: Kind, given: Any, told: Any) -> None:
    signature = Signature("regression", "y", (Input("a", Kind.NUMBER), Input("b", kind, used=False)))
    columns = {"a": np.arange(20, dtype=np.float32)}
    if given is not None:
        columns["b"] = np.array(given, np.float32 if kind is Kind.NUMBER else object)
    assert table_of(Rows(columns, np.arange(20.0)), signature)["b"].tolist() == told
