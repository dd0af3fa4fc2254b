"""What some trials share that the others do not: one range or choice of a parameter, found by exact tests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.history import History, Parameter
from search.report import theme

Mask = NDArray[np.bool_]

_CUTS: Final = 9
"""Deciles: where a range of a number may begin or end."""

SURE: Final = 0.05
"""Probability, after Bonferroni's correction, up to which a pattern is told as one."""

_TINY: Final = 1e-12  # what lies below tells people nothing more


class Pattern(NamedTuple):
    """A part of a parameter's values, and how often trials fall into it.

    Attributes:
        name: Of the parameter.
        part: In words, to stand after the name: `above 0.1`, `= mlp`.
        inside: Of the trials looked at, how many are in it.
        of: How many were looked at: those that have the parameter.
        others_inside: Of the other trials.
        others: How many others have the parameter.
        log_chance: Logarithm of the probability of as many or more by chance, times the number of parts that were
            tried; at most 0.
    """

    name: str
    part: str
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


def patterns(history: History, chosen: Mask, others: Mask) -> list[Pattern]:
    """Return the most telling part of each parameter, the most telling parameter first.

    By Fisher's exact test, one-sided, and Bonferroni's correction for all parts of all parameters that were tried.

    Args:
        history: Of the study.
        chosen: (trials,): the trials that may share something.
        others: (trials,): those that they are compared with.
    """
    found: list[tuple[float, int, Pattern]] = []
    tried = 0
    for place, parameter in enumerate(history.parameters):
        ours, theirs = chosen & parameter.active, others & parameter.active
        if not ours.any() or not theirs.any() or not parameter.varies:
            continue
        best: Pattern | None = None
        for part, inside in _parts(parameter, ours | theirs):
            tried += 1
            mine, other = int((inside & ours).sum()), int((inside & theirs).sum())
            given = (mine, int(ours.sum()), other, int(theirs.sum()))
            pattern = Pattern(parameter.name, part, *given, log_chance=log_chance(*given))
            if best is None or pattern.log_chance < best.log_chance:
                best = pattern
        if best is not None:
            found.append((best.log_chance, place, best))
    return [one._replace(log_chance=min(0.0, one.log_chance + math.log(tried))) for _, _, one in sorted(found)]


def log_chance(inside: int, of: int, others_inside: int, others: int) -> float:
    """Return the logarithm of how likely so many or more of `of` are inside when all are alike (hypergeometric)."""
    from scipy.special import gammaln, logsumexp

    total, hits = of + others, inside + others_inside
    if inside * total <= of * hits:
        return 0.0
    count = np.arange(inside, min(of, hits) + 1, dtype=float)

    def chosen(many: float, few: NDArray[np.float64]) -> NDArray[np.float64]:
        ways: NDArray[np.float64] = gammaln(many + 1) - gammaln(few + 1) - gammaln(many - few + 1)
        return ways

    ways = chosen(hits, count) + chosen(total - hits, of - count) - chosen(total, np.array(float(of)))
    return min(0.0, float(logsumexp(ways)))


def _parts(parameter: Parameter, known: Mask) -> Iterator[tuple[str, Mask]]:
    """Yield parts of a parameter's values, in words, with the trials that are in them."""
    values = parameter.values
    if parameter.is_choice:
        for place in np.unique(values[known]).astype(int).tolist():
            yield f"= {parameter.choices[place]!s}", values == place
        return
    cuts = np.quantile(values[known], np.arange(1, _CUTS + 1) / (_CUTS + 1), method="inverted_cdf")
    most = values[known].max()
    for cut in np.unique(cuts).tolist():
        if cut < most:
            shown = theme.number(cut, 3) if parameter.kind == "float" else str(int(cut))
            yield f"above {shown}", values > cut
            yield f"at most {shown}", values <= cut
