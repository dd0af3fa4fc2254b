"""Real sweeps of trials that sleep, on nodes of this machine, beside Ray Tune with OptunaSearch and ASHA.

Efficiency is the time that trials slept over what their workers could have slept: workers x wall-clock time, from the
first trial's beginning to the last one's end. What comes before, the start of Ray and of the workers, is a column of
its own. All nodes are this machine's, and their CPUs are a number: sleeping takes none.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale_problem import EPOCH_S, FAMILIES, loss_of

ROOT = Path(__file__).resolve().parent.parent
MAX_EPOCHS = 9


@dataclass(frozen=True)
class Slept:
    """What one arm took.

    Attributes:
        efficiency: Seconds slept over seconds that the workers had.
        trials: Ended.
        epochs: Run by them.
        wall_s: From the first beginning to the last end.
        start_s: Before that.
    """

    efficiency: float
    trials: int
    epochs: int
    wall_s: float
    start_s: float


@contextmanager
def nodes(count: int, workers: int) -> Iterator[str]:
    """Have a Ray of so many nodes, which share the CPUs for the workers; yields its address."""
    from ray.cluster_utils import Cluster

    share = [workers // count + (index < workers % count) for index in range(count)]
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": share[0], "include_dashboard": False, "object_store_memory": 80_000_000},
    )
    try:
        for cpus in share[1:]:
            cluster.add_node(num_cpus=cpus, object_store_memory=80_000_000)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()


def ours(count: int, workers: int, trials: int, epoch_s: float) -> Slept:
    """Through the same door as the command line."""
    from search.choosing import choose
    from search.launch import prepare
    from search.records.study import read
    from search.tuner.driver import sweep

    begun = time.time()
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "trials": trials,
            "sampler": "tpe",
            "pruner": "asha",
            "max-epochs": MAX_EPOCHS,
            "patience": 0,
            "seed": 0,
            "study": "scale",
            "concurrency": workers,
        }
        launch = prepare(f"{ROOT}/benchmarks/scale_problem.py", choose(flags), results=Path(folder), folder=ROOT)
        ended = sweep(launch, view=lambda _: None)
        found = read(ended.folder)
    first = min(one.started.timestamp() for one in found.records if one.started is not None)
    last = max(one.ended.timestamp() for one in found.records if one.ended is not None)
    epochs = sum(one.epochs_run for one in found.records)
    return _slept(len(found.records), epochs, workers, epoch_s, first, last, begun)


def tune(count: int, workers: int, trials: int, epoch_s: float) -> Slept:
    """Ray Tune with actor reuse and without callbacks, which is the quickest that is known of it."""
    os.environ.update({"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_GLOBAL_CHECKPOINT_S": "1e9"})
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(workers)
    import optuna
    from ray import tune as ray_tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    class Sleeping(ray_tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.config, self.count, self.began = new_config, 0, time.time()
            return True

        def step(self) -> dict[str, Any]:
            self.count += 1
            time.sleep(epoch_s)
            loss = loss_of(self.config["lr"], self.config["decay"], self.count)
            return {"loss": loss, "began": self.began, "ended": time.time(), "done": self.count == MAX_EPOCHS}

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    begun = time.time()
    with tempfile.TemporaryDirectory() as folder:
        tuner = ray_tune.Tuner(
            Sleeping,
            param_space={
                "scale": ray_tune.choice(["none", "standard", "quantile"]),
                "family": ray_tune.choice([*FAMILIES]),
                "width": ray_tune.lograndint(16, 512),
                "lr": ray_tune.loguniform(1e-5, 0.1),
                "decay": ray_tune.uniform(0.0, 0.1),
            },
            tune_config=ray_tune.TuneConfig(
                metric="loss",
                mode="min",
                num_samples=trials,
                reuse_actors=True,
                search_alg=OptunaSearch(sampler=optuna.samplers.TPESampler(seed=0)),
                scheduler=ASHAScheduler(max_t=MAX_EPOCHS, grace_period=1, reduction_factor=3),
                max_concurrent_trials=workers,
            ),
            run_config=ray_tune.RunConfig(
                storage_path=folder,
                verbose=0,
                checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        results = tuner.fit()
        found = [one.metrics for one in results if one.metrics]
    first, last = min(one["began"] for one in found), max(one["ended"] for one in found)
    epochs = sum(one["training_iteration"] for one in found)
    return _slept(len(found), epochs, workers, epoch_s, first, last, begun)


def _slept(trials: int, epochs: int, workers: int, epoch_s: float, first: float, last: float, begun: float) -> Slept:
    wall_s = last - first
    return Slept(epochs * epoch_s / (workers * wall_s), trials, epochs, wall_s, first - begun)


def main() -> None:
    """Run one arm and print it as JSON; `benchmarks/scale.py` calls this in a process of its own."""
    arm, count, workers, trials, epoch_s = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ[EPOCH_S] = epoch_s
    from search.tuner import cluster

    cluster.set_environment(None)
    import ray

    with nodes(int(count), int(workers)) as address:
        ray.init(address=address, namespace=cluster.NAMESPACE, logging_level="CRITICAL", log_to_driver=False)
        try:
            run = {"sweep": ours, "tune": tune}[arm]
            print(json.dumps(asdict(run(int(count), int(workers), int(trials), float(epoch_s)))))
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
