"""Bring up the head of a cluster on this machine, or join one as a node, and take down what was brought up.

`ray start` of this environment does the starting; `ray stop`, which ends every Ray of the machine, is never called.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from search.errors import InputError, RefusedError, SurroundingsError
from search.study.lock import start_of
from search.tuner import tls, tokens
from search.tuner.door import OF_GCS, Answer, knock, pass_door
from search.tuner.known import LOOPBACK, RAY_ADDRESS, Known, all_known, folder_of_user, of_session, record_of
from search.tuner.ports import DASHBOARD_PORT
from search.tuner.reach import answers, check_address, split
from search.tuner.takedown import end, forget, stop

_CLOSED: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",  # figures of a node, for everybody
    "DASHBOARD_METRIC_PORT": "-1",  # those of the dashboard, likewise: no such port, and so no server
}
"""What keeps servers away that ask for no token."""

_ALONE: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable without which Ray takes an address that others reach in place of loopback."""

PATIENCE: Final = {"health_check_period_ms": 1000}
"""Of Ray with a machine: about 5 s where its Ray has died, 15 s by default; as long as by default if it is silent."""

_WORKER_PORTS: Final = range(10002, 20000)
"""Those that Ray gives its workers, by default."""

_START_S: Final = 90.0
_READY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a head or a node is to be.

    Attributes:
        host: Address of this machine that it is to have in the cluster.
        cpus: CPUs that trials may have; None for all.
        gpus: GPUs that trials may have; None for all.
        token: File of the cluster's token; None to make one.
    """

    host: str
    cpus: int | None = None
    gpus: int | None = None
    token: Path | None = None

    def flags(self) -> list[str]:
        """Return them for `ray start`."""
        named = {"--node-ip-address": self.host, "--num-cpus": self.cpus, "--num-gpus": self.gpus}
        return [f"{flag}={value}" for flag, value in named.items() if value is not None]


def own_address(host: str | None, interface: str | None) -> str:
    """Return the address of this machine that `--host` or `--interface` names; loopback where neither does.

    Raises:
        InputError: This machine has no such address or interface, or it is none of one interface.
    """
    import psutil

    if interface is not None:
        addresses = psutil.net_if_addrs()
        found = [one.address for one in addresses.get(interface, ()) if one.family is socket.AF_INET]
        if host is not None or not found:
            said = f"--interface names one with an IPv4 address, got {interface!r}"
            hint = "give --host or --interface, not both" if host is not None else f"known: {', '.join(addresses)}"
            raise InputError(said, field="--interface", hint=hint)
        return found[0]
    if host is None:
        return LOOPBACK
    try:
        address = socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0]
        with socket.socket() as tried:
            tried.bind((str(address), 0))
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host takes an address of this machine, got {host!r}", field="--host") from error
    if address == "0.0.0.0":
        raise InputError("--host takes one address, by which the others know this machine", field="--host")
    return str(address)


def way_to(address: str) -> str:
    """Return the address of this machine from which it reaches another one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.connect(split(address))
        except (OSError, UnicodeError) as error:
            raise SurroundingsError(f"there is no way to {address}", hint="is the network up?") from error
        return str(tried.getsockname()[0])


def start(
    asked: Asked, port: int, client_port: int, *, dashboard: bool = False, encrypted: tls.Files | None = None
) -> Known:
    """Bring up the head of a new cluster.

    Args:
        asked: What it is to be.
        port: Of its GCS, for the machines that join.
        client_port: For those who come from outside.
        dashboard: Whether to have one, on loopback.
        encrypted: Certificates that all connections are to use; None for no TLS.

    Raises:
        InputError: The ports are the same, or one of those of Ray's workers.
        RefusedError: We have one there already.
        SurroundingsError: A port is taken, or Ray does not start.
    """
    _check_ports(port, client_port)
    address = f"{asked.host}:{port}"
    record = record_of("head", asked.host, address)
    _refuse_running(record, "head")
    if dashboard:
        _check_dashboard()
    for one in (port, client_port, *([DASHBOARD_PORT] if dashboard else [])):
        if answers(f"{LOOPBACK if one == DASHBOARD_PORT else asked.host}:{one}"):
            raise SurroundingsError(
                f"port {one} of {asked.host} is taken", field="--port", hint="choose others by --port and --client-port"
            )
    token = asked.token
    if token is None:
        token = record.with_suffix(".token")
        tokens.make_token(token)
    tokens.read_token(token, field="--token-file")
    folder = None if encrypted is None else encrypted.settle(record.with_suffix(".tls"), asked.host)
    of_dashboard = DASHBOARD_PORT if dashboard else 0
    known = _begin(
        Known("head", address, asked.host, client_port, of_dashboard, token.absolute(), folder, _temp(), 0, ()),
        "--head",
        f"--port={port}",
        f"--ray-client-server-port={client_port}",
        f"--include-dashboard={str(dashboard).lower()}",
        f"--dashboard-host={LOOPBACK}",
        f"--system-config={json.dumps(PATIENCE)}",
        "--no-monitor",  # an autoscaler's, of which there is none: it shows figures to everybody at port 44217
        *asked.flags(),
    )
    _wait_for(known, client_port)
    return known


