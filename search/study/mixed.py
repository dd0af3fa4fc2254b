"""What a storage takes of a trial that it holds already: once a space was edited, not every distribution.

Optuna holds what is written into a stored trial (and in a journal, what is read back) against an earlier trial's
distribution of that parameter: other choices, another kind or scale are refused. A new trial in one record is not
checked. So where a space was edited an enqueued trial is stored whole, and one that cannot be filled in is moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial

from search.errors import InputError


class MovedPoint(InputError):
    """An enqueued point that goes on as another trial: its own cannot be given these parameters."""


def refused(trials: Iterable[FrozenTrial], given: Mapping[str, BaseDistribution]) -> str | None:
    """Return a parameter that cannot be set in a stored trial, None if all can.

    Args:
        trials: All of the study's.
        given: Distributions by parameter.
    """
    held: dict[str, list[BaseDistribution]] = {name: [] for name in given}
    for trial in trials:
        for name in held.keys() & trial.distributions.keys():
            one = trial.distributions[name]
            if one not in held[name]:
                held[name].append(one)
    return next((name for name, one in given.items() if any(not _agree(known, one) for known in held[name])), None)


def _agree(one: BaseDistribution, other: BaseDistribution) -> bool:
    try:
        check_distribution_compatibility(one, other)
    except ValueError:
        return False
    return True
