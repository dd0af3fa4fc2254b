"""What the server of a model that keeps learning counts, beside what its learner tells: the `Counts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from search.online.metrics import families

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from search.online.intake import Decision
    from search.online.learning_process import LearningProcess
    from search.online.recorder import Recorder


class Counts(Collector):
    """Counts of one server process."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._recorder: Recorder | None = None
        self._learning: LearningProcess | None = None

    def took(self, decision: Decision) -> None:
        """Count what came of a feedback."""
        for result, count in (
            ("accepted", len(decision.taken)),
            ("repeated", decision.repeated),
            ("unknown", len(decision.unknown)),
            ("refused", len(decision.refused)),
        ):
            self._rows[result] += count

    def now(self, recorder: Recorder, learning: LearningProcess | None) -> None:
        """Take in how things are, for the next `collect`."""
        self._recorder, self._learning = recorder, learning

    def collect(self) -> Iterator[Metric]:
        rows = CounterMetricFamily("sweep_online_feedback_rows", "Labels that came, by result.", labels=("result",))
        for result, count in sorted(self._rows.items()):
            rows.add_metric((result,), count)
        yield rows
        if self._recorder is not None:
            known = self._recorder.known
            text = "Rows that were answered without an id, since the log could not be written."
            yield CounterMetricFamily("sweep_online_unlogged_rows", text, self._recorder.unlogged)
            text = "Whether the last write to the log failed."
            yield GaugeMetricFamily("sweep_online_log_trouble", text, float(bool(self._recorder.trouble)))
            text = "Rows that were shown, and that a label may still come for."
            yield GaugeMetricFamily("sweep_online_known_rows", text, known.rows)
        if self._learning is not None:
            text = "Whether the process that learns is running."
            yield GaugeMetricFamily("sweep_online_learner_up", text, float(self._learning.is_up))
            text = "How often the process that learns has ended by itself."
            yield CounterMetricFamily("sweep_online_learner_ends", text, self._learning.ends)


class Learnt(Collector):
    """What the learner tells.

    Args:
        status: As in `status.json`; None: there is none.
    """

    def __init__(self, status: Mapping[str, Any] | None) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        yield from families(self._status)
