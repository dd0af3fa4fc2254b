"""A graph in onnxruntime's mobile form: the `OrtFile`."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search.errors import RefusedError

_NAME: Final = "model"
_CPU: Final = ["CPUExecutionProvider"]


@dataclass(frozen=True, slots=True)
class OrtFile:
    """A model that onnxruntime loads without its parser of ONNX.

    Attributes:
        content: Of `model.ort`.
        operators: What it needs of onnxruntime: input of a build that has these operators alone.
    """

    content: bytes
    operators: str


def to_ort(graph: bytes, *, folds: bool = True) -> OrtFile:
    """Return a graph in mobile form, its optimizations done ("Fixed", as `convert_onnx_models_to_ort` calls it).

    Args:
        graph: ONNX, serialized.
        folds: Whether to reckon constants beforehand; stored short, they would become long again.

    Raises:
        RefusedError: onnxruntime cannot load it.
    """
    import onnxruntime
    from onnxruntime.tools.ort_format_model import create_config_from_models

    logging.getLogger("ort_format_model.utils").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="sweep-mobile-") as folder:
        made, config = Path(folder) / f"{_NAME}.ort", Path(folder) / f"{_NAME}.config"
        options = onnxruntime.SessionOptions()
        # one more level would lay tensors out for the processor of this machine, which a phone's cannot read
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(made)
        options.log_severity_level = 4
        options.add_session_config_entry("session.save_model_format", "ORT")
        left_out = [] if folds else ["ConstantFolding"]
        try:
            onnxruntime.InferenceSession(graph, options, providers=_CPU, disabled_optimizers=left_out)
        except Exception as error:  # its errors have no common class
            said = " ".join(str(error).split())[:100]
            raise RefusedError(f"onnxruntime cannot turn the model into its mobile form: {said}") from error
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # it leaves the closing of its file to chance
            create_config_from_models([made], config, False)
        # its first lines name a file of this machine
        listed = [line for line in config.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        return OrtFile(made.read_bytes(), "\n".join(["# What model.ort needs of onnxruntime", *listed]).rstrip() + "\n")
