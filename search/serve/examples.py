"""An example of what a model takes, made from its signature."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from search.bundle.signature import Input, Kind, Signature

_GREY: Final = 128


def example_row(signature: Signature) -> dict[str, Any]:
    """Return a usual row: of an image, grey of the right size."""
    return {one.name: _value(one) for one in signature.inputs if one.used}


def example_columns(row: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the same row as columns."""
    return {name: [value] for name, value in row.items()}


def _value(given: Input) -> Any:
    if given.kind is Kind.IMAGE:
        channels, height, width = given.shape
        return base64.b64encode(bytes([_GREY]) * (channels * height * width)).decode()
    if given.kind is Kind.TEXT:
        return given.example
    if isinstance(given.example, float) and given.whole:
        return int(given.example)
    return given.example
