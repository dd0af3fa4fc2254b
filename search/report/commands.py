"""What to type about a study: the command that launched it, and those that go on: the `Commands`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import Any, Final

from search.choosing import OPTIONS
from search.loading import BY_VALUE
from search.plan import SweepPlan
from search.records.history import History
from search.usermodules import library

_FIELDS: Final = {
    "time": "time_s",
    "grace": "grace_s",
    "trial-timeout": "trial_timeout_s",
    "memory": "memory_bytes",
    "cache": "cache_bytes",
    "compile": "compiled",
    "gpus": "asked_gpus",
    "metric": "metrics",
    "direction": "directions",
    "constraint": "constraints",
    "set": "fixed",
    "warm-start": "warm_start",
    "enqueue": "enqueued",
}
"""Fields of the plan that are not called like their option."""

_UNSAID: Final = ("enqueue", "notify")
"""Options that no command here names: of one the file is not known, of the other the URL may be a secret."""

_UNITS: Final = {"t": 2**40, "g": 2**30, "m": 2**20, "k": 2**10}
_MOST_DIGITS: Final = 9
"""Digits before and after the point of a size or a time, as `parsers` takes them."""


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands of one study, ready to type.

    Attributes:
        study: Its name.
        results: The results folder; "" where it is the usual one.
        plan: As launched.
        launch: The one that launched it; "" where none could.
        launch_note: What the command cannot say.

    What would train or change the study is "" where no command can: its objective came along with a Python program, or
    an import left it open.
    """

    study: str
    results: str
    plan: SweepPlan
    launch: str
    launch_note: str

    @classmethod
    def of(cls, history: History) -> Commands:
        plan = SweepPlan.from_json(history.launch["plan"])
        results = history.folder.root.parent
        usual = results == Path.cwd() / "results"
        where = "" if usual else str(results)
        return cls(history.folder.name, where, plan, _launch(plan, where), _unsaid(plan))

    def repeat(self, number: object) -> str:
        """Run a trial again, alone."""
        return self._goes_on(f"run --repeat {self.study}:{number}")

    def show(self, number: object | None = None) -> str:
        return self._full(f"show {self.study}" + ("" if number is None else f" --trial {number}"))

    def logs(self, number: object) -> str:
        return self._full(f"logs {self.study} {number}")

    def resume(self, more: str = "") -> str:
        return self._goes_on(f"resume {self.study} {more}".rstrip())

    def edit(self, more: str) -> str:
        return self._goes_on(f"edit {self.study} {more}")

    def edit_set(self, params: Mapping[str, object]) -> str:
        """Fix parameters from here on."""
        return self.edit(" ".join(f"--set {quote(f'{name}={value}')}" for name, value in params.items()))

    def stop(self) -> str:
        return self._full(f"stop {self.study}")

    def enqueue(self, params: Mapping[str, object]) -> str:
        """Have a point tried next."""
        return self._goes_on(
            " ".join(["enqueue", self.study, *(quote(f"{name}={value}") for name, value in params.items())])
        )

    def another(self, name: str, changes: Mapping[str, Sequence[str]]) -> str:
        """Launch the same sweep under another name; "" where no command can.

        Args:
            name: What it adds to the study's name; where there is such a study, a number follows.
            changes: By option, what is typed for it instead.
        """
        folder = Path(self.results) if self.results else Path.cwd() / "results"
        names = (f"{self.study}-{name}{f'-{count}' if count > 1 else ''}" for count in itertools.count(1))
        free = next(one for one in names if not (folder / one).exists())
        return _launch(self.plan, self.results, {**changes, "study": [free]})

    def _goes_on(self, text: str) -> str:
        return "" if _unnamed(self.plan) else self._full(text)

    def _full(self, text: str) -> str:
        return f"sweep {text} --results {quote(self.results)}" if self.results else f"sweep {text}"


def value_of(plan: SweepPlan, option: str) -> Any:
    """Return what a plan holds for an option."""
    return getattr(plan, _FIELDS.get(option, option.replace("-", "_")))


def as_typed(option: str, value: Any) -> list[str]:
    """Return a value of the plan as it would be typed, once for each time that the option is given."""
    if value is None:
        return []
    if option in ("time", "grace", "trial-timeout"):
        return [f"{_seconds(value)}s"]
    if option in ("memory", "cache"):
        return ["none" if value == 0 else _size(value)]
    if option == "set":
        return [f"{name}={one}" for name, one in value.items()]
    if isinstance(value, bool):
        return ["on" if value else "off"]
    if isinstance(value, tuple):
        return [str(one) for one in value]
    return [_number(value) if isinstance(value, float) else str(value)]


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _seconds(value: float) -> str:
    exact = Decimal(repr(value))
    if -int(exact.as_tuple().exponent) <= _MOST_DIGITS:
        return _number(value)
    shift = _MOST_DIGITS - 1 - exact.adjusted()
    return f"{exact.scaleb(shift):f}e{-shift}"


def _size(value: int) -> str:
    """Return a size in the largest unit that divides it; one that none divides with a fraction."""
    most = 10**_MOST_DIGITS
    for unit, of in _UNITS.items():
        if value % of == 0 and value // of < most:
            return f"{value // of}{unit}"
    unit, of = next((unit, of) for unit, of in reversed(_UNITS.items()) if value // of < most)
    whole, part = divmod(-(-value * most // of), most)  # up: what is less than a byte is cut off where it is read
    return f"{whole}.{part:0{_MOST_DIGITS}}{unit}"


def _launch(plan: SweepPlan, results: str, changes: Mapping[str, Sequence[str]] | None = None) -> str:
    if _unnamed(plan):
        return ""
    parts = ["sweep", "run", quote(_named(plan.objective, "objectives"))]
    changed = changes or {}
    for option in OPTIONS:
        given = plan.origins.get(option.name, "default") not in ("default", "environment")
        texts: Sequence[str] = []
        if option.name not in _UNSAID and (given or option.name in ("study", "seed")):
            texts = as_typed(option.name, value_of(plan, option.name))
        if option.name == "space":
            texts = [_named(one, "spaces") for one in texts]
        for text in changed.get(option.name, texts):
            parts += [option.flag, quote(text)]
    if results:
        parts += ["--results", quote(results)]
    return " ".join(parts)


def _named(reference: str, kind: str) -> str:
    """Return what a user types for an objective or a space: of the library's the bare name."""
    place, _, name = reference.rpartition(":")
    path = Path(place)
    if path.parent != library() / kind:
        return reference
    return path.stem if name.lower() == path.stem.replace("_", "") else f"{path.stem}:{name}"


def _unnamed(plan: SweepPlan) -> str:
    """Return why no command can name its objective; "" if one can."""
    if not plan.objective:
        return "It was imported without an objective: no command can go on with it."
    if any(one.partition(":")[0] == BY_VALUE for one in (plan.objective, plan.space)):
        return "It was launched from Python, with objects that no command can name."
    if plan.confirms is not None:
        return f"It trains the best trials of {plan.confirms} again, as `sweep confirm {plan.confirms}` does."
    return ""


def _unsaid(plan: SweepPlan) -> str:
    if unnamed := _unnamed(plan):
        return unnamed
    told = []
    if plan.enqueued:
        told.append(
            f"The file of --enqueue is not named here; it had {len(plan.enqueued)} points, which the study has."
        )
    if plan.notify:
        told.append("The URL of --notify is not named here: its path may be a secret.")
    return " ".join(told)
