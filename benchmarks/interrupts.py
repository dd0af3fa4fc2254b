"""Proof that a sweep may be interrupted at any moment: 130 or 143 in under 10 s, and nothing stays behind.

    python benchmarks/interrupts.py --moments 100 --seed 0 --minutes 40
    python benchmarks/interrupts.py --moments 6 --phases hang --seed 1      # only trials that do not pause

Sweeps from the command line, at a pseudo-terminal or behind pipes, launched or resumed, are interrupted at moments
drawn from the seed, from the first imports to the last words. After each the exit code, the seconds, the processes,
locks and temporary folders, the terminal, the words and the storage are looked at; every fifth study is resumed to its
end, which has to have exactly the trials that were asked for.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import interrupts_problem as problem  # noqa: E402
from benchmarks.interrupts_run import FOREIGN, AtTerminal, Watched, finished, lock_trouble  # noqa: E402
from search.study.lock import read_holder  # noqa: E402

TRIALS: Final = 8
NAME: Final = "s"
MOST_S: Final = 10.0
"""How long a sweep may take to end after a signal."""

AT_ONCE_S: Final = 2.0
"""How long after the second."""

HUNG_S: Final = 60.0
"""After how long a command is taken to hang."""

Phase = Literal["start", "ray", "opening", "first", "full", "saving", "last", "down", "hang"]
How = Literal["int", "typed", "term", "stop", "now", "twice"]

_SPAN_S: Final[dict[Phase, tuple[float, float]]] = {
    "start": (0.2, 2.5),  # from its start: Python, our imports, the user's
    "ray": (0.0, 5.0),  # from the line that says so
    "opening": (0.0, 1.5),  # from when the study's server has its lock
    "first": (0.0, 0.5),  # from the first report
    "full": (0.0, 0.5),  # from some later one
    "saving": (0.0, 0.03),  # from a temporary file of a checkpoint
    "last": (0.0, 0.6),  # from the end of the last trial but one
    "down": (0.0, 1.2),  # from the end of the last
    "hang": (1.0, 2.0),  # from the reports before a trial hangs
}
_WEIGHTS: Final[dict[Phase, int]] = dict(zip(get_args(Phase), (18, 17, 11, 10, 13, 11, 7, 8, 5), strict=True))
_CAN_STOP: Final = ("first", "full", "saving", "last", "hang")
"""When there is a study that `sweep stop` could find."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and how a sweep is interrupted.

    Attributes:
        phase: What begins the wait.
        delay_s: How long the wait is.
        how: A signal to the process, Ctrl-C typed at its terminal, `sweep stop`, `sweep stop --now`, or SIGINT twice.
        gap_s: Between the two.
        terminal: Whether it runs at a terminal; behind pipes it is asked for JSON.
        script: Whether it is called as `sweep`.
        resume: Whether it goes on with what the moment before left, if it left something.
        report: After which report `full` begins.
    """

    phase: Phase
    delay_s: float
    how: How
    gap_s: float = 0.0
    terminal: bool = True
    script: bool = False
    resume: bool = False
    report: int = 1

    @property
    def code(self) -> int:
        return 143 if self.how == "term" else 130

    def __str__(self) -> str:
        gap = f" after {self.gap_s:.2f} s" if self.how == "twice" else ""
        where = ("resume" if self.resume else "run") + (", terminal" if self.terminal else ", pipes")
        return f"{self.phase} + {self.delay_s:.2f} s, {self.how}{gap}, {where}{', script' * self.script}"


def draw(dice: random.Random, phases: Sequence[Phase]) -> Moment:
    """Draw one moment of these phases."""
    phase = dice.choices(phases, [_WEIGHTS[one] for one in phases])[0]
    terminal = dice.random() < 0.7
    ways: list[How] = (
        ["int", "int", "typed", "typed", "term", "twice", "twice"] if terminal else ["int", "term", "twice"]
    )
    if phase in _CAN_STOP:
        ways += ["stop", "now"] if dice.random() < 0.6 else []
    return Moment(
        phase=phase,
        delay_s=dice.uniform(*_SPAN_S[phase]),
        how=dice.choice(ways),
        gap_s=dice.choice((dice.uniform(0, 0.3), dice.uniform(0.3, 2.0))),
        terminal=terminal,
        script=dice.random() < 0.5,
        resume=dice.random() < 0.5 and phase != "hang",  # again it would report nothing new before it hangs
        report=dice.randrange(3, 16),
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """How one command ended.

    Attributes:
        code: Its exit code, negative for a signal; None if it hung.
        seconds: From the last signal to the end; from the wish, where `sweep stop` was typed.
        left_s: How long anything outlived it.
        late: The sweep had finished before the signal came.
        breaches: What was wrong.
    """

    code: int | None
    seconds: float
    left_s: float
    late: bool
    breaches: tuple[str, ...]


class Study:
    """One study under interruption: its folder, and what was left of it.

    Args:
        root: Folder of the whole series.
        name: Of this study's folder.
        seed: Of the sweep.
    """

    def __init__(self, root: Path, name: str, seed: int) -> None:
        self.folder = root / name
        self.folder.mkdir()
        self._seed = seed
        shutil.copy(problem.__file__, self.folder / "problem.py")
        self.results = self.folder / "results" / NAME

    @property
    def journal(self) -> Path:
        return self.results / "study.journal"

    @property
    def exists(self) -> bool:
        return (self.results / "plan.json").exists()

    def ended(self) -> int:
        """Return how many trials have ended."""
        return sum(
            record["op_code"] == 6 and record["state"] in (1, 2, 3) for record in self._records() if "state" in record
        )

    def reports(self) -> int:
        return sum(record["op_code"] == 7 for record in self._records())

    def saves(self) -> bool:
        """Tell whether a checkpoint is being written."""
        return any(self.results.glob("trials/*/checkpoint/.*.tmp"))

    def hang(self, on: bool) -> None:
        path = self.folder / problem.HANG
        path.touch() if on else path.unlink(missing_ok=True)

    def arguments(self) -> list[str]:
        """Return the command that goes on with it, or launches it."""
        if self.exists:
            return ["resume", NAME]
        budget = ["--trials", str(TRIALS), "--max-epochs", str(problem.EPOCHS), "--concurrency", "2"]
        return ["run", "problem.py:Heavy", "--study", NAME, *budget, "--seed", str(self._seed)]

    def interrupt(self, moment: Moment) -> Ended:
        """Run it and interrupt it; look at everything afterwards."""
        reports, held = self.reports(), self.ended()
        self.hang(moment.phase == "hang")
        scratch = Path(tempfile.mkdtemp(prefix="si-"))
        try:
            arguments = self.arguments() + (["--json"] if not moment.terminal else [])
            watched = Watched(arguments, self.folder, scratch, terminal=moment.terminal, script=moment.script)
            self._wait_for(moment, watched, reports)
            return self._judged(moment, watched, held)
        finally:
            self.hang(False)
            shutil.rmtree(scratch, ignore_errors=True)

    def to_the_end(self) -> list[str]:
        """Run or resume it undisturbed; say what is wrong with its end."""
        command = [sys.executable, "-m", "search", *self.arguments(), "--json"]
        try:
            told = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return ["the resume hung"]
        found = []
        if told.returncode != 0:
            found.append(f"the resume ended with {told.returncode}: {told.stderr[-300:]}")
        trials = finished(self.journal, NAME)
        if len(trials) != TRIALS or sorted(trials) != list(range(TRIALS)):
            found.append(f"the resumed study has trials {sorted(trials)}, {TRIALS} were asked for")
        return found + lock_trouble(self.results, may_stay=False)

    def _wait_for(self, moment: Moment, watched: Watched, reports: int) -> None:
        deadline = time.monotonic() + HUNG_S
        while watched.look() is None and time.monotonic() < deadline and not self._begins(moment, watched, reports):
            time.sleep(0.002 if moment.phase == "saving" else 0.01)
        until = time.monotonic() + moment.delay_s
        while time.monotonic() < until and watched.look() is None:
            time.sleep(min(0.01, max(0.0, until - time.monotonic())))

    def _begins(self, moment: Moment, watched: Watched, reports: int) -> bool:
        """Tell whether the phase of this moment has begun."""
        if moment.phase == "start":
            return True
        if moment.phase == "ray":
            return "starting Ray" in "".join(watched.way.all())
        if moment.phase == "opening":
            holder = read_holder(self.results)
            return holder is not None and holder.driver > 0  # the study's server has it; before, it is announced
        if moment.phase == "saving":
            return self.saves() or self.ended() >= TRIALS
        if moment.phase in ("last", "down"):
            return self.ended() >= TRIALS - (moment.phase == "last")
        return self.reports() >= reports + {"first": 1, "hang": 3}.get(moment.phase, moment.report)

    def _judged(self, moment: Moment, watched: Watched, held: int) -> Ended:
        listens, over, wall = watched.listens(), watched.look() is not None, time.time()
        sent = time.monotonic()
        stop = None
        if moment.how in ("stop", "now"):
            stop, sent, wall = self._stop(watched, ["--now"] * (moment.how == "now"))
        elif moment.how == "typed" and isinstance(watched.way, AtTerminal):
            watched.way.type("\x03")
        else:
            watched.send(signal.SIGTERM if moment.how == "term" else signal.SIGINT)
        twice = moment.how == "twice" and watched.wait(moment.gap_s) is None
        if twice:
            watched.send(signal.SIGINT)
            sent = time.monotonic()
        code = watched.wait(HUNG_S)
        seconds = time.monotonic() - sent
        if code is None:
            watched.send(signal.SIGKILL)
            watched.wait(5)
        left = watched.leaves()
        found = list(left.what) + watched.way.restored()
        trials = finished(self.journal, NAME)
        done = len(trials) == TRIALS and all(one.datetime_complete.timestamp() <= wall for one in trials.values())
        late = code == 0 and (over or done)
        if code != moment.code and not late and (listens or code not in (-signal.SIGINT, -signal.SIGTERM, 1)):
            found.append(f"exit {code}")
        most_s = AT_ONCE_S if twice else MOST_S
        if seconds > most_s and not late:
            found.append(f"{seconds:.1f} s to the end")
        found += lock_trouble(self.results, may_stay=twice)
        found += self._of_the_words(watched, len(trials), listens=listens)
        if len(trials) < held:
            found.append(f"{held} trials had ended, {len(trials)} are stored")
        if stop is not None and stop.wait(timeout=20) not in (0, *([2] if not self.exists else [])):
            found.append(f"`sweep stop` ended with {stop.returncode}")
        return Ended(code, seconds, left.seconds, late, tuple(found))

    def _stop(self, watched: Watched, how: list[str]) -> tuple[subprocess.Popen[bytes], float, float]:
        """Type `sweep stop` elsewhere; return it, and when the sweep could know."""
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        stop = subprocess.Popen([sys.executable, "-m", "search", "stop", NAME, *how], cwd=self.folder, **nowhere)  # type: ignore[call-overload]
        while watched.look() is None and stop.poll() is None and not any(self.results.glob("wishes/*.json")):
            time.sleep(0.01)
        return stop, time.monotonic(), time.time()

    def _of_the_words(self, watched: Watched, stored: int, *, listens: bool) -> list[str]:
        out, err = watched.way.all()
        found = []
        if listens and (foreign := FOREIGN.search(err)):
            found.append(f"said: {err[max(0, foreign.start() - 100) : foreign.start() + 300]!r}")
        shown = [
            int(one) for one in re.findall(r"trials +(\d+) of \d+ ended|\] (\d+)/\d+ trials", err) for one in one if one
        ]
        if isinstance(watched.way, AtTerminal):
            return found + self._more_shown(shown, stored)
        if out.count("\n") > 1 or (out and not out.endswith("\n")):
            found.append(f"stdout: {out[:200]!r}")
        elif out:
            counts = json.loads(out)["trials"]
            shown.append(counts["complete"] + counts["pruned"] + counts["fail"])
        if listens and "study" not in err and len(err.splitlines()) > 1:
            found.append(f"stderr: {err[:300]!r}")
        return found + self._more_shown(shown, stored)

    def _more_shown(self, shown: list[int], stored: int) -> list[str]:
        most = max(shown, default=0)
        return [f"{most} trials were shown as ended, {stored} are stored"] if most > stored else []

    def _records(self) -> list[dict[str, object]]:
        try:
            lines = self.journal.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        records = []
        for line in lines:
            try:
                records.append(json.loads(line))
            except ValueError:  # being written
                continue
        return records


@dataclass(slots=True)
class Tally:
    """What a series came to."""

    ended: dict[Phase, list[Ended]] = field(default_factory=dict)
    passed: int = 0
    failed: int = 0

    def judge(self, what: object, breaches: Sequence[str]) -> None:
        self.passed += not breaches
        self.failed += bool(breaches)
        for one in breaches:
            print(f"FAILED {what}: {one}", flush=True)

    def table(self) -> list[str]:
        """Return a line for each phase."""
        lines = [
            f"{'phase':<9}{'n':>4}  {'exit codes':<30}{'late':>5}{'median s':>10}{'max s':>8}{'gone s':>8}{'left':>6}"
        ]
        for phase in get_args(Phase):
            ended = self.ended.get(phase, [])
            if not ended:
                continue
            codes = Counter(str(one.code) for one in ended)
            times = [one.seconds for one in ended if not one.late] or [0.0]
            left = sum(sum(what.startswith(("process", "folder")) for what in one.breaches) for one in ended)
            lines.append(
                f"{phase:<9}{len(ended):>4}  {' '.join(f'{code}:{n}' for code, n in sorted(codes.items())):<30}"
                f"{sum(one.late for one in ended):>5}{statistics.median(times):>10.2f}{max(times):>8.2f}"
                f"{max(one.left_s for one in ended):>8.2f}{left:>6}"
            )
        return lines


def series(moments: Sequence[Moment], root: Path, seed: int, tally: Tally, *, minutes: float, every: int = 5) -> None:
    """Interrupt sweeps at these moments, one after the other; every so many studies are run to their end."""
    deadline = time.monotonic() + 60 * minutes
    study = Study(root, "0", seed)
    for count, moment in enumerate(moments, 1):
        if time.monotonic() > deadline:
            print(f"out of time after {count - 1} moments")
            break
        if study.exists and (not moment.resume or study.ended() > TRIALS - 4):
            study = Study(root, str(count), seed + count)
        moment = replace(moment, resume=study.exists)
        ended = study.interrupt(moment)
        tally.ended.setdefault(moment.phase, []).append(ended)
        tally.judge(f"{count}, study {study.folder.name}: {moment}", ended.breaches)
        print(f"{count:>4} {moment}: {ended.code}, {ended.seconds:.2f} s{', late' * ended.late}", flush=True)
        if count % every == 0:
            left = TRIALS - study.ended()
            tally.judge(f"{count}, study {study.folder.name}, to its end", study.to_the_end() if left else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--phases", nargs="+", choices=get_args(Phase), default=get_args(Phase))
    parser.add_argument("--keep", type=Path, help="keep the studies in this folder")
    given = parser.parse_args()
    dice = random.Random(given.seed)
    moments = [draw(dice, given.phases) for _ in range(given.moments)]
    tally = Tally()
    root = given.keep or Path(tempfile.mkdtemp(prefix="interrupts-"))
    root.mkdir(parents=True, exist_ok=True)
    try:
        series(moments, root, given.seed, tally, minutes=given.minutes)
    finally:
        if given.keep is None:
            shutil.rmtree(root, ignore_errors=True)
    print(*tally.table(), f"{tally.passed} passed, {tally.failed} failed", sep="\n")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
