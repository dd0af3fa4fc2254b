"""Read a search space of NNI's (nni.readthedocs.io, HPO search space) as a space, alone or in its experiment's file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from search.adopt.spaces.entries import is_nested, known, mapping, number, values
from search.adopt.spaces.parameter import Condition, Parameter, log_steps, multiple, stepped
from search.adopt.spaces.space import ForeignSpace
from search.errors import InputError

_TYPES: Final = (
    "choice loguniform lognormal normal qloguniform qlognormal qnormal quniform randint uniform".split()  # noqa: SIM905
)
_LENGTHS: Final = {"randint": 2, "uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3}
_SAMPLERS: Final = {
    "anneal": "tpe",
    "evolution": "nsga2",
    "gp": "gp",
    "gridsearch": "grid",
    "random": "random",
    "tpe": "tpe",
}


def is_space(content: Mapping[str, Any]) -> bool:
    """Tell whether a file holds a search space of NNI's, or an experiment that does."""
    if isinstance(content.get("searchSpace"), Mapping):
        return True
    return any(isinstance(one, Mapping) and "_type" in one for one in content.values())


def read(content: Mapping[str, Any], source: str) -> ForeignSpace:
    """Read a search space.

    Raises:
        InputError: A type is unknown, or its values are not what it takes.
    """
    notes: list[str] = []
    flags: dict[str, str] = {}
    if "searchSpace" in content:
        flags, content = _flags(content, notes), mapping(content["searchSpace"], "searchSpace")
    parameters = tuple(_all(content, "", (), notes))
    return ForeignSpace(source, "NNI", parameters, {}, flags, tuple(notes))


def _all(entries: Mapping[str, Any], prefix: str, when: tuple[Condition, ...], notes: list[str]) -> Iterator[Parameter]:
    for key, one in entries.items():
        name = f"{prefix}{key}"
        entry = mapping(one, name)
        kind = known(str(entry.get("_type")), _TYPES, f"_type of {name}", name)
        given = entry.get("_value")
        if kind == "choice":
            yield from _choice(name, given, when, notes)
        elif kind in _LENGTHS:
            yield _numeric(name, kind, given, when, notes)
        else:
            notes.append(f"{name}: {kind} has no bounds, and is left out; give it a range in a uniform")


def _choice(name: str, given: Any, when: tuple[Condition, ...], notes: list[str]) -> Iterator[Parameter]:
    """Yield a choice, and after it what each of its branches searches."""
    branches = [one for one in given or [] if isinstance(one, Mapping) and "_name" in one]
    if not branches:
        if any(is_nested(one) for one in given or []):
            notes.append(f"{name}: lists among its values are chosen by their text")
        yield Parameter(name, "categorical", choices=values(given, name), when=when)
        return
    names = [one["_name"] if isinstance(one, Mapping) and "_name" in one else one for one in given]
    choices = values(names, name)
    yield Parameter(name, "categorical", choices=choices, when=when)
    for branch in branches:
        inside = {key: one for key, one in branch.items() if key != "_name"}
        yield from _all(inside, f"{name}.{branch['_name']}.", (*when, (name, branch["_name"])), notes)


def _numeric(name: str, kind: str, given: Any, when: tuple[Condition, ...], notes: list[str]) -> Parameter:
    length = _LENGTHS[kind]
    if not isinstance(given, list) or len(given) != length:
        raise InputError(f"{name}: {kind} takes {length} numbers, got {given!r:.60}", field=name)
    low, high, *rest = (number(one, name) for one in given)
    if kind == "randint":
        return Parameter(name, "int", int(low), int(high) - 1, when=when)
    if kind == "uniform":
        return Parameter(name, "float", low, high, when=when)
    if kind == "loguniform":
        return Parameter(name, "float", low, high, log=True, when=when)
    step = rest[0]
    if step <= 0:
        raise InputError(f"{name}: {kind} needs a step above 0, got {step:g}", field=name)
    if kind == "quniform":
        found = stepped(name, multiple(low, step, math.ceil), multiple(high, step, math.floor), step)
        return Parameter(name, found.kind, found.low, found.high, step=found.step, when=when)
    return replace(log_steps(name, low, high, step, notes), when=when)


def _flags(content: Mapping[str, Any], notes: list[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    for key, flag in (("maxTrialNumber", "trials"), ("trialConcurrency", "concurrency")):
        if content.get(key) is not None:
            flags[flag] = str(int(number(content[key], key)))
    if content.get("maxExperimentDuration") is not None:
        flags["time"] = str(content["maxExperimentDuration"])
    tuner = content.get("tuner")
    if isinstance(tuner, Mapping):
        name = str(tuner.get("name", ""))
        if name.lower() in _SAMPLERS:
            flags["sampler"] = _SAMPLERS[name.lower()]
        else:
            notes.append(f"tuner {name!r:.40} has no equivalent: choose a --sampler")
        mode = (tuner.get("classArgs") or {}).get("optimize_mode")
        if mode in ("minimize", "maximize"):
            flags["direction"] = mode
    if isinstance(content.get("assessor"), Mapping):
        name = str(content["assessor"].get("name", ""))
        if name.lower() == "medianstop":
            flags["pruner"] = "median"
        else:
            notes.append(f"assessor {name!r:.40} has no equivalent: choose a --pruner")
    return flags
