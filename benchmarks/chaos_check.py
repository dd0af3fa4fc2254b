"""Compares a study's storage with the side log of its workers and its server: what was acknowledged must be there.

Each rule is a function of a `History` and of the trials as plain Optuna reads them, and gives a sentence per breach.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

NAME: Final = "s"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the side log; `index` is its place in it, which is the order in which things happened."""

    index: int
    t: float
    round: str
    at: str
    op: str
    args: Sequence[Any] = ()
    answer: Any = None
    rest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """A side log, and how many of its lines a kill left unreadable."""

    events: tuple[Event, ...]
    torn: int

    def of(self, at: str, *ops: str) -> Iterator[Event]:
        return (event for event in self.events if event.at == at and event.op in ops)


def read_history(path: Path) -> History:
    events, torn = [], 0
    names = ("t", "round", "at", "op", "args", "answer")
    for index, line in enumerate(path.read_bytes().splitlines() if path.exists() else ()):
        try:
            record = json.loads(line)
        except ValueError:
            torn += 1
            continue
        rest = {name: value for name, value in record.items() if name not in names}
        events.append(Event(index, rest=rest, **{name: record[name] for name in names if name in record}))
    return History(tuple(events), torn)


def read_trials(journal: Path, study: str = NAME) -> dict[int, FrozenTrial]:
    """Read a journal as plain Optuna does; {} before the study is in it."""
    if not journal.exists() or not journal.stat().st_size:
        return {}
    storage = JournalStorage(JournalFileBackend(str(journal)))
    try:
        return {trial.number: trial for trial in optuna.load_study(study_name=study, storage=storage).trials}
    except KeyError:
        return {}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was acknowledged: its answer was logged by the one who made it."""

    index: int
    number: int
    token: str
    args: Sequence[Any]
    answer: Any

    @property
    def step(self) -> int:
        """Of a report."""
        return int(self.args[2]["step"])


def acknowledged(history: History, op: str) -> list[Call]:
    return [Call(one.index, one.args[0], one.args[1], one.args, one.answer) for one in history.of("answer", op)]


def breaches(history: History, trials: Mapping[int, FrozenTrial]) -> list[str]:
    """Return every breach of a rule that holds at any moment, also between a kill and the resume after it."""
    rules = (
        _reports_lost,
        _lost_at_an_opening,
        _ends_lost,
        _asks_lost,
        _numbers_twice,
        _verdicts_contradicted,
        _reports_refused,
        _steps_broken,
        _taken_from_the_living,
    )
    return [breach for rule in rules for breach in rule(history, trials)]


def _reports_lost(history: History, trials: Mapping[int, FrozenTrial]) -> Iterator[str]:
    for call in acknowledged(history, "report"):
        step, metrics = call.step, call.args[2]["metrics"]
        if call.answer == "stop":  # see `_reports_refused`
            continue
        stored = trials[call.number].intermediate_values.get(step) if call.number in trials else None
        if stored != metrics["val_loss"]:
            yield f"lost report: trial {call.number} step {step}, {metrics['val_loss']} acknowledged, {stored} stored"


def _lost_at_an_opening(history: History, trials: Mapping[int, FrozenTrial]) -> Iterator[str]:
    """What was acknowledged before a server opened must be in what it found: later reports could hide the loss."""
    reports = [call for call in acknowledged(history, "report") if call.answer != "stop"]
    ends = _ends(history)
    for opening in history.of("exit", "open"):
        if opening.rest["trouble"]:
            continue
        found = {int(number): tuple(held) for number, held in opening.rest["states"].items()}
        for call in reports:
            if call.index < opening.index and found.get(call.number, ("", 0))[1] < call.step:
                yield f"lost report: trial {call.number} step {call.step} was acknowledged, and gone at an opening"
        for call in ends:
            open_ = found.get(call.number, ("", 0))[0] not in ("complete", "pruned", "fail")
            if call.index < opening.index and open_:
                yield f"lost end: trial {call.number} was acknowledged, and gone at an opening"


def _ends_lost(history: History, trials: Mapping[int, FrozenTrial]) -> Iterator[str]:
    for call in _ends(history):
        outcome = call.args[2]
        trial = trials.get(call.number)
        if trial is None or trial.state.name.lower() != outcome["ending"]:
            yield f"lost end: trial {call.number} {outcome['ending']}, stored as {trial and trial.state.name}"
        elif outcome["ending"] == "complete" and trial.value != outcome["metrics"]["val_loss"]:
            yield f"lost value: trial {call.number} {outcome['metrics']['val_loss']}, stored {trial.value}"
    told = {call.args[0] for call in history.of("call", "tell") if call.args[2]["ending"] != "paused"}
    for trial in trials.values():
        if trial.state.is_finished() and trial.number not in told and reason(trial) != "worker_lost":
            yield f"made-up end: trial {trial.number} is {trial.state.name}, and nobody told it"


def _ends(history: History) -> list[Call]:
    """Return every acknowledged end of a trial that the server had to take in."""
    final = (call for call in acknowledged(history, "tell") if call.args[2]["ending"] != "paused")
    return [call for call in final if not _is_stale(call, history) and not _failed(call, history)]


def _is_stale(call: Call, history: History) -> bool:
    """Tell whether the trial had been given to another worker before this call of the one before."""
    others = [
        event.index
        for event in history.of("enter", "begin")
        if event.args[0] == call.number and event.args[1] != call.token
    ]
    mine = [event.index for event in history.of("enter", "begin") if event.args[1] == call.token]
    return any(mine and mine[0] < other < call.index for other in others)


def _failed(call: Call, history: History) -> bool:
    """Tell whether the server could not write what it was told: it says so to the driver, not to the worker."""
    begun = [
        one.index for one in history.of("enter", "tell") if (one.args[0], one.args[1]) == (call.number, call.token)
    ]
    inside = range(max((index for index in begun if index < call.index), default=call.index), call.index)
    return any(one.index in inside and one.args[0] == "failed" for one in history.of("enter", "stop"))


def reason(trial: FrozenTrial) -> str | None:
    """Return the reason of a FAIL as it is stored."""
    found: str | None = trial.system_attrs.get("sweep:end", {}).get("reason")
    return found


def _given(history: History) -> Iterator[tuple[Event, str, dict[str, Any]]]:
    """Return every answer of the server's that names a trial: the event, the request, the trial."""
    for event in history.events:
        if event.op == "ask" and event.at in ("answer", "exit") and event.answer and event.answer["spec"]:
            yield event, event.args[0], event.answer["spec"]


