"""What `sweep cluster` has started on this machine for this user: a record for each, in a folder of the user's own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.paths import write_atomic
from search.study.holder import start_of

if TYPE_CHECKING:
    import psutil

RAY_ADDRESS: Final = "RAY_ADDRESS"
LOOPBACK: Final = "127.0.0.1"

_VITAL: Final = {"head": {"gcs_server", "raylet"}, "node": {"raylet"}}
"""Programs of Ray without which a machine is no head, or no node, any more; Ray's agents outlive them for ever."""


@dataclass(frozen=True, slots=True)
class StartedNode:
    """A head or a node of a cluster that was started here.

    Attributes:
        role: `head` or `node`.
        address: Of the cluster, `HOST:PORT`.
        host: The address that this node has in it.
        client_port: Port for those who come from outside; 0 of a node.
        dashboard_port: Port of the dashboard on loopback; 0 without one.
        token: File of the cluster's token.
        tls: Folder of `ca.crt`, `node.crt` and `node.key`; None without TLS.
        temp: Ray's folder for logs and sockets.
        session: The session id of all its processes.
        processes: Process ids, and starts as `start_of` tells them, of those that ran when it had started.
    """

    role: str
    address: str
    host: str
    client_port: int
    dashboard_port: int
    token: Path
    tls: Path | None
    temp: Path
    session: int
    processes: tuple[tuple[int, float], ...]

    @property
    def file(self) -> Path:
        """Return where the record lies."""
        return record_of(self.role, self.host, self.address)

    def addresses(self) -> set[str]:
        """Return what users call the cluster by."""
        host = self.address.rpartition(":")[0]
        return {self.address, f"ray://{host}:{self.client_port}"}

    def save(self) -> None:
        """Write the record."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self.file, json.dumps(asdict(self), indent=1, default=str))

    def members(self) -> set[psutil.Process]:
        """Return its processes that run: those of its session, and all that these started.

        A session id is not given again while one of its processes is there; so one that we know by its start time
        vouches for the others.
        """
        if not any(start_of(pid) == started for pid, started in self.processes):
            return set()
        return of_session(self.session)

    def runs(self) -> bool:
        """Tell whether it is still what it was brought up as: what is left of one that crashed is not."""
        return _VITAL[self.role] <= {_name(one) for one in self.members()}

    def tls_environment(self) -> dict[str, str]:
        """Return what Ray's processes are told of TLS."""
        if self.tls is None:
            return {}
        return tls_environment(self.tls)


def of_session(leader: int) -> set[psutil.Process]:
    """Return the processes of a session, and all that these started, but for this one."""
    import psutil

    found = set()
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(pid) == leader:
                process = psutil.Process(pid)
                found |= {process, *process.children(recursive=True)}
    return {one for one in found if one.pid != os.getpid() and _lives(one)}


def tls_environment(folder: Path) -> dict[str, str]:
    """Return what Ray's processes are told of the certificates in a folder."""
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(folder / "node.crt"),
        "RAY_TLS_SERVER_KEY": str(folder / "node.key"),
        "RAY_TLS_CA_CERT": str(folder / "ca.crt"),
    }


def folder_of_user() -> Path:
    """Return the folder of these records; only the user can look into it."""
    return Path.home() / ".sweep" / "clusters"


def record_of(role: str, host: str, address: str) -> Path:
    """Return the file of a record."""
    name = f"head-{address}" if role == "head" else f"node-{host}-of-{address}"
    return folder_of_user() / f"{name.replace(':', '_')}.json"


def all_known() -> Iterator[StartedNode]:
    """Yield all records that can be read, heads first."""
    for path in sorted(folder_of_user().glob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):
            yield _from_json(json.loads(path.read_text(encoding="utf-8")))


def known_at(address: str) -> StartedNode | None:
    """Return the record of a cluster by one of its addresses; `auto` is the only one, or RAY_ADDRESS."""
    if address == "auto":
        address = os.environ.get(RAY_ADDRESS, "")
        ours = {one.address: one for one in all_known()}
        if not address:
            return next(iter(ours.values())) if len(ours) == 1 else None
    return next((one for one in all_known() if address in one.addresses()), None)


def _name(process: psutil.Process) -> str:
    import psutil

    try:
        return process.name()
    except psutil.Error:
        return ""


def _lives(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _from_json(stored: dict[str, Any]) -> StartedNode:
    return StartedNode(
        **{
            **stored,
            "token": Path(stored["token"]),
            "tls": Path(stored["tls"]) if stored["tls"] else None,
            "temp": Path(stored["temp"]),
            "processes": tuple((int(pid), float(started)) for pid, started in stored["processes"]),
        }
    )
