"""The model that a stream begins with: found by a small sweep of the first part and promoted, as a user would do it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.online_streams import TARGET, Stream
from search.bundle.model import Model
from search.bundle.signature import Kind, Signature
from search.registry.resolving import resolve
from search.serve.backend import Served

Array = np.ndarray[Any, Any]

ROOT: Final = Path(__file__).resolve().parent.parent
SWEEP: Final = ("--trials", "12", "--max-epochs", "9", "--cache", "none", "--accept-changes", "--quiet", "--json")
PROMOTE: Final = ("--refit", "--accept-changes", "--quiet", "--json")
"""Its best trial, as it is: to confirm the first few would take longer than to find them."""


def found(stream: Stream, seed: int, work: Path) -> Served:
    """Return the champion that a sweep of the first part found; one that was found before is not sought again.

    Args:
        stream: Of which the first part is read.
        seed: Of the sweep.
        work: Holds `results`, with the study and the registry, and the tables.

    Raises:
        SystemExit: A command failed.
    """
    first = stream.table.iloc[: stream.first].assign(**{TARGET: stream.labels[: stream.first]})
    text = first.to_csv(index=False)
    name = f"{stream.name}-{hashlib.sha256(f'{seed} {text}'.encode()).hexdigest()[:8]}"
    results = work / "results"
    if not (results / "models" / name / "registry.json").exists():
        shutil.rmtree(results / name, ignore_errors=True)  # what an interrupted call left
        work.mkdir(parents=True, exist_ok=True)
        data = work / f"{name}.csv"
        data.write_text(text, encoding="utf-8")
        known = ("--data", str(data), "--target", TARGET, "--study", name, "--seed", str(seed))
        told = _sweep("run", "tabular", *known, *SWEEP, "--results", str(results))
        _sweep(
            "promote", name, "--as", name, "--trial", str(told["best"]["number"]), *PROMOTE, "--results", str(results)
        )
    resolved = resolve(results, name)
    return Served(resolved.open(), name, resolved.version)


def family(served: Served) -> str:
    """Return the kind of model that the sweep found, such as `forest`."""
    return str(served.bundle.manifest.members[0].params["model.family"])


def columns_of(table: pd.DataFrame, signature: Signature) -> dict[str, Array]:
    """Return a table as `Model.run` takes it."""
    return {
        one.name: table[one.name].to_numpy(np.float32)
        if one.kind is Kind.NUMBER
        else table[one.name].map(str).to_numpy(object)
        for one in signature.inputs
    }


def targets_of(stream: Stream, signature: Signature) -> Array:
    """Return the index of each row's class in the signature, (rows,) int64."""
    index = {name: number for number, name in enumerate(signature.classes)}
    return np.array([index[label] for label in stream.labels], dtype=np.int64)


def answered(served: Served, columns: Mapping[str, Array]) -> Array:
    """Return the class that a model gives each row, by its name."""
    label = Model(served.bundle).run(columns).label
    assert label is not None
    return np.asarray(label, dtype=object)


def _sweep(*arguments: str) -> Any:
    """Run a command of ours to its end, and return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "search", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())[-500:]
        raise SystemExit(f"sweep {' '.join(arguments)} ended with {done.returncode}: {said}")
    return json.loads(done.stdout)
