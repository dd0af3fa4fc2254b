"""Studies of plain Optuna become studies of ours, trial by trial; their storage is only read."""

from __future__ import annotations

import functools
import json
import os
import signal
import sqlite3
import tempfile
import warnings
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.cli.main import main
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.records import study as records
from search.resume import changed, prepare
from search.study import attributes
from search.study.lock import acquire
from search.study.owner import StudyOwner
from search.study.runs import Run
from tests import postgres
from tests.adopt.projects import launch_of, write

Output = pytest.CaptureFixture[str]

OBJECTIVE = """
from search.contract import objective

def space(trial):
    trial.suggest_float("x", -5, 5)
    if trial.suggest_categorical("kind", ["a", "b", None]) == "a":
        trial.suggest_int("n", 1, 9, log=True)

@objective(space=space, metrics={"value": "minimize"})
def square(run):
    for epoch in run.epochs:
        yield {"value": run.params["x"] ** 2 + 1 / epoch}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    if trial.suggest_categorical("kind", ["a", "b", None]) == "a":
        trial.suggest_int("n", 1, 9, log=True)
    trial.set_user_attr("note", {"of": [trial.number, "ä"]})
    for step in range(4):
        trial.report(float("nan") if trial.number == 5 and step == 2 else x**2 + step, step * 10)
        if trial.number % 5 == 3 and step == 1:
            raise optuna.TrialPruned
    if trial.number % 7 == 6:
        raise ValueError("broken")
    return x**2


def fill(storage: Any, name: str = "rain") -> optuna.Study:
    """Run a study with an end of every kind, and leave one trial running and one enqueued."""
    study = optuna.create_study(storage=storage, study_name=name, sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=12, catch=(ValueError,))
    study.set_user_attr("who", "ann")
    study._storage.set_study_system_attr(study._study_id, "mine", [1])
    study.ask()
    study.enqueue_trial({"x": 2.0})
    return study


def journal(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path)))


def ours(name: str = "rain") -> optuna.Study:
    """Return an imported study as plain Optuna opens it."""
    return optuna.load_study(study_name=name, storage=journal(Path("results") / name / "study.journal"))


def facts(trial: FrozenTrial) -> tuple[Any, ...]:
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        repr(trial.intermediate_values),  # which may hold nan
        trial.user_attrs,
        trial.system_attrs,
        trial.datetime_start,
        trial.datetime_complete,
    )


SOURCES: dict[str, Callable[[], tuple[str, Any]]] = {
    "journal file": lambda: ("old.log", journal(Path("old.log"))),
    "SQLite file": lambda: ("old.db", "sqlite:///old.db"),
    "SQLite URL": lambda: ("sqlite:///old.sqlite3", "sqlite:///old.sqlite3"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_trial_is_the_same_in_plain_optuna_afterwards(kind: str, tmp_path: Path) -> None:
    source, storage = SOURCES[kind]()
    study = fill(storage)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["import", source]) == 0
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before
    theirs, copied = study.trials, ours().trials
    ended = [trial.number for trial in theirs if trial.state.is_finished()]
    assert len(ended) == 12
    assert len({trial.state for trial in theirs}) == 5
    assert [facts(copied[number]) for number in ended] == [facts(theirs[number]) for number in ended]
    assert copied[12].state is TrialState.FAIL
    assert copied[12].system_attrs[attributes.END]["text"] == "it was running when it was imported"
    assert facts(copied[13]) == facts(theirs[13])
    assert ours().user_attrs == {"who": "ann"}
    assert ours()._storage.get_study_system_attrs(ours()._study_id)["mine"] == [1]
    assert ours().best_trial.number == study.best_trial.number


def test_a_database_that_somebody_writes_with_a_log_is_read_as_it_stands(tmp_path: Path) -> None:
    fill_at(Path("old.db"))
    with sqlite3.connect("old.db") as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM trial_values")  # not committed
        assert main(["import", "old.db"]) == 0
        writer.rollback()
    writer.close()
    assert len([trial for trial in ours().trials if trial.state is TrialState.COMPLETE]) == 9
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["old.db"]
    assert main(["import", "old.db", "--as", "again"]) == 0  # in a log's mode, and nobody has it open
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["old.db"]


def test_what_an_older_optuna_wrote_is_upgraded_in_a_copy(capfd: pytest.CaptureFixture[str]) -> None:
    fill_at(Path("old.db"))
    with closing(sqlite3.connect("old.db")) as connection:  # as an Optuna before 3.0 left it
        connection.execute("DROP INDEX ix_trials_study_id")
        connection.execute("ALTER TABLE trial_values DROP COLUMN value_type")
        connection.execute("ALTER TABLE trial_intermediate_values DROP COLUMN intermediate_value_type")
        connection.execute("UPDATE alembic_version SET version_num = 'v3.0.0.b'")
        connection.commit()
    before = Path("old.db").read_bytes()
    capfd.readouterr()
    assert main(["import", "old.db"]) == 0
    assert Path("old.db").read_bytes() == before
    assert [one.number for one in ours().trials if one.intermediate_values] == [*range(12)]
    assert "alembic" not in capfd.readouterr().err


def test_a_url_may_hold_any_letters() -> None:
    fill("sqlite:///öne ü.db")
    assert main(["import", "sqlite:///öne ü.db"]) == 0
    assert len(ours().trials) == 14


def test_a_study_in_postgresql_is_taken_over_by_its_url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    url = postgres_url.replace(f":{postgres.PASSWORD}", "")
    arguments = {"connect_args": {"client_encoding": "utf8"}}
    storage = optuna.storages.RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"), engine_kwargs=arguments)
    study = fill(storage, "in the database")
    theirs = study.trials
    storage.remove_session()
    storage.engine.dispose()
    assert main(["import", url, "--study-name", "in the database", "--as", "pg"]) == 0
    assert [facts(one) for one in ours("pg").trials[:12]] == [facts(one) for one in theirs[:12]]


def test_several_values_and_constraints_come_along() -> None:
    study = optuna.create_study(storage="sqlite:///two.db", study_name="two", directions=["minimize", "maximize"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.set_metric_names(["loss", "speed"])

    def two(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial.set_constraint("limit", x - 0.5)
        return x, x**2

    study.optimize(two, n_trials=5)
    assert main(["import", "two.db"]) == 0
    stored = records.read(StudyFolder(Path("results/two")))
    assert (stored.plan.metrics, stored.plan.directions) == (("loss", "speed"), ("minimize", "maximize"))
    assert [facts(one) for one in ours("two").trials] == [facts(one) for one in study.trials]
    assert {one.number for one in ours("two").best_trials} == {one.number for one in study.best_trials}
    assert ours("two").metric_names == ["loss", "speed"]


def test_a_sweep_that_went_to_sqlite_and_back_is_the_same_trial_by_trial(tmp_path: Path) -> None:
    write(tmp_path, OBJECTIVE, "square.py")
    launch = launch_of(tmp_path / "square.py", "square", tmp_path / "results", pruner="asha", trials=12, max_epochs=9)
    launch.folder.root.mkdir(parents=True)
    launch.folder.plan.write_text(json.dumps(launch.record()))
    _go_on(launch)
    optuna.copy_study(
        from_study_name="s",
        from_storage=journal(launch.folder.journal),
        to_storage="sqlite:///copy.db",
        to_study_name="copy",
    )
    assert main(["import", "copy.db"]) == 0
    first, second = ours("s").trials, ours("copy").trials
    assert {one.state.name for one in first} == {"COMPLETE", "PRUNED"}
    assert [facts(one) for one in second] == [facts(one) for one in first]
    one, two = (records.status(records.read(StudyFolder(Path("results") / name))) for name in ("s", "copy"))
    assert (one.trials, one.best, one.epochs_run) == (two.trials, two.best, two.epochs_run)


def test_an_imported_study_goes_on_with_an_objective(tmp_path: Path, capsys: Output) -> None:
    fill_at(Path("old.db"))
    write(tmp_path, OBJECTIVE, "square.py")
    given = ["--objective", "square.py", "--sampler", "tpe", "--max-epochs", "3", "--pruner", "none"]
    assert main(["import", "old.db", *given]) == 0
    assert "resume rain --trials +20" in capsys.readouterr().err
    stored = records.read(StudyFolder(Path("results/rain")))
    assert stored.plan.trials == 12  # all that ended, but for the one that was running
    plan = changed(stored.plan, {"trials": "+4"})
    launch = prepare(stored, plan, accept_changes=False)
    _go_on(launch)
    trials = ours().trials
    assert trials[13].state is TrialState.COMPLETE  # the point that was enqueued
    assert trials[13].params["x"] == 2.0
    assert len(trials) == 17
    before = optuna.load_study(study_name="rain", storage="sqlite:///old.db").trials
    assert [facts(one) for one in trials[:12]] == [facts(one) for one in before[:12]]


def test_without_an_objective_everything_but_running_works(capsys: Output) -> None:
    fill_at(Path("old.db"))
    assert main(["import", "old.db", "--metric", "loss", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["study"], told["state"], told["objective"]) == ("rain", "finished", False)
    assert told["trials"]["complete"] == 9
    assert told["metrics"] == ["loss"]
    for arguments in (["list"], ["show", "rain"], ["show", "rain", "--trial", "3"], ["table", "rain", "-o", "t.csv"]):
        assert main(arguments) == 0
    capsys.readouterr()
    for arguments in (["resume", "rain"], ["run", "--repeat", "rain:0"], ["enqueue", "rain", "x=1"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err.strip() == (
            "error: the study was imported without an objective; "
            "`sweep import SOURCE --as NAME --objective FILE.py:NAME` makes one that goes on"
        )


def test_a_name_that_no_folder_can_have_is_made_one(capsys: Output) -> None:
    fill(journal(Path("old.log")), "réglage / 3: été")
    assert main(["import", "old.log"]) == 0
    assert Path("results/r-glage-3-t/plan.json").is_file()
    assert json.loads(Path("results/r-glage-3-t/plan.json").read_text())["imported"]["study"] == "réglage / 3: été"


def test_a_study_that_is_there_is_refused_and_nothing_is_left(capsys: Output) -> None:
    fill_at(Path("old.db"))
    assert main(["import", "old.db"]) == 0
    before = Path("results/rain/study.journal").read_bytes()
    for arguments in (["import", "old.db"], ["import", "old.db", "--as", "rain"]):
        assert main(arguments) == 4
        assert "study 'rain' exists already in" in capsys.readouterr().err
    assert Path("results/rain/study.journal").read_bytes() == before
    assert [path.name for path in Path("results").iterdir()] == ["rain"]


def test_a_long_study_is_copied_in_time() -> None:
    study = optuna.create_study(storage=journal(Path("old.log")), study_name="long")
    float_ = optuna.distributions.FloatDistribution(0, 1)
    for start in range(1000):
        study.add_trial(create_trial(value=start, params={"x": 0.5}, distributions={"x": float_}))
    begun = datetime.now()
    assert main(["import", "old.log"]) == 0
    assert (datetime.now() - begun).total_seconds() < 20
    assert len(ours("long").trials) == 1000


@functools.cache
def filled() -> bytes:
    """Return the bytes of an SQLite file with a study."""
    with tempfile.TemporaryDirectory() as folder:
        fill(f"sqlite:///{folder}/one.db")
        return (Path(folder) / "one.db").read_bytes()


def fill_at(path: Path) -> None:
    path.write_bytes(filled())


def _damaged_sqlite(path: Path) -> None:
    path.write_bytes(filled()[:5000])


def _two(path: Path) -> None:
    path.write_bytes(filled())
    optuna.create_study(storage=f"sqlite:///{path}", study_name="snow")


WRONG: list[tuple[str, list[str], Callable[[Path], Any], int, str]] = [
    ("none.db", [], lambda path: None, 2, "none.db does not exist; SOURCE is a journal or SQLite file"),
    ("sqlite:///none.db", [], lambda path: None, 2, "none.db does not exist"),
    ("mysql://host/db", [], lambda path: None, 2, "storage must be journal, sqlite: or postgresql:, got 'mysql:'"),
    ("postgresql://a:b@h/d", [], lambda path: None, 2, "came with a password"),
    ("folder", [], lambda path: path.mkdir(), 2, "folder is no folder of a Ray Tune experiment or of a study"),
    ("study.pkl", [], lambda path: path.write_bytes(b"\x80\x04\x95\x00"), 2, "study.pkl is a pickle, which runs code"),
    ("x.bin", [], lambda path: path.write_bytes(bytes(range(256))), 2, "x.bin is nothing to import; SOURCE is"),
    ("x.txt", [], lambda path: path.write_text("hello"), 2, "x.txt is nothing to import"),
    ("empty", [], lambda path: path.write_text(""), 2, "empty is nothing to import"),
    ("x.log", [], lambda path: path.write_text('{"a": 1}\n{"op_code": 0}\n'), 3, "x.log is damaged in line 1"),
    ("x.db", [], lambda path: sqlite3.connect(path).execute("CREATE TABLE t (a)"), 2, "without a study of Optuna's"),
    ("x.db", [], lambda path: optuna.storages.RDBStorage(f"sqlite:///{path}"), 2, "x.db holds no study"),
    ("x.db", [], _damaged_sqlite, 3, "x.db cannot be read: database disk image is malformed"),
    ("x.db", [], _two, 2, "x.db holds 2 studies: rain (14 trials), snow (0 trials); give --study-name"),
    ("x.db", ["--study-name", "rian"], _two, 2, "x.db holds no study 'rian'; did you mean 'rain'?"),
    ("x.db", ["--as", "a/b"], fill_at, 2, "a study name is 1-100 of"),
    ("x.db", ["--metric", "a", "--metric", "b"], fill_at, 2, "the study has 1 values, got 2 names"),
    ("x.db", ["--direction", "maximize"], fill_at, 2, "the study was told to minimize, got maximize"),
    ("x.db", ["--sampler", "tpe"], fill_at, 2, "--sampler say how an objective is searched, and none was given"),
    ("x.db", ["--objective", "none.py"], fill_at, 2, "objective file none.py does not exist"),
    ("x.db", ["--objective", "square.py", "--sampler", "tpee"], fill_at, 2, "sampler"),
    ("x.db", ["-o", "x.py"], fill_at, 2, "-o is for a search space, and SOURCE is a study"),
]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("source", "flags", "make", "code", "said"), WRONG, ids=[said[:45] for *_, said in WRONG])
def test_what_cannot_be_imported_is_one_sentence(
    source: str, flags: list[str], make: Callable[[Path], Any], code: int, said: str, tmp_path: Path, capsys: Output
) -> None:
    write(tmp_path, OBJECTIVE, "square.py")
    make(Path(source))
    assert main(["import", source, *flags]) == code
    written = capsys.readouterr()
    (sentence,) = [line for line in written.err.splitlines() if line.startswith("error:")]
    assert said in sentence
    assert len(sentence) <= 260
    assert written.out == ""
    assert not Path("results").exists() or not list(Path("results").iterdir())


def _go_on(launch: Any) -> None:
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run("again"))
    try:
        owner.prepare({})
        run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
        owner.finish()
    finally:
        owner.close()


def test_what_a_killed_import_has_left_is_deleted_by_the_next_and_what_others_are_making_is_not(tmp_path: Path) -> None:
    fill_at(Path("old.db"))
    names = ("killed", "going", "begun", "bare")
    killed, going, begun, bare = (tmp_path / "results" / f".{name}.12345.importing" for name in names)
    for made in (killed, going, begun, bare):
        made.mkdir(parents=True)
    os.utime(bare, (0, 0))
    child = os.fork()
    if not child:
        try:
            acquire(killed, study="killed")
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with acquire(going, study="going"):
        assert main(["import", "old.db"]) == 0
    assert {path.name for path in Path("results").iterdir()} == {"rain", going.name, begun.name}
