"""Versions never change, aliases move, and every move is kept."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from search.bundle.bundle import MODEL, Bundle
from search.errors import InputError, RefusedError, SurroundingsError
from search.registry.entries import Contents, Facts, Score
from search.registry.registry import Registry
from search.registry.stamp import stamp
from tests.bundle.bundles import tiny
from tests.registry.models import FACTS, add, registry, three


def test_an_added_bundle_is_the_next_version_with_what_is_known_of_it(tmp_path: Path) -> None:
    one = registry(tmp_path)
    assert add(one, {"candidate": None}, number=5) == 1
    assert add(one, number=6) == 2
    contents = one.read()
    version = contents.versions[1]
    assert (version.study, version.trials, version.registered, version.by) == (
        "toy",
        (5,),
        "2026-11-26T18:01:00Z",
        "ada@lab",
    )
    assert (version.scores, version.latency_ms, version.note) == (FACTS.scores, 0.3, "first")
    assert version.size == sum(path.stat().st_size for path in one.folder.version(1).iterdir())
    assert contents.aliases == {"candidate": 1}
    assert one.bundle(1).digest == version.digest
    assert one.bundle(2).manifest.members[0].number == 6
    assert sorted(path.name for path in one.folder.root.iterdir()) == [".lock", "1", "2", "registry.json"]


def test_its_file_has_the_form_that_others_may_read(tmp_path: Path) -> None:
    one = three(tmp_path)
    values = json.loads(one.folder.registry.read_bytes())
    assert set(values) == {"format", "versions", "aliases", "history"}
    assert values["aliases"] == {"production": 3}
    assert values["history"][1] == {
        "when": "2026-11-26T18:02:00Z", "by": "ada@lab", "alias": "production", "from": 1, "to": 2, "how": "add",
        "why": "gate", "study": "toy", "trial": 11,
    }  # fmt: skip
    assert Contents.from_bytes(one.folder.registry.read_bytes()) == one.read()


def test_every_move_is_an_entry_and_none_is_ever_taken_out(tmp_path: Path) -> None:
    one = three(tmp_path)
    before = one.read().history
    one.move("candidate", 1, "to compare")
    one.rollback("too slow")
    one.move("production", 3, "it was not the model")
    history = one.read().history
    assert history[: len(before)] == before
    told = [(move.alias, move.was, move.to, move.how, move.why) for move in history[len(before) :]]
    assert told == [
        ("candidate", None, 1, "move", "to compare"),
        ("production", 3, 2, "rollback", "too slow"),
        ("production", 2, 3, "move", "it was not the model"),
    ]


def test_what_served_when_can_be_read(tmp_path: Path) -> None:
    one = three(tmp_path)
    one.rollback("too slow")
    told = [(each.version, each.since[14:16], (each.until or "")[14:16], each.why) for each in one.served_history()]
    assert told == [
        (1, "01", "02", "gate"),
        (2, "02", "03", "gate"),
        (3, "03", "04", "gate"),
        (2, "04", "", "too slow"),
    ]
    assert one.served_history("candidate") == ()


def test_a_second_rollback_goes_further_back(tmp_path: Path) -> None:
    one = three(tmp_path)
    served = []
    for _ in range(2):
        move = one.rollback("why not")
        assert move is not None
        served.append(move.to)
    assert served == [2, 1]
    with pytest.raises(RefusedError, match="no production version before"):
        one.rollback("once more")
    assert one.read().aliases == {"production": 1}


def test_a_rollback_may_name_its_version_if_that_has_served(tmp_path: Path) -> None:
    one = three(tmp_path)
    add(one)
    with pytest.raises(RefusedError, match="version 4 of churn never was in production"):
        one.rollback("", to=4)
    with pytest.raises(InputError, match="no version 9"):
        one.rollback("", to=9)
    move = one.rollback("", to=1)
    assert move is not None
    assert (move.was, move.to) == (3, 1)
    assert one.rollback("", to=1) is None


def test_a_move_to_where_an_alias_is_leaves_no_entry(tmp_path: Path) -> None:
    one = three(tmp_path)
    before = one.state()
    assert one.move("production", 3, "again") is None
    assert one.state() == before


@pytest.mark.parametrize("change", ["rollback", "move"])
def test_an_alias_never_moves_to_a_damaged_version(tmp_path: Path, change: str) -> None:
    one = three(tmp_path)
    with (one.folder.version(2) / MODEL).open("ab") as file:
        file.write(b"x")
    with pytest.raises(RefusedError, match=r"model.onnx is not as its manifest says"):
        one.rollback("") if change == "rollback" else one.move("production", 2, "")
    assert one.read().aliases == {"production": 3}
    assert one.rollback("", to=1)


def test_a_version_that_was_put_in_place_of_another_is_refused(tmp_path: Path) -> None:
    """A whole bundle, but not the one that was registered."""
    one = three(tmp_path)
    shutil.rmtree(one.folder.version(2))
    tiny(one.folder.version(2), shift=100.0)
    with pytest.raises(RefusedError, match=r"manifest.json is not as the registry says"):
        one.rollback("")
    shutil.rmtree(one.folder.version(2))
    with pytest.raises(RefusedError, match="not there any more"):
        one.rollback("")


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    one = three(tmp_path)
    shutil.rmtree(one.folder.version(3))
    assert add(one) == 4
    shutil.copytree(one.folder.version(4), one.folder.version(9))  # of a later registry, whose file was lost
    assert add(one) == 10
    assert one.folder.version(9).is_dir()


def test_what_was_not_compared_with_is_not_replaced(tmp_path: Path) -> None:
    """Two promotions ran at once: the slower one was held against what is no longer in production."""
    one = three(tmp_path)
    with pytest.raises(RefusedError, match="production points at version 3 by now, not at 2"):
        add(one, {"production": 2})
    with pytest.raises(RefusedError, match="production points at version 3 by now, not at none"):
        add(one, {"production": None})
    with pytest.raises(RefusedError, match="candidate points at version none by now, not at 1"):
        add(one, {"candidate": 1})
    assert sorted(one.read().versions) == [1, 2, 3]


def test_a_damaged_bundle_does_not_become_a_version(tmp_path: Path) -> None:
    one = registry(tmp_path)
    with one.staging() as staged:
        tiny(staged)
        (staged / MODEL).write_bytes(b"")
        with pytest.raises(RefusedError, match=MODEL):
            one.add(staged, FACTS, {}, "")
    assert not one.exists()
    assert not staged.exists()


@pytest.mark.parametrize("alias", ["", "a b", "../x", "a/b", "a" * 101, "a\n"])
def test_aliases_are_names(tmp_path: Path, alias: str) -> None:
    one = three(tmp_path)
    with pytest.raises(InputError, match="an alias is 1-100 of letters"):
        one.move(alias, 1, "")
    with pytest.raises(InputError, match="an alias is 1-100 of letters"):
        add(one, {alias: None})


def test_an_alias_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an alias is no number, got '1': 1 is a version"):
        three(tmp_path).move("1", 2, "")


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "a" * 101, "a:1", "a@b"])
def test_so_are_models(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="a model name is 1-100 of letters"):
        Registry.of(tmp_path, name)


def test_a_model_that_is_not_there_gets_no_folder_by_a_question(tmp_path: Path) -> None:
    one = registry(tmp_path)
    with pytest.raises(InputError, match="no model 'churn'"):
        one.move("production", 1, "")
    with pytest.raises(InputError, match="no model 'churn'"):
        one.rollback("")
    assert one.read() == Contents()
    assert one.state() is None
    assert list(tmp_path.iterdir()) == []


def test_state_differs_after_every_change(tmp_path: Path) -> None:
    one = three(tmp_path)
    seen = [one.state()]
    for version in (1, 2, 1, 2):
        one.move("production", version, "")
        seen.append(one.state())
    assert all(this != that for this, that in pairwise(seen))


def damaged(**changed: Any) -> Any:
    return lambda values: json.dumps({**values, **changed}).encode()


DAMAGES: list[tuple[Any, str]] = [
    (lambda values: b"", "Expecting value"),
    (lambda values: json.dumps(values).encode()[:-9], "Unterminated|Expecting"),
    (lambda values: b"[]", "no format"),
    (lambda values: json.dumps(values).encode() + b"x", "Extra data"),
    (damaged(format=2), "no format"),
    (damaged(aliases={"production": 9}), "aliases"),
    (damaged(aliases={"production": 2}), "aliases"),
    (damaged(aliases={}), "aliases"),
    (damaged(aliases=[]), "aliases"),
    (damaged(versions={}), "history"),
    (damaged(versions={"one": {}}), "is missing"),
    (damaged(history=[]), "aliases"),
    (damaged(history=[{}]), "no from"),
    (damaged(history=None), "history"),
    (damaged(more=1), "more is not known"),
    (lambda values: json.dumps({**values, "history": values["history"][1:]}).encode(), "history"),
    (lambda values: json.dumps({**values, "history": values["history"][::-1]}).encode(), "history"),
    (lambda values: json.dumps(values).encode().replace(b'"3": {', b'"03": {'), "history|number"),
    (lambda values: json.dumps(values).encode().replace(b'"digest": "', b'"digest": "x', 1), "digest"),
    (lambda values: json.dumps(values).encode().replace(b'"digest"', b'"digits"', 1), "digits is not known"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_a_damaged_file_is_told_and_never_replaced(tmp_path: Path, damage: Any, said: str) -> None:
    one = three(tmp_path)
    path = one.folder.registry
    path.write_bytes(damage(json.loads(path.read_bytes())))
    before = path.read_bytes()
    for use in (one.read, lambda: one.move("production", 1, ""), lambda: one.rollback(""), lambda: add(one)):
        with pytest.raises(SurroundingsError, match=rf"registry.json is damaged: .*{said}"):
            use()
    assert path.read_bytes() == before
    assert Bundle.open(one.folder.version(3))


def test_a_lost_file_is_told_and_not_made_anew(tmp_path: Path) -> None:
    one = three(tmp_path)
    one.folder.registry.unlink()
    for use in (one.read, lambda: one.rollback(""), lambda: add(one)):
        with pytest.raises(SurroundingsError, match=r"registry.json is gone, though versions lie beside it"):
            use()
    assert not one.folder.registry.exists()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_scores_must_be_numbers_that_json_has(wrong: float) -> None:
    for numbers in ((wrong,), (0.5, wrong), (0.5, None, wrong)):
        with pytest.raises(ValueError, match="expected finite numbers"):
            Score("accuracy", *numbers)


def test_what_cannot_be_written_leaves_the_bundle_where_it_is(tmp_path: Path) -> None:
    one = registry(tmp_path)
    with one.staging() as staged:
        tiny(staged)
        with pytest.raises(ValueError, match="JSON compliant"):
            one.add(staged, Facts(latency_ms=float("nan")), {}, "")
        assert one.add(staged, FACTS, {}, "") == 1


FULL = """
import resource, signal, sys
from pathlib import Path
from search.errors import SurroundingsError
from search.registry.entries import Facts
from search.registry.registry import Registry
one = Registry.of(Path(sys.argv[1]), "churn")
staged = next(one.folder.root.glob(".staged-*"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    one.add(staged, Facts(note="x" * 5000), {"production": 3}, "")
except SurroundingsError as error:
    sys.stdout.write(error.message)
    assert staged.is_dir(), "the bundle is lost"
"""


@pytest.mark.parametrize("left", [0, 5, 2000])
def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, left: int) -> None:
    one = three(tmp_path)
    before = one.folder.registry.read_bytes()
    with one.staging() as staged:
        tiny(staged)
        done = subprocess.run(
            [sys.executable, "-c", FULL, str(tmp_path), str(left)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"cannot be written: {os.strerror(errno.EFBIG)}")
    assert one.folder.registry.read_bytes() == before
    assert add(one, {"production": 3}) == 4
    assert sorted(path.name for path in one.folder.root.iterdir()) == [".lock", "1", "2", "3", "4", "registry.json"]


def test_a_stamp_says_when_in_utc_and_by_whom() -> None:
    when, by = stamp()
    assert len(when) == len("2026-11-26T18:01:00Z")
    assert when.endswith("Z")
    assert "@" in by
