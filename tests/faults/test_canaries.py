"""Secrets that a sweep over a cluster uses are in no byte that it, Ray or the user's trials leave or show."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import postgres
from tests.faults.rain import rain
from tests.tuner.walled import ADDRESS, HEAD, SWEEP, Walled, walled

OBJECTIVE = rain(
    head="""
import os
from pathlib import Path

SECRETS = Path(__file__).parent / "secrets.toml"
KEY = SECRETS.read_text() if SECRETS.exists() else "none came along"
SEEN_AT_IMPORT = dict(os.environ)
""",
    fit="""
print("a trial sees", KEY, dict(os.environ), SEEN_AT_IMPORT)
if self.x > 0.5:
    raise RuntimeError(f"a trial fails, and tells {KEY} {dict(os.environ)}")
""",
    data='source.table("")',
)

API = f"""
url = "http://{HEAD}:7070/rows"
[headers]
Authorization = "Bearer ${{API_KEY_OF_TEST}}"
"""

SERVER = """
import hashlib, json
from http.server import BaseHTTPRequestHandler, HTTPServer
def say(kind, text):
    with open("/mnt/served.txt", "a") as file:
        file.write(f"{kind} {hashlib.sha256(text.encode()).hexdigest()}\\n")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        say("api", self.headers.get("Authorization", "").removeprefix("Bearer "))
        self.answer(json.dumps([{"a": i, "b": i % 7, "y": i % 2} for i in range(60)]).encode())
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        say("hook", self.path.removeprefix("/"))
        self.answer(b"")
    def answer(self, content):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *_):
        pass
HTTPServer(("10.88.0.1", 7070), Handler).serve_forever()
"""

# What Ray's own store knows: jobs with their runtime environments, and the packages that it keeps for them.
ASK_RAY = f"""
import sys, ray
ray.init("{ADDRESS}", log_to_driver=False, logging_level="ERROR")
from ray._private.worker import global_worker
client = global_worker.gcs_client
print(client.get_all_job_info())
for namespace in (None, b"fun", b"session", b"job", b"_ray_internal_pkg", b"cluster", b"runtime_env"):
    for key in client.internal_kv_keys(b"", namespace):
        sys.stdout.write(repr((key, client.internal_kv_get(key, namespace))) + chr(10))
for key in client.internal_kv_keys(b"gcs://", None) + client.internal_kv_keys(b"gcs://", b"_ray_internal_pkg"):
    print("package", key)
