"""How far a study scales: its server by itself, and sweeps of trials that sleep.

    python -m benchmarks.scale study       # the study server, at 100, 1,000 and 10,000 stored trials
    python -m benchmarks.scale sweeps      # 1, 2, 4, 8 nodes of this machine, beside Ray Tune
    python -m benchmarks.scale all --quick

Every arm runs in a process of its own, in turn. On a machine that does something else, too, the figures say little by
themselves; arms of one table may be compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.scale_study import HEAD

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 420


def child(module: str, *arguments: object) -> str:
    """Return the last line that an arm prints, "" if it failed, which is said."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(command[2:])} took more than {LIMIT_S} s", file=sys.stderr)
        return ""
    if done.returncode:
        print(f"{' '.join(command[2:])} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return ""
    return done.stdout.strip().splitlines()[-1]


def study(*, quick: bool) -> None:
    """Print the table of the study server."""
    print(f"### The study server alone\n\n{HEAD}")
    for trials in (1_000, 10_000) if quick else (100, 1_000, 10_000):
        for sampler in ("tpe",) if quick else ("random", "tpe"):
            for arm in ("owner in process", "actor"):
                cells = child("scale_study", "actor" if arm == "actor" else "owner", sampler, trials, 3 if quick else 8)
                print(f"| {arm} | {sampler} | {trials:,} | {cells or 'failed'} |", flush=True)


def sweeps(*, quick: bool) -> None:
    """Print the table of sweeps that sleep."""
    print(
        "\n### Sweeps of trials that sleep (up to 9 epochs, halving, TPE)\n\n"
        "| nodes | workers | epoch s | trials | sweep: with work for all | in all | all at work after s | whole s |"
        " Tune: with work for all | in all | all at work after s | whole s |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|"
    )
    plan = [(2, 8, 0.25)] if quick else [(1, 4, 1.0), (2, 8, 1.0), (4, 16, 1.0), (8, 32, 1.0), (2, 8, 0.25)]
    for nodes, workers, epoch_s in plan:
        trials = workers * 6
        cells = []
        for arm in ("sweep", "tune"):
            said = child("scale_sweeps", arm, nodes, workers, trials, epoch_s)
            found = json.loads(said) if said else None
            cells.append(
                f"{found['efficiency']:.1%} | {found['in_all']:.1%} | {found['begun_s']:.1f} | {found['wall_s']:.1f}"
                if found
                else "failed | | |"
            )
        print(f"| {nodes} | {workers} | {epoch_s:g} | {trials} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("study", "sweeps", "all"))
    parser.add_argument("--quick", action="store_true", help="fewer arms, under two minutes on a quiet machine")
    given = parser.parse_args()
    if given.part != "sweeps":
        study(quick=given.quick)
    if given.part != "study":
        sweeps(quick=given.quick)


if __name__ == "__main__":
    main()
