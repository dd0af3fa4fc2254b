"""What a script says to Ray Tune, read from its source without running it: the `TuneHints`."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_CALLS: Final = ("TuneConfig", "run")
_MODES: Final = {"min": "minimize", "max": "maximize"}


@dataclass(frozen=True, slots=True)
class TuneHints:
    """What `tune.TuneConfig(...)`, or `tune.run(...)`, of a script has as literals.

    Attributes:
        metric: To search; "" if it is not said.
        direction: `minimize` or `maximize`; "" if it is not said.
        num_samples: How many trials; None if it is not said.
        line: Where.
        own_folder: Whether trials work in folders of their own, as is Tune's way.
        reports: Whether the file speaks of reporting anywhere.
        uses_ray: Whether it imports Ray.
    """

    metric: str = ""
    direction: str = ""
    num_samples: int | None = None
    line: int = 0
    own_folder: bool = True
    reports: bool = False
    uses_ray: bool = False


def read(file: Path) -> TuneHints:
    """Read a script; one that cannot be read says nothing."""
    try:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return TuneHints()
    about: dict[str, Any] = {
        "own_folder": "RAY_CHDIR_TO_TRIAL_DIR" not in text,  # who names it turns it off
        "reports": "report" in text.lower(),
        "uses_ray": any(_imports_ray(node) for node in ast.walk(tree)),
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in _CALLS:
            said = _literals(node)
            if {"metric", "mode", "num_samples"} & set(said):
                return TuneHints(
                    metric=_text(said.get("metric")),
                    direction=_MODES.get(_text(said.get("mode")), ""),
                    num_samples=said.get("num_samples") if type(said.get("num_samples")) is int else None,
                    line=node.lineno,
                    **about,
                )
    return TuneHints(**about)


def _literals(call: ast.Call) -> dict[str, Any]:
    return {
        given.arg: given.value.value
        for given in call.keywords
        if given.arg is not None and isinstance(given.value, ast.Constant)
    }


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _imports_ray(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] == "ray" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray" and not node.level
