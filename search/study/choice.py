"""A sampler or pruner as a user names it, with its options: the `Choice`."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from search.errors import InputError, did_you_mean

OptionValue: TypeAlias = bool | int | float | str | None

_WORDS: Final[Mapping[str, OptionValue]] = {"true": True, "false": False, "none": None}
_TYPES: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a word",
    "None": "none",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One algorithm by name, with the options that differ from its defaults.

    Example:
        >>> Choice.parse("tpe:multivariate=true,n_startup_trials=20").options
        {'multivariate': True, 'n_startup_trials': 20}
    """

    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read `NAME` or `NAME:OPTION=VALUE,OPTION=VALUE`.

        Raises:
            InputError: The text has another form, or gives an option twice.
        """
        name, colon, rest = (part.strip() for part in text.partition(":"))
        options: dict[str, OptionValue] = {}
        for part in rest.split(",") if colon else ():
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not key or not equals or not value:
                raise InputError(
                    f"{text!r} is not NAME or NAME:OPTION=VALUE,...", field=name, hint="try tpe:multivariate=true"
                )
            if key in options:
                raise InputError(f"{text!r} gives {key} twice", field=name, hint="keep one of them")
            options[key] = _value(value)
        return cls(name, options)

    def text(self) -> str:
        """Return what `parse` reads back as this choice."""
        if not self.options:
            return self.name
        return f"{self.name}:{','.join(f'{key}={_text(value)}' for key, value in self.options.items())}"


def check_known(
    choice: Choice, kind: str, known: Mapping[str, Callable[..., Any]], *, ours: Iterable[str] = ()
) -> None:
    """Check a choice against the constructor that it names.

    Args:
        choice: What the user wrote.
        kind: "sampler" or "pruner", for the sentence.
        known: Constructors by name.
        ours: Parameters that the sweep sets itself.

    Raises:
        InputError: The name or an option is unknown, or an option's value is of the wrong type.
    """
    check_name(kind, choice.name, known)
    check_options(kind, choice, options_of(known[choice.name], hidden=ours))


def check_name(kind: str, name: str, known: Collection[str]) -> None:
    """Check that an algorithm exists.

    Args:
        kind: What it is, for the sentence: `sampler` or `pruner`.
        name: As given.
        known: All names.

    Raises:
        InputError: It does not; the known ones are listed.
    """
    if name in known:
        return
    hint = did_you_mean(name, known)
    listed = "" if hint.startswith("known") else f" ({', '.join(sorted(known))})"
    raise InputError(f"unknown {kind} {name!r}", field=f"--{kind}", hint=f"{hint}{listed}")


def check_options(kind: str, choice: Choice, accepted: Mapping[str, Collection[str]]) -> None:
    """Check the names of options and the types of their values.

    Args:
        kind: `sampler` or `pruner`.
        choice: What was given.
        accepted: The types of each option, as `options_of` returns them.

    Raises:
        InputError: An option is unknown, or its value has the wrong type.
    """
    for key, value in choice.options.items():
        if key not in accepted:
            hint = did_you_mean(key, accepted)
            listed = f" ({', '.join(sorted(accepted))})" if hint.startswith("did") else ""
            raise InputError(f"{kind} {choice.name} has no option {key!r}", field=f"--{kind}", hint=f"{hint}{listed}")
        if not _fits(value, accepted[key]):
            wanted = " or ".join(words for name, words in _TYPES.items() if name in accepted[key])
            raise InputError(f"{key} of {kind} {choice.name} must be {wanted}, got {_text(value)!r}", field=f"--{kind}")


def options_of(constructor: Callable[..., Any], *, hidden: Iterable[str] = ()) -> dict[str, frozenset[str]]:
    """Return every parameter that can be written as text, with its accepted types.

    Args:
        constructor: A class or function with annotations.
        hidden: Parameters that are not the user's to set.

    Returns:
        By parameter, the names of its plain types: bool, int, float, str and None.
    """
    found = {}
    for name, parameter in inspect.signature(constructor).parameters.items():
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        types = _TYPES.keys() & set(re.split(r"\s*\|\s*", text))
        if types - {"None"} and name not in hidden:
            found[name] = frozenset(types)
    return found


def _fits(value: OptionValue, accepted: Collection[str]) -> bool:
    if value is None:
        return "None" in accepted
    if isinstance(value, bool):
        return "bool" in accepted
    if isinstance(value, int):
        return "int" in accepted or "float" in accepted
    if isinstance(value, float):
        return "float" in accepted and math.isfinite(value)
    return "str" in accepted


def _value(text: str) -> OptionValue:
    """Read a value as what it looks like: true, false, none, a whole number, a number, else a word."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def _text(value: OptionValue) -> str:
    for word, meaning in _WORDS.items():
        if value is meaning:
            return word
    return repr(value) if isinstance(value, float) else str(value)
