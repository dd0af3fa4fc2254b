"""What it saves to compute each preparation once: the same sweep with nothing kept, joblib, memory maps, and the cache.

    python benchmarks/preprocess_cache.py                  # time: 100 trials, 8 kinds, 2 workers, 3 rounds; then memory
    python benchmarks/preprocess_cache.py --trials 24 --rounds 1

Every arm is a whole sweep of the same trials by the same driver, in a process of its own, arms in turn and in another
order each round; only what keeps the prepared rows differs. Preprocessing is calibrated to 70 % of a trial. The ceiling
is what the sweep without any cache would have taken had each kind been prepared once, divided between the workers
without a gap: a share of 100 % saves all that can be saved.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ARMS = ("redo", "joblib", "memory map", "sweep")
SHARE = 0.7  # of a trial, for preprocessing
PILOT_STEPS = 300
ROWS, FEW_ROWS = 100_000, 1000


def run(arm: str, trials: int, workers: int) -> dict[str, Any]:
    """Run one sweep; return its seconds, those of its stages, and the memory of its workers."""
    from search.choosing import choose
    from search.launch import prepare
    from search.records import study
    from search.tuner import cluster
    from search.tuner.driver import sweep

    with tempfile.TemporaryDirectory(dir=os.environ.get("PREPROCESS_FOLDER")) as folder:
        flags = {
            "trials": trials,
            "sampler": "random",
            "pruner": "none",
            "max-epochs": 3,
            "patience": 0,
            "concurrency": workers,
            "cpus": 2.0 / workers if workers > 2 else 1.0,
            "seed": 0,
            "study": "s",
            **({} if arm == "sweep" else {"cache": "none"}),
        }
        path = f"{ROOT}/benchmarks/preprocess_cache_problem.py:Heavy"
        launch = prepare(path, choose(flags), results=Path(folder), folder=ROOT)
        cluster.set_environment(None)
        with cluster.connected(None, num_cpus=2), _Memory() as memory:
            begun = time.perf_counter()
            ended = sweep(launch, view=lambda _: None)
            seconds = time.perf_counter() - begun
        assert ended.status.trials["complete"] == trials, ended.status
        spent: dict[str, float] = defaultdict(float)
        by_kind: dict[str, list[float]] = defaultdict(list)
        for record in study.read(ended.folder).records:
            for stage, stage_s in record.end["stage_s"].items():
                spent[stage] += stage_s
            by_kind[str(record.params["preprocess.kind"])].append(record.end["stage_s"]["preprocess"])
        once_s = sum(statistics.mean(found) for found in by_kind.values())
        return {
            "seconds": seconds,
            "stages": spent,
            "kinds": len(by_kind),
            "redundant_s": spent["preprocess"] - once_s,
            "prepared": ended.status.to_json().get("prepared"),
            **memory.figures(),
        }


class _Memory:
    """The sum over the workers of their proportional share of memory, twice a second, in MB."""

    def __enter__(self) -> _Memory:
        self._seen: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def figures(self) -> dict[str, float]:
        late = self._seen[len(self._seen) // 2 :]
        return {
            "peak_mb": max(total for total, _ in self._seen),
            "middle_mb": statistics.median(total for total, _ in late),
            "mapped_mb": statistics.median(mapped for _, mapped in late),
        }

    def _look(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._over.wait(0.5):
            found = [_shares(one.pid) for one in me.children(recursive=True) if _is_worker(one)]
            self._seen.append((sum(one for one, _ in found) / 1024, sum(one for _, one in found) / 1024))


def _is_worker(process: Any) -> bool:
    import psutil

    try:
        return "Trainable" in " ".join(process.cmdline())  # as Ray calls its processes
    except psutil.Error:
        return False


def _shares(pid: int) -> tuple[int, int]:
    """Return a process's proportional share of memory in kB, and what of it are mapped files of the store."""
    total = mapped = 0
    is_mapped = False
    try:
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            if line.startswith("Pss:"):
                share = int(line.split()[1])
                total += share
                mapped += share if is_mapped else 0
            elif "-" in line.split(" ", 1)[0]:
                is_mapped = "/.store/" in line
    except OSError:
        pass
    return total, mapped


