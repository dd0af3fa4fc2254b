"""A bundle in a process of its own, that has nothing but numpy and onnxruntime: loaded, asked, timed.

`search.promote.loading` starts it. It imports what a server imports and no more, so what a bundle needs besides is
found here and not in production.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np

TRAINING: Final = ("lightgbm", "onnx", "optuna", "pandas", "pyarrow", "ray", "scipy", "skl2onnx", "sklearn", "torch")
"""What a served model must not need."""

RUNS: Final = 1_000
"""One-row requests that are timed."""

_WARM: Final = 20
_LIMIT_S: Final = 20.0
"""After this a slow model has been timed often enough."""


def main() -> None:
    """Answer the order on stdin with one JSON object on stdout."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library says is no answer
    begun = time.perf_counter()
    from search.bundle.bundle import Bundle
    from search.bundle.model import Model

    imported = time.perf_counter()
    order, columns = read(sys.stdin.buffer.read())
    opened = time.perf_counter()
    model = Model(Bundle.open(Path(order["root"]), digest=order["digest"]))
    loaded = time.perf_counter()
    batch = model.run(columns)
    told = {
        "import_s": imported - begun,
        "load_s": loaded - opened,
        "times_ms": _times_ms(model, columns),
        "label": None if batch.label is None else [str(one) for one in batch.label],
        "scores": _packed(batch.value if batch.probabilities is None else batch.probabilities),
        "rss_mb": _rss_mb(),
        "training": [name for name in TRAINING if name in sys.modules],
    }
    answer.write(json.dumps(told))
    answer.flush()


def written(root: Path, digest: str | None, columns: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Return an order, as `read` reads it; without pickles."""
    import numpy as np

    texts = {name: [str(one) for one in column] for name, column in columns.items() if column.dtype == object}
    arrays = {name: column for name, column in columns.items() if name not in texts}
    order = {"root": str(root.absolute()), "digest": digest, "texts": texts, "arrays": list(arrays)}
    buffer = io.BytesIO()
    numbered: dict[str, Any] = {f"a{index}": array for index, array in enumerate(arrays.values())}
    np.savez(buffer, order=np.frombuffer(json.dumps(order).encode(), dtype=np.uint8), **numbered)
    return buffer.getvalue()


def read(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return an order, and the columns of its sample."""
    import numpy as np

    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        order = json.loads(stored["order"].tobytes())
        columns = {name: stored[f"a{index}"] for index, name in enumerate(order["arrays"])}
    return order, columns | {name: np.array(texts, dtype=object) for name, texts in order["texts"].items()}


def unpacked(told: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Return the float32 array that was sent as text."""
    import numpy as np

    return np.frombuffer(base64.b64decode(told["float32"]), dtype="<f4").reshape(told["shape"])


def _packed(values: np.ndarray[Any, Any] | None) -> dict[str, Any]:
    assert values is not None
    return {"shape": values.shape, "float32": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def _times_ms(model: Any, columns: Mapping[str, np.ndarray[Any, Any]]) -> list[float]:
    """Ask for one row after the other, and return how long each took."""
    count = len(next(iter(columns.values())))
    rows = [{name: column[row : row + 1] for name, column in columns.items()} for row in range(count)]
    deadline, times = time.perf_counter() + _LIMIT_S, []
    for turn in range(_WARM + RUNS):
        begun = time.perf_counter()
        model.run(rows[turn % count])
        done = time.perf_counter()
        if turn >= _WARM:
            times.append((done - begun) * 1e3)
        if done > deadline and times:
            break
    return times


def _rss_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:  # no Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
