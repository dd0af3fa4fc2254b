"""`sklearn:NAME` beyond the packaged sets: real ones that scikit-learn downloads, kept as Parquet or as arrays."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.data.fetch import Fetched, Say
from search.data.packaged import IMAGES, TABLES, TARGET
from search.data.reference import Reference
from search.data.web import keep
from search.errors import InputError, SurroundingsError
from search.paths import DataFolder

Fetch = Callable[..., Any]

_AS_FRAME: Final = {"as_frame": True}
FETCHED: Final[dict[str, dict[str, Any]]] = {
    "20newsgroups": {"subset": "all", "shuffle": False},
    "california_housing": _AS_FRAME,
    "covtype": _AS_FRAME,
    "kddcup99": _AS_FRAME,
    "lfw_people": {"min_faces_per_person": 20},
    "olivetti_faces": {},
}
"""The sets that are downloaded, each with how scikit-learn is asked for it."""


def fetch(reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
    """Fetch a set that scikit-learn downloads."""
    name = str(reference.location)
    if name in TABLES:
        known = ", ".join((*IMAGES, "lfw_people", "olivetti_faces"))
        raise InputError(f"sklearn:{name} is a table; scikit-learn's images are {known}", field="data")
    if name not in FETCHED:
        raise InputError(
            f"scikit-learn has no packaged data set {name[:60]!r}; known: {', '.join(TABLES)}, "
            f"and by download: {', '.join(FETCHED)}",
            field="data",
        )

    def make() -> keep.Made:
        say(f"scikit-learn downloads {name}")
        home = keep.temporary(place, "sklearn")
        try:
            return convert(name, download(name, home), place)
        finally:
            shutil.rmtree(home, ignore_errors=True)  # it holds pickles, which do not outlive this call

    return keep.find_or_make(reference, place, make, refresh=refresh)


def download(name: str, home: Path) -> Any:
    """Return what scikit-learn makes of a set.

    Args:
        name: One of `FETCHED`.
        home: Where it may keep what it downloads.

    Raises:
        SurroundingsError: It cannot be downloaded.
    """
    from sklearn import datasets

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of each new attempt
            return getattr(datasets, f"fetch_{name}")(data_home=str(home), n_retries=2, delay=1.0, **FETCHED[name])
    except (OSError, EOFError, ValueError) as error:  # URLError is an OSError
        said = " ".join(str(getattr(error, "reason", error)).split())[:80]
        raise SurroundingsError(
            f"sklearn:{name} cannot be downloaded: {said}", field="data", hint="is the network up?"
        ) from error


def convert(name: str, bunch: Any, place: DataFolder) -> keep.Made:
    """Write what scikit-learn returned into a file: images as arrays `x` and `y`, all else as a table."""
    if "images" in bunch:
        finished = keep.temporary(place, "images").with_suffix(".npz")
        labels = _named(bunch)
        np.savez(finished, x=np.asarray(bunch.images, dtype=np.float32), y=labels)
        return keep.Made(finished, ".npz")
    finished = keep.temporary(place, "table")
    frame = _as_frame(bunch)
    frame.to_parquet(finished, index=False)
    return keep.Made(finished, ".parquet", TARGET)


def _as_frame(bunch: Any) -> Any:
    """Return a table, `TARGET` its last column; texts are texts, and classes are given by name."""
    import pandas as pd

    if bunch.get("frame") is None:
        return pd.DataFrame({"text": list(bunch.data), TARGET: _named(bunch)})
    target = bunch.target.name
    frame = bunch.frame.rename(columns={target: TARGET})
    for column in frame.columns:
        if frame[column].dtype == object and frame[column].map(type).eq(bytes).any():
            frame[column] = frame[column].str.decode("utf-8")
    with contextlib.suppress(ValueError, TypeError):  # numbers that were kept as objects
        for column in frame.columns.difference([TARGET]):
            if frame[column].dtype == object:
                frame[column] = pd.to_numeric(frame[column])
    return frame[[*frame.columns.difference([TARGET], sort=False), TARGET]]


def _named(bunch: Any) -> Any:
    names = bunch.get("target_names")
    return np.asarray(bunch.target) if names is None else np.asarray(names, dtype=str)[np.asarray(bunch.target)]
