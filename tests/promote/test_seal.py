"""The test rows come out once, whichever study asks; what came out stands in a ledger that nobody edits unseen."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search.contract import Dataset, Part, ShortForm, objective
from search.data.source import FileSource
from search.errors import InputError, RefusedError, SurroundingsError
from search.problem import open_problem
from search.promote.openings import ledger_file, openings_of
from search.promote.rowprint import KEPT, Rowprint, hashes_of, print_of, share_among
from search.promote.seal import check_closed, ended, open_test
from search.registry.stamp import Stamp
from tests.registry import models

from .problems import problem_of, table_of


def on(day: int) -> Any:
    return lambda: Stamp(f"2026-11-{day:02d}T10:00:00Z", "ann@desk")


def again(problem: Any, results: Path) -> bool:
    """Tell whether the rows come out without a reason."""
    try:
        check_closed(results, problem)
    except RefusedError:
        return False
    return True


def test_the_rows_come_out_once(tmp_path: Path) -> None:
    problem = problem_of(table_of(100))
    opened = open_test(tmp_path, problem, "a", "churn", stamp=on(2))
    ended(tmp_path, opened.opening, version=3)
    assert len(opened.part.target) == 20
    assert (opened.seen, opened.before, opened.sentence) == (0, (), "")
    with pytest.raises(RefusedError) as refused:
        open_test(tmp_path, problem, "b", "churn")
    assert refused.value.sentence() == (
        'the test split was used on 2 Nov 2026 by version 3 of churn (study a); --again "reason" opens it once more '
        "and the card says so"
    )
    assert len(openings_of(tmp_path)) == 1


def test_with_a_reason_they_come_out_again_and_it_is_kept(tmp_path: Path) -> None:
    problem = problem_of(table_of(100))
    ended(tmp_path, open_test(tmp_path, problem, "a", "churn", stamp=on(2)).opening, outcome="refused by the gate")
    opened = open_test(tmp_path, problem, "b", "churn", " the target\nwas wrong")
    assert opened.seen == 20
    assert opened.sentence == (
        "20 of the 20 test rows were seen before, last on 2 Nov 2026 for churn (study a), refused by the gate; opened "
        "again: the target was wrong"
    )
    first, second = openings_of(tmp_path)
    assert (first.outcome, second.reason, second.study) == ("refused by the gate", "the target was wrong", "b")
    assert openings_of(tmp_path, study="b")[0].number == 1


def test_an_opening_that_came_to_no_end_counts(tmp_path: Path) -> None:
    problem = problem_of(table_of(100))
    open_test(tmp_path, problem, "a", "churn", stamp=on(9))
    with pytest.raises(RefusedError, match=r"on 9 Nov 2026 for churn \(study a\), which did not come to an end"):
        check_closed(tmp_path, problem)


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_reason_has_words(tmp_path: Path, reason: str) -> None:
    with pytest.raises(InputError, match="--again takes the reason"):
        open_test(tmp_path, problem_of(table_of(40)), "a", "m", reason)
    assert not ledger_file(tmp_path).exists()


def test_what_gets_its_own_data_has_no_seal() -> None:
    @objective(space=lambda trial: None, metrics={"val_loss": "minimize"})
    def short(run: Any) -> Iterator[dict[str, float]]:
        yield {"val_loss": 0.0}

    form: ShortForm = short
    with pytest.raises(InputError, match="gets its own data"):
        check_closed(Path(), open_problem(form, FileSource(None, None, Path()), seed=0))


def shuffled(dataset: Dataset) -> Dataset:
    order = np.random.default_rng(1).permutation(len(dataset.target))
    features = dataset.features
    assert isinstance(features, pd.DataFrame)
    return replace(dataset, features=features.iloc[order, ::-1].reset_index(drop=True), target=dataset.target[order])


def test_rows_are_known_again_in_another_order_with_more_rows_and_by_another_split(tmp_path: Path) -> None:
    """A fifth of the rows is tested; another split tests a fifth of these again."""
    open_test(tmp_path, problem_of(table_of(400)), "a", "m")
    other = open_test(tmp_path, problem_of(shuffled(table_of(500)), seed=3), "b", "m")
    tested = {*map(tuple, part_rows(problem_of(table_of(400))))}
    shared = sum(tuple(row) in tested for row in part_rows(problem_of(shuffled(table_of(500)), seed=3)))
    assert 5 < shared == other.seen < 40
    assert other.before[0].study == "a"


def test_rows_are_known_again_where_a_class_has_come_in_between(tmp_path: Path) -> None:
    """Its index is what a class has in one file; in a grown one it may be another."""
    dataset = table_of(100)
    problem = problem_of(dataset)
    open_test(tmp_path, problem, "a", "m")
    grown = replace(dataset, classes=("maybe", *dataset.classes), target=dataset.target + 1)
    assert not again(replace(problem, dataset=grown), tmp_path)


def part_rows(problem: Any) -> list[tuple[Any, ...]]:
    part = problem.split.test.open(problem.dataset, "a test")
    return [(row.age, row.town, target) for row, target in zip(part.features.itertuples(), part.target, strict=True)]


def test_splits_are_tried_until_half_of_the_rows_were_seen(tmp_path: Path) -> None:
    """Each seed tests another fifth, so that a few of them leave no row that nobody has seen."""
    dataset, opened = table_of(300), 0
    for seed in range(20):
        problem = problem_of(dataset, seed=seed)
        if not again(problem, tmp_path):
            break
        open_test(tmp_path, problem, f"s{seed}", "m")
        opened += 1
    assert 3 <= opened <= 6


def test_a_column_that_a_split_leaves_out_changes_nothing(tmp_path: Path) -> None:
    dataset = table_of(200)
    features = dataset.features
    assert isinstance(features, pd.DataFrame)
    dataset = replace(dataset, features=features.assign(who=[f"w{row % 40}" for row in range(200)]))
    first = problem_of(dataset, scheme="group:who")
    open_test(tmp_path, first, "a", "m")
    assert first.split is not None
    everything = problem_of(dataset)
    assert everything.split is not None
    shared = np.isin(everything.split.test._sealed(), first.split.test._sealed()).sum()
    assert open_test(tmp_path, everything, "b", "m").seen == shared > 0


HASHED = [
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1.0, 2.0]}), True),
    (pd.DataFrame({"a": [0.0, 2]}), pd.DataFrame({"a": [-0.0, 2]}), True),
    (pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": ["x", np.nan]}), True),
    (pd.DataFrame({"a": ["x", "y"]}), pd.DataFrame({"a": pd.Categorical(["x", "y"])}), True),
    (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), pd.DataFrame({"b": [3, 4], "a": [1, 2]}), True),
    (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), pd.DataFrame({"a": [3, 4], "b": [1, 2]}), False),
    (pd.DataFrame({"a": ["", "y"]}), pd.DataFrame({"a": [None, "y"]}), False),
    (np.zeros((2, 1, 2, 2), np.uint8), np.ones((2, 1, 2, 2), np.uint8), False),
    (np.zeros((2, 3)), -np.zeros((2, 3)), True),
]


@pytest.mark.parametrize(("one", "other", "same"), HASHED)
def test_rows_are_equal_by_what_stands_in_them(one: Any, other: Any, same: bool) -> None:
    target = np.array([0, 1])
    found = hashes_of(Part(one, target)) == hashes_of(Part(other, target))
    assert found.tolist() == [same, same] or (not same and not found.all())


def test_the_target_belongs_to_a_row() -> None:
    rows = pd.DataFrame({"a": [1, 2]})
    assert not (hashes_of(Part(rows, np.array([0, 1]))) == hashes_of(Part(rows, np.array([1, 0])))).any()


def test_large_parts_are_told_by_a_sample() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 100_000, dtype=np.uint64) * np.uint64(2)
    known = Rowprint.from_json(print_of(hashes[:50_000]).to_json())
    assert len(known.hashes) == KEPT
    assert share_among(hashes[25_000:75_000], [known]) == pytest.approx(0.5, abs=0.03)
    assert share_among(hashes[25_000:], [known, print_of(hashes[60_000:])]) == pytest.approx(65 / 75, abs=0.03)
    assert share_among(hashes[50_000:], [known]) == 0


def filled(results: Path) -> bytes:
    """Open rows twice, and return the ledger."""
    for study in ("a", "b"):
        problem = problem_of(table_of(30, seed=ord(study)))
        ended(results, open_test(results, problem, study, "m", stamp=on(1)).opening, version=1, stamp=on(2))
    return ledger_file(results).read_bytes()


def test_a_torn_end_is_cut_and_kept_and_the_rest_stands(tmp_path: Path) -> None:
    whole = filled(tmp_path)
    begins = whole.rfind(b"\n", 0, whole.rfind(b'"kind": "opened"')) + 1  # of the last opening
    path, problem = ledger_file(tmp_path), problem_of(table_of(30, seed=7))
    ends = whole.index(b"\n", begins)
    for size in range(begins + 1, ends, 7):
        path.write_bytes(whole[:size])
        assert [one.study for one in openings_of(tmp_path)] == ["a"]
        open_test(tmp_path, problem, "c", "m")
        assert [one.study for one in openings_of(tmp_path)] == ["a", "c"]
        kept = path.with_name(f"{path.name}.torn-1")
        assert kept.read_bytes() == whole[begins:size]
        kept.unlink()


def test_every_flipped_byte_is_seen(tmp_path: Path) -> None:
    """The end of the last line too, which could pass for a torn one."""
    whole = filled(tmp_path)
    path = ledger_file(tmp_path)
    for place in [*range(0, len(whole), 3), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(SurroundingsError, match=r"openings\.jsonl is damaged at line [1-4]"):
            openings_of(tmp_path)
    with pytest.raises(SurroundingsError, match="damaged at line 4"):
        open_test(tmp_path, problem_of(table_of(30)), "c", "m")


def test_a_line_that_was_taken_out_is_missed(tmp_path: Path) -> None:
    lines = filled(tmp_path).splitlines(keepends=True)
    ledger_file(tmp_path).write_bytes(b"".join(lines[2:]))
    with pytest.raises(SurroundingsError, match="damaged at line 1"):
        openings_of(tmp_path)


@pytest.mark.parametrize("lost", ["gone", "emptied"])
def test_a_ledger_that_is_lost_beside_versions_is_told_and_no_row_comes_out(tmp_path: Path, lost: str) -> None:
    models.three(tmp_path)
    if lost == "emptied":
        ledger_file(tmp_path).write_bytes(b"")
    problem, said = problem_of(table_of(30)), r"openings\.jsonl is gone or empty though churn has versions"
    with pytest.raises(SurroundingsError, match=said):
        check_closed(tmp_path, problem)
    with pytest.raises(SurroundingsError, match=said):
        open_test(tmp_path, problem, "a", "churn")
    assert openings_of(tmp_path) == ()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Have the kernel refuse to write beyond, as a full disk does."""
    import signal

    before, handled = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handled)


