"""A cluster of several machines on this one: each has a network, a disk, a host name and processes of its own.

A `Machine` is a set of Linux namespaces with an address of a private range, which exists inside them only. Its `/tmp`
and its home are its own and empty. Of this checkout it sees what is installed beside it; the sources only if it is
told to. Whatever runs in it ends with its first process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

CHECKOUT: Final = Path(__file__).resolve().parents[2]
TOKEN: Final = "9f2c" * 16
PORT: Final = 6379
CLIENT_PORT: Final = 10001

RAY: Final = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats")

_NETWORK: Final = "10.77.0"
_SOURCES: Final = (
    CHECKOUT / "search",
    CHECKOUT / "objectives",
    CHECKOUT / "spaces",
    CHECKOUT / "tests",
    CHECKOUT / "results",
    Path(sysconfig.get_path("purelib")) / "search",
)

# Run in the new namespaces, before anything else; its arguments are what to keep of home and /tmp, and what to hide.
_SET_UP: Final = """
set -e
hostname "$1"; home="$2"; kept="$3"; shift 3
mount -t tmpfs -o size=1m tmpfs /mnt
i=0; for one in $kept; do i=$((i + 1)); mkdir /mnt/$i; mount --bind "$one" /mnt/$i; done
mount -t tmpfs -o size=64m tmpfs "$home"
mount -t tmpfs -o size=2g tmpfs /tmp
i=0; for one in $kept; do i=$((i + 1)); mkdir -p "$one"; mount --move /mnt/$i "$one"; done
for hidden in "$@"; do mount -t tmpfs -o size=1m tmpfs "$hidden"; done
mount -t tmpfs -o size=1g tmpfs /dev/shm
chmod 1777 /tmp /dev/shm
umask 077
echo -n "$RAY_TOKEN_OF_TEST" > /tmp/token
ip link set lo up
touch /tmp/is-set-up
exec sleep infinity
"""


def missing() -> str:
    """Say what this machine lacks to be several; "" if nothing."""
    if shutil.which("ip") is None:
        return "no `ip` (package iproute2)"
    probe = ["unshare", "-nmup", "--fork", "ip", "link", "add", "name", "probe0", "type", "bridge"]
    lacks = subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode
    return "namespaces are not allowed here" if lacks else ""


@dataclass(slots=True, eq=False)
class Machine:
    """A machine of the test's.

    Attributes:
        name: What it calls itself.
        address: In the private network.
        first: Its first process, with which all others end.
        ray: The process that holds its part of Ray, once there is one.
    """

    name: str
    address: str
    first: psutil.Process
    ray: subprocess.Popen[str] | None = None
    _outer: subprocess.Popen[bytes] | None = None
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def path(self, inside: str) -> Path:
        """Return where this process sees a file of the machine's."""
        return Path(f"/proc/{self.first.pid}/root") / inside.lstrip("/")

    def start(self, *command: str, folder: str = "/tmp", env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command on the machine, in one of its folders."""
        enter = ["nsenter", "-t", str(self.first.pid), "-n", "-m", "-u", "-p", "env", "-C", folder]
        process = subprocess.Popen(
            [*enter, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment(), **(env or {})},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *command: str, folder: str = "/tmp", timeout_s: float = 120.0) -> str:
        """Run a command on the machine and return what it prints; it has to end well."""
        process = self.start(*command, folder=folder)
        out, err = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, f"{command} on {self.name}: {out}\n{err}"
        return out

    def process(self, title: str) -> psutil.Process:
        """Return the one process of the machine with this text in its command line."""
        (found,) = self.processes(title)
        return found

    def processes(self, title: str) -> list[psutil.Process]:
        """Return the processes of the machine with this text in their command lines."""
        found = []
        for one in _members(self.first.pid):
            try:
                if title in " ".join(one.cmdline()):
                    found.append(one)
            except psutil.Error:
                continue
        return found

    def end(self) -> None:
        """Take it away, as a power cut would."""
        with suppress(psutil.Error):
            self.first.kill()
        if self._outer is not None:
            self._outer.kill()
            self._outer.wait(10)
        for started in self._started:
            started.kill()
            started.communicate(timeout=10)


@dataclass(slots=True, eq=False)
class Network:
    """A private network of machines; its switch is in a namespace of its own.

    Attributes:
        head: Where the cluster's head is, or is to be.
        nodes: The other machines of the cluster, in the order in which they came.
    """

    switch: Machine
    system: Mapping[str, Any]
    machines: list[Machine] = field(default_factory=list)
    nodes: list[Machine] = field(default_factory=list)

    @property
    def head(self) -> Machine:
        return self.machines[0]

    @property
    def address(self) -> str:
        """The cluster's address on its machines."""
        return f"{self.head.address}:{PORT}"

    @property
    def outside(self) -> str:
        """The cluster's address for a machine that is no part of it."""
        return f"ray://{self.head.address}:{CLIENT_PORT}"

    def add(self, name: str, *, sources: bool) -> Machine:
        """Connect another machine, which sees this checkout's sources or does not."""
        machine = _machine(name, f"{_NETWORK}.{len(self.machines) + 1}", sources=sources)
        self.machines.append(machine)
        here, there = f"v{len(self.machines)}", "eth0"
        _ip(self.switch, "link", "add", here, "type", "veth", "peer", "name", there, "netns", str(machine.first.pid))
        _ip(self.switch, "link", "set", here, "master", "br0", "up")
        _ip(machine, "addr", "add", f"{machine.address}/24", "dev", there)
        _ip(machine, "link", "set", there, "up")
        return machine

    def begin_head(self, *, cpus: int, gpus: int = 0) -> None:
        """Start Ray on the head."""
        system = json.dumps(self.system)
        ports = (f"--port={PORT}", f"--ray-client-server-port={CLIENT_PORT}", "--include-dashboard=false")
        self._begin(self.head, "--head", *ports, f"--system-config={system}", cpus=cpus, gpus=gpus)

    def add_node(self, name: str, *, cpus: int, gpus: int = 0, wait: bool = True) -> Machine:
        """Add a machine that sees no sources to the cluster."""
        machine = self.add(name, sources=False)
        self.nodes.append(machine)
        self._begin(machine, f"--address={self.address}", cpus=cpus, gpus=gpus)
        if wait:
            self.wait_for(machine)
        return machine

    def wait_for(self, machine: Machine) -> None:
        """Wait until a machine's part of Ray is up."""
        log = machine.path("/tmp/ray.log")
        until(lambda: log.exists() and "Ray runtime started" in log.read_text(), f"Ray on {machine.name}", log)

    def cut(self, machine: Machine) -> None:
        """Take the cable of a machine out."""
        _ip(self.switch, "link", "set", f"v{self.machines.index(machine) + 1}", "down")

    def heal(self, machine: Machine) -> None:
        """Put the cable of a machine in again."""
        _ip(self.switch, "link", "set", f"v{self.machines.index(machine) + 1}", "up")

    def _begin(self, machine: Machine, *flags: str, cpus: int, gpus: int) -> None:
        own = (f"--node-ip-address={machine.address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}")
        memory = ("--object-store-memory=100000000", "--memory=1000000000")
        command = " ".join(f"'{part}'" for part in (*RAY, *own, *memory, *flags))
        machine.ray = machine.start("sh", "-c", f"exec {command} > /tmp/ray.log 2>&1")


def environment() -> dict[str, str]:
    """Return the environment of what runs on a machine."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    return {**kept, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/tmp/token", "PYTHONDONTWRITEBYTECODE": "1"}


def until(true: Callable[[], bool], what: str, log: Path | None = None, *, seconds: float = 60.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}{': ' + log.read_text()[-2000:] if log else ''}")
        time.sleep(0.2)  # it may read a whole study


@contextmanager
def network(system: Mapping[str, Any] | None = None) -> Iterator[Network]:
    """Have a private network, with a machine that is to be the cluster's head and sees this checkout.

    Args:
        system: Settings of Ray's own, for all of the cluster.
    """
    made = Network(_machine("switch", "", sources=False), system or {})
    try:
        _ip(made.switch, "link", "add", "br0", "type", "bridge")
        _ip(made.switch, "link", "set", "br0", "up")
        made.add("head", sources=True)
        yield made
    finally:
        for machine in (*made.machines, made.switch):
            machine.end()


def _machine(name: str, address: str, *, sources: bool) -> Machine:
    home = Path.home()
    kept = [str(path) for path in _kept() if path.is_relative_to(home) or path.is_relative_to("/tmp")]
    hidden = () if sources else tuple(str(path) for path in _SOURCES if path.is_dir())
    apart = ("setpriv", "--pdeathsig", "KILL", "unshare", "-nmup", "--fork", "--kill-child", "--mount-proc")
    outer = subprocess.Popen(
        [*apart, "sh", "-c", _SET_UP, "sh", name, str(home), " ".join(kept), *hidden],
        stdin=subprocess.DEVNULL,
        env={**environment(), "RAY_TOKEN_OF_TEST": TOKEN},
        start_new_session=True,
    )
    until(lambda: bool(psutil.Process(outer.pid).children()), f"machine {name}")
    machine = Machine(name, address, psutil.Process(outer.pid).children()[0], _outer=outer)
    until(lambda: machine.path("/tmp/is-set-up").exists() and machine.first.name() == "sleep", f"machine {name}")
    return machine


def _kept() -> list[Path]:
    """Return where Python, its packages and the checkout lie, none of them within another."""
    every = sorted({CHECKOUT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()})
    return [one for one in every if not any(one != other and one.is_relative_to(other) for other in every)]


def _members(first: int) -> Iterator[psutil.Process]:
    """Return all processes of the machine whose first process this is."""
    mine = Path(f"/proc/{first}/ns/pid").stat().st_ino
    for one in psutil.process_iter():
        try:
            if Path(f"/proc/{one.pid}/ns/pid").stat().st_ino == mine:
                yield one
        except OSError:
            continue


def _ip(machine: Machine, *arguments: str) -> None:
    subprocess.run(["nsenter", "-t", str(machine.first.pid), "-n", "ip", *arguments], check=True)
