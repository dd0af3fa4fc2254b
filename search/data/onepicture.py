"""One picture of a file, in the same way for training and for predictions: `plain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES: Final = (".png", ".jpg", ".jpeg")

DEEP: Final = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of grey pictures with 16 bits; those of colour it reads as 8 bits itself, by the upper ones."""

GREY: Final = ("1", "L", "LA", *DEEP)
COLOUR: Final = ("RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB")


def plain(image: Image, mode: str) -> Image:
    """Return a picture with 8 bits a channel, and turned as the camera noted; transparency is dropped.

    Args:
        image: As it was opened; its mode is one of `GREY` or `COLOUR`.
        mode: `L` or `RGB`.

    Raises:
        Exception: Of a dozen kinds, from Pillow: the file is damaged, or has another mode.
    """
    from PIL import Image, ImageOps

    if image.mode not in (*GREY, *COLOUR):
        raise ValueError(image.mode)
    upright = image if image.format == "PNG" else ImageOps.exif_transpose(image)
    if upright.mode in DEEP:  # Pillow would make all above 255 white
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    return upright.convert(mode)
