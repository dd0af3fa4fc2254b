"""What trainings with fresh seeds say of the candidates: means with intervals, who is best, what is as good; pure.

The mean of s trainings has a Student t interval with s - 1 degrees of freedom; two means are held against each other by
Welch's interval of their difference, which takes no common variance for granted. The probability of being the best is
counted in draws from the posterior of each mean, a t distribution under the usual flat prior. Sources: Welch, "The
generalization of `Student's' problem when several different population variances are involved", Biometrika 1947; Chick,
Inoue, "New two-stage and sequential procedures for selecting the best simulated system", Operations Research 2001.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from search.promote.means import deviation, interval, mean, welch

DRAWS: Final = 20_000
"""Draws of the probability of being the best; its standard error is below 0.004."""

CHEAPER: Final = 0.8
"""Share of the winner's seconds up to which a candidate counts as cheaper: what is nearer may be chance."""

_SEED: Final = 20010401


@dataclass(frozen=True, slots=True)
class Sample:
    """A candidate as it was trained again.

    Attributes:
        number: Of the trial.
        searched: Its value in the search.
        values: What each training came to.
        cost_s: Seconds of one training; None where they are not known.
        feasible: Whether it keeps to the constraints of its study.
    """

    number: int
    searched: float
    values: tuple[float, ...]
    cost_s: float | None = None
    feasible: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """Where a candidate stands.

    Attributes:
        number: Of the trial.
        searched: Its value in the search.
        values: What each training came to.
        mean: Of these.
        deviation: Between them; None of a single one.
        low: Lower end of the mean's 95% interval; None where a single training tells of no noise.
        high: Upper end of it.
        best: Probability that no other has a better mean; None where it is not known.
        equal: Whether the interval of its difference to the winner holds 0; None where that is not known.
        cost_s: Seconds of one training; None where they are not known.
        feasible: Whether it keeps to the constraints of its study.
    """

    number: int
    searched: float
    values: tuple[float, ...]
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    best: float | None
    equal: bool | None
    cost_s: float | None
    feasible: bool