def join(asked: Asked, address: str, encrypted: tls.Files | None = None) -> Known:
    """Make this machine a node of a cluster.

    Raises:
        InputError: It is no address.
        RefusedError: It is one already, or the cluster has no token.
        SurroundingsError: The cluster does not let us in, or Ray does not start.
    """
    record = record_of("node", asked.host, address)
    _refuse_running(record, "node")
    if asked.token is None:
        raise InputError(
            "`sweep cluster join` needs the cluster's token", field="--token-file", hint="copy its file from the head"
        )
    token = tokens.read_token(asked.token, field="--token-file")
    check_address(address)
    folder = None if encrypted is None else encrypted.settle(record.with_suffix(".tls"), asked.host)
    known = Known("node", address, asked.host, 0, 0, asked.token.absolute(), folder, _temp(), 0, ())
    os.environ.update(known.tls_environment())
    pass_door(address, token)
    return _begin(known, f"--address={address}", *asked.flags())


def _begin(known: Known, *flags: str) -> Known:
    """Run `ray start` and record what came of it."""
    log = known.file.with_suffix(".log")
    folder_of_user().mkdir(mode=0o700, parents=True, exist_ok=True)
    folder_of_user().chmod(0o700)
    environment = {name: value for name, value in os.environ.items() if name not in (tokens.VALUE, RAY_ADDRESS)}
    environment |= {tokens.MODE: "token", tokens.FILE: str(known.token), **_CLOSED}
    environment |= known.tls_environment()
    if known.host == LOOPBACK:
        environment[_ALONE] = "0"
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *flags]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, f"--temp-dir={known.temp}", "--disable-usage-stats", "--log-style=record"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            cwd="/",
            umask=0o077,
            start_new_session=True,
        )
    try:
        if process.wait(_START_S) != 0:
            raise SurroundingsError(f"Ray does not start here: {_last_line(log)}")
        started = {one.pid: start_of(one.pid) for one in of_session(process.pid)}
        members = tuple(sorted((pid, when) for pid, when in started.items() if when is not None))
        known = replace(known, session=process.pid, processes=members)
        known.save()
    except BaseException as error:  # a Ctrl-C, too: what has no record could not be ended later
        end(of_session(process.pid))
        process.wait()
        forget(known.file)
        if isinstance(error, subprocess.TimeoutExpired):
            raise SurroundingsError(f"Ray does not start here: {_last_line(log)}") from None
        raise
    return known


def _wait_for(known: Known, client_port: int) -> None:
    """Wait until both of a head's doors are there, and see that they are shut."""
    token, until = tokens.read_token(known.token), time.monotonic() + _READY_S
    while not answers(f"{known.host}:{client_port}") and time.monotonic() < until:
        time.sleep(0.1)
    os.environ.update(known.tls_environment())
    if knock(known.address, OF_GCS) is Answer.IN:
        stop(known)
        raise SurroundingsError("the Ray that was started asks for no token; it was ended")
    try:
        pass_door(known.address, token)
        pass_door(f"ray://{known.host}:{client_port}", token)
    except (RefusedError, SurroundingsError):
        stop(known)
        raise


def _check_ports(port: int, client_port: int) -> None:
    """Check that the ports are two, and free for a head."""
    for flag, one in (("--port", port), ("--client-port", client_port)):
        if one in _WORKER_PORTS:
            said = f"{flag} {one} is of those that Ray gives its workers"
            first, last = _WORKER_PORTS[0], _WORKER_PORTS[-1]
            raise InputError(said, field=flag, hint=f"choose one below {first}, or above {last}")
    if port == client_port:
        raise InputError(f"--port and --client-port are both {port}", field="--client-port", hint="choose another")


def _check_dashboard() -> None:
    """Check that what Ray's dashboard is made of is installed: without it Ray only leaves it out."""
    from ray._private.utils import get_dashboard_dependency_error

    if get_dashboard_dependency_error() is not None:
        raise SurroundingsError(
            "Ray's dashboard is not installed", field="--dashboard", hint="pip install 'ray[default]', or leave it out"
        )


def _refuse_running(record: Path, role: str) -> None:
    """Refuse what runs already; forget what no longer does."""
    for one in all_known():
        if one.file == record:
            if one.members():
                hint = "`sweep cluster status` shows it, `sweep cluster stop` ends it"
                raise RefusedError(f"the {role} of {one.address} runs here already, at {one.host}", hint=hint)
            forget(record)


def _temp() -> Path:
    """Return a folder for Ray that nobody else can enter: Ray lets everybody write into those that it makes."""
    folder = Path(tempfile.gettempdir()) / f"sweep-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    at = folder.lstat()
    if at.st_uid != os.getuid() or at.st_mode & 0o077 or folder.is_symlink():
        raise SurroundingsError(f"{folder} is not ours alone", hint="remove it, or set TMPDIR to a folder of your own")
    return folder / "ray"


def _last_line(log: Path) -> str:
    """Return what `ray start` said of its error, or else last, short enough for a sentence."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+Error: ", line)]
    return (errors or lines)[-1][:140] if lines else "it says nothing"
