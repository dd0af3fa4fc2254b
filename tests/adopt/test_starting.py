"""A script that is loaded starts nothing and writes nothing; its database stays as it is.

Mutations that turn these red: leave `get_storage` to Optuna; have `search.sweep` run whoever loads it; import an
installed module by `importlib` alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from search import loading
from search.usermodules import UserFile, import_file
from tests.adopt.projects import load, write

OBJECTIVE = """
    import optuna
    from optuna import create_study

    def objective(trial):
        return trial.suggest_float("x", 0, 1)
"""
SEVERAL = """
    study = optuna.create_study(study_name="mine", storage=URL)
    study.optimize(objective, n_trials=4)
"""
LOADED = """
    study = create_study(study_name="mine", storage=URL, load_if_exists=True)
    study.enqueue_trial({"x": 0.5})
    study.set_user_attr("who", "me")
    study.optimize(objective, n_trials=4)
"""
OPENED = """
    study = optuna.load_study(study_name="mine", storage=URL)
    study.enqueue_trial({"x": 0.5})
    print(study.best_value)
"""
DELETED = """
    optuna.delete_study(study_name="mine", storage=URL)
    study = optuna.create_study(study_name="mine", storage=optuna.storages.RDBStorage(URL))
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("db") / "mine.db"
    study = optuna.create_study(study_name="mine", storage=f"sqlite:///{path}")
    study.set_user_attr("who", "somebody")
    study.add_trial(optuna.create_trial(value=1.0))
    return path


@pytest.mark.parametrize("body", [SEVERAL, LOADED, OPENED, DELETED], ids=["made", "kept", "opened", "deleted"])
def test_a_script_that_is_loaded_leaves_its_database_alone(
    body: str, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    get = optuna.storages.get_storage
    path = write(tmp_path, OBJECTIVE + body.replace("URL", repr(f"sqlite:///{database}")))
    before = database.read_bytes()
    assert load(path, "objective").suggests_itself
    assert database.read_bytes() == before
    assert capsys.readouterr().out == ""
    assert optuna.storages.get_storage is get


def test_no_database_is_made_by_loading(tmp_path: Path) -> None:
    path = write(tmp_path, OBJECTIVE + SEVERAL.replace("URL", repr(f"sqlite:///{tmp_path}/new.db")))
    assert load(path, "objective").suggests_itself
    assert not (tmp_path / "new.db").exists()


def test_another_thread_keeps_its_storages_while_a_script_is_loaded(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        import threading
        import optuna

        found = []
        given = optuna.storages.InMemoryStorage()

        def make():
            found.append(optuna.create_study(storage=given)._storage is given)

        beside = threading.Thread(target=make)
        beside.start()
        beside.join()
        make()
        """,
    )
    assert import_file(UserFile.of(path)).found == [True, False]


SWEPT = """
    from search import sweep

    def objective(trial):
        return trial.suggest_float("x", 0, 1)

    found = sweep(objective, trials=2, results={results!r})
"""


def test_a_sweep_without_a_main_guard_is_not_started_by_who_loads_it(tmp_path: Path) -> None:
    path = write(tmp_path, SWEPT.format(results=str(tmp_path / "r")))
    assert load(path).suggests_itself
    assert not hasattr(sys.modules[UserFile.of(path).module_name], "found")
    assert not (tmp_path / "r").exists()


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """Have a folder outside of the current one that Python finds packages in."""
    (folder := tmp_path / "elsewhere").mkdir()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith("installed_rain")]:
        del sys.modules[name]


def test_an_installed_module_is_loaded_without_the_search_that_it_starts(installed: Path, tmp_path: Path) -> None:
    (package := installed / "installed_rain").mkdir()
    (package / "__init__.py").write_text("")
    write(package, OBJECTIVE + SEVERAL.replace("URL", "None"), "fit.py")
    found = loading.load("installed_rain.fit:objective", kind="objective", folder=tmp_path)
    module = sys.modules["installed_rain.fit"]
    assert module.study.trials == []
    assert sys.modules["installed_rain"].fit is module
    assert found.reference == "installed_rain.fit:objective"
