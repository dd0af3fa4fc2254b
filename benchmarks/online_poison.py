"""What wrong labels do to the champion: some of them are turned round for a while, and it is tested on clean rows.

    python benchmarks/online_poison.py
    python benchmarks/online_poison.py --streams sea-still --shares 0.5

Streams without drift, models found as for `benchmarks/online.py`. Of the labels of rows 3,000 to 8,000 a share becomes
another class at random; the others are right. Every 250 rows the champion of the moment answers 2,000 clean rows of the
same stream that nobody learns from. Prints Markdown: the frozen model's accuracy on them, the champion's worst from the
first wrong label on and its last, in points less than the frozen one, and how often somebody took over.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.online_models import columns_of, found, targets_of  # noqa: E402
from benchmarks.online_ours import Publishing  # noqa: E402
from benchmarks.online_streams import chosen, make  # noqa: E402
from search.online.base import base_of  # noqa: E402
from search.online.buffer import Buffer  # noqa: E402
from search.online.challenger import Challenger  # noqa: E402
from search.online.choices import Choices  # noqa: E402
from search.online.competitor import Fixed  # noqa: E402
from search.online.contest import Answering  # noqa: E402
from search.online.engine import Engine  # noqa: E402
from search.online.events import Labels, Shown  # noqa: E402
from search.online.packing import taken  # noqa: E402
from search.online.state import fresh  # noqa: E402

SHARES: Final = (0.05, 0.2, 0.5)
ROWS: Final = 12_000
WRONG: Final = (3_000, 8_000)
CLEAN: Final = 2_000
EVERY: Final = 250


@dataclass(frozen=True, slots=True)
class Told:
    """How one stream went, in accuracies on clean rows."""

    stream: str
    share: float
    frozen: float
    worst: float
    last: float
    swaps: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", nargs="+", default=("sea-still", "agrawal-still", "led-still", "rbf-still"))
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=ROOT / "results" / ".online-benchmark", help="keeps found models")
    given = parser.parse_args()
    names = chosen(given.streams)
    for name in names:
        found(make(name, given.seed, ROWS + CLEAN), given.seed, given.work)
    jobs = [(name, share, given.seed, given.work) for name in names for share in given.shares]
    with ProcessPoolExecutor(given.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(poisoned, *zip(*jobs, strict=True)))
    print("| stream | wrong labels | frozen | champion's worst, in points | at the end | take-overs |")
    print("|---|---|---|---|---|---|")
    for one in results:
        worst, last = (100 * (value - one.frozen) for value in (one.worst, one.last))
        told = f"{100 * one.share:.0f}% | {100 * one.frozen:.1f} | {worst:+.2f} | {last:+.2f} | {one.swaps}"
        print(f"| {one.stream} | {told} |")
    print(f"\nLargest fall: {max(100 * (one.frozen - one.worst) for one in results):.2f} points")


def poisoned(name: str, share: float, seed: int, work: Path) -> Told:
    """Have an engine learn a stream some of whose labels are wrong for a while."""
    import torch

    torch.set_num_threads(1)
    stream = make(name, seed, ROWS + CLEAN)
    served, choices = found(stream, seed, work), Choices(seed=seed)
    base = base_of(work / "results", served, accept_changes=True, old=choices.learn.old)
    challenger = Challenger(base, Buffer(choices.learn.capacity), choices.learn, choices.seed)
    columns, truth = columns_of(stream.table, base.signature), targets_of(stream, base.signature)
    clean = slice(stream.first + ROWS, stream.first + ROWS + CLEAN)
    tested = taken(columns, clean)
    labels, random = truth.copy(), np.random.default_rng([seed, round(100 * share)])
    wrong = stream.first + np.arange(*WRONG)
    wrong = wrong[random.random(len(wrong)) < share]
    classes = len(base.signature.classes)
    labels[wrong] = (labels[wrong] + random.integers(1, classes, len(wrong))) % classes

    def accuracy(champion: Answering) -> float:
        return float(np.mean(champion.answer(tested).argmax(axis=1) == truth[clean]))

    scores, nobody = list[float](), np.full((1, classes), np.nan)
    with tempfile.TemporaryDirectory() as folder:
        publishing = Publishing(Path(folder), base)
        state = fresh(base.signature, choices, challenger, base.old.columns)
        engine = Engine(base.signature.classes, Fixed(served), challenger, choices, publishing, state)
        for row in range(stream.first, stream.first + ROWS):
            number, ids, one = row - stream.first, (f"row.{row}",), slice(row, row + 1)
            own = taken(columns, one)
            shown = Shown(2 * number + 1, float(row), ids, own, nobody, "")
            engine.take([shown, Labels(2 * number + 2, float(row), ids, labels[one], "benchmark")])
            if number >= WRONG[0] and number % EVERY == 0:
                scores.append(accuracy(engine.champion))
        scores.append(accuracy(engine.champion))
    return Told(name, share, accuracy(Fixed(served)), min(scores), scores[-1], len(state.swaps))


if __name__ == "__main__":
    main()
