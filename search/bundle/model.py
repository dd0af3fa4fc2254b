"""A bundle that predicts, by onnxruntime: the `Model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from search.bundle.bundle import Bundle
from search.bundle.signature import LABEL, PROBABILITIES, VALUE, Kind, Signature
from search.errors import RefusedError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What a model says of some rows.

    Attributes:
        label: (rows,) str, of a classification.
        probabilities: (rows, classes) float32, of a classification.
        value: (rows,) float32, of a regression.
    """

    label: Array | None = None
    probabilities: Array | None = None
    value: Array | None = None


class Model:
    """A graph that runs; safe to be called by several threads at once.

    Args:
        bundle: Checked.
        threads: That one call may use.

    Attributes:
        bundle: As given.
        signature: Of the bundle.

    Raises:
        RefusedError: onnxruntime cannot load the graph.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self.bundle = bundle
        self.signature: Signature = bundle.signature
        self._session = _session(bundle, threads)
        self._outputs = [LABEL, PROBABILITIES] if self.signature.is_classification else [VALUE]
        self._reads = [one for one in self.signature.inputs if one.used]

    def run(self, columns: Mapping[str, Array]) -> Predicted:
        """Predict rows.

        Args:
            columns: By name, (rows,) each: float32 with NaN for a missing number, or an object array of str with ""
                for a missing text. An image is (rows, channels, height, width) float32 in [0, 1].
        """
        feeds = {
            one.name: columns[one.name] if one.kind is Kind.IMAGE else columns[one.name].reshape(-1, 1)
            for one in self._reads
        }
        found = self._session.run(self._outputs, feeds)
        if not self.signature.is_classification:
            return Predicted(value=found[0].reshape(-1))
        return Predicted(label=found[0], probabilities=found[1])


def _session(bundle: Bundle, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        said = " ".join(str(error).split())[:100]
        raise RefusedError(f"{bundle.root / 'model.onnx'} cannot be loaded: {said}", field="model") from error
