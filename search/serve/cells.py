"""The cells of a file's column as a model takes them, read as training reads them: the `Taken`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.signature import Input, Kind
from search.serve.values import bound_of, takes_truth

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]

MISSING: Final = (
    *("", "?", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "-NaN", "-nan", "<NA>"),
    *("#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""Texts that stand for a missing value; the same as where a model is trained."""

_TRUTH: Final = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One column.

    Attributes:
        values: (rows,): float32 with NaN, or str with "", where a value is missing.
        exact: (rows,) float64, of numbers: as they were before they became float32.
        wrong: What is wrong, by row.
    """

    values: Array
    exact: Array | None = None
    wrong: dict[int, str] = field(default_factory=dict)


def take(column: pa.Array, given: Input, *, separator: str) -> Taken:
    """Return a column of a file as `Model.run` takes it.

    Args:
        column: Of texts, as they stand in a file, or of another type of Arrow.
        given: What the model takes.
        separator: Of the text file that they stand in; where it is `;`, a number may have a decimal comma.

    Raises:
        TypeError: Its type holds neither numbers nor texts.
    """
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.DictionaryType):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_null(kind):
        column = column.cast(pa.string())
        kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise TypeError(str(kind))
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if given.kind is Kind.TEXT:
        return Taken(_texts(column if is_text else _spelled(column), is_raw=bool(separator)))
    return _parsed(column, given, separator) if is_text else _bounded(_numbers(column), column, given)


def _texts(column: pa.Array, *, is_raw: bool) -> Array:
    """Return texts; those of a text file that mean a missing value are "", as is what is missing."""
    coded = column.dictionary_encode()
    levels = [text or "" for text in coded.dictionary.to_pylist()]
    if is_raw:
        levels = ["" if text in MISSING else text for text in levels]
    codes = coded.indices.fill_null(len(levels)).to_numpy(zero_copy_only=False)
    return np.asarray(np.array([*levels, ""], dtype=object)[codes])


def _spelled(column: pa.Array) -> pa.Array:
    """Return numbers, dates and truth values as the texts that training makes of them."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values = column.to_pylist()
    return pa.array(
        [None if one is None else one.isoformat() if hasattr(one, "isoformat") else str(one) for one in values],
        pa.string(),
    )


def _numbers(column: pa.Array) -> Array:
    """Return (rows,) float64."""
    import pyarrow as pa

    if pa.types.is_duration(column.type):
        seconds = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        return _plain(column.cast(pa.int64())) / seconds
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        raise TypeError(str(column.type))
    return _plain(column)


def _plain(column: pa.Array) -> Array:
    import pyarrow as pa

    exact = column.cast(pa.float64(), safe=False).fill_null(np.nan)
    return np.asarray(exact.to_numpy(zero_copy_only=False), dtype=np.float64)


def _bounded(values: Array, column: pa.Array, given: Input) -> Taken:
    """Refuse numbers that no training row can have had; what is infinite counts as missing."""
    most = bound_of(given)
    wrong = np.flatnonzero((np.abs(values) >= most) & np.isfinite(values))
    said = {int(row): _too_large(most, str(column[int(row)].as_py())) for row in wrong}
    single = values.clip(-most, most).astype(np.float32)
    single[~np.isfinite(values)] = np.nan
    return Taken(single, values, said)


def _too_large(most: float, got: str) -> str:
    return f"expected a number between -{most:.3g} and {most:.3g}, got {got[:_SHOWN]!r}"


def _parsed(column: pa.Array, given: Input, separator: str) -> Taken:
    """Return texts as numbers: all at once where each is one, else level by level."""
    import pyarrow as pa
    from pyarrow import compute

    column = compute.utf8_trim_whitespace(column)
    marks = pa.array(MISSING, column.type)
    known = compute.if_else(compute.is_in(column, value_set=marks), pa.scalar(None, column.type), column)
    try:
        values = _plain(compute.cast(known, pa.float64()))
        if not np.isinf(values).any():
            return _bounded(values, column, given)
    except pa.ArrowInvalid:
        pass
    coded = known.dictionary_encode()
    found = [_number(text, given, separator) for text in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    numbers = np.array([*(one if isinstance(one, float) else np.nan for one in found), np.nan])
    is_wrong = np.array([*(isinstance(one, str) for one in found), False])
    wrong = {int(row): str(found[codes[row]]) for row in np.flatnonzero(is_wrong[codes])}
    taken = _bounded(numbers[codes], column, given)
    return Taken(taken.values, taken.exact, taken.wrong | wrong)


def _number(text: str, given: Input, separator: str) -> float | str:
    """Return the number that a text is, or what is wrong with it."""
    if takes_truth(given) and text in _TRUTH:
        return _TRUTH[text]
    digits = text.replace(",", ".") if separator == ";" and text.count(",") == 1 and "." not in text else text
    try:
        if not digits.isascii() or "_" in digits:
            raise ValueError(digits)
        value = float(digits)
    except ValueError:
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
        return f"expected a number{' or true or false' if takes_truth(given) else ''}, got {shown!r}"
    if np.isinf(value) and any(letter.isdigit() for letter in digits):
        return _too_large(bound_of(given), text)
    return value
