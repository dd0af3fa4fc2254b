"""Tell what other people's code is, and make an objective of it: the one place that knows all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from search.adopt import estimator, optuna_objective, trainable


@runtime_checkable
class Adopted(Protocol):
    """Other people's code as an objective; what it measures is settled by what the user searches."""

    def searching(self, names: Sequence[str], directions: Sequence[str]) -> Adopted:
        """Return the same objective, declaring these metrics first.

        Args:
            names: Of the searched metrics; () for its own.
            directions: `minimize` or `maximize`, one each; () where nobody has said so.
        """


_KINDS = (trainable, estimator, optuna_objective)
"""In this order: whatever can be called with one argument passes for an objective of Optuna's."""


def adopt(value: Any, module: ModuleType) -> Adopted | None:
    """Return other people's code as an objective; None if it is of no known kind.

    Args:
        value: A class, a function or an instance, as its module holds it.
        module: That module; it may hold the search space beside it.

    Raises:
        InputError: It is of a known kind, and something is missing beside it.
    """
    for kind in _KINDS:
        adopted: Adopted | None = kind.adopt(value, module)
        if adopted is not None:
            return adopted
    return None


def candidates(module: ModuleType, names: Sequence[str]) -> list[str]:
    """Return which of a module's own names hold something to adopt; those of the first kind that has any.

    Args:
        module: It.
        names: The public names that it binds itself, in order.

    Raises:
        InputError: It gives something to Optuna that has no name.
    """
    if (optimized := optuna_objective.optimized_by(module)) is not None:
        return [optimized]
    for kind in _KINDS:
        found = [name for name in names if kind.is_candidate(name, getattr(module, name))]
        if found:
            return ["objective"] if "objective" in found else found  # as most examples of Optuna's call it
    return []


def searching(objective: Any, names: Sequence[str], directions: Sequence[str]) -> Any:
    """Return an objective as it searches these metrics; one of ours declares its own, and stays as it is."""
    return objective.searching(names, directions) if isinstance(objective, Adopted) else objective


def metric_names(objective: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Return what an objective calls the metrics that a user asks for: scikit-learn's `accuracy` is `val_accuracy`.

    Raises:
        InputError: There is no such metric.
    """
    named = getattr(objective, "named", None)
    return named(names) if isinstance(objective, Adopted) and named is not None else tuple(names)


def can_be_named(value: Any) -> bool:
    """Tell whether a module's value would be adopted; nothing is made or called."""
    return optuna_objective.can_be_named(value)


def advice(name: str, value: Any) -> str | None:
    """Say what makes an objective of something that is nearly one; None if it is not."""
    return optuna_objective.advice(name, value)
