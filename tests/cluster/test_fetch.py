"""A study comes home from a cluster whole, as a copy that works there.

Mutations that turn these red: settle a fetched plan without its references; bring rows where the data is; let a copy
be edited, or overwritten; write a file of the copy in place; believe the names or sizes that a home tells.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from search import copied, durations, ending, resume
from search.cli.commands import run as command
from search.errors import InputError, RefusedError, SurroundingsError
from search.loading import Loaded, code_hash
from search.paths import StudyFolder
from search.promote import opening
from search.promote.confirm import PLAIN
from search.records.study import read, status, trial
from search.repeat import repeat
from search.tuner.fetching import fetch
from search.usermodules import UserFile
from tests.cluster.near import Near, arrived, gone_on, launch_of, living_at
from tests.promote.confirmed import confirmed


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyFolder]:
    """Return a laptop, and a study that it sent to a home, where it ran to its end."""
    base = tmp_path_factory.mktemp("away")
    folder = arrived(launch_of(base / "laptop"), base / "home", base / "scratch")
    gone_on(folder)
    return base / "laptop", folder


def fetched(folder: StudyFolder, results: Path, **how: Any) -> StudyFolder:
    with living_at(folder.root.parent) as near:
        return fetch(near, folder.name, results, **how)


def test_a_fetched_study_has_the_trials_of_the_one_at_home(ran: tuple[Path, StudyFolder], tmp_path: Path) -> None:
    there, here = read(ran[1]), read(fetched(ran[1], tmp_path / "results"))
    assert status(here).trials == {**status(there).trials}
    assert [one.params for one in here.records] == [one.params for one in there.records]
    assert copied.origin(here.folder) == "ray://10.0.0.1:10001"


def test_where_the_project_and_the_data_are_the_copy_refers_to_them(
    ran: tuple[Path, StudyFolder], tmp_path: Path
) -> None:
    laptop, folder = ran
    here = read(fetched(folder, tmp_path / "results"))
    assert here.plan.objective == f"{laptop}/model.py:model"
    assert here.plan.data == f"{laptop}/rain.csv"
    assert here.plan.results == str(tmp_path / "results")
    assert here.plan.address is None
    assert not (here.folder.root / "rows").exists()


def test_where_the_code_is_another_the_copy_refers_to_what_travelled(
    ran: tuple[Path, StudyFolder], tmp_path: Path
) -> None:
    model = ran[0] / "model.py"
    before = model.read_text()
    model.write_text(before + "# changed\n")
    try:
        here = read(fetched(ran[1], tmp_path / "results"))
    finally:
        model.write_text(before)
    assert Path(here.plan.objective.rpartition(":")[0]).is_relative_to(here.folder.root)
    assert repeat(here, trial(here, "best")).equal


def test_where_the_data_is_not_its_rows_come_along(ran: tuple[Path, StudyFolder], tmp_path: Path) -> None:
    data = ran[0] / "rain.csv"
    aside = data.rename(tmp_path / "rain.csv")
    try:
        here = read(fetched(ran[1], tmp_path / "results"))
        again = repeat(here, trial(here, "best"))
        assert again.equal
        assert not again.data_changed
        with pytest.raises(InputError, match="fetched without its data"):
            opening.opened(here, PLAIN)
    finally:
        aside.rename(data)


def test_a_copy_is_repeated_confirmed_and_promoted_from_at_home(ran: tuple[Path, StudyFolder], tmp_path: Path) -> None:
    here = read(fetched(ran[1], tmp_path / "results"))
    again = repeat(here, trial(here, "best"))
    assert (again.equal, again.code_changed, again.data_changed) == (True, False, False)
    assert opening.opened(here, PLAIN).problem.data_hash == here.launch["data_hash"]
    assert confirmed(here, 1, 2).winner is not None


def test_a_copy_is_not_gone_on_with_by_mistake(ran: tuple[Path, StudyFolder], tmp_path: Path) -> None:
    here = fetched(ran[1], tmp_path / "results")
    at = "--address ray://10.0.0.1:10001"
    for words in (
        ("resume", "s"),
        ("enqueue", "s", "C=1"),
        ("edit", "s", "--trials", "5"),
        ("edit", "s", "--trials", "5", "--address", "local"),
    ):
        told = said(*words, "--results", str(here.root.parent))
        assert told["code"] == 4, (words, told)
        assert f"`sweep {words[0]} s {at}`" in told["hint"]
    copied.adopt(here)
    stored = read(here)
    assert resume.prepare(stored, replace(stored.plan, trials=3), accept_changes=False).resumed


@pytest.mark.parametrize(
    ("objective", "space", "is_here"),
    [
        ("search.durations:x", "search.ending:y", True),
        ("no_such_package.module:x", "search.ending:y", False),
        ("search.durations:x", "/nowhere/space.py:y", False),
        ("no_such_package.module:x", "/nowhere/space.py:y", False),
        ("search.durations:x", "search.errors:y", False),  # another code
    ],
)
def test_a_copy_refers_to_modules_that_are_here_with_the_same_code(
    tmp_path: Path, objective: str, space: str, is_here: bool
) -> None:
    files = [UserFile.of(Path(str(one.__file__))) for one in (durations, ending)]
    code = code_hash(*(Loaded(None, "", file.path, file.root) for file in files))
    came = {name: f"/head/s/project-1/{name}.py:x" for name in ("objective", "space")}
    record = {"plan": {**came, "results": "/head", "data": None}, "code_hash": code}
    record["sent"] = {"objective": objective, "space": space, "data": None, "rows": ""}
    come, folder = StudyFolder(tmp_path / "come"), StudyFolder(tmp_path / "s")
    come.root.mkdir()
    come.plan.write_text(json.dumps(record))
    copied.settle(come, folder, [], address="ray://10.0.0.1:10001")
    plan = json.loads(come.plan.read_text())["plan"]
    there = {name: f"{folder.root}/project-1/{name}.py:x" for name in came}
    assert {name: plan[name] for name in came} == ({"objective": objective, "space": space} if is_here else there)


def test_nothing_here_is_overwritten(ran: tuple[Path, StudyFolder], tmp_path: Path) -> None:
    fetched(ran[1], tmp_path)
    with pytest.raises(RefusedError, match="exists already"):
        fetched(ran[1], tmp_path)
    copied.adopt(StudyFolder(tmp_path / "s"))
    with pytest.raises(RefusedError, match="is no copy"):
        fetched(ran[1], tmp_path, refresh=True)
    with pytest.raises(InputError, match="no copy of study"):
        fetched(ran[1], tmp_path / "other", refresh=True)


def test_a_refresh_brings_what_has_grown_and_keeps_what_was_made_here(tmp_path: Path) -> None:
    folder = arrived(launch_of(tmp_path / "laptop"), tmp_path / "home", tmp_path / "scratch")
    gone_on(folder, trials=1)
    first = fetched(folder, tmp_path / "results")
    (first.root / "report.html").write_text("made here")
    (folder.root / "driver.log").write_text("and gone later")
    fetched(folder, tmp_path / "results", refresh=True)
    assert (first.root / "driver.log").exists()
    gone_on(folder)
    (folder.root / "driver.log").unlink()
    here = fetched(folder, tmp_path / "results", refresh=True)
    assert status(read(here)).trials["complete"] == 2
    assert (here.root / "report.html").read_text() == "made here"
    assert not (here.root / "driver.log").exists()
    assert {path.name for path in here.root.parent.iterdir()} - {"data"} == {"s"}


class Cut(Near):
    """A line that breaks after some parts of files."""

    left = 3

    def call(self, method: str, *arguments: object) -> Any:
        if method == "content" and arguments[1] != "plan.json":
            type(self).left -= 1
            if type(self).left == 0:
                raise SurroundingsError("cut")
        return super().call(method, *arguments)


def test_a_fetch_that_was_cut_off_goes_on(ran: tuple[Path, StudyFolder], tmp_path: Path) -> None:
    asked = set()

    class Counted(Near):
        def call(self, method: str, *arguments: object) -> Any:
            if method == "content":
                asked.add(Path(str(arguments[1])).name)
            return super().call(method, *arguments)

    with living_at(ran[1].root.parent) as near:
        with pytest.raises(SurroundingsError, match="cut"):
            fetch(Cut(near.home), "s", tmp_path)
        assert not (tmp_path / "s").exists()
        came = {path.name for path in (tmp_path / ".coming-s").rglob("*") if path.is_file()}
        here = fetch(Counted(near.home), "s", tmp_path)
    assert came
    assert not asked & came
    assert status(read(here)).trials["complete"] == 2


def said(*words: str) -> dict[str, Any]:
    """Return the error that a command line tells."""
    with CliRunner().isolation() as (_, err, _):
        command([*words, "--json"])
        told = err.getvalue().decode()
    return dict(json.loads(told.splitlines()[-1])["error"])
