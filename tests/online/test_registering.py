"""What is decided is carried out once in a real registry, whatever ends the learner meanwhile, and nobody is overruled.

Mutations that turn these red: register again what has its mark; take a mark for another one that begins with it; move
`production` that somebody else has moved; say that something has changed that has not, or leave it unsaid; a rollback
that is told as a move.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.errors import RefusedError
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import Choices, LearnChoices
from search.online.competitor import Fixed
from search.online.kept import Row
from search.online.registering import Registering
from search.online.resweep_commands import SweepOptions
from search.online.resweeping import Sweeps
from search.paths import OnlineFolder
from search.registry.entries import PRODUCTION
from search.registry.registry import Registry
from search.serve.backend import Served
from tests.online.bases import base, table, taken
from tests.registry import models

NAME = "rain"
CLASSES = ("no", "yes")


@pytest.fixture(scope="module")
def challenger() -> Challenger:
    """Return one that has learnt."""
    one, choices = base("linear"), LearnChoices()
    found = Challenger(one, Buffer(choices.capacity), choices, 0)
    frame, target = table(1, choices.batch)
    found.learn(taken(one, frame), target)
    return found


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Return a registry of which first version 1 and then version 2 was put into production."""
    found = models.registry(tmp_path, NAME)
    for before in (None, 1):
        models.add(found, {PRODUCTION: before}, why="a promotion")
    return found


def fixed(registry: Registry, version: int) -> Fixed:
    return Fixed(Served(registry.bundle(version), NAME, version))


def opened(
    registry: Registry, champion: int = 2, *, identity: str = "5eed", say: Callable[[str], Any] = str
) -> Registering:
    """Return what a learner has that starts, or starts again."""
    results = registry.folder.root.parents[1]
    return Registering(
        results,
        NAME,
        identity,
        fixed(registry, champion),
        choices=Choices(),
        sweeping=Sweeps(results, NAME, SweepOptions(), say),
        target=lambda target: CLASSES[int(target)],
        say=say,
    )


def production(registry: Registry) -> int:
    return registry.read().aliases[PRODUCTION]


def hows(registry: Registry) -> list[tuple[str, int]]:
    """Return the moves since the promotions."""
    return [(move.how, move.to) for move in registry.read().history[2:]]


def test_a_challenger_is_registered_and_put_into_production(registry: Registry, challenger: Challenger) -> None:
    said: list[str] = []
    one = opened(registry, say=said.append)
    assert not one.changed
    champion = one.publish(challenger, "40.0", "it is better")
    assert (champion.label, champion.served.version, one.changed) == ("rain:3", 3, True)
    assert (production(registry), hows(registry)) == (3, [("add", 3)])
    assert registry.find(3).note == "online 5eed:40.0"
    assert registry.read().history[-1].why == "it is better (online 5eed:40.0)"
    assert "it is better" in said[0]
    columns = taken(challenger.base, table(2, 20)[0])
    assert np.allclose(champion.answer(columns), challenger.answer(columns), atol=1e-5)
    assert one.publish(challenger, "90.1", "it is better yet").served.version == 4  # not somebody else's work


def test_what_was_registered_before_a_crash_is_not_registered_again(registry: Registry, challenger: Challenger) -> None:
    opened(registry).publish(challenger, "40.0", "it is better")  # and killed before the snapshot
    before = registry.read()
    again = opened(registry)
    assert again.publish(challenger, "40.0", "it is better").served.version == 3
    assert registry.read() == before
    assert again.changed
    assert again.publish(challenger, "4", "it is better").served.version == 4


def test_the_same_place_in_another_log_is_another_decision(registry: Registry, challenger: Challenger) -> None:
    opened(registry).publish(challenger, "40.0", "it is better")
    anew = opened(registry, 3, identity="cafe")
    assert anew.publish(challenger, "40.0", "it is better").served.version == 4


def test_a_production_that_somebody_moved_is_left_alone(registry: Registry, challenger: Challenger) -> None:
    one = opened(registry)
    registry.move(PRODUCTION, 1, "by hand")
    before = registry.read()
    decisions: list[Callable[[], Fixed]] = [
        lambda: one.publish(challenger, "40.0", "it is better"),
        lambda: one.restore(fixed(registry, 1), "40.0", "it was better", back=True),
        lambda: one.restore(fixed(registry, 2), "40.0", "it won", back=False),
    ]
    for decide in decisions:
        with pytest.raises(RefusedError, match="points at version 1 by now, not at 2"):
            decide()
    assert registry.read() == before
    assert not one.changed
    assert [path.name for path in registry.folder.root.iterdir() if path.name.startswith(".staged")] == []
    one.succeeded(fixed(registry, 1))
    assert one.publish(challenger, "50.0", "it is better").served.version == 3


@pytest.mark.parametrize(("back", "how"), [(True, "rollback"), (False, "move")])
def test_a_version_that_is_there_is_put_into_production_once(registry: Registry, back: bool, how: str) -> None:
    one = opened(registry)
    assert one.restore(fixed(registry, 1), "40.12", "it is better", back=back).label == "rain:1"
    assert (hows(registry), one.changed) == ([(how, 1)], True)
    registry.move(PRODUCTION, 2, "by hand")  # after the crash, before the restart

    again = opened(registry)  # reads the same events again
    assert again.restore(fixed(registry, 1), "40.12", "it is better", back=back).label == "rain:1"
    assert hows(registry) == [(how, 1), ("move", 2)]  # what was done is not done again

    other = opened(registry)
    other.restore(fixed(registry, 1), "40.1", "it is better", back=back)
    other.succeeded(fixed(registry, 1))
    assert hows(registry) == [(how, 1), ("move", 2), (how, 1)]  # a place is not one that it begins


def test_what_a_challenger_cannot_be_made_of_registers_nothing(registry: Registry) -> None:
    one, choices = base("linear"), LearnChoices()
    fresh = Challenger(one, Buffer(choices.capacity), choices, 0)
    before = registry.read()
    with pytest.raises(RefusedError, match="has learnt nothing yet"):
        opened(registry).publish(fresh, "40.0", "it is better")
    assert registry.read() == before


def test_lines_for_people_are_written_once_in_each_life(registry: Registry) -> None:
    folder = OnlineFolder.of(registry.folder.root.parents[1], NAME)
    columns = {"a": np.array([np.nan], np.float32), "town": np.array(["aa"], object)}
    row = Row("x.0", 3, columns, 1.0)
    for identity in ("5eed", "5eed", "cafe"):
        one = opened(registry, identity=identity)
        one.audit(1, {"event": "alarm"})
        one.aside(2, 7.5, row, "it is strange")
    assert [json.loads(line) for line in folder.audit.read_text().splitlines()] == [
        {"number": 1, "life": life, "event": "alarm"} for life in ("5eed", "cafe")
    ]
    told = {"at_s": 7.5, "id": "x.0", "why": "it is strange", "label": "yes", "row": {"a": None, "town": "aa"}}
    assert [json.loads(line) for line in folder.aside.read_text().splitlines()] == [
        {"number": 2, "life": life, **told} for life in ("5eed", "cafe")
    ]
