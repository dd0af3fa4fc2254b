"""How often a model that is no better takes over, where nothing drifts: at most as often as its level says.

    python benchmarks/online_level.py                                  # both parts: hours of one core; --jobs helps
    python benchmarks/online_level.py --part bets --streams 200        # differences of losses, made up
    python benchmarks/online_level.py --part models --rows 5000        # models that learn, champions that answer

*Bets*: differences whose expectation is never above 0, of six shapes, each stream looked at after every row. Counted
are the streams in which one test of the whole level ever passes, and those in which any of a family does, of which a
new one with the next number begins every 1,000 rows, as after a swap. *Models*: streams of rows from one concept. A
champion is trained on the first of them; the engine of `sweep online` reads the others, and its challenger learns. At
each change of the champion, both models answer 20,000 rows that nobody has seen: it was false if the new one is not
right more often. Prints Markdown, and a line `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from search.online.betting import PairedTest, passes  # noqa: E402
from search.online.choices import LearnChoices  # noqa: E402

Array = np.ndarray[Any, Any]
Random = np.random.Generator

ALPHA: Final = 0.05
CHANCE: Final = 0.001
"""Of more false passes than are allowed, where the level is exactly kept."""
EACH: Final = 1_000
"""Rows after which the next test of a family begins."""


# --- bets ---


def _often(random: Random, rows: int) -> Array:
    return np.array([1.0, 0.0, -1.0])[random.choice(3, rows, p=[0.2, 0.6, 0.2])]


def _seldom(random: Random, rows: int) -> Array:
    return np.array([1.0, 0.0, -1.0])[random.choice(3, rows, p=[0.02, 0.96, 0.02])]


def _rare_gain(random: Random, rows: int) -> Array:
    return np.where(random.random(rows) < 0.02, 1.0, -0.02 / 0.98)


def _rare_loss(random: Random, rows: int) -> Array:
    return np.where(random.random(rows) < 0.02, -1.0, 0.02 / 0.98)


def _tiny(random: Random, rows: int) -> Array:
    return random.uniform(-1e-3, 1e-3, rows)


def _louder(random: Random, rows: int) -> Array:
    """Signs of coins, and sizes that double as long as they gain: rows depend on those before."""
    signs = np.where(random.random(rows) < 0.5, 1.0, -1.0)
    sizes, size = np.empty(rows), 0.1
    for row, sign in enumerate(signs):
        sizes[row] = size
        size = min(2 * size, 1.0) if sign > 0 else 0.1
    louder: Array = signs * sizes
    return louder


SHAPES: Final[Mapping[str, Callable[[Random, int], Array]]] = {
    "-1, 0 or 1, often": _often,
    "-1, 0 or 1, seldom": _seldom,
    "one rare large gain": _rare_gain,
    "one rare large loss": _rare_loss,
    "hardly any": _tiny,
    "louder after a gain": _louder,
}


def bets(seed: int, shape: str, rows: int) -> tuple[bool, bool]:
    """Return whether a test ever passes, and whether any of a family does, on one stream."""
    random = np.random.default_rng([seed, [*SHAPES].index(shape)])
    alone, of_family, number = PairedTest(), PairedTest(), 1
    ever = any_of_family = False
    for row, difference in enumerate(SHAPES[shape](random, rows).tolist(), start=1):
        if not ever:
            alone.update(difference)
            ever = alone.log_evidence >= math.log(1 / ALPHA)
        if not any_of_family:
            of_family.update(difference)
            any_of_family = passes(of_family.log_evidence, ALPHA, number)
        if row % EACH == 0:
            of_family, number = PairedTest(), number + 1
    return ever, any_of_family


# --- models ---

FRESH: Final = 20_000
BATCH: Final = LearnChoices().batch
TRAINED: Final = (4_000, 300)
"""Rows of a champion's training: enough, so that nobody is better for long, and so few that others soon are."""
COLUMNS: Final = ("a", "b", "c", "d", "e")
MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "linear": {"model.family": "linear", "model.l2": 1e-3, "preprocess.scale": "standard"},
    "network": {"model.family": "mlp", "model.width": 32, "model.depth": 1, "preprocess.scale": "standard"},
}


@dataclass(frozen=True, slots=True)
class Swap:
    """A change of the champion: how it came about, and the share of wrong answers in truth before and after."""

    how: str
    row: int
    before: float
    after: float
    evidence: str

    @property
    def is_false(self) -> bool:
        return self.after >= self.before


@dataclass(frozen=True, slots=True)
class Told:
    """What happened on one stream."""

    swaps: tuple[Swap, ...]
    events: Mapping[str, int]


def concept(kind: str, random: Random) -> Callable[[Random, int], tuple[dict[str, Array], Array]]:
    """Return what draws rows of one concept: two classes of a logistic model, or three of a network with hard rows."""
    weights = random.normal(size=(len(COLUMNS), 12))
    outer = random.normal(size=(12, 3))

    def drawn(random: Random, rows: int) -> tuple[dict[str, Array], Array]:
        values = random.normal(size=(rows, len(COLUMNS))).astype(np.float32)
        if kind == "linear":
            labels = random.random(rows) < 1 / (1 + np.exp(-1.5 * values @ weights[:, 0]))
        else:
            labels = (np.tanh(values @ weights) @ outer).argmax(axis=1)
            labels = np.where(random.random(rows) < 0.15, random.integers(0, 3, rows), labels)
        return {name: values[:, place] for place, name in enumerate(COLUMNS)}, labels.astype(np.int64)

    return drawn


