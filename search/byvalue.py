"""Objectives and spaces that are given as objects: by reference where a file holds them, else by value.

What stands in a script that runs, in a notebook or inside a function can be loaded by nobody else. It is brought along
to the workers, by Ray's own way of sending objects, and is never written to disk: the plan holds its name, the study
the hash of its code, and only a call that brings it again can go on with the study.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

from search import loading
from search.adopt.tune_space import NAMES as SPACE_NAMES
from search.bytecode import code_of
from search.candidates import Kind, pick
from search.errors import InputError
from search.loading import BY_VALUE, Loaded

Brought: TypeAlias = Mapping[str, Loaded]
"""What no process can load: `objective`, `space`, or both."""

_MODULE: Final = "swept"
"""Name of the module that stands for the script or the notebook where only a few of its objects travel."""


def loaded(given: object, kind: Kind, *, folder: Path, space: object = None) -> Loaded:
    """Return what was given, loaded.

    Args:
        given: A reference, or the object itself.
        kind: What it has to be.
        folder: What paths are relative to.
        space: The search space that was given with an objective: some kinds look for it beside them.

    Raises:
        InputError: It is no such thing, or cannot be loaded.
    """
    if isinstance(given, str):
        return loading.load(given, kind=kind, folder=folder)
    if given is None or isinstance(given, (int, float, bytes, list, tuple, Path)):
        wanted = "a reference such as 'objectives/rain.py:Rain', or the object itself"
        raise InputError(f"{kind} must be {wanted}, got {type(given).__name__}", field=kind)
    reference = _reference(given)
    if reference is not None:
        return loading.load(reference, kind=kind, folder=folder)
    name = _name(given, kind)
    value, _ = pick(_around(given, name, space), name, kind, shown=BY_VALUE, preferred=None)
    return Loaded(value, f"{BY_VALUE}:{name}", folder / name, folder, code_of(given))


def is_by_value(reference: str) -> bool:
    """Tell whether a reference only names what no file holds."""
    return reference.startswith(f"{BY_VALUE}:")


def brought(*pairs: tuple[Kind, Loaded]) -> dict[str, Loaded]:
    """Return those that have to be brought along, by kind."""
    return {kind: one for kind, one in pairs if one.code}


def _reference(given: Any) -> str | None:
    """Return where a class or function stands by its own name in a file; None where it does not."""
    name, place = getattr(given, "__qualname__", None), getattr(given, "__module__", None)
    module = sys.modules.get(place or "")
    file = getattr(module, "__file__", None)
    if name is None or place == "__main__" or file is None or not file.endswith(".py"):
        return None
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not given:
        return None
    return f"{place}:{name}" if Path(file).stem == "__init__" else f"{file}:{name}"


def _name(given: Any, kind: Kind) -> str:
    """Return what the user calls an object."""
    main = vars(sys.modules["__main__"])
    own = next((name for name, one in main.items() if one is given and not name.startswith("_")), None)
    name = own or getattr(given, "__name__", None) or type(given).__name__
    return re.sub(r"\W+", "_", name).strip("_") or kind


def _around(given: object, name: str, space: object) -> ModuleType:
    """Return a module that holds an object and the space that may be meant with it."""
    main = sys.modules["__main__"]
    module = ModuleType(_MODULE)
    for beside in (f"{name}_space", *SPACE_NAMES):
        one = getattr(main, beside, None)
        if one is not None and not inspect.ismodule(one):
            setattr(module, beside, one)
    if space is not None and not isinstance(space, str):
        setattr(module, "param_space" if isinstance(space, Mapping) else f"{name}_space", space)
    setattr(module, name, given)
    file = getattr(main, "__file__", None)
    if file is not None:
        module.__file__ = file
    return module
