"""Rules of a model that learns beside the champion, for learners of each kind.

Each of these turns it red: a challenger that begins otherwise than the champion, depends on the clock, on randomness of
others or on how often it was asked; a state that lacks a pace, the rows of a training, the buffer or who is ahead; a
bundle of other weights than those that answer, of another signature, or without a word on its card; a drift after which
old rows are learnt; a reset that keeps what was learnt, or that begins again where the champion was made of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.bundle.bundle import CARD, Bundle, write_bundle
from search.contract import State
from search.errors import RefusedError
from search.online.base import Base, weights_of
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import LearnChoices
from search.online.competitor import Fixed
from search.online.events import Array
from search.serve.backend import Served
from tests.online.bases import FAMILIES, base, table, taken

KINDS = [*((family, False) for family in FAMILIES), ("linear", True), ("boosting", True)]
each_kind = pytest.mark.parametrize(("family", "regression"), KINDS)


def challenger(one: Base, seed: int = 0) -> Challenger:
    return Challenger(one, Buffer(2_000), LearnChoices(), seed)


def fed(made: Challenger, rows: int, *, seed: int = 1, flipped: bool = False, asked: int = 0) -> Challenger:
    """Have it learn rows by 32, and answer in between."""
    frame, target = table(seed, rows, flipped=flipped, regression=not made.base.signature.is_classification)
    columns = taken(made.base, frame)
    for begin in range(0, rows, 32):
        part = slice(begin, begin + 32)
        for _ in range(asked):
            made.answer({name: values[:5] for name, values in columns.items()})
        made.learn({name: values[part] for name, values in columns.items()}, target[part])
    return made


def answer(made: Challenger | Fixed, one: Base, seed: int = 9) -> Array:
    return made.answer(taken(one, table(seed, 300)[0]))


def error(made: Challenger, *, flipped: bool = False) -> float:
    """Return the share of wrong classes, or the mean absolute error."""
    regression = not made.base.signature.is_classification
    frame, target = table(77, 400, flipped=flipped, regression=regression)
    found = made.answer(taken(made.base, frame))
    return float(np.abs(found - target).mean() if regression else (found.argmax(axis=1) != target).mean())


def stored(state: State) -> State:
    """Return a state as a file gives it back: arrays without objects, and JSON."""
    assert all(array.dtype != object for array in state.arrays.values())
    return State(dict(state.arrays), json.loads(json.dumps(dict(state.meta), allow_nan=False)))


def written(made: Challenger, root: Path) -> Served:
    return Served(Bundle.open(root, digest=write_bundle(root, *made.files())), "memory", 2)


@each_kind
def test_it_begins_as_the_champion_answers(family: str, regression: bool) -> None:
    one = base(family, regression=regression)
    assert np.allclose(answer(challenger(one), one), answer(Fixed(one.served), one), atol=1e-4 * one.scale)


@each_kind
def test_it_follows_a_concept_that_turns_round(family: str, regression: bool) -> None:
    made = challenger(base(family, regression=regression))
    before = error(made, flipped=True)
    made.drifted(0)
    fed(made, 640, flipped=True)
    assert error(made, flipped=True) < 0.4 * before


@each_kind
def test_it_is_made_by_its_rows_and_its_seed_alone(family: str, regression: bool) -> None:
    one = base(family, regression=regression)
    made = fed(challenger(one), 320)
    np.random.seed(3)
    assert np.array_equal(answer(fed(challenger(one), 320, asked=2), one), answer(made, one))


@pytest.mark.parametrize("family", ["linear", "mlp"])
@pytest.mark.parametrize("regression", [False, True])
def test_a_row_is_answered_the_same_whichever_rows_it_comes_with(family: str, regression: bool) -> None:
    one = base(family, regression=regression)
    made = fed(challenger(one), 64)
    columns = taken(one, table(9, 200)[0])
    whole = made.answer(columns)
    for size in (1, 2, 7, 33):
        parts = [slice(begin, begin + size) for begin in range(0, 200, size)]
        answers = [made.answer({name: values[part] for name, values in columns.items()}) for part in parts]
        assert np.array_equal(np.concatenate(answers), whole)


@pytest.mark.parametrize("family", ["mlp", "forest"])
def test_another_seed_learns_otherwise(family: str) -> None:
    one = base(family)
    ours, theirs = (answer(fed(challenger(one, seed), 320), one) for seed in (0, 1))
    assert not np.array_equal(ours, theirs)


@each_kind
def test_a_restart_goes_on_bit_for_bit(family: str, regression: bool) -> None:
    one = base(family, regression=regression)
    made, other = fed(challenger(one), 320), challenger(one)
    other.load_state(stored(made.state()))
    assert np.array_equal(answer(other, one), answer(made, one))
    for again in (made, other):
        again.drifted(100)
        fed(again, 480, seed=2, flipped=True)
    assert np.array_equal(answer(other, one), answer(made, one))
    ours, theirs = stored(made.state()), stored(other.state())
    assert ours.meta == theirs.meta
    assert ours.arrays.keys() == theirs.arrays.keys()
    for name, array in ours.arrays.items():
        assert np.array_equal(array, theirs.arrays[name], equal_nan=array.dtype.kind == "f"), name


@each_kind
def test_its_bundle_answers_as_it_does(family: str, regression: bool, tmp_path: Path) -> None:
    one = base(family, regression=regression)
    made = fed(challenger(one), 320, flipped=True)
    served = written(made, tmp_path / "bundle")
    assert np.allclose(answer(Fixed(served), one), answer(made, one), atol=1e-4 * one.scale)
    assert not np.allclose(answer(Fixed(served), one), answer(Fixed(one.served), one), atol=1e-2 * one.scale)
    assert served.bundle.signature == one.signature
    manifest = served.bundle.manifest
    assert (manifest.members, manifest.study) == (one.manifest.members, one.manifest.study)
    assert manifest.options["online"]["rows"] == 320


def test_its_card_says_how_it_came_about_once(tmp_path: Path) -> None:
    one = base("linear")
    made = fed(challenger(one), 64)
    served = written(made, tmp_path / "first")
    assert served.bundle.card.splitlines()[0].startswith("# ")
    assert "learnt 64 labelled rows" in served.bundle.card
    made.reset(replace(one, served=served, weights=weights_of(served.bundle)))
    again = fed(made, 64).files()[1][CARD].decode()
    assert again.count("went on learning") == 1
    assert "learnt 128 labelled rows" in again
    assert one.served.bundle.card.splitlines()[0] in again


@pytest.mark.parametrize("family", ["linear", "boosting"])
def test_what_has_learnt_nothing_has_no_bundle(family: str) -> None:
    with pytest.raises(RefusedError, match="learnt nothing"):
        challenger(base(family)).files()


@pytest.mark.parametrize("family", ["linear", "forest"])
def test_a_bundle_that_answers_otherwise_is_refused(family: str) -> None:
    made = fed(challenger(base(family)), 320)
    made.base = replace(made.base, head=replace(made.base.head, temperature=2.0))  # as a graph never was made with
    exported = made.base.stages.export  # type: ignore[attr-defined]

    class Wrong(type(made.base.stages)):  # type: ignore[misc]
        def export(self, learner: Any, *others: Any) -> Any:
            told = exported(learner, *others)
            return replace(told, model=exported(_other(made, learner), *others).model)

    made.base = replace(made.base, stages=Wrong())
    with pytest.raises(RefusedError, match="answers otherwise"):
        made.files()


def _other(made: Challenger, learner: Any) -> Any:
    """Return a learner of the same kind that has learnt the opposite."""
    opposite = challenger(replace(made.base, stages=base("linear").stages))
    fed(opposite, 640, seed=4, flipped=True)
    return opposite._ahead.learner


@pytest.mark.parametrize("family", ["linear", "boosting"])
def test_after_a_drift_only_rows_since_then_are_learnt(family: str) -> None:
    made = fed(challenger(base(family)), 320)
    made.drifted(0)
    assert len(made.buffer) == 0
    fed(made, 96, flipped=True)
    assert (made.buffer.new, made.buffer.old, made.learnt) == (96, 0, 416)


@pytest.mark.parametrize("family", ["mlp", "boosting"])
def test_a_reset_begins_again_but_keeps_the_rows(family: str) -> None:
    one = base(family)
    made = fed(challenger(one), 320, flipped=True)
    made.reset(one)
    assert np.allclose(answer(made, one), answer(Fixed(one.served), one), atol=1e-4)
    assert (made.buffer.new, made.learnt) == (320, 320)


@pytest.mark.parametrize("family", ["mlp", "boosting"])
def test_where_it_took_over_itself_it_goes_on_without_a_break(family: str, tmp_path: Path) -> None:
    one = base(family)
    made, undisturbed = (fed(challenger(one), 320, flipped=True) for _ in range(2))
    served = written(made, tmp_path / "bundle")
    made.reset(replace(one, served=served, weights=weights_of(served.bundle)))
    ours, theirs = (answer(fed(each, 320, seed=3, flipped=True), one) for each in (made, undisturbed))
    assert np.array_equal(ours, theirs)


def test_a_label_of_a_single_class_waits_for_another() -> None:
    one = base("boosting")
    made = challenger(one)
    made.drifted(0)
    columns = taken(one, table(3, 200)[0])
    for _ in range(3):
        made.learn(columns, np.zeros(200, dtype=np.int64))
    assert np.array_equal(answer(made, one), answer(Fixed(one.served), one))
