"""What is told of a study while it is followed adds up to what it came to, however often one looks."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from search.errors import FailReason
from search.records.following import Following
from search.records.study import read, status
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress
from tests.records import histories
from tests.records.owners import folder_of
from tests.study.studies import flat_space


@pytest.mark.parametrize("seed", range(12))
def test_looking_often_or_once_tells_the_same(tmp_path: Path, seed: int) -> None:
    folder = histories.write(tmp_path, seed)
    whole = folder.journal.read_bytes()
    cuts = histories.cuts(whole, random.Random(seed), 10)
    folder.journal.write_bytes(whole[: cuts[0]])
    following, often = Following(folder, from_start=True), []
    for cut in cuts:
        folder.journal.write_bytes(whole[:cut])
        often += [*following.look()]
    once = [*Following(folder, from_start=True).look()]
    counts = [
        Counter((event.kind, event.number, str(event.more.get("step"))) for event in events if event.kind != "best")
        for events in (often, once)
    ]
    if all(event.kind != "paused" for event in once):  # which nobody's trial is at each look
        assert counts[0] == counts[1]
    ends = Counter(event.kind for event in once)
    totals = read(folder).records.totals.counts
    assert (ends["completed"], ends["pruned"], ends["failed"]) == (totals["complete"], totals["pruned"], totals["fail"])
    assert repr(status(following.study).best) == repr(status(read(folder)).best)


@pytest.mark.parametrize("change", ["cut", "replaced"])
def test_a_journal_that_is_cut_or_replaced_is_read_anew(tmp_path: Path, change: str) -> None:
    folder = histories.write(tmp_path, 2)
    following = Following(folder)
    whole = folder.journal.read_bytes()
    half = whole[: whole.index(b"\n", len(whole) // 2) + 1]
    if change == "replaced":
        folder.journal.rename(folder.root / "old")
    folder.journal.write_bytes(half)
    assert [*following.look()] == []
    assert len(following.study.records) == len(read(folder).records)
    folder.journal.write_bytes(whole)
    assert following.is_cheap
    for _ in following.look():
        pass
    assert len(following.study.records) == len(read(folder).records)


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
@pytest.mark.parametrize("seed", range(3))
def test_the_owner_and_whoever_reads_agree(tmp_path: Path, storage: str, seed: int) -> None:
    dice = random.Random(seed)
    url = None if storage == "journal" else f"sqlite:///{tmp_path}/study.db"
    folder, plan = folder_of(tmp_path, "a", storage=url, trials=12, enqueued=({"x": 0.5}, {"n": 3}))
    owner = StudyOwner.open(plan, folder.root, flat_space, slots=3, run=Run("one"))
    owner.prepare({"val_loss": 0.69})
    following, told, running = Following(folder), [], {}
    for turn in range(40):
        spec = owner.ask(f"slot:{turn}").spec
        if spec is not None:
            running[spec.number] = 0
            owner.begin(spec.number, f"t{spec.number}")
        if running:
            number = dice.choice([*running])
            running[number] += 1
            metrics = {"val_loss": dice.random(), "val_accuracy": 0.5}
            owner.report(number, f"t{number}", Progress(running[number], metrics, 1))
            if dice.random() < 0.4:
                ending = dice.choice((Ending.COMPLETE, Ending.PRUNED, Ending.FAIL, Ending.PAUSED))
                reason = FailReason.NAN if ending is Ending.FAIL else None
                owner.tell(number, f"t{number}", Outcome(ending, running.pop(number), metrics, reason=reason))
        if turn % 4 == 0 or storage == "journal":
            told += [*following.look()]
            for found in (following.study, read(folder)):
                assert replace(status(found), seconds=0) == replace(owner.status(), seconds=0, state="running")
                assert status(found).seconds == pytest.approx(owner.status().seconds, abs=0.5)
    ended = owner.finish()
    owner.close()
    told += [*following.look()]
    assert following.is_over
    assert replace(status(following.study), seconds=0) == replace(ended, seconds=0)
    assert status(following.study).seconds == pytest.approx(ended.seconds, abs=0.05)
    kinds = Counter(event.kind for event in told)
    states = ("complete", "pruned", "fail")
    assert [kinds[kind] for kind in ("completed", "pruned", "failed")] == [ended.trials[one] for one in states]
