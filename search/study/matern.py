"""The Matern-5/2 kernel of scaled points (Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


def matern(squared: Array) -> Array:
    """Return the kernel at squared distances, in their place: new memory would take longer than the reckoning."""
    return _matern(squared)[0]


def matern_with_slope(squared: Array) -> tuple[Array, Array]:
    """Return the kernel at squared distances, in their place, and its derivative by them."""
    kernel, rising, decay = _matern(squared)
    rising *= -5.0 / 6.0
    rising *= decay
    return kernel, rising


def _matern(squared: Array) -> tuple[Array, Array, Array]:
    """Return the kernel and two factors of its derivative."""
    squared *= 5.0
    root = np.sqrt(squared, out=squared)
    decay = np.exp(-root)
    rising = 1.0 + root
    root *= root
    root /= 3.0
    root += rising
    root *= decay
    return root, rising, decay
