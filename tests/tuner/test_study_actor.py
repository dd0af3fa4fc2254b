"""The study actor's own rules, in this process: wishes over runs, servers on their way, points that no longer fit."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.choosing import choose
from search.errors import RefusedError, SweepError
from search.launch import Launch, prepare
from search.paths import StudyFolder
from search.study import wishes
from search.study.lock import acquire, announce, living_holder, withdraw
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress, Verdict
from search.tuner.apart import space_to_draw_from
from search.tuner.lost import LOST_STARTS
from search.tuner.orders import Orders
from search.tuner.study_actor import StudyActor
from tests.tuner.sweeps import stored, write

SPACE = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 10.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def one(run):
    yield {"val_loss": run.params["train.x"]}
"""


class Sweep:
    """Study actors of one study, one after the other, in this process."""

    def __init__(self, folder: Path, **flags: Any) -> None:
        given = {"study": "s", "seed": 0, "trials": 4, "max-epochs": 3, "pruner": "none", **flags}
        self.launch: Launch = prepare(str(write(folder, SPACE)), choose(given), results=folder, folder=folder)
        self.folder = StudyFolder(self.launch.folder.root)
        self.folder.root.mkdir()
        self.folder.plan.write_text(json.dumps(self.launch.record()))
        self.opened: list[StudyActor] = []

    def open(self, run: str, *, accept_changes: bool = False, **plan: Any) -> StudyActor:
        orders = Orders(
            plan=replace(self.launch.plan, **plan),
            folder=self.folder.root,
            slots=4,
            baseline={},
            run=Run(run),
            driver=os.getpid(),
            since_ns=time.time_ns(),
            accept_changes=accept_changes,
            space_hash=self.launch.space_hash,
        )
        self.opened.append(StudyActor(orders))
        return self.opened[-1]

    def kill(self, actor: StudyActor) -> None:
        """Leave the storage as a kill would; the lock goes with the process."""
        if actor._owner is not None:
            actor._owner._parts.storage._lock.forget()
            actor._owner._parts.storage._close()
            actor._owner = None

    def close(self) -> None:
        for actor in self.opened:
            self.kill(actor)


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    made = Sweep(tmp_path)
    yield made
    made.close()


def begin(actor: StudyActor, request: str) -> int:
    spec = actor.ask(request).spec
    assert spec is not None
    actor.begin(spec.number, f"token {request}", "here:1", "")
    return spec.number


def end(actor: StudyActor, number: int, request: str, ending: Ending = Ending.COMPLETE) -> None:
    actor.report(number, f"token {request}", Progress(1, {"val_loss": 1.0}, 1))
    actor.tell(number, f"token {request}", Outcome(ending, 1, {"val_loss": 1.0}), None)


@pytest.mark.parametrize("now", [True, False])
def test_a_wish_to_stop_ends_one_run_and_not_the_next(sweep: Sweep, now: bool) -> None:
    first = sweep.open("first")
    begin(first, "slot:0")
    wishes.post(sweep.folder, "stop", now=now)
    standing = first.standing()
    assert standing.at_once is now
    assert standing.status is not None
    assert standing.status.state == "stopped"
    assert standing.status.why_stopped == "it was asked to, by `sweep stop` or from where it was shown"
    sweep.kill(first)  # before it could take the wish back in order
    second = sweep.open("second")
    again = second.standing()
    assert again.at_once is False
    assert again.status is not None
    assert again.status.state == "running"
    assert begin(second, "slot:0") == 0


def test_a_stop_of_this_run_is_found_again_by_a_restarted_server(sweep: Sweep) -> None:
    first = sweep.open("first")
    wishes.post(sweep.folder, "stop", now=False)
    sweep.kill(first)
    again = StudyActor(first.orders())
    sweep.opened.append(again)
    status = again.standing().status
    assert status is not None
    assert status.state == "stopped"


