"""What a worker process is called: its machine, its process and its GPUs, as in `10.0.0.2:4242 gpu 0`."""

from __future__ import annotations

from collections.abc import Sequence


def name_of(address: str, pid: int, gpus: Sequence[object] = ()) -> str:
    """Return the name of a process, and of the GPUs that Ray gave it."""
    return f"{address}:{pid}" + (f" gpu {','.join(map(str, gpus))}" if gpus else "")


def pid_of(name: str) -> int:
    """Return the process that a name is of."""
    return int(name.partition(" ")[0].rpartition(":")[2])
