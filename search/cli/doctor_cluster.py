"""`sweep doctor --address`: what a cluster has, what of it is open to anybody, and how to close that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from search.cli import console
from search.cli.cluster import inventory_lines
from search.cli.options import Common
from search.errors import ExitCode

if TYPE_CHECKING:
    from search.tuner.inquiry import Examined


def cluster_doctor(shared: Common, address: str) -> int:
    """Examine a cluster, show what was found, and return the exit code: 3 if anything is open."""
    from search.tuner.inquiry import examine

    found = examine(address)
    problems = list(_problems(found))
    if shared.json:
        console.out_json({**asdict(found), "problems": problems})
    else:
        console.out(*_inventory_lines(found, address), "", *_port_lines(found), "")
        console.out(*(f"{'OPEN' if one['needed'] else 'note'}: {one['problem']}; {one['remedy']}" for one in problems))
        if not any(one["needed"] for one in problems):
            console.out("no port that answers here lets in anybody without the token")
    return ExitCode.SURROUNDINGS if any(one["needed"] for one in problems) else ExitCode.DONE


def _inventory_lines(found: Examined, address: str) -> Iterator[str]:
    if found.inventory is not None:
        yield from inventory_lines(found.inventory)
        return
    yield f"cluster  {address}   what it has was not asked: it is open, and its answers could run code here"
    yield "         (--insecure-cluster asks)"


def _port_lines(found: Examined) -> Iterator[str]:
    from search.tuner.ports import WORKER_PORTS

    rows = [(port.host, port.port, port.what, str(port.state)) for port in found.ports]
    yield from console.table(["host", "port", "server", "without a token"], rows)
    yield f"What does not answer is not started, or out of reach from here. Ports of workers, {WORKER_PORTS[0]} to"
    yield f"{WORKER_PORTS[-1]}, are not tried: they ask for the token where the raylet does."


def _problems(found: Examined) -> Iterator[dict[str, Any]]:
    for port in found.ports:
        if port.remedy:
            yield {
                "problem": f"{port.what} at {port.host}:{port.port} lets in anybody",
                "remedy": port.remedy,
                "needed": True,
            }
    if not found.encrypted:
        yield {
            "problem": "nothing is encrypted, and who reaches a port can end the server behind it (Ray 2.60)",
            "remedy": "a private network, or `sweep cluster start --tls`",
            "needed": False,
        }
