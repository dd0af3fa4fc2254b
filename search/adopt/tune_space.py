"""The `param_space` of Ray Tune as a space of ours, and a trial's parameters as the config that Tune would hand over.

Ray's sampling objects are told by the names of their classes, so that nothing here imports Ray.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from search.adopt.spaces.parameter import Parameter, stepped
from search.errors import InputError
from search.trial import ParamValue

if TYPE_CHECKING:
    import optuna

NAMES: Final = ("param_space", "search_space", "config", "space")
"""What people call the dict, the likeliest first."""

_PLAIN: Final = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One searched value of a `param_space`.

    Attributes:
        parameter: As it is suggested.
        values: What each label stands for, where the choices cannot be stored as they are.
        quantum: What the value is rounded to on its way to the trainable; None for not at all.
    """

    parameter: Parameter
    values: Mapping[ParamValue, Any] | None = None
    quantum: float | None = None

    def value(self, chosen: ParamValue) -> Any:
        if self.values is not None:
            return self.values.get(chosen, chosen)
        if self.quantum is not None and isinstance(chosen, (int, float)):
            rounded = round(chosen / self.quantum) * self.quantum
            return int(rounded) if self.parameter.kind == "int" else float(rounded)
        return chosen


class TuneSpace:
    """A `param_space`, read once.

    Args:
        template: The dict, as the user wrote it.
        name: Of the dict in its module.

    Attributes:
        notes: What is searched in another way than in Tune, a sentence each.
    """

    def __init__(self, template: Mapping[str, Any], name: str = NAMES[0]) -> None:
        self.__qualname__ = name  # as of a function: where in its file the space stands
        self._template = template
        self._leaves: dict[str, _Leaf] = {}
        self._fault: InputError | None = None  # of no concern to who brings a space of their own
        for path, domain in _domains(template, ()):
            name = ".".join(path)
            try:
                if name in self._leaves:
                    raise InputError(f"param_space has {name} twice, once nested", field=name, hint="rename one")
                self._leaves[name] = _leaf(name, domain)
            except InputError as fault:
                self._fault = self._fault or fault

    def __call__(self, trial: optuna.trial.Trial) -> None:
        """Suggest every searched value, under its dotted name.

        Raises:
            InputError: As `parameters`.
        """
        for parameter in self.parameters:
            parameter.suggest(trial)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What is suggested.

        Raises:
            InputError: A value has no equivalent; the sentence says what to write instead.
        """
        if self._fault is not None:
            raise self._fault
        return tuple(leaf.parameter for leaf in self._leaves.values())

    @property
    def constants(self) -> dict[str, ParamValue]:
        """The plain values that are not searched, by dotted name."""
        return {".".join(path): value for path, value in _constants(self._template, ())}

    @property
    def notes(self) -> tuple[str, ...]:
        said = []
        for name, leaf in self._leaves.items():
            if leaf.quantum is not None:
                steps = f"a trainable gets steps of {leaf.quantum:g}"
                said.append(f"{name} is searched in log scale without steps; {steps}")
            if leaf.values is not None:
                said.append(f"{name} is recorded by the text of its choices; a trainable gets the choices themselves")
        return tuple(said)

    def config(self, params: Mapping[str, ParamValue]) -> dict[str, Any]:
        """Return the config of a trial, nested as the dict is.

        Args:
            params: By dotted name; those that the dict does not have are nested by their dots.
        """
        known = {name: self._leaves[name].value(value) for name, value in params.items() if name in self._leaves}
        config: dict[str, Any] = _filled(self._template, (), known)
        for name, value in params.items():
            if name not in self._leaves:
                _nest(config, name.split("."), value)
        return config


def find(module: ModuleType) -> TuneSpace | None:
    """Return the `param_space` that a module holds, the first of the usual names that searches something."""
    for name in NAMES:
        if is_param_space(held := getattr(module, name, None)):
            return TuneSpace(held, name)
    return None


def is_param_space(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether a value is a dict that holds sampling objects of Tune."""
    return isinstance(value, Mapping) and any(True for _ in _domains(value, ()))


