"""What tests share: one Ray for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ray_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two CPUs and two GPUs that are only numbers; a sweep in this process uses it instead of its own."""
    from search.tuner import cluster

    scratch = Path(tmp_path_factory.mktemp("ray"))
    with cluster.connected(None, scratch, num_cpus=2, num_gpus=2):
        yield
