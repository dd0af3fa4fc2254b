"""Start or join Ray, quietly and with its token on, and say what of it is lost."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from search.ending import before_the_end
from search.errors import SurroundingsError
from search.tuner import temporary
from search.tuner.door import check_head, pass_door
from search.tuner.inventory import check_is_node, check_versions
from search.tuner.joining import join
from search.tuner.known import LOOPBACK, known_at
from search.tuner.reach import answers, check_address
from search.tuner.signals import Family
from search.tuner.taming import on_loopback, signals_kept, silence
from search.tuner.tokens import give_token, token_here

NAMESPACE: Final = "sweep"

_MEET_S: Final = 0.25
_AGENTS: Final = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")

_QUIET: Final = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "600",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # Tune's own snapshots of its state: the study has all of it
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without GPUs sees none
}

_WORKERS: Final = ("RAY_CHDIR_TO_TRIAL_DIR", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")
"""What of it workers on other machines have to be told."""


_given: Final[dict[Path, str]] = {}
"""The token that this process's Ray was given, and its folder."""


def set_environment(address: str | None) -> Path | None:
    """Set what Ray reads: quiet, and with a token of its own; call it before anything imports Ray.

    Args:
        address: Of a cluster, or None for this machine.

    Returns:
        The temporary folder of a token that was made.
    """
    os.environ.update(_QUIET)  # what we start inherits it
    if is_up():
        return None
    for folder, token in _given.items():  # of an earlier sweep of this process, whose end removed it
        if address is None and not folder.exists():
            _write_token(folder, token)
            temporary.hold(folder)
            return folder
    if "ray" in sys.modules:  # how to prove who we are is read once, at the import
        return None
    if address is None:
        return _give_token()
    give_token(address)
    return None


@contextmanager
def connected(
    address: str | None, family: Family | None = None, *, code: Path | None = None, **resources: int
) -> Iterator[None]:
    """Have Ray while inside: the one this process has already, else its own, which is taken down afterwards.

    Args:
        address: Of a cluster, or None for this machine.
        family: Takes in the processes of a Ray of our own, and ends them.
        code: Folder that is brought to every worker as its current one (`search.tuner.shipping`); None where they see
            this machine's files.
        resources: What a Ray of our own is to have (`num_cpus`, `num_gpus`), instead of what it finds.

    Raises:
        SurroundingsError: No cluster answers, or it does not let us in.
    """
    if address is not None:
        check_address(address)
    if is_up():
        yield
        return
    if address is not None:
        _check_door(address)  # before the import of Ray, which takes a second
    import ray

    family = family or Family()
    try:
        with _meeting(family):
            _start(address, resources, code)
        family.meet()
        yield
    finally:
        end_workers(family)
        family.kill("monitor.py")  # of an autoscaler that is none: it would hear of the end a second late
        ray.shutdown()
        family.kill()  # what Ray leaves behind: its agents outlive it


def end_workers(family: Family) -> None:
    """Kill workers, which have nothing left to do: raylet would wait a second for each to agree.

    Its agents stay: raylet ends with them, and this process with raylet, should it still hold an object there.
    """
    family.kill("ray::", spared=_AGENTS)


def is_up() -> bool:
    """Tell whether this process is connected to a Ray already."""
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


@contextmanager
def _meeting(family: Family) -> Iterator[None]:
    """Have the family meet its new members meanwhile, in case this process is killed before all have come.

    Ray's agents outlive it then, and a second after their start nothing but their process ids tells whose they are.
    """
    over = threading.Event()

    def meet() -> None:
        while not over.wait(_MEET_S):
            family.meet()

    thread = threading.Thread(target=meet, name="sweep-meeting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _start(address: str | None, resources: dict[str, int], code: Path | None) -> None:
    import ray

    from search.tuner.shadowing import JobPaths

    silence()

    def init() -> None:
        with signals_kept(), on_loopback() if _is_on_loopback(address) else nullcontext():
            ray.init(
                address=address or "local",
                namespace=NAMESPACE,
                include_dashboard=False if address is None else None,
                logging_level="CRITICAL",
                log_to_driver=False,
                job_config=JobPaths() if not is_outside(address) else None,
                runtime_env=runtime_env(code) if code is not None else None,
                **resources,
            )

    join(address, init, ray.shutdown)


def _check_door(address: str) -> None:
    """See that a cluster lets us in, nobody else, and is one that Ray can be joined to.

    Raises:
        SurroundingsError: It does not let us in, its head has died, it runs other versions, or has no node here.
        RefusedError: It lets in anybody.
    """
    place, token = place_of(address), token_here()
    pass_door(place, token)
    if is_outside(place):
        check_head(place, token)
        return
    check_versions(place, token)
    check_is_node(place, token)


def place_of(address: str) -> str:
    """Return where the door of a cluster is: `auto` stands for the one that Ray finds on this machine."""
    if address != "auto":
        return address
    from ray._private.services import canonicalize_bootstrap_address

    place: str | None = canonicalize_bootstrap_address(address)
    if place is None:
        raise SurroundingsError("this machine is part of no Ray cluster", field="--address", hint="name it: HOST:6379")
    return place


def is_outside(address: str | None) -> bool:
    """Tell whether an address is a client's: of a cluster that this machine is no part of."""
    return address is not None and address.startswith("ray://")


def runtime_env(code: Path) -> dict[str, Any]:
    """Return the environment of workers that see nothing of this machine; anybody in the cluster can read it."""
    return {"working_dir": str(code), "env_vars": {name: _QUIET[name] for name in _WORKERS}}


def _give_token() -> Path | None:
    """Have Ray of this machine let in nobody without a token that lives as long as this process."""
    os.environ["RAY_AUTH_MODE"] = "token"
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return None
    folder = temporary.make("sweep-token-")  # Ray reads a token once: it is the process's, not a sweep's
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    before_the_end(lambda: shutil.rmtree(folder, ignore_errors=True))
    _given[folder] = secrets.token_hex(32)
    _write_token(folder, _given[folder])
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(folder / "token")
    return folder


def _write_token(folder: Path, token: str) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(token)


def _is_on_loopback(address: str | None) -> bool:
    """Tell whether a Ray is this machine's alone: our own, or one that `sweep cluster start` was to keep so."""
    known = known_at(address) if address is not None else None
    return address is None or (known is not None and known.host == LOOPBACK)


def what_is_lost(family: Family | None) -> str:
    """Say what of Ray has ended without which nothing goes on; "" while all is there.

    Args:
        family: The processes of a Ray of our own; None for another one, of which the head is tried.
    """
    import ray

    if family is not None:
        gone = sorted(family.lost({"raylet", "gcs_server"}))
        return f"Ray's {' and '.join(gone)} ended unexpectedly" if gone else ""
    address = ray.get_runtime_context().gcs_address
    return "" if answers(address) else f"the head of the Ray cluster at {address} no longer answers"
