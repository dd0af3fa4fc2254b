"""Start or join Ray, quietly and with its token on, and say what it has."""

from __future__ import annotations

import atexit
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from search.errors import SurroundingsError
from search.tuner.reach import answers, check_address
from search.tuner.signals import Family

NAMESPACE: Final = "sweep"

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


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a cluster has, and what its largest node has."""

    cpus: float
    gpus: float
    node_cpus: float
    node_gpus: float
    slots: int  # trials that fit at once


def set_environment(address: str | None) -> Path | None:
    """Set what Ray reads: quiet, and with a token of its own; call it before anything imports Ray.

    Args:
        address: Of a cluster, or None for this machine.

    Returns:
        The temporary folder of a token that was made.
    """
    if is_up():
        return None
    os.environ.update(_QUIET)  # what we start inherits it
    if address is None and "ray" not in sys.modules:  # how to prove who we are is read once, at the import
        return _give_token()
    return None


@contextmanager
def connected(address: str | None, family: Family | None = None, **resources: int) -> Iterator[None]:
    """Have Ray while inside: the one this process has already, else its own, which is taken down afterwards.

    Args:
        address: Of a cluster, or None for this machine.
        family: Takes in the processes of a Ray of our own, and ends them.
        resources: What a Ray of our own is to have (`num_cpus`, `num_gpus`), instead of what it finds.

    Raises:
        SurroundingsError: No cluster answers, or it does not let us in.
    """
    if address is not None:
        check_address(address)
    import ray

    if ray.is_initialized():
        yield
        return
    family = family or Family()
    try:
        _start(address, resources)
        family.meet()
        yield
    finally:
        family.kill("ray::")  # workers, which have nothing left to do: raylet would wait a second for each to agree
        ray.shutdown()
        family.kill()  # what Ray leaves behind: its agents outlive it


def is_up() -> bool:
    """Tell whether this process is connected to a Ray already."""
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


def _start(address: str | None, resources: dict[str, int]) -> None:
    import ray

    _silence()
    _keep_signals()
    try:
        ray.init(
            address=address or "local",
            namespace=NAMESPACE,
            include_dashboard=False if address is None else None,
            logging_level="CRITICAL",
            log_to_driver=False,
            **resources,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        if address is None:
            raise SurroundingsError(f"Ray does not start on this machine: {error}") from error
        raise _unreachable(address, error) from error


def _give_token() -> Path | None:
    """Have Ray of this machine let in nobody without a token that lives as long as this process."""
    os.environ["RAY_AUTH_MODE"] = "token"
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return None
    folder = Path(tempfile.mkdtemp(prefix="sweep-token-"))  # Ray reads a token once: it is the process's, not a sweep's
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    return folder


def _silence() -> None:
    """Keep the terminal ours: Ray's and Tune's own lines go nowhere, their errors come back as exceptions."""
    import ray._private.worker as worker

    if hasattr(worker, "listen_error_messages"):  # private: prints "(raylet) A worker died" whatever the log level is
        worker.listen_error_messages = lambda *_: None
    for name in ("ray", "ray.tune", "ray.train", "ray.air", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _keep_signals() -> None:
    """Keep Ray from setting a handler for SIGTERM: ours has been there since before it."""
    import ray._private.utils as utils

    if hasattr(utils, "set_sigterm_handler"):  # private, and called by `ray.init` alone in this process
        utils.set_sigterm_handler = lambda _: None


def _unreachable(address: str, error: Exception) -> SurroundingsError:
    import ray

    clash = re.search(r"Ray: (\S+)\s+Python: (\S+).*?Ray: (\S+)\s+Python: (\S+)", str(error), re.DOTALL)
    if clash is not None:
        theirs, here = f"Ray {clash[1]} / Python {clash[2]}", f"{clash[3]} / {clash[4]}"
        return SurroundingsError(f"the cluster runs {theirs}, here {here}: they must match", field="--address")
    if "ersion mismatch" in str(error):
        here = f"Ray {ray.__version__} / Python {sys.version_info.major}.{sys.version_info.minor}"
        said = f"the cluster at {address} runs other versions than {here}: they must match"
        return SurroundingsError(said, field="--address")
    return SurroundingsError(
        f"no Ray cluster lets us in at {address}",
        field="--address",
        hint="is RAY_AUTH_TOKEN_PATH that cluster's token, and does it run this version of Ray?",
    )


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


def capacity(cpus: float, gpus: float) -> Capacity:
    """Return what the cluster has for trials of this size.

    Raises:
        SurroundingsError: No node could ever run one trial.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fits = sum(_fit(node, cpus, gpus) for node in nodes)
    have = Capacity(
        cpus=sum(node.get("CPU", 0.0) for node in nodes),
        gpus=sum(node.get("GPU", 0.0) for node in nodes),
        node_cpus=max((node.get("CPU", 0.0) for node in nodes), default=0.0),
        node_gpus=max((node.get("GPU", 0.0) for node in nodes), default=0.0),
        slots=fits,
    )
    refuse_too_large(have, cpus, gpus)
    return have


def this_machine(cpus: float, gpus: float) -> Capacity:
    """Return what this machine has, without starting Ray.

    Raises:
        SurroundingsError: It could never run one trial.
    """
    from ray._private.accelerators.nvidia_gpu import NvidiaGPUAcceleratorManager
    from ray._private.utils import get_num_cpus

    have_cpus = float(get_num_cpus())
    have_gpus = float(NvidiaGPUAcceleratorManager.get_current_node_num_accelerators())
    have = Capacity(have_cpus, have_gpus, have_cpus, have_gpus, _fit({"CPU": have_cpus, "GPU": have_gpus}, cpus, gpus))
    refuse_too_large(have, cpus, gpus)
    return have


def refuse_too_large(have: Capacity, cpus: float, gpus: float) -> None:
    """Refuse a trial that no node could ever start.

    Raises:
        SurroundingsError: Saying what is asked and what there is.
    """
    if gpus > have.node_gpus:
        raise SurroundingsError(
            f"a trial asks {gpus:g} GPU{'s' * (gpus > 1)}, the cluster has {have.gpus:g}"
            + (f", the largest node {have.node_gpus:g}" if have.gpus else ""),
            field="--gpus",
            hint="`--gpus 0`, or `--address` of a cluster that has some",
        )
    if cpus > have.node_cpus:
        raise SurroundingsError(
            f"a trial asks {cpus:g} CPUs, the largest node has {have.node_cpus:g}",
            field="--cpus",
            hint="nothing could ever start; ask for fewer",
        )
    if have.slots < 1:
        raise SurroundingsError(
            f"no node has {cpus:g} CPUs and {gpus:g} GPUs together", field="--cpus", hint="ask for fewer"
        )


def _fit(node: dict[str, Any], cpus: float, gpus: float) -> int:
    """Return how many trials of this size one node holds."""
    by_cpu = int(node.get("CPU", 0.0) / cpus + 1e-9)
    return min(by_cpu, int(node.get("GPU", 0.0) / gpus + 1e-9)) if gpus else by_cpu
