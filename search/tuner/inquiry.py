"""Ask a cluster what it is made of, from one of its machines or from outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from search.tuner import cluster
from search.tuner.door import OF_CLIENTS, OF_GCS, Answer, accepts_open, check_grpc, is_encrypted, knock, pass_door
from search.tuner.inventory import Inventory, inventory_inside, take_inventory
from search.tuner.known import known_at
from search.tuner.ports import DASHBOARD_PORT, Port, look, look_at
from search.tuner.reach import check_address, split
from search.tuner.tokens import token_here

CLIENT_PORT: Final = 10001


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of a cluster.

    Attributes:
        inventory: What it is made of; None where that was not asked.
        ports: What of it listens, as seen from here.
        encrypted: Whether its connections are.
    """

    inventory: Inventory | None
    ports: tuple[Port, ...]
    encrypted: bool


def ask_cluster(address: str) -> Inventory:
    """Return what a cluster is made of.

    Args:
        address: `HOST:PORT` of its GCS, which is told too where it lets in anybody; `ray://HOST:PORT` for clients, of
            which Ray itself makes a connection; or `auto`.

    Raises:
        SurroundingsError: It does not answer, or does not let us in.
        RefusedError: It lets in anybody, and wants a connection.
    """
    cluster.set_environment(address)
    check_address(address)
    check_grpc()
    if cluster.is_outside(address):
        with cluster.connected(address):
            return replace(inventory_inside(address), is_open=_is_open(address))
    place, token = cluster.place_of(address), token_here()
    if knock(place, OF_GCS) is Answer.IN:
        return replace(take_inventory(place, None), is_open=True)
    pass_door(place, token)
    return take_inventory(place, token)


def examine(address: str) -> Examined:
    """Return what a cluster is made of, and what of it answers here to who has no token.

    Raises:
        SurroundingsError: It does not answer, or does not let us in.
    """
    cluster.set_environment(address)
    check_address(address)
    check_grpc()
    if cluster.is_outside(address):
        host, port = split(address)
        if _is_open(address) and not accepts_open():  # its answers could run code here
            return Examined(None, (look_at(host, port, "clients"),), is_encrypted())
        inventory = ask_cluster(address)
        return Examined(inventory, tuple(look(inventory.nodes, None, port)), is_encrypted())
    inventory, known = ask_cluster(address), known_at(address)
    client_port = known.client_port if known is not None and known.client_port else CLIENT_PORT
    return Examined(
        inventory,
        tuple(look(inventory.nodes, inventory.address, client_port, DASHBOARD_PORT)),
        is_encrypted(),
    )


def _is_open(address: str) -> bool:
    """Tell whether a cluster's server for clients asks nobody for a token."""
    return knock(address.removeprefix("ray://"), OF_CLIENTS) is Answer.IN
