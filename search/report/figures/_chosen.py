"""Which parameters and which trials a figure is about: those that are `important`, and the `region` of the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from search.records.history import Floats, History, Ints
from search.records.judged import LEAST_TRIALS, Judged
from search.records.parameters import Parameter
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

_WIDE: Final = 0.8
"""Share of all trials beyond which a range, however sure, tells nothing."""


def completed(history: History) -> Ints:
    """Return the numbers of the trials that completed with finite values and keep to all constraints."""
    return np.flatnonzero(history.candidates)


def missed(history: History) -> int:
    """Return how many completed trials are left out of these: they miss a constraint."""
    return int(np.count_nonzero(history.are("complete") & np.isfinite(history.losses) & (history.violation > 0)))


def said_missed(count: int) -> str:
    """Return the sentence about them; "" if there are none."""
    return f"{count:,} that miss a constraint {'is' if count == 1 else 'are'} left out." if count else ""


def have(completed: int, missed: int) -> str:
    """Return of how many trials something could be told, after a sentence that asks for more."""
    return f"{completed:,} have completed" + (f" and keep to the constraints, {missed:,} miss one" if missed else "")


class Chosen(NamedTuple):
    """Parameters that a figure shows.

    Attributes:
        parameters: The most important first.
        of: How many vary.
        known: Whether enough trials ended or rest to tell which are important; if not, these are the first ones.
    """

    parameters: list[Parameter]
    of: int
    known: bool

    def said(self) -> str:
        """Return the sentence about those that are left out; "" if none is."""
        if self.of == len(self.parameters):
            return ""
        why = (
            "those that set the best trials apart most"
            if self.known
            else "the first ones, for too few trials can be judged"
        )
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


_KNOWN: Final = WeakKeyDictionary[History, Mapping[str, float]]()
"""What `_apart` found, for four figures of a study ask; it goes with the study."""


def _apart(history: History) -> Mapping[str, float]:
    """Return how far each parameter sets the best trials apart; {} if too few can be judged."""
    if history not in _KNOWN:
        _KNOWN[history] = _told_apart(history)
    return _KNOWN[history]


def _told_apart(history: History) -> Mapping[str, float]:
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
        The words; "" where the best do not all have the parameter, where they took every choice, where their range
        holds nearly all trials, or where as many trials drawn at random from all would lie as close together on any of
        the parameters once in twenty times.
    """
    chosen = values[best]
    if not len(best) or np.isnan(chosen).any():
        return "", 1.0
    low, high, count = float(chosen.min()), float(chosen.max()), len(best)
    within = np.isin(values, chosen) if choices else (values >= low) & (values <= high)
    share = float(within.mean())
    if choices:
        by_chance = math.comb(len(choices), len(np.unique(chosen))) * share**count
    else:
        by_chance = count * share ** (count - 1) - (count - 1) * share**count
    if of * by_chance > _CHANCE or (not choices and share > _WIDE):
        return "", share
    if choices:
        used = [choices[int(index)] for index in np.unique(chosen)]
        return (f"{name}={' or '.join(used)}" if len(used) <= min(3, len(choices) - 1) else ""), share
    if low == high:
        return f"{name}={theme.number(low, 2)}", share
    return f"{name} from {theme.number(low, 2)} to {theme.number(high, 2)}", share
