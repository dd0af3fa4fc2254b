"""The model of the comparison: a table made up, a network trained on it by a sweep of one trial, and its bundle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save

from search.bundle.bundle import CARD, MODEL, SIGNATURE, WEIGHTS, Bundle, as_json, write_bundle
from search.bundle.manifest import Manifest, Member
from search.local import setting_of
from search.opening import load_planned, open_planned
from search.promote import graph, training
from search.promote.signing import signature_of
from search.records import find
from search.records import study as records

WIDTH, DEPTH, EPOCHS = 128, 2, 3
CHOICES = (
    "model.family=mlp",
    f"model.width={WIDTH}",
    f"model.depth={DEPTH}",
    "preprocess.impute=median",
    "preprocess.scale=standard",
    "preprocess.whiten=none",
    "preprocess.clip=0.0",
    "preprocess.encode=one-hot",
    "preprocess.rare=1",
)


def make_table(path: Path) -> dict[str, Any]:
    """Write 4,000 rows of eight numbers, some missing, and three texts; return one row."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(4_000, 8)), columns=[f"n{index}" for index in range(8)])
    score = table["n0"] + table["n1"] * table["n2"]
    table = table.mask(rng.random(table.shape) < 0.05)
    for index, levels in enumerate((4, 8, 20)):
        texts = rng.integers(levels, size=len(table))
        table[f"t{index}"] = [f"level {one}" for one in texts]
        score += texts / levels
    table["target"] = np.where(score > score.median(), "yes", "no")
    table.to_csv(path, index=False)
    row = {name: value for name, value in table.iloc[0].items() if name != "target"}
    return {str(name): value if isinstance(value, str) else round(float(value), 4) for name, value in row.items()}


def make_bundle(folder: Path) -> Bundle:
    """Train the network on FOLDER/table.csv and write FOLDER/bundle."""
    results = folder / "results"
    options: dict[str, object] = {
        "--data": folder / "table.csv",
        "--target": "target",
        "--study": "serve",
        "--trials": 1,
    }
    options |= {"--max-epochs": EPOCHS, "--results": results}
    given = [str(part) for option in options.items() for part in option]
    given += [part for choice in CHOICES for part in ("--set", choice)]
    command = [sys.executable, "-m", "search", "run", "tabular", *given]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    study = records.read(find.study_folder(results, "serve"))
    problem = open_planned(load_planned(study.plan), study.plan, results)
    best = records.trial(study, "best")
    trained = training.train(problem, best.number, best.params, setting_of(study.plan, problem))
    exported = training.export(problem, trained)
    model = graph.whole([exported], graph.Head(problem.classes))
    signature = signature_of(problem, model, target="target", threshold=None)
    member = Member(trained.number, dict(trained.params), trained.seed, trained.units)
    names = (study.plan.objective, (member,), study.plan.metrics[0], problem.data_hash, problem.split_hash, "0" * 64)
    files = {
        MODEL: model.SerializeToString(deterministic=True),
        WEIGHTS: save({f"m0/{name}": np.ascontiguousarray(value) for name, value in exported.weights.items()}),
        SIGNATURE: as_json(signature.to_json()),
        CARD: b"# Of a benchmark\n",
    }
    write_bundle(folder / "bundle", Manifest("serve", *names, {}), files)
    return Bundle.open(folder / "bundle")