def test_no_row_comes_out_that_could_not_be_written_down(tmp_path: Path) -> None:
    whole, problem = filled(tmp_path), problem_of(table_of(30, seed=7))
    with files_of_at_most(len(whole) + 100), pytest.raises(SurroundingsError, match="cannot be written"):
        open_test(tmp_path, problem, "c", "m")
    assert problem.split is not None
    assert not problem.split.test.openings
    assert ledger_file(tmp_path).read_bytes() == whole


ROUNDS = 30


def _try(results: Path, together: Any, won: Any) -> None:
    problem = problem_of(table_of(60))
    for turn in range(ROUNDS):
        together.wait()
        try:
            open_test(results / str(turn), problem, f"p{os.getpid()}", "m")
        except RefusedError:
            continue
        won.release()


def test_of_several_processes_at_once_one_gets_the_rows(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    together, won = context.Barrier(4, timeout=20), context.Semaphore(0)
    running = [context.Process(target=_try, args=(tmp_path, together, won)) for _ in range(4)]
    for one in running:
        one.start()
    for one in running:
        one.join(30)
    assert [one.exitcode for one in running] == [0] * 4
    assert [len(openings_of(tmp_path / str(turn))) for turn in range(ROUNDS)] == [1] * ROUNDS
    assert won.get_value() == ROUNDS


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    ledger_file(tmp_path / "results").parent.mkdir(parents=True)
    ledger_file(tmp_path / "results").symlink_to(elsewhere)
    with pytest.raises(SurroundingsError, match="cannot be written"):
        open_test(tmp_path / "results", problem_of(table_of(30)), "a", "m")
    assert not elsewhere.exists()
