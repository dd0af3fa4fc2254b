"""Going back goes back, as a browser's button does, and never to and fro."""

from __future__ import annotations

import pytest

from search.registry.entries import Move
from search.registry.history import before, served


def moves(text: str) -> tuple[Move, ...]:
    """Return moves of production by their versions; `<2` is a rollback to 2, `c4` a move of candidate."""
    found: list[Move] = []
    for word in text.split():
        how, alias = ("rollback" if word[0] == "<" else "add"), ("candidate" if word[0] == "c" else "production")
        was = next((one.to for one in reversed(found) if one.alias == alias), None)
        found.append(Move(f"t{len(found)}", "ada@lab", alias, was, int(word.strip("<c")), how, "", "toy", 7))
    return tuple(found)


@pytest.mark.parametrize(
    ("course", "back"),
    [
        ("", None),
        ("1", None),
        ("c1", None),
        ("1 c2", None),
        ("1 2", 1),
        ("1 2 3", 2),
        ("1 2 3 <2", 1),
        ("1 2 3 <2 <1", None),
        ("1 2 3 <1", None),
        ("1 2 3 <2 4", 2),
        ("1 2 3 <2 4 <2", 1),
        ("1 2 <1 2", 1),
        ("1 2 <1 3 <1", None),
        ("1 2 1", 2),
        ("1 2 1 <2", 1),
        ("1 2 3 <1 <3", 1),
        ("3 c4 5", 3),
    ],
)
def test_before_is_what_was_before(course: str, back: int | None) -> None:
    assert before(moves(course)) == back


def test_each_alias_has_a_course_of_its_own() -> None:
    history = moves("1 c2 2 c3")
    assert [(one.version, one.since, one.until) for one in served(history)] == [(1, "t0", "t2"), (2, "t2", None)]
    assert [(one.version, one.until) for one in served(history, "candidate")] == [(2, "t3"), (3, None)]
