"""What each column of a cleaned table is for: a number, a category, a date, a text, an identifier, or nothing at all.

The rules, the first that fits:

1. `constant`: one value at most.
2. `boolean`: two different values.
3. `identifier`: whole numbers, at least `MIN_IDENTIFIERS`, nearly all different, and either so close together that
   chance would have repeated many, or in a column that is called an id.
4. `numeric`: any other number.
5. `date`: text of which 95 % are dates.
6. `text`: more than `MIN_WORDS` words on average, and mostly different.
7. `identifier`: text, at least `MIN_IDENTIFIERS`, nearly all different.
8. `category`: any other text.

Nearly all is 99 of 100: a row that stands in the file twice makes no number of an id. In a column that is called an id,
as `id`, `visit_id`, `visitId`, `uuid` or `index`, it is 90 of 100: copied rows are more likely there than chance.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Role

MIN_WORDS: Final = 4.0
"""A text has more words than this on average; a category fewer."""
MIN_IDENTIFIERS: Final = 20
"""Fewer values that all differ prove nothing."""

_MOSTLY: Final = 0.95
_MOSTLY_DISTINCT: Final = 0.5
_SAMPLE: Final = 1000  # rows that are looked at before all are
# Of n numbers drawn from a span s, n*n/2s repeat one before: the birthday paradox. An id repeats far fewer.
_FEWER: Final = 7
_NEARLY_ALL: Final = 0.99
_NEARLY_ALL_NAMED: Final = 0.9  # in a column that is called an id
_NAMED_ID: Final = re.compile(r"(?i:(.*[^a-z])?(id|uuid|guid|index))|.*[a-z](Id|ID)")

# Formats of which every part is known; pandas guesses a format for anything, such as "5" or "may".
_FORMATS: Final = (
    (re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?"), "ISO8601"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d{2}"), "%Y/%m/%d %H:%M"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2} \d{1,2}:\d{2}:\d{2}"), "%Y/%m/%d %H:%M:%S"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}"), "%d.%m.%Y %H:%M"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}:\d{2}"), "%d.%m.%Y %H:%M:%S"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), "%m/%d/%Y"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), "%d/%m/%Y"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}"), "%m/%d/%Y %H:%M"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}"), "%d/%m/%Y %H:%M"),
    (re.compile(r"\d{1,2}-[A-Za-z]{3}-\d{4}"), "%d-%b-%Y"),
    (re.compile(r"\d{1,2} [A-Za-z]{3} \d{4}"), "%d %b %Y"),
    (re.compile(r"[A-Za-z]{3} \d{1,2}, \d{4}"), "%b %d, %Y"),
    (re.compile(r"[A-Za-z]{3,9} \d{1,2}, \d{4}"), "%B %d, %Y"),
)


def roles_of(table: pd.DataFrame) -> dict[str, Role]:
    """Return the role of every column of a cleaned table."""
    return {str(name): role_of(column) for name, column in table.items()}


def role_of(column: pd.Series[Any]) -> Role:
    """Return the role of a cleaned column: float64, or text."""
    present = column.dropna()
    named_id = _NAMED_ID.fullmatch(str(column.name)) is not None
    nearly_all = _NEARLY_ALL_NAMED if named_id else _NEARLY_ALL
    if _is_number(column):
        return _of_numbers(present, nearly_all, named_id=named_id)
    distinct = present.nunique()
    if distinct <= 2:
        return Role.CONSTANT if distinct <= 1 else Role.BOOLEAN
    texts = present.astype(str)
    sample = _sample(texts)
    if _are_dates(sample) and _are_dates(texts):
        return Role.DATE
    words = float((sample.str.count(r"\S+")).mean())
    if words > MIN_WORDS and distinct >= _MOSTLY_DISTINCT * len(present):
        return Role.TEXT
    is_own = len(present) >= MIN_IDENTIFIERS and distinct >= nearly_all * len(present)
    return Role.IDENTIFIER if is_own else Role.CATEGORY


def parse_dates(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts as moments in UTC, without a time zone; what is no date of the format that most have is NaT.

    Of `03/04/2026` the month comes first, unless a number above 12 stands there.
    """
    sample = _sample(texts.dropna().astype(str)).str.strip()
    best, fits = "", 0
    for form, pattern in _FORMATS:
        if len(sample) and sample.str.fullmatch(form.pattern).mean() >= _MOSTLY:
            count = int(_parsed(sample, pattern).notna().sum())
            if count > fits:
                best, fits = pattern, count
    if not best:
        return pd.Series(np.full(len(texts), np.datetime64("NaT", "us")), index=texts.index)
    if best.startswith("%m/%d"):  # a sample may hold no day after the 12th
        found, other = _parsed(texts, best), _parsed(texts, best.replace("%m/%d", "%d/%m"))
        return other if other.notna().sum() > found.notna().sum() else found
    return _parsed(texts, best)


def _parsed(texts: pd.Series[Any], pattern: str) -> pd.Series[Any]:
    found = pd.to_datetime(texts.str.strip(), format=pattern, errors="coerce", utc=True)
    return found.dt.tz_localize(None)


def _are_dates(texts: pd.Series[Any]) -> bool:
    return bool(parse_dates(texts).notna().mean() >= _MOSTLY)


def _of_numbers(present: pd.Series[Any], nearly_all: float, *, named_id: bool) -> Role:
    sample = _sample(present)
    different = sample.nunique()
    if len(present) > _SAMPLE and 2 < different < nearly_all * len(sample):
        return Role.NUMERIC  # without a look at all of them
    values = present.to_numpy(dtype=np.float64)
    if different > 2 and not bool((values == np.floor(values)).all()):
        return Role.NUMERIC
    distinct = present.nunique()
    if distinct <= 2:
        return Role.CONSTANT if distinct <= 1 else Role.BOOLEAN
    if len(present) >= MIN_IDENTIFIERS and distinct >= nearly_all * len(present):
        if not bool((values == np.floor(values)).all()):
            return Role.NUMERIC
        span = float(values.max()) - float(values.min()) + 1  # infinite, where it is too large for a float
        expected = len(values) ** 2 / (2 * span)
        if named_id or expected >= _FEWER * max(1, len(values) - distinct):
            return Role.IDENTIFIER
    return Role.NUMERIC


def _sample(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return rows from all over a column."""
    return column.iloc[:: -(-len(column) // _SAMPLE)] if len(column) > _SAMPLE else column


def _is_number(column: pd.Series[Any]) -> bool:
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
