"""Classification of images by a convolutional network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import Context, Dataset, Metric, Params, Part, Prepared, Source, Space

from . import scoring
from .params import read_choice, read_float, read_int

if TYPE_CHECKING:
    from .torch_learner import TorchLearner

SCALE: Final = ("standard", "symmetric", "unit")

# The metric that people ask for is searched; the loss beside it ends a trial that only overfits.
_METRICS: Final = tuple(
    sorted(
        (metric for metric in scoring.CLASSIFICATION if metric.name != "val_auc"),
        key=lambda metric: metric.name != "val_accuracy",
    )
)


class Images:
    """Tell which class an image shows."""

    space: Space | str = "images"

    def data(self, source: Source) -> Dataset:
        """Load the user's images, or handwritten digits of 8 x 8 pixels."""
        return source.images("sklearn:digits")

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        """Declare accuracy first, then the log loss and the accuracy of a mean class."""
        return _METRICS

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        """Scale pixels: to [0, 1], to [-1, 1], or to mean 0 and variance 1 of each channel over the training images."""
        shift, factor = _scaling(read_choice(params, "scale", SCALE, "standard"), train.features)
        return Prepared(
            train=Part(_scaled(train.features, shift, factor), train.target),
            validation=Part(_scaled(validation.features, shift, factor), validation.target),
            transform={"shift": shift, "factor": factor},
        )

    def learner(self, params: Params, prepared: Prepared, context: Context) -> TorchLearner:
        """Build a network from `model.width`, `model.depth`, `model.dropout`, trained as `train.` says."""
        from .augment import Augmentation
        from .balance import class_weights
        from .models.cnn import Network
        from .torch_learner import TorchLearner
        from .training import Training

        channels = prepared.train.features.shape[1]
        classes = scoring.class_count(prepared.train, context)
        width = read_int(params, "model.width", 24, minimum=1)
        depth = read_int(params, "model.depth", 2, minimum=1)
        dropout = read_float(params, "model.dropout", 0.0)
        return TorchLearner(
            lambda: Network(channels, classes, width=width, depth=depth, dropout=dropout),
            Training.of(params),
            prepared,
            context,
            class_weights=class_weights(params, prepared.train, context),
            augment=Augmentation.of(params),
        )

    def baseline(self, train: Part, validation: Part, context: Context) -> Mapping[str, float]:
        """Score the class frequencies of the training images."""
        found = scoring.naive(train, validation, context)
        return {metric.name: found[metric.name] for metric in _METRICS}


def _scaling(scale: str, images: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return what is subtracted from pixels in [0, 1], then multiplied: (1, channels, 1, 1) float32 each."""
    channels = images.shape[1]
    if scale == "unit":
        shift, factor = np.zeros(channels), np.ones(channels)
    elif scale == "symmetric":
        shift, factor = np.full(channels, 0.5), np.full(channels, 2.0)
    else:
        pixels = _unit(images)
        deviation = pixels.std(axis=(0, 2, 3), dtype=np.float64)
        shift = pixels.mean(axis=(0, 2, 3), dtype=np.float64)
        factor = 1 / np.where(deviation > 0, deviation, 1.0)
    shape = (1, channels, 1, 1)
    return shift.reshape(shape).astype(np.float32), factor.reshape(shape).astype(np.float32)


def _scaled(
    images: np.ndarray[Any, Any], shift: np.ndarray[Any, Any], factor: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray((_unit(images) - shift) * factor)


def _unit(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return pixels as float32 in [0, 1]."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)
