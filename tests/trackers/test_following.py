"""A tracker is told all that happens, once, and is never waited for."""

from __future__ import annotations

import math
import sys
import threading
import time
from pathlib import Path

import pytest

from search.errors import FailReason
from search.paths import StudyFolder
from search.records.events import Event
from search.records.study import read
from search.trackers.chosen import Chosen
from search.trackers.following import Tracking, _Teller
from search.trackers.marks import Mark, Marks
from search.trial import Ending, Outcome, Progress
from tests.trackers.tracked import Failing, Study, Written, tracking, until

BOTH = "{'val_loss': 0.5, 'val_accuracy': 0.5}"


def test_a_tracker_is_told_what_happens_in_order(tmp_path: Path) -> None:
    study, tracker = Study(tmp_path), Written()
    with tracking(study, "wandb", made=tracker) as (_, said):
        study.trial([0.5, 0.25])
        until(lambda: len(tracker.calls) == 5)
        study.trial([0.5], Ending.FAIL, reason=FailReason.NAN, text="nan")
        study.trial([0.5], None)
        study.close()
    assert tracker.calls == [
        "begin t new",
        "start 0 new with 2",
        f"report run 0 1 {BOTH}",
        "report run 0 2 {'val_loss': 0.25, 'val_accuracy': 0.75}",
        "end run 0 complete None",
        "start 1 new with 2",
        f"report run 1 1 {BOTH}",
        *(call for call in tracker.calls if call.startswith(("start 2", "report run 2", "end run 1"))),
        "finish the study 3",
    ]
    assert "end run 1 fail nan" in tracker.calls
    assert f"report run 2 1 {BOTH}" in tracker.calls
    assert said == []


def test_a_resume_goes_on_in_the_same_runs_and_tells_nothing_twice(tmp_path: Path) -> None:
    first, again = Written(), Written()
    study = Study(tmp_path)
    with tracking(study, "wandb", made=first):
        study.trial([0.5])
        study.trial([0.5], None)
        study.owner.stop("interrupted", "SIGINT was received")
        study.owner.report(1, "one1", _progress(2))
        study.close()
    study = Study(tmp_path, "two")
    with tracking(study, "wandb", made=again):
        until(lambda: again.calls)
        spec = study.owner.ask("slot again:0").spec
        assert spec is not None
        assert spec.number == 1
        study.owner.begin(1, "again")
        study.owner.report(1, "again", _progress(3))
        study.owner.tell(1, "again", _outcome(3))
        study.close()
    assert again.calls == [
        "begin t the study",
        "start 1 run 1 with 2",
        f"report run 1 3 {BOTH}",
        "end run 1 complete None",
        "finish the study 2",
    ]
    assert [call for call in first.calls if call.startswith("report run 1")] == [
        f"report run 1 1 {BOTH}",
        f"report run 1 2 {BOTH}",
    ]


def _progress(step: int) -> Progress:
    return Progress(step, {"val_loss": 0.5, "val_accuracy": 0.5}, step)


def _outcome(step: int) -> Outcome:
    return Outcome(Ending.COMPLETE, step, {"val_loss": 0.5}, step)


@pytest.mark.parametrize("at", ["begin", "start 1", "report run 1", "end run 1"])
def test_a_tracker_that_raises_is_told_of_once_and_the_next_run_tells_it_the_rest(tmp_path: Path, at: str) -> None:
    failing, again = Failing(at), Written()
    study = Study(tmp_path)
    with tracking(study, "mlflow", made=failing) as (thread, said):
        for _ in range(3):
            study.trial([0.5])
        study.close()
        thread.join()
    assert said == ["tracker mlflow is off: ConnectionError the server is down; a resume tries again"]
    study = Study(tmp_path, "two")
    with tracking(study, "mlflow", made=again):
        study.close()
    told = [call for call in (*failing.calls, *again.calls) if call.startswith(("report", "end"))]
    assert sorted(told) == sorted(
        line for number in range(3) for line in (f"report run {number} 1 {BOTH}", f"end run {number} complete None")
    )


def test_a_tracker_that_hangs_is_let_go_while_the_sweep_runs(tmp_path: Path) -> None:
    study, tracker = Study(tmp_path), Written()
    tracker.going_on.clear()
    with tracking(study, "mlflow", made=tracker, hangs_s=0.05) as (thread, said):
        until(lambda: thread._busy_since)
        time.sleep(0.1)
        for _ in range(2):
            thread.look_after()
        assert len(said) == 1
        began = time.monotonic()
        thread.wait(began + 20)
        assert time.monotonic() - began < 5
        study.close()
    assert said == ["tracker mlflow is off: it has not answered for 0 s; a resume tries again"]
    tracker.going_on.set()
    thread.join(5)
    assert not thread.is_alive()
    assert tracker.calls == ["abandon", "begin t new"]


