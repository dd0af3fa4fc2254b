"""Live sweeps of the shipped objectives by two pairs of sampler and pruner: what a user gets for the same epochs.

    python -m benchmarks.live [--seeds 5] [--epochs 300] [--gpus 0.25] [--concurrency 4]

Each sweep is the command itself, `sweep run`, with so many epochs of all trials together and no other limit; then
`sweep promote` exports its best trial and opens the test rows, which no search has seen. Pairs take turns, seed by
seed. Prints a Markdown table, and with `--to` appends a JSON object a sweep to a file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import pandas as pd

ROOT: Final = Path(__file__).resolve().parent.parent
PAIRS: Final = (("random", "asha"), ("auto", "auto"))
ROWS: Final = 6000


def tables(folder: Path) -> dict[str, list[str]]:
    """Write the generated data, and return what `sweep run` is given for each problem."""
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 12))
    score = np.sin(2 * x[:, 0]) * x[:, 1] + 0.7 * x[:, 2] ** 2 - x[:, 3] * (x[:, 4] > 0) + 0.3 * x[:, 5]
    frame = pd.DataFrame(x, columns=[f"x{place}" for place in range(12)])
    frame["kind"] = pd.cut(score + 0.5 * random.normal(size=ROWS), [-np.inf, -0.4, 0.8, np.inf], labels=["a", "b", "c"])
    frame.to_csv(folder / "kinds.csv", index=False)
    return {
        "images": ["images"],
        "tabular": ["tabular", "--data", str(folder / "kinds.csv"), "--target", "kind", "--set", "model.family=mlp"],
    }


def sweep(arguments: list[str], results: Path) -> dict[str, Any]:
    """Run one command and return what it prints as JSON."""
    command = [sys.executable, "-m", "search", *arguments, "--results", str(results), "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=results.parent)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    read: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return read


def measure(given: list[str], pair: tuple[str, str], seed: int, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return what one sweep came to."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        search = ["--sampler", pair[0], "--pruner", pair[1], "--seed", str(seed), "--metric", "val_loss"]
        budget = ["--epochs", str(wanted.epochs), "--gpus", str(wanted.gpus), "--concurrency", str(wanted.concurrency)]
        began = time.perf_counter()
        ended = sweep(["run", *given, *search, *budget, "--study", "s", "--quiet"], results)
        seconds = time.perf_counter() - began
        best = ended["best"]
        told = sweep(["promote", "s", "--trial", str(best["number"]), "--as", "m"], results)["scores"]["metrics"]
    return {
        "pair": "+".join(pair),
        "seed": seed,
        "epochs": ended["epochs"]["run"],
        "trials": sum(ended["trials"].values()),
        "seconds": round(seconds, 1),
        "validation": best["values"][0],
        "test": told["log_loss"]["value"],
        "accuracy": told["accuracy"]["value"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=300, help="of a sweep, all trials together")
    parser.add_argument("--gpus", type=float, default=0.0, help="of each trial")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--to", type=Path)
    wanted = parser.parse_args()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        problems = tables(Path(folder))
        for seed in range(wanted.seeds):
            for name, given in problems.items():
                for pair in PAIRS:
                    found.append({"problem": name, **measure(given, pair, seed, wanted)})
                    print(json.dumps(found[-1]), file=sys.stderr, flush=True)
                    if wanted.to is not None:
                        with wanted.to.open("a") as file:
                            file.write(json.dumps(found[-1]) + "\n")
    print(table(found))


MEDIANS: Final = {"trials": ".0f", "seconds": ".0f", "validation": ".4f", "test": ".4f", "accuracy": ".4f"}


def table(found: list[dict[str, Any]]) -> str:
    """Return medians, with all test losses behind them."""
    lines = [
        f"| problem | pair | sweeps | {' | '.join(MEDIANS)} | test loss of each |",
        "|" + "---|" * (4 + len(MEDIANS)),
    ]
    for problem in sorted({one["problem"] for one in found}):
        for pair in ("+".join(one) for one in PAIRS):
            mine = [one for one in found if (one["problem"], one["pair"]) == (problem, pair)]
            shown = " | ".join(format(median(one[key] for one in mine), form) for key, form in MEDIANS.items())
            each = ", ".join(f"{one['test']:.3f}" for one in mine)
            lines.append(f"| {problem} | {pair} | {len(mine)} | {shown} | {each} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
