"""Decides what of a feedback is taken: each row has one label, the one that came first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from search.errors import SurroundingsError
from search.online.feedback import Asked, Item, Refused, within
from search.online.known import Known, Place

_TRUSTED: Final = (
    ", also before yours, since it may have been learnt; send the whole row with your label to have it tested"
)


@dataclass(slots=True)
class Decision:
    """What comes of a request.

    Attributes:
        full: Whether the rows came with it.
        taken: Are stored.
        places: Of rows that were shown, where each of `taken` is known.
        ids: Of each of `taken`.
        repeated: Labels that are stored already, or stand twice in the request.
        unknown: Ids that nobody was shown, or too long ago.
        refused: The others.
        failed: Why what came behind those was not stored; None: all that could be taken was.
    """

    full: bool
    taken: list[Item] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    repeated: int = 0
    unknown: list[Item] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    failed: SurroundingsError | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing of it is, or was, taken."""
        return not self.taken and not self.repeated

    def add(self, part: Decision) -> None:
        """Take in what came of a further part of the request."""
        self.taken += part.taken
        self.places += part.places
        self.ids += part.ids
        self.repeated += part.repeated
        self.unknown += part.unknown
        self.refused += part.refused

    def to_json(self) -> dict[str, Any]:
        """Return what the client is told."""
        refused = [{"place": one.place, "id": one.id or None, "message": one.message} for one in self.refused]
        unknown = [one.said for one in self.unknown]
        return {"accepted": len(self.taken), "repeated": self.repeated, "unknown": unknown, "refused": refused}


def decide(asked: Asked, known: Known, new_ids: Callable[[int], list[str]], *, trusted: bool = False) -> Decision:
    """Return what of a request is taken; nothing is stored yet, and nothing remembered.

    Args:
        asked: Read.
        known: What came before.
        new_ids: Makes ids for so many rows that have none.
        trusted: Whether an administrator asks, whose labels come no earlier for that.
    """
    decision = Decision(asked.full, refused=[*asked.refused])
    if asked.full:
        _decide_full(asked, known, decision, new_ids, trusted=trusted)
    else:
        _decide_shown(asked, known, decision, _TRUSTED if trusted else "")
    return decision


def commit(decision: Decision, known: Known, at_s: float) -> None:
    """Remember what was stored.

    Args:
        decision: Whose record is in the log.
        known: Takes it in.
        at_s: Unix time of the record.
    """
    for place, item in zip(decision.places, decision.taken, strict=False):
        known.label(place, known.code(item.label))
    for name, item in zip(decision.ids, decision.taken, strict=True):
        if item.id and decision.full:
            known.give(name, item.digest, at_s)


def _decide_shown(asked: Asked, known: Known, decision: Decision, hint: str) -> None:
    fresh: dict[str, float] = {}
    for item in asked.items:
        place = known.find(item.id)
        if place is None:
            decision.unknown.append(item)
            continue
        code = known.code(item.label)
        before = fresh.get(item.id, known.label_of(place))
        if before is None:
            fresh[item.id] = code
            decision.taken.append(item)
            decision.places.append(place)
            decision.ids.append(item.id)
        elif before == code:
            decision.repeated += 1
        else:
            said = f"another label came before for this id, and the first one counts{hint}"
            decision.refused.append(Refused(within(item.place, "label"), said, item.said))


def _decide_full(
    asked: Asked, known: Known, decision: Decision, new_ids: Callable[[int], list[str]], *, trusted: bool
) -> None:
    fresh: dict[str, str] = {}
    for item in asked.items:
        if item.said and not trusted and known.find(item.said) is not None:
            said = "it is the id of a row that was predicted: its label is sent alone, or the row would count twice"
            decision.refused.append(Refused(item.place, said, item.said))
            continue
        if item.id:
            before = fresh.get(item.id, known.given(item.id))
            if before == item.digest:
                decision.repeated += 1
                continue
            if before is not None:
                said = "another row or label came before under this id, and the first one counts"
                decision.refused.append(Refused(item.place, said, item.said))
                continue
            fresh[item.id] = item.digest
        decision.taken.append(item)
    made = iter(new_ids(sum(not item.id for item in decision.taken)))
    decision.ids.extend(item.id or next(made) for item in decision.taken)
