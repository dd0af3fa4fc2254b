"""Arrays as the content of a safetensors file that is never put together in memory: the `Flat`.

The format (github.com/huggingface/safetensors, "Format"): 8 bytes with the length of a JSON object, the object, and the
arrays' bytes, one after the other. The library copies all of them to write a file, and again to read one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

PIECE_BYTES: Final = 8 << 20
"""Most that travels in one call."""

_NAMES: Final = {
    "bool": "BOOL", "int8": "I8", "uint8": "U8", "int16": "I16", "uint16": "U16", "int32": "I32", "uint32": "U32",
    "int64": "I64", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64",
}  # fmt: skip
_TYPES: Final = {name: np.dtype(dtype).newbyteorder("<") for dtype, name in _NAMES.items()}


class Flat:
    """Arrays, laid out as in a file.

    Args:
        arrays: By name.
        copies: Copy them: they may be changed while they are on their way.

    Attributes:
        size: Of the file, in bytes.
    """

    def __init__(self, arrays: Mapping[str, Array], *, copies: bool) -> None:
        ordered = sorted(arrays.items(), key=lambda one: (-one[1].dtype.itemsize, one[0]))  # so that each is aligned
        header, at, buffers = dict[str, Any](), 0, list[Bytes]()
        for name, array in ordered:
            dtype = array.dtype.newbyteorder("<")
            plain = np.array(array, dtype, order="C", copy=True if copies else None)
            header[name] = {
                "dtype": _NAMES[array.dtype.name],
                "shape": array.shape,
                "data_offsets": (at, at + plain.nbytes),
            }
            buffers.append(plain.reshape(-1).view(np.uint8))
            at += plain.nbytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        begin = np.frombuffer(len(text).to_bytes(8, "little") + text, np.uint8)
        self._buffers: list[Bytes] = [begin, *buffers]
        self.size = len(begin) + at

    def pieces(self, length: int = PIECE_BYTES) -> Iterator[Bytes]:
        """Yield the file's bytes, `length` at a time; each piece is the caller's."""
        room, filled = np.empty(min(length, self.size), np.uint8), 0
        left = self.size
        for buffer in self._buffers:
            at = 0
            while at < len(buffer):
                taken = min(len(buffer) - at, len(room) - filled)
                room[filled : filled + taken] = buffer[at : at + taken]
                at, filled = at + taken, filled + taken
                if filled == len(room):
                    yield room
                    left -= filled
                    room, filled = np.empty(min(length, left), np.uint8), 0


def is_large(arrays: Iterable[Array], limit: int) -> bool:
    """Tell whether arrays take more than `limit` bytes, and can be flat: others are the library's to judge."""
    held = list(arrays)
    return sum(array.nbytes for array in held) > limit and all(array.dtype.name in _NAMES for array in held)


def arrays_in(content: Bytes) -> dict[str, Array]:
    """Return the arrays of a file, as views of its bytes.

    Raises:
        ValueError: It is no such file.
    """
    length = int.from_bytes(content[:8].tobytes(), "little")
    if len(content) < 8 + length:
        raise ValueError("it is cut off")
    header, body = json.loads(content[8 : 8 + length].tobytes()), content[8 + length :]
    header.pop("__metadata__", None)
    found = dict[str, Array]()
    for name, one in header.items():
        (begin, end), shape = one["data_offsets"], tuple(one["shape"])
        dtype = _TYPES[one["dtype"]]
        if not 0 <= begin <= end <= len(body) or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"array {name[:40]!r} is not where it should be")
        part = body[begin:end]
        aligned = part.ctypes.data % dtype.itemsize == 0
        found[name] = (part if aligned else part.copy()).view(dtype).reshape(shape)
    return found
