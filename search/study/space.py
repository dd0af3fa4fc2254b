"""What a search space suggests, found by running it, and values that a user fixes, checked against that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.trial import FrozenTrial

from search.contract import Space
from search.errors import InputError, did_you_mean
from search.study.draft import UnfitPoint, draft
from search.study.ranges import brief, in_full, parsed
from search.trial import ParamValue

_MOST_BRANCHES: Final = 1000
"""Choices tried one by one before a space counts as known."""


def describe(space: Space, *, seed: int, draws: int = 64) -> dict[str, BaseDistribution]:
    """Return every parameter that a conditional space may suggest, in the order first seen.

    Random draws come first; then each choice is taken once, so that no branch behind a choice is missed. Where a range
    depends on another parameter, it is the widest one seen.

    Args:
        space: Run `draws` times and more.
        seed: Of the draws.
        draws: Random ones.

    Raises:
        InputError: The space is wrong, or suggests one name in two kinds.
    """
    found: dict[str, BaseDistribution] = {}
    for trial in _drafts(space, {}, seed=seed, draws=draws):
        for name, distribution in trial.distributions.items():
            found[name] = _widened(name, found[name], distribution) if name in found else distribution
    return found


def check_point(
    space: Space, point: Mapping[str, ParamValue], *, fixed: Mapping[str, ParamValue], seed: int, draws: int = 64
) -> None:
    """Check that a point can be tried as a whole: a space drops what it does not ask for, without a word.

    Args:
        space: Run until it has asked for all of the point, once as a rule.
        point: Values by parameter, each allowed by itself.
        fixed: What is fixed beside it.
        seed: Of what it leaves open.
        draws: Random ones.

    Raises:
        UnfitPoint: The space never allows one of these values beside the others, or never asks for it.
    """
    missing = dict(point)
    for trial in _drafts(space, {**fixed, **point}, seed=seed, draws=draws):
        for name in trial.params:
            missing.pop(name, None)
        if not missing:
            return
    if missing:
        name = next(iter(missing))
        others = {one: value for one, value in {**fixed, **point}.items() if one not in missing}
        beside = ", ".join(f"{one}={_short(value)}" for one, value in others.items()) or "what there is"
        raise UnfitPoint(
            f"{name} was never suggested beside {beside:.100}",
            field=name,
            hint="leave it out, or give what it depends on, too",
        )


def _drafts(space: Space, given: Mapping[str, ParamValue], *, seed: int, draws: int) -> Iterator[FrozenTrial]:
    """Yield trials of a space: random ones, then one for each choice that was seen.

    Raises:
        UnfitPoint: The space never allows what is given.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study on stderr
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    sampler = optuna.samplers.RandomSampler(seed=seed)
    taken: set[tuple[str, int]] = set()
    untried: deque[dict[str, ParamValue]] = deque({} for _ in range(draws))
    fault: UnfitPoint | None = None
    fits = False
    for _ in range(draws + _MOST_BRANCHES):
        if not untried:
            break
        try:
            trial = draft(study, sampler, space, fixed={**untried.popleft(), **given}, attributes={}, number=0)
        except UnfitPoint as unfit:
            fault = unfit
            continue
        fits = True
        yield trial
        for name, index, point in _branches(trial):
            if name not in given and (name, index) not in taken:
                taken.add((name, index))
                untried.append(point)
    if fault is not None and not fits:
        raise fault


def check_fixed(name: str, value: object, described: Mapping[str, BaseDistribution]) -> ParamValue:
    """Return a value that a user fixes, in the type of its parameter.

    Args:
        name: Of the parameter.
        value: Text of a flag, or a JSON value.
        described: As `describe` returns it.

    Raises:
        InputError: There is no such parameter, or it cannot have this value.
    """
    if name not in described:
        suggestion = did_you_mean(name, described).replace("'", "")
        raise InputError(f"no parameter {name!r}", field=name, hint=suggestion)
    return parsed(name, value, described[name])


def _short(value: ParamValue) -> str:
    return brief(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _branches(trial: FrozenTrial) -> Iterator[tuple[str, int, dict[str, ParamValue]]]:
    """Yield each choice of each categorical parameter, with a point that leads to it."""
    before: dict[str, ParamValue] = {}
    for name, distribution in trial.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            for index, choice in enumerate(distribution.choices):
                yield name, index, {**before, name: choice}
        before[name] = trial.params[name]


def _widened(name: str, one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """Return the range that holds both."""
    if one == other:
        return one
    try:
        check_distribution_compatibility(one, other)
    except ValueError:
        raise InputError(
            f"{name} is suggested in two kinds ({in_full(one)}, then {in_full(other)})",
            field=name,
            hint="give each its own name",
        ) from None
    for numeric in (FloatDistribution, IntDistribution):
        if isinstance(one, numeric) and isinstance(other, numeric):
            step = one.step if one.step == other.step and one.low == other.low else numeric(0, 1).step
            return numeric(min(one.low, other.low), max(one.high, other.high), log=one.log, step=step)  # type: ignore[arg-type]
    return one
