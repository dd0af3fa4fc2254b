"""What the tests over several machines share: one cluster of them, for a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from search.tuner.heads import PATIENCE
from tests.cluster.nodes import Network, missing, network

SYSTEM: Final = {**PATIENCE, "health_check_initial_delay_ms": 0}
"""Ray's patience as `sweep cluster start` has it, from a machine's first second on."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Network]:
    """A head that runs no trial and sees this checkout, and two machines with a CPU each that see nothing of it."""
    if lacks := missing():
        pytest.skip(lacks)
    with network(SYSTEM) as made:
        made.begin_head(cpus=0)
        made.wait_for(made.head)
        for machine in [made.add_node(name, cpus=1, wait=False) for name in ("a", "b")]:
            made.wait_for(machine)
        yield made
