"""Trials rest at rungs and go on once they have earned it: asynchronous halving as its paper has it.

Mutations that turn these red: promote from the lowest rung first; let every first trial of a rung go on; forget who
rests when a study is opened; give a resting trial to a late worker; end resting trials while one still runs.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.contract import REPLAY, Context, Params, Replay, State
from search.data.source import FileSource
from search.local import run_here, setting_of
from search.plan import SweepPlan
from search.problem import open_problem
from search.records.study import read
from search.records.study import status as status_of
from search.study import attributes
from search.study.edits import Edit
from search.study.owner import StudyOwner
from search.study.record import TrialRecord, from_frozen
from search.study.runs import Run
from search.study.seen import view_of
from search.study.storage import StudyStorage, open_for_reading, open_for_writing
from search.trial import Ending, Outcome, Progress, Verdict
from search.tuner.driver import sweep
from tests.learners import Curve, Curves
from tests.study.studies import flat_space
from tests.tuner.sweeps import launch_of, write

LAST = 27
RUNGS = (1, 3, 9)
FACTOR = 3
SLEPT_S = 0.002
ROOT = Path(__file__).resolve().parents[2]


def plan_of(folder: Path, **changes: object) -> SweepPlan:
    given: dict[str, object] = {
        "objective": "objective",
        "space": "space",
        "study": "s",
        "results": str(folder),
        "metrics": ("val_loss",),
        "directions": ("minimize",),
        "seed": 3,
        "trials": 30,
        "max_epochs": LAST,
        "pruner": "asha:promote=true",
        "patience": 0,
    }
    return SweepPlan(**{**given, **changes})  # type: ignore[arg-type]


def loss(number: int, epoch: int) -> float:
    """Return what a trial measures; curves cross."""
    end = random.Random(number).random()
    return end + random.Random(-number).random() / epoch


@dataclass
class Paper:
    """Algorithm 2 of Li et al. (2020), word by word, with an end: no more than so many configurations.

    Attributes:
        rungs: At each level the loss of every trial that came to it.
        promoted: At each level the trials that were promoted out of it.
        away: Trials in a worker's hands.
    """

    most: int
    rungs: list[dict[int, float]] = field(default_factory=lambda: [{} for _ in RUNGS])
    promoted: list[set[int]] = field(default_factory=lambda: [set() for _ in RUNGS])
    away: set[int] = field(default_factory=set)
    begun: int = 0
    complete: int = 0

    def get_job(self) -> int | None:
        for level in reversed(range(len(RUNGS))):
            in_order = sorted(self.rungs[level], key=lambda one: (self.rungs[level][one], one))
            candidates = in_order[: len(in_order) // FACTOR]
            promotable = [one for one in candidates if one not in self.promoted[level]]
            if promotable:
                return self._go_on(promotable[0], level)
        if self.begun < self.most:
            self.begun += 1
            self.away.add(self.begun - 1)
            return self.begun - 1
        if not self.away and not self.complete:  # ours: somebody is trained to the end
            for level in reversed(range(len(RUNGS))):
                left = [one for one in self.rungs[level] if one not in self.promoted[level]]
                if left:
                    return self._go_on(min(left, key=lambda one: (self.rungs[level][one], one)), level)
        return None

    def come_to(self, number: int, level: int) -> None:
        self.away.discard(number)
        if level == len(RUNGS):
            self.complete += 1
        else:
            self.rungs[level][number] = loss(number, RUNGS[level])

    def depth(self, number: int) -> int:
        """Return how many rungs a trial came to."""
        return sum(number in rung for rung in self.rungs)

    def _go_on(self, number: int, level: int) -> int:
        self.promoted[level].add(number)
        self.away.add(number)
        return number


class Sweep:
    """A study over a journal, whose workers are driven by hand, and which may be opened again between any two calls."""

    def __init__(self, folder: Path, *, space: Any = flat_space, **changes: object) -> None:
        self.plan, self.folder, self.space = plan_of(folder, **changes), folder / "s", space
        self.folder.mkdir()
        self.now_s, self.calls = 0.0, 0
        self.open(Run("first"))

    def open(self, run: Run) -> None:
        self.storage: StudyStorage = open_for_writing(self.folder / "study.journal", study="s")
        self.owner = StudyOwner(self.plan, self.storage, self.space, slots=4, run=run, clock=lambda: self.now_s)
        self.owner.prepare({})

    def crash(self, run: str = "first") -> None:
        """Leave lock and file as a kill would, and open the study again."""
        self.storage._lock.forget()
        self.storage._close()
        self.open(Run(run))

    def ask(self, worker: int) -> tuple[int, str] | None:
        """Ask for a trial and begin it."""
        self.calls += 1
        asked = self.owner.ask(f"slot {worker}:{self.calls}")
        if asked.spec is None:
            return None
        token = f"token {self.calls}"
        assert self.owner.begin(asked.spec.number, token).action in ("start", "resume")
        return asked.spec.number, token

    def records(self) -> list[TrialRecord]:
        storage = open_for_reading(self.folder / "study.journal")
        return [from_frozen(one) for one in storage.get_all_trials(storage.get_study_id_from_name("s"), deepcopy=False)]


def train(sweep: Sweep, number: int, token: str, epoch: int, **took: Any) -> Verdict:
    """Report one epoch, and tell the end that its verdict asks for, with what the run took."""
    value = loss(number, epoch)
    verdict = sweep.owner.report(number, token, Progress(epoch, {"val_loss": value}, epoch))
    if verdict is Verdict.PAUSE:
        sweep.owner.tell(number, token, Outcome(Ending.PAUSED, epoch, {"val_loss": value}, units=epoch, **took))
    elif epoch == LAST:
        sweep.owner.tell(number, token, Outcome(Ending.COMPLETE, epoch, {"val_loss": value}, units=epoch, **took))
    return verdict


@pytest.mark.parametrize("crash_every", [0, 1, 7])
@pytest.mark.parametrize(("workers", "trials"), [(1, 30), (4, 30), (1, 2), (3, 11)])
def test_jobs_are_given_out_as_the_papers_algorithm_does(
    workers: int, trials: int, crash_every: int, tmp_path: Path
) -> None:
    """However often the study is opened again: what rests where, and who was promoted, stands in its storage."""
    sweep, paper, dice = Sweep(tmp_path, trials=trials), Paper(trials), random.Random(workers)
    busy: dict[int, tuple[int, str, int]] = {}  # by worker: trial, token, epochs done
    done: dict[int, int] = {}

    def ask(worker: int) -> None:
        job = sweep.ask(worker)
        assert (job[0] if job else None) == paper.get_job()
        if job is not None:
            busy[worker] = (*job, done.get(job[0], 0))

    for worker in range(workers):
        ask(worker)
    for turn in range(10_000):
        if not busy:
            break
        if crash_every and turn % crash_every == 0:
            sweep.crash()
        worker = dice.choice(sorted(busy))
        number, token, epoch = busy.pop(worker)
        verdict = train(sweep, number, token, epoch + 1)
        done[number] = epoch + 1
        if epoch + 1 in (*RUNGS, LAST):
            paper.come_to(number, (*RUNGS, LAST).index(epoch + 1))
        if verdict is Verdict.PAUSE or epoch + 1 == LAST:
            for idle in [worker, *(one for one in range(workers) if one not in busy and one != worker)]:
                ask(idle)
        else:
            if epoch + 1 in RUNGS:  # promoted at once: what the paper's worker would have been given
                assert paper.get_job() == number
            busy[worker] = (number, token, epoch + 1)
    records = sweep.records()
    assert sweep.owner.tick() == f"{trials} of {trials} trials"
    assert Counter(record.state for record in records) == {
        "complete": paper.complete,
        "pruned": trials - paper.complete,
    } | ({} if trials > paper.complete else {"pruned": 0})
    for record in records:
        assert record.last_step == [*RUNGS, LAST][paper.depth(record.number) - (record.state == "pruned")]
    sweep.owner.close()


def test_a_trial_that_rests_is_paused_and_says_where(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    first = sweep.ask(0)
    assert first is not None
    assert train(sweep, *first, 1) is Verdict.PAUSE
    record = sweep.records()[0]
    assert (record.state, record.rung["rung"], record.rung["rests"]) == ("paused", 1, True)
    assert sweep.owner.status().trials["paused"] == 1
    assert sweep.owner.status().trials["running"] == 0
    assert sweep.owner.checkpoints.needed == {0}
    second = sweep.ask(0)
    assert second is not None
    assert second[0] == 1
    sweep.owner.close()


def test_a_trial_whose_training_ends_at_a_rung_does_not_rest_there(tmp_path: Path) -> None:
    """Not even if everything dies before it could say how it ended: it is begun again, and ends."""
    sweep = Sweep(tmp_path)
    first = sweep.ask(0)
    assert first is not None
    assert sweep.owner.report(*first, Progress(1, {"val_loss": 0.5}, 1, is_last=True)) is Verdict.CONTINUE
    sweep.crash("second")
    record = sweep.records()[0]
    assert (record.state, record.rung["rung"], record.rung["rests"]) == ("paused", 1, False)
    again = sweep.ask(0)
    assert again is not None
    assert again[0] == 0
    sweep.owner.close()


def test_a_resting_trial_is_nobodys_to_begin(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    first = sweep.ask(0)
    assert first is not None
    train(sweep, *first, 1)
    assert sweep.owner.begin(first[0], "of a late worker").action == "skip"
    assert sweep.owner.begin(first[0], first[1]).action == "start"  # a call that is repeated
    assert sweep.owner.report(*first, Progress(2, {"val_loss": 0.0}, 2)) is Verdict.STOP
    sweep.owner.close()


@pytest.mark.parametrize("told", [False, True])
def test_a_resume_finds_resting_trials_resting(told: bool, tmp_path: Path) -> None:
    """Also the one whose worker was lost after its report, and before it could pause."""
    sweep = Sweep(tmp_path, trials=9)
    for number in range(2):
        job = sweep.ask(0)
        assert job is not None
        if number == 1 and not told:
            assert sweep.owner.report(*job, Progress(1, {"val_loss": 5.0}, 1)) is Verdict.PAUSE
        else:
            train(sweep, *job, 1)
    sweep.crash("second")
    assert [record.state for record in sweep.records()] == ["paused", "paused"]
    third = sweep.ask(0)
    assert third is not None
    assert third[0] == 2
    verdict = sweep.owner.report(*third, Progress(1, {"val_loss": 9.0}, 1))
    assert verdict is Verdict.PAUSE
    sweep.owner.tell(*third, Outcome(Ending.PAUSED, 1, {"val_loss": 9.0}))
    promoted = sweep.ask(0)
    assert promoted is not None
    assert promoted[0] == min((0, 1), key=lambda one: loss(one, 1) if one == 0 or told else 5.0)
    sweep.owner.close()


@pytest.mark.parametrize("taken_from_its_slot", [False, True])
def test_one_whose_worker_was_lost_on_its_way_to_rest_rests(taken_from_its_slot: bool, tmp_path: Path) -> None:
    """It was told to, and died before it could say that it does; a kill of everything later changes nothing."""
    sweep = Sweep(tmp_path)
    job = sweep.ask(0)
    assert job is not None
    assert sweep.owner.report(*job, Progress(1, {"val_loss": 0.5}, 1)) is Verdict.PAUSE
    if taken_from_its_slot:
        sweep.owner.release("slot 0")
    else:
        assert sweep.owner.begin(job[0], "of the next worker").action == "skip"
    for _ in range(2):
        assert [(one.state, one.rung["rests"]) for one in sweep.records()] == [("paused", True)]
        assert sweep.owner.status().trials["paused"] == 1
        sweep.crash()
    other = sweep.ask(0)
    assert other is not None
    assert other[0] == 1
    sweep.owner.close()


def test_one_that_was_stopped_comes_before_one_that_is_promoted(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    jobs = [sweep.ask(worker) for worker in range(4)]
    for job in jobs[:2]:
        assert job is not None
        assert sweep.owner.report(*job, Progress(1, {"val_loss": float(job[0])}, 1)) is Verdict.PAUSE
        sweep.owner.tell(*job, Outcome(Ending.PAUSED, 1, {"val_loss": float(job[0])}))
    sweep.crash("second")  # 2 and 3 are offered now
    assert [sweep.ask(worker) and sweep.calls for worker in range(2)]
    third = sweep.owner.ask("slot 9:1").spec
    assert third is not None
    assert third.number == 4  # of two at a rung nobody has earned it
    sweep.owner.close()


def test_resting_trials_end_with_what_they_lacked(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, trials=3, constraints=("val_loss<=0.25",))
    values = {0: 0.3, 1: 0.1, 2: 0.2}
    for _ in range(3):
        job = sweep.ask(0)
        assert job is not None
        number, token = job
        if sweep.owner.report(number, token, Progress(1, {"val_loss": values[number]}, 1)) is Verdict.PAUSE:
            sweep.owner.tell(number, token, Outcome(Ending.PAUSED, 1, {"val_loss": values[number]}, units=1))
    job = sweep.ask(0)
    assert job is not None
    assert job[0] == 1
    sweep.owner.tell(*job, Outcome(Ending.COMPLETE, 1, {"val_loss": 0.1}))
    assert sweep.ask(0) is None
    assert sweep.owner.tick() == "3 of 3 trials"
    poor = sweep.records()[0]
    assert poor.state == "pruned"
    assert poor.values == (0.3,)
    assert (poor.end["units"], poor.end["metrics"]) == (1, {"val_loss": 0.3})
    assert poor.constraints == {"val_loss<=0.25": pytest.approx(0.05)}
    told = {name: poor.pruning[name] for name in ("rule", "step", "rung", "value", "cutoff", "rank", "of", "keep")}
    assert told == {
        "rule": "asha", "step": 1, "rung": 1, "value": 0.3, "cutoff": 0.1, "rank": 3, "of": 3, "keep": 1
    }  # fmt: skip
    status = sweep.owner.finish()
    assert (status.trials["complete"], status.trials["pruned"], status.state) == (1, 2, "finished")
    sweep.owner.close()


def test_why_it_stopped_counts_what_trials_told_that_ran_then(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, trials=9, max_epochs=27, pruner="none", epochs=3, time_s=60.0)
    jobs = [sweep.ask(worker) for worker in range(3)]
    for turn, job in enumerate([*jobs, *jobs[1:]]):
        assert job is not None
        epoch = 1 + turn // 3
        sweep.owner.report(*job, Progress(epoch, {"val_loss": 1.0}, epoch))
        assert sweep.owner.tick() == (None if turn < 2 else f"{turn + 1} of 3 epochs")
    sweep.now_s += 99.0  # another limit is passed meanwhile, too
    assert sweep.owner.finish().why_stopped == "5 of 3 epochs"
    sweep.owner.close()


@pytest.mark.parametrize(
    ("changes", "why", "rest"),
    [
        ({"until": 0.9}, "the best is 0.", False),
        ({"plateau": 4}, "the best has not moved for ", False),
        ({"min_gain": 99.0}, "expected improvement of another trial is ", False),
        ({"lowered": 6}, " of 6 trials", False),
        ({"epochs": 30}, "30 of 30 epochs", True),
        ({"time_s": 25.0}, "the time budget of 25 s is used up", True),
        ({"interrupted": 12}, "Ctrl-C", True),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else None,
)
def test_trials_are_left_resting_only_where_they_may_go_on(
    changes: dict[str, Any], why: str, rest: bool, tmp_path: Path
) -> None:
    """A search that has come to its end has no use for them; one that ran out of time, or was stopped, may have."""
    options = {"max_epochs": 2, "pruner": "asha:promote=true,reduction_factor=2"}
    of_the_test = ("lowered", "interrupted")
    asked_for = {key: one for key, one in changes.items() if key not in of_the_test}
    sweep = Sweep(tmp_path, trials=200, **options, **asked_for)
    for turn in range(200):
        job = sweep.ask(0)
        if job is None:
            break
        sweep.now_s += 1.0
        for epoch in range(1 + sweep.records()[job[0]].last_step, 3):
            loss_there = {"val_loss": loss(job[0], epoch)}
            verdict = sweep.owner.report(*job, Progress(epoch, loss_there, epoch))
            ending = {Verdict.CONTINUE: Ending.COMPLETE if epoch == 2 else None}.get(verdict, Ending.PAUSED)
            if ending is not None:
                sweep.owner.tell(*job, Outcome(ending, epoch, loss_there, epoch))
                break
        if turn == changes.get("lowered", -1) * 2:
            sweep.owner.steering.edit(Edit("lower", {"trials": 6}, {"trials": 200}, "", ""))
        if turn == changes.get("interrupted"):
            sweep.owner.stop("interrupted", "Ctrl-C")
    assert why in (sweep.owner.tick() or "")
    assert sweep.owner.status().trials["paused"] > 0
    status = sweep.owner.finish()
    assert (status.trials["paused"] > 0) == rest
    assert status.trials["complete"] > 0
    ended = [one for one in sweep.records() if one.state == "pruned"]
    assert bool(ended) != rest
    assert all(one.pruning["rung"] == 1 and one.pruning["rank"] > 0 for one in ended)
    sweep.owner.close()


def test_a_jump_over_rungs_rests_at_each_that_was_not_earned(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    jobs = [sweep.ask(worker) for worker in range(4)]
    for job, value in zip(jobs, (0.5, 0.4, 0.3, 0.2), strict=True):
        assert job is not None
        number, token = job
        verdict = sweep.owner.report(number, token, Progress(4, {"val_loss": value}, 4))
        if number == 2:  # the best of three: promoted, and alone at rung 3
            assert sweep.owner._hands.get(2) is not None
            assert from_frozen(sweep.storage.optuna.get_trial(2)).rung["rung"] == 3
        assert verdict is Verdict.PAUSE
        sweep.owner.tell(number, token, Outcome(Ending.PAUSED, 4, {"val_loss": value}))
    before = [record.rung for record in sweep.records()]
    sweep.crash()
    assert [record.rung for record in sweep.records()] == before
    assert [one["rung"] for one in before] == [1, 1, 3, 3 if before[3]["rung"] == 3 else 1]
    sweep.owner.close()


def test_samplers_that_read_pruned_trials_learn_from_resting_ones(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    job = sweep.ask(0)
    assert job is not None
    train(sweep, *job, 1)
    study = optuna.load_study(study_name="s", storage=sweep.storage.optuna)
    for sampler in ("tpe", "evolve"):
        view = view_of(sampler, study)
        assert view is not None
        assert view(study.trials[0]).state is TrialState.PRUNED
    sweep.owner.close()


# --- the engine, in this process and over real files ---


@pytest.mark.parametrize("replays", [False, True])
def test_a_promoted_trial_goes_on_from_its_checkpoint(replays: bool, tmp_path: Path) -> None:
    """One that has none is trained again from the start, which counts once."""
    fitted: Counter[float] = Counter()

    def make(params: Params, context: Context) -> Curve:
        x = float(params["x"])  # type: ignore[arg-type]

        class Counted(Curve):
            def fit_epoch(self) -> Mapping[str, float]:
                fitted[x] += 1
                return super().fit_epoch()

        class Replayed(Counted):
            def state(self) -> State | Replay:
                return REPLAY

        return (Replayed if replays else Counted)([x * x + 1 / epoch for epoch in range(1, LAST + 1)])

    plan = plan_of(tmp_path, trials=20)
    folder = tmp_path / "s"
    folder.mkdir()
    owner = StudyOwner.open(plan, folder, flat_space, slots=1, run=Run("a"))
    problem = open_problem(Curves(make), FileSource(None, None, Path()), seed=0)
    assert run_here(owner, problem, setting_of(plan, problem), folder) == "20 of 20 trials"
    status = owner.finish()
    assert status.trials["complete"] + status.trials["pruned"] == 20
    assert status.trials["complete"] >= 1
    trained, reported = sum(fitted.values()), status.epochs_run
    assert (trained > reported) if replays else (trained == reported)
    pruned = (one for one in owner._parts.study.trials if one.state is TrialState.PRUNED)
    assert {one.system_attrs[attributes.TOOK].get("replays", False) for one in pruned} == {replays}
    assert status.epochs_saved == 20 * LAST - reported - sum(
        LAST - from_frozen(one).last_step
        for one in owner._parts.study.get_trials(deepcopy=False)
        if one.state is TrialState.COMPLETE
    )
    owner.close()


def test_a_trial_took_what_all_its_runs_took(tmp_path: Path) -> None:
    class Slow(Curve):
        def fit_epoch(self) -> Mapping[str, float]:
            time.sleep(SLEPT_S)
            return super().fit_epoch()

    def make(params: Params, context: Context) -> Curve:
        x = float(params["x"])  # type: ignore[arg-type]
        return Slow([x * x + 1 / epoch for epoch in range(1, LAST + 1)])

    plan = plan_of(tmp_path, trials=12)
    folder = tmp_path / "s"
    folder.mkdir()
    owner = StudyOwner.open(plan, folder, flat_space, slots=1, run=Run("a"))
    problem = open_problem(Curves(make), FileSource(None, None, Path()), seed=0)
    run_here(owner, problem, setting_of(plan, problem), folder)
    owner.finish()
    ended = owner._parts.study.get_trials(deepcopy=False)
    assert any(attributes.TOOK in one.system_attrs and one.state is TrialState.COMPLETE for one in ended)
    for one in map(from_frozen, ended):
        assert one.end["units"] == one.last_step
        assert one.end["stage_s"]["train"] >= SLEPT_S * one.last_step
        spans = [span[:2] for span in one.took.get("spans", ())]
        if one.begun_at_s not in [begin_s for begin_s, _ in spans]:  # it did not end where it rested
            spans.append([one.begun_at_s, one.end["at_s"]])
        assert sum(end_s - begin_s for begin_s, end_s in spans) == pytest.approx(one.end["held_s"], abs=0.01)
    owner.close()


SCRIPT = """
    import os, signal, sys, uuid
    from pathlib import Path
    from search.data.source import FileSource
    from search.local import run_here, setting_of
    from search.problem import open_problem
    from search.study.owner import StudyOwner
    from search.study.runs import Run
    from tests.learners import Curve, Curves
    from tests.study.studies import flat_space
    from tests.study.test_promote import LAST, plan_of

    results, dies = Path(sys.argv[1]), sys.argv[2] == "dies"
    log = (results / "epochs").open("a", buffering=1)

    def make(params, context):
        x = params["x"]

        class Logged(Curve):
            def fit_epoch(self):
                log.write(f"{x} {self.done + 1}\\n")
                if dies and self.done == 4:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().fit_epoch()

        return Logged([x * x + 1 / epoch for epoch in range(1, LAST + 1)])

    plan = plan_of(results, trials=20)
    owner = StudyOwner.open(plan, results / "s", flat_space, slots=1, run=Run(uuid.uuid4().hex))
    problem = open_problem(Curves(make), FileSource(None, None, Path()), seed=0)
    print(run_here(owner, problem, setting_of(plan, problem), results / "s"))
    owner.finish()
    owner.close()
