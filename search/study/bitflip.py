"""Finds the one bit whose flip explains why bytes do not fit their crc32: the `Flip`.

A crc32 is linear: what a changed bit does to it depends on the bit's distance from the end alone, and is different for
every bit of the first half gigabyte. So the difference of two sums, led back zero byte by zero byte, is that of a
single bit at one distance at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_POLYNOMIAL: Final = 0xEDB88320


@dataclass(frozen=True, slots=True)
class Flip:
    """A bit that is not as it was: byte `offset` must be XORed with `mask`."""

    offset: int
    mask: int


def find(length: int, difference: int) -> Flip | None:
    """Return the flipped bit among `length` bytes; None if no single bit explains it.

    Args:
        length: Of the bytes that the two sums end with.
        difference: The crc32 as it should be, XORed with the one that was found.
    """
    state = difference
    for offset in range(length - 1, -1, -1):
        if state in _SINGLE:
            return Flip(offset, _SINGLE[state])
        index = _BY_TOP[state >> 24]
        state = ((state ^ _TABLE[index]) << 8 | index) & 0xFFFFFFFF
    return None


def _entry(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (_POLYNOMIAL if index & 1 else 0)
    return index


_TABLE: Final = [_entry(index) for index in range(256)]
_BY_TOP: Final = {value >> 24: index for index, value in enumerate(_TABLE)}
_SINGLE: Final = {_TABLE[1 << bit]: 1 << bit for bit in range(8)}
