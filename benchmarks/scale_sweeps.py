"""Real sweeps of trials that sleep, on nodes of this machine, beside Ray Tune with OptunaSearch and ASHA.

Efficiency is the time that trials slept over what their workers could have slept. It is taken twice: while there is
work for all, which is from the moment when each worker has begun a trial until the last trial begins; and in all, from
the call to its return, with the start of the workers and an end in which ever fewer of them have a trial. All nodes are
this machine's, and their CPUs are a number: sleeping takes none, but starting 32 Pythons on two cores does.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.scale_problem import EPOCH_S, FAMILIES, loss_of

ROOT = Path(__file__).resolve().parent.parent
MAX_EPOCHS = 9


class Spell(NamedTuple):
    """A trial, as times in seconds and epochs that slept."""

    worker: str
    began: float
    ended: float
    epochs: int


@dataclass(frozen=True)
class Slept:
    """What one arm took.

    Attributes:
        efficiency: Seconds slept over seconds that the workers had, while there was work for all.
        in_all: The same from the call to its return.
        epochs: Run by all trials.
        begun_s: From the call until each worker had begun a trial.
        wall_s: From the call to its return.
    """

    efficiency: float
    in_all: float
    epochs: int
    begun_s: float
    wall_s: float

    @classmethod
    def of(cls, spells: Sequence[Spell], workers: int, epoch_s: float, begun: float, ended: float) -> Slept:
        first: dict[str, float] = {}
        for one in spells:
            first[one.worker] = min(one.began, first.get(one.worker, one.began))
        start, end = max(first.values()), max(one.began for one in spells)
        slept = sum(
            one.epochs * max(0.0, min(one.ended, end) - max(one.began, start)) / (one.ended - one.began)
            for one in spells
        )
        epochs = sum(one.epochs for one in spells)
        return cls(
            slept * epoch_s / (workers * (end - start)) if end > start else math.nan,
            epochs * epoch_s / (workers * (ended - begun)),
            epochs,
            start - begun,
            ended - begun,
        )


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


def ours(address: str, workers: int, trials: int, epoch_s: float) -> Slept:
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
            "address": address,
        }
        launch = prepare(f"{ROOT}/benchmarks/scale_problem.py", choose(flags), results=Path(folder), folder=ROOT)
        ended = sweep(launch, view=lambda _: None)
        over = time.time()
        spells = [
            Spell(one.worker, one.ended.timestamp() - one.seconds, one.ended.timestamp(), one.epochs_run)
            for one in read(ended.folder).records
            if one.ended is not None and one.seconds
        ]
    return Slept.of(spells, workers, epoch_s, begun, over)


def tune(_address: str, workers: int, trials: int, epoch_s: float) -> Slept:
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
            spell = {"began": self.began, "ended": time.time(), "worker": str(os.getpid())}
            return {"loss": loss, **spell, "done": self.count == MAX_EPOCHS}

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
        over = time.time()
        spells = [
            Spell(one.metrics["worker"], one.metrics["began"], one.metrics["ended"], one.metrics["training_iteration"])
            for one in results
            if one.metrics
        ]
    return Slept.of(spells, workers, epoch_s, begun, over)


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
            print(json.dumps(asdict(run(address, int(workers), int(trials), float(epoch_s)))))
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
