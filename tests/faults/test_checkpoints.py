"""Checkpoints that a crash or a bad disk left damaged: an older one is used or training starts anew, and it is noted.

Mutations that turn these red: leave the JSON out of a checkpoint's digest (`search/trialfiles.py`); let a damaged
checkpoint fail its trial (`TrialRun._load`); go on without the state of the best step (`TrialRun._restored`); train a
trial on that was trained to its end already (`TrialRun._train`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from search.choosing import choose
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Outcome, Progress, Verdict
from tests.faults.test_full_disk import LEARNS
from tests.tuner.sweeps import stored

# its best step is the third of nine
TURNS = LEARNS.replace("float((self.weights**2).mean()) / self.epoch", "abs(self.epoch - 3) + self.weights[0] / 1e3")
TURNS = TURNS.replace("self.epoch += 1", 'self.epoch += 1\n        print("epoch", self.epoch)')


FALLS = TURNS.replace("abs(self.epoch - 3)", "9 - self.epoch")


class Killed(BaseException):
    """Ends a run where a kill would."""


class Mortal(StudyOwner):
    """An owner that dies at the report of a step, or when it is told of an end."""

    dies_at = 0
    dies_at_the_end = False

    def report(self, number: int, token: str, progress: Progress) -> Verdict:
        if progress.step == self.dies_at:
            raise Killed
        return super().report(number, token, progress)

    def tell(self, number: int, token: str, outcome: Outcome) -> None:
        if self.dies_at_the_end:
            raise Killed
        super().tell(number, token, outcome)


def go_on(launch: Launch, run: str, *, dies_at: int = 0, dies_at_the_end: bool = False) -> None:
    owner = Mortal.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run(run))
    owner.dies_at, owner.dies_at_the_end = dies_at, dies_at_the_end
    try:
        with suppress(Killed):
            owner.prepare(launch.baseline)
            setting = setting_of(launch.plan, launch.problem)
            run_here(owner, launch.problem, setting, launch.folder.root, checkpoint_every_s=0.0)
            owner.finish()
    finally:
        owner.close()


def launch_in(folder: Path, objective: str = TURNS) -> Launch:
    path = folder / "turns.py"
    path.write_text(objective)
    flags = {"study": "s", "seed": 5, "trials": 1, "max-epochs": 9, "pruner": "none", "patience": 0}
    return prepare(str(path), choose(flags), results=folder, folder=folder)


def the_trial(folder: Path) -> tuple[Any, ...]:
    """Return how the one trial went, and what was noted of it."""
    (trial,) = stored(folder)
    end = trial.system_attrs["sweep:end"]
    told = {key: value for key, value in trial.system_attrs.items() if key.startswith("sweep:metrics")}
    went = (trial.state, trial.params, trial.intermediate_values, trial.values, told, end["step"], end["units"])
    return went, end.get("notes", []), end["reason"], end["text"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("undisturbed")
    go_on(launch_in(folder), "one")
    return the_trial(folder)


HOW: dict[str, Callable[[bytes], bytes]] = {
    "no bytes": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "a byte short": lambda data: data[:-1],
    "zeros": lambda data: b"\0" * len(data),
    "garbage": lambda data: b'{"step": 1, "arrays": "."}',
    "another kind": lambda data: b"[[1, 2]]",
    "too deep": lambda data: b"[" * 100_000,
}


@pytest.mark.parametrize("how", [*HOW, "gone"])
@pytest.mark.parametrize("part", ["json", "safetensors"])
@pytest.mark.parametrize(
    ("damaged", "from_epoch"),
    [(("latest",), 4), (("best",), 1), (("latest", "best"), 1)],
    ids=["latest", "best", "both"],
)
def test_a_damaged_checkpoint_costs_epochs_and_nothing_else(
    tmp_path: Path,
    expected: Any,
    capsys: pytest.CaptureFixture[str],
    damaged: tuple[str, ...],
    from_epoch: int,
    part: str,
    how: str,
) -> None:
    launch = launch_in(tmp_path)
    go_on(launch, "one", dies_at=7)
    capsys.readouterr()
    for kind in damaged:
        (path,) = launch.folder.trial(0).checkpoint.glob(f"{kind}*.{part}")
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(HOW[how](path.read_bytes()))
    go_on(launch, "two")
    went, notes, *end = the_trial(tmp_path)
    assert went == expected[0]
    assert end == [*expected[2:]]
    unnoticed = how == "gone" and part == "json"  # as if it had never been written
    assert [note for note in notes if "damaged" in note] == [
        f"its {kind} checkpoint was damaged" for kind in ("best", "latest") if kind in damaged and not unnoticed
    ]
    assert not [note for note in notes if "differs" in note]
    assert capsys.readouterr().out.split()[1] == str(from_epoch)


@pytest.mark.parametrize("kind", ["latest", "best"])
def test_whichever_bit_of_a_checkpoint_flips_the_trial_comes_to_the_same(
    tmp_path: Path, expected: Any, kind: str
) -> None:
    launch, chance = launch_in(tmp_path), random.Random(3)
    go_on(launch, "one", dies_at=7)
    study = {path: path.read_bytes() for path in launch.folder.root.rglob("*") if path.is_file()}
    for part in ("json", "safetensors") * 20:
        for path in launch.folder.root.rglob("*"):
            if path.is_file() and path not in study:
                path.unlink()
        for path, content in study.items():
            path.write_bytes(content)
        (path,) = launch.folder.trial(0).checkpoint.glob(f"{kind}*.{part}")
        changed = bytearray(study[path])
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        go_on(launch, "two")
        went, notes, *_ = the_trial(tmp_path)
        assert went == expected[0]
        same = part == "json" and _read(changed) == _read(study[path])  # the case of an exponent's letter
        assert (f"its {kind} checkpoint was damaged" in notes) != same


def _read(content: bytes | bytearray) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def test_a_trial_whose_end_nobody_heard_of_is_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    go_on(launch_in(whole, FALLS), "one")
    launch = launch_in(broken, FALLS)
    go_on(launch, "one", dies_at_the_end=True)
    capsys.readouterr()
    go_on(launch, "two")
    assert the_trial(broken) == the_trial(whole)
    assert capsys.readouterr().out == ""
