"""What Prometheus is told of a model that keeps learning.

Mutations that turn this red: an undefined number becomes a sample; rows that may be released become a counter; a
status that cannot be read takes the whole answer down; a role, class or column is left out; evidence and what is
needed of it change places; something is counted that the reference does not name.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from search.online.counts import Counts
from search.online.intake import Decision
from search.online.known import Known
from search.online.learning_process import LearningProcess
from search.online.lock import hold
from search.online.metrics import families
from search.online.recorder import Recorder
from search.paths import OnlineFolder
from tests.online.statuses import EVIL, NOW_S, SITUATIONS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(status: object) -> Samples:
    """Return every sample as a scrape reads it."""

    class Told(Collector):
        def collect(self) -> list[Metric]:
            return [*families(status)]  # type: ignore[arg-type]

    return scraped(Told())


def scraped(collector: Collector) -> Samples:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    found: Samples = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for one in family.samples:
            key = (one.name, frozenset(one.labels.items()))
            assert key not in found
            found[key] = one.value
    return found


def value(found: Samples, name: str, /, **labels: str) -> float | None:
    return found.get((f"sweep_online_{name}", frozenset((key.rstrip("_"), one) for key, one in labels.items())))


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_can_be_scraped_and_no_sample_is_nan(name: str) -> None:
    found = samples(SITUATIONS[name]())
    assert all(one == one for one in found.values())
    assert value(found, "status_readable") == 1


def test_a_whole_life_is_told() -> None:
    told = SITUATIONS["re-sweep runs"]()
    found = samples(told)
    assert value(found, "champion_info", name="rain", model="rain:3") == 1
    assert value(found, "champion_version") == 3
    assert value(found, "status_time_seconds") == NOW_S
    assert value(found, "behind_events") == told["behind"]
    assert [value(found, "learning", state=one) for one in ("on", "paused", "held")] == [1, 0, 0]
    assert value(found, "rows_total", kind="learnt") == told["rows"]["learnt"]
    assert value(found, "rows_put_by", kind="aside") == told["rows"]["aside"]
    assert value(found, "rows_total", kind="aside") is None
    champion = told["metrics"]["champion"]
    for over in ("rolling", "fading"):
        for metric in ("accuracy", "log_loss", "balanced_accuracy"):
            told_value = value(found, "score", role="champion", metric=metric, over=over)
            assert told_value == pytest.approx(champion[over][metric])
    assert value(found, "scored_rows", role="winner") == 220
    snow = champion["rolling"]["classes"]["snow"]
    labels = {"role": "champion", "class_": "snow"}
    assert value(found, "class_score", metric="recall", **labels) == pytest.approx(snow["recall"])
    assert value(found, "class_score", metric="precision", **labels) == pytest.approx(snow["precision"])
    assert value(found, "class_rows", **labels) == snow["rows"]
    assert value(found, "log_evidence", competitor="winner") == pytest.approx(2.1)
    assert value(found, "log_evidence_needed", competitor="challenger") == pytest.approx(6.17)
    assert value(found, "compared_rows", competitor="previous") == 400
    assert value(found, "recent_alarms", kind="error", detector="adwin") == 1
    assert value(found, "recent_alarms", kind="input", detector="kswin") == 1
    errors = [one["at_s"] for one in told["drift"]["alarms"] if one["kind"] == "error"]
    assert value(found, "last_alarm_time_seconds", kind="error") == max(errors)
    assert value(found, "stability", column="pressure") == pytest.approx(told["drift"]["stability"]["pressure"])
    assert value(found, "recent_swaps", how="take-over") == 2
    assert value(found, "recent_swaps", how="rollback") == 1
    assert value(found, "last_swap_time_seconds", how="take-over") == told["swaps"][0]["at_s"]
    assert [value(found, "resweep", state=one) for one in ("none", "running")] == [0, 1]
    assert value(found, "resweep_used_seconds") == 95.5


def test_what_is_undefined_has_no_sample() -> None:
    found = samples(SITUATIONS["fresh"]())
    assert value(found, "score", role="champion", metric="accuracy", over="rolling") is None
    assert value(found, "log_evidence", competitor="challenger") is None
    assert value(found, "log_evidence_needed", competitor="challenger") == pytest.approx(4.38)
    assert value(found, "scored_rows", role="champion") == 0


def test_hostile_names_are_labels_like_any_other() -> None:
    found = samples(SITUATIONS["hostile"]())
    assert value(found, "stability", column=EVIL) is not None
    assert value(found, "class_rows", role="champion", class_="__proto__") == 333


def test_half_of_a_character_does_not_take_the_answer_down() -> None:
    told = SITUATIONS["fresh"]()
    told["drift"]["stability"] = {"\ud800": 0.3}
    assert value(samples(told), "stability", column="?") == 0.3


def counted(tmp_path: Path) -> Samples:
    """Return what a server counts that has answered two rows, one without room in its log, and got a label."""
    folder, counts = OnlineFolder(tmp_path / "rain"), Counts()
    recorder = Recorder.open(folder, hold(folder), Known(60.0, 100))
    try:
        recorder.known.show("a-1", 1, time.time())
        recorder.unlogged = 1
        counts.took(Decision(full=False, repeated=1))
        counts.now(recorder, LearningProcess([], folder.learner_log, print))
        return scraped(counts)
    finally:
        recorder.close()


def test_what_the_server_counts_itself(tmp_path: Path) -> None:
    found = counted(tmp_path)
    assert value(found, "feedback_rows_total", result="repeated") == 1
    assert value(found, "feedback_rows_total", result="accepted") == 0
    told = ("unlogged_rows_total", "log_trouble", "known_rows", "learner_up", "learner_ends_total")
    assert [value(found, name) for name in told] == [1, 0, 1, 0, 0]


def test_every_family_stands_in_the_reference(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")
    part = text.split("## A model that keeps learning\n")[1].split("\n## ")[0]
    named = set(
        re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in part.splitlines() if line[:3] == "| `"))
    )
    told = {
        one[0].removeprefix("sweep_online_") for one in (samples(SITUATIONS["re-sweep runs"]()) | counted(tmp_path))
    }
    assert named == told


@pytest.mark.parametrize("status", [None, {}, {"name": "rain"}, {**SITUATIONS["fresh"](), "more": 1}])
def test_of_no_status_it_is_told_that_there_is_none(status: object) -> None:
    assert samples(status) == {("sweep_online_status_readable", frozenset()): 0.0}
