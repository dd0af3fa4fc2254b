"""Seeds of stages, and the generators that user code draws from without being told to: random's, numpy's, torch's."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from search.trial import ParamValue


def stage_seed(seed: int, number: int, stage: str) -> int:
    """Return the 32-bit seed of one stage of one trial, from (sweep seed, trial number, stage) alone."""
    digest = hashlib.sha256(f"{seed}/{number}/{stage}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def preparation_seed(seed: int, params: Mapping[str, ParamValue]) -> int:
    """Return the seed of a preprocess stage: of its parameters, not of the trial, so that trials share what it makes.

    Args:
        seed: Of the sweep.
        params: Of the stage, without their prefix.
    """
    return stage_seed(seed, 0, f"preprocess {json.dumps(dict(params), sort_keys=True)}")


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
