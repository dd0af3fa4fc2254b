"""The study server alone: reports a second and the time to a verdict, at so many stored trials.

A real study actor is driven by clients in processes of their own. Each client plays many workers, every one of which
has one call under way, as `search/tuner/slot.py` has: a report, and the next when its verdict is there. Meanwhile one
more client asks for trials and ends them, one after the other, so that a suggestion is always under way.
"""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
import sys
import tempfile
import time
import uuid
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.large_study import records
from search.choosing import choose
from search.launch import Launch, prepare
from search.study import attributes
from search.study.drafts import SLOW_S
from search.trial import Ending, Outcome, Progress

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = 2
WORKERS = 16
"""Of each client."""

PACED = 1_000
"""Reports a second of workers that do something between two of them."""

_OF_A_RUN = {attributes.RUNS, attributes.STOPPED, attributes.CLOCK}


@dataclass(frozen=True)
class Served:
    """What was measured, in seconds and MB."""

    reports_a_second: float
    verdict_s: tuple[float, float, float]
    paced_s: tuple[float, float, float]
    asks_a_second: float
    ask_s: tuple[float, float, float]
    memory_mb: float
    opened_s: float

    def cells(self) -> str:
        verdict, paced, ask = (
            "" if math.isnan(given[0]) else " / ".join(f"{1000 * one:.1f}" for one in given)
            for given in (self.verdict_s, self.paced_s, self.ask_s)
        )
        return (
            f"{self.reports_a_second:.0f} | {verdict} | {paced} | {self.asks_a_second:.1f} | {ask} | "
            f"{self.memory_mb:.0f} | {self.opened_s:.1f}"
        )


HEAD = (
    "| arm | sampler | stored trials | reports/s at most | verdict ms then, p50 / p99 / most |"
    f" verdict ms at {PACED:,} reports/s | asks/s | ask ms, p50 / p99 / most | memory MB | opens in s |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def quantiles(found: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the 99th percentile and the largest; nan of nothing."""
    if not found:
        return math.nan, math.nan, math.nan
    ordered = sorted(found)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], ordered[-1]


@contextmanager
def stored(trials: int, sampler: str) -> Iterator[Launch]:
    """Have a study of so many ended trials, ready to be opened."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "trials": 10_000_000,
            "sampler": sampler,
            "pruner": "asha",
            "max-epochs": 1_000_000,
            "patience": 0,
            "seed": 0,
            "study": "scale",
        }
        launch = prepare(f"{ROOT}/benchmarks/scale_problem.py", choose(flags), results=Path(folder), folder=ROOT)
        launch.folder.root.mkdir(parents=True, exist_ok=True)
        with launch.folder.journal.open("w", encoding="utf-8") as file:
            for one in records(trials, "scale"):
                if one["op_code"] != 3 or _OF_A_RUN.isdisjoint(one["system_attr"]):
                    file.write(json.dumps(one, separators=(",", ":")) + "\n")
        yield launch


LOSS = -1e9
"""Better than any stored one; and a tie goes on from a rung, so that no trial is pruned and each goes on reporting."""


class Reporters:
    """Workers that report without a pause between two reports."""

    def __init__(self, study: Any, mark: str) -> None:
        self._study, self._mark = study, mark
        self._held: list[tuple[int, str]] = []
        self._steps: list[int] = []

    def begin(self, workers: int) -> int:
        import ray

        from search.tuner import apart, calls

        for index in range(workers):
            spec = apart.ask(self._study, f"{self._mark}-{index}:0", calls.call).spec
            token = uuid.uuid4().hex
            assert spec is not None
            ray.get(self._study.begin.remote(spec.number, token, f"{self._mark}-{index}", "node"))
            self._held.append((spec.number, token))
            self._steps.append(0)
        return os.getpid()

    def report(self, seconds: float, every_s: float = 0.0) -> list[float]:
        """Report for so long, each worker at most once in so long; return how long each verdict took."""
        import ray

        took: list[float] = []
        under_way: dict[Any, tuple[int, float]] = {}
        begun = time.monotonic()
        workers = len(self._held)
        due = deque((begun + every_s * index / workers, index) for index in range(workers))
        while due or under_way:
            now = time.monotonic()
            while due and due[0][0] <= now:
                _, index = due.popleft()
                self._steps[index] += 1
                number, token = self._held[index]
                metrics, step = {"val_loss": LOSS, "val_accuracy": 0.5}, self._steps[index]
                call = self._study.report.remote(number, token, Progress(step, metrics, step))
                under_way[call] = (index, time.monotonic())
            if not under_way:
                time.sleep(max(0.0, due[0][0] - now))
                continue
            done, _ = ray.wait([*under_way], timeout=max(0.0, due[0][0] - now) if due else None)
            for one in done:
                index, sent = under_way.pop(one)
                verdict = ray.get(one)
                took.append(time.monotonic() - sent)
                assert verdict == "continue", verdict
                if time.monotonic() < begun + seconds:
                    due.append((max(sent + every_s, time.monotonic()), index))
        return took


class Asker:
    """One worker after the other: asks for a trial, reports once, ends it."""

    def __init__(self, study: Any) -> None:
        self._study, self._turn, self._apart = study, 0, False

    def warm_up(self, limit_s: float = 60.0) -> bool:
        """Ask until a slow suggestion is drawn apart, or suggestions are quick; tell whether they are drawn apart."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            took = self.ask(0.5, 0.0)
            if self._apart:
                return True
            if max(took) < SLOW_S and time.monotonic() > until - limit_s + 2.0:
                return False
        return False

    def ask(self, seconds: float, pause_s: float) -> list[float]:
        """Ask for so long; return how long each ask took."""
        import ray

        from search.tuner import apart, calls

        took: list[float] = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun, token = time.monotonic(), uuid.uuid4().hex
            self._turn += 1
            asked = calls.call(self._study.ask, f"asker:{self._turn}")
            self._apart = bool(asked.apart)
            if self._apart:
                asked = apart.ask(self._study, f"asker:{self._turn}", calls.call)
            spec = asked.spec
            took.append(time.monotonic() - begun)
            assert spec is not None
            ray.get(self._study.begin.remote(spec.number, token, "asker", "node"))
            metrics = {"val_loss": LOSS, "val_accuracy": 0.5}
            ray.get(self._study.report.remote(spec.number, token, Progress(1, metrics, 1)))
            ray.get(self._study.tell.remote(spec.number, token, Outcome(Ending.COMPLETE, 1, metrics, units=1), None))
            time.sleep(pause_s)
        return took


