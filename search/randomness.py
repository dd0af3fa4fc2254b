"""The generators that user code may draw from without being told to: random, numpy's global one, torch's."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def seed_globals(seed: int) -> None:
    """Seed those of the libraries that are loaded.

    Args:
        seed: Of 32 bits.
    """
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """Seed them meanwhile, and leave them as they were."""
    drawn = random.getstate()
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    numpy_drawn = numpy.random.get_state() if numpy is not None else None
    torch_drawn = torch.get_rng_state() if torch is not None else None
    seed_globals(seed)
    try:
        yield
    finally:
        random.setstate(drawn)
        if numpy is not None:
            numpy.random.set_state(numpy_drawn)
        if torch is not None:
            torch.set_rng_state(torch_drawn)
