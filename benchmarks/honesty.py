"""Whether printed intervals hold: thirty sweeps, each scored on its test rows and on a large part it never saw.

    python -m benchmarks.honesty [--repeats 10] [--trials 12] [--kept FILE]

Each of three packaged tables is resampled ten times. Two thirds of its rows are put aside as the fresh part; on the
rest a sweep runs as any other (train, validation and a sealed test part). Its best trial is trained for good with a
fresh seed, as a promotion trains it, and scored on the test rows with the intervals that are printed. Then the same
model is measured on the fresh part. For comparison the search's own best, as it was trained in the search, is given the
same intervals on the validation rows that chose it. Each sweep is kept in FILE when it ends, and not run again. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
import pandas as pd

from search.choosing import choose
from search.contract import Part
from search.data import frames
from search.data.packaged import TARGET, load_table
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.promote.certainty import intervals
from search.promote.measures import Judged, values
from search.promote.scores import score
from search.promote.training import Trained, export, train
from search.records.study import StoredStudy, read
from search.study.owner import StudyOwner
from search.study.record import TrialRecord
from search.study.runs import Run

TABLES: Final = ("breast_cancer", "digits", "diabetes")
FRESH: Final = 2 / 3
SHOWN: Final = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "brier": "Brier",
    "calibration_error": "calibration error",
    "rmse": "RMSE",
    "r2": "R2",
    "mae": "MAE",
    "loss": "loss",
}
TOGETHER: Final = (("accuracy", "rmse"), ("log_loss", "loss"), ("balanced_accuracy", "r2"), ("log_loss", "r2"))
"""Measures of classes and of values that are counted over all tables."""

BOTH: Final = ("test", "validation")


def sweep(table: str, repeat: int, trials: int, results: Path) -> dict[str, Any]:
    """Run one sweep on a third of a table, and return what its test, its validation and the fresh rows say."""
    frame = load_table(table)
    order = np.random.default_rng(repeat).permutation(len(frame))
    aside = round(FRESH * len(frame))
    fresh, rest = frame.iloc[np.sort(order[:aside])], frame.iloc[np.sort(order[aside:])]
    launch, best = _searched(rest.reset_index(drop=True), table, repeat, trials, results)
    problem, setting = launch.problem, setting_of(launch.plan, launch.problem)
    again = train(problem, best.number, best.params, setting)
    for_good = train(problem, best.number, best.params, replace(setting, seed=setting.seed + 1_000_000))
    assert problem.split is not None
    assert problem.dataset is not None
    test = problem.split.test.open(problem.dataset, "to see whether its interval holds")
    searched = (launch.plan.metrics[0], best.values[0])
    scores = score(_judged(launch, for_good, test), problem.train.target, classes=problem.classes, searched=searched)
    validation = _judged(launch, again, problem.validation)
    target = fresh[TARGET]
    names = {one: index for index, one in enumerate(problem.classes)}
    known = target.astype(str).map(names) if names else target
    part = Part(fresh.drop(columns=TARGET).reset_index(drop=True), known.to_numpy(np.int64 if names else np.float64))
    assert scores.optimism is not None
    return {
        "table": table,
        "repeat": repeat,
        "rows": [len(problem.train.target), len(problem.validation.target), len(test.target), len(part.target)],
        "family": best.params.get("model.family"),
        "test": {name: [one.value, one.low, one.high] for name, one in scores.metrics.items()},
        "validation": {
            name: [values(validation)[name], *(one or (None, None))] for name, one in intervals(validation).items()
        },
        "fresh": values(_judged(launch, for_good, part)),
        "found": scores.optimism.found,
        "main": scores.main,
    }


def _searched(rows: pd.DataFrame, table: str, repeat: int, trials: int, results: Path) -> tuple[Launch, TrialRecord]:
    reference, target = frames.keep(rows, TARGET, results)
    given = {"study": f"{table}-{repeat}", "seed": repeat, "trials": trials, "max-epochs": 9}
    choices = choose(given).having(data=reference, target=target)
    launch = prepare("tabular", choices, results=results, folder=Path.cwd())
    launch.folder.root.mkdir(parents=True)
    launch.folder.plan.write_text(json.dumps(launch.record()))
    run = Run("r", launch.code_hash, launch.data_hash, objective_hash=launch.objective_hash)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=run)
    try:
        owner.prepare(launch.baseline)
        run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
        owner.finish()
    finally:
        owner.close()
    return launch, _best(read(launch.folder))


def _best(stored: StoredStudy) -> TrialRecord:
    sign = 1 if stored.plan.directions[0] == "minimize" else -1
    done = [one for one in stored.records if one.state == "complete"]
    return min(done, key=lambda one: sign * one.values[0])


def _judged(launch: Launch, trained: Trained, part: Part) -> Judged:
    problem = launch.problem
    said = np.asarray(export(problem, trained).predict(part.features), dtype=np.float64)
    return Judged(said, part.target, problem.task, problem.target_variance or 1.0)


def _rows(kept: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


def _covers(interval: Sequence[float | None], value: float) -> bool:
    _, low, high = interval
    return low is not None and high is not None and low <= value <= high


def _table(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    tables = [table for table in TABLES if any(one["table"] == table for one in found)]
    yield "| measure | " + " | ".join(f"{one}" for one in tables) + " | all, test | all, validation | mean width |"
    yield "|---" * (len(tables) + 4) + "|"
    for name, words in SHOWN.items():
        having = [one for one in found if name in one["test"] and name in one["fresh"]]
        if not having:
            continue
        cells = []
        for table in tables:
            own = [one for one in having if one["table"] == table]
            cells.append(f"{_count(own, name, 'test')} of {len(own)}" if own else "")
        limits = [one["test"][name][1:] for one in having]
        width = float(np.mean([high - low for low, high in limits if low is not None]))
        whole = [f"{_count(having, name, part)} of {len(having)}" for part in ("test", "validation")]
        yield f"| {words} | {' | '.join([*cells, f'**{whole[0]}**', whole[1], f'{width:.3g}'])} |"
    for pair in TOGETHER:
        told = [
            sum(_count([one], name, part) for one in found for name in pair if name in one["fresh"]) for part in BOTH
        ]
        words = " or ".join(SHOWN[name] for name in pair)
        yield f"| {words} {'| ' * len(tables)}| **{told[0]} of {len(found)}** | {told[1]} of {len(found)} | |"


def _count(found: Sequence[Mapping[str, Any]], name: str, part: str) -> int:
    return sum(_covers(one[part][name], one["fresh"][name]) for one in found)


def _optimism(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    heads = ("table", "rows: train, validation, test, fresh", "best of the search", "test", "fresh", "search too good")
    yield f"| {' | '.join(heads)} |"
    yield "|---|---|---|---|---|---|"
    for table in TABLES:
        own = [one for one in found if one["table"] == table]
        if not own:
            continue
        name = own[0]["main"]
        best, test, fresh = (
            float(np.mean(part))
            for part in (
                [one["found"] for one in own],
                [one["test"][name][0] for one in own],
                [one["fresh"][name] for one in own],
            )
        )
        above = sum(one["found"] < one["fresh"][name] for one in own)
        rows = ", ".join(map(str, own[0]["rows"]))
        yield f"| {table} | {rows} | {best:.3f} | {test:.3f} | {fresh:.3f} | {above} of {len(own)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="of each table")
    parser.add_argument("--trials", type=int, default=12, help="of each sweep")
    parser.add_argument("--kept", type=Path, default=Path("results/honesty.jsonl"), help="where each sweep is kept")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    given.kept.parent.mkdir(parents=True, exist_ok=True)
    done = {(one["table"], one["repeat"]) for one in _rows(given.kept)}
    for repeat in range(given.repeats):
        for table in TABLES:
            if (table, repeat) in done:
                continue
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as results:
                found = sweep(table, repeat, given.trials, Path(results))
            found["seconds"] = round(time.monotonic() - began, 1)
            with given.kept.open("a") as file:
                file.write(json.dumps(found) + "\n")
    rows = [one for one in _rows(given.kept) if one["repeat"] < given.repeats]
    print("\n".join([*_table(rows), "", *_optimism(rows)]))
    print(f"\n{len(rows)} sweeps of {given.trials} trials, {sum(one['seconds'] for one in rows):.0f} s.")


if __name__ == "__main__":
    main()
