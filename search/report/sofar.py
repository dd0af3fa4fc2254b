"""Where trials stood while they ran: the best report so far, at any step."""

from __future__ import annotations

import numpy as np

from search.records.history import Floats, History, Ints
from search.records.reports import Reports


def best_so_far(losses: Floats, trial: Ints) -> Floats:
    """Return the lowest loss of each trial up to each of its reports.

    Args:
        losses: (reports,): NaN where a report did not measure it.
        trial: (reports,): rising.

    Returns:
        (reports,): NaN before a trial's first loss.
    """
    rising, rank = np.unique(losses, return_inverse=True)  # NaN comes last, once
    if not rising.size:
        return losses
    # Ranks of a later trial lie below all of an earlier one, so that one running minimum serves all trials.
    offset = trial.astype(np.int64) * len(rising)
    found: Floats = rising[np.minimum.accumulate(rank - offset) + offset]
    return found


def at_steps(reports: Reports, values: Floats, trials: Ints, steps: Ints) -> Floats:
    """Return what stood last at or before a step; NaN where a trial had reported nothing by then.

    Args:
        reports: Of the study.
        values: (reports,).
        trials: (n,): numbers.
        steps: (n,): one for each of them.
    """
    if not len(values):
        return np.full(len(trials), np.nan)
    low, span = min(int(reports.step.min()), 0), int(reports.step.max()) + 2
    keys = reports.trial * (span - low) + (reports.step - low)
    place = np.searchsorted(keys, trials * (span - low) + (np.minimum(steps, span - 1) - low), side="right") - 1
    there = np.where(reports.trial[place] == trials, values[place], np.nan)
    return np.where(place >= 0, there, np.nan)


def first_from(reports: Reports, trials: Ints, steps: Ints) -> Ints:
    """Return which report of a trial is its first at or after a step; -1 where there is none.

    Args:
        reports: Of the study.
        trials: (n,): numbers.
        steps: (n,): one for each of them.
    """
    if not len(reports.step):
        return np.full(len(trials), -1)
    low, span = min(int(reports.step.min()), 0), int(reports.step.max()) + 2
    keys = reports.trial * (span - low) + (reports.step - low)
    asked = trials * (span - low) + np.clip(steps - low, 0, span - low - 1)
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where((reports.trial[place] == trials) & (reports.step[place] >= steps), place, -1)


def reported_losses(history: History, metric: int = 0) -> Floats:
    """Return (reports,): a searched metric of every report, so that less is better; NaN where it is not finite."""
    values = history.signs[metric] * history.reports.values[history.metrics[metric]]
    return np.where(np.isfinite(values), values, np.nan)
