"""What was fitted on the training rows and trained on them, as ONNX graphs: raw rows to a prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from search.contract import Exported

from . import onnx_images, onnx_parts
from .pixels import FittedImages

Array = np.ndarray[Any, Any]


def exported(learner: Any, fitted: Any) -> Exported:
    """Return a trained learner of ours with the preparation that its rows went through.

    Args:
        learner: With `onnx`, `weights` and `predict`.
        fitted: A `FittedTable` or `FittedImages`.

    Raises:
        NotExportable: A step has no counterpart in ONNX.
    """
    prepare = onnx_images.to_onnx(fitted) if isinstance(fitted, FittedImages) else onnx_parts.to_onnx(fitted)

    def predict(features: Any) -> Array:
        found: Array = learner.predict(fitted.apply(features))
        return found

    return Exported(prepare.SerializeToString(), learner.onnx().SerializeToString(), predict, learner.weights())
