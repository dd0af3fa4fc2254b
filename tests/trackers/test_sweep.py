"""A sweep on real Ray is tracked and told of, and a resume goes on with both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.api import sweep
from search.cli.main import main
from search.paths import StudyFolder
from search.records.study import read
from tests.trackers.hooks import Hook
from tests.trackers.test_tensorboard import scalars
from tests.tuner.sweeps import write

BODY = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def quick(run):
    for epoch in run.epochs:
        yield {"val_loss": 1.0 / epoch}
"""


@pytest.mark.usefixtures("ray_session")
def test_a_sweep_and_its_resume_are_tracked_and_told_of(
    tmp_path: Path, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    path, board = write(tmp_path, BODY), tmp_path / "board"
    given: dict[str, Any] = {"study": "s", "results": tmp_path / "r", "max_epochs": 3, "pruner": "none", "show": False}
    sweep(str(path), trials=2, track=f"tensorboard:{board}", notify=f"{hook.url}/one", **given)
    sweep(str(path), trials=3, resume=True, notify=f"{hook.url}/two", **given)
    assert sorted(one.name for one in (board / "s").iterdir()) == ["study", *(f"trial-0000{n}" for n in range(3))]
    for number in range(3):
        steps = [one[1] for one in scalars(board / "s" / f"trial-0000{number}") if one[0] == "val_loss"]
        assert steps[:3] == [1, 2, 3]
    ends = [(path, told["event"], told["trials"]["complete"]) for path, told in hook.posted if told["event"] != "best"]
    assert ends == [("/one", "ended", 2), ("/two", "ended", 3)]
    assert "tracker" not in capsys.readouterr().err
    other = tmp_path / "other"
    resume = ["resume", "s", "--results", str(tmp_path / "r")]
    for more, said in ((["--track", f"tensorboard:{other}"], 1), ([], 0)):
        assert main([*resume, *more]) == 0
        err = capsys.readouterr().err
        assert err.count("tracker tensorboard is told what it missed") == said
        assert "nothing is left to do: 3 of 3 trials" in err
    assert sorted(one.name for one in (other / "s").iterdir()) == ["study", *(f"trial-0000{n}" for n in range(3))]
    assert read(StudyFolder(tmp_path / "r" / "s")).plan.track == (f"tensorboard:{other}",)
