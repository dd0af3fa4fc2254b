"""What a promotion is asked for, validated: the `Promotion`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from search.errors import InputError, did_you_mean
from search.parsers import finite, whole
from search.paths import check_name
from search.promote.bounds import Bounds, Floor, GroupFloor, latency_ms, size_bytes
from search.promote.groups import FEWEST_ROWS
from search.promote.threshold import Costs

if TYPE_CHECKING:
    from search.problem import Problem


_MOST: Final = 100
_TRIALS: Final = 3
_SEEDS: Final = 3
OPTIONS: Final = (
    *("top", "seeds", "trial", "refit", "ensemble", "calibrate", "candidate", "cost", "group", "again", "why"),
    *("min_gain", "max_latency", "max_size", "floor", "worst_group", "worst_class", "no_comparison"),
)
"""What a promotion can be asked for, but for the model's name."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Promotion:
    """How a winner is found, made and judged.

    Attributes:
        name: Of the model.
        top: Trials that are confirmed.
        seeds: Fresh ones, that each of them is trained with.
        trial: The one to promote, whatever the others do; None: the best of the confirmed ones.
        refit: Train it on validation rows as well, for as long as was best.
        ensemble: All confirmed trials vote.
        calibrate: Make probabilities mean what they say.
        costs: Of the two kinds of mistakes; None: the likelier class is given.
        group: Column by whose values the scores are told apart.
        again: Why the test part is opened once more.
        why: For the history.
        candidate: Register it without putting it into production.
        bounds: What the gate asks of it.

    Raises:
        InputError: Something is no such value, or does nothing beside the others.
    """

    name: str
    top: int = _TRIALS
    seeds: int = _SEEDS
    trial: int | None = None
    refit: bool = False
    ensemble: bool = False
    calibrate: bool = False
    costs: Costs | None = None
    group: str | None = None
    again: str | None = None
    why: str = ""
    candidate: bool = False
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        check_name(self.name, what="a model's name", field="--as")
        whole(1, _MOST)("--top", self.top)
        whole(1, _MOST)("--seeds", self.seeds)
        if self.trial is not None:
            whole(0)("--trial", self.trial)
        for flag, given, other, idle in self._idle():
            if given and idle:
                raise InputError(f"{flag} does nothing with {other}", field=flag, hint="leave out one of them")
        if self.again is not None and not self.again.strip():
            raise InputError("--again takes the reason, got nothing", field="--again")

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Promotion:
        """Return the promotion that options of `sweep promote` ask for.

        Args:
            name: Of the model.
            given: Text or values, by the options' names with `_` for `-`; one that is missing, None or False is not
                asked for.

        Raises:
            InputError: A value is wrong, or there is no such option.
        """
        for option in given:
            if option not in OPTIONS:
                raise InputError(f"no option {option!r}", field=option, hint=did_you_mean(option, OPTIONS))
        asked = {option: value for option, value in given.items() if value is not None and value is not False}
        floors = asked.get("floor", ())
        return cls(
            name,
            top=_read(asked, "top", whole(1, _MOST)) or _TRIALS,
            seeds=_read(asked, "seeds", whole(1, _MOST)) or _SEEDS,
            trial=_read(asked, "trial", whole(0)),
            refit="refit" in asked,
            ensemble="ensemble" in asked,
            calibrate="calibrate" in asked,
            candidate="candidate" in asked,
            costs=_read(asked, "cost", lambda _, text: Costs.parse(text)),
            group=asked.get("group"),
            again=asked.get("again"),
            why=asked.get("why", ""),
            bounds=Bounds(
                min_gain=_read(asked, "min_gain", finite) or 0.0,
                max_latency_ms=_read(asked, "max_latency", latency_ms),
                max_size_bytes=_read(asked, "max_size", size_bytes),
                floors=tuple(Floor.parse(text) for text in ([floors] if isinstance(floors, str) else floors)),
                worst_group=_read(asked, "worst_group", lambda _, text: GroupFloor.parse(text)),
                worst_class=_read(asked, "worst_class", lambda _, text: Floor.of_class(text)),
                compare="no_comparison" not in asked,
            ),
        )

    def check(self, problem: Problem) -> None:
        """Check what only the data tells.

        Raises:
            InputError: An option does not go with the task, or a column is not there.
        """
        classes = len(problem.classes)
        if self.calibrate and not classes:
            raise InputError("--calibrate is of classes, and this is a regression", field="--calibrate")
        if self.costs is not None and classes != 2:
            raise InputError(f"--cost is of two classes, and this problem has {classes or 'none'}", field="--cost")
        self.bounds.check(problem.task)
        columns = getattr(problem.train.features, "columns", None)
        names = [] if columns is None else [str(one) for one in columns]
        for flag, group in (("--group", self.group), ("--worst-group", self.bounds.group)):
            if group is not None and group not in names:
                hint = did_you_mean(group, names)
                raise InputError(f"{flag}: there is no column {group[:40]!r} to group by", field=flag, hint=hint)
        worst = {"--worst-group": self.bounds.worst_group, "--worst-class": self.bounds.worst_class}
        for flag in (flag for flag, bound in worst.items() if bound is not None):
            if problem.split is not None and len(problem.split.test) < FEWEST_ROWS:
                said = f"{flag} takes {FEWEST_ROWS} test rows, and there are {len(problem.split.test)}"
                raise InputError(said, field=flag)

    def _idle(self) -> tuple[tuple[str, bool, str, bool], ...]:
        """Return each flag that does nothing beside another: whether it is given, and whether the other is."""
        trial = self.trial is not None
        return (
            ("--ensemble", self.ensemble, "--trial", trial),
            ("--ensemble", self.ensemble, "--top 1", self.top == 1),
            ("--top", self.top != _TRIALS, "--trial", trial),
            ("--seeds", self.seeds != _SEEDS, "--trial", trial),
            ("--min-gain", self.bounds.min_gain != 0, "--candidate", self.candidate),
            ("--no-comparison", not self.bounds.compare, "--candidate", self.candidate),
        )

    def changing(self) -> dict[str, Any]:
        """Return what of it changes the model, for its manifest."""
        told: dict[str, Any] = {name: True for name in ("refit", "ensemble", "calibrate") if getattr(self, name)}
        if self.costs is not None:
            told["cost"] = self.costs.text
        return told


def _read(asked: Mapping[str, Any], option: str, parse: Callable[[str, str], _Value]) -> _Value | None:
    return parse(f"--{option.replace('_', '-')}", str(asked[option])) if option in asked else None
