"""What tests of backends share: bundles that tell by a value which of them answered, and bodies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.bundle.bundle import Bundle
from search.serve.backend import Answer, Served
from tests.bundle.bundles import tiny


def version(folder: Path, number: int) -> Served:
    """Return a regression that predicts about its own version: a hundred times the number, and less than one more."""
    root = folder / str(number)
    if not root.exists():
        tiny(root, task="regression", shift=100.0 * number)
    return Served(Bundle.open(root), "toy", number)


def broken(served: Served) -> Served:
    """Return a model that passed every check and cannot be loaded."""
    return replace(served, bundle=replace(served.bundle, model=b"no graph"), version=99)


def body_of(*rows: dict[str, Any]) -> bytes:
    """Return rows as the body of a request."""
    return json.dumps({"rows": [{"age": 1.0, "income": 2.0, "town": "Bonn", **row} for row in rows]}).encode()


def values_of(answer: Answer) -> list[float]:
    """Return what a regression predicted."""
    assert answer.status == 200, answer
    return [one["value"] for one in json.loads(answer.body)["predictions"]]


def fits(answer: Answer) -> bool:
    """Tell whether the model that signed an answer is the one that predicted."""
    number = int(answer.label.partition(":")[2])
    return all(round(value / 100.0) == number for value in values_of(answer))
