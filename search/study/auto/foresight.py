"""What a search by one model of all curves may still gain, as an `Outlook`."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

import numpy as np
from scipy.special import ndtr

from search.study.auto.known import Known, one_thread
from search.study.auto.points import candidates
from search.study.outlook import AHEAD, DRAWS, LEAST_TRIALS, PROMISING, Outlook, of_several

FEWEST_COMPLETE: Final = 5
"""Trials that were trained to their end before the first look."""


def foresee(known: Known, complete: Collection[int]) -> Outlook | None:
    """Return what the next trials are expected to gain, or those that rest if they were trained to their end.

    The gain is that over the best *expected* result of the trials that were trained to their end, in functions that the
    process allows, as in `search.study.outlook.Foresight`; it is never less than what the last ones that were
    begun have brought, as a model that was just surprised is not to be believed.

    Args:
        known: Of the study, which has one metric.
        complete: Numbers of the trials that were trained to their end.

    Returns:
        None with too few trials, or none that ended before the last ones were begun.
    """
    history = known.history
    free = max((len(one.keys() - known.fixed.keys()) for one in history.params), default=0)
    if len(history) < max(LEAST_TRIALS, 2 * free) or len(complete) < FEWEST_COMPLETE:
        return None
    with one_thread():
        process, there = known.process, known.rows
        done = np.flatnonzero(np.isin(there.trials, list(complete)))
        before = there.trials[done] < len(history) - AHEAD
        if process is None or not before.any():
            return None
        results = process.predict(there.only(done))[0]
        lead, led = float(results.min()), float(results[before].min())
        random = np.random.default_rng((known.seed, history.decisions, AHEAD))
        last = history.ladder.last
        anywhere = candidates(history, known.best.tolist(), known.fixed, random).points
        new = [one for one in anywhere if not history.is_tried(one)]
        rows = known.rows_of(known.resting_candidates, last).beside(known.rows_at(new, last))
        mean, spread = process.predict(rows)
        z = (lead - mean) / spread
        improvement = spread * (z * ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))
        promising = rows.only(np.argsort(-improvement, kind="stable")[:PROMISING])
        drawn = known.scale.costs(process.draw(promising, DRAWS, random))
    best = known.scale.back(lead)
    gains = np.maximum(best - drawn, 0.0)
    lately = known.scale.back(led) - best
    following, ahead = max(float(gains.mean(axis=0).max()), lately / AHEAD), max(of_several(gains), lately)
    return Outlook(following, ahead, process.apart * known.scale.slope(lead))