def _domains(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what is searched, with the keys that lead to it."""
    if _is_domain(value) or _grid(value) is not None:
        yield path, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _domains(one, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from _domains(one, (*path, str(index)))


def _constants(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ParamValue]]:
    if isinstance(value, _PLAIN):
        yield path, value
    elif isinstance(value, Mapping) and _grid(value) is None:
        for key, one in value.items():
            yield from _constants(one, (*path, str(key)))


def _filled(value: Any, path: tuple[str, ...], known: Mapping[str, Any]) -> Any:
    """Return a copy of the dict with the searched values in their places; those that are not known are left out."""
    if isinstance(value, Mapping):
        inside = {key: (one, (*path, str(key))) for key, one in value.items()}
        return {key: _placed(one, where, known) for key, (one, where) in inside.items() if _has(one, where, known)}
    return [_placed(one, (*path, str(index)), known) for index, one in enumerate(value)]


def _placed(value: Any, path: tuple[str, ...], known: Mapping[str, Any]) -> Any:
    if _is_domain(value) or _grid(value) is not None:
        return known.get(".".join(path))
    if isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and any(True for _ in _domains(value, ()))):
        return _filled(value, path, known)
    return value


def _has(value: Any, path: tuple[str, ...], known: Mapping[str, Any]) -> bool:
    return not (_is_domain(value) or _grid(value) is not None) or ".".join(path) in known


def _nest(config: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        config = config.setdefault(key, {})
    config[path[-1]] = value


def _is_domain(value: Any) -> bool:
    return any(one.__name__ == "Domain" and one.__module__.startswith("ray.tune") for one in type(value).__mro__)


def _grid(value: Any) -> list[Any] | None:
    """Return the values of a `tune.grid_search`, which is a dict of one key."""
    if isinstance(value, Mapping) and set(value) == {"grid_search"} and isinstance(value["grid_search"], (list, tuple)):
        return list(value["grid_search"])
    return None


def _leaf(name: str, domain: Any) -> _Leaf:
    grid = _grid(domain)
    if grid is not None:
        return _choice(name, grid)
    kind = type(domain).__name__
    if kind == "Categorical":
        return _choice(name, domain.categories)
    if kind == "Function":
        raise InputError(
            f"{name}: tune.sample_from draws where no sampler can see it",
            field=name,
            hint=f"write `def space(trial)` with a line such as trial.suggest_float({name!r}, 0.0, 1.0), for --space",
        )
    sampler, quantum = domain.get_sampler(), None
    if type(sampler).__name__ == "Quantized":
        sampler, quantum = sampler.get_sampler(), float(sampler.q)
    if type(sampler).__name__ == "_Normal":
        low, high = sampler.mean - 3 * sampler.sd, sampler.mean + 3 * sampler.sd
        raise InputError(
            f"{name}: tune.randn has no bounds, and a search needs them",
            field=name,
            hint=f"write tune.uniform({low:g}, {high:g}), which is three deviations to each side",
        )
    log = type(sampler).__name__ == "_LogUniform"
    if kind == "Integer":
        return _integer(name, int(domain.lower), int(domain.upper), int(quantum or 1), log=log)
    low, high = float(domain.lower), float(domain.upper)
    if quantum is None:
        return _Leaf(Parameter(name, "float", low, high, log=log))
    if log:
        return _Leaf(Parameter(name, "float", low, high, log=True), quantum=quantum)
    steps = stepped(name, low, high, quantum)
    return _Leaf(Parameter(name, "float", steps.low, steps.high, step=quantum))  # Tune hands over a float


def _integer(name: str, lower: int, upper: int, quantum: int, *, log: bool) -> _Leaf:
    """Return an int range; Tune leaves out the upper end, but where it rounds to more than 1."""
    if quantum == 1:
        return _Leaf(Parameter(name, "int", lower, upper - 1, log=log))
    low, high = math.ceil(lower / quantum) * quantum, math.floor(upper / quantum) * quantum
    if log:
        return _Leaf(Parameter(name, "int", low, high, log=True), quantum=quantum)
    return _Leaf(Parameter(name, "int", low, high, step=quantum))


def _choice(name: str, values: Sequence[Any]) -> _Leaf:
    """Return a choice; what JSON cannot hold is named by a label, the same in every process."""
    if any(any(True for _ in _domains(value, ())) for value in values):
        raise InputError(
            f"{name}: a choice holds another search",
            field=name,
            hint=f"write `def space(trial)` with `if trial.suggest_categorical({name!r}, ...)`, for --space",
        )
    if all(isinstance(value, _PLAIN) for value in values):
        return _Leaf(Parameter(name, "categorical", choices=tuple(values)))
    labels: dict[ParamValue, Any] = {}
    for index, value in enumerate(values):
        label = _label(value, index)
        labels[f"{label} #{index}" if label in labels else label] = value
    return _Leaf(Parameter(name, "categorical", choices=tuple(labels)), values=labels)


def _label(value: Any, index: int) -> ParamValue:
    if isinstance(value, _PLAIN):
        return value
    text = getattr(value, "__qualname__", None) or repr(value)
    return f"{type(value).__name__} #{index}" if re.search(r" at 0x[0-9a-f]+", text) else text[:80]