def by_ray(trials: int, sampler: str, seconds: float) -> Served:
    """Measure a real study actor."""
    from search.tuner import cluster
    from search.tuner.actors import study_actors

    cluster.set_environment(None)
    import psutil
    import ray

    with stored(trials, sampler) as launch, cluster.connected(None):
        begun = time.monotonic()
        with study_actors(launch, 10_000) as (study, _):
            opened_s = time.monotonic() - begun
            clients = [ray.remote(Reporters).options(num_cpus=0).remote(study, f"c{index}") for index in range(CLIENTS)]
            asker = ray.remote(Asker).options(num_cpus=0).remote(study)
            ray.get([client.begin.remote(WORKERS) for client in clients])
            ray.get(asker.warm_up.remote())
            asked = asker.ask.remote(2 * seconds, 0.02)

            def reported(every_s: float) -> list[float]:
                found = ray.get([client.report.remote(seconds, every_s) for client in clients])
                return [one for of_client in found for one in of_client]

            paced = reported(CLIENTS * WORKERS / PACED)
            begun = time.monotonic()
            verdicts = reported(0.0)
            lasted_s = time.monotonic() - begun
            asks = ray.get(asked)
            family = psutil.Process().children(recursive=True)
            servers = [one for one in family if "".join(one.cmdline()).startswith("ray::StudyActor")]
            memory_mb = max(one.memory_info().rss for one in servers) / 2**20
    return Served(
        len(verdicts) / lasted_s,
        quantiles(verdicts),
        quantiles(paced),
        len(asks) / (2 * seconds),
        quantiles(asks),
        memory_mb,
        opened_s,
    )


def in_process(trials: int, sampler: str, seconds: float) -> Served:
    """Measure the owner without Ray: the same calls, one after the other, an ask among so many reports."""
    import psutil

    from search.opening import load_planned_space
    from search.study.owner import StudyOwner
    from search.study.runs import Run

    with stored(trials, sampler) as launch:
        space = load_planned_space(launch.plan, launch.brought, folder=launch.folder.root).value
        began = time.monotonic()
        owner = StudyOwner.open(launch.plan, launch.folder.root, space, slots=10_000, run=Run("scale"))
        opened_s, held = time.monotonic() - began, []
        asks: list[float] = []
        verdicts: list[float] = []

        def begin(name: str) -> int:
            began = time.monotonic()
            spec = owner.ask(f"{name}:0").spec
            asks.append(time.monotonic() - began)
            assert spec is not None
            owner.begin(spec.number, "token", worker=name, node="node")
            return spec.number

        def report(number: int, step: int) -> None:
            began = time.monotonic()
            owner.report(number, "token", Progress(step, {"val_loss": LOSS, "val_accuracy": 0.5}, step))
            verdicts.append(time.monotonic() - began)

        held = [begin(f"worker-{index}") for index in range(CLIENTS * WORKERS)]
        asks.clear()
        until, step, began = time.monotonic() + seconds, 0, time.monotonic()
        while time.monotonic() < until:
            step += 1
            for number in held:
                report(number, step)
            if step % 10 == 0:
                number = begin(f"asker-{step}")
                report(number, 1)
                ended = Outcome(Ending.COMPLETE, 1, {"val_loss": LOSS, "val_accuracy": 0.5}, units=1)
                owner.tell(number, "token", ended)
        lasted_s = time.monotonic() - began - sum(asks)
        memory_mb = psutil.Process().memory_info().rss / 2**20
        owner.close()
    return Served(
        len(verdicts) / lasted_s,
        quantiles(verdicts),
        quantiles(()),
        len(asks) / seconds,
        quantiles(asks),
        memory_mb,
        opened_s,
    )


def main() -> None:
    """Measure one arm and print it as JSON; `benchmarks/scale.py` calls this in a process of its own."""
    arm, sampler, trials, seconds = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    measure = by_ray if arm == "actor" else in_process
    print(measure(int(trials), sampler, float(seconds)).cells())


if __name__ == "__main__":
    main()
