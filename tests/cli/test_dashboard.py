"""`sweep dashboard` serves the real optuna-dashboard on a copy, and whatever is done there leaves ours as it was."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from search.cli import console
from search.cli.main import main
from tests.cli.served import ROOT, served
from tests.records import studies
from tests.records.owners import folder_of
from tests.study.studies import flat_space

Output = pytest.CaptureFixture[str]


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "results"
    console.in_results(Path("results"))  # which sentences of later tests would name


def damaged(results: Path, name: str) -> None:
    """Make a study with a line in its journal that no program writes."""
    journal = studies.store(results, name, studies.MIXED).journal
    first, *others = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([first, b'{"op_code": 99}\n', *others]))


def test_it_shows_study_and_trials_and_a_deletion_there_is_one_of_the_copy(results: Path) -> None:
    folder = studies.store(results, "w", studies.MIXED)
    before = {path: path.read_bytes() for path in folder.root.iterdir()}
    with served("dashboard", "w", "--results", str(results)) as server:
        assert server.told == {"state": "listening", "url": server.url, "studies": {"w": 9}}
        (shown,) = server.ask("/api/studies").json()["study_summaries"]
        assert (shown["study_name"], shown["directions"]) == ("w", ["minimize"])
        detail = server.ask(f"/api/studies/{shown['study_id']}").json()
        states = [trial["state"] for trial in detail["trials"]]
        assert states == [
            *("Complete", "Pruned", "Complete", "Fail", "Fail", "Complete"),
            *("Running", "Running"),
            "Waiting",
        ]
        assert detail["objective_names"] == ["val_loss"]
        assert {step["step"]: step["value"] for step in detail["trials"][2]["intermediate_values"]} == {1: 0.5, 2: 0.4}
        assert "<title>Optuna Dashboard</title>" in server.ask("/dashboard").text
        assert server.ask(f"/api/studies/{shown['study_id']}", "DELETE").status_code == 204
        assert server.ask("/api/studies").json()["study_summaries"] == []
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert server.end() == 130
        assert children == []
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""
    assert {path: path.read_bytes() for path in folder.root.iterdir()} == before


def test_all_studies_are_shown_by_the_names_of_their_folders_and_a_damaged_one_hides_none(results: Path) -> None:
    from search.study.owner import StudyOwner
    from search.study.runs import Run

    studies.store(results, "a", studies.MIXED)
    studies.store(results, "b", ())
    (results / "b").rename(results / "renamed")
    damaged(results, "bad")
    folder, plan = folder_of(results, "database", storage=f"sqlite:///{results}/d.db")
    with_one = StudyOwner.open(plan, folder.root, flat_space, slots=1, run=Run("run"))
    with_one.ask("slot:0")
    with_one.close()
    folder_of(results, "launched")
    with served("dashboard", "--results", str(results)) as server:
        assert server.told["studies"] == {"a": 9, "database": 1, "launched": 0, "renamed": 0}
        shown = server.ask("/api/studies").json()["study_summaries"]
        assert [one["study_name"] for one in shown] == ["a", "database", "launched", "renamed"]
        assert server.end(signal.SIGTERM) == 143
        assert server.process.stderr is not None
        assert server.process.stderr.read().startswith("bad is left out: ")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
    ],
    ids=str,
)
def test_other_web_pages_cannot_delete_even_the_copy(results: Path, headers: dict[str, str], status: int) -> None:
    from search.serving.hosts import Hosts

    found = {name.lower().replace("_", "-"): text for name, text in {"Host": "127.0.0.1:8077", **headers}.items()}
    refusal = Hosts.of("127.0.0.1", "127.0.0.1").refusal(found)
    assert refusal is not None
    assert refusal[0] == status


def test_a_mistake_is_one_sentence(results: Path, capsys: Output) -> None:
    assert main(["dashboard", "--results", str(results)]) == 2
    assert capsys.readouterr().err == f"error: there is no study in {results}; `sweep run` makes one\n"
    damaged(results, "w")
    assert main(["dashboard", "w", "--results", str(results)]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["dashboard", "--results", str(results)]) == 3
    assert (
        capsys.readouterr().err.splitlines()[-1] == "error: none of the studies can be read; try `sweep doctor STUDY`"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["dashboard", "--port", str(port), "--results", str(results)]) == 3
    assert capsys.readouterr().err == f"error: port {port} is in use (pid {os.getpid()}); try --port {port + 1}\n"


def test_without_its_library_the_sentence_names_the_extra(results: Path, tmp_path: Path) -> None:
    studies.store(results, "w", studies.MIXED)
    missing = "raise ModuleNotFoundError('No module named optuna_dashboard', name='optuna_dashboard')\n"
    (tmp_path / "optuna_dashboard.py").write_text(missing)
    command = [sys.executable, "-m", "search", "dashboard", "w", "--results", str(results)]
    told = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, capture_output=True, text=True
    )
    assert told.returncode == 3
    assert told.stderr == (
        "error: the dashboard needs optuna_dashboard, which is not installed; pip install 'sweep-search[dashboard]'\n"
    )
