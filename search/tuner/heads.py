"""Bring up the head of a cluster on this machine, or join one as a node.

`ray start` of this environment does the starting; `ray stop`, which ends every Ray of the machine, is never called.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search.errors import InputError, RefusedError, SurroundingsError
from search.tuner import tls, tokens
from search.tuner.beginning import begin, folder_for_ray
from search.tuner.door import OF_GCS, Answer, knock, pass_door
from search.tuner.known import LOOPBACK, StartedNode, all_known, record_of
from search.tuner.ports import DASHBOARD_PORT, WORKER_PORTS
from search.tuner.reach import answers, check_address, check_inside, resolved
from search.tuner.takedown import end, forget, take_down

PATIENCE: Final = {"health_check_period_ms": 1000}
"""Of Ray with a machine: about 5 s where its Ray has died, 15 s by default; as long as by default if it is silent."""

_READY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Machine:
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
    """Return the address of this machine from which it reaches another one; nothing is sent.

    Raises:
        InputError: It is no address of a GCS.
        SurroundingsError: It has no name that is known here, or there is no way to it.
    """
    check_inside(address)
    place = resolved(address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.connect(place)
        except OSError as error:
            raise SurroundingsError(f"there is no way to {address}", hint="is the network up?") from error
        return str(tried.getsockname()[0])


def start(
    asked: Machine, port: int, client_port: int, *, dashboard: bool = False, encrypted: tls.Files | None = None
) -> StartedNode:
    """Bring up the head of a cluster: of a new one, or of one whose head ended here without `sweep cluster stop`.

    That one keeps its token and its certificates, of which other machines have copies; what is left of its processes
    is ended first.

    Args:
        asked: What it is to be.
        port: Of its GCS, for the machines that join.
        client_port: For those who come from outside.
        dashboard: Whether to have one, on loopback.
        encrypted: Certificates that all connections are to use; None for no TLS, or for that of the head before.

    Raises:
        InputError: The ports are the same, or one of those of Ray's workers.
        RefusedError: We have one there already.
        SurroundingsError: A port is taken, or Ray does not start.
    """
    _check_ports(port, client_port)
    address = f"{asked.host}:{port}"
    record = record_of("head", asked.host, address)
    before = _what_is_left(record)
    if dashboard:
        _check_dashboard()
    for one in (port, client_port, *([DASHBOARD_PORT] if dashboard else [])):
        if answers(f"{LOOPBACK if one == DASHBOARD_PORT else asked.host}:{one}"):
            raise SurroundingsError(
                f"port {one} of {asked.host} is taken", field="--port", hint="choose others by --port and --client-port"
            )
    token = asked.token or (before.token if before is not None else None)
    try:
        if token is None:
            token = record.with_suffix(".token")
            tokens.make_token(token)
        tokens.read_token(token, field="--token-file")
        folder = before.tls if before is not None else None
        if encrypted is not None:
            folder = encrypted.settle(record.with_suffix(".tls"), asked.host, kept=before is not None)
        of_dashboard, temp = DASHBOARD_PORT if dashboard else 0, folder_for_ray()
        known = begin(
            StartedNode("head", address, asked.host, client_port, of_dashboard, token.absolute(), folder, temp, 0, ()),
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
    except BaseException:
        if before is None:  # else the next try needs what other machines have copies of
            forget(record)
        raise
    return known


def join(asked: Machine, address: str, encrypted: tls.Files | None = None) -> StartedNode:
    """Make this machine a node of a cluster; what is left of a node that crashed is ended first.

    Raises:
        InputError: It is no address of a GCS.
        RefusedError: It is one already, or the cluster has no token.
        SurroundingsError: The cluster does not let us in, or Ray does not start.
    """
    check_inside(address)
    if asked.token is None:
        raise InputError(
            "`sweep cluster join` needs the cluster's token",
            field="--token-file",
            hint="copy its file from the head, and name it by --token-file",
        )
    token = tokens.read_token(asked.token, field="--token-file")
    host, port = resolved(address)
    _refuse_members({address, f"{host}:{port}"})
    check_address(address)
    record = record_of("node", asked.host, address)
    _what_is_left(record)
    folder = None if encrypted is None else encrypted.settle(record.with_suffix(".tls"), asked.host)
    known = StartedNode("node", address, asked.host, 0, 0, asked.token.absolute(), folder, folder_for_ray(), 0, ())
    os.environ.update(known.tls_environment())
    pass_door(address, token)
    try:
        return begin(known, f"--address={address}", *asked.flags())
    except BaseException:
        forget(record)
        raise


def _wait_for(known: StartedNode, client_port: int) -> None:
    """Wait until both of a head's doors are there, and see that they are shut."""
    token, until = tokens.read_token(known.token), time.monotonic() + _READY_S
    while not answers(f"{known.host}:{client_port}") and time.monotonic() < until:
        time.sleep(0.1)
    os.environ.update(known.tls_environment())
    try:
        if knock(known.address, OF_GCS) is Answer.IN:
            raise SurroundingsError("the Ray that was started asks for no token; it was ended")
        pass_door(known.address, token)
        pass_door(f"ray://{known.host}:{client_port}", token)
    except BaseException:
        take_down(known)
        raise


def _check_ports(port: int, client_port: int) -> None:
    """Check that the ports are two, and free for a head."""
    for flag, one in (("--port", port), ("--client-port", client_port)):
        if one in WORKER_PORTS:
            said = f"{flag} {one} is of those that Ray gives its workers"
            first, last = WORKER_PORTS[0], WORKER_PORTS[-1]
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


def _what_is_left(record: Path) -> StartedNode | None:
    """Return the record of a head or node that ended without `sweep cluster stop`, with all of its processes ended.

    Raises:
        RefusedError: It runs.
    """
    before = next((one for one in all_known() if one.file == record), None)
    if before is None:
        return None
    if before.runs():
        hint = "`sweep cluster status` shows it, `sweep cluster stop` ends it"
        raise RefusedError(f"the {before.role} of {before.address} runs here already, at {before.host}", hint=hint)
    end(before.members())  # without a head nothing can pause: its sweeps go on from their checkpoints, as after a kill
    return before


def _refuse_members(addresses: set[str]) -> None:
    """Refuse to make this machine a node of a cluster that it is a part of: its CPUs would count twice."""
    for one in all_known():
        if one.address in addresses and one.runs():
            said = f"this machine is the head of {one.address}, and runs trials"
            if one.role == "node":
                said = f"this machine is a node of {one.address} already"
            raise RefusedError(said, hint="`sweep cluster stop` ends it; --cpus and --gpus say what trials may have")
