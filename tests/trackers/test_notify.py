"""What is posted to a URL while a sweep runs, to a real server, whatever that does."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from search.errors import RefusedError, SurroundingsError
from search.notify import Notifier
from search.plan import SweepPlan
from search.records.study import read
from search.records.study import status as status_of
from search.status import Status
from search.trackers.hearers import Hearers
from tests.trackers.hooks import Hook
from tests.trackers.tracked import Study, until


def hearers(study: Study, url: str, said: list[str]) -> Hearers:
    plan = SweepPlan.from_json({**read(study.folder).plan.to_json(), "notify": url})
    return Hearers(plan, study.folder, said.append)


def standing(study: Study) -> Status:
    return status_of(read(study.folder))


def test_a_best_and_the_end_are_posted_with_where_the_study_stands(tmp_path: Path, hook: Hook) -> None:
    study, said = Study(tmp_path), list[str]()
    with hearers(study, hook.url, said) as heard:
        view = heard.heard(lambda _: None)
        view(standing(study))
        study.trial([0.5])
        view(standing(study))
        until(lambda: hook.posted)
        study.trial([0.25])
        view(standing(study))  # within ten seconds: the last word has it
        heard.end(study.close())
    assert hook.events == ["best", "ended"]
    told = hook.posted[1][1]
    assert told == {"event": "ended", **standing(study).to_json()}
    assert (hook.posted[0][1]["best"]["value"], told["best"]["value"]) == (0.5, 0.25)
    assert said == []


def test_who_waits_at_the_end_is_told_for_what(tmp_path: Path, hook: Hook) -> None:
    hook.slow_s = 4.0
    study, said = Study(tmp_path), list[str]()
    with hearers(study, hook.url, said) as heard:
        heard.heard(lambda _: None)(standing(study))
        heard.end(study.close())
    assert hook.events == ["ended"]
    assert said == ["waiting at most 10 s for what trackers and hooks have not taken yet"]


def test_bests_of_an_earlier_run_are_no_news(tmp_path: Path, hook: Hook) -> None:
    study = Study(tmp_path)
    study.trial([0.5])
    with hearers(study, hook.url, []) as heard:
        view = heard.heard(lambda _: None)
        view(standing(study))
        study.trial([0.75])
        view(standing(study))
        heard.end(study.close())
    assert hook.events == ["ended"]


def test_of_bests_that_come_fast_the_last_one_is_posted(hook: Hook) -> None:
    notifier = Notifier(hook.url, pytest.fail, every_s=0.3)
    notifier.start()
    for number in range(5):
        notifier.best({"event": "best", "number": number})
        time.sleep(0.02)
    until(lambda: len(hook.posted) == 2)
    notifier.best({"event": "best", "number": 9})
    notifier.end({"event": "ended"})
    notifier.wait(time.monotonic() + 10)
    assert [told.get("number") for _, told in hook.posted] == [0, 4, None]


def test_a_sweep_that_breaks_off_has_failed(tmp_path: Path, hook: Hook) -> None:
    study = Study(tmp_path)

    def break_off() -> None:
        with hearers(study, hook.url, []) as heard:
            heard.heard(lambda _: None)(standing(study))
            raise SurroundingsError("the Ray cluster was lost", field="ray")

    with pytest.raises(SurroundingsError):
        break_off()
    study.close()
    ((_, told),) = hook.posted
    assert (told["event"], told["study"], told["error"]["message"]) == ("failed", "t", "the Ray cluster was lost")
    assert told["state"] == "failed"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SurroundingsError("Ray does not start"), [("failed", "failed", "Ray does not start")]),
        (KeyboardInterrupt(), [("ended", "interrupted", None)]),
        (RefusedError("another process runs it"), []),
    ],
    ids=["fails", "is stopped", "is refused"],
)
@pytest.mark.parametrize("begun", [False, True])
def test_the_last_word_says_how_a_sweep_ended_also_one_that_never_began(
    tmp_path: Path, hook: Hook, error: BaseException, told: list[tuple[str, str, str | None]], begun: bool
) -> None:
    study = Study(tmp_path)

    def break_off() -> None:
        with hearers(study, hook.url, []) as heard:
            if begun:
                heard.heard(lambda _: None)(standing(study))
            raise error

    with pytest.raises(type(error)):
        break_off()
    study.close()
    if begun and not told:
        told = [("failed", "failed", str(error))]
    found = [(one["event"], one["state"], one.get("error", {}).get("message")) for _, one in hook.posted]
    assert found == told
    assert {one["study"] for _, one in hook.posted} <= {"t"}


def posted(url: str) -> tuple[list[str], float]:
    """Post one last word; return what was said of it, and the seconds that it took."""
    said: list[str] = []
    notifier = Notifier(url, said.append, back_off_s=0.05)
    began = time.monotonic()
    notifier.start()
    notifier.end({"event": "ended"})
    notifier.wait(time.monotonic() + 30)
    return said, time.monotonic() - began


@pytest.mark.parametrize(
    ("answers", "tries", "why"),
    [
        ([500, 503, 204], 3, ""),
        ([500], 3, "status 500"),
        ([404], 1, "status 404"),
        ([302], 1, "status 302"),
    ],
)
def test_a_server_that_fails_is_asked_again_and_a_redirect_is_not_followed(
    hook: Hook, answers: list[int], tries: int, why: str
) -> None:
    hook.answers = answers
    said, _ = posted(f"{hook.url}/secret/path")
    assert len(hook.posted) == tries
    assert {path for path, _ in hook.posted} == {"/secret/path"}
    expected = f"notify: {hook.url} did not take what was posted: {why}; the sweep goes on without it"
    assert said == ([expected] if why else [])


def test_a_best_that_is_tried_again_is_not_waited_for_by_the_last_word(hook: Hook) -> None:
    hook.answers = [500, 200]
    notifier = Notifier(hook.url, pytest.fail, back_off_s=60)
    notifier.start()
    notifier.best({"event": "best"})
    until(lambda: hook.posted)
    notifier.end({"event": "ended"})
    notifier.wait(time.monotonic() + 20)
    assert hook.events == ["best", "ended"]


def test_half_a_letter_loses_no_message(hook: Hook) -> None:
    said: list[str] = []
    notifier = Notifier(hook.url, said.append)
    notifier.start()
    notifier.end({"event": "ended", "study": "\ud800é"})
    notifier.wait(time.monotonic() + 20)
    assert [one["study"] for _, one in hook.posted] == ["\ud800é"]
    assert said == []


def test_nobody_there_is_told_once(hook: Hook) -> None:
    hook.server_close()
    said, seconds = posted(hook.url)
    assert said == [f"notify: {hook.url} did not take what was posted: ConnectError; the sweep goes on without it"]
    assert seconds < 15


def test_a_slow_server_holds_nobody_up(hook: Hook) -> None:
    hook.slow_s = 5.0
    said: list[str] = []
    notifier = Notifier(hook.url, said.append)
    notifier.start()
    began = time.monotonic()
    for number in range(100):
        notifier.best({"event": "best", "number": number})
    notifier.end({"event": "ended"})
    assert time.monotonic() - began < 1
    notifier.wait(time.monotonic() + 0.2)
    assert said == [f"notify: {hook.url} did not take what was posted: no answer in time; the sweep goes on without it"]


def test_a_secret_goes_into_the_request_and_into_nothing_else(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SWEEP_TEST_KEY", "s3cret/+")
    hook.answers = [404]
    with caplog.at_level(logging.DEBUG):
        said, _ = posted(f"{hook.url}/x?key=${{SWEEP_TEST_KEY}}")
    assert hook.posted[0][0] == "/x?key=s3cret%2F%2B"
    assert "s3cret" not in f"{said} {caplog.text}"


def test_a_notifier_that_ends_leaves_the_secret_of_another_one_unlogged(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SWEEP_TEST_KEY", "s3cret")
    both = [Notifier(f"{hook.url}/${{SWEEP_TEST_KEY}}", pytest.fail) for _ in range(2)]
    with caplog.at_level(logging.INFO):
        for one in both:
            one.start()
        until(lambda: logging.getLogger("httpx").filters)
        for one in both:
            one.end({"event": "ended"})
            one.wait(time.monotonic() + 20)
    assert [path for path, _ in hook.posted] == ["/s3cret"] * 2
    assert "s3cret" not in caplog.text
