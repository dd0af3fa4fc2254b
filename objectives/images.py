"""Classification of images by a convolutional network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from search.contract import Context, Dataset, Exported, Metric, Params, Part, Prepared, Source, Space

from . import scoring
from .params import read_float, read_int
from .pixels import PixelChoices, prepare_images

if TYPE_CHECKING:
    from .torch_learner import TorchLearner

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
        """Resize, scale and whiten; what is fitted is fitted on the training images."""
        return prepare_images(PixelChoices.of(params), train, validation, context)

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

    def export(self, learner: Any, prepared: Prepared, context: Context) -> Exported:
        """Return what was fitted and trained as two ONNX graphs.

        Raises:
            NotExportable: A step has no counterpart in ONNX; `exports.py` lists them.
        """
        from .exporting import exported

        return exported(learner, prepared.transform)

    def baseline(self, train: Part, validation: Part, context: Context) -> Mapping[str, float]:
        """Score the class frequencies of the training images."""
        found = scoring.naive(train, validation, context)
        return {metric.name: found[metric.name] for metric in _METRICS}
