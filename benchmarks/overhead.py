"""What an orchestrator costs: seconds per trial of an objective that does nothing but report nine times.

    python benchmarks/overhead.py                 # both tables, then one report beside a bare actor call

Every arm runs in a process of its own, in turn, several rounds in one run; a trial's cost is the sweep's wall-clock
time without the start of Ray, over its trials; each figure is the median of the rounds. All arms use the same
sampler, halving (rungs at 1 and 3 of 9 reports, a third goes on), two workers, and the storage that is theirs.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.trivial import REPORTS, curve  # noqa: E402

WORKERS = 2

# The settings of each arm, in one place: whoever knows a better one for a rival may put it here.
ARMS: dict[str, dict[str, Any]] = {
    "sweep": {"trials": 400, "settings": {"storage": "journal, synced at every trial's end"}},
    "tune, as documented": {
        "trials": 24,
        "settings": {"trainable": "function", "reuse_actors": False, "callbacks": "default", "verbose": 0},
    },
    "tune, tuned": {
        "trials": 400,
        "settings": {
            "trainable": "class",
            "reuse_actors": True,
            "env": {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_GLOBAL_CHECKPOINT_S": "1e9"},
            "verbose": 0,
        },
    },
    "optuna, one process": {"trials": 400, "settings": {"storage": "in memory"}},
    "pool of two ray actors": {"trials": 400, "settings": {"study": "an actor, in memory", "report": "a call"}},
}


def run_sweep(trials: int, sampler: str) -> dict[str, float]:
    """Ours, through the same door as the command line."""
    from search.choosing import choose
    from search.launch import prepare
    from search.tuner.driver import sweep

    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "trials": trials,
            "sampler": sampler,
            "pruner": "asha",
            "max-epochs": REPORTS,
            "patience": 0,
            "concurrency": WORKERS,
            "seed": 0,
            "study": "overhead",
        }
        launch = prepare(f"{ROOT}/benchmarks/trivial.py", choose(flags), results=Path(folder), folder=ROOT)
        ended = sweep(launch, view=lambda _: None)
        assert sum(ended.status.trials[state] for state in ("complete", "pruned")) == trials, ended.status
        return {"seconds": ended.status.seconds}


def run_tune(trials: int, sampler: str, settings: dict[str, Any]) -> dict[str, float]:
    """Ray Tune with OptunaSearch and ASHA."""
    os.environ.update(settings.get("env", {}))
    import optuna
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    def objective(config: dict[str, float]) -> None:
        for step in range(1, REPORTS + 1):
            tune.report({"loss": curve(config["x"], config["y"], step)})

    class Objective(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, float]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, float]) -> bool:
            self.config, self.count = new_config, 0
            return True

        def step(self) -> dict[str, Any]:
            self.count += 1
            loss = curve(self.config["x"], self.config["y"], self.count)
            return {"loss": loss, "done": self.count == REPORTS}

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            Objective if settings["trainable"] == "class" else objective,
            param_space={"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                num_samples=trials,
                reuse_actors=settings["reuse_actors"],
                search_alg=OptunaSearch(sampler=_sampler(sampler)),
                scheduler=ASHAScheduler(max_t=REPORTS, grace_period=1, reduction_factor=3),
                max_concurrent_trials=WORKERS,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=settings["verbose"],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False)
                if settings["trainable"] == "class"
                else None,
            ),
        )
        begun = time.perf_counter()
        results = tuner.fit()
        seconds = time.perf_counter() - begun
        assert len(results) == trials
        assert not results.errors, results.errors
    ray.shutdown()
    return {"seconds": seconds}


def run_optuna(trials: int, sampler: str) -> dict[str, float]:
    """Optuna alone, in one process."""
    import optuna

    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        for step in range(1, REPORTS + 1):
            loss = curve(x, y, step)
            trial.report(loss, step)
            if step < REPORTS and trial.should_prune():
                raise optuna.TrialPruned
        return loss

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = optuna.create_study(sampler=_sampler(sampler), pruner=pruner)
    begun = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return {"seconds": time.perf_counter() - begun}


def run_pool(trials: int, sampler: str) -> dict[str, float]:
    """Two worker actors and an actor that holds the study: the floor for anything on Ray."""
    import optuna
    import ray

    @ray.remote(num_cpus=0)
    class Study:
        def __init__(self) -> None:
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
            self.study = optuna.create_study(sampler=_sampler(sampler), pruner=pruner)
            self.live: dict[int, optuna.Trial] = {}

        def ask(self) -> tuple[int, float, float]:
            trial = self.study.ask()
            self.live[trial.number] = trial
            return trial.number, trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)

        def report(self, number: int, step: int, loss: float) -> bool:
            self.live[number].report(loss, step)
            return step < REPORTS and self.live[number].should_prune()

        def tell(self, number: int, loss: float, pruned: bool) -> None:
            trial = self.live.pop(number)
            self.study.tell(trial, None if pruned else loss, optuna.trial.TrialState.PRUNED if pruned else None)

    @ray.remote(num_cpus=1)
    class Worker:
        def run(self, study: Any, trials: int) -> None:
            for _ in range(trials):
                number, x, y = ray.get(study.ask.remote())
                for step in range(1, REPORTS + 1):
                    loss = curve(x, y, step)
                    pruned = ray.get(study.report.remote(number, step, loss))
                    if pruned:
                        break
                ray.get(study.tell.remote(number, loss, pruned))

    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    study = Study.remote()  # type: ignore[attr-defined]
    begun = time.perf_counter()
    workers = [Worker.remote() for _ in range(WORKERS)]  # type: ignore[attr-defined]
    ray.get([worker.run.remote(study, trials // WORKERS) for worker in workers])
    seconds = time.perf_counter() - begun
    ray.shutdown()
    return {"seconds": seconds}


def _sampler(name: str) -> Any:
    import optuna

    return optuna.samplers.RandomSampler(seed=0) if name == "random" else optuna.samplers.TPESampler(seed=0)


def run_arm(arm: str, trials: int, sampler: str) -> dict[str, float]:
    if arm == "sweep":
        return run_sweep(trials, sampler)
    if arm.startswith("tune"):
        return run_tune(trials, sampler, ARMS[arm]["settings"])
    return run_optuna(trials, sampler) if arm.startswith("optuna") else run_pool(trials, sampler)


def table(sampler: str, rounds: int) -> None:
    """Run all arms in turn, `rounds` times, and print milliseconds per trial."""
    figures: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for _ in range(rounds):
        for arm, settings in ARMS.items():
            trials = settings["trials"]
            seconds = _child("--arm", arm, "--trials", str(trials), "--sampler", sampler)["seconds"]
            figures[arm].append(1000 * seconds / trials)
    ours = statistics.median(figures["sweep"])
    print(f"\n### Sampler: {sampler} ({rounds} rounds, {REPORTS} reports a trial, {WORKERS} workers)\n")
    print("| arm | trials | ms per trial (median) | min | max | times ours |\n|---|---|---|---|---|---|")
    for arm, found in figures.items():
        middle = statistics.median(found)
        figures_ms = f"{middle:.2f} | {min(found):.2f} | {max(found):.2f} | {middle / ours:.2f}"
        print(f"| {arm} | {ARMS[arm]['trials']} | {figures_ms} |")


def _child(*arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False, cwd=ROOT, timeout=1800
    )
    if done.returncode:
        raise SystemExit(f"{arguments} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def report_beside_a_bare_call(trials: int = 600) -> dict[str, float]:
    """Time a report with its verdict beside a bare actor call and the write of the same record, in turn.

    The reports are those of whole trials, nine steps each, judged by halving; a pruned trial ends there.
    """
    from search.choosing import choose
    from search.launch import prepare
    from search.trial import Ending, Outcome, Progress
    from search.tuner import cluster
    from search.tuner.actors import study_actors

    cluster.set_environment(None)
    import ray

    @ray.remote(num_cpus=0)
    class Bare:
        def report(self, number: int, token: str, progress: Progress) -> str:
            return "continue"

    figures: dict[str, list[float]] = {"report": [], "bare": [], "write": []}
    record = json.dumps({"op_code": 7, "worker_id": "0" * 38, "trial_id": 0, "step": 1, "intermediate_value": 0.5})

    def timed(name: str, call: Any) -> Any:
        begun = time.perf_counter()
        answer = call()
        figures[name].append(time.perf_counter() - begun)
        return answer

    with tempfile.TemporaryDirectory() as folder:
        flags = {"max-epochs": REPORTS, "pruner": "asha", "seed": 0, "study": "calls", "trials": trials}
        launch = prepare(f"{ROOT}/benchmarks/trivial.py", choose(flags), results=Path(folder), folder=ROOT)
        with (
            cluster.connected(None),
            study_actors(launch, 1) as (study, _),
            (Path(folder) / "writes").open("ab", buffering=0) as file,
        ):
            bare = Bare.remote()  # type: ignore[attr-defined]
            for index in range(trials):
                spec = ray.get(study.ask.remote(f"slot:{index}")).spec
                ray.get(study.begin.remote(spec.number, "token", "here"))
                for step in range(1, REPORTS + 1):
                    metrics = {"val_loss": curve(spec.params["train.x"], spec.params["train.y"], step)}
                    call = (spec.number, "token", Progress(step, metrics, step))
                    verdict = timed("report", lambda call=call: ray.get(study.report.remote(*call)))
                    timed("bare", lambda call=call: ray.get(bare.report.remote(*call)))
                    timed("write", lambda: file.write(f"{record}\n".encode()))
                    if verdict == "prune":
                        break
                ending = Ending.PRUNED if verdict == "prune" else Ending.COMPLETE
                ray.get(study.tell.remote(spec.number, "token", Outcome(ending, step, metrics), None))
    middle = {f"{name}_us": 1e6 * statistics.median(found) for name, found in figures.items()}
    return {**middle, "ratio": middle["report_us"] / (middle["bare_us"] + middle["write_us"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samplers", nargs="*", default=["random", "tpe"])
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--calls", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sampler", help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if given.arm:
        print(json.dumps(run_arm(given.arm, given.trials, given.sampler)))
        return
    if given.calls:
        print(json.dumps(report_beside_a_bare_call()))
        return
    print("Settings: " + json.dumps({arm: settings["settings"] for arm, settings in ARMS.items()}, indent=1))
    for sampler in given.samplers:
        table(sampler, given.rounds)
    calls = _child("--calls")
    print("\n### One report with its verdict\n")
    print("| report | bare call | write | report / (bare call + write) |\n|---|---|---|---|")
    us = [f"{calls[name]:.0f} us" for name in ("report_us", "bare_us", "write_us")]
    print(f"| {' | '.join(us)} | {calls['ratio']:.2f} |")


if __name__ == "__main__":
    main()
