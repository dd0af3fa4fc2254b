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
    """
    for kind in _KINDS:
        found = [name for name in names if kind.is_candidate(name, getattr(module, name))]
        if found:
            return ["objective"] if "objective" in found else found  # as most examples of Optuna's call it
    return []


def searching(objective: Any, names: Sequence[str], directions: Sequence[str]) -> Any:
    """Return an objective as it searches these metrics; one of ours declares its own, and stays as it is."""
    return objective.searching(names, directions) if isinstance(objective, Adopted) else objective
