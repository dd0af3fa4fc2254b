"""`sweep doctor`: this machine, what is missing on it, and how to get it; with STUDY, see `doctor_study`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from search import __version__
from search.cli import console
from search.cli.options import Common, common, example, insecure_cluster
from search.errors import ExitCode, InputError

_NEEDED: Final = ("ray", "optuna", "torch", "scikit-learn", "pandas", "numpy", "pyarrow", "safetensors")
_EXTRAS: Final = {
    "cmaes": ("cmaes", "--sampler cmaes"),
    "greenlet": ("gp", "--sampler gp"),
    "pillow": ("images", "folders of images"),
    "psycopg": ("postgresql", "--storage postgresql://..."),
}
_NETWORK: Final = ("nfs", "cifs", "smb", "9p", "lustre", "ceph", "gluster", "afs", "beegfs", "gpfs", "fuse.sshfs")
_LOW_DISK_MB: Final = 1_000
_LOW_MEMORY_MB: Final = 1_000


@click.command(
    "doctor",
    short_help="This machine, a cluster, or a study's storage: what is wrong.",
    epilog=example(
        "sweep doctor",
        "sweep doctor --json --results /data/results",
        "sweep doctor tabular-2026",
        "sweep doctor tabular-2026 --repair",
        "sweep doctor --address 10.0.0.1:6379",
    ),
)
@click.argument("study", required=False)
@click.option("--repair", is_flag=True, help="Keep what stands before the damage, and put the rest aside.")
@click.option("--address", metavar="ADDR", help="Examine this Ray cluster: what it has, and what of it is open.")
@insecure_cluster
@common
def doctor_command(shared: Common, *, study: str | None, repair: bool, address: str | None) -> int:
    """Look at this machine: versions, CPUs, memory, GPUs, disk; what is missing, and how to get it.

    With STUDY (a name, the start of one, or a folder): whether what is stored of it is whole, and where it is damaged.
    With --address: a cluster's nodes, and which of its ports let in anybody.
    """
    if address is not None:
        from search.cli.doctor_cluster import cluster_doctor

        if study is not None or repair:
            raise InputError("--address is of a cluster, and goes with no STUDY", field="--address")
        return cluster_doctor(shared, address)
    if study is not None:
        from search.cli.doctor_study import study_doctor

        return study_doctor(shared, study, repair=repair)
    if repair:
        raise InputError("--repair needs a STUDY", field="--repair", hint="`sweep list` shows all")
    found = examine(shared.results)
    if shared.json:
        console.out_json(found)
    else:
        console.out(*_lines(found))
    return ExitCode.SURROUNDINGS if any(one["needed"] for one in found["problems"]) else ExitCode.DONE


def examine(results: Path) -> dict[str, Any]:
    """Return what there is, and `problems`: what is wrong, what to do, and whether no sweep can run so."""
    import psutil

    memory, disk = psutil.virtual_memory(), _disk(results)
    versions = {name: version(name) for name in (*_NEEDED, *_EXTRAS)}
    machine = {
        "system": f"{platform.system()} {platform.release()}",
        "cpus": cpus(),
        "memory_mb": memory.total // 2**20,
        "memory_free_mb": memory.available // 2**20,
        "gpus": gpus(),
    }
    return {
        "sweep": __version__,
        "python": platform.python_version(),
        "versions": versions,
        "machine": machine,
        "disk": disk,
        "problems": list(_problems(versions, machine, disk)),
    }


def version(distribution: str) -> str | None:
    """Return the installed version of a distribution without importing it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpus() -> int:
    """Return the CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def gpus() -> list[str]:
    """Return the names of NVIDIA's GPUs, as the driver knows them."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            told = subprocess.run(
                [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return []
        return [line.strip() for line in told.stdout.splitlines() if line.strip()]
    return [path.name for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*"))]


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of file system that a path lies on; `mounts` is the text of /proc/self/mounts."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        _, place, found, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        if path.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, found
    return kind


def is_network(kind: str) -> bool:
    """Tell whether a file system is another machine's, where file locks and SQLite lose data."""
    return kind.startswith(_NETWORK)


def _disk(results: Path) -> dict[str, Any]:
    place = results.absolute()
    while not place.is_dir():
        place = place.parent
    mounts = Path("/proc/self/mounts")
    usage = shutil.disk_usage(place)
    return {
        "results": str(results.absolute()),
        "free_mb": usage.free // 2**20,
        "file_system": file_system(place.resolve(), mounts.read_text()) if mounts.exists() else "unknown",
        "writable": os.access(place, os.W_OK),
    }


def _problems(
    versions: dict[str, str | None], machine: dict[str, Any], disk: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for name in _NEEDED:
        if versions[name] is None:
            yield _problem(f"{name} is not installed", "pip install sweep-search", needed=True)
    for name, (extra, use) in _EXTRAS.items():
        if versions[name] is None:
            yield _problem(f"{name} is not installed: {use} needs it", f"pip install 'sweep-search[{extra}]'")
    if not disk["writable"]:
        yield _problem(f"{disk['results']} cannot be written", "choose another folder by --results", needed=True)
    if disk["free_mb"] < _LOW_DISK_MB:
        yield _problem(f"{disk['free_mb']} MB are free for {disk['results']}", "free some, or choose another --results")
    if is_network(disk["file_system"]):
        said = f"{disk['results']} is on {disk['file_system']}, where SQLite and file locks lose data"
        yield _problem(said, "use a local folder or --storage postgresql://...")
    if machine["memory_free_mb"] < _LOW_MEMORY_MB:
        yield _problem(
            f"{machine['memory_free_mb']} MB of memory are free", "end other programs, or lower --concurrency"
        )


def _problem(what: str, remedy: str, *, needed: bool = False) -> dict[str, Any]:
    return {"problem": what, "remedy": remedy, "needed": needed}


def _lines(found: dict[str, Any]) -> Iterator[str]:
    machine, disk = found["machine"], found["disk"]
    yield f"sweep    {found['sweep']}   Python {found['python']}   {machine['system']}"
    yield f"CPUs     {machine['cpus']}"
    yield f"memory   {machine['memory_free_mb']} MB free of {machine['memory_mb']} MB"
    yield f"GPUs     {', '.join(machine['gpus']) or 'none'}"
    yield f"disk     {disk['free_mb']} MB free for {disk['results']} ({disk['file_system']})"
    yield f"Ray      {found['versions']['ray'] or 'not installed'}"
    yield ""
    yield from console.table(
        ["package", "version"], [(name, got or "missing") for name, got in found["versions"].items()]
    )
    yield ""
    if not found["problems"]:
        yield "nothing is missing"
    for problem in found["problems"]:
        yield f"{'MISSING' if problem['needed'] else 'note'}: {problem['problem']}; {problem['remedy']}"
