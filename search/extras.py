"""Packages that only some work needs: which extra brings the one that is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from search.errors import SurroundingsError

_OF_A_PROMOTION: Final = ("onnx", "onnxruntime", "onnxscript", "skl2onnx")


def check_promotion() -> None:
    """Check that what a promotion needs is installed, before anything is trained.

    Raises:
        SurroundingsError: Something is not.
    """
    for package in _OF_A_PROMOTION:
        if find_spec(package) is None:
            raise lacking("promote", package, what="a promotion")


def lacking(extra: str, package: str, *, what: str) -> SurroundingsError:
    """Return the error of a missing package.

    Args:
        extra: That brings it.
        package: By the name that it is imported by.
        what: Needs it, for people.
    """
    hint = f"pip install 'sweep-search[{extra}]'"
    return SurroundingsError(f"{what} needs {package}, which is not installed", hint=hint)