def child(arm: str, trials: int, workers: int, steps: int, folder: str, *, rows: int = ROWS) -> dict[str, Any]:
    command = [sys.executable, __file__, "--arm", arm, "--trials", str(trials), "--workers", str(workers)]
    with tempfile.TemporaryDirectory(dir=folder or None) as place:
        given = {"ARM": arm, "STEPS": str(steps), "FOLDER": place, "ROWS": str(rows)}
        ended = subprocess.run(
            command,
            env={**os.environ, **{f"PREPROCESS_{name}": value for name, value in given.items()}},
            capture_output=True,
            text=True,
        )
    if ended.returncode:
        sys.exit(ended.stderr)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def calibrated(folder: str) -> int:
    """Return the steps of an epoch with which preprocessing takes its share of a trial."""
    pilot = child("redo", 8, 2, PILOT_STEPS, folder)
    stages = pilot["stages"]
    other = sum(seconds for stage, seconds in stages.items() if stage not in ("preprocess", "train"))
    wanted = stages["preprocess"] * (1 - SHARE) / SHARE - other
    return max(1, round(PILOT_STEPS * float(wanted / stages["train"])))


def seconds_table(trials: int, rounds: int, steps: int, folder: str) -> None:
    seen: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    shares: dict[str, list[float]] = {arm: [] for arm in ARMS}
    rivals: list[float] = []
    for turn in range(rounds):
        for arm in (*ARMS[turn % len(ARMS) :], *ARMS[: turn % len(ARMS)]):
            seen[arm].append(child(arm, trials, 2, steps, folder))
        redo = seen["redo"][-1]
        can_save = redo["redundant_s"] / 2
        for arm in ARMS:
            shares[arm].append((redo["seconds"] - seen[arm][-1]["seconds"]) / can_save)
        rivals.append(seen["sweep"][-1]["seconds"] / seen["memory map"][-1]["seconds"])
    stages = seen["redo"][-1]["stages"]
    print(f"\n### Seconds: {trials} trials, {seen['redo'][-1]['kinds']} kinds, 2 workers, median of {rounds} rounds\n")
    print(f"Preprocessing is {stages['preprocess'] / sum(stages.values()):.0%} of a trial that keeps nothing.\n")
    print("| kept by | seconds | rounds | of what can be saved |\n|---|---|---|---|")
    for arm in ARMS:
        found = [one["seconds"] for one in seen[arm]]
        each = ", ".join(f"{one:.1f}" for one in found)
        print(f"| {arm} | {statistics.median(found):.1f} | {each} | {statistics.median(shares[arm]):.1%} |")
    ceiling = statistics.median(one["seconds"] - one["redundant_s"] / 2 for one in seen["redo"])
    print(f"| (the ceiling) | {ceiling:.1f} | | 100% |")
    print(f"\nsweep / memory map: {statistics.median(rivals):.3f} ({', '.join(f'{one:.3f}' for one in rivals)})")
    print(f"prepared: {json.dumps(seen['sweep'][-1]['prepared'])}")
    stages_of = {arm: {stage: round(s, 2) for stage, s in seen[arm][-1]["stages"].items()} for arm in ARMS}
    print(f"stages of the last round, seconds over all trials: {json.dumps(stages_of)}")


def memory_table(trials: int, steps: int, folder: str) -> None:
    """Print what all workers take, and what of it is more than the same workers take with next to no rows."""
    print("\n### Memory: proportional shares of all workers, median of the later half, MB\n")
    print("| kept by | workers | in all | for rows | of it mapped from the store | peak |\n|---|---|---|---|---|---|")
    for workers in (1, 2, 4):
        bare = child("redo", trials, workers, steps, folder, rows=FEW_ROWS)
        for arm in ("redo", "sweep"):
            one = child(arm, trials, workers, steps, folder)
            own = one["middle_mb"] - bare["middle_mb"]
            figures = (one["middle_mb"], own, one["mapped_mb"], one["peak_mb"])
            print(f"| {arm} | {workers} | {' | '.join(f'{figure:.0f}' for figure in figures)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-trials", type=int, default=32)
    parser.add_argument(
        "--folder", default="", help="Where the files of all arms lie; the temporary folder if not given."
    )
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if given.arm:
        print(json.dumps(run(given.arm, given.trials, given.workers)))
        return
    steps = calibrated(given.folder)
    print(f"steps of an epoch: {steps}", flush=True)
    if given.rounds:
        seconds_table(given.trials, given.rounds, steps, given.folder)
    if given.memory_trials:
        memory_table(given.memory_trials, steps, given.folder)


if __name__ == "__main__":
    main()
