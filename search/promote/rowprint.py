"""Which rows a part of a data set has, by what stands in them: the `Rowprint`.

It is small whatever the part is, and tells how many rows of another part are among its own, also where the file was
sorted anew, or has more rows by now.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import Dataset, Part

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]

KEPT: Final = 4096
"""Hashes of a print. A part of more rows is told by those of the least hash, which are a random sample of it."""

_LAST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Rowprint:
    """The rows of a part.

    Attributes:
        rows: How many there are.
        hashes: Ascending uint64: of all different rows, or the least 4096 of them.
    """

    rows: int
    hashes: Array

    @property
    def reach(self) -> int:
        """The largest hash up to which every row is told."""
        return _LAST if len(self.hashes) < KEPT else int(self.hashes[-1])

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "hashes": base64.b64encode(self.hashes.astype("<u8").tobytes()).decode()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Rowprint:
        """Return the print that `to_json` described.

        Raises:
            ValueError: It is not one.
        """
        hashes = np.frombuffer(base64.b64decode(values["hashes"], validate=True), dtype="<u8").astype(np.uint64)
        return cls(int(values["rows"]), hashes)


def print_of(hashes: Array) -> Rowprint:
    """Return the print of rows whose hashes are known.

    Source: the sample is that of Cohen and Kaplan, "Summarizing Data using Bottom-k Sketches", PODC 2007.
    """
    return Rowprint(len(hashes), np.unique(hashes)[:KEPT])


def share_among(hashes: Array, others: list[Rowprint]) -> float:
    """Return which share of rows stands in any of some prints; exact where all have fewer than 4096 different rows.

    Args:
        hashes: (rows,) uint64.
        others: The prints.
    """
    reach = np.uint64(min((one.reach for one in others), default=_LAST))
    told = hashes[hashes <= reach]
    if not len(told):
        return 0.0
    known = np.concatenate([one.hashes for one in others]) if others else np.empty(0, np.uint64)
    return float(np.isin(told, known).mean())


def hashes_of(part: Part, classes: tuple[str, ...] = ()) -> Array:
    """Return (rows,) uint64, equal for rows whose features and target are equal.

    In a table the type of a number does not count, nor does the order of the columns. Every NaN is alike, as are 0 and
    -0.

    Args:
        part: The rows.
        classes: Names of the classes by index, which is another one where a class has come in between; () of values.
    """
    hashes = _of_array(part.features) if isinstance(part.features, np.ndarray) else _of_table(part.features)
    if not classes:
        return _mixed(hashes, _of_numbers(part.target.astype(np.float64)))
    return _mixed(hashes, np.array([_of_text(name) for name in classes], dtype=np.uint64)[part.target])


def hashes_in(dataset: Dataset, rows: Array) -> Array:
    """Return the hashes of rows with all columns of the data, whatever a split leaves out."""
    features = dataset.features
    chosen = features[rows] if isinstance(features, np.ndarray) else features.iloc[rows]
    return hashes_of(Part(chosen, dataset.target[rows]), dataset.classes)


def _of_table(table: pd.DataFrame) -> Array:
    hashes = np.zeros(len(table), dtype=np.uint64)
    for name, column in sorted(table.items(), key=lambda one: str(one[0])):
        hashes = _mixed(hashes, np.array([_of_text(str(name))], dtype=np.uint64))
        hashes = _mixed(hashes, _of_column(column))
    return hashes


def _of_column(column: pd.Series[Any]) -> Array:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype):  # booleans, and numbers that may be missing
        return _of_numbers(column.to_numpy(np.float64, na_value=np.nan))
    codes, texts = pd.factorize(column.astype(str).where(column.notna()))
    known = [_of_text(str(text)) for text in texts]
    return np.array([*known, 0], dtype=np.uint64)[codes]  # a missing one has the code -1


def _of_numbers(values: Array) -> Array:
    plain = values + 0.0  # -0 becomes 0
    plain[np.isnan(plain)] = np.nan
    return plain.view(np.uint64)


def _of_array(values: Array) -> Array:
    found = np.empty(len(values), dtype=np.uint64)
    for row, value in enumerate(values.reshape(len(values), -1)):
        plain = value + value.dtype.type(0)  # -0 becomes 0
        if plain.dtype.kind == "f":
            plain[np.isnan(plain)] = np.nan
        found[row] = _of_bytes(plain.tobytes())
    return found


def _of_text(text: str) -> int:
    return _of_bytes(text.encode("utf-8", "surrogatepass"))


def _of_bytes(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _mixed(hashes: Array, more: Array) -> Array:
    """Return hashes that depend on another number and on the order; each bit on every bit.

    Source: the last steps of Stafford's thirteenth variant, as in Steele, Lea and Flood's SplitMix64, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        mixed = hashes * np.uint64(0x9E3779B97F4A7C15) + more
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
