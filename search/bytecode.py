"""A hash of what an object does, from the compiled code behind it: for what stands in no file of its own."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from search.usermodules import UserFile, code_files

_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
_LOOKED_UP: Final = ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME")


def code_of(*values: object) -> str:
    """Return a SHA-256 over the code of objects and of all that they name of their own module.

    Comments, spacing and line numbers are not in it; another version of Python compiles to another hash.

    Args:
        values: Functions, classes, or instances, whose plain attributes count too.
    """
    seen: set[int] = set()
    kept: list[object] = []  # an id is an object's own only while it lives
    digest = hashlib.sha256()
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        if id(value) in seen and not isinstance(value, _PLAIN):
            continue
        seen.add(id(value))
        kept.append(value)
        for part in _parts(value):
            if isinstance(part, str):
                digest.update(f"{len(part)}:{part}".encode(errors="surrogatepass"))
            else:
                waiting.append(part[0])
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[str | tuple[Any]]:
    """Yield what of a value goes into the hash: text, and other values, each in a tuple of one."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, (list, tuple)) and all(isinstance(one, _PLAIN) for one in value):
        yield f"{type(value).__name__} {[*value]!r}"
    elif isinstance(value, (list, tuple)):
        yield f"{type(value).__name__} of {len(value)}"
        yield from ((one,) for one in value)
    elif isinstance(value, Mapping):
        yield json.dumps([str(key) for key in value])
        yield from ((one,) for one in value.values())
    elif isinstance(value, (set, frozenset)):
        # their order differs from process to process, and so does what Python calls an instance
        yield repr(sorted(repr(one) if isinstance(one, _PLAIN) else type(one).__qualname__ for one in value))
    elif isinstance(value, types.CodeType):
        yield f"{value.co_name} {value.co_code.hex()} {value.co_names} {value.co_varnames}"
        yield from ((one,) for one in value.co_consts)
    elif isinstance(value, (staticmethod, classmethod)):
        yield (value.__func__,)
    elif isinstance(value, property):
        yield ([value.fget, value.fset],)
    elif inspect.ismethod(value):
        yield ([value.__self__, value.__func__],)
    elif inspect.isfunction(value):
        yield from _of_function(value)
    elif inspect.ismodule(value):
        yield from _of_module(value)
    elif inspect.isclass(value):
        yield from _of_class(value)
    elif isinstance(value, functools.partial):
        yield ([value.func, value.args, value.keywords],)
    else:
        yield type(value).__qualname__
        yield (type(value),)
        if type(value).__module__ == "numpy" and hasattr(value, "tobytes") and not value.dtype.hasobject:
            yield f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
        attributes = getattr(value, "__dict__", {})
        yield from (([name, attributes[name]],) for name in sorted(attributes) if _counts(value, name))


def _counts(value: Any, name: str) -> bool:
    """Tell whether an attribute says what an instance does.

    Of an installed class's those count that are plain and public: it may keep a cache, a lock, a whole program behind
    the others, as a logger does. An estimator's all count.
    """
    if not _is_foreign(type(value).__module__) or hasattr(value, "get_params"):
        return True
    return not name.startswith("_") and isinstance(vars(value)[name], (*_PLAIN, list, tuple, set, frozenset, Mapping))


def _of_function(function: types.FunctionType) -> Iterator[str | tuple[Any]]:
    if _is_foreign(function.__module__):
        yield f"{function.__module__}.{function.__qualname__}"
        return
    yield (function.__code__,)
    yield ([function.__defaults__, function.__kwdefaults__, sorted(vars(function))],)
    yield from ((vars(function)[name],) for name in sorted(vars(function)))
    for cell in function.__closure__ or ():
        try:
            yield (cell.cell_contents,)
        except ValueError:  # it is not bound yet
            continue
    for name in sorted(_names(function.__code__) & function.__globals__.keys()):
        yield name
        yield (function.__globals__[name],)


def _of_class(kind: type) -> Iterator[str | tuple[Any]]:
    yield f"{kind.__module__}.{kind.__qualname__}"
    if _is_foreign(kind.__module__):
        return
    yield from ((base,) for base in kind.__bases__)
    for name, value in sorted(vars(kind).items()):
        if not name.startswith("__") or inspect.isfunction(value):
            yield name
            yield (value,)


def _of_module(module: types.ModuleType) -> Iterator[str | tuple[Any]]:
    """Yield the files of a module that lies in the user's own project: beside the script, or in the current folder."""
    yield module.__name__
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py") or not _is_own(Path(file)):
        return
    for path in code_files(UserFile.of(Path(file))):
        yield hashlib.sha256(path.read_bytes()).hexdigest()


def _names(code: types.CodeType) -> set[str]:
    """Return the names that code, and code inside it, looks up in its module or imports; attributes are none."""
    inside = [_names(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    own = {str(step.argval) for step in dis.get_instructions(code) if step.opname in _LOOKED_UP}
    return own.union(*inside)


def _is_own(file: Path) -> bool:
    return file.resolve().is_relative_to(Path.cwd()) and not {"site-packages", ".venv", "venv"} & {*file.parts}


def _is_foreign(module: str | None) -> bool:
    """Tell whether a module is installed: its version is noted with every result, and its code is not ours to read."""
    import sys

    found = sys.modules.get(module or "")
    file = getattr(found, "__file__", None)
    if found is None or module == "__main__":
        return False
    return file is None or not _is_own(Path(file))
