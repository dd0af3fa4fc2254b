"""Preparing images: resized, scaled by channel, whitened; what is fitted is fitted on the training images alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from search.contract import Context, Params, Part, Prepared

from .params import read_choice, read_float
from .whitening import inverse_root

SCALE: Final = ("standard", "symmetric", "unit")
WHITEN: Final = ("none", "zca")

# Whitening holds a matrix of values x values and takes its eigenvectors: 8 MB and a second at this size, 64 times the
# memory and 512 times the time at 8,192. Larger images have to be resized first.
MAX_VALUES: Final = 1024

# A covariance of 1,024 values is estimated well enough from so many images; all of a large set would not fit in memory.
_SAMPLE: Final = 4096

# The last hundredth of the variance of pixels is noise, and pixels that are always dark.
_WHITENED_VARIANCE: Final = 0.99

_BLOCK: Final = 1024  # images at once

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class PixelChoices:
    """The choices of the stage.

    Attributes:
        scale: Of pixels: to [0, 1], to [-1, 1], or to mean 0 and variance 1 of each channel over the training images.
        resize: Share of its height and width that an image keeps; a new pixel is the mean of the area that it covers.
        whiten: `zca` makes pixels uncorrelated, of unit variance, each as near to itself as can be.
    """

    scale: str = "standard"
    resize: float = 1.0
    whiten: str = "none"

    def __post_init__(self) -> None:
        if not 0 < self.resize <= 4:
            raise ValueError(f"preprocess.resize must be a share of the sides in (0, 4], got {self.resize}")

    @classmethod
    def of(cls, params: Params) -> PixelChoices:
        """Read the stage's parameters, given without their prefix.

        Raises:
            ValueError: One has a value that is not offered.
        """
        return cls(
            scale=read_choice(params, "scale", SCALE, "standard"),
            resize=read_float(params, "resize", 1.0),
            whiten=read_choice(params, "whiten", WHITEN, "none"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class FittedImages:
    """What was fitted on the training images; every step is a product or a sum.

    Attributes:
        rows: (new height, height) float32, multiplied from the left, or None where images keep their size.
        columns: (width, new width) float32, multiplied from the right.
        shift, factor: (1, channels, 1, 1) float32: subtracted from pixels, then multiplied.
        mean, matrix: (values,) and (values, values) float64 of the whitening, or None.
    """

    rows: Array | None
    columns: Array | None
    shift: Array
    factor: Array
    mean: Array | None = None
    matrix: Array | None = None

    def apply(self, images: Array) -> Array:
        """Prepare images (rows, channels, height, width) of bytes, or of float32 in [0, 1].

        Returns:
            (rows, channels, new height, new width) float32, C-contiguous.
        """
        height, width = images.shape[2:]
        if self.rows is not None and self.columns is not None:
            height, width = len(self.rows), self.columns.shape[1]
        made = np.empty((*images.shape[:2], height, width), dtype=np.float32)
        for start in range(0, len(images), _BLOCK):
            made[start : start + _BLOCK] = self._block(images[start : start + _BLOCK])
        return made

    def _block(self, images: Array) -> Array:
        pixels = unit(images)
        if self.rows is not None and self.columns is not None:
            pixels = self.rows @ pixels @ self.columns
        pixels = (pixels - self.shift) * self.factor
        if self.mean is None or self.matrix is None:
            return np.asarray(pixels)
        flat = pixels.reshape(len(pixels), -1).astype(np.float64)
        return np.asarray(((flat - self.mean) @ self.matrix).reshape(pixels.shape))


def prepare_images(choices: PixelChoices, train: Part, validation: Part, context: Context) -> Prepared:
    """Fit on the training images, then prepare both parts."""
    fitted = fit_images(choices, train.features, context)
    return Prepared(
        train=Part(fitted.apply(train.features), train.target),
        validation=Part(fitted.apply(validation.features), validation.target),
        transform=fitted,
    )


def fit_images(choices: PixelChoices, images: Array, context: Context) -> FittedImages:
    """Fit every step on the training images.

    Raises:
        ValueError: They are too large to be whitened.
    """
    channels, height, width = images.shape[1:]
    rows = columns = None
    if choices.resize != 1:
        rows = areas(height, max(1, round(height * choices.resize)))
        columns = areas(width, max(1, round(width * choices.resize))).T
    neutral = FittedImages(rows, columns, _channels(np.zeros(channels)), _channels(np.ones(channels)))
    shift, factor = _scaling(choices.scale, images, neutral)
    scaled = FittedImages(rows, columns, shift, factor)
    if choices.whiten == "none":
        return scaled
    mean, matrix = _whitening(images, scaled, context)
    return FittedImages(rows, columns, shift, factor, mean, matrix)


def areas(before: int, after: int) -> Array:
    """Return how much of each old pixel each new one covers, (after, before) float32; each row sums to 1."""
    edges = np.linspace(0, before, after + 1)
    low, high = edges[:-1, None], edges[1:, None]
    old = np.arange(before)
    covered = np.clip(np.minimum(high, old + 1) - np.maximum(low, old), 0, None)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), dtype=np.float32)


def unit(images: Array) -> Array:
    """Return pixels as float32 in [0, 1]."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)


def _scaling(scale: str, images: Array, resized: FittedImages) -> tuple[Array, Array]:
    channels = images.shape[1]
    if scale == "unit":
        return _channels(np.zeros(channels)), _channels(np.ones(channels))
    if scale == "symmetric":
        return _channels(np.full(channels, 0.5)), _channels(np.full(channels, 2.0))
    pixels = unit(images) if resized.rows is None else resized.apply(images)
    deviation = pixels.std(axis=(0, 2, 3), dtype=np.float64)
    return _channels(pixels.mean(axis=(0, 2, 3), dtype=np.float64)), _channels(
        1 / np.where(deviation > 0, deviation, 1.0)
    )


def _channels(values: Array) -> Array:
    return np.asarray(values.reshape(1, -1, 1, 1), dtype=np.float32)


def _whitening(images: Array, scaled: FittedImages, context: Context) -> tuple[Array, Array]:
    if len(images) > _SAMPLE:
        drawn = np.random.default_rng(context.seed % 2**32).choice(len(images), _SAMPLE, replace=False)
        images = images[np.sort(drawn)]
    first = scaled.apply(images[:1])
    if first.size > MAX_VALUES:
        shape = " x ".join(str(side) for side in first.shape[1:])
        raise ValueError(
            f"preprocess.whiten takes images of at most {MAX_VALUES} values, got {shape}; "
            "try a smaller preprocess.resize"
        )
    values = scaled.apply(images).reshape(len(images), -1).astype(np.float64)
    mean = values.mean(axis=0)
    centred = values - mean
    return mean, inverse_root(centred.T @ centred / max(len(values) - 1, 1), share=_WHITENED_VARIANCE)