"""


def test_a_killed_sweep_goes_on_with_what_rested(tmp_path: Path) -> None:
    """Only the trial that ran is trained again from its last checkpoint; nothing that rested is."""
    (tmp_path / "s").mkdir()

    def run(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", dedent(SCRIPT), str(tmp_path), how],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("dies").returncode == -signal.SIGKILL
    killed = (tmp_path / "epochs").read_text().splitlines()
    ended = run("lives")
    assert ended.stdout.strip() == "20 of 20 trials", ended.stderr
    counts = Counter((tmp_path / "epochs").read_text().splitlines())
    again = {line for line, count in counts.items() if count > 1}
    assert {line.split()[0] for line in again} == {killed[-1].split()[0]}
    storage = open_for_reading(tmp_path / "s" / "study.journal")
    states = Counter(one.state.name for one in storage.get_all_trials(0, deepcopy=False))
    assert states["PRUNED"] + states["COMPLETE"] == 20


# --- over Ray ---

LEARNER = """
    from search.contract import State

    def space(trial):
        trial.suggest_float("train.x", 0.0, 1.0)

    class Learner:
        def __init__(self, x, budget):
            self.x, self.budget, self.done = x, budget, 0

        def fit_epoch(self):
            self.done += 1
            with (HERE / "epochs").open("a") as log:
                log.write(f"{self.x} {self.done}\\n")
            return {}

        def evaluate(self):
            return {"val_loss": self.x + 1 / self.done}

        def state(self):
            return State({}, {"done": self.done})

        def load_state(self, state):
            self.done = state.meta["done"]

    class Slow:
        space = staticmethod(space)

        def data(self, source):
            import numpy as np
            from search.contract import Dataset, Task

            rows = np.arange(100.0).reshape(100, 1)
            return Dataset("rows", Task.REGRESSION, rows, rows[:, 0])

        def metrics(self, dataset):
            from search.contract import Metric

            return (Metric("val_loss", "minimize"),)

        def preprocess(self, params, train, validation, context):
            from search.contract import Prepared

            return Prepared(train, validation)

        def learner(self, params, prepared, context):
            return Learner(params["train.x"], context.max_epochs)

        def baseline(self, train, validation, context):
            return {"val_loss": 2.0}
"""


@pytest.mark.usefixtures("ray_session")
def test_over_ray_every_epoch_is_trained_once(tmp_path: Path) -> None:
    """Trials rest with their checkpoints, go on in whatever worker is free, and end with the sweep."""
    path = write(tmp_path, LEARNER)
    launched = launch_of(path, tmp_path, trials=20, max_epochs=LAST, pruner="asha:promote=true", patience=0)
    ended = sweep(launched, view=lambda status: None)
    assert ended.status.why_stopped == "20 of 20 trials"
    assert ended.status.trials["complete"] >= 1
    assert ended.status.trials["complete"] + ended.status.trials["pruned"] == 20
    counts = Counter((tmp_path / "epochs").read_text().splitlines())
    assert set(counts.values()) == {1}
    assert len(counts) == ended.status.epochs_run
    shown = status_of(read(launched.folder))
    assert (shown.trials, shown.epochs_run) == (ended.status.trials, ended.status.epochs_run)
    assert ended.status.best is not None
    kept = {one.name for one in (tmp_path / "s" / "trials").iterdir() if (one / "checkpoint" / "latest.json").exists()}
    assert kept <= {f"{ended.status.best.number:05d}"}