def _asks_lost(history: History, trials: Mapping[int, FrozenTrial]) -> Iterator[str]:
    for _, _, spec in _given(history):
        trial = trials.get(spec["number"])
        if trial is None:
            yield f"lost trial: {spec['number']} was given to a worker, and is not stored"
        elif spec["params"] and trial.params != spec["params"]:
            yield f"two trials {spec['number']}: {spec['params']} was given, {trial.params} is stored"


def _numbers_twice(history: History, _: Mapping[int, FrozenTrial]) -> Iterator[str]:
    """A request has one answer, and a trial is given to one request until its slot lets go of it."""
    holders: dict[int, tuple[str, str]] = {}
    answers: dict[tuple[str, str], int] = {}
    released: dict[tuple[str, str], int] = defaultdict(lambda: -1)  # by run and slot: where in the log
    run = ""
    for event in history.events:
        if event.op == "open" and event.at == "enter":
            run = event.rest["run"]
        if event.op == "release" and event.at == "enter":
            released[run, event.args[0]] = event.index
            answers = {key: number for key, number in answers.items() if key[1].rpartition(":")[0] != event.args[0]}
        if event.op != "ask" or event.at != "exit" or not event.answer or not event.answer["spec"]:
            continue
        request, number = event.args[0], event.answer["spec"]["number"]
        if answers.setdefault((run, request), number) != number:
            yield f"request {request} was answered with trials {answers[run, request]} and {number}"
        holder_run, holder = holders.get(number, ("", ""))
        let_go = released[run, holder.rpartition(":")[0]] >= 0
        if holder_run == run and holder != request and not let_go:
            yield f"trial {number} was given twice: to {holder} and to {request}"
        holders[number] = (run, request)


