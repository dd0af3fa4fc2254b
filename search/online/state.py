"""All that an engine knows, but its models: counts, measures, tests, rows that wait: the `State`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from search.bundle.signature import Signature
from search.online.betting import PairedTest, passes
from search.online.challenger import Challenger
from search.online.choices import Choices
from search.online.contest import CHALLENGER, PREVIOUS, Answering, Rival
from search.online.curve import Curve
from search.online.drift import Alarm, ErrorDrift, InputDrift
from search.online.events import Array
from search.online.guards import Shares
from search.online.kept import Kept
from search.online.labelshift import LabelShift
from search.online.losses import Loss
from search.online.packing import prefixed, under
from search.online.prequential import Prequential
from search.online.ranges import Ranges
from search.online.waiting import SERVED, Waiting

CHAMPION: Final = "champion"
_NEWEST: Final = 50
"""Alarms and swaps that are kept for people."""

_RECENT: Final = 300
"""Errors of the champion that count as recent."""

_SHARE: Final = 2 / 3
"""Of the newest rows learnt that one source may have: two that take turns have half of them each, give or take."""

_SURE: Final = 0.01
"""Level of the test by which a challenger begins again."""

_KEPT: Final = {"holdout": 500, "trusted": 500, "outside": 1000, "aside": 1000, "held": 300}
_KINDS: Final = ("shown", "labelled", "learnt", "holdout", "trusted", "aside", "held", "unknown")


@dataclass(slots=True, eq=False)
class State:
    """What an engine knows after an event.

    Attributes:
        sequence: Of the last event that it has begun to read.
        done: Rows of that event that it has read.
        counts: Of rows, by kind.
        reign: Champions that there were before this one.
        crowned_at: Labels that had come when it took over.
        now_s: Unix time of the last event.
        paused: Whether an administrator has stopped the learning.
        rose_at: Labels that had come when the champion's error rose last.
        drift_at, drift_from: Labels that had come, and the error, when a drift was noticed that is not over.
        swept_at: Labels that had come when the newest rows were swept over last.
        told: Lines that were written for people.
        tests: How many there were of each kind of rival.
        waiting, due: Rows that wait for their label, and for the challenger's next step.
        holdout, trusted, outside, aside, held: Labelled rows that are not learnt, or not yet; those outside the ranges
            that were seen by themselves.
        target_range: Of a regression: the lowest and the highest value that was seen; None of classes.
        salt: By which rows are held out, so that who chooses the ids does not choose these.
        metrics: Of what was served, and of the champion.
        rivals: By role.
        loss, lead, errors, inputs, ranges, shift, shares: What judges.
        recent: Errors of the champion.
        alarms, swaps, curve: For people.
    """

    waiting: Waiting
    due: Kept
    metrics: dict[str, Prequential]
    loss: Loss
    inputs: InputDrift
    ranges: Ranges
    shift: LabelShift
    holdout: Kept = field(default_factory=lambda: Kept(_KEPT["holdout"]))
    trusted: Kept = field(default_factory=lambda: Kept(_KEPT["trusted"]))
    outside: Kept = field(default_factory=lambda: Kept(_KEPT["outside"]))
    aside: Kept = field(default_factory=lambda: Kept(_KEPT["aside"]))
    held: Kept = field(default_factory=lambda: Kept(_KEPT["held"]))
    shares: Shares = field(default_factory=lambda: Shares(_SHARE))
    errors: ErrorDrift = field(default_factory=ErrorDrift)
    lead: PairedTest = field(default_factory=PairedTest)
    rivals: dict[str, Rival] = field(default_factory=dict)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    curve: Curve = field(default_factory=Curve)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    swaps: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    tests: Counter[str] = field(default_factory=Counter)
    target_range: list[float] | None = None
    salt: str = ""
    sequence: int = 0
    done: int = 0
    reign: int = 0
    crowned_at: int = -(10**9)
    now_s: float = 0.0
    paused: bool = False
    rose_at: int = 0
    drift_at: int | None = None
    drift_from: float = 0.0
    swept_at: int = -(10**9)
    told: int = 0

    def count(self, kind: str, rows: int = 1) -> None:
        """Count rows of a kind."""
        self.counts[kind] += rows

    def number(self) -> int:
        """Return the number of the next line for people."""
        self.told += 1
        return self.told

    def measure(self, model: Answering) -> Prequential:
        """Return what measures a model from now on."""
        return Prequential(self.loss.classes, threshold=model.threshold)

    def rival(self, role: str, model: Answering) -> Rival:
        """Return somebody who begins to stand for election: a test of its own, whose level counts those before."""
        family = PREVIOUS if role == PREVIOUS else CHALLENGER
        self.tests[family] += 1
        if role == CHALLENGER:
            self.lead = PairedTest()
        return Rival(role, model, self.tests[family], PairedTest(), self.measure(model))

    def begin_reign(self, champion: Answering) -> None:
        """Forget what was known of the champion before."""
        self.reign += 1
        self.crowned_at = self.counts["labelled"]
        self.metrics[CHAMPION] = self.measure(champion)
        self.metrics[SERVED].threshold = champion.threshold
        self.errors, self.lead = ErrorDrift(), PairedTest()
        self.recent.clear()

    def recent_error(self) -> float | None:
        """Return the champion's mean error of late; None where that is too little to tell."""
        return sum(self.recent) / _RECENT if len(self.recent) == _RECENT else None

    def alarmed(self, alarm: Alarm) -> None:
        """Keep an alarm for people."""
        told = {"kind": alarm.kind, "detector": alarm.detector, "column": alarm.column, "sentence": alarm.sentence}
        self._keep(self.alarms, told)

    def swapped(self, before: str, after: str, how: str, why: str) -> None:
        """Keep a change of the champion for people."""
        self._keep(self.swaps, {"from": before, "to": after, "how": how, "why": why})

    def draw_curve(self) -> None:
        """Add a point to the curve of the champion and the challenger, now and then."""
        row, challenger = self.counts["labelled"], self.rivals.get(CHALLENGER)
        if challenger is not None and self.curve.is_due(row):
            self.curve.add(row, self.now_s, self.metrics[CHAMPION], challenger.measured)

    def _keep(self, kept: list[dict[str, Any]], told: dict[str, Any]) -> None:
        kept.append({"at_s": self.now_s, "row": self.counts["labelled"], **told})
        del kept[:-_NEWEST]

    def save(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays of all of it, as `load` takes them."""
        waiting, arrays = self.waiting.save()
        arrays = prefixed("waiting", arrays)
        for name in ("due", *_KEPT):
            arrays |= prefixed(name, getattr(self, name).arrays())
        told = {name: getattr(self, name) for name in _PLAIN}
        told |= {name: getattr(self, name).to_json() for name in _JUDGES}
        told |= {
            "waiting": waiting,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "rivals": [rival.save() for rival in self.rivals.values()],
            "recent": [*self.recent],
            "counts": dict(self.counts),
            "tests": dict(self.tests),
        }
        return told, arrays

    def load(self, told: Mapping[str, Any], arrays: Mapping[str, Array], models: Mapping[str, Answering]) -> None:
        """Take what `save` returned in place of what is there.

        Args:
            told: JSON.
            arrays: By name.
            models: Of the rivals, by role.
        """
        self.waiting.load(told["waiting"], under("waiting", arrays))
        for name in ("due", *_KEPT):
            getattr(self, name).load(under(name, arrays))
        for name in _PLAIN:
            setattr(self, name, told[name])
        for name in _JUDGES:
            setattr(self, name, type(getattr(self, name)).from_json(told[name]))
        self.metrics = {name: Prequential.from_json(one) for name, one in told["metrics"].items()}
        self.rivals = {one["role"]: Rival.load(one, models[one["role"]]) for one in told["rivals"]}
        self.recent.extend(told["recent"])
        self.counts, self.tests = Counter(told["counts"]), Counter(told["tests"])


_PLAIN: Final = (
    "target_range", "salt", "sequence", "done", "reign", "crowned_at", "now_s", "paused", "rose_at", "drift_at",
    "drift_from", "swept_at", "told", "alarms", "swaps",
)  # fmt: skip
_JUDGES: Final = ("loss", "inputs", "ranges", "shift", "shares", "errors", "lead", "curve")


def fresh(signature: Signature, choices: Choices, challenger: Challenger, reference: Mapping[str, Array]) -> State:
    """Return what is known before the first event.

    Args:
        signature: Of the champion.
        choices: How much is kept.
        challenger: Learns.
        reference: Rows as the champion was trained on, by column.
    """
    loss = Loss(signature.classes)
    state = State(
        Waiting(choices.most_waiting, choices.wait_s),
        Kept(choices.learn.batch),
        {},
        loss,
        *_judges(signature, reference),
        LabelShift(signature.classes),
        counts=Counter(dict.fromkeys(_KINDS, 0)),
    )
    if signature.low is not None and signature.high is not None and not signature.classes:
        state.target_range = [signature.low, signature.high]
    state.metrics = {role: state.measure(challenger) for role in (SERVED, CHAMPION)}  # of one threshold
    state.rivals[CHALLENGER] = state.rival(CHALLENGER, challenger)
    return state


def renew(state: State, signature: Signature, reference: Mapping[str, Array]) -> None:
    """Hold inputs against the rows of another study from now on."""
    state.inputs, state.ranges = _judges(signature, reference)


def _judges(signature: Signature, reference: Mapping[str, Array]) -> tuple[InputDrift, Ranges]:
    inputs = [one for one in signature.inputs if one.used]
    return InputDrift(inputs, reference), Ranges(inputs)


def is_behind(state: State) -> bool:
    """Tell whether the challenger does worse than the champion, beyond doubt."""
    return passes(state.lead.log_evidence, _SURE, 1)
