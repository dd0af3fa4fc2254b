"""`--repeat`: any trial again, alone in this process, to the same score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.choosing import choose
from search.contract import State
from search.launch import prepare
from search.paths import StudyFolder
from search.records import study
from search.repeat import RepeatResult, repeat
from search.trialfiles import TrialFiles, decode
from search.tuner.driver import sweep
from tests.tuner.sweeps import stored

pytestmark = pytest.mark.usefixtures("ray_session")

ROOT = Path(__file__).resolve().parent.parent.parent
FAMILIES = ("linear", "forest", "boosting", "mlp", "residual")


def run_again(results: Path, number: int) -> RepeatResult:
    found = study.read(StudyFolder(results / "s"))
    return repeat(found, study.trial(found, str(number)))


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    """A sweep of the tabular objective with a trial of each family."""
    folder = tmp_path_factory.mktemp("families")
    points = folder / "points.jsonl"
    points.write_text("\n".join(json.dumps({"model.family": family}) for family in FAMILIES))
    flags = {"trials": 8, "enqueue": str(points), "study": "s", "seed": 5, "max-epochs": 9, "data": "sklearn:wine"}
    flags |= {"sampler": "random", "pruner": "asha"}
    launch = prepare("tabular", choose(flags), results=folder, folder=ROOT)
    sweep(launch, view=lambda status: None)
    return folder


@pytest.mark.parametrize("number", range(8))
def test_a_trial_gives_the_same_score_again_to_the_last_bit(families: Path, number: int) -> None:
    trial = stored(families)[number]
    if number < len(FAMILIES):
        assert trial.params["model.family"] == FAMILIES[number]
    again = run_again(families, number)
    assert again.ending.upper() == trial.state.name
    assert again.equal, again.lines()


def test_an_image_trial_gives_the_same_score_again(tmp_path: Path) -> None:
    flags = {"trials": 2, "study": "s", "seed": 5, "max-epochs": 3}
    sweep(prepare("images", choose(flags), results=tmp_path, folder=ROOT), view=lambda status: None)
    assert all(run_again(tmp_path, number).equal for number in range(2))


def test_a_paused_trial_leaves_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    flags = {"epochs": 40, "study": "s", "seed": 5, "max-epochs": 5000, "pruner": "none", "patience": 0}
    ended = sweep(prepare("images", choose(flags), results=tmp_path, folder=ROOT), view=lambda status: None)
    assert ended.status.trials["paused"] >= 1
    number = max(stored(tmp_path), key=lambda trial: len(trial.intermediate_values)).number
    saved = TrialFiles(tmp_path / "s").load(number, "latest")
    assert saved is not None
    checkpoint = decode(saved)
    assert checkpoint is not None
    assert checkpoint.step == max(stored(tmp_path)[number].intermediate_values)
    assert isinstance(checkpoint.state, State)
    assert checkpoint.state.arrays


def test_a_completed_trial_leaves_its_best_weights(families: Path) -> None:
    trial = next(
        one for one in stored(families) if one.params["model.family"] == "mlp" and one.state.name == "COMPLETE"
    )
    folder = families / "s" / "trials" / f"{trial.number:05d}" / "checkpoint"
    meta = json.loads((folder / "best.json").read_text())
    assert meta["step"] == trial.system_attrs["sweep:end"]["step"]
    assert (folder / meta["arrays"]).stat().st_size > 100
