"""`Packed`: who gets how much of a GPU in one study, by what its trials have used and what they ran out of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from search.blame import speaks_of_gpu_memory
from search.errors import FailReason
from search.plan import SweepPlan
from search.study.held import Hands, Held, slot_of
from search.study.packing import Need, after_shortage, has_room, share_of, tried
from search.study.record import TrialRecord
from search.trial import Outcome

_KEPT: Final = 4
"""Decimals of a share that are kept: as many as Ray counts in."""


class Packed:
    """The shares of a study's trials.

    Args:
        plan: What a trial asks, and whether it is packed by what trials use.
        gpus: Of the cluster; None where nobody counts them, as without Ray.

    Attributes:
        gpus: Of the cluster, as it stands.
    """

    def __init__(self, plan: SweepPlan, gpus: float | None) -> None:
        self._auto, self._asked = plan.pack, plan.gpus
        self.gpus = gpus
        self._peak_mb = 0.0
        self._gpu_mb: float | None = None
        self._shorts: list[float] = []
        self._unmeasured = False  # a trial had a GPU, and nobody knows how much of it it took
        self._slots: dict[str, float] = {}

    @property
    def share(self) -> float:
        """What a trial gets that nothing else is known of."""
        if not self._auto:
            return self._asked
        return 1.0 if self._unmeasured else share_of([self._peak_mb], self._gpu_mb, self._shorts)

    def learn(self, record: TrialRecord) -> None:
        """Take in what a trial used that has ended, and what it ran out of before."""
        end = record.end
        if end.get("gpus") and not end.get("gpu_peak_mb") and record.state in ("complete", "pruned"):
            self._unmeasured = True
        if end.get("gpu_mb"):
            self._gpu_mb = min(self._gpu_mb or float(end["gpu_mb"]), float(end["gpu_mb"]))
        if end.get("reason") == FailReason.OUT_OF_MEMORY or "micro_batches" in end:
            return  # too large for any GPU: this says nothing of the others
        if end.get("short"):
            self._shorts.append(max(float(one["share"]) for one in end["short"]))
        if end.get("gpu_peak_mb"):
            self._peak_mb = max(self._peak_mb, float(end["gpu_peak_mb"]))

    def need_of(self, held: Held | None) -> Need:
        """Return what a trial is to be given: what its shortages came to, and at least what all get."""
        need = held.need if held is not None else None
        if need is None:
            return Need(self.share)
        return replace(need, share=max(need.share, self.share))

    def admits(self, request: str, hands: Hands) -> bool:
        """Tell whether this ask may be answered with whoever is next.

        A slot keeps its share as long as it is: its first ask settles it, and a later one of a trial that is to have
        another share is left to a new slot.
        """
        if not self._asked or self.gpus is None:
            return True
        share = self.need_of(hands.next_offered).share
        if not self._suits(request, share):
            return False
        return not _is_first(request) or has_room((held.gpus for held in hands.taken), share, self.gpus)

    def give(self, held: Held, request: str) -> bool:
        """Settle the share of a trial that is about to be given out; False: this slot has another one."""
        if not self._asked:
            return True
        share = self.need_of(held).share
        if self.gpus is not None:
            if not self._suits(request, share):
                return False
            self._slots[slot_of(request)] = share
        held.gpus = share
        return True

    def forget(self, slot: str) -> None:
        """Take note that a slot is gone."""
        self._slots.pop(slot, None)

    def after(self, held: Held, outcome: Outcome) -> Need | None:
        """Return what a trial is given now, that ran out of a GPU's memory; None: it ends, or it ended otherwise."""
        if not self._asked or outcome.reason is not FailReason.OUT_OF_MEMORY:
            return None
        if not speaks_of_gpu_memory(outcome.text):
            return None
        had = self._had(held)
        return after_shortage(had, again=bool(held.short), splits=outcome.splits_batches)

    def note(self, held: Held, outcome: Outcome, need: Need) -> dict[str, Any]:
        """Take a shortage in; return what the storage keeps of it: what it is to have, and what it had each time."""
        peak = {} if outcome.gpu_peak_mb is None else {"gpu_peak_mb": outcome.gpu_peak_mb}
        held.short.append({**self._had(held).to_json(), **peak})
        held.need = need
        return {**need.to_json(), "short": [*held.short]}

    def ended(self, held: Held, outcome: Outcome) -> Outcome:
        """Return the outcome of a trial with what was tried, where it ran out of a GPU's memory to the end."""
        if not held.short or outcome.reason is not FailReason.OUT_OF_MEMORY:
            return outcome
        had = [*map(Need.from_json, held.short), self._had(held)]
        return replace(outcome, text=f"{outcome.text}; it had {tried(had)}")

    def _suits(self, request: str, share: float) -> bool:
        settled = self._slots.get(slot_of(request))
        return settled == share or (settled is None and _is_first(request))

    def _had(self, held: Held) -> Need:
        parts = held.need.micro_batches if held.need is not None else 1
        return Need(round(held.gpus, _KEPT) if held.gpus else self._asked, parts)


def _is_first(request: str) -> bool:
    return request.rpartition(":")[2] == "0"
