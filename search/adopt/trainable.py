"""A trainable of Ray Tune's, a function of a config or a class, as an objective of ours: the `TrainableObjective`."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from search.adopt import tune_hints, tune_space
from search.adopt.arguments import the_argument
from search.adopt.tune_hints import TuneHints
from search.adopt.tune_space import TuneSpace
from search.contract import Metric, Run, Space
from search.errors import InputError


def is_trainable(value: Any) -> bool:
    """Tell whether a value is a subclass of Tune's `Trainable`; nothing is imported for it."""
    return inspect.isclass(value) and any(
        one.__name__ == "Trainable" and one.__module__.startswith("ray.tune") for one in value.__mro__[1:]
    )


def is_candidate(name: str, value: Any) -> bool:  # noqa: ARG001
    """Tell whether a module's own value is meant to be swept: other functions of one argument stand in a file, too."""
    if is_trainable(value):
        return True
    if not inspect.isfunction(value) or (module := sys.modules.get(value.__module__)) is None:
        return False
    takes = _argument(value)
    return takes is not None and _uses_ray(module) and (takes == "config" or _speaks_of_reports(value.__code__))


def adopt(value: Any, module: ModuleType) -> TrainableObjective | None:
    """Return a trainable as an objective; None if it is none.

    A function is one if its file imports Ray and it takes one argument that is no `trial`.
    """
    if not is_trainable(value):
        callable_ = inspect.isfunction(value) or isinstance(value, functools.partial)
        if not callable_ or _argument(value) is None or not _uses_ray(module):
            return None
    file = Path(getattr(module, "__file__", None) or "notebook")
    return TrainableObjective(value, module, file.name, tune_hints.read(file))


@dataclass(frozen=True, slots=True, eq=False)
class TrainableObjective:
    """A trainable in our short form: called with a run, it yields what the trainable reports.

    Attributes:
        trainable: As the user wrote it.
        module: It stands in, with its `param_space` beside it.
        file: Name of the module's file, for people.
        hints: What the file says to Tune.
        declared_metrics: The searched ones, once they are known.
    """

    trainable: Any
    module: ModuleType
    file: str
    hints: TuneHints
    declared_metrics: tuple[Metric, ...] = ()

    def searching(self, names: Sequence[str], directions: Sequence[str]) -> TrainableObjective:
        """Return the same objective, declaring these metrics; what is not said is taken from the file.

        Raises:
            InputError: Neither says which metric is searched, or which way.
        """
        names = tuple(names) or ((self.hints.metric,) if self.hints.metric else ())
        if not names:
            raise InputError(
                f"{self.file} does not say which metric is searched",
                field="--metric",
                hint="give --metric NAME --direction minimize, or TuneConfig(metric=..., mode=...) in the file",
            )
        if not directions and self.hints.direction and names == (self.hints.metric or names[0],):
            directions = (self.hints.direction,)
        if not directions:
            raise InputError(
                f"{self.file} does not say whether a lower or a higher {names[0]} is better",
                field="--direction",
                hint="give --direction minimize or --direction maximize",
            )
        declared = tuple(Metric(name, one) for name, one in zip(names, directions, strict=False))  # type: ignore[arg-type]
        return replace(self, declared_metrics=declared)

    @property
    def space(self) -> Space:
        """The `param_space` of its module, whose mistakes are told where something is suggested."""
        return tune_space.find(self.module) or self._no_space

    def _no_space(self, trial: object) -> None:  # noqa: ARG002
        """Stand for the space of a file without one; `--space` takes its place.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"{self.file} has no param_space at its top level",
            field="space",
            hint="write param_space = {...} above its first use, or pass --space",
        )

    @property
    def budget(self) -> int | None:
        """1 for a function that returns its one result, so that it counts as trained to its end; else None."""
        if self.hints.reports or not inspect.isfunction(self.trainable):
            return None
        return None if inspect.isgeneratorfunction(self.trainable) else 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What the file says that is done or left to a flag here, a sentence each."""
        hints, said = self.hints, []
        where = f"{self.file} line {hints.line}"
        if hints.metric and self.declared_metrics == (Metric(hints.metric, hints.direction or "minimize"),):  # type: ignore[arg-type]
            said.append(f"{where} searches {hints.metric} ({hints.direction or 'minimize'}): so does this sweep")
        if hints.num_samples is not None:
            said.append(f"{where} has num_samples={hints.num_samples}: --trials says how many here")
        asked = getattr(getattr(self.trainable, "_resources", None), "required_resources", None)
        if asked:
            listed = ", ".join(f"{amount:g} {kind}" for kind, amount in asked.items())
            said.append(f"{self.file} asks for {listed} a trial: --cpus and --gpus say it here")
        said.append("a trial ends by itself, after --max-epochs reports, or --patience reports without a better one")
        found = tune_space.find(self.module)
        return (*said, *(found.notes if found is not None else ()))

    def __call__(self, run: Run) -> Iterator[Mapping[str, float]]:
        """Run the trainable with a trial's parameters, nested as its `param_space` is."""
        from search.tuner import foreign  # which imports Ray

        space = tune_space.find(self.module) or TuneSpace({})
        searched = frozenset(metric.name for metric in self.declared_metrics)
        stays = not self.hints.own_folder
        yield from foreign.run(
            self.trainable, space.config(run.params), searched=searched, seed=run.seed, cpus=run.threads, stays=stays
        )


def _argument(function: Any) -> str | None:
    """Return the name of the one argument that a function needs, unless it is a trial."""
    name = the_argument(function)
    return None if name == "trial" else name


def _uses_ray(module: ModuleType) -> bool:
    """Tell whether a module imports Ray, also inside a function; one without a file is judged by what it holds."""
    if getattr(module, "__file__", None):
        return tune_hints.read(Path(module.__file__ or "")).uses_ray
    held = (
        value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
        for value in vars(module).values()
    )
    return any(str(name).split(".")[0] == "ray" for name in held)


def _speaks_of_reports(code: Any) -> bool:
    """Tell whether a function, or one inside it, calls something named `report`."""
    return "report" in code.co_names or any(_speaks_of_reports(one) for one in code.co_consts if inspect.iscode(one))
