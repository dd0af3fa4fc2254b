"""How a model that keeps learning stands, as its learner tells every second in `status.json`: the `Status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from search.bundle import strict
from search.errors import SurroundingsError
from search.paths import OnlineFolder

SILENT_S: Final = 10.0
"""A status that is older tells that nobody writes it any more."""

UNSETTLED: Final = 50
"""Labelled rows after a change of the champion for which its rolling score is of too few rows to be drawn."""

ROLES: Final = ("served", "champion", "challenger", "previous", "winner")
"""Whose answers are measured: what was served, whichever model that was; the champion; those who compete with it."""

RIVALS: Final = ("challenger", "previous", "winner")
"""Who may take over: the one that learns, the champion before, the winner of a re-sweep."""

_LEARNING: Final = ("on", "paused", "held")
_HOW: Final = ("take-over", "rollback", "by hand")
_SCORES: Final = ("accuracy", "mae")
_RESWEEP: Final = ("none", "running", "finished", "failed")


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that answers.

    Attributes:
        label: Such as `rain:3`.
        version: In the registry.
        since_s: Unix time since which it answers; None: nobody knows.
    """

    label: str
    version: int
    since_s: float | None


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows came to what.

    Attributes:
        shown: Were predicted for somebody.
        labelled: Have a label.
        learnt: Of those, were learnt.
        holdout: Are kept to test with, and never learnt.
        trusted: Were labelled by an administrator, and are never learnt either.
        aside: Were put aside: outside the ranges seen, or more than a source's share.
        held: Wait, since labels have shifted suddenly.
        unknown: Labels of rows that nobody knows (any more).
        waiting: Were shown, and have no label yet.
    """

    shown: int
    labelled: int
    learnt: int
    holdout: int
    trusted: int
    aside: int
    held: int
    unknown: int
    waiting: int


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class over the newest rows: how many were of it, and how well it is found; None: undefined."""

    rows: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """How one model has answered rows before it knew their labels.

    Attributes:
        rows: It was measured on.
        rolling: Metrics over the newest of them; None: undefined.
        fading: The same over all, those long ago with less weight.
        classes: Over the newest; {} of a regression.
    """

    rows: int
    rolling: Mapping[str, float | None]
    fading: Mapping[str, float | None]
    classes: Mapping[str, ClassScore] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Any, where: str) -> Scores:
        """Return the scores that `Prequential.summary` told."""
        given = _object(values, where)
        rolling = dict(_object(given.get("rolling"), f"{where}.rolling"))
        classes = _object(rolling.pop("classes", {}), f"{where}.rolling.classes")
        plain = {**given, "rolling": rolling, "classes": classes}
        strict.check(plain, cls, where)
        return cls(**{**plain, "classes": {name: ClassScore(**one) for name, one in classes.items()}})

    def to_json(self) -> dict[str, Any]:
        classes = {"classes": {name: asdict(one) for name, one in self.classes.items()}} if self.classes else {}
        return {"rows": self.rows, "rolling": {**self.rolling, **classes}, "fading": dict(self.fading)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a competitor of the champion.

    Attributes:
        log_evidence: Logarithm of the odds of a bet that it is no better; None: no row yet.
        needed: From which on it may take over.
        rows: Both answered.
        since: Of those, since the evidence began that counts.
        objection: Why it did not take over though it had what is needed; "" where nothing was said against it.
    """

    log_evidence: float | None
    needed: float | None
    rows: int
    since: int
    objection: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A drift that a detector has noticed.

    Attributes:
        at_s: Unix time.
        row: Labelled rows by then.
        kind: `error` or `input`.
        detector: Its name.
        column: Of the inputs; "" of an error.
        sentence: What it noticed, for people.
    """

    at_s: float
    row: int
    kind: str
    detector: str
    column: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Swap:
    """A change of the champion.

    Attributes:
        at_s, row: As in `Alarm`.
        was: Label of the champion before; `from` in JSON.
        to: Of the one since.
        how: `take-over`, `rollback` or `by hand`.
        why: For people.
    """

    at_s: float
    row: int
    was: str
    to: str
    how: str
    why: str

    @classmethod
    def from_json(cls, values: Any, where: str) -> Swap:
        given = _object(values, where)
        if "was" in given:
            raise ValueError(f"{where}.was is not known")
        named = {("was" if name == "from" else name): one for name, one in given.items()}
        strict.check(named, cls, where)
        return cls(**named)

    def to_json(self) -> dict[str, Any]:
        return {("from" if name == "was" else name): one for name, one in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Drift:
    """Alarms, as they came, and the population stability index of each column."""

    alarms: tuple[Alarm, ...]
    stability: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Point:
    """The rolling scores after so many labelled rows."""

    row: int
    champion: float | None
    challenger: float | None
    at_s: float


@dataclass(frozen=True, slots=True)
class Resweep:
    """The sweep that a lasting drift has started, if one has; `used_s` are seconds of its budget."""

    state: str
    study: str = ""
    why: str = ""
    used_s: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One model at one moment.

    Attributes:
        name: Of the model.
        champion: It answers.
        sequence: Of the last event that was taken in.
        behind: Events in the log that were not yet.
        learning: `on`, `paused` by an administrator, or `held` by a guard.
        at_s: Unix time of all this.
        rows: By what came of them.
        metrics: By role; without those that are not there.
        tests: By competitor; without those that are not there.
        drift: What has changed.
        swaps: Of the champion.
        curve: Rolling scores over labelled rows.
        score: Which metric that is: `accuracy` or `mae`.
        resweep: If there is one.

    Raises:
        ValueError: A word is none of those that there are.
    """

    name: str
    champion: Champion
    sequence: int
    behind: int
    learning: str
    at_s: float
    rows: Rows
    metrics: Mapping[str, Scores]
    tests: Mapping[str, Evidence]
    drift: Drift
    swaps: tuple[Swap, ...]
    curve: tuple[Point, ...]
    score: str
    resweep: Resweep

    def __post_init__(self) -> None:
        _one_of(self.learning, _LEARNING, "learning")
        _one_of(self.score, _SCORES, "score")
        _one_of(self.resweep.state, _RESWEEP, "resweep.state")
        for number, swap in enumerate(self.swaps):
            _one_of(swap.how, _HOW, f"swaps[{number}].how")
        for known, given, what in ((ROLES, self.metrics, "metrics"), (RIVALS, self.tests, "tests")):
            for name in given:
                _one_of(name, known, what)

    @classmethod
    def from_json(cls, values: Any) -> Status:
        """Return the status that a learner told.

        Raises:
            ValueError: It is none; the text names the field.
        """
        given = _object(values, "")
        metrics, tests, swaps = (_part(given, name) for name in ("metrics", "tests", "swaps"))
        strict.check({**given, "metrics": {}, "tests": {}, "swaps": []}, cls)
        strict.check(tests, Mapping[str, Evidence | None], "tests")
        if not isinstance(swaps, list):
            raise ValueError("swaps is no list")
        drift = given["drift"]
        made = {
            "champion": Champion(**given["champion"]),
            "rows": Rows(**given["rows"]),
            "metrics": {
                role: Scores.from_json(one, f"metrics.{role}")
                for role, one in _object(metrics, "metrics").items()
                if one is not None
            },
            "tests": {name: Evidence(**one) for name, one in tests.items() if one is not None},
            "drift": Drift(tuple(Alarm(**one) for one in drift["alarms"]), drift["stability"]),
            "swaps": tuple(Swap.from_json(one, f"swaps[{number}]") for number, one in enumerate(swaps)),
            "curve": tuple(Point(**one) for one in given["curve"]),
            "resweep": Resweep(**given["resweep"]),
        }
        return cls(**{**given, **made})

    def to_json(self) -> dict[str, Any]:
        metrics: dict[str, Any] = dict.fromkeys(ROLES)
        tests: dict[str, Any] = dict.fromkeys(RIVALS)
        return {
            **asdict(self),
            "metrics": metrics | {role: one.to_json() for role, one in self.metrics.items()},
            "tests": tests | {name: asdict(one) for name, one in self.tests.items()},
            "drift": {
                "alarms": [asdict(one) for one in self.drift.alarms],
                "stability": dict(self.drift.stability),
            },
            "swaps": [one.to_json() for one in self.swaps],
            "curve": [asdict(one) for one in self.curve],
        }

    def is_silent(self, now_s: float) -> bool:
        """Tell whether nobody has told anything for so long that nobody learns.

        Args:
            now_s: Unix time.
        """
        return now_s - self.at_s > SILENT_S

    def settled(self) -> list[Point]:
        """Return the curve without what was measured just after a change of the champion, on hardly any rows."""
        rows = [swap.row for swap in self.swaps]
        return [one for one in self.curve if not any(0 <= one.row - row < UNSETTLED for row in rows)]

    def events(self) -> list[Alarm | Swap]:
        """Return alarms and swaps together, the newest first."""
        both: list[Alarm | Swap] = [*self.drift.alarms, *self.swaps]
        return sorted(both, key=lambda one: (one.at_s, one.row, isinstance(one, Swap)), reverse=True)


def read(folder: OnlineFolder) -> Status | None:
    """Return how a model stands; None: nobody has told yet.

    Raises:
        SurroundingsError: The file cannot be read, or holds something else.
    """
    path = folder.status
    try:
        return Status.from_json(strict.parse(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SurroundingsError(f"{path} cannot be read: {error.strerror}", field="model") from error
    except ValueError as error:
        told = " ".join(str(error).split())[:120]
        raise SurroundingsError(
            f"{path} is no status of a model: {told}",
            field="model",
            hint="the server writes it anew every second; was it started by another version of sweep?",
        ) from error


def _part(given: Mapping[str, Any], name: str) -> Any:
    if name not in given:
        raise ValueError(f"{name} is missing")
    return given[name]


def _object(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{where or 'it'} is no object")
    return values


def _one_of(word: str, known: tuple[str, ...], where: str) -> None:
    if word not in known:
        raise ValueError(f"{where} is {word[:40]!r}, expected {' or '.join(known)}")