"""

CANARIES = {
    "token": "7c4a" * 16,  # Ray takes any text, of hexadecimal digits by habit
    "hook": "canary-of-the-hook-19b7",
    "api": "canary-of-the-api-83d2",
    "database": postgres.PASSWORD,
    "project": "canary-of-the-project-55f0",
    "environment": "canary-of-the-environment-6a1e",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """What is left of sweeps that used all secrets.

    Attributes:
        cluster: Where they ran.
        said: What each command printed, by its name.
        codes: Its exit code.
        used: Hashes of what the servers were shown, by kind.
        commands: Command lines of all processes meanwhile.
    """

    cluster: Walled
    said: dict[str, str]
    codes: dict[str, int]
    used: dict[str, set[str]]
    commands: set[str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("walled")
    work = folder / "work"
    work.mkdir()
    (work / "rain.py").write_text(OBJECTIVE)
    (work / "pyproject.toml").write_text('[tool.sweep]\nship = ["*.toml"]\n')
    (work / "secrets.toml").write_text(CANARIES["project"])
    (work / "rows.toml").write_text(API)
    port = urlsplit(postgres_url).port
    (socket,) = Path(tempfile.gettempdir()).glob(f"sweep-pg-*/.s.PGSQL.{port}")
    storage = f"postgresql://sweep@/postgres?host={socket.parent}&port={port}"
    known = {"PGPASSWORD": CANARIES["database"]}
    drivers = {
        **known,
        "HOOK_OF_TEST": CANARIES["hook"],
        "API_KEY_OF_TEST": CANARIES["api"],
        "KEY_OF_ANN": CANARIES["environment"],
    }
    with walled(folder, token=CANARIES["token"]) as cluster:
        everywhere = {**drivers, "RAY_AUTH_TOKEN": cluster.token}
        del everywhere["KEY_OF_ANN"]  # the others are in the environment of the node as well: a worker inherits them
        cluster.start_head(env=everywhere)
        cluster.start(sys.executable, "-c", SERVER)
        commands: set[str] = set()
        over = threading.Event()
        processes = Path(f"/proc/{cluster.first.pid}/root/proc")  # those inside the walls alone
        watch = threading.Thread(target=_watch, args=(processes, commands, over), daemon=True)
        watch.start()
        said, codes = {}, {}
        launch = [
            *("run", "work/rain.py", "--data", "api:work/rows.toml", "--target", "y", "--seed", "3", "--trials", "3"),
            *("--address", ADDRESS, "--max-epochs", "2", "--notify", f"http://{HEAD}:7070/${{HOOK_OF_TEST}}"),
        ]
        for name, command in {
            "run": [*launch, "--study", "s", "--storage", storage],
            "show": ["show", "s", "--json"],
            "report": ["report", "s"],
            "refused": [*launch, "--study", "t", "--storage", storage.replace("sweep@", "nobody@")],
        }.items():
            done = cluster.run(*SWEEP, *command, env=drivers)
            said[name], codes[name] = done.stdout + done.stderr, done.returncode
        ray = cluster.run(sys.executable, "-c", ASK_RAY)
        said["ray"], codes["ray"] = ray.stdout + ray.stderr, ray.returncode
        over.set()
        watch.join()
        used: dict[str, set[str]] = {}
        for line in (folder / "served.txt").read_text().splitlines():
            kind, digest = line.split()
            used.setdefault(kind, set()).add(digest)
        yield Ran(cluster, said, codes, used, commands)


def _watch(processes: Path, commands: set[str], over: threading.Event) -> None:
    while not over.is_set():
        for process in processes.glob("[0-9]*"):
            try:
                commands.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
        time.sleep(0.1)


def test_each_secret_is_really_used(ran: Ran) -> None:
    assert ran.codes["run"] == 0, ran.said["run"]
    assert ran.codes["ray"] == 0, ran.said["ray"]
    assert "package" in ran.said["ray"]
    for kind in ("hook", "api"):
        assert ran.used[kind] == {hashlib.sha256(CANARIES[kind].encode()).hexdigest()}
    assert ran.codes["refused"] == 3, "the database asks for a password: another user's is wrong"
    logs = [path.read_text() for path in (ran.cluster.folder / "head-results" / "s").rglob("log.txt")]
    assert any("a trial sees none came along" in text for text in logs), "the project's secrets stayed at home"
    errors = [path.read_text() for path in (ran.cluster.folder / "head-results" / "s").rglob("error.txt")]
    assert any("a trial fails, and tells none came along" in text for text in errors)
    refused = ran.cluster.run(sys.executable, "-c", ASK_RAY, env={"RAY_AUTH_TOKEN": "0" * 64})
    assert refused.returncode != 0, "the token is asked for"


def test_a_trial_sees_what_it_may_need_of_the_environment(ran: Ran) -> None:
    (log, *_) = [path.read_text() for path in (ran.cluster.folder / "head-results" / "s").rglob("log.txt")]
    assert "'SWEEP_RESULTS'" in log
    assert not re.search(r"'(RAY_AUTH_TOKEN|PGPASSWORD|HOOK_OF_TEST)'", log)


@pytest.mark.parametrize("name", CANARIES)
def test_no_output_of_a_command_holds_a_secret(ran: Ran, name: str) -> None:
    assert [command for command, text in ran.said.items() if CANARIES[name] in text] == []


@pytest.mark.parametrize("name", CANARIES)
def test_no_command_line_of_any_process_holds_a_secret(ran: Ran, name: str) -> None:
    ours = [line for line in ran.commands if CANARIES[name] in line]
    assert ours == []


@pytest.mark.parametrize("name", CANARIES)
def test_no_file_that_is_left_holds_a_secret(ran: Ran, name: str) -> None:
    """Results, Ray's session with its logs and packages, and temporary folders."""
    own = {"token": "home/token", "project": "work/secrets.toml"}.get(name)
    hits = [
        path.relative_to(ran.cluster.folder).as_posix()
        for path in ran.cluster.folder.rglob("*")
        if path.is_file() and any(CANARIES[name].encode() in content for content in _contents(path))
    ]
    assert hits == ([own] if own else [])


def _contents(path: Path) -> Iterator[bytes]:
    """Yield a file, and what is packed in it."""
    try:
        yield path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                yield from map(packed.read, packed.namelist())
    except OSError:  # a socket, or gone
        return


def test_the_database_keeps_no_secret(ran: Ran, postgres_url: str) -> None:
    psql = postgres.binaries()
    assert psql is not None
    dump = subprocess.run(
        [psql / "pg_dump", postgres_url, "--data-only"], capture_output=True, text=True, check=True
    ).stdout
    assert "train.x" in dump
    assert [name for name, canary in CANARIES.items() if canary in dump] == []
