"""Time looking at a study of 100,000 trials, as whole processes, beside plain Optuna on the same journal.

    python -m benchmarks.large_study [--trials 100000]

The journal is written directly, record for record as a sweep writes it: one report a trial, two metrics.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, distribution_to_json

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import attributes

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAMILIES = ("linear", "mlp", "boosted_trees")
SPACE = {
    "preprocess.scale": CategoricalDistribution(("none", "standard", "quantile")),
    "model.family": CategoricalDistribution(FAMILIES),
    "model.width": IntDistribution(16, 512, log=True),
    "train.lr": FloatDistribution(1e-5, 0.1, log=True),
    "train.weight_decay": FloatDistribution(0.0, 0.1),
}
PLAIN = """
import optuna, sys
optuna.logging.set_verbosity(optuna.logging.ERROR)
backend = optuna.storages.journal.JournalFileBackend(sys.argv[1])
study = optuna.load_study(study_name=sys.argv[2], storage=optuna.storages.JournalStorage(backend))
print(len(study.trials), study.best_trial.number)
"""


@dataclass(frozen=True)
class Measured:
    """What one process took."""

    seconds: float
    peak_mb: float
    output: str


def records(count: int, study: str, *, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the records of a finished sweep, one trial after the other."""
    dice = random.Random(seed)
    worker = "0f5b2a44-8d0b-4c0e-9d51-1d2a3c4b5e6f-140245"
    distributions = {name: distribution_to_json(one) for name, one in SPACE.items()}

    def made(op_code: int, **fields: Any) -> dict[str, Any]:
        return {"op_code": op_code, "worker_id": worker, **fields}

    def of_trial(number: int, key: str, value: Any) -> dict[str, Any]:
        return made(9, trial_id=number, system_attr={key: value})

    def of_study(key: str, value: Any) -> dict[str, Any]:
        return made(3, study_id=0, system_attr={key: value})

    yield made(0, study_name=study, directions=[1])
    yield of_study(attributes.SCHEMA_KEY, attributes.SCHEMA)
    yield of_study("study:metric_names", ["val_loss"])
    yield of_study(attributes.RUNS, [{"run": "a", "started": BEGAN.timestamp(), "at_s": 0.0}])
    yield of_study(attributes.STOPPED, None)
    yield of_study(attributes.BASELINE, {"val_loss": 0.69, "val_accuracy": 0.5})
    for number in range(count):
        begun = BEGAN + timedelta(seconds=number / 20)
        family = dice.randrange(len(FAMILIES))
        params = {
            "preprocess.scale": dice.randrange(3),
            "model.family": family,
            "train.lr": 10 ** dice.uniform(-5, -1),
            "train.weight_decay": dice.uniform(0, 0.1),
        }
        if FAMILIES[family] == "mlp":
            params["model.width"] = float(dice.randint(16, 512))
        loss = 0.2 + abs(dice.gauss(0, 0.1)) + abs(family - 1) / 10 + (params["train.lr"] - 0.01) ** 2
        metrics = {"val_loss": loss, "val_accuracy": 1 - loss / 2}
        yield made(
            4,
            study_id=0,
            datetime_start=begun.isoformat(timespec="microseconds"),
            state=0,
            value=None,
            values=None,
            distributions={name: distributions[name] for name in params},
            params=params,
            user_attrs={},
            system_attrs={attributes.REQUEST: f"slot-{number % 8}-{seed:08x}:{number}"},
            intermediate_values={},
        )
        attempt: dict[str, Any] = {
            "token": f"{dice.getrandbits(64):016x}",
            "worker": "pid 4242 on node-1",
            "node": "node-1",
        }
        attempt |= {"at_s": number / 20, "resumed": False, "lost": 0, "held_s": 0.0}
        yield of_trial(number, attributes.ATTEMPT, attempt)
        reason = "exception" if number % 97 == 0 else None
        pruned = reason is None and number % 3 == 0
        if reason is None:
            yield made(7, trial_id=number, step=1, intermediate_value=loss)
            yield of_trial(number, attributes.metrics_key(1), metrics)
        if pruned:
            rule = {"rule": "asha", "step": 1, "value": loss, "cutoff": 0.3, "rank": 5, "of": 9, "rung": 0}
            yield of_trial(number, attributes.PRUNING, rule)
        end = {
            "reason": reason,
            "text": f"ValueError: batch {number} is empty" if reason else "full budget",
            "step": 0 if reason else 1,
            "metrics": {} if reason else metrics,
            "units": 0 if reason else 1,
            "stage_s": {"data": 0.0, "preprocess": 0.003, "train": 0.031, "evaluate": 0.004},
            "lost": 0,
            "held_s": 0.04,
            "at_s": number / 20 + 0.04,
        }
        yield of_trial(number, attributes.END, end)
        state, values = (3, None) if reason else (2, [loss]) if pruned else (1, [loss])
        if state == 1:
            yield from (made(8, trial_id=number, user_attr={name: value}) for name, value in metrics.items())
        ended = (begun + timedelta(seconds=0.04)).isoformat(timespec="microseconds")
        yield made(6, trial_id=number, state=state, values=values, datetime_complete=ended)
    yield of_study(attributes.CLOCK, count / 20)
    yield of_study(attributes.STOPPED, {"state": "finished", "why": f"{count} of {count} trials"})


