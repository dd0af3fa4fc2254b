"""What a module holds that may be swept: its objectives and its search spaces."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any, Final, Literal, cast

from search.adopt import recognise, trainable
from search.adopt.arguments import the_argument
from search.adopt.tune_space import TuneSpace, is_param_space
from search.contract import Space
from search.errors import InputError
from search.usermodules import import_fault, imported_names

Kind = Literal["objective", "space"]

_STAGES: Final = ("data", "metrics", "preprocess", "learner")
RULE: Final = {
    "objective": "a class with data, metrics, preprocess and learner, a generator marked with @objective(...), "
    "an Optuna objective, a scikit-learn estimator, or a Ray trainable",
    "space": "a function of one argument, the trial, or a param_space of Ray Tune's",
}


def pick(module: ModuleType, name: str | None, kind: Kind, *, shown: str, preferred: str | None) -> tuple[Any, str]:
    """Return what a module holds under `name`, or its only candidate, and that name."""
    if name is None:
        candidates = _objectives(module) if kind == "objective" else _spaces(module)
        if not candidates and kind == "objective":
            candidates = recognise.candidates(module, _own_names(module))
        if not candidates:
            names = _own_names(module) if kind == "objective" else []
            nearly = next(filter(None, (recognise.advice(one, getattr(module, one)) for one in names)), None)
            raise InputError(f"{shown} holds no {kind}: {nearly or RULE[kind]}", field=kind)
        if len(candidates) > 1 and preferred not in candidates:
            listed = ", ".join(candidates)
            raise InputError(
                f"{shown} holds {len(candidates)} {kind}s ({listed})", field=kind, hint=f"write {shown}:{candidates[0]}"
            )
        name = preferred if preferred in candidates else candidates[0]
    value: Any = module
    for part in name.split("."):
        if part == "space" and value is not module and kind == "space":
            made = _made(value, shown)
            value = own_space(made if hasattr(made, "space") else recognise.adopt(made, module), f"{shown}:{name}")
        elif hasattr(value, part):
            value = getattr(value, part)
        else:
            has = ", ".join(_defined(module, kind)) or "nothing of its own"
            raise InputError(f"{shown} has no {name!r}; it has {has}", field=kind)
    if kind == "objective" and not is_objective(value := _made(value, shown)):
        value = recognise.adopt(value, module) or value
    if kind == "space" and is_param_space(value):
        value = TuneSpace(value, name)
    if kind == "space" and is_objective(value):
        raise InputError(
            f"{shown}:{name} is no space but an objective", field=kind, hint=f"its own space is {shown}:{name}.space"
        )
    if not (is_objective(value) if kind == "objective" else callable(value)):
        nearly = recognise.advice(name, value) if kind == "objective" else None
        raise InputError(f"{shown}:{name} is no {kind}: {nearly or f'it takes {RULE[kind]}'}", field=kind)
    return value, name


def is_objective(value: object) -> bool:
    """Tell whether a value, or what a class makes, has the short or the full form, or is adopted."""
    if hasattr(value, "declared_metrics") or all(callable(getattr(value, stage, None)) for stage in _STAGES):
        return True
    return isinstance(value, recognise.Adopted) and not inspect.isclass(value)


def _made(value: Any, shown: str) -> Any:
    """Instantiate a class; leave everything else as it is, a class that others drive too."""
    if not inspect.isclass(value) or trainable.is_trainable(value):
        return value
    try:
        return value()
    except (Exception, SystemExit) as error:
        said = f"{shown}: {value.__name__}() fails: {type(error).__name__}: {error}"
        fault = InputError(
            said,
            field="objective",
            hint=recognise.advice(value.__name__, value) or "an objective is made without arguments",
        )
        fault.__notes__ = import_fault(shown, error).__notes__
        raise fault from error


def own_space(value: Any, reference: str) -> Space:
    space = getattr(value, "space", None)
    if not callable(space):
        raise InputError(f"{reference} names no search space", field="space", hint="give it a `space`, or pass --space")
    if inspect.ismethod(space) and not inspect.signature(space).parameters:
        return cast("Space", space.__func__)  # a plain function in a class body, which Python made a method
    return cast("Space", space)


def _objectives(module: ModuleType) -> list[str]:
    return [name for name in _own_names(module) if _is_candidate(getattr(module, name), module)]


def _is_candidate(value: Any, module: ModuleType) -> bool:
    if inspect.isclass(value):
        return is_objective(value) and not inspect.isabstract(value) and not getattr(value, "_is_protocol", False)
    if inspect.isfunction(value):
        return hasattr(value, "declared_metrics") and value.__module__ == module.__name__
    return not inspect.ismodule(value) and is_objective(type(value))


def _spaces(module: ModuleType) -> list[str]:
    by_argument: dict[str, list[str]] = {}
    for name in _own_names(module):
        value = getattr(module, name)
        if inspect.isfunction(value) and not hasattr(value, "declared_metrics"):
            argument = the_argument(value)
            if argument is not None:
                by_argument.setdefault(argument, []).append(name)
    if "trial" in by_argument:
        return by_argument["trial"]
    return [name for names in by_argument.values() for name in names]


def _own_names(module: ModuleType) -> list[str]:
    """Return the public names that a module binds itself, in order; what it imported is left out."""
    imported = imported_names(module)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and name not in imported
        and (not _is_definition(value) or value.__module__ == module.__name__)
    ]


def _defined(module: ModuleType, kind: Kind) -> list[str]:
    """Return what can be named, or all definitions where nothing can."""
    names = _own_names(module)
    fit = [name for name in names if kind == "objective" and _can_be_named(name, module)]
    of_optuna = any(not _is_candidate(getattr(module, name), module) for name in fit)
    return fit if of_optuna else [name for name in names if _is_definition(getattr(module, name))]


def _can_be_named(name: str, module: ModuleType) -> bool:
    value = getattr(module, name)
    return _is_candidate(value, module) or recognise.can_be_named(value)


def _is_definition(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)
