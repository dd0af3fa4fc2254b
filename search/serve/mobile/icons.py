"""Icons of an app, drawn from its name: PNG files."""

from __future__ import annotations

import colorsys
import hashlib
import struct
import zlib
from typing import Any, Final

import numpy as np

_BARS: Final = ((0.26, 0.34), (0.44, 0.52), (0.62, 0.72))
"""Left edge and height of each bar, of the icon's side."""


def colour(name: str) -> tuple[int, int, int]:
    """Return a colour for a name: the same each time, and dark enough for white on it."""
    hue = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") / 65536
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.33, 0.62))
    return red, green, blue


def icon(name: str, side: int) -> bytes:
    """Return an icon: three rising bars on a ground of the name's colour, which systems may cut to any shape."""
    pixels = np.empty((side, side, 3), np.uint8)
    pixels[:] = colour(name)
    for left, high in _BARS:
        start, width = round(left * side), round(0.12 * side)
        bottom = round(0.76 * side)
        pixels[bottom - round(0.7 * high * side) : bottom, start : start + width] = 255
    return _png(pixels)


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)  # no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
