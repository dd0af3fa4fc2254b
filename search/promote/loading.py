"""Does a bundle load where nothing of its training is, and answer the same there: the `Loaded`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.bundle.bundle import Bundle
from search.bundle.model import Model
from search.errors import RefusedError
from search.promote import clean_run

Array = np.ndarray[Any, Any]

SAMPLE_ROWS: Final = 100
"""That a sample needs no more than."""

_TIMEOUT_S: Final = 300.0
_CLOSE: Final = {"rtol": 1e-5, "atol": 1e-6}
"""Sums may be added in another order where an array begins at another address."""

_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "LANG", "LC_ALL")
_START: Final = "import sys; sys.path.insert(0, sys.argv[1]); from search.promote.clean_run import main; main()"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A bundle in a clean process.

    Attributes:
        p50_ms, p95_ms: Of one row, in process, on one thread.
        runs: How many such were timed.
        import_s: Until numpy and onnxruntime were there.
        load_s: Until the files were checked and the model was ready.
        rss_mb: Memory of the process at the end, in megabytes.
        rows: Of the sample, whose answers were equal to those of this process.
    """

    p50_ms: float
    p95_ms: float
    runs: int
    import_s: float
    load_s: float
    rss_mb: float
    rows: int

    @property
    def sentence(self) -> str:
        return (
            f"loads in a clean process in {self.import_s + self.load_s:.2f} s and takes {self.rss_mb:.0f} MB; one row "
            f"takes {self.p50_ms:.3g} ms, 95 of 100 less than {self.p95_ms:.3g} ms"
        )


def load_clean(root: Path, sample: Mapping[str, Array], *, digest: str | None = None) -> Loaded:
    """Load a bundle in a process that has numpy and onnxruntime alone, and ask it what this process asks it.

    Args:
        root: Of the bundle.
        sample: Raw columns, (rows,) each, as `Model.run` takes them; `SAMPLE_ROWS` of them are plenty.
        digest: Of its manifest, where that is known.

    Raises:
        RefusedError: It does not load there, needs a library of the training, or answers differently.
    """
    told = _asked(clean_run.written(root, digest, sample))
    if told["training"]:
        raise RefusedError(f"the bundle needs {', '.join(told['training'])} to run", field="model")
    ours = Model(Bundle.open(root, digest=digest)).run(sample)
    scores = ours.value if ours.probabilities is None else ours.probabilities
    assert scores is not None
    theirs = clean_run.unpacked(told["scores"])
    same = theirs.shape == scores.shape and np.allclose(theirs, scores, equal_nan=True, **_CLOSE)
    if not same or (ours.label is not None and told["label"] != [str(one) for one in ours.label]):
        worst = float(np.nanmax(np.abs(theirs - scores))) if theirs.shape == scores.shape else np.nan
        raise RefusedError(
            f"the bundle answers differently in a clean process: by {worst:.3g} on {len(scores)} sample rows",
            field="model",
        )
    times = np.asarray(told["times_ms"])
    p50, p95 = (float(one) for one in np.quantile(times, [0.5, 0.95]))
    return Loaded(p50, p95, len(times), told["import_s"], told["load_s"], told["rss_mb"], len(scores))


def _asked(order: bytes) -> dict[str, Any]:
    """Start the process, and return what it says."""
    root = str(Path(clean_run.__file__).parents[2])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _START, root],
            input=order,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            cwd="/",
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        told: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        said = f"the bundle did not load and answer in a clean process within {_TIMEOUT_S:.0f} s"
        raise RefusedError(said, field="model") from None
    except ValueError:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        said = lines[-1].removeprefix("search.errors.RefusedError: ")
        raise RefusedError(f"the bundle does not load in a clean process: {said[:120]}", field="model") from None
    return told
