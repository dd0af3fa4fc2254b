"""A status is read as strictly as it is written, or refused with the place.

Mutations that turn this red: an unknown field is let through; a role or a word that there is none of is let through; a
swap keeps its `from` as `was` in JSON; classes stay among the rolling metrics; a status of exactly 10 s is silent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.bundle import strict
from search.errors import SurroundingsError
from search.online.choices import Choices
from search.online.events import Ordered
from search.online.status import SILENT_S, ClassScore, Status, Swap, read
from search.online.telling import status_of
from search.paths import OnlineFolder
from tests.online.memory import base_for, engine_on, events, rows
from tests.online.statuses import NOW_S, SITUATIONS, story, write

LAST = [*story()][-1]


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_read_is_written_again_just_so(name: str) -> None:
    told = SITUATIONS[name]()
    assert Status.from_json(told).to_json() == told


def test_every_moment_of_a_drift_is_a_status() -> None:
    assert all(Status.from_json(one).to_json() == one for one in story(steps=40))


def test_classes_are_no_metrics_and_who_is_not_there_has_none() -> None:
    found = Status.from_json(LAST)
    assert set(found.metrics) == {"served", "champion", "challenger", "previous"}
    assert set(found.metrics["champion"].rolling) == {"accuracy", "log_loss", "balanced_accuracy"}
    assert isinstance(found.metrics["champion"].classes["snow"], ClassScore)
    assert set(found.tests) == {"challenger", "previous"}


def test_events_are_told_newest_first_with_swaps_among_alarms() -> None:
    found = Status.from_json(LAST).events()
    assert [one.at_s for one in found] == sorted((one.at_s for one in found), reverse=True)
    assert [isinstance(one, Swap) for one in found] == [True] * 3 + [False] * 4
    assert isinstance(found[0], Swap)
    assert (found[0].was, found[0].to) == ("rain:1", "rain:3")


def test_a_status_is_silent_when_it_is_older_than_ten_seconds() -> None:
    found = Status.from_json(SITUATIONS["fresh"]())
    assert not found.is_silent(NOW_S + SILENT_S)
    assert found.is_silent(NOW_S + SILENT_S + 0.001)


def test_scores_of_hardly_any_rows_are_no_part_of_the_curve() -> None:
    told = changed(
        "curve", [{"row": row, "champion": 0.5, "challenger": 0.5, "at_s": NOW_S} for row in range(0, 20_000, 25)]
    )
    drawn = [one.row for one in Status.from_json(told).settled()]
    gaps = [row for row in range(0, 20_000, 25) if row not in drawn]
    assert gaps == [8000, 8025, 8600, 8625, 9400, 9425]


def test_what_an_engine_tells_at_any_moment_is_a_status(tmp_path: Path) -> None:
    choices = Choices()
    engine, _ = engine_on(base_for(), tmp_path)
    champion = {"label": "memory:1", "version": 1, "since_s": None}
    resweep = {"state": "none", "study": "", "why": "", "used_s": 0.0}

    def told() -> Status:
        found = status_of(engine, choices, champion, name="rain", behind=0, at_s=NOW_S, resweep=resweep)
        written = json.dumps(found, allow_nan=False).encode()
        read_again = Status.from_json(strict.parse(written))
        assert read_again.to_json() == json.loads(written)
        return read_again

    assert told().curve == ()
    for seed, flipped in ((1, False), (2, True)):
        engine.take(events(*rows(seed, 600, flipped=flipped), engine, 1200 * seed - 1199))
        told()
    engine.take([Ordered(2401, NOW_S, "pause")])
    engine.take(events(*rows(3, choices.learn.batch), engine, 2402))
    last = told()
    assert last.learning == "paused"
    assert last.metrics["served"].rows == last.rows.labelled >= 1200
    assert last.swaps
    assert last.drift.alarms
    assert set(last.metrics["champion"].classes) == {"no", "yes"}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the last status with one value at `a.b.c` replaced; `...` takes the name away."""
    told: dict[str, Any] = json.loads(json.dumps(LAST))
    *way, last = path.split(".")
    at: Any = told
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return told


REFUSED = [
    ("more", 1, "more is not known"),
    ("rows.lost", 1, "rows.lost is not known"),
    ("behind", ..., "behind is missing"),
    ("swaps", ..., "swaps is missing"),
    ("swaps", {}, "swaps is no list"),
    ("tests", [], "tests"),
    ("learning", "off", "learning is 'off', expected on or paused or held"),
    ("score", "r2", "score is 'r2'"),
    ("resweep.state", "begun", "resweep.state is 'begun'"),
    ("swaps.0.how", "luck", "swaps[0].how is 'luck'"),
    ("swaps.0.was", "rain:1", "swaps[0]"),
    ("sequence", 1.5, "sequence is 1.5, expected a whole number"),
    ("at_s", None, "at_s is null"),
    ("metrics.friend", LAST["metrics"]["served"], "metrics is 'friend'"),
    ("metrics.served.rolling", None, "metrics.served.rolling is no object"),
    ("metrics.served.rolling.accuracy", "high", "metrics.served.rolling.accuracy"),
    ("metrics.served.rolling.classes.rain.recall", True, "metrics.served.classes.rain.recall"),
    ("tests.challenger.log_evidence", "much", "tests.challenger.log_evidence"),
    ("drift.alarms.0.row", None, "drift.alarms[0].row"),
    ("drift.stability.town", "low", "drift.stability.town"),
    ("curve.0.champion", [], "curve[0].champion"),
]


@pytest.mark.parametrize(("path", "value", "said"), REFUSED)
def test_what_is_no_status_is_refused_with_the_place(path: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("[", r"\[").replace("]", r"\]")):
        Status.from_json(changed(path, value))


@pytest.mark.parametrize("told", [None, [], 3, "text"])
def test_what_is_no_object_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="it is no object"):
        Status.from_json(told)


def test_before_the_first_word_there_is_no_status(tmp_path: Path) -> None:
    assert read(OnlineFolder(tmp_path / "rain")) is None


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = OnlineFolder(tmp_path / "rain")
    write(folder, LAST)
    found = read(folder)
    assert found is not None
    assert not found.is_silent(found.at_s + 1)
    assert found.champion.label == "rain:3"


@pytest.mark.parametrize(
    "content", [b"", b'{"name": ', b"{}", b'{"a": 1, "a": 2}', b"\xff", b"[" * 99, b'{"at_s": NaN}']
)
def test_a_damaged_file_is_told_with_its_name(content: bytes, tmp_path: Path) -> None:
    folder = OnlineFolder(tmp_path / "rain")
    folder.root.mkdir()
    folder.status.write_bytes(content)
    with pytest.raises(SurroundingsError, match=r"status\.json is no status of a model") as caught:
        read(folder)
    assert "another version" in caught.value.hint
