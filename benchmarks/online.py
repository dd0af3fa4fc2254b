"""How well a model that keeps learning follows its stream: ours beside the frozen model and river's own learners.

    python benchmarks/online.py                                     # every stream, 20,000 rows each
    python benchmarks/online.py --streams sea agrawal --rows 5000   # a quick look at those that begin so
    python benchmarks/online.py --seed 1 --reuse                    # what does not change is not run again

Each stream begins with 3,000 rows, of which a sweep of 12 trials finds a model and promotes it; river's learners, with
their own defaults, learn the same rows one by one. Then every row is answered first and learnt after (prequential
accuracy); its label comes at once. The frozen model answers all rows as it was promoted; ours is the engine of `sweep
online`, whose served answers count, with all its gates and guards. Models that were found are kept under --work, so a
second run is quicker. Rows a second are of processor time, of one core. Prints Markdown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import online_ours, online_peers  # noqa: E402
from benchmarks.online_models import answered, columns_of, family, found  # noqa: E402
from benchmarks.online_peers import ARF, HAT, LINEAR, PEERS, Run  # noqa: E402
from benchmarks.online_streams import FIRST, ROWS, STREAMS, Stream, chosen, make  # noqa: E402
from search.serve.backend import Served  # noqa: E402

SEED: Final = 100
"""Of the reported streams; constants of the learners were chosen by looking at seeds 1 to 9."""

FROZEN: Final = "frozen"
OURS: Final = "ours"
ALONE: Final = "challenger alone"
ARMS: Final = (FROZEN, OURS, ARF, HAT, LINEAR)
RIVALS: Final = (ARF, HAT)
"""Peers that ours is held against; the linear one shows how hard a stream is."""


@dataclass(frozen=True, slots=True)
class Job:
    """One stream's part of the benchmark."""

    stream: str
    seed: int
    rows: int
    work: Path
    arms: tuple[str, ...]
    reuse: bool

    @property
    def needs_model(self) -> bool:
        """Whether one of the arms begins with a model of ours."""
        return bool(set(self.arms) - set(PEERS))

    def kept(self, arm: str) -> Path:
        """Return the file of an arm's hits."""
        return self.work / "runs" / f"{self.stream}-{self.seed}-{self.rows}-{arm.replace(' ', '-')}.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", nargs="+", default=(), metavar="WORD", help="those that begin with these words")
    parser.add_argument("--rows", type=int, default=ROWS, help="after the first part")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=(*ARMS, ALONE), metavar="ARM")
    parser.add_argument("--jobs", type=int, default=2, help="streams at once")
    parser.add_argument("--work", type=Path, default=ROOT / "results" / ".online-benchmark", help="keeps found models")
    parser.add_argument("--reuse", action="store_true", help="take river's and the frozen runs of an earlier call")
    parser.add_argument("--parts", type=int, default=0, metavar="N", help="show the accuracy of each N-th as well")
    given = parser.parse_args()
    begun_s = time.monotonic()
    jobs = [
        Job(name, given.seed, given.rows, given.work.resolve(), tuple(given.arms), given.reuse)
        for name in chosen(given.streams)
    ]
    for job in jobs:
        if job.needs_model:
            found(make(job.stream, job.seed, job.rows), job.seed, job.work)
    found_s = time.monotonic() - begun_s
    print(f"Seed {given.seed}; {FIRST:,} rows, then {given.rows:,}. Accuracy in percent; points are differences.\n")
    results = show(jobs, given.jobs)
    print("\n".join(["", *summary(results)]))
    print(f"\n{found_s:.0f} s for the sweeps, {time.monotonic() - begun_s - found_s:.0f} s for the streams.")
    for name, runs in results.items() if given.parts else ():
        print("\n".join(["", *parts(name, runs, given.parts)]))


def show(jobs: Sequence[Job], at_once: int) -> dict[str, dict[str, Run]]:
    """Run the jobs, print a line of the table as each is done, and return what they found."""
    arms = jobs[0].arms
    print(f"| stream | drift | found | {' | '.join(arms)} | ours - frozen | ours - best of river | rows/s: ours, ARF |")
    print("|---" * (len(arms) + 6) + "|")
    results: dict[str, dict[str, Run]] = {}
    spawn = multiprocessing.get_context("spawn")  # libraries with threads do not survive a fork
    with ProcessPoolExecutor(at_once, mp_context=spawn) as pool:
        for job, (kind, runs) in zip(jobs, pool.map(run, jobs), strict=True):
            results[job.stream] = runs
            print(line(job.stream, kind, runs, arms), flush=True)
    return results