def store(results: Path, name: str, count: int, *, seed: int = 0) -> StudyFolder:
    """Write the folder of a finished sweep: its plan and its journal."""
    plan = SweepPlan(
        objective="objectives/tabular.py:Tabular",
        space="spaces/tabular.py:space",
        study=name,
        results=str(results),
        metrics=("val_loss",),
        directions=("minimize",),
        seed=seed,
        trials=count,
        max_epochs=3,
    )
    folder = StudyFolder(results / name)
    folder.root.mkdir(parents=True)
    launch = {"schema": 1, "plan": plan.to_json(), "code_hash": "", "data_hash": "", "versions": {}}
    folder.plan.write_text(json.dumps(launch), encoding="utf-8")
    with folder.journal.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in records(count, name, seed=seed))
    return folder


def measure(*command: str) -> Measured:
    """Run a process to its end."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Measured(time.perf_counter() - begun, used.ru_maxrss / 1024, output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3, help="of which the quickest counts")
    parser.add_argument("--without-optuna", action="store_true", help="leave out plain Optuna, which takes its time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        results = Path(place)
        folder = store(results, "large", given.trials)
        sweep = [sys.executable, "-m", "search"]
        asked = {
            "sweep list": ["list"],
            "sweep show": ["show", "large"],
            "sweep show --trial 50000": ["show", "large", "--trial", str(given.trials // 2)],
            "sweep show --trial best": ["show", "large", "--trial", "best"],
        }
        refresh = [sys.executable, "-m", "search.records.derived", str(folder.root)]
        rows: list[tuple[str, Measured]] = []
        rows.append(("sweep show, without tables", measure(*sweep, *asked["sweep show"], "--results", place)))
        rows.append(("refresh, from nothing", measure(*refresh)))
        for name, arguments in asked.items():
            found = [measure(*sweep, *arguments, "--results", place) for _ in range(given.rounds)]
            rows.append((name, min(found, key=lambda one: one.seconds)))
        _take_back(folder, given.trials)
        rows.append(
            ("sweep show, a tenth not in the tables", measure(*sweep, *asked["sweep show"], "--results", place))
        )
        rows.append(("refresh, a tenth", measure(*refresh)))
        if not given.without_optuna:
            plain = measure(sys.executable, "-c", PLAIN, str(folder.journal), "large")
            rows.append(("plain Optuna, load_study and best_trial", plain))
        sizes = (folder.journal, folder.trials_table, folder.reports_table)
        print(
            f"{given.trials} trials: " + ", ".join(f"{path.name} {path.stat().st_size / 1e6:.0f} MB" for path in sizes)
        )
        print("\n| process | seconds | peak MB |\n|---|---|---|")
        for name, took in rows:
            print(f"| {name} | {took.seconds:.2f} | {took.peak_mb:.0f} |")


def _take_back(folder: StudyFolder, trials: int) -> None:
    """Make the tables those of nine tenths of the trials."""
    whole = folder.journal.rename(folder.root / "whole")
    first = b'"sweep:request":"slot-%d-00000000:%d"' % (trials * 9 // 10 % 8, trials * 9 // 10)
    with (
        whole.open("rb") as lines,
        folder.journal.open("wb") as file,
    ):  # line by line, to stay small beside what is measured
        file.writelines(takewhile(lambda line: first not in bytes(line), lines))
    measure(sys.executable, "-m", "search.records.derived", str(folder.root))
    whole.replace(folder.journal)


if __name__ == "__main__":
    main()
