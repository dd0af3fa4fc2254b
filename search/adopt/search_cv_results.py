"""What the splits of a search came to, candidate by candidate, whichever were run: the `SplitResults`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


class SplitResults:
    """The splits of all candidates, evaluated a batch at a time by scikit-learn.

    Args:
        cv: Makes the splits, once: all candidates have the same ones.
        count: Splits.
        error_score: The score of a fit that failed.

    Attributes:
        candidates: Parameters of each, in the order of the trials.
        columns: Becomes `cv_results_`.
        failed: Whether a fit failed.
    """

    def __init__(self, cv: Any, count: int, error_score: Any) -> None:
        self._splits = _Splits(cv)
        self._count = count
        self._error_score = error_score
        self._table: dict[tuple[int, int], dict[str, Any]] = {}
        self._taken = 0
        self._asked: list[tuple[int, int]] = []
        self._last_fault: ValueError | None = None
        self._lost: set[tuple[int, int]] = set()
        self.candidates: list[dict[str, Any]] = []
        self.columns: dict[str, Any] = {}

    @property
    def failed(self) -> bool:
        return bool(self._lost) or any(one["fit_error"] is not None for one in self._table.values())

    @property
    def is_empty(self) -> bool:
        return not self.candidates

    def add(self, candidate: dict[str, Any]) -> int:
        """Take a candidate in, and return its row."""
        self.candidates.append(candidate)
        return len(self.candidates) - 1

    def evaluate(self, evaluate_candidates: Callable[..., Any], rows: Sequence[int], splits: Sequence[int]) -> None:
        """Have scikit-learn fit and score some candidates on some splits.

        Where every fit of a batch fails scikit-learn raises; the search goes on, as it does beside one that succeeds.
        """
        self._asked = [(row, split) for row in rows for split in splits]
        self._splits.chosen = splits
        try:
            evaluate_candidates([self.candidates[row] for row in rows], cv=self._splits)
        except ValueError as error:
            if self._error_score == "raise" or not str(error).lstrip().startswith("All the "):
                raise
            self._last_fault = error
            self._lost.update(self._asked)

    def take(self, out: Sequence[dict[str, Any]]) -> None:
        """Take in what scikit-learn has fitted since the last time; `out` is all that it has fitted."""
        self._table.update(zip(self._asked, out[self._taken :], strict=True))
        self._taken = len(out)

    def score(self, row: int, split: int, refit: Any) -> float:
        """Return the searched score of one split: `error_score` where its fit failed, nan where it was not run.

        Args:
            row: Of the candidate.
            split: From 0 on.
            refit: Names the score that is searched, if there are several.
        """
        if (row, split) in self._lost:
            return float(self._error_score)
        if (row, split) not in self._table:
            return math.nan
        scores = self._table[row, split]["test_scores"]
        if not isinstance(scores, Mapping):
            return float(scores)
        return float(scores[refit] if isinstance(refit, str) and refit in scores else next(iter(scores.values())))

    def table(self) -> list[dict[str, Any]]:
        """Return what each split of each candidate came to, as scikit-learn has it; nan for what was not run."""
        example = next(iter(self._table.values()))
        return [
            self._table.get((row, split))
            or _blank(example, self._error_score if (row, split) in self._lost else math.nan)
            for row in range(len(self.candidates))
            for split in range(self._count)
        ]

    def raise_if_nothing_was_fitted(self) -> None:
        """Raise what scikit-learn said of the last batch, if no fit of any has succeeded.

        Raises:
            ValueError: It is so.
        """
        if not self._table and self._last_fault is not None:
            raise self._last_fault


def _blank(example: Mapping[str, Any], score: float) -> dict[str, Any]:
    """Return a split that has no scores, in the form of one that has."""
    blank: dict[str, Any] = dict.fromkeys(example, math.nan)
    for name in ("test_scores", "train_scores"):
        if isinstance(example.get(name), Mapping):
            blank[name] = dict.fromkeys(example[name], score)
        elif name in example:
            blank[name] = score
    return blank | {"fit_error": None}


class _Splits:
    """Some of the splits of a cross-validation, which are made once."""

    def __init__(self, cv: Any) -> None:
        self._cv = cv
        self._all: list[Any] = []
        self.chosen: Sequence[int] = ()

    def split(self, *data: Any, **params: Any) -> Iterator[Any]:
        """Yield the chosen ones; arguments as those of scikit-learn's splitters."""
        self._all = self._all or list(self._cv.split(*data, **params))
        yield from (self._all[number] for number in self.chosen)
