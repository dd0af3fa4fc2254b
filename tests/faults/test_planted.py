"""A pickle under any name of a results folder is never loaded: nobody who can write there runs code that way."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from search.checkpoint import CheckpointDamaged, CheckpointKind
from search.cli.main import main
from search.data.splits import Split
from search.errors import SweepError
from search.local import run_here, setting_of
from search.mapped import load as load_mapped
from search.paths import StudyFolder
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trialfiles import TrialFiles, decode
from search.tuner.fetching import fetch
from search.tuner.keeping import freeze
from tests.cluster.test_hostile import PLAN, Hostile
from tests.faults.rain import rain
from tests.tuner.sweeps import launch_of, write


class Malicious:
    """What, unpickled, makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.mark,)


def plain(mark: Path) -> bytes:
    return pickle.dumps(Malicious(mark))


def in_an_array(mark: Path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Malicious(mark)], dtype=object), allow_pickle=True)
    return file.getvalue()


def in_arrays(mark: Path) -> bytes:
    """Return an `.npz` of which each member that ours have is a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("train", "validation", "test", "folds", "scheme", "notes", "hash"):
            archive.writestr(f"{name}.npy", in_an_array(mark))
        archive.writestr("data.pkl", plain(mark))  # as torch has it
    return file.getvalue()


KINDS: tuple[CheckpointKind, ...] = ("latest", "best")

FORMS = [plain, in_an_array, in_arrays]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a study that has everything, and a finished sweep."""
    folder = tmp_path_factory.mktemp("planted")
    path = write(folder, rain())
    launch = launch_of(path, folder / "results", trials=2, keep_checkpoints="all")
    study = launch.folder.root
    study.mkdir(parents=True)
    launch.folder.plan.write_text(json.dumps(launch.record()))
    freeze(launch)
    run = Run("r", launch.code_hash, launch.data_hash, objective_hash=launch.objective_hash)
    owner = StudyOwner.open(launch.plan, study, launch.loaded_space.value, slots=1, run=run)
    owner.prepare(launch.baseline)
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), study, checkpoint_every_s=0.0)
    owner.finish()
    owner.close()
    (study / "rows" / "k").mkdir(parents=True)
    for name in (
        "held.json",
        "ended.json",
        "promotion.json",
        "trackers/mlflow-0.jsonl",
        "rows/k/0.npy",
        "wishes/a.json",
    ):
        (study / name).parent.mkdir(exist_ok=True)
        (study / name).write_text("{}")
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_the_pickles_planted_here_would_run_code(tmp_path: Path, form: Callable[[Path], bytes]) -> None:
    planted = form(tmp_path / "ran")
    if form is plain:
        pickle.loads(planted)
    else:
        loaded = np.load(io.BytesIO(planted), allow_pickle=True)
        assert loaded["train"] is not None if form is in_arrays else loaded is not None
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", ["plan.json", "study.journal", "all others"])
def test_commands_load_no_pickle_from_a_results_folder(
    original: Path, tmp_path: Path, form: Callable[[Path], bytes], which: str
) -> None:
    results, mark = tmp_path / "results", tmp_path / "ran"
    shutil.copytree(original / "results", results)
    files = [path for path in results.rglob("*") if path.is_file()]
    kept = ("plan.json", "study.journal", "study.journal.sum")
    chosen = [path for path in files if (path.name == which if which in kept else path.name not in kept)]
    assert chosen
    for path in chosen:
        path.write_bytes(form(mark))
    for command in (
        ["list"],
        ["show", "s", "--json"],
        ["show", "s", "--trial", "0"],
        ["logs", "s", "0"],
        ["report", "s", "--output", str(tmp_path / "page.html")],
    ):
        main([*command, "--results", str(results)])
        assert not mark.exists(), command
    study = StudyFolder(results / "s")
    for path in files:
        _read_as_what_it_may_be(study, path)
    assert not mark.exists()


def _read_as_what_it_may_be(study: StudyFolder, path: Path) -> None:
    """Read a file by whatever of ours reads files of a results folder."""
    with suppress(SweepError):
        Split.load(path)
    with suppress(OSError, ValueError, KeyError, TypeError):
        load_mapped(path.parent)
    for number in (0, 1):
        for kind in KINDS:
            with suppress(CheckpointDamaged, SweepError):
                decode(TrialFiles(study.root).load(number, kind))


@pytest.mark.parametrize("form", FORMS)
def test_a_resume_loads_no_pickle(
    ray_session: None, original: Path, tmp_path: Path, form: Callable[[Path], bytes]
) -> None:
    results, mark = tmp_path / "results", tmp_path / "ran"
    shutil.copytree(original / "results", results)
    for path in results.rglob("*"):
        if path.is_file() and path.name not in ("plan.json", "study.journal", "study.journal.sum"):
            path.write_bytes(form(mark))
    main(["resume", "s", "--trials", "1", "--results", str(results), "--quiet"])
    assert not mark.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_fetch_loads_no_pickle(tmp_path: Path, form: Callable[[Path], bytes]) -> None:
    mark = tmp_path / "ran"
    planted = form(mark)
    sizes = dict.fromkeys(("plan.json", "study.journal", "split.npz", "trials.parquet"), len(planted))
    fetch(Hostile(sizes, content=planted, plan=PLAN), "s", tmp_path / "results")
    main(["show", "s", "--results", str(tmp_path / "results")])
    assert not mark.exists()
