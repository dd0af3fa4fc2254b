"""The fold: what is learnt and decided depends on the log alone, takes each row once, and protects the champion.

Mutations that turn these red: answer a row when its label comes (`Engine._answer` later), work as soon as one label is
there (`Engine.take`), forget `State.done`, learn held-out or trusted rows, skip the waiting of `Kept`, let a rival that
is not better take over (`contest.stands`), keep no rival after a take-over (`_take_over`), learn a row twice that is
labelled twice, learn rows outside the ranges (`_hand_on`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.contract import State as Arrays
from search.online.base import Base
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import Choices
from search.online.competitor import Fixed
from search.online.contest import CHALLENGER, PREVIOUS
from search.online.engine import Engine
from search.online.events import Event, LabelledRows, Ordered, Shown
from search.online.state import fresh
from tests.online.memory import InMemory, base_for, engine_on, events, rows


@pytest.fixture(scope="module")
def base() -> Base:
    return base_for()


def told(engine: Engine) -> str:
    """Return all that an engine knows, to the last bit."""
    plain, arrays = engine.state.save()
    challenger = engine.challenger.state()
    digests = {
        name: (array.tobytes().hex(), str(array.dtype)) for name, array in {**arrays, **challenger.arrays}.items()
    }
    return json.dumps([plain, dict(challenger.meta), digests], sort_keys=True)


def stream(engine: Engine, *, flipped_from: int = 10**9, count: int = 600, delay: int = 0) -> list[Event]:
    """Return events of a concept that turns round after so many rows; all are answered by the first champion."""
    found: list[Event] = []
    for start in range(0, count, 100):
        columns, labels = rows(start + 1, 100, flipped=start >= flipped_from)
        found += events(columns, labels, engine, len(found) + 1, delay=delay)
    return found


def restored(base: Base, folder: Path, engine: Engine, publisher: InMemory) -> Engine:
    """Return another engine that goes on from what one knows, through JSON and arrays."""
    plain, arrays = engine.state.save()
    plain = json.loads(json.dumps(plain))
    own = engine.challenger.state()
    choices = Choices()
    assert isinstance(engine.champion, Fixed)
    begins = replace(base, served=engine.champion.served) if engine.champion.served.version != 1 else base
    challenger = Challenger(begins, Buffer(choices.learn.capacity), choices.learn, choices.seed)
    challenger.load_state(Arrays(own.arrays, json.loads(json.dumps(dict(own.meta)))))
    state = fresh(base.signature, choices, challenger, base.old.columns)
    models = {role: rival.model for role, rival in engine.state.rivals.items() if role != CHALLENGER}
    state.load(plain, arrays, {CHALLENGER: challenger, **models})
    return Engine(base.signature.classes, engine.champion, challenger, choices, publisher, state)


@pytest.mark.parametrize("size", [1, 7, 64, 999])
def test_what_is_known_does_not_depend_on_how_many_events_are_read_at_once(
    base: Base, tmp_path: Path, size: int
) -> None:
    whole, _ = engine_on(base, tmp_path / "whole")
    other, _ = engine_on(base, tmp_path / "other")
    given = stream(whole, flipped_from=300, delay=20)
    whole.take(given)
    for start in range(0, len(given), size):
        other.take(given[start : start + size])
    assert told(whole) == told(other)


@pytest.mark.parametrize("cut", [40, 333, 700, 1001])
def test_one_that_goes_on_from_a_snapshot_knows_what_an_undisturbed_one_does(
    base: Base, tmp_path: Path, cut: int
) -> None:
    whole, _ = engine_on(base, tmp_path / "whole")
    first, publisher = engine_on(base, tmp_path / "first")
    given = stream(whole, flipped_from=300, delay=20)
    whole.take(given)
    first.take(given[:cut])
    second = restored(base, tmp_path, first, publisher)
    second.take([event for event in given if event.sequence >= second.state.sequence])
    assert told(whole) == told(second)


def test_each_labelled_row_counts_once_and_is_for_one_purpose(base: Base, tmp_path: Path) -> None:
    engine, _ = engine_on(base, tmp_path)
    given = stream(engine)
    engine.take(given)
    counts = engine.state.counts
    assert counts["labelled"] + engine.behind == 600
    kinds = ("learnt", "holdout", "trusted", "aside", "held")
    assert sum(counts[kind] for kind in kinds) == counts["labelled"]
    assert 10 < counts["holdout"] < 60
    assert engine.challenger.learnt + len(engine.state.due) == counts["learnt"]
    again = [replace(event, sequence=event.sequence + len(given)) for event in given if hasattr(event, "targets")]
    engine.take(again)
    assert engine.state.counts["labelled"] + engine.state.counts["unknown"] == 1200 - engine.behind
    assert engine.state.counts["labelled"] == 600  # those that were behind have been read by now


def test_a_concept_that_turns_round_is_learnt_takes_over_and_the_one_before_comes_back_with_it(
    base: Base, tmp_path: Path
) -> None:
    engine, publisher = engine_on(base, tmp_path)
    engine.take(stream(engine, count=500))
    first = engine.champion
    sequence = engine.state.sequence + 1000
    for start in range(0, 400, 50):  # not so long that the one that was first is forgotten
        columns, labels = rows(7000 + start, 50, flipped=True)
        engine.take(events(columns, labels, engine, sequence))
        sequence += 1000
    assert engine.state.reign > 1
    assert engine.state.rivals[PREVIOUS].model is first  # it reigned for long; those that followed fast did not
    columns, labels = rows(5, 400, flipped=True)
    assert np.mean(engine.champion.answer(columns).argmax(1) == labels) > 0.8
    for start in range(0, 600, 50):
        columns, labels = rows(9000 + start, 50)
        engine.take(events(columns, labels, engine, sequence))
        sequence += 1000
        if engine.champion is first:
            break
    assert engine.champion is first
    assert [one["how"] for one in engine.state.swaps][-1] == "rollback"
    assert [one["event"] for one in publisher.audited if one["event"] in ("take-over", "rollback")][-1] == "rollback"


def test_rows_outside_what_training_saw_are_put_aside_until_they_are_released(base: Base, tmp_path: Path) -> None:
    engine, publisher = engine_on(base, tmp_path)
    columns, labels = rows(3, 64)
    columns["b"][::8] = 1e6
    engine.take(events(columns, labels, engine, 1))
    assert engine.state.counts["aside"] == len(publisher.put_aside) == 8
    assert {why for _, why in publisher.put_aside} == {"outside the ranges that were seen"}
    learnt = engine.state.counts["learnt"]
    more, answers = rows(4, 32)
    engine.take([Ordered(500, 1.0, "release", "they are right"), *events(more, answers, engine, 501)])
    assert engine.state.counts["aside"] == 0
    assert engine.state.counts["learnt"] > learnt + 8


def test_where_many_rows_lie_outside_the_ranges_are_widened_and_those_within_are_learnt(
    base: Base, tmp_path: Path
) -> None:
    engine, publisher = engine_on(base, tmp_path)
    columns, labels = rows(3, 320)
    columns["b"][::3] += 5.0
    columns["b"][0] = 1e6
    engine.take(events(columns, labels, engine, 1))
    assert [one["event"] for one in publisher.audited].count("ranges") == 1
    assert engine.state.counts["aside"] == 1  # the absurd one
    assert engine.state.counts["learnt"] + engine.state.counts["holdout"] == 319


def test_a_paused_one_measures_and_learns_nothing(base: Base, tmp_path: Path) -> None:
    engine, _ = engine_on(base, tmp_path)
    engine.take([Ordered(1, 1.0, "pause", "a fault of the labels"), *events(*rows(3, 64), engine, 2)])
    assert engine.state.counts["learnt"] == 0
    assert engine.challenger.learnt == 0
    assert engine.state.metrics["served"].rows == 64


def test_trusted_rows_are_never_learnt_and_speak_against_who_does_worse_on_them(base: Base, tmp_path: Path) -> None:
    engine, publisher = engine_on(base, tmp_path)
    columns, labels = rows(3, 96)
    trusted = LabelledRows(1, 1.0, tuple(f"t{n}" for n in range(96)), columns, labels, "admin", trusted=True)
    engine.take([trusted])
    assert engine.state.counts["trusted"] == 96
    assert engine.state.counts["learnt"] == 0
    first, sequence = engine.champion, 1000
    for start in range(0, 1500, 50):  # everybody else says the opposite
        engine.take(events(*rows(7000 + start, 50, flipped=True), engine, sequence))
        sequence += 1000
    assert engine.champion is first
    assert any("trusted rows" in one["why"] for one in publisher.audited if one["event"] == "objection")


def test_flipped_labels_for_a_while_do_not_take_the_champion_down(base: Base, tmp_path: Path) -> None:
    engine, _ = engine_on(base, tmp_path)
    clean, truth = rows(77, 4000)
    before = np.mean(engine.champion.answer(clean).argmax(1) == truth)
    random, sequence = np.random.default_rng(1), 1
    for start in range(0, 3000, 100):
        columns, labels = rows(start + 1, 100)
        if 500 <= start < 2000:
            labels = np.where(random.random(100) < 0.5, 1 - labels, labels)
        engine.take(events(columns, labels, engine, sequence))
        sequence += 1000
        assert np.mean(engine.champion.answer(clean).argmax(1) == truth) > before - 0.02
    for start in range(0, 1000, 100):  # and what is true is still followed
        engine.take(events(*rows(9000 + start, 100, flipped=True), engine, sequence))
        sequence += 1000
    assert np.mean(engine.champion.answer(clean).argmax(1) != truth) > 0.8


def test_a_challenger_that_begins_again_is_not_judged_by_what_the_one_before_answered(
    base: Base, tmp_path: Path
) -> None:
    engine, _ = engine_on(base, tmp_path)
    late = events(*rows(3, 640), engine, 1, delay=640)
    shown, labels = [one for one in late if isinstance(one, Shown)], [one for one in late if not isinstance(one, Shown)]
    engine.take([*shown, Ordered(641, 1.0, "reset", "")])
    engine.take([replace(one, sequence=one.sequence + 1) for one in labels])
    assert engine.state.counts["labelled"] == 640
    assert engine.state.rivals[CHALLENGER].number == 2
    assert engine.state.rivals[CHALLENGER].test.rows == 0


def test_rows_that_were_held_are_not_learnt_while_learning_is_paused(base: Base, tmp_path: Path) -> None:
    engine, _ = engine_on(base, tmp_path)
    engine.take(events(*rows(3, 640), engine, 1))
    columns, _ = rows(4, 640)
    flood = events(columns, np.ones(640, np.int64), engine, 10_000)
    half = len(flood) // 4
    engine.take([*flood[:half], Ordered(flood[half].sequence, 1.0, "pause", "")])
    learnt = engine.state.counts["learnt"]
    assert engine.state.counts["held"] > 0
    engine.take([replace(one, sequence=one.sequence + 1) for one in flood[half:]])
    assert engine.state.counts["held"] == 0
    assert engine.state.counts["learnt"] == learnt


def test_a_drift_that_the_challenger_does_not_follow_starts_a_sweep(base: Base, tmp_path: Path) -> None:
    engine, publisher = engine_on(base, tmp_path, resweep=True)
    engine.take(stream(engine, count=500))
    columns, labels = rows(8, 1500)
    labels = ((columns["a"] > 0) ^ (columns["b"] > 0)).astype(np.int64)  # no line tells them apart
    engine.take(events(columns, labels, engine, 5000))
    assert len(publisher.swept) == 1
    assert "after the drift" in publisher.swept[0]


def test_rows_that_are_shown_and_never_labelled_are_answered_and_forgotten_in_the_end(
    base: Base, tmp_path: Path
) -> None:
    engine, _ = engine_on(base, tmp_path, most_waiting=1000)
    columns, _ = rows(3, 9000)
    answers = engine.champion.answer(columns)
    for start in range(0, 9000, 100):
        part = {name: values[start : start + 100] for name, values in columns.items()}
        ids = tuple(f"r{start + place}" for place in range(100))
        engine.take([Shown(start + 1, float(start), ids, part, answers[start : start + 100], "memory:1")])
    assert engine.state.counts["shown"] > 8000
    assert len(engine.state.waiting) <= 1000 + 100


def test_labels_that_nobody_waits_for_are_counted_and_no_more(base: Base, tmp_path: Path) -> None:
    engine, _ = engine_on(base, tmp_path)
    given: list[Any] = [event for event in events(*rows(3, 64), engine, 1) if hasattr(event, "targets")]
    engine.take(given)
    assert engine.state.counts["unknown"] == 64
    assert engine.state.counts["labelled"] == 0
