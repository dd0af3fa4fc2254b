"""What a promotion is asked for, validated: the `Promotion`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from search.errors import InputError
from search.paths import check_name
from search.promote.gate import Bounds
from search.promote.threshold import Costs

if TYPE_CHECKING:
    from search.problem import Problem


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
    """

    name: str
    top: int = 3
    seeds: int = 3
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
        for name, value in (("--top", self.top), ("--seeds", self.seeds)):
            if value < 1:
                raise InputError(f"{name} must be a whole number >= 1, got {value}", field=name)
        if self.ensemble and self.trial is not None:
            raise InputError(
                "--ensemble is of the best trials, --trial of one", field="--trial", hint="give one of them"
            )
        if self.again is not None and not self.again.strip():
            raise InputError("--again takes the reason, got nothing", field="--again")

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
        for group in {self.group, self.bounds.group} - {None}:
            columns = getattr(problem.train.features, "columns", None)
            names = [] if columns is None else [str(one) for one in columns]
            if group not in names:
                from search.errors import did_you_mean

                hint = did_you_mean(str(group), names)
                raise InputError(f"there is no column {group!r} to group by", field="--group", hint=hint)

    def changing(self) -> dict[str, Any]:
        """Return what of it changes the model, for its manifest."""
        told: dict[str, Any] = {name: True for name in ("refit", "ensemble", "calibrate") if getattr(self, name)}
        if self.costs is not None:
            told["cost"] = self.costs.text
        return told