def run(job: Job) -> tuple[str, dict[str, Run]]:
    """Run all arms on one stream; return the family that was found, and the runs."""
    use_one_thread()
    stream = make(job.stream, job.seed, job.rows)
    ways: dict[str, Callable[[], Run]] = {
        name: partial(online_peers.prequential, name, stream, job.seed) for name in PEERS
    }
    kind = "-"
    if job.needs_model:
        served, results = found(stream, job.seed, job.work), job.work / "results"
        kind = family(served)
        ways[FROZEN] = partial(frozen, stream, served)
        ways[OURS] = partial(online_ours.engine_run, stream, served, results, job.seed)
        ways[ALONE] = partial(online_ours.challenger_run, stream, served, results, job.seed)
    return kind, {arm: _kept(job, arm, ways[arm]) for arm in job.arms}


def use_one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def frozen(stream: Stream, served: Served) -> Run:
    """Have the promoted model answer, as it is."""
    columns = columns_of(stream.table.iloc[stream.first :], served.bundle.signature)
    begun_s = time.process_time()
    hits = answered(served, columns) == stream.labels[stream.first :]
    return Run(hits, time.process_time() - begun_s)


def _kept(job: Job, arm: str, way: Callable[[], Run]) -> Run:
    """Run an arm, or read an earlier run of it if it is none of ours and may be reused."""
    path = job.kept(arm)
    if job.reuse and arm not in (OURS, ALONE) and path.exists():
        with np.load(path) as values:
            return Run(values["hits"], float(values["seconds"]), str(values["told"]))
    done = way()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, hits=done.hits, seconds=done.seconds, told=done.told)
    return done


def line(name: str, kind: str, runs: Mapping[str, Run], arms: Iterable[str]) -> str:
    """Return a stream's line of the table."""
    figures = " | ".join(f"{runs[arm].accuracy:.2f}" for arm in arms)
    rates = ", ".join(f"{runs[arm].rate:,.0f}" if arm in runs else "-" for arm in (OURS, ARF))
    told = f"{_points(runs, (FROZEN,))} | {_points(runs, RIVALS)}"
    return f"| {name} | {STREAMS[name].drift or 'none'} | {kind} | {figures} | {told} | {rates} |"


def _points(runs: Mapping[str, Run], others: Sequence[str]) -> str:
    points = points_over(runs, others)
    return "-" if points is None else f"{points:+.2f}"


def points_over(runs: Mapping[str, Run], others: Sequence[str]) -> float | None:
    """Return the points by which ours is above the best of these; None where one of them did not run."""
    if OURS not in runs or not all(one in runs for one in others):
        return None
    return runs[OURS].accuracy - max(runs[one].accuracy for one in others)


def summary(results: Mapping[str, Mapping[str, Run]]) -> list[str]:
    """Return in how many streams ours is where it wants to be."""
    drifting = [name for name in results if STREAMS[name].drift]
    still = [name for name in results if not STREAMS[name].drift]
    over = {name: (points_over(runs, (FROZEN,)), points_over(runs, RIVALS)) for name, runs in results.items()}
    lines = []
    for told, names, which, least in (
        ("above the frozen model where it drifts", drifting, 0, 0.0),
        ("at most 1 point under the frozen model where nothing drifts", still, 0, -1.0),
        ("at most 1 point under the best of river's two where it drifts", drifting, 1, -1.0),
        ("above the best of river's two where it drifts", drifting, 1, 0.0),
        ("at most 1 point under the best of river's two where nothing drifts", still, 1, -1.0),
    ):
        known = [(name, points) for name in names if (points := over[name][which]) is not None]
        missed = [f"{name} ({points:+.2f})" for name, points in known if points <= least]
        if known:
            but = f"; not: {', '.join(missed)}" if missed else ""
            lines.append(f"- {told}: {len(known) - len(missed)} of {len(known)}{but}")
    return lines


def parts(name: str, runs: Mapping[str, Run], count: int) -> list[str]:
    """Return the accuracy of each part of a stream, a line an arm, and what else an arm tells."""
    lines = [f"{name}:"]
    for arm, one in runs.items():
        shown = " ".join(f"{100 * part.mean():5.1f}" for part in np.array_split(one.hits, count))
        lines.append(f"  {arm:13} {shown}  {one.told}")
    return lines


if __name__ == "__main__":
    main()
