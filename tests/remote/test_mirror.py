"""A study that runs is near its store at any time; a store that is away for a while does not stop it.

Mutations that turn these red: let `Mirror.run` raise; leave the last sending out of `finish`; leave the lease out of
`mirrored`; let `mirrored` hide the error of what runs in it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from search.cli.commands import run as sweep
from search.errors import RefusedError, SurroundingsError
from search.paths import StudyFolder
from search.remote import manifest
from search.remote.copies import bring
from search.remote.mirror import mirrored
from search.remote.place import Place
from tests.faults.test_full_disk import LEARNS
from tests.remote import s3
from tests.remote.test_copies import study
from tests.tuner.sweeps import stored


def waits(until: Callable[[], bool], patience_s: float = 20.0) -> bool:
    deadline = time.monotonic() + patience_s
    while not until() and time.monotonic() < deadline:
        time.sleep(0.02)
    return until()


def journal_of(place: Place, tmp_path: Path, name: str) -> bytes:
    return bring(place, "s", tmp_path / name, whole=True).journal.read_bytes()


def test_what_runs_is_sent_from_time_to_time_and_at_the_end(place: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    with mirrored(place, here, lambda *_: None, every_s=0.05):
        here.journal.write_bytes(b"one\ntwo\n")
        assert waits(lambda: (manifest.read(place, "s") or manifest.Manifest()).version >= 2)
        here.journal.write_bytes(b"one\ntwo\nthree\n")
    assert journal_of(place, tmp_path, "b") == b"one\ntwo\nthree\n"


def test_a_store_that_is_away_for_a_while_is_said_and_stops_nothing(
    place: Place, server: s3.Server, tmp_path: Path
) -> None:
    here, said = study(tmp_path / "a/s"), list[str]()
    with mirrored(place, here, said.append, every_s=0.05):
        server.gone = True
        assert waits(lambda: len(said) == 1)
        here.journal.write_bytes(b"one\ntwo\n")
        server.gone = False
        assert waits(lambda: len(said) == 2)
    assert "the sweep goes on" in said[0]
    assert said[1] == "s3://bucket/our sweeps is back"
    assert journal_of(place, tmp_path, "b") == b"one\ntwo\n"


def test_a_store_that_is_away_at_the_end_is_one_sentence_and_the_study_stays(
    place: Place, server: s3.Server, tmp_path: Path
) -> None:
    here = study(tmp_path / "a/s")

    def runs() -> None:
        with mirrored(place, here, lambda *_: None):
            here.journal.write_bytes(b"one\ntwo\n")
            server.gone = True

    with pytest.raises(SurroundingsError, match="the study is whole in") as caught:
        runs()
    assert caught.value.hint == "`sweep resume s` sends it"
    server.gone = False
    assert bring(place, "s", tmp_path / "a", whole=True).journal.read_bytes() == b"one\ntwo\n"


def test_nothing_runs_where_the_store_cannot_be_written(place: Place, server: s3.Server, tmp_path: Path) -> None:
    server.gone = True
    with pytest.raises(SurroundingsError), mirrored(place, study(tmp_path / "a/s"), lambda *_: None):
        raise AssertionError("it ran")


def test_two_do_not_run_one_study(place: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    with (
        mirrored(place, here, lambda *_: None),
        pytest.raises(RefusedError, match="is run by"),
        mirrored(place, bring(place, "s", tmp_path / "b", whole=True), lambda *_: None),
    ):
        raise AssertionError("it ran")
    with mirrored(place, here, lambda *_: None):
        pass


def test_whoever_loses_the_lease_is_interrupted(place: Place, tmp_path: Path) -> None:
    heard = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: heard.set())

    def runs() -> None:
        with mirrored(place, study(tmp_path / "a/s"), lambda *_: None, every_s=0.05):
            place.write("s/lease-2.json", b'{"host": "other", "pid": 1, "until": 9e9, "id": "x"}')
            assert waits(heard.is_set)

    try:
        with pytest.raises(RefusedError, match="is run by"):
            runs()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_error_of_what_runs_comes_through_and_what_there_is_is_sent(place: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")

    def runs() -> None:
        with mirrored(place, here, lambda *_: None):
            here.journal.write_bytes(b"one\ntwo\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runs()
    assert journal_of(place, tmp_path, "b") == b"one\ntwo\n"


def test_a_sweep_goes_on_from_a_store_on_a_machine_that_has_nothing_of_it(
    ray_session: None,
    server: s3.Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, url = tmp_path / "problem.py", "s3://bucket/our sweeps"
    path.write_text(LEARNS.replace("2000", "400_000"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    options = ["--trials", "2", "--study", "s", "--seed", "0", "--quiet", "--pruner", "none"]
    assert sweep(["run", f"{path}:Learns", *options, "--results", url]) == 0
    assert not (tmp_path / "results").exists()
    assert b"planted-secret" not in b"".join(server.objects.values())

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second"))
    capfd.readouterr()
    assert sweep(["list", "--results", url]) == 0
    assert sweep(["show", "s", "--results", url]) == 0
    told = capfd.readouterr()
    assert told.out.count("2") >= 2
    assert f"--results '{url}'" in told.err
    assert not list((tmp_path / "second").rglob("checkpoint"))
    assert sweep(["resume", "s", "--trials", "+1", "--quiet", "--results", url]) == 0
    assert sweep(["resume", "s", "--trials", "3", "--quiet", "--results", url]) == 0, "nothing is left to do"

    assert sweep(["fetch", f"{url}/s", "--results", str(tmp_path / "home")]) == 0
    assert [trial.state.name for trial in stored(tmp_path / "home")] == ["COMPLETE"] * 3
    assert list(StudyFolder(tmp_path / "home/s").trials.glob("*/checkpoint/best.json"))
    assert sweep(["fetch", f"{url}/s", "--results", str(tmp_path / "home")]) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rm", "s", "--yes"], "takes a folder for --results"),
        (["run", "x.py:X", "--detach", "--address", "1.2.3.4:5"], "keeps its results there"),
        (["run", "x.py:X", "--address", "ray://1.2.3.4:5"], "keeps its results there"),
        (["show", "nothing"], "no study 'nothing' at memory://"),
    ],
)
def test_what_cannot_be_done_with_a_store_is_said(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sweep([*arguments, "--results", "memory://none"]) == 2
    assert said in capfd.readouterr().err


def test_a_read_only_look_makes_no_lease(place: Place, tmp_path: Path) -> None:
    with mirrored(place, study(tmp_path / "a/s"), lambda *_: None):
        bring(place, "s", tmp_path / "b", whole=False)
    assert [name for name in place.names("s") if name.startswith("lease")] == ["lease-1.json"]
    assert replace(place, pauses_s=()).read("s/lease-1.json") is not None
