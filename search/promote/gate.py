"""What a model has to be before it serves anybody, and whether it is: the `Verdict`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from search.errors import RefusedError
from search.promote.bounds import Bounds, Floor, GroupFloor
from search.promote.groups import FEWEST_ROWS, Groups
from search.promote.opponent import Opponent
from search.promote.scores import Scores

_MOST: Final = 200
"""Characters of a refusal."""


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is known of a model.

    Attributes:
        scores: On the test rows.
        latency_ms: Of one row in a clean process: 95 of 100 take less.
        size_bytes: Of the bundle's files.
        production: How it does against what is in production; None where nothing is.
        groups: The metric of the worst group's bound, for each value of its column.
    """

    scores: Scores
    latency_ms: float
    size_bytes: int
    production: Opponent | None = None
    groups: Groups | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: `baseline`, `production`, `latency`, `size`, `floor`, `worst group` or `worst class`.
        passed: Whether it is as it has to be.
        figure: What was found; None where nothing could be.
        bound: What it is held against.
        sentence: Both in words.
    """

    name: str
    passed: bool
    figure: float | None
    bound: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was looked at.

    Attributes:
        checks: In their order.
        notes: What people should know besides, a sentence each.
    """

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return all(one.passed for one in self.checks)

    def refuse(self) -> None:
        """Refuse a model that did not pass, with every figure that there is room for.

        Raises:
            RefusedError: It did not pass.
        """
        failed = [one.sentence for one in self.checks if not one.passed]
        if not failed:
            return
        said, count = f"refused: {failed[0]}", 1
        while count < len(failed) and len(said) + len(failed[count]) < _MOST - 20:
            said, count = f"{said}; {failed[count]}", count + 1
        if count < len(failed):
            said = f"{said}; and {len(failed) - count} more"
        raise RefusedError(said, field="gate")

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "checks": [asdict(one) for one in self.checks], "notes": list(self.notes)}


def judge(bounds: Bounds, facts: Facts) -> Verdict:
    """Hold a model against its bounds on the test rows; whoever calls decides what comes of the verdict."""
    notes = []
    gain = facts.scores.gain
    if gain is not None and gain.gain > 0 and (gain.low is None or gain.low <= 0):
        notes.append(f"the gain over the naive baseline is within noise: {_interval(gain.low, gain.high)}")
    if facts.production is not None and facts.production.note:
        notes.append(facts.production.note)
    return Verdict(tuple(_checks(bounds, facts)), tuple(notes))


def judge_serving(bounds: Bounds, latency_ms: float, size_bytes: int) -> Verdict:
    """Hold a model against those bounds for which no test row has to be seen.

    Args:
        bounds: What is asked.
        latency_ms: Of one row in a clean process: 95 of 100 take less.
        size_bytes: Of the bundle's files.
    """
    return Verdict(tuple(_serving(bounds, latency_ms, size_bytes)))


def _checks(bounds: Bounds, facts: Facts) -> Iterator[Check]:
    if facts.scores.gain is not None:
        yield _baseline(facts.scores)
    if facts.production is not None and bounds.compare:
        yield _production(facts.production, bounds.min_gain)
    yield from _serving(bounds, facts.latency_ms, facts.size_bytes)
    for floor in bounds.floors:
        found = facts.scores.metrics.get(floor.metric)
        yield _held("floor", floor.metric, floor, None if found is None else found.value)
    if bounds.worst_group is not None:
        yield _worst_group(bounds.worst_group, facts.groups)
    if bounds.worst_class is not None:
        yield _worst_class(bounds.worst_class, facts.scores)


def _serving(bounds: Bounds, latency_ms: float, size_bytes: int) -> Iterator[Check]:
    if (most := bounds.max_latency_ms) is not None:
        passed = latency_ms <= most
        told = f"latency p95 {latency_ms:.3g} ms {'<=' if passed else '>'} {most:g} ms"
        yield Check("latency", passed, latency_ms, most, told)
    if (limit := bounds.max_size_bytes) is not None:
        passed = size_bytes <= limit
        told = f"size {_size(size_bytes)} {'<=' if passed else '>'} {_size(limit)}"
        yield Check("size", passed, size_bytes, limit, told)


def _baseline(scores: Scores) -> Check:
    gain = scores.gain
    assert gain is not None
    passed = gain.gain > 0
    told = f"{gain.metric} {gain.ours:.4g} {'beats' if passed else 'does not beat'} the baseline {gain.theirs:.4g}"
    return Check("baseline", passed, gain.ours, gain.theirs, told)


def _production(production: Opponent, least: float) -> Check:
    """Hold the gain against what is asked; below 0 that is the margin of a non-inferiority test.

    Source: Piaggio and others, "Reporting of Noninferiority and Equivalence Randomized Trials", JAMA 2012.
    """
    gain = production.difference
    if gain is None:
        told = f"it cannot be compared with version {production.version}: {production.why_not}"
        return Check("production", False, None, least, f"{told}; --no-comparison does without")
    margin = min(least, 0.0)
    figures = f"{gain.metric} gain {gain.gain:.3g} over version {production.version}"
    shown = f"{figures} (95% interval {_interval(gain.low, gain.high)})"
    if gain.low is None or gain.low <= margin:
        return Check("production", False, gain.gain, margin, f"{shown} is not above {margin:g}")
    if gain.gain < least:
        return Check("production", False, gain.gain, least, f"{shown} is less than {least:g}")
    asked = f"{least:g} or more" if least > 0 else f"above {margin:g}"
    return Check("production", True, gain.gain, least, f"{shown} is {asked}")


def _worst_group(bound: GroupFloor, groups: Groups | None) -> Check:
    if groups is None or (groups.column, groups.metric) != (bound.column, bound.floor.metric):
        raise ValueError(f"the facts have no {bound.floor.metric} by {bound.column}")
    worst = groups.worst
    if worst is None or worst.score is None:
        told = f"no group of {bound.column[:40]} has {FEWEST_ROWS} test rows, so the worst one is not known"
        return Check("worst group", False, None, bound.floor.value, told)
    what = f"{bound.floor.metric} where {bound.column[:30]} is {worst.name[:30]} ({worst.rows} rows)"
    return _held("worst group", what, bound.floor, worst.score.value)


def _worst_class(floor: Floor, scores: Scores) -> Check:
    shares = {one.name: getattr(one, floor.metric) for one in scores.classes if one.rows >= FEWEST_ROWS}
    # A class that is never given has no precision: nothing is worse.
    found = {name: 0.0 if share is None else share.value for name, share in shares.items()}
    if not found:
        told = f"no class has {FEWEST_ROWS} test rows, so the worst one is not known"
        return Check("worst class", False, None, floor.value, told)
    worst = min(found, key=lambda name: found[name])
    return _held("worst class", f"{floor.metric} of {worst[:30]}", floor, found[worst])


def _held(name: str, what: str, floor: Floor, value: float | None) -> Check:
    if value is None:
        return Check(name, False, None, floor.value, f"{what} is not defined on these test rows")
    if floor.holds(value):
        told = f"{what} {value:.4g} is as it has to be ({'at least' if floor.beyond == '<' else 'at most'}"
        return Check(name, True, value, floor.value, f"{told} {floor.value:g})")
    return Check(name, False, value, floor.value, f"{what} {value:.4g} {floor.beyond} {floor.value:g}")


def _interval(low: float | None, high: float | None) -> str:
    return "unknown" if low is None or high is None else f"{low:.3g} to {high:.3g}"


def _size(size: float) -> str:
    return f"{size / 2**20:.4g} MB" if size >= 2**20 else f"{size / 2**10:.4g} kB"
