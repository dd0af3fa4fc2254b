"""How a trial came about, and how it came to go on: the `Origin`, read from the trial's attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from search.study import attributes
from search.study.predicted import Predicted

RETRY: Final = "retry"
ENQUEUED: Final = "enqueued"
WARM: Final = "warm"

_LAUNCH: Final = "launch:"
"""How the wishes begin that a launch brings along."""


@dataclass(frozen=True, slots=True)
class WentOn:
    """A resting trial was taken on instead of a new one being begun.

    Attributes:
        start: The step at which it rested.
        to: The step up to which it is trained next.
        predicted: What was expected of it then.
        at_trials: How many trials the study had.
        by: Who decided it: `model`, `halving` (one of the best third at its rung) or `finish` (trained to its end, as
            long as it may become the best; `to` is where it is looked at next); "" where there is one way only.
    """

    start: int
    to: int
    predicted: Predicted | None = None
    at_trials: int | None = None
    by: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what the attribute holds of it."""
        predicted = {} if self.predicted is None else {"predicted": self.predicted.to_json()}
        at_trials = {} if self.at_trials is None else {"at_trials": self.at_trials}
        by = {"by": self.by} if self.by else {}
        return {"from": self.start, "to": self.to, **predicted, **at_trials, **by}

    @classmethod
    def from_json(cls, stored: object) -> Self | None:
        """Read one back; None of what is no such thing."""
        if not isinstance(stored, Mapping) or not all(type(stored.get(name)) is int for name in ("from", "to")):
            return None
        predicted = Predicted.from_json(stored.get("predicted"))
        at_trials, by = _whole(stored, "at_trials"), str(stored.get("by") or "")
        return cls(stored["from"], stored["to"], predicted, at_trials, by)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a trial's parameters are from.

    Attributes:
        by: `retry`, `enqueued` or `warm` (a good trial of an earlier study, or near one); else what its sampler said:
            `start` (one of the first, spread-out ones), `middle` (of all ranges), `uniform` (so that the search never
            locks itself in), `no-chance` (the same, as nothing had a chance to be better than the best), `safe` (the
            same, where none failed), `model` (the best of candidates drawn anywhere), `near` (the best of those near a
            good trial), or another word of its own. "" where the sampler said nothing.
        study: Of `warm`: the earlier study.
        trial: Of `retry`: the failed trial. Of `enqueued`: the one whose point it took over when the space was edited.
        at_launch: Whether it was enqueued by the launch.
        among: How many candidates it was the best of.
        predicted: What was expected of it.
        went_on: Each time that it was taken on from where it rested.
    """

    by: str = ""
    study: str = ""
    trial: int | None = None
    at_launch: bool = False
    among: int | None = None
    predicted: Predicted | None = None
    went_on: tuple[WentOn, ...] = ()

    def to_json(self, reports: Mapping[int, float] | None = None) -> dict[str, Any]:
        """Return all that is known of it.

        Args:
            reports: Of the searched metric, by step: what was seen of each prediction is said beside it.
        """

        def compared(predicted: Predicted | None) -> dict[str, Any] | None:
            return None if predicted is None else predicted.to_json() | {"seen": predicted.seen(reports or {})}

        return {
            "by": self.by or None,
            "study": self.study or None,
            "trial": self.trial,
            "at_launch": self.at_launch,
            "among": self.among,
            "predicted": compared(self.predicted),
            "went_on": [one.to_json() | {"predicted": compared(one.predicted)} for one in self.went_on],
        }

    @classmethod
    def of(cls, attrs: Mapping[str, Any]) -> Self:
        """Read the attributes of a trial."""
        told = attrs.get(attributes.WHY)
        said: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        by, study, trial = str(said.get("by") or ""), "", None
        wish = attrs.get(attributes.WISH)
        if attributes.RETRY_OF in attrs:
            by, trial = RETRY, attrs[attributes.RETRY_OF]
        elif wish is not None:
            by, trial = ENQUEUED, attrs.get(attributes.MOVED_FROM)
        elif attributes.WARM in attrs:
            by, study = WARM, str(attrs[attributes.WARM])
        went_on = attrs.get(attributes.WENT_ON)
        read = [WentOn.from_json(one) for one in went_on] if isinstance(went_on, list | tuple) else []
        return cls(
            by,
            study,
            trial,
            at_launch=str(wish).startswith(_LAUNCH),
            among=_whole(said, "among"),
            predicted=Predicted.from_json(said.get("predicted")),
            went_on=tuple(one for one in read if one is not None),
        )


NOWHERE: Final = Origin()
"""Of a trial of which nothing is stored."""

_OURS: Final = (attributes.WHY, attributes.WENT_ON, attributes.WISH, attributes.RETRY_OF, attributes.WARM)


def origin_of(attrs: Mapping[str, Any]) -> Origin:
    """Return a trial's origin; quick where nothing is stored of it, which most readers of trials do not ask for."""
    return Origin.of(attrs) if any(name in attrs for name in _OURS) else NOWHERE


def _whole(stored: Mapping[str, Any], name: str) -> int | None:
    value = stored.get(name)
    return value if type(value) is int else None
