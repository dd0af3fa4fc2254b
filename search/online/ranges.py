"""Which rows lie where no training row lay: the `Ranges`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from search.bundle.signature import MOST_LEVELS, Input, Kind

Array = np.ndarray[Any, Any]

_ROWS: Final = 200
_MOST_OUTSIDE: Final = 0.2
"""Share of the newest rows that may be odd; if more are, it is the world that has changed."""

_EXTREME: Final = 0.1
"""Share of the odd rows at either end that ranges are not widened by, so that one absurd value opens no door."""

_LARGEST: Final = float(np.finfo(np.float32).max)


class Ranges:
    """Which rows are odd: not to be learnt unless there are many of them.

    Such a row has a number beyond the range of training widened by half of its width on either side, an infinite one,
    or a text that is not among those of the signature where it lists all of them. Missing values are for the model to
    handle; images and inputs that the model does not read are not looked at.

    Args:
        inputs: Of the signature.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        used = [one for one in inputs if one.used]
        self._numbers = [one.name for one in used if one.kind is Kind.NUMBER]
        self._low = np.array([_or(one.low, -_LARGEST) for one in used if one.kind is Kind.NUMBER])
        self._high = np.array([_or(one.high, _LARGEST) for one in used if one.kind is Kind.NUMBER])
        self._texts = {
            one.name: {"", *one.levels} for one in used if one.kind is Kind.TEXT and 0 < len(one.levels) < MOST_LEVELS
        }
        self._newest: deque[dict[str, Any] | None] = deque(maxlen=_ROWS)
        self._odd = 0
        self._limit()

    def _limit(self) -> None:
        half = self._high / 2 - self._low / 2
        low, high = np.maximum(self._low - half, -_LARGEST), np.minimum(self._high + half, _LARGEST)
        # as the numbers of a request are, so that a value at the limit does not lie beyond it by rounding
        self._limits = low.astype(np.float32)[:, None], high.astype(np.float32)[:, None]

    def outside(self, columns: Mapping[str, Array]) -> Array:
        """Return which rows lie outside, (rows,) bool; nothing is remembered of them."""
        odd = np.zeros(len(next(iter(columns.values()))), dtype=bool)
        if self._numbers:
            values = np.array([columns[name] for name in self._numbers], dtype=np.float32)
            low, high = self._limits
            odd |= ((values < low) | (values > high)).any(axis=0)
        for name, known in self._texts.items():
            odd |= np.array([text not in known for text in columns[name].tolist()], dtype=bool)
        return odd

    def note(self, columns: Mapping[str, Array], *, outside: bool) -> bool:
        """Take note of a labelled row; return whether it shows that the world has changed.

        It does when more than a fifth of the newest 200 lie outside. Then the ranges are widened by them, and counting
        begins anew.

        Args:
            columns: Of the row alone, (1,) each.
            outside: What `outside` said of it.
        """
        if len(self._newest) == _ROWS:
            self._odd -= self._newest[0] is not None
        self._newest.append(self._row(columns) if outside else None)
        self._odd += outside
        if self._odd <= _MOST_OUTSIDE * _ROWS:
            return False
        self._widen([row for row in self._newest if row is not None])
        self._newest.clear()
        self._odd = 0
        return True

    def _row(self, columns: Mapping[str, Array]) -> dict[str, Any]:
        numbers = [float(columns[name][0]) for name in self._numbers]
        known = [number if np.isfinite(number) else None for number in numbers]
        return {"numbers": known, "texts": [columns[name][0] for name in self._texts]}

    def _widen(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for index in range(len(self._numbers)):
            known = [row["numbers"][index] for row in rows if row["numbers"][index] is not None]
            if known:
                low, high = np.quantile(known, [_EXTREME, 1 - _EXTREME])
                self._low[index], self._high[index] = min(self._low[index], low), max(self._high[index], high)
        for index, name in enumerate([*self._texts]):
            self._learn_texts(name, Counter(row["texts"][index] for row in rows))
        self._limit()

    def _learn_texts(self, name: str, found: Counter[str]) -> None:
        """Know the texts that came more than once; where ever new ones come, or very many, none is odd any more."""
        known = self._texts[name]
        new = {text: times for text, times in found.items() if text not in known}
        repeated = {text: times for text, times in new.items() if times > 1}
        known.update(repeated)
        is_cause = 2 * sum(new.values()) > found.total()
        if len(known) > MOST_LEVELS or (is_cause and 2 * sum(repeated.values()) < sum(new.values())):
            del self._texts[name]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` goes on from."""
        return {
            "numbers": self._numbers,
            "low": self._low.tolist(),
            "high": self._high.tolist(),
            "texts": [[name, sorted(known)] for name, known in self._texts.items()],
            "newest": [*self._newest],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Ranges:
        ranges = cls(())
        ranges._numbers = list(values["numbers"])
        ranges._low, ranges._high = np.array(values["low"], np.float64), np.array(values["high"], np.float64)
        ranges._texts = {name: set(known) for name, known in values["texts"]}
        ranges._newest.extend(values["newest"])
        ranges._odd = sum(row is not None for row in ranges._newest)
        ranges._limit()
        return ranges


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
