"""Proof that nothing is lost: sweeps from the command line under kill -9, checked against a log of their own workers.

    python benchmarks/chaos.py --driver-kills 200 --other-kills 100 --seed 0      # hours; bounded by --minutes
    python benchmarks/chaos.py --driver-kills 4 --mutate buffer-reports           # breaks the code: must go red

In the first series the driver is killed and `sweep resume` goes on, again and again, until the study finishes; in the
second workers, the study server and the files' actor are killed while a sweep runs, which has to end by itself. What
strikes whom is drawn from the seed: at the n-th call, answer, server method or write, and now and then by time. The
same objective on plain Optuna, whose process is killed and started again, stands beside it in the table.

The processes are watched from outside: see `chaos_hooks.py`. The rules are in `chaos_check.py` and, of a
study that has finished, in `chaos_end.py`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import optuna

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import chaos_check as check  # noqa: E402
from benchmarks import chaos_end  # noqa: E402
from benchmarks.chaos_draw import SCENES, Script, draw_driver_kill, draw_other, drawn  # noqa: E402
from benchmarks.chaos_hooks import Strike  # noqa: E402
from benchmarks.chaos_mutations import MUTATIONS  # noqa: E402
from benchmarks.chaos_plain import start, tear, waited_s  # noqa: E402
from benchmarks.chaos_sweep import GONE_S, HANG_S, MUTATED_HANG_S, TRIALS, Ran, Sweep  # noqa: E402

MAX_ROUNDS: Final = 60
"""Runs after which a study must have finished."""


@dataclass(slots=True)
class Tally:
    """What a series of rounds came to."""

    rounds: int = 0
    failures: list[str] = field(default_factory=list)
    passed: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    studies: int = 0
    figures: dict[str, int] = field(default_factory=dict)
    first_s: list[float] = field(default_factory=list)
    gone_s: list[float] = field(default_factory=list)

    def count(self, name: str, more: int = 1) -> None:
        self.figures[name] = self.figures.get(name, 0) + more

    def judge(self, where: str, breaches: list[str]) -> bool:
        """Take in one round; tell whether it passed."""
        self.rounds += 1
        self.passed += not breaches
        self.failures += [f"{where}: {one}" for one in breaches]
        for one in breaches:
            print(f"FAILED {where}: {one}", flush=True)
        return not breaches


# --- a series ---


def drive(sweep: Sweep, dice: random.Random, tally: Tally, end: Callable[[], bool], script: Script = ()) -> bool:
    """Kill the driver of one study again and again until it has finished; tell whether all went well.

    Args:
        sweep: The study.
        dice: Draws what strikes, once the script is over.
        tally: Takes in each round.
        end: Tells whether there have been kills enough, or time is up: then the study may finish.
        script: Strikes of the first rounds.
    """
    rounds = iter(script)
    for _ in range(MAX_ROUNDS):
        strikes = next(rounds, () if end() or script else _drawn_round(dice))
        wait = bool(script) or not strikes or dice.random() < 0.8
        over, found = _judge(sweep, sweep.run(strikes, wait=wait), tally)
        if not tally.judge(sweep.folder.name, found):
            return False
        if over:
            return True
        if wait and not script and dice.random() < 0.15 and tear(sweep.journal):
            tally.count("torn")
    return tally.judge(sweep.folder.name, [f"not finished after {MAX_ROUNDS} rounds"])


def harass(sweep: Sweep, dice: random.Random, tally: Tally) -> bool:
    """Kill everything but the driver while a sweep runs, which ends by itself; tell whether all went well."""
    strikes = [draw_other(dice, spread) for spread in (0.3, 0.6, 1, 1.5, 2, 3, 4)]
    over, found = _judge(sweep, sweep.run(strikes), tally)
    return tally.judge(sweep.folder.name, found if over else [*found, "did not end by itself"])


def _drawn_round(dice: random.Random) -> tuple[Strike, ...]:
    if dice.random() < 0.1:
        return (Strike("disk", "write.enter", 1 + int(dice.expovariate(1 / 25))),)
    return (draw_driver_kill(dice), *((draw_other(dice, 0.5),) if dice.random() < 0.25 else ()))


def _judge(sweep: Sweep, ran: Ran, tally: Tally) -> tuple[bool, list[str]]:
    """Compare log and storage after a run; tell whether the study is over, and what is wrong."""
    history = check.read_history(sweep.folder / "rounds" / "log.jsonl")
    _count(history, ran, tally)
    found = _of_the_run(ran, history)
    if ran.gone_s is None:
        return False, found  # its server may still be writing
    trials = check.read_trials(sweep.journal)
    found += check.breaches(history, trials)
    over = ran.code == 0
    if over:
        opened = any(event.round == ran.round for event in history.of("exit", "open"))
        found += chaos_end.breaches(sweep.journal, trials, out=ran.out, asked=TRIALS, opened=opened)
        found += [f"{name} is left of a process that died" for name in sweep.words_left()]
        tally.studies += 1
        for name, number in check.figures(history, trials).items():
            tally.count(name, number)
    return over, list(dict.fromkeys(found))


def _count(history: check.History, ran: Ran, tally: Tally) -> None:
    strikes = [event.op for event in history.events if event.at == "strike" and event.round == ran.round]
    for target in strikes:
        tally.kills[target] = tally.kills.get(target, 0) + (target != "driver")
    tally.kills["driver"] = tally.kills.get("driver", 0) + (ran.code == -signal.SIGKILL)
    if ran.gone_s is not None and ran.code == -signal.SIGKILL:
        tally.gone_s.append(ran.gone_s)
    if (waited := check.first_trial_s(history, ran.round)) is not None:
        tally.first_s.append(waited)


def _of_the_run(ran: Ran, history: check.History) -> list[str]:
    """Return what is wrong with how the command ended."""
    found = [f"{one} was left {GONE_S:g} s after its driver" for one in ran.left]
    struck = {event.op for event in history.events if event.at == "strike" and event.round == ran.round}
    if ran.code is None:
        return [*found, "hung"]
    expected = {0, -signal.SIGKILL, *((3,) if "disk" in struck else ())}
    if ran.code not in expected or "Traceback" in ran.err:
        found.append(f"exit {ran.code}: {ran.err[-600:].strip()}")
    return found


def plain_series(root: Path, kills: int, dice: random.Random, tally: Tally, late: Callable[[], bool]) -> None:
    """Give plain Optuna as many kills, and count what becomes of its studies."""
    while tally.kills.get("driver", 0) < kills and not late():
        folder = root / f"plain-{tally.studies:03d}"
        folder.mkdir()
        tally.studies += 1
        ended = _plain_study(folder, kills, dice, tally)
        history = check.read_history(folder / "rounds" / "log.jsonl")
        tally.first_s += waited_s(history)
        if not ended:
            tally.count("studies lost")
            continue
        trials = check.read_trials(folder / "study.journal")
        tally.count("breaches", len(check.breaches(history, trials)))
        for name, number in check.figures(history, trials).items():
            tally.count(name, number)


def _plain_study(folder: Path, kills: int, dice: random.Random, tally: Tally) -> bool:
    """Run one study of plain Optuna to its end; tell whether it got there."""
    for number in range(MAX_ROUNDS):
        round_ = folder / "rounds" / f"{number:03d}"
        round_.mkdir(parents=True)
        point = dice.choice(("ask.call", "ask.answer", "report.call", "report.answer", "tell.call", "tell.answer"))
        point = dice.choice((point, "write.enter", "write.locked", "write.exit"))
        strike = drawn("worker", dice, point)
        enough = tally.kills.get("driver", 0) >= kills
        (round_ / "plan.json").write_text(json.dumps([] if enough else [asdict(strike)]))
        ran = start(folder, round_, TRIALS, HANG_S)
        if ran.code == 0:
            return True
        if ran.code != -signal.SIGKILL:
            return False
        tally.kills["driver"] = tally.kills.get("driver", 0) + 1
        if dice.random() < 0.1 and tear(folder / "study.journal"):
            tally.count("torn")
    return False


# --- what came of it ---


def table(ours: Tally, plain: Tally) -> str:
    """Return both as one Markdown table."""
    rows = [
        ("kills of the driver (plain: of its process)", *(str(one.kills.get("driver", 0)) for one in (ours, plain))),
        ("kills of workers / study server / files", _others(ours), "-"),
        ("writes cut short by a full disk", str(ours.kills.get("disk", 0)), "-"),
        ("torn tails", *(str(one.figures.get("torn", 0)) for one in (ours, plain))),
        (
            f"studies of {TRIALS} trials, and of them lost",
            *(f"{one.studies}, {one.figures.get('studies lost', 0)}" for one in (ours, plain)),
        ),
        *(
            (name, *(str(one.figures.get(name, 0)) for one in (ours, plain)))
            for name in (
                "trials in storage",
                "reports acknowledged",
                "ends acknowledged",
                "trials resumed from a checkpoint",
                "trials left RUNNING for ever",
                "epochs trained twice or for nothing",
            )
        ),
        ("breaches of any rule", str(len(ours.failures)), str(plain.figures.get("breaches", 0))),
        ("seconds to the first trial: median, max", *(_middle(one.first_s) for one in (ours, plain))),
        ("seconds until nothing is left of a killed driver: median, max", _middle(ours.gone_s), "-"),
    ]
    lines = ["| | sweep | plain Optuna |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def _others(tally: Tally) -> str:
    return " / ".join(str(tally.kills.get(target, 0)) for target in ("worker", "server", "files"))


def _middle(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.1f}, {max(seconds):.1f}" if seconds else "-"


def run(
    root: Path, *, driver_kills: int, other_kills: int, seed: int, minutes: float = 1e9, mutation: str = ""
) -> Tally:
    """Run both series of sweeps; the folders of those that failed stay."""
    tally, late = Tally(), _deadline(minutes)
    number = 0

    def enough() -> bool:
        return tally.kills.get("driver", 0) >= driver_kills or late()

    def others() -> int:
        return sum(tally.kills.get(target, 0) for target in ("worker", "server", "files"))

    if mutation:
        sweep = Sweep(root, f"mutated-{mutation}", seed, mutation, MUTATED_HANG_S)
        drive(sweep, random.Random(seed), tally, lambda: True, SCENES[mutation].script)
        return tally
    while not (enough() and (others() >= other_kills or late())):
        sweep = Sweep(root, f"seed-{seed}-study-{number:03d}", seed * 1000 + number)
        dice = random.Random(f"{seed}/{number}")
        went_well = drive(sweep, dice, tally, enough) if not enough() else harass(sweep, dice, tally)
        if went_well:
            sweep.remove()
        number += 1
        print(f"{sweep.folder.name}: {tally.kills}, {len(tally.failures)} breaches", flush=True)
    return tally


def _deadline(minutes: float) -> Callable[[], bool]:
    ends = time.monotonic() + 60 * minutes
    return lambda: time.monotonic() > ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver-kills", type=int, default=200)
    parser.add_argument("--other-kills", type=int, default=100)
    parser.add_argument("--plain-kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=240.0, help="begin no kill after so long")
    parser.add_argument("--mutate", choices=sorted(MUTATIONS), help="break the code this way: must go red")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    plain = Tally()
    if given.mutate is None:
        plain_series(root, given.plain_kills, random.Random(given.seed), plain, _deadline(given.minutes / 4))
    ours = run(
        root,
        driver_kills=given.driver_kills,
        other_kills=given.other_kills,
        seed=given.seed,
        minutes=given.minutes,
        mutation=given.mutate or "",
    )
    print(f"\n{table(ours, plain)}\n")
    print(f"{ours.passed} passed, {ours.rounds - ours.passed} failed", flush=True)
    if ours.failures:
        print(f"what failed is kept in {root}")
        sys.exit(1)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
