"""A trial as one line of text that holds all of it, and back: what `trials.parquet` keeps beside its columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from search.study.internal import UnsupportedError
from search.study.replay import RawTrial

_MOST_TEXTS: Final = 1000
"""Distributions that rows name by a number; a study whose ranges keep changing has as many as trials."""


class Packer:
    """Packs trials; what they have in common stands once in `texts`.

    Args:
        texts: Of the rows that were packed before.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = [*texts]
        self._numbers = {text: number for number, text in enumerate(self.texts)}

    def pack(self, trial: RawTrial) -> str:
        """Return a trial as text."""
        values = trial.to_json()
        values[3] = {name: self._number(text) for name, text in trial.distributions.items()}
        return json.dumps(values, separators=(",", ":"))

    def _number(self, text: str) -> int | str:
        found = self._numbers.get(text)
        if found is None:
            if len(self.texts) >= _MOST_TEXTS:
                return text
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found


def unpack(text: str, texts: Sequence[str], number: int) -> RawTrial:
    """Return the trial that was packed.

    Raises:
        UnsupportedError: The text is damaged, or of another trial than `number`.
    """
    try:
        values: list[Any] = json.loads(text)
        values[3] = {name: one if isinstance(one, str) else texts[one] for name, one in values[3].items()}
        trial = RawTrial.from_json(values)
    except (ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise UnsupportedError(f"no row of a trial: {text[:200]}") from error
    if trial.number != number:
        raise UnsupportedError(f"expected trial {number}, found {trial.number}")
    return trial
