"""An objective whose preprocess stage counts how often it computes, in a file that it writes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .sweeps import write

KINDS: Final = ("a", "b", "c")

# `count` has a line for each computation: the kind, and the store that the process was told to use
COUNTED: Final = """
import os, signal, time
import numpy as np
from search.contract import Dataset, Metric, Part, Prepared, State, Task

def space(trial):
    trial.suggest_categorical("preprocess.kind", ["a", "b", "c"])
    trial.suggest_float("train.x", 0.0, 1.0)

def wait_for(what):
    deadline = time.monotonic() + 60
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)

class Learner:
    budget = 2
    def __init__(self, params, prepared):
        self.epoch, self.x, self.rows = 0, params["train.x"], prepared.train.features
        if (HERE / "meet").exists():  # trials of both nodes, or of both workers of one
            (HERE / f"met-{Path(os.environ.get('SWEEP_STORE', str(os.getpid()))).name}").touch()
            wait_for(lambda: len([*HERE.glob("met-*")]) == 2)
        if (HERE / "meet-each").exists():  # both nodes have rows of this kind
            kind = int(self.rows.max() // 150)
            (HERE / f"met-{kind}-{Path(os.environ['SWEEP_STORE']).name}").touch()
            wait_for(lambda: len([*HERE.glob(f"met-{kind}-*")]) == 2)
        self.seen = {"mean": float(self.rows.mean()), "highest": float(self.rows.max())}
    def fit_epoch(self):
        self.epoch += 1
        time.sleep(0.03)
        return {}
    def evaluate(self):
        return {"val_loss": self.x / self.epoch, **self.seen}
    def state(self):
        return State({"epoch": np.array([self.epoch])}, {})
    def load_state(self, state):
        self.epoch = int(state.arrays["epoch"][0])

class Counted:
    def space(self, trial):
        space(trial)
    def data(self, source):
        return source.table("sklearn:diabetes")
    def metrics(self, dataset):
        return (Metric("val_loss", "minimize"),)
    def preprocess(self, params, train, validation, context):
        with (HERE / "count").open("a") as file:
            file.write(f"{params['kind']} {os.environ.get('SWEEP_STORE', '')}\\n")
        for order in HERE.glob(f"do-*-{params['kind']}"):
            order.unlink()
            time.sleep(0.5)
            if "kill" in order.name:
                os.kill(os.getpid(), signal.SIGKILL)
            path = HERE / "rows.csv"
            path.write_text(path.read_text().replace(".25", ".75"))
        if (HERE / "do-lose").exists():  # the node that is not the head, while it computes
            if os.environ["SWEEP_STORE"].endswith("other"):
                (HERE / "losing").touch()
                time.sleep(100)
            wait_for((HERE / "losing").exists)
        time.sleep(0.3)
        weight = 1.0 + "abc".index(params["kind"])
        parts = [part.features.to_numpy(dtype=np.float64) * weight for part in (train, validation)]
        return Prepared(Part(parts[0], train.target), Part(parts[1], validation.target))
    def learner(self, params, prepared, context):
        return Learner(params, prepared)
"""


def laid_out(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Write the objective and its table; return the objective's file and the flags of a sweep of it."""
    path = write(folder, COUNTED)
    (folder / "rows.csv").write_text("u,y\n" + "".join(f"{row}.25,{row % 7}.5\n" for row in range(200)))
    flags = {"data": str(folder / "rows.csv"), "target": "y", "sampler": "random", "pruner": "none", "max_epochs": 2}
    return path, {**flags, "patience": 0, "trials": 14, "concurrency": 2}


def counted(folder: Path) -> list[str]:
    """Return the kinds that were computed, sorted."""
    path = folder / "count"
    return sorted(line.split()[0] for line in path.read_text().splitlines()) if path.exists() else []
