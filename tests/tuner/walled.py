"""A Ray cluster with a token in a network, a process space and folders of its own: the `Walled`.

All that its processes write lies below one folder of the test, which they see as `/mnt`, and all of them end with it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import pytest

HEAD: Final = "10.88.0.1"
NODE: Final = "10.88.0.2"
ADDRESS: Final = f"{HEAD}:6379"
OUTSIDE: Final = f"ray://{HEAD}:10001"
SWEEP: Final = (sys.executable, "-m", "search")

_RAY: Final = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats")
_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_SET_UP: Final = """
set -e
mount --bind "$1" /mnt
ip link set lo up
ip address add "$2/32" dev lo
ip address add "$3/32" dev lo
touch /mnt/is-set-up
exec sleep infinity
"""


@dataclass(slots=True, eq=False)
class Walled:
    """A cluster inside its walls.

    Attributes:
        folder: All that its processes write, and the test's own projects; inside it is `/mnt`.
        first: Its first process, with which all others end.
        token: That lets in.
        env: Of all its processes.
    """

    folder: Path
    first: psutil.Process
    token: str
    env: dict[str, str]
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command inside."""
        enter = ["nsenter", "-t", str(self.first.pid), "-n", "-m", "-p", "env", "-C", "/mnt", *command]
        process = subprocess.Popen(
            enter,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.env, **(env or {})},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end."""
        process = self.start(*command, env=env)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def start_head(self, *, cpus: int = 2, env: Mapping[str, str] | None = None) -> None:
        command = (*_RAY, "--head", f"--node-ip-address={HEAD}", "--port=6379", "--include-dashboard=false")
        self._start_ray(
            *command, "--ray-client-server-port=10001", "--temp-dir=/mnt/ray", f"--num-cpus={cpus}", env=env
        )

    def start_node(self, *, hidden: str = "", cpus: int = 1) -> None:
        """Start a second node, which sees a folder empty."""
        hide = f"mount -t tmpfs tmpfs {hidden}; " if hidden else ""
        own = ("unshare", "-m", "sh", "-c", f'{hide}exec "$@"', "-")
        self._start_ray(*own, *_RAY, f"--address={ADDRESS}", f"--node-ip-address={NODE}", f"--num-cpus={cpus}")

    def end(self) -> None:
        """Wait for all that was started; its first process has ended."""
        for process in self._started:
            process.kill()
            process.communicate(timeout=10)

    def _start_ray(self, *command: str, env: Mapping[str, str] | None = None) -> None:
        process = self.start(*command, env=env)
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "Ray runtime started" in line:
                return
        raise AssertionError("".join(seen) + (process.stderr.read() if process.stderr else ""))


@contextmanager
def walled(folder: Path, token: str | None = None, **env: str) -> Iterator[Walled]:
    """Have a network of this machine's own, with nothing in it yet.

    Args:
        folder: An empty one.
        token: Of the cluster; a random one if not given.
        env: Further environment of all its processes.
    """
    if shutil.which("ip") is None or subprocess.run(["unshare", "-nmp", "--fork", "true"], check=False).returncode:
        pytest.skip("this machine gives no namespaces")
    for name in ("home", "tmp", "ray"):
        (folder / name).mkdir(mode=0o700)
    token = token or secrets.token_hex(32)
    (folder / "home" / "token").write_text(token)
    (folder / "home" / "token").chmod(0o600)
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    env = {
        **inherited,
        "HOME": "/mnt/home",
        "TMPDIR": "/mnt/tmp",
        "PYTHONPATH": str(_CHECKOUT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": "/mnt/home/token",
        "SWEEP_RESULTS": "/mnt/head-results",
        **env,
    }
    command = ["unshare", "-nmp", "--fork", "--kill-child", "--mount-proc", "sh", "-c", _SET_UP, "-"]
    outer = subprocess.Popen([*command, str(folder), HEAD, NODE], start_new_session=True)
    try:
        until = time.monotonic() + 10
        while not (folder / "is-set-up").exists():
            assert time.monotonic() < until
            assert outer.poll() is None
            time.sleep(0.02)
        (first,) = psutil.Process(outer.pid).children()
        inside = Walled(folder, first, token, env)
        try:
            yield inside
        finally:
            first.kill()
            inside.end()
    finally:
        outer.kill()
        outer.wait(10)