SECRETS = [
    "API request to http://bob:s3cret@h:9/api/2.0 failed",
    "http://bob:s3/cret@h:9/api",
    "postgresql://h/db?password=s3cret is no database",
    "the key 's3cret' is not known",
]


@pytest.mark.parametrize("said_by_it", SECRETS)
def test_what_a_tracker_says_is_told_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said_by_it: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "s3cret")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3/cret")
    study = Study(tmp_path)
    with tracking(study, "mlflow", made=Failing("begin", said_by_it)) as (thread, said):
        thread.join(30)
        study.close()
    assert len(said) == 1
    assert "cret" not in said[0]


def test_a_user_is_left_out_of_what_is_told(tmp_path: Path) -> None:
    study = Study(tmp_path)
    with tracking(study, "mlflow", made=Failing("begin", SECRETS[0])) as (thread, said):
        thread.join(30)
        study.close()
    assert said == [
        "tracker mlflow is off: ConnectionError API request to http://h:9/api/2.0 failed; a resume tries again"
    ]


def test_a_tracker_is_let_go_once_whoever_does_it(tmp_path: Path) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(1000):
            tracker, said, ready = Written(), list[str](), threading.Barrier(2)
            one = Tracking(Chosen("mlflow"), StudyFolder(tmp_path), said.append, tracker)

            def let_go(one: Tracking = one, ready: threading.Barrier = ready) -> None:
                ready.wait()
                one._let_go("why")

            threads = [threading.Thread(target=let_go) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert (len(said), tracker.calls) == (1, ["abandon"])
    finally:
        sys.setswitchinterval(before)


def test_many_ends_at_once_are_told_in_time_that_grows_with_them_alone(tmp_path: Path) -> None:
    tracker, study, count = Written(), Study(tmp_path), 30_000
    study.trial([0.5])
    with tracking(study, "mlflow", made=tracker) as (thread, _):
        until(lambda: len(tracker.calls) == 4)
        teller = _Teller(tracker, Marks(tmp_path / "m.jsonl"), thread)
        record = read(study.folder).records[0]
        ended = [Event("completed", number, None, {}) for number in range(1, 1 + count)]
        began = time.process_time()
        teller.tell(ended, lambda _: record)
        assert time.process_time() - began < 4
        study.close()


def test_a_slow_tracker_is_not_waited_for_when_the_sweep_has_ended(tmp_path: Path) -> None:
    study, tracker = Study(tmp_path), Written()
    study.trial([0.5])
    status = study.close()
    tracker.going_on.clear()
    with tracking(study, "mlflow", made=tracker) as (thread, said):
        thread.finish(status)
        began = time.monotonic()
        thread.wait(began + 0.2)
        assert time.monotonic() - began < 5
    tracker.going_on.set()
    assert said == ["tracker mlflow is off: it was not done in time when the sweep had ended; a resume tries again"]


def test_only_finite_numbers_are_told(tmp_path: Path) -> None:
    tracker = Written()
    study = Study(tmp_path)
    with tracking(study, "mlflow", made=tracker) as (thread, _):
        until(lambda: tracker.calls)
        teller = _Teller(tracker, Marks(tmp_path / "m.jsonl"), thread)
        teller.tell(
            [
                Event("started", 7, None, {"params": {}, "attempt": 1}),
                Event("epoch", 7, None, {"step": 1, "value": 0.5, "metrics": {"a": 0.5, "b": math.nan, "c": math.inf}}),
            ],
            lambda number: read(study.folder).records[number],
        )
        study.close()
    assert "report run 7 1 {'a': 0.5}" in tracker.calls


def test_marks_are_read_back_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "trackers" / "m.jsonl"
    marks = Marks(path)
    for number, step in ((3, 1), (4, 2), (3, 5)):
        mark = marks.of(number)
        mark.run, mark.step, mark.ended = f"r{number}", step, step == 5
        marks.keep([number])
    with path.open("a") as file:
        file.write('{"trial": 3, "run": "r3", "st')
    again = Marks(path)
    assert [again.of(3), again.of(4), again.of(5)] == [Mark("r3", 5, True), Mark("r4", 2, False), Mark()]
    again.of(5).run = "r5"
    again.keep([5])
    assert Marks(path).of(5) == Mark("r5", 0, False)
