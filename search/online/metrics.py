"""How a model that keeps learning stands, in the families of Prometheus: the `families`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from search.online.status import Status

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_GROWS: Final = ("shown", "labelled", "learnt", "holdout", "trusted", "unknown")
_STANDS: Final = ("aside", "held", "waiting")  # what may be taken back, released or labelled

_Samples = Iterable[tuple[tuple[str, ...], float | None]]


def families(status: Mapping[str, Any] | None) -> Iterator[Metric]:
    """Yield what a status tells; what is undefined has no sample.

    Args:
        status: As in `status.json`; None: there is none. Of one that cannot be read it is only told that it cannot.
    """
    try:
        found = None if status is None else Status.from_json(status)
    except ValueError:
        found = None
    text = "Whether the learner's status is there and whole."
    yield GaugeMetricFamily("sweep_online_status_readable", text, float(found is not None))
    if found is None:
        return
    yield from _standing(found)
    yield from _scores(found)
    yield from _tests(found)
    yield from _changes(found)


def _standing(found: Status) -> Iterator[Metric]:
    champion, rows = found.champion, found.rows
    yield _gauge("status_time_seconds", "Unix time of the status.", (), [((), found.at_s)])
    yield _gauge("champion_info", "The model that answers.", ("name", "model"), [((found.name, champion.label), 1.0)])
    yield _gauge("champion_version", "Its version.", (), [((), float(champion.version))])
    yield _gauge("champion_since_time_seconds", "Unix time since which it answers.", (), [((), champion.since_s)])
    states = (((state,), float(state == found.learning)) for state in ("on", "paused", "held"))
    yield _gauge("learning", "Whether the challenger learns: 1 for the state that is.", ("state",), states)
    yield _gauge("sequence", "Number of the last event that was taken in.", (), [((), float(found.sequence))])
    yield _gauge("behind_events", "Events of the log that were not taken in yet.", (), [((), float(found.behind))])
    counted = CounterMetricFamily("sweep_online_rows", "Rows, by what came of them.", labels=("kind",))
    for kind in _GROWS:
        counted.add_metric((kind,), getattr(rows, kind))
    yield counted
    text = "Rows that are put aside, held back, or wait for their labels now."
    yield _gauge("rows_put_by", text, ("kind",), (((kind,), float(getattr(rows, kind))) for kind in _STANDS))


def _scores(found: Status) -> Iterator[Metric]:
    metrics = found.metrics
    text = (
        "Prequential metrics: each row was a test before its label was known. By role, over the newest rows or fading."
    )
    samples = (
        ((role, metric, over), value)
        for role, one in metrics.items()
        for over, values in (("rolling", one.rolling), ("fading", one.fading))
        for metric, value in values.items()
    )
    yield _gauge("score", text, ("role", "metric", "over"), samples)
    measured = (((role,), float(one.rows)) for role, one in metrics.items())
    yield _gauge("scored_rows", "Rows that a role was measured on.", ("role",), measured)
    each = [(role, name, one) for role, scores in metrics.items() for name, one in scores.classes.items()]
    by_class = (
        ((role, name, metric), value)
        for role, name, one in each
        for metric, value in (("recall", one.recall), ("precision", one.precision))
    )
    yield _gauge("class_score", "Recall and precision over the newest rows.", ("role", "class", "metric"), by_class)
    counts = (((role, name), float(one.rows)) for role, name, one in each)
    yield _gauge("class_rows", "Rows of a class among the newest.", ("role", "class"), counts)


def _tests(found: Status) -> Iterator[Metric]:
    tests, by = found.tests, ("competitor",)
    evidence = (((name,), one.log_evidence) for name, one in tests.items())
    yield _gauge("log_evidence", "Log evidence that a competitor is better than the champion.", by, evidence)
    needed = (((name,), one.needed) for name, one in tests.items())
    yield _gauge("log_evidence_needed", "From which on it may take over.", by, needed)
    rows = (((name,), float(one.rows)) for name, one in tests.items())
    yield _gauge("compared_rows", "Rows that both have answered.", by, rows)


def _changes(found: Status) -> Iterator[Metric]:
    alarms, swaps = found.drift.alarms, found.swaps
    recent = Counter[tuple[str, ...]]((one.kind, one.detector) for one in alarms)
    yield _gauge("recent_alarms", "Drift alarms among the newest 50.", ("kind", "detector"), _counted(recent))
    last = {(one.kind,): one.at_s for one in sorted(alarms, key=lambda one: one.at_s)}
    yield _gauge("last_alarm_time_seconds", "Unix time of the last drift alarm.", ("kind",), last.items())
    text = "Population stability index of a column: from 0.1 on it has shifted, from 0.25 on it has moved."
    yield _gauge("stability", text, ("column",), (((name,), value) for name, value in found.drift.stability.items()))
    ways = Counter[tuple[str, ...]]((one.how,) for one in swaps)
    yield _gauge("recent_swaps", "Changes of the champion among the newest 50.", ("how",), _counted(ways))
    latest = {(one.how,): one.at_s for one in sorted(swaps, key=lambda one: one.at_s)}
    yield _gauge("last_swap_time_seconds", "Unix time of the last change of the champion.", ("how",), latest.items())
    states = (((state,), float(state == found.resweep.state)) for state in ("none", "running", "finished", "failed"))
    yield _gauge("resweep", "The sweep over the newest rows: 1 for the state that is.", ("state",), states)
    yield _gauge("resweep_used_seconds", "Of its budget.", (), [((), found.resweep.used_s)])


def _counted(counts: Mapping[tuple[str, ...], int]) -> _Samples:
    return ((labels, float(count)) for labels, count in sorted(counts.items()))


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"sweep_online_{name}", text, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric([_whole(one) for one in values], value)
    return family


def _whole(text: str) -> str:
    """Return a name of the user's that can be encoded: JSON may hold half of a character."""
    return text.encode("utf-8", "replace").decode()
