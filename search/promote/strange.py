"""Rows that are stranger than any that a model was trained on, made from usual ones: the `Strange`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.signature import Input, Kind, Signature

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]

_MOST_ROWS: Final = 16_384  # in all
_MOST_EACH: Final = 16  # of one column and one value
_AT_ONCE: Final = 4_096
_FAR: Final = 2.0**63  # one more than the largest whole number that most files can hold


class RowKind(StrEnum):
    """What is strange about rows."""

    USUAL = "as they are"
    MISSING = "missing values"
    UNSEEN = "unseen categories"
    EXTREME = "extreme numbers"
    EMPTY = "empty strings"
    PIXELS = "extreme pixels"


NUMBERS: Final[Mapping[RowKind, Sequence[float]]] = {
    RowKind.MISSING: (np.nan,),
    RowKind.EXTREME: (
        0.0,
        *(sign * size for size in (1e-30, 2.0**24 + 1, 1e30, 3.5e38, 1e300, np.inf) for sign in (1.0, -1.0)),
        _FAR - 1,
        -_FAR,
    ),
}
TEXTS: Final[Mapping[RowKind, Sequence[str | None]]] = {
    RowKind.MISSING: (None,),
    RowKind.UNSEEN: ("never seen", "0", "Straße İ 東京 \N{GRINNING FACE}", "e\N{COMBINING ACUTE ACCENT}", "x" * 10_000),
    RowKind.EMPTY: ("", " ", "\t\n"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Strange:
    """Some rows, and what is strange about each.

    Attributes:
        features: As an objective gets them.
        kinds: (rows,) what is strange.
        columns: (rows,) in which column; "" where in none or in all.
        values: (rows,) what stands there.
    """

    features: Any
    kinds: Sequence[RowKind]
    columns: Sequence[str]
    values: Sequence[object]

    def __len__(self) -> int:
        return len(self.kinds)

    def cases(self) -> list[Strange]:
        """Return the rows of each strange value by themselves."""
        ends = [row for row in range(1, len(self)) if self.values[row] is not self.values[row - 1]]
        found = []
        for start, end in zip([0, *ends], [*ends, len(self)], strict=True):
            rows = slice(start, end)
            features = self.features[rows] if isinstance(self.features, np.ndarray) else self.features.iloc[rows]
            found.append(Strange(features, self.kinds[rows], self.columns[rows], self.values[rows]))
        return found


def usual(features: Any) -> Iterator[Strange]:
    """Yield all rows as they are, some thousands at once."""
    for start in range(0, len(features), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        taken = features[rows] if isinstance(features, np.ndarray) else features.iloc[rows]
        yield Strange(taken, [RowKind.USUAL] * len(taken), [""] * len(taken), [None] * len(taken))


def strange(features: Any, signature: Signature) -> Iterator[Strange]:
    """Yield rows in which one column, each in turn, holds one strange value, and rows in which nothing is known.

    Args:
        features: Usual rows; the first ones are taken.
        signature: Tells which columns a model reads, and what they hold.
    """
    if signature.takes_images:
        yield _images(features)
        return
    table = _as_table(features)
    read = [one for one in signature.inputs if one.used]
    cases = [(one, kind, value) for one in read for kind, values in _values(one).items() for value in values]
    each = max(1, min(_MOST_EACH, len(table), _MOST_ROWS // max(len(cases), 1)))
    at_once = max(1, _AT_ONCE // each)
    for start in range(0, len(cases), at_once):
        yield _rows(table, read, cases[start : start + at_once], each, start)
    yield _nothing(table, read)


def _values(column: Input) -> Mapping[RowKind, Sequence[Any]]:
    return NUMBERS if column.kind is Kind.NUMBER else TEXTS


def _rows(
    table: pd.DataFrame, read: Sequence[Input], cases: Sequence[tuple[Input, RowKind, Any]], each: int, first: int
) -> Strange:
    """Return `each` usual rows a case, changed in its column; every case begins with another row."""
    begin = (np.arange(first, first + len(cases)) * each)[:, None]
    rows = ((begin + np.arange(each)) % len(table)).ravel()
    found = table.iloc[rows].reset_index(drop=True)
    cells = {one.name: _loose(found[one.name], one) for one in read}
    for index, (column, _, value) in enumerate(cases):
        cells[column.name][index * each : (index + 1) * each] = value
    named = [case for case in cases for _ in range(each)]
    return Strange(
        found.assign(**cells), [one[1] for one in named], [one[0].name for one in named], [one[2] for one in named]
    )


def _nothing(table: pd.DataFrame, read: Sequence[Input]) -> Strange:
    """Return one row in which every column is missing."""
    found = table.iloc[:1].reset_index(drop=True)
    number, text = np.array([np.nan]), np.array([None], dtype=object)
    nothing: dict[str, Array] = {one.name: number if one.kind is Kind.NUMBER else text for one in read}
    return Strange(found.assign(**nothing), [RowKind.MISSING], [""], ["all columns missing"])


def _images(images: Array) -> Strange:
    """Return images of one brightness, of noise, and with a single bright pixel."""
    shape = images.shape[1:]
    made = np.zeros((5, *shape), dtype=np.float32)
    made[1], made[2] = 1.0, 0.5
    made[3] = np.random.default_rng(0).random(shape)
    made[4][tuple(side // 2 for side in shape)] = 1.0
    told = ("black", "white", "grey", "noise", "one bright pixel")
    if images.dtype == np.uint8:
        made = np.round(made * 255).astype(np.uint8)
    return Strange(made, [RowKind.PIXELS] * 5, [""] * 5, told)


def _as_table(features: Any) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(features, np.ndarray):
        named: pd.DataFrame = features.rename(columns=str)
        return named
    flat = features.reshape(len(features), -1).astype(np.float64)
    return pd.DataFrame(flat, columns=[f"x{index}" for index in range(flat.shape[1])])


def _loose(column: pd.Series[Any], one: Input) -> Array:
    """Return a column as an array that takes any value of its kind."""
    if one.kind is Kind.NUMBER:
        return column.to_numpy(np.float64, na_value=np.nan, copy=True)
    texts = column.astype(str).to_numpy(dtype=object, copy=True)
    texts[column.isna().to_numpy()] = None
    return texts
