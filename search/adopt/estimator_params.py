"""The parameters of an estimator, checked and set, with everything random in it seeded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from search.errors import InputError, did_you_mean


def names_of(estimator: Any) -> frozenset[str]:
    """Return the names that `set_params` takes, nested ones included."""
    return frozenset(estimator.get_params(deep=True))


def estimators_name(name: str, names: frozenset[str]) -> str:
    """Return what the estimator calls a parameter: `clf.C` is `clf__C`, and `model.C` is `C`.

    Args:
        name: As suggested.
        names: Of the estimator's parameters.
    """
    known = name.replace(".", "__")
    stage, _, rest = name.partition(".")
    if known not in names and rest and stage in ("model", "train") and stage not in names:
        return rest.replace(".", "__")
    return known


def check_names(searched: Iterable[str], estimator: Any) -> None:
    """Check that an estimator has the parameters that are searched.

    What stands below a searched step (`clf__C` where `clf` is searched, too) is seen when it is set.

    Raises:
        InputError: It lacks one.
    """
    names = names_of(estimator)
    called = {name: estimators_name(name, names) for name in searched}
    for name, known in called.items():
        above = known.split("__")
        if known in names or any("__".join(above[:depth]) in called.values() for depth in range(1, len(above))):
            continue
        hint = did_you_mean(known, names)
        raise InputError(
            f"{type(estimator).__name__} has no parameter {name!r}",
            field=name,
            hint=hint if len(hint) < 120 else f"it has {len(names)} others; see get_params()",
        )


def with_params(estimator: Any, params: Mapping[str, Any], *, seed: int | None = None, threads: int = 1) -> Any:
    """Return an unfitted copy of an estimator with these parameters.

    Args:
        estimator: Stays as it is.
        params: By name, dotted or not.
        seed: For every `random_state` that is None, so that the same trial comes to the same score; None to leave them.
        threads: For every `n_jobs` that is None, if there are several.
    """
    from sklearn.base import clone

    made = clone(estimator)
    names = names_of(made)
    made.set_params(**{estimators_name(name, names): value for name, value in params.items()})
    given: dict[str, Any] = {}
    for name, value in made.get_params(deep=True).items():
        last = name.rpartition("__")[2]
        if value is None and last == "random_state" and seed is not None:
            given[name] = seed
        if value is None and last == "n_jobs" and threads > 1:
            given[name] = threads
    return made.set_params(**given)
