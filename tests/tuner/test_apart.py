"""Slow suggestions are drawn by a process of their own, as the study would draw them; without it the study does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Asked, Ending, Outcome, Progress
from tests.tuner.sweeps import launch_of, write

SPACE = """
import os
import time

def space(trial):
    if (HERE / "only").exists() and (HERE / "only").read_text() != str(os.getpid()):
        os._exit(1)
    time.sleep(0.06)  # longer than verdicts wait for
    trial.suggest_float("train.x", 0.0, 1.0)
    (HERE / "drawn_by").write_text(str(os.getpid()))

@objective(space=space, metrics={"val_loss": "minimize"})
def one(run):
    yield {"val_loss": run.params["train.x"]}
"""


@pytest.mark.usefixtures("ray_session")
def test_a_drawer_draws_what_the_study_would_and_the_study_draws_by_itself_when_it_has_gone(tmp_path: Path) -> None:
    import ray

    from search.tuner import apart
    from search.tuner.actors import study_actors
    from search.tuner.calls import call

    launch = launch_of(write(tmp_path, SPACE), tmp_path / "results", sampler="tpe:n_startup_trials=3", trials=10_000)
    launch.folder.root.mkdir(parents=True)
    drawn: list[float] = []

    def run_one(study: Any, asked: Asked) -> None:
        assert asked.spec is not None
        number, x = asked.spec.number, asked.spec.params["train.x"]
        assert isinstance(x, float)
        assert number == len(drawn)
        call(study.begin, number, "t", "worker", "node")
        call(study.report, number, "t", Progress(4, {"val_loss": x}, 4))
        call(study.tell, number, "t", Outcome(Ending.COMPLETE, 4, {"val_loss": x}, units=4), None)
        drawn.append(x)

    with study_actors(launch, 4) as (study, _):
        until = time.monotonic() + 60
        asked = call(study.ask, "a:0")
        while not asked.apart:  # until the drawer is there
            assert time.monotonic() < until
            run_one(study, asked)
            asked = call(study.ask, f"a:{len(drawn)}")
        by_the_study = int((tmp_path / "drawn_by").read_text())
        for _ in range(3):
            run_one(study, apart.ask(study, f"a:{len(drawn)}", call))
            assert int((tmp_path / "drawn_by").read_text()) != by_the_study
        (tmp_path / "only").write_text(str(by_the_study))  # whoever else draws dies of it
        run_one(study, apart.ask(study, f"a:{len(drawn)}", call))
        assert int((tmp_path / "drawn_by").read_text()) == by_the_study
        (tmp_path / "only").unlink()
        ray.kill(ray.get_actor(asked.apart))
        run_one(study, apart.ask(study, f"a:{len(drawn)}", call))
        assert int((tmp_path / "drawn_by").read_text()) == by_the_study

    (tmp_path / "alone").mkdir()
    owner = StudyOwner.open(launch.plan, tmp_path / "alone", _space(launch), slots=4, run=Run("a"))
    for number, x in enumerate(drawn):
        spec = owner.ask(f"a:{number}").spec
        assert spec is not None
        assert spec.params["train.x"] == x
        owner.begin(number, "t")
        owner.report(number, "t", Progress(4, {"val_loss": x}, 4))
        owner.tell(number, "t", Outcome(Ending.COMPLETE, 4, {"val_loss": x}, units=4))
    owner.close()


def _space(launch: Any) -> Any:
    from search.opening import load_planned_space

    return load_planned_space(launch.plan, launch.brought, folder=launch.folder.root).value
