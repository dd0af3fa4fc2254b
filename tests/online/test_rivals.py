"""Who stands for election, and for how long: a rival answers for itself alone, and none is forgotten before its time.

Mutations that turn this file red: keep the answers of whoever had the role before (`Rival.key`), drop a winner when
somebody else takes over (`Engine._take_over`), forget a drift because the champion is new (`_look_back`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.errors import RefusedError
from search.online.base import Base
from search.online.contest import CHALLENGER, PREVIOUS, WINNER, Answering
from search.online.engine import Engine
from search.online.events import Array
from tests.online.memory import InMemory, base_for, engine_on, events, rows


@pytest.fixture(scope="module")
def base() -> Base:
    return base_for()


class Knowing:
    """Answers by the concept, or by its opposite, and has not been trained."""

    label = "memory:9"
    threshold = None

    def __init__(self, *, flipped: bool) -> None:
        self._flipped = flipped

    def answer(self, columns: Mapping[str, Array]) -> Array:
        second = np.where((columns["a"] + 0.5 * columns["b"] > 0) ^ self._flipped, 0.95, 0.05)
        return np.stack([1 - second, second], 1).astype(np.float32)


def give(engine: Engine, seed: int, count: int, *, flipped: bool = False, delay: int = 0) -> None:
    """Show rows, and label each so many rows later."""
    columns, labels = rows(seed, count, flipped=flipped)
    engine.take(events(columns, labels, engine, engine.state.sequence + 100, delay=delay))


def happened(publisher: InMemory, *kinds: str) -> list[tuple[str, Any]]:
    return [(one["event"], one.get("after")) for one in publisher.audited if one["event"] in kinds]


def stay(publisher: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the challenger learn on as it is, whoever is champion: there is no bundle of a `Knowing`."""
    monkeypatch.setattr(publisher, "follow", lambda _, challenger: challenger)


@pytest.mark.parametrize("delay", [0, 500])
def test_what_a_challenger_answered_before_it_began_again_does_not_count_against_it(
    base: Base, tmp_path: Path, delay: int
) -> None:
    engine, publisher = engine_on(base, tmp_path)
    rivals = engine.state.rivals
    rivals[CHALLENGER] = replace(rivals[CHALLENGER], model=Knowing(flipped=True))
    give(engine, 5, 1200, delay=delay)
    assert len(happened(publisher, "reset")) == 1
    assert engine.state.tests[CHALLENGER] == 2


def test_what_the_winner_of_another_sweep_answered_does_not_count_for_this_one(base: Base, tmp_path: Path) -> None:
    engine, _ = engine_on(base, tmp_path)
    engine.bring(Knowing(flipped=True), "the first")
    columns, labels = rows(5, 200)
    some = events(columns, labels, engine, 1, delay=200)
    half = len(labels)
    engine.take(some[: half + 32])
    engine.bring(Knowing(flipped=False), "the second")
    engine.take(some[half + 32 :])
    assert engine.state.rivals[WINNER].test.rows == 0


def test_a_winner_is_not_forgotten_when_a_challenger_takes_over_meanwhile(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, publisher = engine_on(base, tmp_path)
    stay(publisher, monkeypatch)
    engine.bring(Knowing(flipped=True), "won a sweep")
    engine.state.rivals[WINNER].not_before = 10**9  # nobody looks at it before the challenger is through
    for seed in range(10):
        give(engine, seed, 100, flipped=True)
    # against the new champion, it has a test of its own
    assert [swap["to"] for swap in engine.state.swaps] == ["memory:2", "memory:9"]
    assert engine.state.tests[CHALLENGER] >= 5


def test_a_winner_that_took_over_is_no_rival_any_more(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, publisher = engine_on(base, tmp_path)
    stay(publisher, monkeypatch)
    give(engine, 4, 200)
    engine.bring(Knowing(flipped=True), "won a sweep")
    while not engine.state.swaps:
        give(engine, engine.state.sequence, 100, flipped=True)
    assert engine.champion.label == "memory:9"
    assert set(engine.state.rivals) == {CHALLENGER, PREVIOUS}


def test_a_drift_lasts_though_another_champion_that_hardly_mends_it_came_meanwhile(base: Base, tmp_path: Path) -> None:
    engine, publisher = engine_on(base, tmp_path, resweep=True)
    give(engine, 52, 600)
    random = np.random.default_rng(2)
    values = random.uniform(-1, 1, (2000, 3)).astype(np.float32)
    a, b, c = values.T
    labels = np.where(c > -0.2, a * b > 0, a + 0.5 * b <= 0) ^ (random.random(2000) < 0.05)
    columns = {"a": a, "b": b, "c": c}
    engine.take(events(columns, labels.astype(np.int64), engine, engine.state.sequence + 100))
    found = happened(publisher, "take-over", "resweep")
    assert [event for event, _ in found][:2] == ["take-over", "resweep"]
    assert len(publisher.swept) == 1


def test_who_takes_over_does_so_though_the_challenger_cannot_follow(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Answering) -> None:
        raise RefusedError("the study is gone")

    engine, publisher = engine_on(base, tmp_path)
    monkeypatch.setattr(publisher, "follow", refuse)
    engine.bring(Knowing(flipped=True), "won a sweep")
    challenger = engine.challenger
    while not engine.state.swaps:
        give(engine, engine.state.sequence, 100, flipped=True)
    assert engine.champion.label == "memory:9"
    assert engine.challenger is challenger
    assert ("failed", None) in happened(publisher, "failed")
    learnt = challenger.learnt
    give(engine, 7, 100, flipped=True)
    assert challenger.learnt > learnt
