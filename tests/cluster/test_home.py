"""A home takes in what comes whole, holds drivers whatever kills them, and runs what may be asked.

Mutations that turn these red: settle a study over another; start a killed driver without end, or not at all; take up
what a living home of another version holds; let an argument name another folder.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.cli.afar import hear
from search.cli.leaving import _pause
from search.cli.main import main
from search.data.sql.snapshots import ENVIRONMENT as DATABASE
from search.errors import InputError, RefusedError, SurroundingsError, SweepError
from search.paths import StudyFolder
from search.records.study import read, status
from search.resume import prepare
from search.study.holder import start_of
from search.study.lock import acquire
from search.tuner.actors import _orders
from search.tuner.arriving import ABANDONED_S, Arrivals
from search.tuner.away import LineLost
from search.tuner.errands import Errands, Output
from search.tuner.held import RESTARTS, Drivers
from search.tuner.sending import send
from search.tuner.unused import UNUSED_S
from tests.cluster.near import Near, arrived, gone_on, launch_of, living_at

ENVIRONMENT, ROOT = dict(os.environ), Path(__file__).parents[2]


def wait_for(is_so: Callable[[], object], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- a study comes ---


def sent(arrivals: Arrivals, upload: str, study: str = "s") -> StudyFolder:
    """Send a study of one file."""
    arrivals.begin(upload, study, 1, (), rename=False)
    arrivals.receive(upload, "plan.json", 0, b'{"plan": {"objective": "a:b", "space": "a:c"}, "sent": {}}')
    return arrivals.settle(upload, study)


def test_parts_may_come_twice_and_in_any_order(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path)
    for offset, data in ((3, b"def"), (0, b"abc"), (3, b"def")):
        arrivals.receive("u", "project-1/a.py", offset, data)
    assert (tmp_path / ".arriving/u/project-1/a.py").read_bytes() == b"abcdef"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / ".arriving/u").rglob("*"))


def test_a_study_is_settled_once_though_it_is_asked_for_twice(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path)
    folder = sent(arrivals, "u")
    assert arrivals.settle("u", "s").root == folder.root
    assert json.loads(folder.plan.read_text())["plan"]["results"] == str(tmp_path)


def test_of_two_that_send_the_same_name_one_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path)
    arrivals.begin("late", "s", 1, (), rename=False)
    arrivals.receive("late", "plan.json", 0, b'{"plan": {"objective": "a:b", "space": "a:c"}, "sent": {}}')
    sent(arrivals, "early")
    with pytest.raises(RefusedError, match="study 's' exists already on the cluster"):
        arrivals.settle("late", "s")
    with pytest.raises(RefusedError, match="exists already"):
        arrivals.begin("third", "s", 1, (), rename=False)
    assert arrivals.begin("fourth", "s", 1, (), rename=True) == "s-2"
    assert {path.name for path in (tmp_path / ".arriving").iterdir()} == {"fourth"}


def test_a_name_that_nobody_chose_gets_a_number_though_it_is_taken_while_the_study_is_sent(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path)
    for upload in ("u1", "u2", "u3"):
        assert arrivals.begin(upload, "s", 1, (), rename=True) == "s"
        arrivals.receive(upload, "objective.py", 0, b"")
        plan = b'{"plan": {"objective": "objective.py:b", "space": "a:c"}, "sent": {}}'
        arrivals.receive(upload, "plan.json", 0, plan)
    for upload, name in (("u1", "s"), ("u2", "s-2"), ("u3", "s-3"), ("u2", "s-2")):  # the last answer was lost
        folder = arrivals.settle(upload, "s", rename=True)
        assert folder.name == name
        plan_here = json.loads(folder.plan.read_text())["plan"]
        assert (plan_here["study"], plan_here["objective"]) == (name, f"{folder.root}/objective.py:b")


def test_what_cannot_come_is_told_before_any_of_it_is_sent(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path)
    with pytest.raises(SurroundingsError, match=r"does not have \$\{NO_SUCH_SECRET\} in its environment"):
        arrivals.begin("u", "s", 1, ("NO_SUCH_SECRET", "PATH"), rename=False)
    with pytest.raises(SurroundingsError, match="MB free"):
        arrivals.begin("u", "s", 10**18, (), rename=False)
    assert not (tmp_path / ".arriving/u").exists()


def test_no_trial_sees_the_secrets_by_which_its_rows_were_read_where_they_come_from(tmp_path: Path) -> None:
    launch = launch_of(tmp_path / "laptop")
    (tmp_path / "laptop/rows.toml").write_text('key = "${KEY_OF_ROWS}"')
    for data, names in ((f"api:{tmp_path}/laptop/rows.toml", {"KEY_OF_ROWS"}), ("sql:x", {"PGPASSWORD", DATABASE})):
        elsewhere = replace(launch, plan=replace(launch.plan, data=data))
        stored = read(arrived(elsewhere, tmp_path / data[:3], tmp_path / f"sent-{data[:3]}"))
        goes_on = prepare(stored, stored.plan, accept_changes=False)
        assert set(_orders(goes_on, 1, None, None, gpus=None, queues=False).described) == names


@dataclass(frozen=True)
class Breaking(Near):
    """A line that breaks at a call, or over which an error comes back."""

    at: str = ""
    error: SweepError | None = None

    def call(self, method: str, *arguments: object) -> Any:
        if method == self.at and self.error is not None:
            raise self.error
        return super().call(method, *arguments)

    def aside(self, _: object) -> tuple[str, ...]:
        return ()


@pytest.mark.parametrize(
    ("at", "error", "said", "left"),
    [
        ("receive", LineLost("gone"), "was lost as study 's' was being sent; it does not run there", 1),
        ("launch", LineLost("gone"), "was lost as study 's' arrived", 1),
        ("launch", SurroundingsError("the disk is full"), "the disk is full", 0),
    ],
)
def test_of_a_study_that_did_not_come_it_is_said_how_far_it_came(
    tmp_path: Path, at: str, error: SweepError, said: str, left: int
) -> None:
    with living_at(tmp_path / "home") as near, pytest.raises(SurroundingsError, match=said):
        send(launch_of(tmp_path / "laptop"), Breaking(near.home, at=at, error=error))  # type: ignore[arg-type]
    assert len(list((tmp_path / "home/.arriving").iterdir())) == left


def test_what_was_cut_off_is_removed_a_day_later(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path)
    for upload in ("old", "new"):
        arrivals.receive(upload, "plan.json", 0, b"{")
    then = time.time() - ABANDONED_S - 60
    for path in (tmp_path / ".arriving/old/plan.json", tmp_path / ".arriving/old"):
        os.utime(path, (then, then))
    Arrivals(tmp_path)  # as the next home does
    assert {path.name for path in (tmp_path / ".arriving").iterdir()} == {"new"}


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside", "link/outside"])
def test_no_name_leads_out_of_what_arrives(tmp_path: Path, name: str) -> None:
    arrivals = Arrivals(tmp_path / "results")
    arrivals.receive("u", "plan.json", 0, b"{}")
    (tmp_path / "results/.arriving/u/link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out of"):
        arrivals.receive("u", name, 0, b"x")
    assert not (tmp_path / "outside").exists()


# --- its driver runs ---


class Homes:
    """The drivers of homes that share a results folder."""

    def __init__(self, results: Path) -> None:
        self._results, self.all = results, list[Drivers]()

    def of(self, version: str, at: str = "10.0.0.1:6379") -> Drivers:
        """Return those of a home that begins, on this cluster."""
        self.all.append(Drivers(self._results, version, {**ENVIRONMENT, "RAY_ADDRESS": at}))
        self.all[-1].take_up()
        return self.all[-1]


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Homes]:
    made = Homes(tmp_path)
    yield made
    for one in made.all:
        one.close()


def to_hold(results: Path) -> StudyFolder:
    """Have a study whose driver cannot go on with it, and says so."""
    folder = StudyFolder(results / "s")
    folder.root.mkdir(parents=True)
    folder.plan.write_text("{}")
    return folder


def pid_of(folder: StudyFolder) -> int:
    return int(json.loads((folder.root / "held.json").read_text())["pid"])


def ended(drivers: Drivers) -> Callable[[], bool]:
    def is_over() -> bool:
        drivers.look()
        return not drivers.is_held("s")

    return is_over


def started_again(drivers: Drivers, folder: StudyFolder, pid: int) -> Callable[[], bool]:
    def is_another() -> bool:
        drivers.look()
        return pid_of(folder) not in (0, pid)

    return is_another


def test_what_a_driver_says_at_its_end_is_known_to_whoever_asks(tmp_path: Path, homes: Homes) -> None:
    folder = to_hold(tmp_path)
    drivers = homes.of("v1")
    drivers.hold("s", request="r", at="ray://10.0.0.1:10001")
    drivers.hold("s", request="r")  # the same wish, whose answer was lost
    with pytest.raises(RefusedError, match="is being run"):
        drivers.hold("s", request="another")
    assert drivers.end("s") is None
    folder.ended.mkdir()  # as a full disk, it does not take what is to be noted there
    wait_for(ended(drivers))
    end = drivers.end("s")
    assert end is not None
    assert end.error is not None
    assert end.code == end.error["code"] == 3
    assert "plan.json" in end.error["message"]
    assert folder.held.exists()
    folder.ended.rmdir()
    drivers.look()
    assert not folder.held.exists()
    assert drivers.end("s") == homes.of("v2").end("s") == end
    drivers.hold("s", request="r")  # its answer was lost, and it is over
    assert not drivers.is_held("s")


def test_a_killed_driver_is_started_again_five_times_and_not_for_ever(tmp_path: Path, homes: Homes) -> None:
    folder = to_hold(tmp_path)
    drivers = homes.of("v1")
    drivers.hold("s")
    seen = []
    while drivers.is_held("s"):
        if (pid := pid_of(folder)) not in seen:
            os.kill(pid, signal.SIGKILL)
            seen.append(pid)
        time.sleep(0.02)
        drivers.look()
    assert len(seen) == RESTARTS + 1
    end = drivers.end("s")
    assert end is not None
    assert end.error is not None
    assert end.error["message"] == "the driver of study 's' was killed 6 times"
    log = folder.driver_log.read_text()
    assert log.count("was killed by signal 9; it is started again") == RESTARTS
    assert "it is not started again" in log


def test_a_driver_outlives_its_home_and_the_next_one_looks_after_it(tmp_path: Path, homes: Homes) -> None:
    folder = to_hold(tmp_path)
    before = homes.of("v1")
    before.hold("s")
    pid = pid_of(folder)
    before.close()  # as its kill would
    after = homes.of("v1")
    os.kill(pid, signal.SIGSTOP)
    after.look()
    assert pid_of(folder) == pid
    os.kill(pid, signal.SIGKILL)
    wait_for(started_again(after, folder, pid))
    wait_for(ended(after))


def test_a_home_leaves_alone_what_a_living_one_of_another_version_holds(tmp_path: Path, homes: Homes) -> None:
    folder = to_hold(tmp_path)
    old = homes.of("old")
    old.hold("s")
    os.kill(pid_of(folder), signal.SIGSTOP)
    new = homes.of("new")
    pid = pid_of(folder)
    os.kill(pid, signal.SIGKILL)
    for _ in range(3):
        new.look()
    assert pid_of(folder) == pid
    old.close()  # as its end would
    new.take_up()
    wait_for(started_again(new, folder, pid))
    wait_for(ended(new))


@pytest.mark.parametrize(("version", "at"), [("v1", "10.0.0.1:6379"), ("v1", "10.0.0.2:6379"), ("v2", "10.0.0.2:6379")])
def test_of_two_homes_on_a_folder_one_looks_after_a_driver(tmp_path: Path, homes: Homes, version: str, at: str) -> None:
    folder = to_hold(tmp_path)
    first, second = homes.of("v1"), homes.of(version, at)
    first.hold("s")
    os.kill(pid := pid_of(folder), signal.SIGKILL)
    if at != "10.0.0.1:6379":
        first.close()  # a home of another cluster would start it there
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    for _ in range(3):
        second.look()
    assert pid_of(folder) == pid
    third = homes.of("v1") if at != "10.0.0.1:6379" else first
    wait_for(started_again(third, folder, pid))
    wait_for(ended(third))


def test_a_driver_whose_home_was_killed_as_it_began_it_is_known_by_its_lock(tmp_path: Path, homes: Homes) -> None:
    folder = to_hold(tmp_path)
    drivers = homes.of("v1")
    drivers.hold("s")
    wait_for(ended(drivers))
    held = {"home": f"v1@{socket.gethostname()}@10.0.0.1:6379", "pid": 0}
    (folder.root / "held.json").write_text(json.dumps(held))
    with acquire(folder.root, study="s"):
        drivers.look()
        assert pid_of(folder) == os.getpid()
        drivers.look()
        assert pid_of(folder) == os.getpid()


def test_a_home_ends_once_nothing_runs_and_nobody_has_asked_for_long(tmp_path: Path) -> None:
    folder = to_hold(tmp_path)
    with living_at(tmp_path) as near:
        soon, late = time.monotonic() + UNUSED_S - 5, time.monotonic() + UNUSED_S + 60
        assert not near.home.is_unused(soon)
        assert near.home.is_unused(late)
        assert near.home.answer("results") == str(tmp_path)
        near.home.hold("s")
        assert not near.home.is_unused(late)
        wait_for(lambda: not folder.held.exists())
        assert near.home.is_unused(late + 60)


# --- it is looked at and asked about ---


def answer(errands: Errands, *asked: object) -> Output:
    """Ask, and return all that is printed once it has ended."""
    identity = uuid.uuid4().hex
    errands.ask(identity, *asked)  # type: ignore[arg-type]
    return heard(errands, identity)


def heard(errands: Errands, identity: str) -> Output:
    out, err = b"", b""
    while True:
        output = errands.output(identity, len(out), len(err))
        assert errands.output(identity, len(out), len(err)).out.startswith(output.out)  # the answer was lost
        out, err = out + output.out, err + output.err
        if output.code is not None:
            return Output(out, err, output.code)
        time.sleep(0.05)


def test_a_command_runs_where_the_studies_are_and_names_the_cluster(tmp_path: Path) -> None:
    folder = arrived(launch_of(tmp_path / "laptop"), tmp_path / "home", tmp_path / "scratch")
    gone_on(folder)
    errands, at = Errands(folder.root.parent, ENVIRONMENT), "ray://10.0.0.1:10001"
    output = answer(errands, "show", ["s"], [], at)
    assert output.code == 0
    assert b"2 complete" in output.out
    assert f"sweep show s --trial best --address {at}".encode() in output.err
    output = answer(errands, "show", ["none"], ["--json"], at)
    assert output.code == 2
    assert f"`sweep list --address {at}`" in json.loads(output.err)["error"]["hint"]


def test_a_command_whose_asker_has_gone_is_ended_and_forgotten(tmp_path: Path) -> None:
    errands = Errands(tmp_path, ENVIRONMENT)
    errands.ask("one", "list", [], [], "")

    def is_forgotten() -> bool:
        errands.look(left_s=0.0)
        return not list((tmp_path / ".asked").iterdir())

    wait_for(is_forgotten)
    with pytest.raises(SurroundingsError, match="started again"):
        errands.output("one", 0, 0)


def test_what_is_asked_for_twice_by_one_id_is_done_once(tmp_path: Path) -> None:
    folder = arrived(launch_of(tmp_path / "laptop"), tmp_path / "home", tmp_path / "scratch")
    gone_on(folder, trials=1)
    errands = Errands(folder.root.parent, ENVIRONMENT)
    for _ in range(2):
        errands.ask("one", "enqueue", ["s"], ["--", "C=1"], "")
    assert heard(errands, "one").code == 0
    assert status(read(folder)).trials["waiting"] == 1
    with pytest.raises(RefusedError, match="is held by its home"):
        errands.ask("two", "resume", ["s"], [], "")
    with pytest.raises(InputError, match="an id is"):
        errands.ask("../two", "list", [], [], "")


@pytest.mark.parametrize("is_home_alive", [True, False])
def test_a_command_of_a_home_that_was_killed_is_ended_by_the_next_one(tmp_path: Path, is_home_alive: bool) -> None:
    with subprocess.Popen(["sleep", "60"]) as errand:
        run = [
            {"host": socket.gethostname(), "pid": pid, "started": started}
            for pid, started in ((errand.pid, start_of(errand.pid)), (os.getpid(), start_of(os.getpid())))
        ]
        if not is_home_alive:
            run[1]["started"] = -1.0
        (tmp_path / ".asked/one").mkdir(parents=True)
        (tmp_path / ".asked/one/run.json").write_text(json.dumps(run))
        Errands(tmp_path, ENVIRONMENT).clean()
        if is_home_alive:
            assert errand.poll() is None
            errand.kill()
        assert errand.wait(20) == (-signal.SIGKILL if is_home_alive else -signal.SIGTERM)
    assert (tmp_path / ".asked/one").exists() == is_home_alive


def test_a_stop_waits_for_a_driver_that_has_just_been_begun(tmp_path: Path) -> None:
    folder = arrived(launch_of(tmp_path / "laptop"), tmp_path / "home", tmp_path / "scratch")
    folder.held.write_text("{}")
    asked = threading.Event()

    def begin() -> None:
        time.sleep(0.5)
        with acquire(folder.root, study="s"):
            wait_for(lambda: folder.wishes.exists() and any(folder.wishes.iterdir()))
            folder.held.unlink()
            asked.set()

    driver = threading.Thread(target=begin, daemon=True)
    driver.start()
    main(["stop", "s", "--results", str(folder.root.parent)])
    assert asked.wait(1)
    driver.join()


def test_a_letter_that_comes_in_two_parts_is_printed_whole(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    said = "größe\n".encode()
    for part in (said[:3], said[3:]):
        hear(Output(part, part, None))
    assert capsysbinary.readouterr() == (said, said)


FULL = """
import os, sys
from pathlib import Path
from search.errors import SurroundingsError
from search.tuner.home import Home

