"""What two search spaces have in common and what not, in words: a line for each parameter that differs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.study.ranges import choice_in, span

Described: TypeAlias = Mapping[str, BaseDistribution]
"""Every parameter of a space, as `search.study.space.describe` finds them."""

_KNOWN = {one.__name__: one for one in (CategoricalDistribution, FloatDistribution, IntDistribution)}


def differences(before: Described, after: Described) -> tuple[str, ...]:
    """Return a line for each parameter that is new, gone or another, in the order of the spaces."""
    lines = []
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            lines.append(f"- {name}")
        elif name not in before:
            lines.append(f"+ {name}: {_in_short(after[name])}")
        elif before[name] != after[name]:
            lines.append(f"{name}: {_changed(before[name], after[name])}")
    return tuple(lines)


def from_texts(parameters: Mapping[str, str]) -> dict[str, BaseDistribution]:
    """Return the distributions that a study keeps as their own text; one that cannot be read is left out."""
    found = {}
    for name, text in parameters.items():
        one = _from_text(text)
        if one is not None:
            found[name] = one
    return found


def _from_text(text: str) -> BaseDistribution | None:
    try:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        given = {one.arg or "": ast.literal_eval(one.value) for one in call.keywords}
        made: BaseDistribution = _KNOWN[call.func.id](**given)
    except (SyntaxError, ValueError, TypeError, KeyError, AssertionError):
        return None
    return made


def _changed(before: BaseDistribution, after: BaseDistribution) -> str:
    if isinstance(before, CategoricalDistribution) and isinstance(after, CategoricalDistribution):
        signs = [*_lacking("+", after, before), *_lacking("-", before, after)]
        return ", ".join(signs) or f"{_in_short(before)} -> {_in_short(after)}"  # in another order
    kept = _kind(after) if _kind(before) != _kind(after) else ""
    return f"{_in_short(before)} -> {kept}{_range(after)}"


def _lacking(sign: str, one: CategoricalDistribution, other: CategoricalDistribution) -> Iterator[str]:
    """Yield the choices of one that the other has not."""
    return (f"{sign} {choice!r}" for choice in one.choices if choice_in(choice, other) is None)


def _in_short(distribution: BaseDistribution) -> str:
    return _kind(distribution) + _range(distribution)


def _kind(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return "one of "
    return "int " if isinstance(distribution, IntDistribution) else "float "


def _range(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(map(repr, distribution.choices))
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    usual = 1 if isinstance(distribution, IntDistribution) else None
    step = "" if distribution.step == usual else f" by {distribution.step:g}"
    return f"{span(distribution)}{step}{' log' if distribution.log else ''}"
