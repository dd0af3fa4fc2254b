"""Notices that the world has changed: errors that rise (`ErrorDrift`) and inputs that are no longer as in training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from river.drift import ADWIN, KSWIN, PageHinkley

from search.bundle.signature import Input, Kind
from search.online.replayed import Replayed
from search.online.stability import WINDOW, Column, Population

Array = np.ndarray[Any, Any]

QUIET: Final = 200
"""Rows for which nothing is told after an alarm: one drift is one alarm, and the learner needs rows to follow it."""

LARGE: Final = 0.25
SMALL: Final = 0.1
"""Stability index of a large change; and under which a column is as it was, so that it may raise an alarm again."""

_EARLY: Final = 100
"""Rows from which on there is a stability index at all."""

_TURN: Final = 8
"""Rows from one column's test to the next column's: a test costs 0.4 ms, so a row 50 us, however many columns.

All of 60 columns have their turn before the window has passed; of more, only the stability index may see a step.
"""

_LOOK: Final = 8 * _TURN
"""Rows from one look at all stability indices to the next."""

_FEWEST: Final = 200
"""Numbers of a column that are tested."""

_LEVEL: Final = 1e-5
"""Of one test; there are 2,500 in 20,000 rows."""

_LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One drift.

    Attributes:
        kind: `error`: the champion errs more; `input`: a column is distributed otherwise.
        detector: `adwin`, `page-hinkley`, `kswin` or `psi`.
        column: The input's name; "" of an error.
        value: The champion's error before it rose; or of an input the p-value (`kswin`) or the stability index (`psi`).
        sentence: For people.
        rows: Of an error: the newest labelled ones, since which it is higher.
    """

    kind: str
    detector: str
    column: str
    value: float
    sentence: str
    rows: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _adwin() -> ADWIN:
    """Return the detector of changes of any size (Bifet and Gavalda 2007).

    Its bound is loose: by delta = 0.01, five times river's own, none of 800,000 rows of constant error rate (2% to 50%)
    raised an alarm; looking every 8 rows instead of 32 notices 20 rows earlier.
    """
    return ADWIN(delta=0.01, clock=8)  # type: ignore[no-untyped-call]


def _page_hinkley() -> PageHinkley:
    """Return the detector of errors that rise by more than 0.05 (Page 1954).

    By river's own settings (0.005, 50, fading 0.9999) a rise from 10% to 30% takes 220 rows; and its fading sums creep
    upwards after some 10,000 rows, which looks like a drift.
    """
    return PageHinkley(delta=0.05, threshold=25.0, alpha=1.0, mode="up")


