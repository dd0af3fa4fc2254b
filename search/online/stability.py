"""How one column is distributed now against how it was in training, as one number: `Population`, `Column`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

WINDOW: Final = 500
"""Newest rows that are looked at."""

_BINS: Final = 10
_ROWS_A_BIN: Final = 50
"""Training rows that a bin of numbers has at least, so that chance alone does not look like a shift."""

_RARE: Final = 0.01
"""Share of the training rows under which a text has no bin of its own."""

_TEXTS: Final = 20
_PRIOR: Final = 0.5
"""Rows that each bin is given on top, so that none is empty."""


@dataclass(frozen=True)  # without slots, for what is cached
class Population:
    """The bins of one column, and the training rows in each.

    Numbers: one bin for the missing, one below and one above all of training, and between them ten of equal size as far
    as the values allow. Texts: one for the missing, one for each that is frequent, and one for the rest.

    Attributes:
        edges: Of numbers: the upper ends of the bins, but for the last, which has none.
        texts: Of texts: those with a bin of their own.
        counts: Training rows by bin; the first bin is that of missing values, of texts the last that of the rest.
    """

    edges: tuple[float, ...]
    texts: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of_numbers(cls, values: Array) -> Population:
        """Return the bins of a column of numbers, (rows,), NaN where missing."""
        known = values[np.isfinite(values)].astype(np.float64)
        edges: tuple[float, ...] = ()
        if len(known):
            bins = min(max(len(known) // _ROWS_A_BIN, 2), _BINS)
            inner = np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf")
            low = np.nextafter(known.min(), -np.inf)
            edges = tuple(np.unique(np.array([low, *inner, known.max()])).tolist())
        return cls._counted(cls(edges, (), ()), values)

    @classmethod
    def of_texts(cls, values: Array) -> Population:
        """Return the bins of a column of texts, (rows,) str, "" where missing."""
        counts = Counter(text for text in values.tolist() if text)
        fewest = _RARE * max(len(values), 1)
        frequent = sorted((text for text in counts if counts[text] >= fewest), key=lambda text: (-counts[text], text))
        return cls._counted(cls((), tuple(frequent[:_TEXTS]), ()), values)

    @classmethod
    def _counted(cls, bare: Population, values: Array) -> Population:
        found = bare.codes(values) if len(values) else np.empty(0, np.int64)
        return cls(bare.edges, bare.texts, tuple(np.bincount(found, minlength=bare.bins).tolist()))

    @cached_property
    def _ranks(self) -> dict[str, int]:
        return {"": 0, **{text: rank for rank, text in enumerate(self.texts, 1)}}

    @property
    def bins(self) -> int:
        return len(self.edges or self.texts) + 2

    def codes(self, values: Array) -> Array:
        """Return the bin of each value, (rows,) int64; NaN and "" are missing."""
        if values.dtype != object:
            found = np.searchsorted(np.array(self.edges), values, side="left") + 1
            return np.where(np.isnan(values), 0, found)
        ranks = self._ranks
        return np.array([ranks.get(text, len(ranks)) for text in values.tolist()], dtype=np.int64)

    def index(self, codes: Array) -> float:
        """Return the population stability index of rows that fell into these bins.

        The sum over the bins of (now - then) * ln(now / then), of shares: 0 where nothing changed; under 0.1 is taken
        as none, over 0.25 as a large change (Siddiqi, Credit Risk Scorecards, 2006).
        """
        then = np.array(self.counts) + _PRIOR
        now = np.bincount(codes, minlength=self.bins) + _PRIOR
        then, now = then / then.sum(), now / now.sum()
        return float(np.sum((now - then) * np.log(now / then)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Sequence[Any]]) -> Population:
        return cls(*(tuple(values[name]) for name in ("edges", "texts", "counts")))


class Column:
    """One input: what it was in training, and what it was of late.

    Args:
        population: Of training.
        is_text: Whether it holds texts.

    Attributes:
        population, is_text: As given.
        newest: Numbers, NaN where missing; of a text, the bins of its values.
        tested_from: Row from which on it is tested; after an alarm the window has to fill with what came after.
        is_shifted: Whether its stability index was told to be large.
    """

    def __init__(self, population: Population, *, is_text: bool) -> None:
        self.population = population
        self.newest: deque[float] = deque(maxlen=WINDOW)
        self.is_text = is_text
        self.tested_from = 0
        self.is_shifted = False

    def stability(self) -> float:
        """Return the population stability index of the newest values."""
        values = np.array(self.newest)
        return self.population.index(values.astype(np.int64) if self.is_text else self.population.codes(values))

    def to_json(self) -> dict[str, Any]:
        return {
            "population": self.population.to_json(),
            "newest": [None if np.isnan(one) else one for one in self.newest],
            "is_text": self.is_text,
            "tested_from": self.tested_from,
            "is_shifted": self.is_shifted,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Column:
        column = cls(Population.from_json(values["population"]), is_text=values["is_text"])
        column.newest.extend(np.nan if one is None else one for one in values["newest"])
        column.tested_from, column.is_shifted = values["tested_from"], values["is_shifted"]
        return column
