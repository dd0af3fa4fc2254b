"""The header of a safetensors file, checked: that its arrays lie one after the other and fill the file.

The format (github.com/huggingface/safetensors, "Format"): 8 bytes with the length of a JSON object, the object, and the
arrays' bytes. The library checks the same when it loads one; a bundle is opened without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from search.bundle import strict

_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip
_LONGEST_HEADER: Final = 100_000_000
"""Bytes, as the library has it."""


@dataclass(frozen=True, slots=True)
class _Array:
    """One array, as the header has it."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, ...]


def check_weights(content: bytes) -> None:
    """Make sure that a file holds arrays, and nothing else.

    Raises:
        ValueError: It does not; the text says why.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _LONGEST_HEADER):
        raise ValueError("it is cut off, or no safetensors")
    values = strict.parse(content[8 : 8 + length])
    if not isinstance(values, dict):
        raise ValueError("its header is no object")
    strict.check(values.pop("__metadata__", {}), dict[str, str], "__metadata__")
    strict.check(values, dict[str, _Array])
    at = 0
    for name, one in sorted(values.items(), key=lambda pair: pair[1]["data_offsets"]):
        _check_array(name, one, at)
        at = one["data_offsets"][1]
    if at != len(content) - 8 - length:
        raise ValueError("its arrays do not fill it")


def _check_array(name: str, one: Any, at: int) -> None:
    if one["dtype"] not in _BITS or len(one["data_offsets"]) != 2 or any(size < 0 for size in one["shape"]):
        raise ValueError(f"array {name[:40]!r} is of no known kind")
    begin, end = one["data_offsets"]
    if begin != at or end - begin != math.prod(one["shape"]) * _BITS[one["dtype"]] // 8:
        raise ValueError(f"array {name[:40]!r} is not where it should be")
