"""Why a trial fails: what its metrics and its exceptions are told as."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from search.errors import FailReason

_OUT_OF_MEMORY: Final = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "memory allocation",
    "bad_alloc",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)

_OF_XLA: Final = re.compile("resource_exhausted.*(?:out of memory|allocat)", re.DOTALL)  # gRPC says it of quotas, too

_OF_A_GPU: Final = re.compile(r"\b(?:cuda(?!_)\w*|cu(?:blas|dnn)\w*|hip(?:(?:malloc|error)\w*)?|gpus?|gpu_\d\w*)\b")


class Fail(Exception):
    """Ends a trial as FAIL; `trace` is the traceback of an exception that it stands for."""

    def __init__(self, reason: FailReason, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.trace = trace


def finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics as plain floats; whatever is not a finite number fails the trial."""
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, (bool, str, bytes, type(None))):
            raise Fail(FailReason.INVALID, f"metric {name!r} must be a number, got {value!r}")
        try:
            plain[str(name)] = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise Fail(FailReason.INVALID, f"metric {name!r} must be a number, got {value!r:.80}") from error
        if not math.isfinite(plain[str(name)]):
            raise Fail(FailReason.NAN, f"metric {name!r} is {plain[str(name)]}")
    return plain


def speaks_of_memory(text: str) -> bool:
    """Tell whether a text that came with an end is of memory that could not be had."""
    said = text.lower()
    return any(words in said for words in _OUT_OF_MEMORY) or _OF_XLA.search(said) is not None


def speaks_of_gpu_memory(text: str) -> bool:
    """Tell whether it is the memory of a GPU that could not be had."""
    said = text.lower()
    return speaks_of_memory(said) and any(pattern.search(said) for pattern in (_OF_A_GPU, _OF_XLA))


def blame(error: BaseException) -> tuple[FailReason, str]:
    """Name the reason of an exception, and say it in one line."""
    said = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
    if isinstance(error, MemoryError):
        return FailReason.OUT_OF_MEMORY, text if said else "out of memory"
    # torch.OutOfMemoryError and CUDA's own texts, without importing torch for it
    if type(error).__name__ == "OutOfMemoryError" or speaks_of_memory(text):
        return FailReason.OUT_OF_MEMORY, text
    return FailReason.EXCEPTION, text
