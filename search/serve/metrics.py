"""What a server counts, in the text form of Prometheus: the `Metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from search.serve.backend import Answer, Served

if TYPE_CHECKING:
    from prometheus_client.core import Metric

KIND: Final = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS: Final = (1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10_000.0)


class _Histogram:
    """Counts of values up to each bound; adding one costs less than a microsecond."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, text: str) -> HistogramMetricFamily:
        total, buckets = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        return HistogramMetricFamily(name, text, buckets, self._sum)


class Metrics(Collector):
    """Counts of one server, over all models that it has had."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.held_bytes = 0
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds, self._rows, self._joined = _Histogram(_SECONDS), _Histogram(_ROWS), _Histogram(_ROWS)
        self._total: Counter[str] = Counter()
        self._strange: Counter[tuple[str, str]] = Counter()
        self._served: Served | None = None
        self._lost = 0

    def request(self, path: str, status: int) -> None:
        """Count an answer.

        Args:
            path: One of those that there are, or "other".
            status: Of HTTP.
        """
        self._requests[path, status] += 1

    def predicted(self, answer: Answer, seconds: float) -> None:
        """Count the answer to a prediction, and how long it took."""
        self._seconds.add(seconds)
        if answer.rows:
            self._rows.add(answer.rows)
            self._joined.add(answer.batch)
            self._total[answer.label] += answer.rows
            for column, count in answer.strange.items():
                self._strange[answer.label, column] += count

    def text(self, served: Served, lost: int, *others: Collector) -> bytes:
        """Return all counts, which model answers now, how many workers were lost, and what others tell."""
        self._served, self._lost = served, lost
        registry = CollectorRegistry(auto_describe=False)
        for one in (self, *others):
            registry.register(one)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("sweep_requests", "Answers, by path and status.", labels=("path", "status"))
        for (path, status), count in sorted(self._requests.items()):
            requests.add_metric((path, str(status)), count)
        yield requests
        yield self._seconds.family("sweep_predict_seconds", "From a whole body to its answer.")
        yield self._rows.family("sweep_request_rows", "Rows of a request.")
        yield self._joined.family("sweep_run_rows", "Rows of the run of the model that a request was part of.")
        rows = CounterMetricFamily("sweep_predicted_rows", "Rows predicted, by model.", labels=("model",))
        for label, count in sorted(self._total.items()):
            rows.add_metric((label,), count)
        yield rows
        text = "Values outside the range of training, or texts that it did not have; by model and column."
        strange = CounterMetricFamily("sweep_strange_values", text, labels=("model", "column"))
        for (label, column), count in sorted(self._strange.items()):
            strange.add_metric((label, column), count)
        yield strange
        yield CounterMetricFamily("sweep_workers_lost", "Workers that ended and were replaced.", self._lost)
        yield GaugeMetricFamily("sweep_requests_in_flight", "Requests that have no answer yet.", self.in_flight)
        yield GaugeMetricFamily("sweep_held_bytes", "Of bodies that are being predicted.", self.held_bytes)
        if self._served is not None:
            info = GaugeMetricFamily("sweep_model_info", "The model that answers.", labels=("model", "digest", "study"))
            bundle = self._served.bundle
            info.add_metric((self._served.label, bundle.digest[:12], bundle.manifest.study), 1)
            yield info
