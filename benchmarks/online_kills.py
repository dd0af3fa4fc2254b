"""Proof that kill -9 takes no label from a model that keeps learning, and has none learnt twice.

    python benchmarks/online_kills.py --kills 50 --seed 0
    python benchmarks/online_kills.py --kills 5 --phases swap --seed 1      # only while a version is registered

A real `sweep online` is killed at moments drawn from the seed: its server, the process that learns, or both at once;
while it starts, answers, learns, writes a snapshot, or registers a version. A client predicts and labels all the while,
late, out of order and more than once, and notes what was acknowledged. After each kill it is started again, and a row
that is asked before and after has to be answered as before by the same version. At the end each label that was
acknowledged stands in the log once and counts once, and who reads the log from its start comes, bit for bit, to the
same state, versions and audit log.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.online_kills_check import CATCH_UP_S, Checks, compared, labels_of  # noqa: E402
from benchmarks.online_kills_client import Client  # noqa: E402
from benchmarks.online_kills_site import NAME, Site, Who, promoted  # noqa: E402
from search.online.choices import LearnChoices  # noqa: E402
from search.paths import ModelFolder, OnlineFolder  # noqa: E402

MOMENT_S: Final = 60.0
"""For so long the moment of a kill is waited for; then it is killed anyway."""

BEHIND: Final = 500
"""Labels that the learner has not read, beyond which the client sends few."""

Phase = Literal["start", "serve", "learn", "snapshot", "swap"]


def moment(site: Site, client: Client, phase: Phase, random_: random.Random) -> bool:
    """Wait for the moment of a kill; tell whether it came."""
    if phase == "serve":
        time.sleep(random_.uniform(0, 1.5))
        return True
    came = _sign_of(site, phase)
    deadline_s = time.monotonic() + MOMENT_S
    looked_s = 0.0
    while time.monotonic() < deadline_s:
        if time.monotonic() - looked_s > 0.2:
            site.learner()
            client.allowed = site.status().get("rows", {}).get("labelled", 0) + BEHIND
            looked_s = time.monotonic()
        if came():
            time.sleep(random_.uniform(0, {"learn": 1.0, "snapshot": 0.004, "swap": 0.1}[phase]))
            return True
        time.sleep(0.0005)
    return False


def _sign_of(site: Site, phase: Phase) -> Callable[[], bool]:
    """Return what tells that something has begun."""
    if phase == "learn":
        before = site.status().get("rows", {}).get("labelled", 0)
        return lambda: site.status().get("rows", {}).get("labelled", 0) > before
    if phase == "snapshot":
        return lambda: any(site.folder.state.glob(".*.tmp"))
    model = ModelFolder.of(site.results, NAME)
    known = {path.name for path in model.root.iterdir()}
    return lambda: not {path.name for path in model.root.iterdir()} <= known


def killed(
    site: Site, client: Client, kills: int, phases: Sequence[Phase], random_: random.Random, checks: Checks
) -> Counter[str]:
    """Kill so often, and start again each time; return how often in which phase."""
    done: Counter[str] = Counter()
    client.call(site.url)
    for number in range(kills):
        phase = phases[number % len(phases)] if number < len(phases) else random_.choice(phases)
        who: Who = random_.choices(("both", "server", "learner"), (3, 1, 1))[0]
        if phase == "start":
            _kill_at_start(site, client, random_)
            came, who = True, "both"
        else:
            came = moment(site, client, phase, random_)
            client.probe()
            site.kill(who)
        done[phase if came else f"{phase} (not seen)"] += 1
        if site.process is not None and site.process.poll() is not None:
            client.call("")
            site.spawn()
            site.listen()
            client.call(site.url)
        client.probe()
        client.again()
        faults, client.faults = client.faults, []
        checks.that(not faults, f"kill {number}, {who} in {phase}: {'; '.join(faults[:3])}")
        rows = site.status().get("rows", {})
        print(
            f"kill {number + 1}/{kills} {who:7} {phase:8} {'' if came else '(not seen)'} acknowledged"
            f" {len(client.acknowledged)}, {client.model} answers, learnt {rows.get('learnt')}",
            flush=True,
        )
    return done


def _kill_at_start(site: Site, client: Client, random_: random.Random) -> None:
    """Kill, start, and kill before it listens, or just then."""
    client.call("")
    site.kill("both")
    site.spawn()
    deadline_s = time.monotonic() + random_.uniform(0.2, 6.0)
    while time.monotonic() < deadline_s:
        site.learner()
        time.sleep(0.02)
    site.kill("both")


def begun(site: Site, pristine: Path) -> None:
    """Start it, and give the copy its first snapshot, which has what is random: which rows are held out of learning."""
    site.spawn()
    site.listen()
    deadline_s = time.monotonic() + CATCH_UP_S
    while not (found := sorted(site.folder.state.glob("*.safetensors"))):
        if time.monotonic() > deadline_s:
            raise SystemExit("the process that learns does not begin")
        site.learner()
        time.sleep(0.05)
    again = OnlineFolder.of(pristine, NAME)
    again.state.mkdir(parents=True)
    shutil.copy(found[0], again.state)


def settled(site: Site, client: Client, batch: int, checks: Checks) -> None:
    """Have the learner catch up, for which the labels have to make up whole steps of it, and end all."""
    client.stop()
    labels = client.fill_up(lambda: len(labels_of(site.folder, Checks())), batch)
    deadline_s = time.monotonic() + CATCH_UP_S
    while (rows := site.status().get("rows", {})).get("labelled", 0) + rows.get("unknown", 0) < labels:
        if time.monotonic() > deadline_s:
            break
        site.learner()
        time.sleep(0.2)
    checks.that(rows.get("labelled") == labels, f"{labels} labels are in the log, {rows.get('labelled')} count")
    kinds = ("learnt", "holdout", "trusted", "aside", "held")
    total = sum(rows.get(kind, 0) for kind in kinds)
    checks.that(total == labels, f"{labels} labels are in the log, and {total} were learnt, held or put aside: {rows}")
    checks.that(rows.get("unknown") == 0, f"{rows.get('unknown')} labels were of rows that nobody was shown")
    checks.that(site.end() == 143, "SIGTERM did not end it with 143")
    checks.that(not (left := site.orphans()), f"the processes {left} that learn have outlived their server")


def proved(
    results: Path, *, kills: int, seed: int, phases: Sequence[Phase], checks: Checks, turn: int = 800
) -> Counter[str]:
    """Run the proof on a model that is in production; return how often it was killed in which phase.

    Args:
        results: With the model `rain`; a copy of it is made beside.
        kills: How many.
        seed: Of the moments, and of the client.
        phases: Among which moments are drawn; each comes once first.
        checks: Takes what is found.
        turn: Rows after which what is true turns round, so that models take over.
    """
    pristine = results.with_name("pristine")
    shutil.copytree(results, pristine, symlinks=True)
    random_ = random.Random(seed)
    site = Site(results)
    client = Client(seed, turn)
    client.start()
    try:
        begun(site, pristine)
        done = killed(site, client, kills, phases, random_, checks)
        settled(site, client, LearnChoices().batch, checks)
    finally:
        client.stop()
        client.close()
        site.close()
    compared(site, pristine, client, checks)
    return done


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phases", nargs="+", choices=get_args(Phase), default=get_args(Phase))
    parser.add_argument("--work", type=Path, help="a new folder that is kept")
    given = parser.parse_args(arguments)
    work = given.work or Path(tempfile.mkdtemp(prefix="online-kills-"))
    checks, begun_s = Checks(), time.monotonic()
    promoted(work / "results")
    done = proved(work / "results", kills=given.kills, seed=given.seed, phases=given.phases, checks=checks)
    status = json.loads(OnlineFolder.of(work / "results", NAME).status.read_bytes())
    print(f"killed {dict(done)} in {time.monotonic() - begun_s:.0f} s; rows {status['rows']}")
    print(f"changes of the champion: {dict(Counter(swap['how'] for swap in status['swaps']))}")
    print(f"{checks.passed} passed, {len(checks.faults)} failed")
    if given.work is None and not checks.faults:
        shutil.rmtree(work)
    return 1 if checks.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
