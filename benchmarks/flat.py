"""Whether a sweep of 10,000 short trials stays as fast and as small as it began.

    python benchmarks/flat.py                       # random, then tpe with its own time apart
    python benchmarks/flat.py --trials 2000 --samplers random

Time per trial and memory of the driver and of the study server, over the first 500 trials and over the last 500.
What a sampler takes for its suggestions is its own; the study keeps it with each trial, and it is shown apart: with one
worker, since with two its time and theirs overlap and cannot be told apart.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.trivial import REPORTS  # noqa: E402

WINDOW = 500
WORKERS = {"random": 2}
MOST = 1.3
"""How much more the last trials may take than the first."""


@dataclass
class Memory:
    """Sizes in MB, of the driver and of the study server, by the number of trials that had ended."""

    driver: dict[int, float] = field(default_factory=dict)
    server: dict[int, float] = field(default_factory=dict)

    def take(self, ended: int) -> None:
        import psutil

        here = psutil.Process()
        servers = [one for one in here.children(recursive=True) if "StudyActor" in " ".join(one.cmdline())]
        self.driver[ended] = here.memory_info().rss / 1e6
        self.server[ended] = max((one.memory_info().rss for one in servers), default=0) / 1e6


@dataclass(frozen=True)
class Window:
    """Some trials in the order of their ends: milliseconds per trial in all, and of these the sampler's own."""

    ms: float
    sampler_ms: float

    @property
    def rest_ms(self) -> float:
        return self.ms - self.sampler_ms


def run(trials: int, sampler: str) -> tuple[Memory, Window, Window]:
    """Run one sweep; return its memory, its first trials and its last."""
    from search.choosing import choose
    from search.launch import prepare
    from search.status import Status
    from search.tuner.driver import sweep

    memory = Memory()

    def view(status: Status) -> None:
        ended = sum(status.trials[state] for state in ("complete", "pruned", "fail"))
        due = ended >= WINDOW and (not memory.driver or ended >= max(memory.driver) + trials / 10)
        if due or (ended > trials - WINDOW and status.state == "running"):
            memory.take(ended)

    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "trials": trials,
            "sampler": sampler,
            "pruner": "asha",
            "max-epochs": REPORTS,
            "patience": 0,
            "seed": 0,
            "study": "flat",
            "concurrency": WORKERS.get(sampler, 1),
        }
        launch = prepare(f"{ROOT}/benchmarks/trivial.py", choose(flags), results=Path(folder), folder=ROOT)
        sweep(launch, view=view)
        ends = read_ends(launch.folder.journal)
    assert len(ends) == trials
    return memory, window(ends[: WINDOW + 1]), window(ends[-WINDOW - 1 :])


def read_ends(journal: Path) -> list[tuple[datetime, float]]:
    """Return the end of each trial, in order, and the seconds of its suggestion, as plain Optuna reads them."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from search.study import attributes

    study = optuna.load_study(study_name="flat", storage=JournalStorage(JournalFileBackend(str(journal))))
    found = [
        (trial.datetime_complete, trial.system_attrs.get(attributes.SUGGESTED_S, 0.0))
        for trial in study.get_trials(deepcopy=False)
    ]
    return sorted((end, seconds) for end, seconds in found if end is not None)


def window(ends: list[tuple[datetime, float]]) -> Window:
    count = len(ends) - 1
    took_s = (ends[-1][0] - ends[0][0]).total_seconds()
    return Window(1e3 * took_s / count, 1e3 * sum(seconds for _, seconds in ends[1:]) / count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--samplers", nargs="*", default=["random", "tpe"])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    passed = failed = 0
    print(
        f"| sampler | figure | first {WINDOW} trials | last {WINDOW} of {given.trials} | ratio |\n|---|---|---|---|---|"
    )
    for sampler in given.samplers:
        memory, first, last = run(given.trials, sampler)
        sizes = [[*by_count.values()] for by_count in (memory.driver, memory.server)]
        assert all(size > 0 for each in sizes for size in each), "a process was not found"
        rows = [
            ("ms per trial, the sampler's own time apart", first.rest_ms, last.rest_ms, True),
            ("ms of the sampler's own", first.sampler_ms, last.sampler_ms, False),
            ("driver, MB", sizes[0][0], sizes[0][-1], True),
            ("study server, MB", sizes[1][0], sizes[1][-1], True),
        ]
        for name, before, after, judged in rows:
            ratio = after / before if before else 0.0
            good = ratio <= MOST
            passed, failed = passed + (judged and good), failed + (judged and not good)
            print(f"| {sampler} | {name} | {before:.2f} | {after:.2f} | {ratio:.2f} |", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
