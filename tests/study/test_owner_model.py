"""StudyOwner against a simple model, over random histories: calls repeated, reordered and late, crashes at any byte."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from search.errors import FailReason
from search.plan import SweepPlan
from search.study import attributes
from search.study.owner import StudyOwner
from search.study.record import TrialRecord, from_frozen
from search.study.runs import Run
from search.study.storage import open_for_reading, open_for_writing
from search.trial import Asked, Ending, Outcome, ParamValue, Progress, Verdict
from tests.study.studies import flat_space

MAX_EPOCHS: Final = 9
RETRIES: Final = 1
SLOTS: Final = 3
POINTS: Final[tuple[dict[str, ParamValue], ...]] = ({"x": 0.25, "n": 3}, {"x": -1.0})

_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")
values = st.floats(0, 1, allow_nan=False)
slots = st.integers(0, SLOTS - 1)
picks = st.integers(0, 10_000)  # which of several, modulo their number
cuts = st.floats(0, 1)  # how much of what was written survives a crash


def one_of(several: Sequence[_Item], pick: int) -> _Item:
    return several[pick % len(several)]


@dataclass
class Known:
    """What the model knows of one trial.

    Attributes:
        state: ahead, asked, running, paused, resting, complete, pruned or fail.
        tokens: Of all attempts; the last one is the worker's.
        lost: Attempts that ended with their worker.
        reports: Acknowledged values by step.
        verdicts: The first answer to each report of the worker's attempts.
    """

    state: str = "asked"
    tokens: list[str] = field(default_factory=list)
    lost: int = 0
    reports: dict[int, float] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    reason: FailReason | None = None
    first_answer: str = ""

    @property
    def is_held(self) -> bool:
        return self.state in ("ahead", "asked", "running", "paused", "resting")

    @property
    def step(self) -> int:
        return max(self.reports, default=0)

    @property
    def is_to_rest(self) -> bool:
        """Whether it came to a rung where it waits for its promotion, or will once its worker lets go of it."""
        return self.verdicts.get(self.step) is Verdict.PAUSE


class OwnerMachine(RuleBasedStateMachine):
    """Drives an owner and the model with the same calls."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sweep-owner-"))
        self.journal = self.folder / "study.journal"
        self.trials: dict[int, Known] = {}
        self.requests: dict[str, int] = {}  # those that hold their trial
        self.offered: list[int] = []  # wait for a worker to go on with them
        self.ahead: dict[int, str] = {}  # by the name for which they are being prepared; "" once they are ready
        self.run = 0
        self.now_s = 100.0
        self.counter = 0

    @initialize(trials=st.integers(4, 9), pruner=st.sampled_from(["asha", "median", "none", "asha:promote=true"]))
    def launch(self, trials: int, pruner: str) -> None:
        self.plan = SweepPlan(
            objective="objective",
            space="space",
            study="a",
            results=str(self.folder.parent),
            metrics=("val_loss",),
            directions=("minimize",),
            seed=11,
            trials=trials,
            max_epochs=MAX_EPOCHS,
            sampler="random",
            pruner=pruner,
            retries=RETRIES,
            enqueued=POINTS,
        )
        self.open()
        self.owner.prepare({"val_loss": 0.69})

    # --- the calls of workers ---

    @rule(slot=slots)
    def ask(self, slot: int) -> None:
        self.one_ask(self.fresh(f"slot {slot}:"), lambda request: self.owner.ask(request))

    @rule(slot=slots)
    def lose_a_slot(self, slot: int) -> None:
        self.one_release(slot, lambda name: self.owner.release(name))

    @rule(slot=slots)
    def draw_ahead(self, slot: int) -> None:
        self.one_drawn_ahead(self.fresh(f"ahead-{slot}:"), lambda request: self.owner.ask(request))

    @rule(slot=slots)
    def prepare(self, slot: int) -> None:
        self.owner.release(f"ahead-{slot}")
        self.ahead = {number: name.replace(f"ahead-{slot}", "") for number, name in self.ahead.items()}

    @precondition(lambda self: self.live_requests())
    @rule(pick=picks)
    def ask_again(self, pick: int) -> None:
        request = one_of(self.live_requests(), pick)
        answer = self.owner.ask(request)
        assert answer.spec is not None
        assert answer.spec.number == self.requests[request]

    @precondition(lambda self: self.held())
    @rule(pick=picks)
    def begin(self, pick: int) -> None:
        number = one_of(self.held(), pick)
        if self.trials[number].state == "resting":
            assert self.owner.begin(number, self.fresh("token ")).action == "skip"
            return
        self.begin_anew(number)

    @precondition(lambda self: self.held("running"))
    @rule(pick=picks)
    def begin_again(self, pick: int) -> None:
        trial_number = one_of(self.held("running"), pick)
        trial = self.trials[trial_number]
        assert self.owner.begin(trial_number, trial.tokens[-1]).action == trial.first_answer

    @precondition(lambda self: self.held("running"))
    @rule(pick=picks, value=values, ahead=st.integers(1, 3))
    def report(self, pick: int, value: float, ahead: int) -> None:
        number = one_of(self.held("running"), pick)
        self.one_report(number, value, ahead, self.owner.report)

    @precondition(lambda self: any(self.trials[number].verdicts for number in self.held("running")))
    @rule(pick=picks, value=values)
    def report_again(self, pick: int, value: float) -> None:
        number = one_of([number for number in self.held("running") if self.trials[number].verdicts], pick)
        trial = self.trials[number]
        last = max(trial.verdicts)
        answer = self.owner.report(number, trial.tokens[-1], Progress(last, {"val_loss": value}, last))
        assert answer is trial.verdicts[last]

    @precondition(lambda self: any(trial.step > 1 for trial in self.trials.values()))
    @rule(pick=picks, value=values)
    def report_out_of_order(self, pick: int, value: float) -> None:
        number = one_of([number for number, trial in self.trials.items() if trial.step > 1], pick)
        trial = self.trials[number]
        self.owner.report(number, trial.tokens[-1], Progress(1 + pick % (trial.step - 1), {"val_loss": value}, 1))

    @precondition(lambda self: self.trials)
    @rule(pick=picks, value=values, ending=st.sampled_from(list(Ending)))
    def call_of_a_lost_or_late_worker(self, pick: int, value: float, ending: Ending) -> None:
        number = one_of(list(self.trials), pick)
        trial = self.trials[number]
        late = trial.tokens if not trial.is_held else trial.tokens[:-1]
        token = one_of([*late, "of nobody"], pick)
        step = min(trial.step + 1, MAX_EPOCHS)
        assert self.owner.report(number, token, Progress(step, {"val_loss": value}, step)) is Verdict.GONE
        self.owner.tell(number, token, Outcome(ending, step, {"val_loss": value}))
        if not trial.is_held:
            assert self.owner.begin(number, "a new one").action == "skip"

    @precondition(lambda self: self.held("running"))
    @rule(pick=picks, ending=st.sampled_from(list(Ending)))
    def tell(self, pick: int, ending: Ending) -> None:
        number = one_of(self.held("running"), pick)
        self.one_tell(number, ending, self.owner.tell)

    # --- what goes wrong ---

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.owner.tick()

    @rule()
    def crash_between_calls(self) -> None:
        self.crash(self.journal.stat().st_size)

    @rule()
    def end_and_resume(self) -> None:
        self.owner.finish()
        self.owner.close()
        self.begin_a_run()

    @rule()
    def kill_the_driver_and_resume(self) -> None:
        self.leave(self.journal.stat().st_size)
        self.begin_a_run()

    @rule(cut=cuts)
    def crash_during_a_resume(self, cut: float) -> None:
        self.leave(self.journal.stat().st_size)
        before = self.journal.stat().st_size
        self.begin_a_run()
        self.leave(before + round(cut * (self.journal.stat().st_size - before)))
        self.open()

    @rule(cut=cuts, slot=slots)
    def crash_during_a_release(self, cut: float, slot: int) -> None:
        self.one_release(slot, self.cut_short(cut, lambda name: self.owner.release(name)))

    @rule(cut=cuts, slot=slots)
    def crash_during_an_ask(self, cut: float, slot: int) -> None:
        self.one_ask(self.fresh(f"slot {slot}:"), self.cut_short(cut, lambda request: self.owner.ask(request)))

    @rule(cut=cuts, slot=slots)
    def crash_during_a_draw_ahead(self, cut: float, slot: int) -> None:
        call = self.cut_short(cut, lambda request: self.owner.ask(request))
        self.one_drawn_ahead(self.fresh(f"ahead-{slot}:"), call)

    @precondition(lambda self: self.held("asked", "paused"))
    @rule(pick=picks, cut=cuts)
    def crash_during_a_begin(self, pick: int, cut: float) -> None:
        number = one_of(self.held("asked", "paused"), pick)
        call = self.cut_short(cut, lambda token: self.owner.begin(number, token).action)
        self.one_begin(number, self.fresh("token "), call)

    @precondition(lambda self: self.held("running"))
    @rule(pick=picks, cut=cuts, value=values, ahead=st.integers(1, 3))
    def crash_during_a_report(self, pick: int, cut: float, value: float, ahead: int) -> None:
        call = self.cut_short(cut, lambda *arguments: self.owner.report(*arguments))
        self.one_report(one_of(self.held("running"), pick), value, ahead, call)

    @precondition(lambda self: self.held("running"))
    @rule(pick=picks, cut=cuts, ending=st.sampled_from(list(Ending)))
    def crash_during_a_tell(self, pick: int, cut: float, ending: Ending) -> None:
        call = self.cut_short(cut, lambda *arguments: self.owner.tell(*arguments))
        self.one_tell(one_of(self.held("running"), pick), ending, call)

    # --- what must hold after each step ---

    @invariant()
    def storage_tells_what_happened(self) -> None:
        if not hasattr(self, "owner"):
            return
        records = self.stored()
        asked = [record for record in records if record.state != "waiting"]
        assert [record.number for record in records] == list(range(len(records)))
        assert sorted(record.number for record in asked) == sorted(self.trials)
        for record in asked:
            trial = self.trials[record.number]
            stored = {"asked": "running", "ahead": "paused", "resting": "paused"}
            assert record.state == stored.get(trial.state, trial.state)
            assert record.reports == trial.reports
            assert record.lost == trial.lost
            assert record.end.get("reason") == (trial.reason.value if trial.reason else None)
            if trial.state == "pruned" and trial.reports:
                assert record.values == (trial.reports[trial.step],)

    @invariant()
    def status_agrees(self) -> None:
        if not hasattr(self, "owner"):
            return
        status = self.owner.status()
        for state in ("complete", "pruned", "fail"):
            assert status.trials[state] == len(self.held(state))
        assert status.trials["paused"] == len(self.held("ahead", "paused", "resting"))
        assert status.trials["running"] == len(self.held("asked", "running"))
        assert status.epochs_run == sum(trial.step for trial in self.trials.values())

    @invariant()
    def budget_is_never_exceeded(self) -> None:
        if hasattr(self, "owner"):
            assert self.plan.trials is not None
            assert self.counted() + len(self.held()) <= self.plan.trials

    def teardown(self) -> None:
        if hasattr(self, "owner"):
            self.run_to_the_end()
            self.owner.close()
        shutil.rmtree(self.folder)

    # --- one call, in owner and model ---

    def one_ask(self, request: str, call: Callable[[str], Asked]) -> None:
        waiting = len(POINTS) - min(len(self.trials), len(POINTS))
        stopping = self.owner.tick() is not None
        answer = call(request)
        resting = self.held("resting")
        busy = len(self.held()) - len(self.offered) - len(resting) - len(self.ahead)
        full = busy >= SLOTS
        if self.offered and not stopping and not full:
            assert answer.spec is not None
            assert answer.spec.number in self.offered
            self.offered.remove(answer.spec.number)
            self.requests[request] = answer.spec.number
            taken = self.trials[answer.spec.number]
            if not taken.tokens and self.stored()[answer.spec.number].state == "running":
                taken.state = "asked"  # one that was drawn ahead: a crash came when it had been taken
            return
        if answer.spec is not None and answer.spec.number in resting:  # which one it is, is tested elsewhere
            promoted = self.trials[answer.spec.number]
            promoted.state, promoted.verdicts = "paused", {}
            self.requests[request] = answer.spec.number
            return
        points = {number: name for number, name in self.ahead.items() if number < len(POINTS)}
        is_point_next = waiting and not points and self.has_room()
        if self.ahead and not stopping and not full and not is_point_next:
            turns = points or self.ahead
            ready = [number for number, name in turns.items() if not name]
            assert answer.spec is not None
            assert answer.spec.number == [*ready, *turns][0]
            del self.ahead[answer.spec.number]
            self.trials[answer.spec.number].state = "asked"
            self.requests[request] = answer.spec.number
            return
        if answer.spec is None:
            if not busy and not stopping and not self.has_room():  # nothing else is left: they end
                for number in resting:
                    self.trials[number].state = "pruned"
            assert full or self.owner.tick() is not None or not self.has_room()
            return
        number = answer.spec.number
        assert number == len(self.trials)
        if waiting:
            assert answer.spec.params.items() >= POINTS[number].items()
        self.trials[number] = Known()
        self.requests[request] = number

    def one_drawn_ahead(self, request: str, call: Callable[[str], Asked]) -> None:
        room = SLOTS - len(self.offered) - len(self.ahead)
        may = room > 0 and self.has_room() and self.owner.tick() is None
        answer = call(request)
        for record in self.stored():  # a call that was cut short may have drawn another one before
            if record.state != "waiting" and record.number not in self.trials:
                self.trials[record.number] = Known("paused" if record.state == "paused" else "asked")
                self.offered.append(record.number)
                room, may = room - 1, room > 1 and may and self.has_room()
        if answer.spec is None:
            assert not may
            return
        self.offered.remove(answer.spec.number)
        self.trials[answer.spec.number].state = "ahead"
        self.ahead[answer.spec.number] = request.partition(":")[0]

    def one_release(self, slot: int, call: Callable[[str], None]) -> None:
        call(f"slot {slot}")
        for request, number in list(self.requests.items()):
            if request.startswith(f"slot {slot}:"):
                del self.requests[request]
                trial = self.trials[number]
                if trial.state == "running" and trial.is_to_rest:
                    trial.state = "resting"
                elif trial.is_held:
                    self.offered.append(number)

    def begin_anew(self, number: int) -> None:
        self.one_begin(number, self.fresh("token "), lambda token: self.owner.begin(number, token).action)

    def one_begin(self, number: int, token: str, call: Callable[[str], str]) -> None:
        trial = self.trials[number]
        expected = "resume" if trial.tokens and (trial.state == "paused" or trial.lost) else "start"
        answer = call(token)
        if trial.state == "running":
            trial.lost += 1
            expected = "resume"
            if trial.lost > RETRIES:
                trial.state, trial.reason, expected = "fail", FailReason.WORKER_LOST, "skip"
            elif trial.is_to_rest:
                trial.state, expected = "resting", "skip"
                self.requests = {request: held for request, held in self.requests.items() if held != number}
        assert answer == expected
        if answer != "skip":
            trial.state, trial.first_answer = "running", answer
            trial.tokens.append(token)
        self.offered = [one for one in self.offered if one != number]
        self.ahead.pop(number, None)

    def one_report(self, number: int, value: float, ahead: int, call: Callable[..., Verdict]) -> None:
        trial = self.trials[number]
        step = min(trial.step + ahead, MAX_EPOCHS)
        verdict = call(number, trial.tokens[-1], Progress(step, {"val_loss": value}, step))
        if trial.is_to_rest:
            assert verdict is Verdict.PAUSE
            return
        if step not in trial.reports:
            trial.reports[step] = value
            trial.verdicts[step] = verdict
        assert verdict is not Verdict.STOP or self.owner.tick() is not None
        if step == MAX_EPOCHS:
            assert verdict is not Verdict.PRUNE or trial.verdicts[step] is Verdict.PRUNE

    def one_tell(self, number: int, ending: Ending, call: Callable[..., None]) -> None:
        trial = self.trials[number]
        reason = FailReason.EXCEPTION if ending is Ending.FAIL else None
        metrics = {"val_loss": trial.reports.get(trial.step, 0.5)}
        call(number, trial.tokens[-1], Outcome(ending, trial.step, metrics, reason=reason))
        trial.state, trial.reason = ending.value, reason
        self.offered = [one for one in self.offered if one != number]
        if ending is Ending.PAUSED:
            if trial.is_to_rest:
                trial.state = "resting"
            else:
                self.offered.append(number)
            self.requests = {request: held for request, held in self.requests.items() if held != number}

    # --- crashes ---

    def cut_short(self, cut: float, call: Callable[..., _Answer]) -> Callable[..., _Answer]:
        """Return a call whose answer is lost in a crash, with what it wrote torn at any byte; then it is repeated."""

        def crash_then_repeat(*arguments: Any) -> _Answer:
            before = self.journal.stat().st_size
            call(*arguments)
            self.crash(before + round(cut * (self.journal.stat().st_size - before)))
            return call(*arguments)

        return crash_then_repeat

    def crash(self, size: int) -> None:
        """Kill the study server, the journal cut to `size` bytes, and open the study again within the same run."""
        self.leave(size)
        for number in self.ahead:
            self.trials[number].state = "paused"
        self.offered += self.ahead
        self.ahead.clear()
        self.open()

    def leave(self, size: int) -> None:
        """Leave lock and file as a kill would."""
        self.storage._lock.forget()
        self.storage._close()
        os.truncate(self.journal, size)

    def begin_a_run(self) -> None:
        """Resume: what was in anybody's hands is nobody's now."""
        for number in self.held():
            self.trials[number].state = "resting" if self.trials[number].is_to_rest else "paused"
        self.offered = self.held("paused")
        self.ahead.clear()
        self.requests.clear()
        self.run += 1
        self.open()

    def open(self) -> None:
        self.storage = open_for_writing(self.journal, study="a")
        run = Run(f"run {self.run}")
        self.owner = StudyOwner(self.plan, self.storage, flat_space, slots=SLOTS, run=run, clock=lambda: self.now_s)

    # --- what is known ---

    def fresh(self, kind: str) -> str:
        self.counter += 1
        return f"{kind}{self.counter}"

    def held(self, *states: str) -> list[int]:
        """Return the trials in these states, by default those that have not ended."""
        wanted = states or ("ahead", "asked", "running", "paused", "resting")
        return [number for number, trial in self.trials.items() if trial.state in wanted]

    def live_requests(self) -> list[str]:
        return [request for request, number in self.requests.items() if self.trials[number].is_held]

    def counted(self) -> int:
        ended = [trial for trial in self.trials.values() if not trial.is_held]
        return sum(trial.reason is not FailReason.WORKER_LOST for trial in ended)

    def has_room(self) -> bool:
        assert self.plan.trials is not None
        return self.counted() + len(self.held()) < self.plan.trials

    def stored(self) -> list[TrialRecord]:
        storage = open_for_reading(self.journal)
        study_id = storage.get_study_id_from_name("a")
        trials = storage.get_all_trials(study_id, deepcopy=False)
        requests = [trial.system_attrs[attributes.REQUEST] for trial in trials if trial.number in self.trials]
        asked_for = [request for request in requests if request and not request.startswith("ahead-")]
        assert len(set(asked_for)) == len(asked_for)
        return [from_frozen(trial) for trial in trials]

    def run_to_the_end(self) -> None:
        """Let workers finish everything; the budget must come out exact."""
        self.crash(self.journal.stat().st_size)  # an earlier stop is no longer in force
        for _ in range(100):
            for number in self.held("ahead", "asked", "paused"):
                self.begin_anew(number)
            for number in self.held("running"):
                self.one_tell(number, Ending.COMPLETE, self.owner.tell)
            if self.owner.tick() is not None:
                break
            self.ask(0)
        self.storage_tells_what_happened()
        status = self.owner.finish()
        assert self.counted() == self.plan.trials
        assert status.why_stopped == f"{self.plan.trials} of {self.plan.trials} trials"


OwnerMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),  # shrinking takes minutes; add Phase.shrink to look into a failure
    report_multiple_bugs=False,
)
TestOwner = OwnerMachine.TestCase