def test_a_point_that_the_space_no_longer_allows_fails_alone(sweep: Sweep) -> None:
    actor = sweep.open("first")
    for value in (99.0, 5.0):
        wishes.post(sweep.folder, "enqueue", points=[{"train.x": value}])
    actor.standing()
    spec = actor.ask("slot:0").spec
    assert spec is not None
    assert spec.params == {"train.x": 5.0}
    assert actor.trouble() is None
    refused = stored(sweep.folder.root.parent)[0]
    assert refused.state.name == "FAIL"
    assert refused.system_attrs["sweep:end"]["reason"] == "invalid"
    assert "train.x=99 is outside [0, 10]" in refused.system_attrs["sweep:end"]["text"]


def test_a_total_that_a_resume_lowers_is_not_exceeded_by_paused_trials(sweep: Sweep) -> None:
    first = sweep.open("first")
    for slot in range(4):
        begin(first, f"slot{slot}:0")
    first.finish()
    second = sweep.open("second", trials=2)
    given = [second.ask(f"slot{slot}:1").spec for slot in range(4)]
    assert [spec is not None for spec in given] == [True, True, False, False]
    for slot, spec in enumerate(given[:2]):
        assert spec is not None
        second.begin(spec.number, f"token slot{slot}:1", "here:1", "")
        end(second, spec.number, f"slot{slot}:1")
    assert second.ask("slot3:2").done == "2 of 2 trials"


def test_a_lost_machine_is_never_told_as_a_time_out(sweep: Sweep) -> None:
    actor = sweep.open("first", trial_timeout_s=1.0)
    number = begin(actor, "slot:0")
    assert actor._owner is not None
    held = actor._owner._hands.get(number)
    assert held is not None
    assert held.began is not None
    held.began -= 1000.0  # its node went, and it took long until there was another
    actor.killed("slot", [2])  # another process had the memory of its machine
    assert actor.begin(number, "another", "there:2", "").action == "resume"
    status = actor.standing().status
    assert status is not None
    assert status.failures == {}


def test_a_run_that_was_finished_keeps_its_reason_when_its_server_restarts(sweep: Sweep) -> None:
    first = sweep.open("first")
    first.stop("interrupted", "SIGINT was received")
    assert first._owner is not None
    first._owner.finish()
    sweep.kill(first)  # before it could answer
    again = StudyActor(first.orders())
    sweep.opened.append(again)
    status = again.finish()
    assert status is not None
    assert (status.state, status.why_stopped) == ("interrupted", "SIGINT was received")


def test_what_is_told_to_a_study_that_could_not_be_opened_does_not_pass_for_told(sweep: Sweep) -> None:
    first = sweep.open("first")
    number = begin(first, "slot:0")
    sweep.kill(first)
    broken = sweep.folder.journal.read_bytes()
    sweep.folder.journal.write_bytes(b"{}\n" + broken)
    again = StudyActor(first.orders())
    assert again.trouble() is not None
    for call in (
        lambda: again.report(number, "token slot:0", Progress(1, {"val_loss": 1.0}, 1)),
        lambda: again.tell(number, "token slot:0", Outcome(Ending.COMPLETE, 1, {"val_loss": 1.0}), None),
    ):
        with pytest.raises(SweepError):
            call()


def test_a_worker_that_no_longer_has_the_trial_is_told_to_leave_it_alone(sweep: Sweep) -> None:
    actor = sweep.open("first")
    number = begin(actor, "slot:0")
    actor.begin(number, "another", "there:2", "")
    assert actor.report(number, "token slot:0", Progress(1, {"val_loss": 1.0}, 1)) == Verdict.GONE
    end(actor, number, "slot:0")  # a late word
    assert stored(sweep.folder.root.parent)[0].state.name == "RUNNING"


