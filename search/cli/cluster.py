"""`sweep cluster`: a Ray cluster that lets in nobody without its token: brought up, joined, looked at, taken down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli import console
from search.cli.options import Common, common, example, insecure_cluster
from search.errors import ExitCode, InputError, RefusedError, SurroundingsError

if TYPE_CHECKING:
    from search.tuner import tls
    from search.tuner.heads import Machine
    from search.tuner.inventory import Inventory
    from search.tuner.known import StartedNode


@click.group(
    "cluster",
    short_help="A Ray cluster with a token: start, join, status, stop.",
    epilog=example("sweep cluster start --interface eth0", "sweep cluster status", "sweep cluster stop"),
)
def cluster_command() -> None:
    """Bring up a Ray cluster that lets in nobody without its token, join it, look at it, take it down."""


def _machine(function: Any) -> Any:
    """Add the options that say what this machine is to be in a cluster."""
    for decorate in (
        click.option("--tls-folder", metavar="DIR", help="Encrypt, by node.crt, node.key and ca.crt of this folder."),
        click.option("--token-file", metavar="FILE", help="The cluster's token; only you may be able to read it."),
        click.option("--gpus", metavar="N", type=click.IntRange(0), help="GPUs for trials (default: all)."),
        click.option("--cpus", metavar="N", type=click.IntRange(0), help="CPUs for trials (default: all)."),
        click.option("--interface", metavar="NAME", help="The same, by the name of a network interface."),
        click.option("--host", metavar="ADDR", help="Address of this machine that the cluster knows it by."),
    ):
        function = decorate(function)
    return function


@cluster_command.command(
    "start",
    short_help="Bring up the head of a cluster on this machine.",
    epilog=example(
        "sweep cluster start --interface eth0", "sweep cluster start --host 10.0.0.1 --tls --tls-for 10.0.0.2"
    ),
)
@_machine
@click.option("--port", metavar="N", type=click.IntRange(1, 65535), default=6379, help="For nodes (default: 6379).")
@click.option(
    "--client-port", metavar="N", type=click.IntRange(1, 65535), default=10001, help="For others (default: 10001)."
)
@click.option("--dashboard", is_flag=True, help="Run Ray's dashboard, on loopback.")
@click.option("--tls", "with_tls", is_flag=True, help="Encrypt all connections, by a certificate that is made.")
@click.option("--tls-for", metavar="HOST", multiple=True, help="With --tls: a machine that will join; may repeat.")
@common
def start_command(
    shared: Common,
    *,
    port: int,
    client_port: int,
    dashboard: bool,
    with_tls: bool,
    tls_for: tuple[str, ...],
    tls_folder: str | None,
    **machine: Any,
) -> int:
    """Bring up the head of a cluster on this machine, with a token.

    Without --host or --interface it is on loopback, and only this machine can use it. A head that has crashed begins
    again with the token that it had.
    """
    from search.tuner.heads import start
    from search.tuner.known import LOOPBACK, known_at

    asked = _asked(**machine)
    crashed = known_at(f"{asked.host}:{port}")
    known = start(asked, port, client_port, dashboard=dashboard, encrypted=_tls(with_tls, tls_for, tls_folder))
    if shared.json:
        console.out_json(_told(known))
        return ExitCode.DONE
    console.out(*_lines(known, runs=True))
    here = asked.host == LOOPBACK
    if crashed is not None and crashed.role == "head":
        console.say("", "it has the token that it had before it crashed; its nodes have to join again")
    console.say("", "next", *_next(known, alone=here))
    if here:
        console.say("", "only this machine can use it; --host or --interface lets others join")
    return ExitCode.DONE


@cluster_command.command(
    "join",
    short_help="Make this machine a node of a cluster.",
    epilog=example("sweep cluster join 10.0.0.1:6379 --token-file head.token"),
)
@click.argument("address")
@_machine
@common
def join_command(shared: Common, *, address: str, tls_folder: str | None, **machine: Any) -> int:
    """Make this machine a node of the cluster at ADDRESS (HOST:6379), whose token is in --token-file."""
    from search.tuner.heads import join, way_to

    if machine["host"] is None and machine["interface"] is None:
        machine["host"] = way_to(address)
    known = join(_asked(**machine), address, _tls(with_tls=False, hosts=(), folder=tls_folder))
    if shared.json:
        console.out_json(_told(known))
        return ExitCode.DONE
    console.out(*_lines(known, runs=True))
    console.say("", "next", f"  sweep run tabular --address {address}", "  sweep cluster stop")
    return ExitCode.DONE


@cluster_command.command(
    "status",
    short_help="Nodes of a cluster, its versions, what runs on it.",
    epilog=example("sweep cluster status", "sweep cluster status --address 10.0.0.1:6379 --json"),
)
@click.option("--address", metavar="ADDR", help="Of another one than those that run here.")
@insecure_cluster
@common
def status_command(shared: Common, *, address: str | None) -> int:
    """Show the clusters that this machine is part of by `sweep cluster`, or the one at --address."""
    from search.tuner.inquiry import ask_cluster
    from search.tuner.known import all_known

    here = {one: one.runs() for one in all_known() if address is None or address in one.addresses()}
    silent = [{"address": known.address, "problem": _crashed(known)} for known, runs in here.items() if not runs]
    alive = [known.address for known, runs in here.items() if runs or known.role == "node"]
    found = []
    for one in dict.fromkeys([address] if address is not None else alive):
        try:
            found.append(ask_cluster(one))
        except (RefusedError, SurroundingsError) as error:
            if address is not None:
                raise
            silent.append({"address": one, "problem": error.sentence()})
    if shared.json:
        clusters = [asdict(one) for one in found]
        told = [{**_told(known), "runs": runs} for known, runs in here.items()]
        console.out_json({"clusters": clusters, "here": told, "silent": silent})
        return ExitCode.SURROUNDINGS if silent else ExitCode.DONE
    if not here and address is None:
        console.out("no cluster of yours runs on this machine")
    for known, runs in here.items():
        console.out(*_lines(known, runs=runs), "")
    for inventory in found:
        console.out(*inventory_lines(inventory))
    for unheard in silent:
        console.say(f"{unheard['address']}: {unheard['problem']}")
    return ExitCode.SURROUNDINGS if silent else ExitCode.DONE


@cluster_command.command(
    "stop",
    short_help="Take down what `start` or `join` brought up here.",
    epilog=example("sweep cluster stop", "sweep cluster stop --address 10.0.0.1:6379"),
)
@click.option("--address", metavar="ADDR", help="Only what belongs to this cluster (default: all).")
@common
def stop_command(shared: Common, *, address: str | None) -> int:
    """Take down what `sweep cluster start` and `join` of yours brought up on this machine, and nothing else.

    Sweeps that the cluster runs are paused first; `sweep resume` goes on with them.
    """
    from search.tuner.known import all_known
    from search.tuner.takedown import stop

    there = sorted(all_known(), key=lambda known: known.role == "head")  # nodes first
    chosen = [known for known in there if address is None or address in known.addresses()]
    if address is not None and not chosen:
        names = ", ".join(sorted({known.address for known in there}))
        raise InputError(
            f"nothing of a cluster at {address} was started here", field="--address", hint=f"known: {names or 'none'}"
        )
    ended = [{"role": known.role, "address": known.address, "killed": stop(known)} for known in chosen]
    if shared.json:
        console.out_json({"stopped": ended})
    else:
        console.out(*(f"the {one['role']} of {one['address']} has ended" for one in ended))
        if not ended:
            console.out("no cluster of yours runs on this machine")
    return ExitCode.DONE


def inventory_lines(inventory: Inventory) -> Iterator[str]:
    """Yield what people see of a cluster."""
    versions = f"Ray {inventory.ray or 'unknown'}   Python {inventory.python or 'unknown'}"
    yield f"cluster  {inventory.address}   {versions}"
    rows = [
        (
            node.host,
            node.name,
            "head" if node.head else "node",
            f"{node.cpus:g}",
            f"{node.gpus:g}",
            f"{node.memory_bytes / 2**30:.1f}",
            "" if node.alive else "gone",
        )
        for node in inventory.nodes
    ]
    yield from console.table(["host", "name", "role", "CPUs", "GPUs", "memory GiB", "state"], rows)
    yield f"studies  {', '.join(inventory.studies) or 'none runs'}"
    if inventory.is_open:
        yield "OPEN     it asks for no token: whoever reaches it runs code there; `sweep doctor --address` says more"


def _asked(
    *, host: str | None, interface: str | None, cpus: int | None, gpus: int | None, token_file: str | None
) -> Machine:
    from search.tuner.heads import Machine, own_address

    token = None if token_file is None else Path(token_file)
    return Machine(own_address(host, interface), cpus, gpus, token)


def _tls(with_tls: bool, hosts: tuple[str, ...], folder: str | None) -> tls.Files | None:
    from search.tuner.tls import Files

    if hosts and not with_tls:
        raise InputError("--tls-for is for the certificate that --tls makes", field="--tls-for", hint="add --tls")
    if with_tls and folder is not None:
        raise InputError("--tls makes what --tls-folder has", field="--tls", hint="give one of them")
    return Files(None if folder is None else Path(folder), hosts) if with_tls or folder is not None else None


def _told(known: StartedNode) -> dict[str, Any]:
    """Return what is told of a head or node, for programs."""
    return {
        "role": known.role,
        "address": known.address,
        "client_address": f"ray://{known.host}:{known.client_port}" if known.client_port else None,
        "dashboard": f"http://127.0.0.1:{known.dashboard_port}" if known.dashboard_port else None,
        "host": known.host,
        "token_file": str(known.token),
        "tls_folder": str(known.tls) if known.tls else None,
        "processes": [pid for pid, _ in known.processes],
        "logs": str(known.temp / "session_latest" / "logs"),
    }


def _crashed(known: StartedNode) -> str:
    """Return what to do about a head or a node that ended without `stop`."""
    if known.role == "node":
        return f"this machine is no node of it any more; `sweep cluster join {known.address}` makes it one again"
    ports = "".join(
        f" --{name} {port}"
        for name, port, usual in (
            ("port", int(known.address.rpartition(":")[2]), 6379),
            ("client-port", known.client_port, 10001),
        )
        if port != usual
    )
    command = f"sweep cluster start --host {known.host}{ports}"
    return f"its head has crashed; `{command}` begins again with its token, `sweep cluster stop` forgets it"


def _lines(known: StartedNode, *, runs: bool) -> Iterator[str]:
    yield f"{known.role:<8} {known.host} of {known.address}{'' if runs else ', which has crashed'}"
    if not runs:
        return
    if known.client_port:
        yield f"address  ray://{known.host}:{known.client_port} from outside, {known.address} on its nodes"
    if known.dashboard_port:
        yield f"dashboard  http://127.0.0.1:{known.dashboard_port}, which asks for the token"
    yield f"token    in {known.token}"
    if known.tls is not None:
        yield f"TLS      by the files in {known.tls}"


def _next(known: StartedNode, *, alone: bool) -> Iterator[str]:
    user = os.environ.get("USER", "you")
    if not alone:
        copied = f"{known.token} {known.tls or ''}".strip()
        yield f"  scp {'-r ' * (known.tls is not None)}-p {copied} {user}@OTHER:"
        folder = f" --tls-folder {known.tls.name}" if known.tls is not None else ""
        yield f"  sweep cluster join {known.address} --token-file {known.token.name}{folder}    # on OTHER"
        yield f"  export RAY_AUTH_TOKEN_PATH={known.token.name}    # where you launch from: a copy, too"
    yield f"  sweep run tabular --address ray://{known.host}:{known.client_port}"
    yield "  sweep cluster stop"
