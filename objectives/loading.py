"""Training rows as batches on the device: all of them there at once, or each brought one batch ahead: the `Rows`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import torch
from torch import Tensor

_SHARE: Final = 0.25  # of the free memory that rows may take: weights and activations need the rest


def fits(needed: int, free: int | None) -> bool:
    """Tell whether rows of so many bytes go into a device that has so many free; None: it is the host itself."""
    return free is None or needed <= _SHARE * free


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a GPU, None of a CPU."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


class Rows:
    """The features of the training rows.

    Args:
        features: On the host; nobody writes into them.
        device: Where batches are wanted.
        resident: Whether all rows are to lie there.
    """

    def __init__(self, features: Tensor, device: torch.device, *, resident: bool) -> None:
        self._device = device
        self._resident = resident
        self._features = features.to(device) if resident else features
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda" and not resident:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self._features)

    def batches(self, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the row numbers and the features of each batch, on the device.

        Args:
            order: Row numbers, on the host.
            size: Rows of a batch; the last one may have fewer.
        """
        if self._resident:
            for rows in torch.split(order.to(self._device), size):
                yield rows, self._features[rows]
            return
        orders = torch.split(order, size)
        # One thread, and one batch ahead: the host gathers rows while the GPU trains on those before.
        with ThreadPoolExecutor(1, thread_name_prefix="rows") as pool:
            coming = pool.submit(self._bring, orders[0])
            for following in [*orders[1:], None]:
                rows, features = self._arrived(coming)
                if following is not None:
                    coming = pool.submit(self._bring, following)
                yield rows, features

    def _bring(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        found = self._features[rows]
        if self._stream is None:
            return rows.to(self._device), found.to(self._device)
        # From pinned memory, and on a stream of its own, a copy runs beside the training.
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            return (
                rows.pin_memory().to(self._device, non_blocking=True),
                found.pin_memory().to(self._device, non_blocking=True),
            )

    def _arrived(self, coming: Future[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        rows, features = coming.result()
        if self._stream is not None:
            training = torch.cuda.current_stream(self._device)
            training.wait_stream(self._stream)
            for tensor in (rows, features):
                tensor.record_stream(training)  # its memory is not given away while the training reads it
        return rows, features
