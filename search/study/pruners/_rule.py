"""The interface of a pruner: one verdict for each report, with its reason."""

from __future__ import annotations

import abc
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.study import attributes
from search.study.origin import WentOn
from search.study.predicted import Predicted
from search.study.reports import Reports

if TYPE_CHECKING:
    from search.study.outlook import Outlook  # which loads scipy

Heard: TypeAlias = Callable[[FrozenTrial], Iterable[int]]
"""The steps of a trial at which a rule was asked, in rising order."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """Why a trial was pruned.

    Attributes:
        rule: Name of the pruner.
        step: The trial's step when it was judged.
        value: What was compared, in its natural sign (of wilcoxon: the p-value; of several metrics the first).
        cutoff: What it had to reach; None where a value that is not a number was enough, where nobody went on yet,
            and with several metrics.
        rank: Place among those it was compared with, 1 the best; None where there is no order.
        of: How many were compared, itself included.
        rung: Step of the rung at which the trial was stopped, of pruners that have rungs.
        keep: How many of them went on.
        front: With several metrics its non-dominated front, 1 the best.
        fronts: How many fronts there were.
        predicted: What the trial would have come to, of rules that predict.
        chance: The probability that it would have become the best.
        best: The value that it had to beat for that.
    """

    rule: str
    step: int
    value: float
    cutoff: float | None = None
    rank: int | None = None
    of: int | None = None
    rung: int | None = None
    keep: int | None = None
    front: int | None = None
    fronts: int | None = None
    predicted: Predicted | None = None
    chance: float | None = None
    best: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready values; what is not finite becomes None. Rules that predict nothing say nothing of it."""
        found = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return {name: value for name, value in found.items() if value is not None or name not in _OF_PREDICTIONS}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned; a value that was not finite is NaN, of a later version the rest."""
        known = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        if known.get("value") is None:
            known["value"] = math.nan
        return cls(**known | {"predicted": Predicted.from_json(known.get("predicted"))})


_OF_PREDICTIONS: Final = ("predicted", "chance", "best")


@dataclass(frozen=True, slots=True)
class Reached:
    """A rung that a trial came to, of a rule by which trials rest at rungs until they are promoted.

    Attributes:
        rung: Its step.
        rests: Whether the trial waits there; else it goes on, or its training ends there.
        told: How it stood at that moment, of rules that would need long to reckon it anew.
        went_on: How far it goes on, of rules that say so.
    """

    rung: int
    rests: bool
    told: Pruning | None = None
    went_on: WentOn | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `sweep:rung` holds; how far a trial goes on stands in an attribute of its own."""
        told = {} if self.told is None else {"told": self.told.to_json()}
        return {"rung": self.rung, "rests": self.rests, **told}


def directions_of(study: optuna.Study) -> tuple[str, ...]:
    """Return `minimize` or `maximize`, of each value of a study."""
    return ways_of(study.directions)


def ways_of(directions: Sequence[str | StudyDirection]) -> tuple[str, ...]:
    """Return directions as words, of which Optuna has members, too."""
    return tuple(one.name.lower() if isinstance(one, StudyDirection) else one for one in directions)


def is_same(study: optuna.Study, other: optuna.Study) -> bool:
    """Tell whether two objects are of one study, which may have been loaded twice."""
    named = (study.study_name, study._study_id) == (other.study_name, other._study_id)
    return named and (study._storage is other._storage or None is not _place(study) == _place(other))


def _place(study: optuna.Study) -> str | None:
    """Return where a study is stored; None of one in memory, and where nobody tells."""
    backend = getattr(study._storage, "_backend", study._storage)
    return next((str(found) for name in ("url", "_file_path") if (found := getattr(backend, name, None))), None)


NO_LIMIT: Final = sys.maxsize
"""The last step of a trial that may go on for ever."""

Judged: TypeAlias = Pruning | Reached | None
"""What a rule says to a report; None lets the trial go on."""


View: TypeAlias = Callable[[], tuple[Callable[[FrozenTrial], FrozenTrial | None] | None, Mapping[str, Any]]]
"""How a trial stands in the space of today, None for as it is; and what the user fixed."""


