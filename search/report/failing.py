"""Failures by what they fail of, each kind with what its trials share: the `Failing`."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, NamedTuple

import numpy as np

from search.records.history import History, Ints
from search.report.shared import Mask, Pattern, pattern

LEAST: Final = 3
"""Failures of a kind below which no pattern is looked for: anything is shared by two."""

_KINDS: Final = 6
"""That are told and judged, at most."""


class Failing(NamedTuple):
    """One kind of failure.

    Attributes:
        reason: Such as `nan`.
        text: What they say, with its numbers as N; of a reason's rare texts the most frequent one.
        texts: How many such texts there are.
        trials: Numbers of the trials.
        pattern: What they share that trials of the same space do not that did not fail; corrected for all kinds that
            were looked at. None below `LEAST`, or if no parameter varies.
        is_past: Whether the space was edited after the last of them.
    """

    reason: str
    text: str
    texts: int
    trials: list[int]
    pattern: Pattern | None
    is_past: bool

    @property
    def words(self) -> str:
        """What it is called, with what it says."""
        others = f", and {self.texts - 1} other text{'s' * (self.texts != 2)}" if self.texts > 1 else ""
        return f"{self.reason}: {self.text}{others}" if self.text else self.reason

    @property
    def example(self) -> int:
        """The first of its trials."""
        return self.trials[0]


def failing(history: History) -> list[Failing]:
    """Return the kinds of failures, the most frequent first: by reason, and by text where one is frequent itself."""
    edits = sorted(int(edit.get("trials", 0)) for edit in history.attributes.get("sweep:edits", ()))
    space = np.searchsorted(np.array(edits), np.arange(len(history)), side="right")
    others = history.are("complete", "pruned")
    kinds = sorted(_kinds(history), key=lambda one: (-len(one[2]), one[2]))[:_KINDS]
    judged = sum(len(numbers) >= LEAST for *_, numbers in kinds)
    return [
        Failing(
            reason=reason,
            text=texts[0],
            texts=len(texts),
            trials=numbers,
            pattern=_pattern(history, np.array(numbers), others, space, judged),
            is_past=bool(edits) and int(space[numbers[-1]]) < len(edits),
        )
        for reason, texts, numbers in kinds
    ]


def _kinds(history: History) -> list[tuple[str, list[str], list[int]]]:
    """Return reasons with their texts and trials; a text of many trials is a kind of its own."""
    by_reason: dict[str, dict[str, list[int]]] = {}
    for number in np.flatnonzero(history.are("fail")).tolist():
        of_text = by_reason.setdefault(history.reason[number], {})
        of_text.setdefault(_text(history.text.get(number, "")), []).append(number)
    found = []
    for reason, texts in by_reason.items():
        frequent = {text: numbers for text, numbers in texts.items() if len(numbers) >= LEAST}
        found += [(reason, [text], numbers) for text, numbers in frequent.items()]
        rare = Counter({text: len(numbers) for text, numbers in texts.items() if text not in frequent})
        if rare:
            numbers = sorted(number for text in rare for number in texts[text])
            found.append((reason, [text for text, _ in rare.most_common()], numbers))
    return found


def _text(text: str) -> str:
    """Return the first line of an error, with its numbers taken out: those that differ in them are of one kind."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "N", line)[:120]


def _pattern(history: History, numbers: Ints, others: Mask, space: Ints, judged: int) -> Pattern | None:
    if len(numbers) < LEAST:
        return None
    chosen = np.zeros(len(history), bool)
    chosen[numbers] = True
    found = pattern(history, chosen, others & np.isin(space, space[numbers]))
    return None if found is None else found.times(judged)