def test_a_checkpoint_goes_only_when_the_end_that_spares_it_is_on_the_disk(sweep: Sweep) -> None:
    actor = sweep.open("first")
    owner = actor._owner
    assert owner is not None
    number = begin(actor, "slot:0")
    owner.sync()
    owner.report(number, "token slot:0", Progress(1, {"val_loss": 1.0}, 1))
    owner.tell(number, "token slot:0", Outcome(Ending.PRUNED, 1, {"val_loss": 1.0}))
    assert owner.checkpoints.take_spare() == []  # syncs are a tenth of a second apart
    owner.sync()
    assert owner.checkpoints.take_spare() == [number]


def test_workers_that_die_before_they_begin_end_the_sweep(sweep: Sweep) -> None:
    actor = sweep.open("first")
    for _ in range(1 + LOST_STARTS):
        actor.lost("slot")
    assert begin(actor, "slot:0") == 0  # one that begins is a sign of life
    for _ in range(1 + LOST_STARTS + 1):
        actor.lost("slot")
    status = actor.standing().status
    assert status is not None
    assert status.state == "failed"
    assert "before a trial could begin" in status.why_stopped


def test_a_machine_that_goes_with_many_workers_at_once_does_not_end_the_sweep(sweep: Sweep) -> None:
    actor = sweep.open("first")
    for slot in range(2 * LOST_STARTS):
        actor.lost(f"slot{slot}")
    status = actor.standing().status
    assert status is not None
    assert status.state == "running"


def test_while_a_study_server_restarts_its_sweep_still_holds_the_study(sweep: Sweep) -> None:
    announce(sweep.folder.root, study="s")
    try:
        assert living_holder(sweep.folder.root) is not None
        record = json.loads((sweep.folder.root / "study.lock").read_text())
        # a server of another sweep's: dead itself, its driver alive
        other = {**record, "pid": 2**22 - 1, "driver": 1, "driver_started": start_of_init()}
        (sweep.folder.root / "study.lock").write_text(json.dumps(other))
        assert living_holder(sweep.folder.root) is not None
        with pytest.raises(RefusedError, match="is being run by pid 1 on"):
            acquire(sweep.folder.root, study="s")
        (sweep.folder.root / "study.lock").write_text(json.dumps({**other, "driver_started": 1.0}))
        assert living_holder(sweep.folder.root) is None
        acquire(sweep.folder.root, study="s").release()
    finally:
        withdraw(sweep.folder.root)


def start_of_init() -> float:
    from search.study.holder import start_of

    found = start_of(1)
    assert found is not None
    return found


def test_a_late_begin_of_an_earlier_attempt_takes_nothing_from_the_worker_that_has_the_trial(sweep: Sweep) -> None:
    actor = sweep.open("first")
    number = begin(actor, "slot:0")
    assert actor.begin(number, "another", "there:2", "").action == "resume"
    assert actor.begin(number, "token slot:0", "here:1", "").action == "skip"
    assert actor.report(number, "another", Progress(1, {"val_loss": 1.0}, 1)) == Verdict.CONTINUE


@pytest.mark.parametrize("accept", [False, True])
def test_a_server_that_is_back_searches_no_space_that_is_being_edited(sweep: Sweep, accept: bool) -> None:
    actor = sweep.open("first")
    assert begin(actor, "slot:0") == 0
    sweep.kill(actor)
    file = sweep.launch.loaded_space.file
    file.write_text(file.read_text().replace("0.0, 10.0", "20.0, 30.0"))
    trouble = sweep.open("first", accept_changes=accept).trouble()
    assert (trouble is None) == accept
    if trouble is not None:
        said = f"{file.name} is no longer as the search began with it, and the study's server had to read it again"
        assert trouble.message == said
        assert len(trouble.sentence()) <= 200
    with pytest.raises(RefusedError, match="no longer as the search began with it"):  # whatever is accepted
        space_to_draw_from(sweep.opened[-1]._orders)
    if trouble is not None:
        file.write_text(file.read_text().replace("20.0, 30.0", "0.0, 10.0"))
        assert sweep.open("first").trouble() is None
