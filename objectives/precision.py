"""The numbers a network reckons with: float32, or bfloat16 where that is safe, with weights in float32.

bfloat16 has the range of float32, so gradients need no scaling (Kalamkar et al. 2019, arXiv:1905.12322).
"""

from __future__ import annotations

from typing import Final

import torch

PRECISIONS: Final = ("float32", "bf16")


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context that a forward pass and its loss run in.

    Args:
        precision: One of `PRECISIONS`.
        device: Where the network is.

    Raises:
        ValueError: There is no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {' or '.join(PRECISIONS)}, got {precision!r}")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
