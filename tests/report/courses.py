"""Large studies with learning curves, made without a storage: `pruned_by_halves`."""

from __future__ import annotations

from bisect import insort
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.records.history import History
from search.records.reports import Reports
from search.status import STATES, TrialScore
from tests.report.extremes import history_of

RUNGS = (1, 3, 9)


def learning(count: int, steps: int, *, seed: int, noise: float = 0.02) -> NDArray[np.float64]:
    """Return (count, steps): losses that fall by power laws to different ends, so that curves cross."""
    dice = np.random.default_rng(seed)
    end, rate = dice.lognormal(-1, 0.5, (count, 1)), dice.uniform(0.3, 1.5, (count, 1))
    start = dice.lognormal(0.7, 0.4, (count, 1))
    epochs = np.arange(1, steps + 1)
    found: NDArray[np.float64] = (end + start * epochs**-rate) * np.exp(dice.normal(0, noise, (count, steps)))
    return found


def pruned_by_halves(results: Path, losses: NDArray[np.float64], *, prunes: bool = True) -> History:
    """Return what successive halving, a third at each rung, would have left of these curves.

    Args:
        results: An empty folder.
        losses: (trials, steps).
        prunes: Whether anything is pruned.
    """
    count, steps = losses.shape
    base = history_of(results, [], max_epochs=steps, pruner="asha")
    last, pruning, seen = np.full(count, steps), {}, {rung: list[float]() for rung in RUNGS}
    for number, curve in enumerate(losses if prunes else ()):
        for rung in RUNGS:
            insort(seen[rung], value := float(curve[rung - 1]))
            cutoff = seen[rung][max(len(seen[rung]) // 3, 1) - 1]
            if value > cutoff:
                last[number] = rung
                pruning[number] = {"rule": "asha", "step": rung, "value": value, "cutoff": cutoff, "rung": rung}
                break
    done = last == steps
    trial = np.repeat(np.arange(count), last)
    starts = np.concatenate([[0], np.cumsum(last)])
    step = np.arange(len(trial)) - starts[trial] + 1
    values = np.where(done, losses.min(axis=1), losses[np.arange(count), last - 1])
    best = int(np.flatnonzero(done)[np.argmin(values[done])])
    trials = dict.fromkeys(STATES, 0) | {"complete": int(done.sum()), "pruned": int((~done).sum())}
    seconds = np.arange(count, dtype=float)
    return replace(
        base,
        status=replace(base.status, trials=trials, best=TrialScore(best, (float(values[best]),), {})),
        state=np.where(done, STATES.index("complete"), STATES.index("pruned")).astype(np.int8),
        values=values[:, None],
        epochs=last,
        best_step=np.where(done, losses.argmin(axis=1) + 1, last),
        begun_s=seconds,
        ended_s=seconds + 1,
        held_s=np.ones(count),
        worker=np.zeros(count, np.int64),
        violation=np.zeros(count),
        same_as=np.full(count, -1),
        lost=np.zeros(count, np.int64),
        pruning=pruning,
        reports=Reports(trial, step, {"val_loss": losses[trial, step - 1]}, starts),
    )
