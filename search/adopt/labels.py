"""Choices that no storage can hold, as text: the `Labels` of a categorical parameter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from search.trial import ParamValue

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # differs from process to process


class Labels:
    """What stands in a study for the choices of an objective: numbers, texts and None as they are, else their text.

    A tuple comes back from a storage as a list, which is another choice for Optuna; a class or a function does not
    come back at all.

    Args:
        choices: As the objective gives them.

    Attributes:
        choices: As the study knows them.
    """

    def __init__(self, choices: Sequence[Any]) -> None:
        self.choices: list[ParamValue] = []
        self._own: dict[tuple[type, ParamValue], Any] = {}
        taken = {choice for choice in choices if isinstance(choice, str)}
        for choice in choices:
            label = choice.item() if isinstance(choice, np.generic) else choice
            if label is not None and not isinstance(label, (bool, int, float, str)):
                label = _unused(_ADDRESS.sub("", repr(choice)), taken)
                taken.add(label)
            self.choices.append(label)
            if label is not choice:
                self._own[type(label), label] = choice

    def own(self, label: ParamValue) -> Any:
        """Return the objective's own choice."""
        return self._own.get((type(label), label), label)


def _unused(text: str, taken: set[str]) -> str:
    label, count = text, 1
    while label in taken:
        count += 1
        label = f"{text} #{count}"
    return label