home = Home("v1", "10.0.0.1:6379")
room = os.open(Path(sys.argv[1], "full"), os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(room, b" " * 512)
except OSError:
    os.close(room)
for call in (("ask", "one", "list", [], []), ("begin", "two", "s", 1, [], False)):
    try:
        home.answer(*call)
    except SurroundingsError as fault:
        sys.stdout.write(fault.message + chr(10))
os.unlink(Path(sys.argv[1], "full"))
home.answer("ask", "three", "list", [], [])
"""


def test_a_full_disk_of_the_head_is_told_as_that(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=100k tmpfs "$0" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, str(tmp_path)]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    command += [sys.executable, "-c", FULL, str(tmp_path)]
    results = {**ENVIRONMENT, "SWEEP_RESULTS": str(tmp_path)}
    ended = subprocess.run(command, text=True, capture_output=True, cwd=ROOT, env=results, timeout=100)
    assert ended.returncode == 0, ended.stderr
    full, small = ended.stdout.splitlines()
    assert full == f"on the cluster's head: no space left on {tmp_path}: 0.0 MB free"
    assert small.startswith("the study takes 0 MB, and the cluster's head has 0 MB free")


def test_what_was_over_before_it_could_be_paused_is_not_called_paused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = arrived(launch_of(tmp_path / "laptop"), tmp_path / "home", tmp_path / "scratch")
    gone_on(folder)
    with living_at(folder.root.parent) as near:
        assert _pause(near, "s", as_json=True) == 130  # type: ignore[arg-type]
    err = capsys.readouterr().err
    assert "the study is over on ray://10.0.0.1:10001" in err
    assert "sweep resume" not in err


def test_what_keeps_a_study_from_beginning_is_said_to_whoever_would_pause_it_and_in_the_list(tmp_path: Path) -> None:
    folder = arrived(launch_of(tmp_path / "laptop"), tmp_path / "home", tmp_path / "scratch")
    (folder.root / "project-1/model.py").unlink()
    with living_at(folder.root.parent) as near:
        near.home.hold("s")
        with pytest.raises(InputError, match=r"model\.py") as caught:
            _pause(near, "s", as_json=True)  # type: ignore[arg-type]
        found = status(read(folder))
        folder.journal.touch()
        near.home.withdraw("s")
        assert folder.exists()  # it was opened once
        folder.journal.unlink()
        near.home.withdraw("s")
        assert not folder.root.exists()
    assert (found.state, found.why_stopped) == ("interrupted", caught.value.message)


def test_a_study_is_seen_from_elsewhere_as_it_stands(tmp_path: Path) -> None:
    folder = arrived(launch_of(tmp_path / "laptop"), tmp_path / "home", tmp_path / "scratch")
    with living_at(folder.root.parent) as near:
        before = near.home.look("s")
        gone_on(folder)
        after = near.home.look("s")
        assert near.home.name_of("s") == "s"
    assert before.status is None or before.status.trials["complete"] == 0
    assert after.status is not None
    assert after.status.trials["complete"] == len(read(folder).records) == 2
    assert (after.held, after.begun) == (False, False)
