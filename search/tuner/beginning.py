"""Run `ray start` of this environment, with its token on, and record what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from search.errors import SurroundingsError
from search.study.holder import start_of
from search.tuner import tokens
from search.tuner.known import LOOPBACK, RAY_ADDRESS, StartedNode, folder_of_user, of_session
from search.tuner.takedown import end

_CLOSED: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",  # figures of a node, for everybody
    "DASHBOARD_METRIC_PORT": "-1",  # those of the dashboard, likewise: no such port, and so no server
}
"""What keeps servers away that ask for no token."""

_ALONE: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable without which Ray takes an address that others reach in place of loopback."""

_START_S: Final = 90.0


def begin(known: StartedNode, *flags: str) -> StartedNode:
    """Bring up a head or a node, and return its record with its processes.

    Args:
        known: What it is to be.
        flags: Of `ray start`, beside those that all take.

    Raises:
        SurroundingsError: Ray does not start; nothing of it is left.
    """
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
        if isinstance(error, subprocess.TimeoutExpired):
            raise SurroundingsError(f"Ray does not start here: {_last_line(log)}") from None
        raise
    return known


def folder_for_ray() -> Path:
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
