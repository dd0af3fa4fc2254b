"""Tell which tool's search space a file holds, and read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import yaml

from search.adopt import tune_space
from search.adopt.spaces import katib, nni, wandb
from search.adopt.spaces.space import ForeignSpace
from search.adopt.tune_space import TuneSpace
from search.errors import InputError
from search.usermodules import UserFile, import_file

_YAML: Final = (".yaml", ".yml")
_JOURNAL: Final = object()
"""A journal of Optuna's, whatever its name ends in."""
_KINDS: Final = (
    "a W&B sweep (parameters:), a Katib experiment (kind: Experiment) or an NNI search space (_type, _value)"
)


def read(source: str) -> ForeignSpace | None:
    """Read a search space.

    Args:
        source: A YAML or JSON file, or `FILE.py` with an optional `:NAME` of a `param_space`.

    Returns:
        None where the source is no file of a space.

    Raises:
        InputError: It is missing, or holds none that is known, or one that is wrong.
    """
    place, colon, name = source.rpartition(":")
    place, name = (place, name) if colon and place.endswith(".py") else (source, "")
    path = Path(place)
    if path.suffix == ".py":
        return _from_python(path, name)
    if path.suffix.lower() not in (*_YAML, ".json"):
        return None
    content = _content(path)
    if content is _JOURNAL:
        return None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no search space", field="SOURCE", hint=f"it takes {_KINDS}")
    if content.get("kind") == "Experiment" or "katib" in str(content.get("apiVersion", "")) or "spec" in content:
        return katib.read(content, path.name)
    if nni.is_space(content):
        return nni.read(content, path.name)
    if "parameters" in content:
        return wandb.read(content, path.name)
    raise InputError(f"{path} holds no search space", field="SOURCE", hint=f"it takes {_KINDS}")


def _content(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", field="SOURCE") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}", field="SOURCE") from error
    if text.startswith("{") and '"op_code"' in text.partition("\n")[0]:
        return _JOURNAL
    try:
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        said = getattr(error, "problem", None) or type(error).__name__
        raise InputError(f"{path}{where}: no YAML: {said}", field="SOURCE") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON: {error}", field="SOURCE") from error


def _from_python(path: Path, name: str) -> ForeignSpace:
    """Read the `param_space` of a Python file, which is imported for it."""
    if not path.is_file():
        raise InputError(f"{path} does not exist", field="SOURCE")
    module = import_file(UserFile.of(path))
    if name:
        found = getattr(module, name, None)
        space = TuneSpace(found, name) if tune_space.is_param_space(found) else None
    else:
        space = tune_space.find(module)
    if space is None:
        what = f"no param_space {name!r}" if name else f"no param_space (looked for {', '.join(tune_space.NAMES)})"
        raise InputError(
            f"{path} has {what} with sampling objects of Ray Tune's", field="SOURCE", hint=f"write {path}:NAME"
        )
    return ForeignSpace(path.name, "Ray Tune", space.parameters, space.constants, notes=space.notes)