def models(seed: int, kind: str, trained: int, rows: int) -> Told:
    """Have an engine read one stream; return the changes of its champion."""
    import pandas as pd
    import torch
    from threadpoolctl import threadpool_limits

    from objectives.tabular import Tabular
    from search.contract import Part
    from search.online.base import Base
    from search.online.events import Labels, Shown
    from search.online.losses import Loss
    from tests.online.memory import engine_on

    torch.set_num_threads(1)
    random = np.random.default_rng([seed, len(kind)])
    drawn = concept(kind, random)
    columns, labels = drawn(random, trained)
    classes = ("no", "yes") if kind == "linear" else ("one", "two", "three")
    with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        train = Part(pd.DataFrame(columns), labels)
        base = Base.in_memory(Tabular(), train, MODELS[kind], classes=classes, seed=seed)
        engine, publisher = engine_on(base, Path(folder), seed=seed, alpha=ALPHA)
        unseen, truth = drawn(random, FRESH)
        loss, swaps = Loss(classes), []

        def in_truth(model: Any) -> float:
            told = zip(model.answer(unseen), truth, strict=True)
            return float(np.mean([loss.error(answer, target, model.threshold) for answer, target in told]))

        columns, labels = drawn(random, rows)
        for begin in range(0, rows, BATCH):  # no model changes between: the engine works so often
            before = engine.champion
            block = slice(begin, begin + BATCH)
            answers = before.answer({name: values[block] for name, values in columns.items()})
            for place, answer in enumerate(answers):
                row = begin + place
                own = {name: values[row : row + 1] for name, values in columns.items()}
                shown = Shown(2 * row + 1, float(row), (f"row.{row}",), own, answer[None], before.label)
                told = Labels(2 * row + 2, float(row), shown.ids, labels[row : row + 1], "benchmark")
                engine.take([shown, told])
            if engine.champion is not before:
                last = engine.state.swaps[-1]
                swaps.append(Swap(last["how"], last["row"], in_truth(before), in_truth(engine.champion), last["why"]))
    return Told(tuple(swaps), Counter(one["event"] for one in publisher.audited))


# --- both ---


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("bets", "models", "both"), default="both")
    parser.add_argument("--streams", type=int, default=200, help="of each shape, and of all models of one training")
    parser.add_argument("--bets", type=int, default=20_000, help="rows of a stream of differences")
    parser.add_argument("--rows", type=int, default=5_000, help="rows of a stream that a model learns from")
    parser.add_argument("--trained", type=int, action="append", help=f"rows of a champion's training, {TRAINED}")
    parser.add_argument("--seed", type=int, default=0, help="of the first stream")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started now
    passed = failed = 0
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as pool:
        seeds = range(given.seed, given.seed + given.streams)
        if given.part != "models":
            wrong = _print_bets(pool, seeds, given.bets)
            passed, failed = passed + sum(not one for one in wrong), failed + sum(wrong)
        if given.part != "bets":
            for trained in given.trained or TRAINED:
                wrong = _print_models(pool, seeds, trained, given.rows)
                passed, failed = passed + sum(not one for one in wrong), failed + sum(wrong)
    print(f"\n{passed} passed, {failed} failed")
    return int(failed > 0)


def _print_bets(pool: ProcessPoolExecutor, seeds: Sequence[int], rows: int) -> list[bool]:
    """Print false passes by shape; return of each count whether it is more than the level and chance allow."""
    from scipy.stats import binom

    print(f"{len(seeds)} streams of {rows:,} differences each, level {ALPHA:.0%}\n")
    print("| differences | one test passes | any of a family does | expected at most | by chance |")
    print("| --- | --- | --- | --- | --- |")
    most, wrong = int(binom.ppf(1 - CHANCE, len(seeds), ALPHA)), []
    for shape in SHAPES:
        found = list(pool.map(partial(bets, shape=shape, rows=rows), seeds, chunksize=4))
        counts = [sum(one) for one in zip(*found, strict=True)]
        print(f"| {shape} | {counts[0]} | {counts[1]} | {ALPHA * len(seeds):g} | {most} |", flush=True)
        wrong += [count > most for count in counts]
    return wrong


def _print_models(pool: ProcessPoolExecutor, seeds: Sequence[int], trained: int, rows: int) -> list[bool]:
    """Print changes of the champion by kind of model; return whether there were more false ones than allowed."""
    print(
        f"\n{len(seeds)} streams of {rows:,} rows without drift, champions trained on {trained:,}, level {ALPHA:.0%}\n"
    )
    print("| model | streams | changes | of these false | streams with a false one |\n| --- | --- | --- | --- | --- |")
    begun, false_streams, lines = time.monotonic(), 0, []
    for place, kind in enumerate(MODELS):
        own = seeds[place :: len(MODELS)]
        found = dict(zip(own, pool.map(partial(models, kind=kind, trained=trained, rows=rows), own), strict=True))
        swaps = [one for told in found.values() for one in told.swaps]
        with_false = sum(any(one.is_false for one in told.swaps) for told in found.values())
        false_streams += with_false
        falls = sum(one.is_false for one in swaps)
        print(f"| {kind} | {len(own)} | {len(swaps)} | {falls} | {with_false} |", flush=True)
        for seed, told in found.items():
            lines += [
                f"- {kind} {seed}, row {one.row}: {one.how}, wrong {one.before:.5f} -> {one.after:.5f}"
                f"{' FALSE' if one.is_false else ''}; {one.evidence}"
                for one in told.swaps
            ]
        resets = sum(told.events.get("reset", 0) for told in found.values())
        lines.append(f"- {kind}: the challenger began again {resets} times")
    print("", *lines, sep="\n")
    most = ALPHA * len(seeds)
    print(f"\nfalse take-overs over {len(seeds)} streams: {false_streams}, at most {most:g}", end="")
    print(f"; {time.monotonic() - begun:.0f} s")
    return [false_streams > most]


if __name__ == "__main__":
    sys.exit(main())