def _verdicts_contradicted(history: History, _: Mapping[int, FrozenTrial]) -> Iterator[str]:
    given: dict[tuple[int, int], set[str]] = defaultdict(set)
    for event in (*history.of("answer", "report"), *history.of("exit", "report")):
        if event.answer != "stop":
            given[event.args[0], event.args[2]["step"]].add(event.answer)
    for (number, step), verdicts in given.items():
        if len(verdicts) > 1:
            yield f"verdicts contradicted: trial {number} step {step} was told {sorted(verdicts)}"


def _reports_refused(history: History, trials: Mapping[int, FrozenTrial]) -> Iterator[str]:
    """A living worker is told to stop only when the sweep stops, or when its trial is another's by now."""
    stops = [*history.of("enter", "stop", "give_up", "refuse", "finish"), *history.of("strike", "disk")]
    for event in history.of("answer", "report"):
        call = Call(event.index, event.args[0], event.args[1], event.args, event.answer)
        if event.answer != "stop" or _is_stale(call, history):
            continue
        if not any(stop.round == event.round and stop.index < event.index for stop in stops):
            yield f"refused report: trial {call.number} step {call.step}, of a living worker in {event.round}"


def _steps_broken(_: History, trials: Mapping[int, FrozenTrial]) -> Iterator[str]:
    for trial in trials.values():
        steps = sorted(trial.intermediate_values)
        if steps != list(range(1, len(steps) + 1)):
            yield f"broken steps: trial {trial.number} reported {steps}"


def _taken_from_the_living(history: History, _: Mapping[int, FrozenTrial]) -> Iterator[str]:
    """A new run finds nothing in anybody's hands; a server that opens again within a run takes nothing from them."""
    runs: set[str] = set()
    for opening in history.of("exit", "open"):
        if opening.rest["trouble"]:
            continue
        states = [state for state, _ in opening.rest["states"].values()]
        if opening.rest["run"] not in runs and "running" in states:
            yield f"held by nobody: {states.count('running')} trials are running at the beginning of {opening.round}"
        if opening.rest["run"] in runs and "paused" in states:
            before = next(one for one in history.of("exit", "open") if one.rest["run"] == opening.rest["run"])
            waiting = [state for state, _ in before.rest["states"].values()].count("paused")
            if states.count("paused") > waiting:
                yield f"taken from a living worker: {states.count('paused')} trials are paused in {opening.round}"
        runs.add(opening.rest["run"])


def first_trial_s(history: History, round_: str) -> float | None:
    """Return the seconds from Ray being up in a round to its first trial that began; None if it was hit before."""
    up = 0.0
    for event in history.events:
        if event.round != round_:
            continue
        if event.at == "up":
            up = event.t
        elif event.at == "strike":
            return None
        elif event.at == "answer" and event.op == "begin":
            return event.t - up
    return None


def figures(history: History, trials: Mapping[int, FrozenTrial]) -> dict[str, int]:
    """Count what the log of a study holds."""
    reports = acknowledged(history, "report")
    resumed = [one for one in history.of("answer", "load") if one.answer is not None and one.args[1] == "latest"]
    left = [trial for trial in trials.values() if not trial.state.is_finished()]
    wasted = sum(len(trial.intermediate_values) for trial in left)
    return {
        "trials in storage": len(trials),
        "reports acknowledged": len(reports),
        "ends acknowledged": len(acknowledged(history, "tell")),
        "trials resumed from a checkpoint": len(resumed),
        "trials left RUNNING for ever": len(left),
        "epochs trained twice or for nothing": wasted + len(reports) - len({(c.number, c.step) for c in reports}),
        "torn lines of the side log": history.torn,
    }
