"""What some trials share that the others do not: a range or choice of one parameter, or of two, by exact tests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.history import History
from search.records.parameters import Parameter
from search.report import theme

Mask = NDArray[np.bool_]

_CUTS: Final = 9
"""Deciles: where a range of a number may begin or end."""

_PAIRED: Final = 8
"""Parameters that are looked at in pairs: those that tell most alone."""

_CLOSE: Final = 10
"""Pairs whose chance is reckoned exactly: those that come first by its leading term."""

SURE: Final = 0.05
"""Probability, after Bonferroni's correction, up to which a pattern is told as one."""

_TINY: Final = 1e-12  # what lies below tells people nothing more


class Part(NamedTuple):
    """Some of a parameter's values.

    Attributes:
        name: Of the parameter.
        words: To stand after the name: `above 0.1`, `= mlp`.
    """

    name: str
    words: str


class Pattern(NamedTuple):
    """A part of a parameter's values, or of two parameters', and how often trials fall into it.

    Attributes:
        parts: One, or two that hold together.
        inside: Of the trials looked at, how many are in it.
        of: How many were looked at.
        others_inside: Of the other trials.
        others: How many others there are.
        log_chance: Logarithm of the probability of as many or more by chance, times the number of parts, or pairs of
            them, that were tried; at most 0.
    """

    parts: tuple[Part, ...]
    inside: int
    of: int
    others_inside: int
    others: int
    log_chance: float

    @property
    def is_sure(self) -> bool:
        return self.log_chance <= math.log(SURE)

    @property
    def chance(self) -> str:
        """The probability, for people."""
        return f"p = {math.exp(self.log_chance):.2g}" if self.log_chance > math.log(_TINY) else f"p < {_TINY:g}"

    def times(self, count: int) -> Pattern:
        """Return it corrected for so many groups of trials that were looked at."""
        return self._replace(log_chance=min(0.0, self.log_chance + math.log(count)))


class _Tried(NamedTuple):
    part: Part
    inside: Mask


def pattern(history: History, chosen: Mask, others: Mask) -> Pattern | None:
    """Return the most telling part of a parameter, or of two together where these tell more.

    By Fisher's exact test, one-sided, and Bonferroni's correction: for all parts of all parameters, and for all pairs
    of them. A trial without a parameter is in no part of it.

    Args:
        history: Of the study.
        chosen: (trials,): the trials that may share something.
        others: (trials,): those that they are compared with.

    Returns:
        None if there is nothing to compare.
    """
    known = np.flatnonzero(chosen | others)
    ours = chosen[known]
    if ours.all() or not ours.any():
        return None
    best: list[tuple[float, int, Pattern]] = []
    tried = 0
    for place, parameter in enumerate(history.parameters):
        found = [_tested((one,), ours) for one in _parts(parameter, parameter.values[known])]
        tried += len(found)
        if found:
            first = min(found, key=lambda one: one.log_chance)
            best.append((first.log_chance, place, first))
    if not best:
        return None
    best.sort()
    alone = best[0][2].times(tried)
    near = [history.parameters[place] for _, place, _ in best[:_PAIRED]]
    pairs = tried * (tried - 1) // 2
    both = [one.times(pairs) for one in _pairs([[*_parts(one, one.values[known])] for one in near], ours)]
    return min([alone, *both], key=lambda one: one.log_chance)


def _pairs(parts: list[list[_Tried]], ours: Mask) -> Iterator[Pattern]:
    """Yield the most telling pairs of parts of different parameters."""
    tried = [one for of_one in parts for one in of_one]
    owner = np.repeat(np.arange(len(parts)), [len(of_one) for of_one in parts])
    inside = np.stack([one.inside for one in tried]).astype(np.float32)
    mine, theirs = (inside[:, side] @ inside[:, side].T for side in (ours, ~ours))
    of, total = int(ours.sum()), len(ours)
    hits = np.round(mine + theirs)
    leading = _ways(hits, mine) + _ways(total - hits, of - mine) - _ways(np.array(float(total)), np.array(float(of)))
    leading = np.where((mine * total > of * hits) & (owner[:, None] < owner), leading, 0.0)
    for place in np.argsort(leading, axis=None, kind="stable")[:_CLOSE].tolist():
        first, second = divmod(place, len(tried))
        if leading[first, second] < 0:
            yield _tested((tried[first], tried[second]), ours)


def _tested(parts: tuple[_Tried, ...], ours: Mask) -> Pattern:
    inside = np.logical_and.reduce([one.inside for one in parts])
    mine, theirs = int((inside & ours).sum()), int((inside & ~ours).sum())
    given = (mine, int(ours.sum()), theirs, int((~ours).sum()))
    return Pattern(tuple(one.part for one in parts), *given, log_chance=log_chance(*given))


def log_chance(inside: int, of: int, others_inside: int, others: int) -> float:
    """Return the logarithm of how likely so many or more of `of` are inside when all are alike (hypergeometric)."""
    from scipy.special import logsumexp

    total, hits = of + others, inside + others_inside
    if inside * total <= of * hits:
        return 0.0
    count = np.arange(inside, min(of, hits) + 1, dtype=float)
    drawn = _ways(np.array(float(hits)), count) + _ways(np.array(float(total - hits)), of - count)
    return min(0.0, float(logsumexp(drawn - _ways(np.array(float(total)), np.array(float(of))))))


def _ways(many: NDArray[np.floating], few: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logarithm of how many ways there are to choose `few` of `many`."""
    from scipy.special import gammaln

    many, few = many.astype(np.float64), few.astype(np.float64)
    ways: NDArray[np.float64] = gammaln(many + 1) - gammaln(few + 1) - gammaln(many - few + 1)
    return ways


def _parts(parameter: Parameter, values: NDArray[np.float64]) -> Iterator[_Tried]:
    """Yield parts of a parameter's values, with which of these trials are in them; none if they are all alike."""
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return
    if parameter.is_choice:
        for place in np.unique(known).astype(int).tolist():
            yield _Tried(Part(parameter.name, f"= {parameter.choices[place]!s}"), values == place)
        return
    cuts = np.quantile(known, np.arange(1, _CUTS + 1) / (_CUTS + 1), method="inverted_cdf")
    for cut in np.unique(cuts[cuts < known.max()]).tolist():
        shown = theme.number(cut, 3) if parameter.kind == "float" else str(int(cut))
        yield _Tried(Part(parameter.name, f"above {shown}"), values > cut)
        yield _Tried(Part(parameter.name, f"at most {shown}"), values <= cut)
