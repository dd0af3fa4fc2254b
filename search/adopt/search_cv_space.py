"""What a `SweepSearchCV` searches, however it was written: the `CandidateSpace`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.adopt.estimator_params import estimators_name
from search.errors import InputError
from search.trial import ParamValue

_PLAIN: Final = (bool, int, float, str, type(None))


class CandidateSpace(Protocol):
    """Suggests parameters on an Optuna trial, and says what they mean to the estimator."""

    def __call__(self, trial: optuna.trial.Trial) -> None:
        """Suggest every parameter."""

    def candidate(self, params: Mapping[str, ParamValue]) -> dict[str, Any]:
        """Return what `set_params` of the estimator takes, of a trial's parameters."""

    def names(self, suggested: Iterable[str]) -> list[str]:
        """Return the estimator's parameters among what is suggested."""

    def points(self) -> Iterator[dict[str, ParamValue]] | None:
        """Yield the parameters of every point in scikit-learn's order; None where nobody can list them."""


def read_space(space: object, names: frozenset[str]) -> CandidateSpace:
    """Return a space as one to search.

    Args:
        space: A function of a trial, a dict of lists or of Optuna's distributions, or a list of dicts of lists.
        names: Of the estimator's parameters, nested ones included.

    Raises:
        InputError: It is none of them, or is empty.
    """
    if isinstance(space, Mapping) and any(isinstance(one, BaseDistribution) for one in space.values()):
        return _Ranges(space)
    if isinstance(space, Mapping):
        return _Lists([space])
    if isinstance(space, Sequence) and not space:
        raise InputError(
            f"space must have something to search, got {space!r}", field="space", hint="try {'C': [1, 10]}"
        )
    if isinstance(space, Sequence) and not isinstance(space, str) and all(isinstance(one, Mapping) for one in space):
        return _Lists(space)
    if callable(space):
        return _Function(space, names)
    raise InputError(
        f"space must be a function of a trial, or a dict of lists or distributions, got {space!r:.60}", field="space"
    )


class _Function:
    """A function of a trial."""

    def __init__(self, function: Callable[[optuna.trial.Trial], object], names: frozenset[str]) -> None:
        self._function, self._names = function, names

    def __call__(self, trial: optuna.trial.Trial) -> None:
        self._function(trial)

    def candidate(self, params: Mapping[str, ParamValue]) -> dict[str, Any]:
        return {estimators_name(name, self._names): value for name, value in params.items()}

    def names(self, suggested: Iterable[str]) -> list[str]:
        return [*suggested]

    def points(self) -> None:
        return None


class _Ranges:
    """A dict of Optuna's distributions, among which lists of values may stand."""

    def __init__(self, space: Mapping[str, Any]) -> None:
        self._lists = _Lists([{name: one for name, one in space.items() if not isinstance(one, BaseDistribution)}])
        self._ranges = {name: one for name, one in space.items() if isinstance(one, BaseDistribution)}

    def __call__(self, trial: optuna.trial.Trial) -> None:
        for name, one in self._ranges.items():
            match one:
                case FloatDistribution():
                    trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)
                case IntDistribution():
                    trial.suggest_int(name, one.low, one.high, step=one.step, log=one.log)
                case CategoricalDistribution():
                    trial.suggest_categorical(name, one.choices)
        self._lists(trial)

    def candidate(self, params: Mapping[str, ParamValue]) -> dict[str, Any]:
        numbers = {name: params[name] for name in self._ranges}
        return numbers | self._lists.candidate({name: one for name, one in params.items() if name not in numbers})

    def names(self, suggested: Iterable[str]) -> list[str]:
        return [*suggested]

    def points(self) -> None:
        return None


class _Lists:
    """Lists of values by parameter, as `GridSearchCV` takes them; of several dicts a trial has the parameters of one.

    A value that a study cannot store (an estimator, a tuple, an array) is stored by a label.
    """

    _WHICH: Final = "param_grid"

    def __init__(self, grids: Sequence[Mapping[str, Any]]) -> None:
        self._grids: list[dict[str, dict[ParamValue, Any]]] = []
        for number, grid in enumerate(grids):
            place = f"{number}/" if len(grids) > 1 else ""
            self._grids.append({f"{place}{name}": _labelled(name, values) for name, values in sorted(grid.items())})

    def __call__(self, trial: optuna.trial.Trial) -> None:
        which = trial.suggest_categorical(self._WHICH, [*range(len(self._grids))]) if len(self._grids) > 1 else 0
        for name, labels in self._grids[which].items():
            trial.suggest_categorical(name, tuple(labels))

    def candidate(self, params: Mapping[str, ParamValue]) -> dict[str, Any]:
        grid = self._grids[int(params.get(self._WHICH, 0) or 0)] if len(self._grids) > 1 else self._grids[0]
        return {name.rpartition("/")[2]: grid[name][value] for name, value in params.items() if name in grid}

    def names(self, suggested: Iterable[str]) -> list[str]:
        return [name.rpartition("/")[2] for name in suggested if name != self._WHICH or len(self._grids) == 1]

    def points(self) -> Iterator[dict[str, ParamValue]]:
        for number, grid in enumerate(self._grids):
            beside: dict[str, ParamValue] = {self._WHICH: number} if len(self._grids) > 1 else {}
            for values in itertools.product(*grid.values()):
                yield beside | dict(zip(grid, values, strict=True))


def _labelled(name: str, values: Any) -> dict[ParamValue, Any]:
    """Return the values of one parameter by what a study stores of each."""
    if isinstance(values, str) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
        hint = "optuna.distributions.FloatDistribution(low, high) for a range" if hasattr(values, "rvs") else ""
        raise InputError(
            f"{name} must be a list of values or a distribution, got {values!r:.60}", field=name, hint=hint
        )
    if len(values) == 0:
        raise InputError(f"{name} has no values to choose from", field=name, hint="give at least one")
    plain = [one.item() if hasattr(one, "item") and getattr(one, "ndim", 1) == 0 else one for one in values]
    if all(isinstance(one, _PLAIN) and one == one for one in plain) and len(set(plain)) == len(plain):
        return dict(zip(plain, values, strict=True))
    # 1 and True, or a value twice, would be one choice: told apart by their place
    return {f"{index}: {' '.join(repr(one).split())[:60]}": one for index, one in enumerate(values)}