class ErrorDrift:
    """Whether the champion errs more than it did.

    ADWIN and Page-Hinkley look at each error; which is the earlier depends on how far and how fast it rises. Errors
    that fall are what learning is for: ADWIN finds them, too, and both go on from there.
    """

    def __init__(self) -> None:
        self._row = 0
        self._quiet = 0
        self.restart()

    def restart(self) -> None:
        """Forget what was, since errors of another model follow."""
        self._adwin = Replayed(_adwin)
        self._page_hinkley = Replayed(_page_hinkley)

    def update(self, error: float) -> Alarm | None:
        """Take the champion's error on one row, in [0, 1]; return an alarm if errors have risen.

        An error that is no finite number is the worst there is.
        """
        error = min(max(error, 0.0), 1.0) if math.isfinite(error) else 1.0
        self._row += 1
        usual = self._adwin.detector.estimation
        changed = self._adwin.take(error)
        rises = changed and self._adwin.detector.estimation > usual
        passes = self._page_hinkley.take(error)
        if not (changed or passes):
            return None
        by, errors = ("adwin", self._adwin.values) if rises else ("page-hinkley", self._page_hinkley.values)
        self.restart()  # both: what one of them has found, the other would find again later
        if not (rises or passes) or self._row <= self._quiet:
            return None
        self._quiet = self._row + QUIET
        return _alarm(by, errors)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` goes on from, with the same alarms."""
        detectors = {"adwin": self._adwin.values, "page_hinkley": self._page_hinkley.values}
        return {"row": self._row, "quiet": self._quiet, **{name: list(values) for name, values in detectors.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ErrorDrift:
        drift = cls()
        drift._row, drift._quiet = values["row"], values["quiet"]
        drift._adwin = Replayed(_adwin, values["adwin"])
        drift._page_hinkley = Replayed(_page_hinkley, values["page_hinkley"])
        return drift


def _alarm(detector: str, errors: list[float]) -> Alarm:
    sums = np.cumsum(errors)
    before = np.arange(1, len(errors))
    after = len(errors) - before
    usual, now = sums[:-1] / before, (sums[-1] - sums[:-1]) / after
    # two rates explain the errors best if these begin where the likelihood of both together is greatest
    likely = np.where(now > usual, _log_likelihood(usual, before) + _log_likelihood(now, after), -np.inf)
    at = int(np.argmax(likely))
    rows = int(after[at])
    sentence = f"the champion's error rose from {usual[at]:.3g} to {now[at]:.3g} over the newest {rows} labelled rows"
    return Alarm("error", detector, "", float(usual[at]), sentence, rows)


def _log_likelihood(rate: Array, rows: Array) -> Array:
    """Return that of the rows by which an error rate was found, as if each was right or wrong."""
    inside = rate.clip(1e-9, 1 - 1e-9)
    found: Array = rows * (inside * np.log(inside) + (1 - inside) * np.log1p(-inside))
    return found


class InputDrift:
    """Whether inputs are distributed as they were in training, and as they were a moment ago.

    The population stability index holds the newest 500 rows of each column against training; KSWIN (Raab, Heusinger and
    Schleif 2020) holds the newest numbers of one column, each in its turn, against those before. Images and inputs that
    the model does not read are left alone.

    Args:
        inputs: Of the signature.
        reference: Columns of training rows, by name: as `search.bundle.model.Model.run` takes them.
    """

    def __init__(self, inputs: Sequence[Input], reference: Mapping[str, Array]) -> None:
        self._row = 0
        self._columns: dict[str, Column] = {}
        for one in inputs:
            if one.used and one.kind is not Kind.IMAGE:
                is_text = one.kind is Kind.TEXT
                of = Population.of_texts if is_text else Population.of_numbers
                self._columns[one.name] = Column(of(reference[one.name]), is_text=is_text)
        self._order()

    def _order(self) -> None:
        self._numbers = [name for name, column in self._columns.items() if not column.is_text]
        self._texts = [name for name, column in self._columns.items() if column.is_text]

    def update(self, columns: Mapping[str, Array]) -> list[Alarm]:
        """Take rows, in any portions; return the alarms that they raise."""
        rows = len(next(iter(columns.values())))
        alarms: list[Alarm] = []
        done = 0
        while done < rows:
            end = min(rows, done + _TURN - self._row % _TURN)
            self._remember(columns, done, end)
            self._row += end - done
            done = end
            if self._row % _TURN == 0:
                alarms.extend(self._tested())
            if self._row % _LOOK == 0 and self._row >= WINDOW:
                alarms.extend(self._looked())
        return alarms

    def stability(self) -> dict[str, float]:
        """Return the population stability index of each column; {} before there are 100 rows."""
        if self._row < _EARLY:
            return {}
        return {name: column.stability() for name, column in self._columns.items()}

    def _remember(self, columns: Mapping[str, Array], start: int, end: int) -> None:
        if self._numbers:
            values = np.array([columns[name][start:end] for name in self._numbers], dtype=np.float64)
            for name, newest in zip(self._numbers, values.clip(-_LARGEST, _LARGEST).tolist(), strict=True):
                self._columns[name].newest.extend(newest)
        for name in self._texts:
            column = self._columns[name]
            column.newest.extend(column.population.codes(columns[name][start:end]).tolist())

    def _tested(self) -> Iterator[Alarm]:
        if not self._numbers:
            return
        turn = self._row // _TURN
        name = self._numbers[turn % len(self._numbers)]
        column = self._columns[name]
        known = [one for one in column.newest if not math.isnan(one)]
        if self._row < column.tested_from or len(known) < _FEWEST:
            return
        newest = len(known) * 3 // 8
        test = KSWIN(_LEVEL, len(known), newest, seed=turn, window=known[:-1])
        test.update(known[-1])  # type: ignore[no-untyped-call]
        if test.drift_detected:
            column.tested_from = self._row + WINDOW
            sentence = f"{name} changed: its newest {newest} values are others than those before (p {test.p_value:.1g})"
            yield Alarm("input", "kswin", name, float(test.p_value), sentence)

    def _looked(self) -> Iterator[Alarm]:
        for name, column in self._columns.items():
            index = column.stability()
            if index > LARGE and not column.is_shifted:
                column.is_shifted = True
                sentence = f"{name} is no longer as in training: stability index {index:.2f} over {WINDOW} rows"
                yield Alarm("input", "psi", name, index, sentence)
            column.is_shifted = column.is_shifted and index > SMALL

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` goes on from, with the same alarms."""
        columns = [{"name": name, **column.to_json()} for name, column in self._columns.items()]
        return {"row": self._row, "columns": columns}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> InputDrift:
        drift = cls((), {})
        drift._row = values["row"]
        drift._columns = {one["name"]: Column.from_json(one) for one in values["columns"]}
        drift._order()
        return drift