@dataclass(frozen=True, slots=True)
class Optimism:
    """By how much the best of a search looked better than it is: the winner's curse.

    Attributes:
        number: Of the trial that the search had as its best.
        searched: Its value there.
        confirmed: The mean of its fresh trainings.
        value: How much better it looked; below 0, it looked worse.
        low: Lower end of the 95% interval; None where a single training tells of no noise.
        high: Upper end of it.
    """

    number: int
    searched: float
    confirmed: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Standings:
    """Where all candidates stand.

    Attributes:
        direction: `minimize` or `maximize`.
        rows: The best mean first; those that miss a constraint last.
        optimism: Of the search's own best; None where that was not trained again.
    """

    direction: str
    rows: tuple[Row, ...]
    optimism: Optimism | None

    @property
    def winner(self) -> Row:
        """The candidate with the best mean."""
        return self.rows[0]

    @property
    def equal(self) -> tuple[Row, ...]:
        """Those that the noise does not tell apart from the winner."""
        return tuple(row for row in self.rows[1:] if row.equal and row.feasible == self.winner.feasible)

    @property
    def cheaper(self) -> tuple[Row, ...]:
        """Of these the ones that train faster, the fastest first."""
        limit = self.winner.cost_s
        if not limit:
            return ()
        known = [(row.cost_s, row) for row in self.equal if row.cost_s is not None and row.cost_s <= CHEAPER * limit]
        return tuple(row for _, row in sorted(known, key=lambda one: one[0]))

    @property
    def seedless(self) -> bool:
        """Whether every candidate came to the same value with every seed."""
        return all(len(row.values) > 1 and len({*row.values}) == 1 for row in self.rows)

    def sentences(self, metric: str) -> list[str]:
        """Return what people should know, a sentence each."""
        said = [self._verdict()]
        if not self.winner.feasible:
            said.append("no candidate keeps to the constraints when it is trained again")
        if self.seedless:
            said.append("every seed gives the same value: nothing in these trainings depends on the seed")
        if self.optimism is not None:
            said.append(_told(self.optimism, metric))
        return said

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        rows = [{**asdict(row), "values": list(row.values)} for row in self.rows]
        return {
            "direction": self.direction,
            "rows": rows,
            "optimism": None if self.optimism is None else asdict(self.optimism),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Standings:
        """Return the standings that `to_json` described."""
        rows = tuple(Row(**{**row, "values": tuple(row["values"])}) for row in values["rows"])
        return cls(values["direction"], rows, None if values["optimism"] is None else Optimism(**values["optimism"]))

    def _verdict(self) -> str:
        winner = self.winner
        if len(self.rows) == 1:
            return f"trial {winner.number} is the only candidate"
        sure = "" if winner.best is None else f" (p {_share(winner.best)})"
        said = f"winner {winner.number}{sure}"
        if winner.best is None:
            return f"{said} by a single training each: more seeds tell what is noise"
        if not self.equal:
            return f"{said}; no other is equal within noise"
        numbers = [str(row.number) for row in self.equal]
        together = f"{', '.join(numbers[:-1])} and {numbers[-1]} are" if len(numbers) > 1 else f"{numbers[0]} is"
        said = f"{said}; {together} equal within noise"
        if not self.cheaper:
            return said
        fastest = self.cheaper[0]
        assert winner.cost_s is not None
        assert fastest.cost_s is not None
        who = "" if len(numbers) == 1 else f"{fastest.number} "
        return f"{said}{',' if who else ''} and {who}trains {_times(winner.cost_s, fastest.cost_s)} faster"


def standings(samples: Sequence[Sample], direction: str) -> Standings:
    """Rank candidates by the mean of their trainings.

    Args:
        samples: At least one, the search's own best first.
        direction: `minimize` or `maximize`.
    """
    sign = 1.0 if direction == "minimize" else -1.0
    order = sorted(
        range(len(samples)), key=lambda place: (not samples[place].feasible, sign * mean(samples[place].values))
    )
    winner = samples[order[0]]
    chances = _chances([sample for sample in samples if sample.feasible == winner.feasible], sign)
    rows = []
    for place in order:
        sample = samples[place]
        known = interval(sample.values)
        difference = None if sample is winner else welch(winner.values, sample.values)
        rows.append(
            Row(
                number=sample.number,
                searched=sample.searched,
                values=sample.values,
                mean=mean(sample.values),
                deviation=deviation(sample.values),
                low=None if known is None else known[0],
                high=None if known is None else known[1],
                best=None if chances is None else chances.get(sample.number, 0.0),
                equal=None if difference is None else difference[0] <= 0 <= difference[1],
                cost_s=sample.cost_s,
                feasible=sample.feasible,
            )
        )
    return Standings(direction, tuple(rows), optimism(samples[0], direction))


def optimism(sample: Sample, direction: str) -> Optimism:
    """Return by how much a trial looked better in its search than its fresh trainings are.

    The value of the search is taken as it stands: the interval is that of the mean.
    """
    sign, middle, known = 1.0 if direction == "minimize" else -1.0, mean(sample.values), interval(sample.values)
    ends = [] if known is None else sorted(sign * (end - sample.searched) for end in known)
    low, high = ends or (None, None)
    return Optimism(sample.number, sample.searched, middle, sign * (middle - sample.searched), low, high)


def _chances(samples: Sequence[Sample], sign: float) -> dict[int, float] | None:
    """Return by trial the probability of having the best mean; None where the noise of one is not known."""
    dice = np.random.default_rng(_SEED)
    drawn = np.empty((DRAWS, len(samples)))
    for place, sample in enumerate(samples):
        spread = deviation(sample.values)
        if spread is None:
            return None
        error = spread / math.sqrt(len(sample.values))
        with np.errstate(over="ignore"):  # infinitely far is far enough
            drawn[:, place] = sign * (mean(sample.values) + error * dice.standard_t(len(sample.values) - 1, DRAWS))
    first = drawn == drawn.min(axis=1, keepdims=True)  # equal ones share the first place
    shares = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return {sample.number: round(float(share), 4) for sample, share in zip(samples, shares, strict=True)}


def _told(found: Optimism, metric: str) -> str:
    said = f"trial {found.number}, the search's own best, had {metric} {_short(found.searched)} there"
    if found.value == 0:
        return f"{said}, and has the same with fresh seeds"
    how = "better" if found.value > 0 else "worse"
    said = (
        f"{said}; with fresh seeds it has {_short(found.confirmed)}: it looked {abs(found.value):.3g} {how} than it is"
    )
    if found.low is None or found.high is None:
        return said
    low, high = (found.low, found.high) if found.value > 0 else (-found.high, -found.low)
    noise = ", which may be chance" if low <= 0 <= high else ""
    return f"{said} (95%: {low:.3g} to {high:.3g}){noise}"


def _share(probability: float) -> str:
    if 0.99 < probability < 1:
        return "> 0.99"
    return f"= {probability:.2f}" if probability < 1 else "= 1"


def _times(slow: float, fast: float) -> str:
    ratio = slow / fast if fast else math.inf
    if ratio >= 100:
        return "over 100 times"
    return f"{ratio:.1f} times" if ratio < 3 else f"{ratio:.0f} times"


def _short(value: float) -> str:
    return f"{value:.5g}"
