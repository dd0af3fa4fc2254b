"""Which parameters and which trials a figure is about: those that are `important`, and the `region` of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints, Parameter
from search.records.judged import LEAST_TRIALS, Judged
from search.records.pedanova import divergences
from search.report import theme

LEAST: Final = 10
"""Completed trials below which nothing is said of where it is good."""

_SAMPLE: Final = 2_000
"""Trials that parameters are chosen by, at most, evenly spread over all."""

_BEST: Final = 0.1
"""Share of the completed trials that count as the best ones."""

_FEWEST: Final = 8
"""Of the best, at least."""

_CHANCE: Final = 0.05


def completed(history: History) -> Ints:
    """Return the numbers of the trials that completed with a finite first value."""
    return np.flatnonzero(history.are("complete") & np.isfinite(history.losses))


class Chosen(NamedTuple):
    """Parameters that a figure shows.

    Attributes:
        parameters: The most important first.
        of: How many vary.
        known: Whether enough trials ended to tell which are important; if not, these are the first ones.
    """

    parameters: list[Parameter]
    of: int
    known: bool

    def said(self) -> str:
        """Return the sentence about those that are left out; "" if none is."""
        if self.of == len(self.parameters):
            return ""
        why = "those that set the best trials apart most" if self.known else "the first ones, for too few trials ended"
        return f"{len(self.parameters)} of {self.of} parameters: {why}."


def important(history: History, most: int, *, prefix: str = "") -> Chosen:
    """Return the parameters that set the best trials apart, in the order of the figure of importances.

    Args:
        history: The study.
        most: How many, at most.
        prefix: What their names begin with.
    """
    varied = [one for one in history.parameters if one.varies and one.name.startswith(prefix)]
    apart = _apart(history)
    if apart:
        varied.sort(key=lambda one: -apart.get(one.name, 0.0))
    return Chosen(varied[:most], len(varied), known=bool(apart))


@lru_cache(maxsize=1)  # four figures of a study ask
def _apart(history: History) -> Mapping[str, float]:
    """Return how far each parameter sets the best trials apart; {} if too few trials ended to tell."""
    judged = Judged.of_history(history, 0, _SAMPLE)
    if len(judged) < LEAST_TRIALS:
        return {}
    return {
        one.name: float(value) * len(rows)
        for rows, group in judged.groups()
        for one, value in zip(
            group, divergences(group, judged.rank[rows], judged.valued[rows], draws=1).value, strict=True
        )
    }


def pairs(history: History, *, most: int = 3, least: int = LEAST) -> list[tuple[Parameter, Parameter]]:
    """Return the pairs of the three most important parameters, those that at least so many completed trials have."""
    rows = completed(history)
    found = combinations(important(history, 3).parameters, 2)
    return [(x, y) for x, y in found if np.count_nonzero(x.active[rows] & y.active[rows]) >= least][:most]


def ranked(losses: Floats) -> Floats:
    """Return the rank of each value from 0, the lowest; equal ones share the mean of theirs."""
    _, place, count = np.unique(losses, return_inverse=True, return_counts=True)
    mean: Floats = np.cumsum(count) - (count + 1) / 2
    return mean[place]


def best_of(losses: Floats) -> Ints:
    """Return the places of the best trials, best first: a tenth, but at least eight, and any that equal the last one.

    Returns:
        None of them where that is over half.
    """
    order = np.argsort(losses, kind="stable")
    count = max(_FEWEST, int(len(losses) * _BEST))
    if count < len(losses):
        count = int(np.searchsorted(losses[order], losses[order[count - 1]], side="right"))
    return order[:count] if 2 * count <= len(losses) else order[:0]


def region(name: str, values: Floats, best: Ints, choices: Sequence[str], of: int) -> tuple[str, float]:
    """Return where the best trials lie on a parameter, in words, and which share of all trials lies there.

    Args:
        name: The parameter's.
        values: (trials,): NaN where a trial does not have it.
        best: Places of the best trials among them.
        choices: Of a choice, what its indices stand for; else empty.
        of: How many parameters are looked at.

    Returns:
        The words; "" where the best do not all have the parameter, or as many trials drawn at random from all would lie
        as close together on any of the parameters once in twenty times.
    """
    chosen = values[best]
    if not len(best) or np.isnan(chosen).any():
        return "", 1.0
    low, high, count = float(chosen.min()), float(chosen.max()), len(best)
    within = np.isin(values, chosen) if choices else (values >= low) & (values <= high)
    share = float(within.mean())
    by_chance = len(choices) * share**count if choices else count * share ** (count - 1) - (count - 1) * share**count
    if of * by_chance > _CHANCE:
        return "", share
    if choices:
        used = [choices[int(index)] for index in np.unique(chosen)]
        return (f"{name}={' or '.join(used)}" if len(used) <= 3 else ""), share
    if low == high:
        return f"{name}={theme.number(low, 2)}", share
    return f"{name} from {theme.number(low, 2)} to {theme.number(high, 2)}", share
