"""What a trial has to keep to beside being good: a bound on a metric, such as `latency_ms<=30`; the `Constraint`.

How far a trial is beyond a bound is stored as Optuna's own constraints are, so that its samplers, plain Optuna and the
dashboard know of it; what an Optuna objective stores itself by `trial.set_constraint` counts the same way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from search.errors import InputError

_KEY: Final = "constraints"
"""Optuna's attribute: a list (before Optuna 5), or followed by `:NAME`; at most 0 is kept to."""

FAILURE: Final = {f"{_KEY}:failed": 1e300}
"""What samplers are shown beside a FAIL of the configuration: it misses more than any trial that has a result."""

_METRIC: Final = r"[^\s<>=](?:[^<>=]*[^\s<>=])?"
_FORM: Final = re.compile(rf"\s*({_METRIC})\s*(<=|>=|<|>)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on a metric that the objective reports.

    Attributes:
        metric: Its name.
        relation: `<=`, `>=`, `<` or `>`.
        bound: In the metric's unit.
    """

    metric: str
    relation: str
    bound: float

    @classmethod
    def parse(cls, text: str, *, field: str = "--constraint") -> Constraint:
        """Read `METRIC<=NUMBER`.

        Raises:
            InputError: It has another form.
        """
        match = _FORM.fullmatch(text)
        if match is None or not math.isfinite(float(match[3])) or match[1][-1] in "<>=":
            raise InputError(
                f"{field} takes METRIC<=NUMBER (or >=, <, >), got {text!r:.80}",
                field=field,
                hint="try 'latency_ms<=30'",
            )
        return cls(match[1], match[2], float(match[3]))

    def text(self) -> str:
        """Return what `parse` reads back as this constraint."""
        return f"{self.metric}{self.relation}{self.bound:.12g}"

    def excess(self, value: float) -> float:
        """Return how far a value is beyond the bound, in the metric's unit; at most 0 where it keeps to it."""
        beyond = value - self.bound if self.relation in ("<=", "<") else self.bound - value
        return math.ulp(0.0) if beyond == 0 and self.relation in ("<", ">") else beyond


def option(name: str, value: object) -> str:
    """Return a constraint that a user gave, as the plan keeps it.

    Raises:
        InputError: It is none.
    """
    return Constraint.parse(str(value), field=name).text()


def check(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the constraints of a launch.

    Raises:
        InputError: One is given twice, or two cannot both be kept to.
    """
    given = tuple(texts)
    lows, highs = (_tightest(given, relations) for relations in ((">=", ">"), ("<=", "<")))
    for metric in lows.keys() & highs.keys():
        low, high = lows[metric], highs[metric]
        if low.bound > high.bound or (low.bound == high.bound and {low.relation, high.relation} != {">=", "<="}):
            raise InputError(
                f"no value keeps to --constraint {low.text()} and to {high.text()}",
                field="--constraint",
                hint="leave one out",
            )
    for text in given:
        if given.count(text) > 1:
            raise InputError(
                f"--constraint {text} is given twice", field="--constraint", hint="give each constraint once"
            )
    return given


def _tightest(texts: Iterable[str], relations: tuple[str, str]) -> dict[str, Constraint]:
    """Return by metric the bound on one side that is hardest to keep to; a strict one before an equal one."""
    found: dict[str, Constraint] = {}
    for one in map(Constraint.parse, texts):
        if one.relation in relations:
            so_far = found.get(one.metric, one)
            harder = so_far.excess(one.bound) <= 0 if one.bound != so_far.bound else "=" not in one.relation
            found[one.metric] = one if harder else so_far
    return found


def measured(texts: Iterable[str], metrics: Mapping[str, float]) -> dict[str, float]:
    """Return Optuna's attributes of a trial with these metrics; of a metric that is not among them there is none."""
    known = map(Constraint.parse, texts)
    return {f"{_KEY}:{one.text()}": one.excess(metrics[one.metric]) for one in known if one.metric in metrics}


def stored(system_attrs: Mapping[str, Any]) -> dict[str, float]:
    """Return by name how far a trial is beyond each constraint that its attributes hold; {} if they hold none."""
    found = {str(index): float(excess) for index, excess in enumerate(system_attrs.get(_KEY) or ())}
    prefix = f"{_KEY}:"
    return found | {key.removeprefix(prefix): float(one) for key, one in system_attrs.items() if key.startswith(prefix)}


def violation(constraints: Mapping[str, float]) -> float:
    """Return by how much constraints are missed, all together, as Optuna's samplers weigh them; 0 if all are kept."""
    return sum(excess for excess in constraints.values() if excess > 0)


def is_infeasible(system_attrs: Mapping[str, Any]) -> bool:
    """Tell whether a trial with these attributes misses a constraint."""
    return violation(stored(system_attrs)) > 0


def is_failure(system_attrs: Mapping[str, Any]) -> bool:
    """Tell whether a trial is shown with `FAILURE`."""
    return FAILURE.items() <= system_attrs.items()


def missed(constraints: Mapping[str, float], metrics: Mapping[str, float]) -> str:
    """Say which constraints a trial misses, with what it has instead; "" if it keeps to all."""
    said = []
    for name, excess in constraints.items():
        if excess <= 0:
            continue
        match = _FORM.fullmatch(name)
        if match is not None and match[1] in metrics:
            said.append(f"{name} (has {metrics[match[1]]:.6g})")
        else:
            said.append(f"{name}<=0 (has {excess:.6g})")
    return ", ".join(said)
