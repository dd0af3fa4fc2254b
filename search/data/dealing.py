"""Dealing blocks of rows out to parts, so that each part gets its share of the rows and of every stratum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from search.data.duplicates import Blocks

Labels = np.ndarray[Any, np.dtype[np.int64]]

_LARGE: Final = 200  # a block of more than a 200th of all rows is placed by itself


def deal(
    blocks: Blocks,
    strata: np.ndarray[Any, Any],
    counts: Sequence[int],
    random: np.random.RandomState,
    *,
    rare_first: bool,
) -> Labels:
    """Return the part of each row.

    Blocks that are a noticeable share of all rows are placed one by one, the largest first, where they bring the parts
    nearest to their share of every stratum. All the others, most often all there are, are put in a random order within
    their stratum, and each part gets every so many of them.

    Args:
        blocks: (rows,) what stays together.
        strata: (rows,) whole numbers from 0: what is to be alike in all parts.
        counts: How many rows each part is to get; they sum to the number of rows.
        random: Where chance comes from.
        rare_first: Whether the first part gets one block of each stratum before all else.
    """
    sizes = np.bincount(blocks)
    firsts = np.full(len(sizes), len(blocks))
    np.minimum.at(firsts, blocks, np.arange(len(blocks)))
    stratum_of = strata[firsts]
    order = random.permutation(len(sizes))
    order = order[np.argsort(stratum_of[order], kind="stable")]

    labels = np.full(len(sizes), -1, dtype=np.int64)
    large = sizes > max(1, len(blocks) // _LARGE)
    if large.any():
        _place(labels, order[large[order]], blocks, strata, counts)
    order = order[~large[order]]
    if len(order):
        has = [int(sizes[labels == part].sum()) for part in range(len(counts))]
        units = _units(len(order), [max(0, count - had) for count, had in zip(counts, has, strict=True)])
        if rare_first:
            there = set(strata[np.isin(blocks, np.flatnonzero(labels == 0))].tolist()) if large.any() else set()
            labels[_rare(order, stratum_of, there, most=units[0])] = 0
        free = order[labels[order] < 0]
        kept = len(order) - len(free)
        labels[free] = _spread([units[0] - kept, *units[1:]], random)
    return labels[blocks]


def generator(seed: int | Sequence[int]) -> np.random.RandomState:
    """Return a source of chance whose stream numpy promises for ever; that of its newer interface may change."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _place(labels: Labels, large: Labels, blocks: Blocks, strata: np.ndarray[Any, Any], counts: Sequence[int]) -> None:
    """Place each large block, the largest first, ties in their random order, where it does least harm.

    Harm is the squared distance of each part from its share, in units of that share, over the strata and over all rows.
    """
    width = int(strata.max()) + 1
    where = np.full(int(blocks.max()) + 1, -1, dtype=np.int64)
    large = large[np.argsort(-np.bincount(blocks)[large], kind="stable")]
    where[large] = np.arange(len(large))
    inside = where[blocks] >= 0
    held = np.zeros((len(large), width + 1))
    np.add.at(held, (where[blocks[inside]], strata[inside]), 1)
    held[:, width] = held.sum(axis=1)
    totals = np.append(np.bincount(strata, minlength=width), len(blocks))
    wanted = np.outer(np.asarray(counts) / sum(counts), totals)
    wanted = np.where(wanted > 0, wanted, 1)
    have = np.zeros_like(wanted)
    left = len(labels)
    for block, adds in zip(large, held, strict=True):
        # putting it into a part changes the harm of that part alone
        harm = (((have + adds - wanted) ** 2 - (have - wanted) ** 2) / wanted).sum(axis=1)
        empty = have[:, width] == 0
        if left <= empty.sum():
            harm[~empty] = np.inf  # or a part would stay without a row
        part = int(harm.argmin())
        have[part] += adds
        labels[block] = part
        left -= 1


def _units(total: int, wanted: Sequence[int]) -> list[int]:
    """Share `total` blocks out in proportion to the rows that each part still wants."""
    if sum(wanted) == 0:
        wanted = [1] * len(wanted)
    exact = [total * want / sum(wanted) for want in wanted]
    units = [int(share) for share in exact]
    by_rest = sorted(range(len(units)), key=lambda part: units[part] - exact[part])
    for part in by_rest[: total - sum(units)]:
        units[part] += 1
    return units


def _rare(order: Labels, stratum_of: np.ndarray[Any, Any], there: set[Any], *, most: int) -> Labels:
    """Return the first block of each stratum that is not there yet; none if they are more than can be."""
    strata = stratum_of[order]
    first = order[np.flatnonzero(np.r_[True, np.diff(strata) != 0])]
    first = np.array([block for block in first if stratum_of[block] not in there], dtype=np.int64)
    return first if len(first) <= most else first[:0]


def _spread(counts: Sequence[int], random: np.random.RandomState) -> Labels:
    """Return labels 0, 1, ..., `counts[i]` times i, each as evenly spaced as can be."""
    total = sum(counts)
    labels = np.zeros(total, dtype=np.int64)
    free = np.arange(total)
    for label, count in enumerate(counts[1:], start=1):
        if count == 0:
            continue
        # Bresenham's line from a random start; whole numbers, so that the count comes out exactly
        marks = (random.randint(len(free)) + np.arange(len(free) + 1) * count) // len(free)
        chosen = np.diff(marks) > 0
        labels[free[chosen]] = label
        free = free[~chosen]
    return labels