class PruningRule(optuna.pruners.BasePruner):
    """A pruner whose cost per report does not grow with the study.

    It keeps what it needs of earlier reports, so it must see all of them: `judge` for each report of each trial in the
    order they arrive, a trial's steps rising; `settle` for each trial that ended; after a restart `replay` first. Of a
    trial that rests at a rung, `rest` is called once its worker has let go of it, after a restart again.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step; a report there is never pruned, since nothing is left to save.

    Attributes:
        reports: How trials are read; set anew where several metrics are searched.
        adviser: The rule that the sampler `auto` goes by beside this one, kept so that no trial reads all others anew.
    """

    name: str
    promotes: bool = False  # whether trials rest at rungs

    def __init__(self, *, direction: str, max_epochs: int) -> None:
        self.sign: Final = -1.0 if direction == "maximize" else 1.0  # sign * value: lower is better
        self.max_epochs: Final = max_epochs
        self.reports = Reports([direction])
        self.adviser: PruningRule | None = None
        self._looped: optuna.Study | None = None

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Judge a trial as Optuna asks its pruners to; in its loop nobody can rest.

        Raises:
            ValueError: The rule was built for other directions than the study's, or has judged another study.
        """
        self.check_directions(study)
        self._meet(study)
        return isinstance(self.judge(study, trial), Pruning)

    def check_directions(self, study: optuna.Study) -> None:
        """Check that the rule was built for the directions of a study.

        Raises:
            ValueError: It was built for others.
        """
        built, wanted = self.reports.directions, directions_of(study)
        if built != wanted:
            raise ValueError(
                f"this pruner ({self.name}) was built to {' and '.join(built)} in a study to {' and '.join(wanted)}: "
                "build it with its directions"
            )

    def _meet(self, study: optuna.Study) -> None:
        """Take in which study's loop asks.

        Raises:
            ValueError: The rule keeps what it saw in another one.
        """
        if self._looped is not None and not is_same(study, self._looped):
            raise ValueError(f"this pruner ({self.name}) has judged another study: build one for each")
        self._looped = study

    def judge(self, study: optuna.Study, trial: FrozenTrial) -> Judged:  # noqa: ARG002 - Optuna's interface
        """Take the last report of a trial in; say why the trial should be pruned, or at which rung it is."""
        step = self.last_step(trial)
        if step is None or step >= self.max_epochs:
            return None
        return self.judge_at(step, trial)

    def last_step(self, trial: FrozenTrial) -> int | None:
        """Return the last step that a trial has reported."""
        return trial.last_step

    def steps(self, trial: FrozenTrial) -> list[int]:
        """Return the steps that a trial has reported, in rising order."""
        return sorted(trial.intermediate_values)

    @property
    @abc.abstractmethod
    def first_step(self) -> int:
        """The first step at which a trial can be pruned."""

    @abc.abstractmethod
    def judge_at(self, step: int, trial: FrozenTrial) -> Judged:
        """Judge a trial whose last report is at `step`, which is not the last step."""

    def settle(self, trial: FrozenTrial) -> None:
        """Take in that a trial has ended; most rules learn from reports alone."""

    def rungs_of(self, number: int) -> list[int]:  # noqa: ARG002 - most rules have none
        """Return the steps of the rungs that a trial meets before the last step."""
        return []

    def standing(self, number: int, rung: int) -> Pruning | None:  # noqa: ARG002
        """Return how a trial stands at a rung as of now; None if it has not been there."""
        return None

    def attend(self, study: optuna.Study, view: View | None = None) -> None:
        """Read this study from here on, of rules that read the record; called once, before `replay`.

        Args:
            study: Whose reports it judges.
            view: Says how its trials stand in the space of today, and what the user fixed.
        """

    @property
    def foresees(self) -> bool:
        """Whether it can tell what more trials would gain, `outlook`, of those that rest, too."""
        return False

    def outlook(self) -> Outlook | None:
        """Return what more trials are expected to gain; None while that cannot be told."""
        raise NotImplementedError(f"{self.name} foresees nothing")

    def rest(self, number: int) -> None:
        """Take in that nobody holds a trial any more that rests at a rung."""

    def promotable(self, *, at_least_one: bool = False, none_new: bool = False) -> int | None:  # noqa: ARG002
        """Return the resting trial that goes on next, of the highest rung; None if none has earned it.

        Args:
            at_least_one: Whether the best of the highest rung goes on although it has not.
            none_new: Whether no new trial can be begun instead.
        """
        return None

    @property
    def is_finishing(self) -> bool:
        """Whether somebody is being trained to its end right now, and not just to the next rung."""
        return False

    def promote(self, trial: FrozenTrial) -> Reached:
        """Let a resting trial go on; it rests again at once where it has trained past the next rung already."""
        raise NotImplementedError(f"{self.name} promotes nobody, so trial {trial.number} cannot rest")

    @abc.abstractmethod
    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:
        """Forget everything, then take in the trials of a storage: verdicts go on as if nothing had happened.

        Args:
            trials: All of them, in any state.
            heard: At which steps `judge` was asked, if not at every report before the last step.
        """

    def steps_heard(self, trial: FrozenTrial) -> list[int]:
        """Return the steps at which a trial was judged: at every report, but for those that are marked."""
        unjudged = trial.system_attrs.get(attributes.UNJUDGED, ())
        return [step for step in self.steps(trial) if step < self.max_epochs and step not in unjudged]
