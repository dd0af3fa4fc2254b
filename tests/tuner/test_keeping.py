"""A sweep over real Ray computes each preparation once: over workers that are killed, resumes, and other sweeps.

Mutations that turn these red: seed the preprocess stage by the trial's number; let a worker open the data itself;
count no trial that found its rows; compare no split at a resume; write a split anew at each.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from search import resume
from search.data.splits import Split
from search.errors import RefusedError
from search.paths import StudyFolder
from search.records import study
from search.store import Store
from search.tuner.driver import Ended, sweep
from search.tuner.shelves import announced

from .counted import KINDS, counted, laid_out
from .sweeps import launch_of, run, stored

pytestmark = pytest.mark.usefixtures("ray_session")

POISON = "it was read by a worker"
# what is looked for must not stand in a worker's memory only because it is looked for
SCANS = """

def has(head, tail=b""):
    for line in open("/proc/self/maps"):
        place, rights, *_, name = (line + " -").split(maxsplit=5)
        if rights[0] != "r" or "/dev/shm" in name or "[v" in name:
            continue
        begin, end = (int(number, 16) for number in place.split("-"))
        with open("/proc/self/mem", "rb", 0) as memory:
            memory.seek(begin)
            while begin < end:
                part = memory.read(min(2**22, end - begin))
                if not part:
                    break
                at = part.find(head)
                while at >= 0:
                    if part[at + len(head):at + len(head) + len(tail)] == tail:
                        return True
                    at = part.find(head, at + 1)
                begin += len(part)
    return False

class Scans(Counted):
    def preprocess(self, params, train, validation, context):
        assert has(b"harmless")
        with (HERE / "seen").open("a") as file:
            file.write("poison " if has(b"it was re", b"ad by a worker") else "clean ")
        parts = [part.features[["u"]].to_numpy() for part in (train, validation)]
        return Prepared(Part(parts[0], train.target), Part(parts[1], validation.target))

del Counted
"""


def hows(ended: Ended) -> dict[str, Any]:
    """Return how trials came by their rows, as `sweep show --json` has it."""
    shown = study.status(study.read(ended.folder)).to_json()
    assert shown["prepared"] == ended.status.to_json()["prepared"]
    return dict(json.loads(json.dumps(shown))["prepared"])


def means(trials: list[optuna.trial.FrozenTrial]) -> list[Any]:
    return [(trial.params, trial.values, trial.system_attrs["sweep:end"]["metrics"]) for trial in trials]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> tuple[Path, Ended]:
    folder = tmp_path_factory.mktemp("swept")
    path, flags = laid_out(folder)
    (folder / "meet").touch()
    ended = run(path, folder / "results", **flags)
    (folder / "meet").unlink()
    return folder, ended


def test_each_kind_is_computed_once_over_all_workers_and_trials(swept: tuple[Path, Ended]) -> None:
    folder, _ = swept
    trials = stored(folder / "results")
    assert {trial.params["preprocess.kind"] for trial in trials} == set(KINDS)
    assert counted(folder) == [*KINDS]
    assert len({trial.system_attrs["sweep:attempt"]["worker"] for trial in trials}) == 2


def test_what_is_shown_adds_up_to_the_trials_and_says_what_was_saved(swept: tuple[Path, Ended]) -> None:
    told = hows(swept[1])
    saved_s = told.pop("saved_s")
    assert told.pop("made") == len(KINDS)
    assert set(told) <= {"found", "waited"}
    assert sum(told.values()) == 14 - len(KINDS)
    assert 0.3 * told["found"] * 0.8 < saved_s < 14


def test_another_sweep_and_a_resumed_one_compute_nothing_again(swept: tuple[Path, Ended]) -> None:
    folder, ended = swept
    path, flags = laid_out(folder)
    other = run(path, folder / "results", **{**flags, "study": "t", "trials": 6})
    assert set(hows(other)) == {"found", "saved_s"}

    before = study.read(StudyFolder.of(folder / "results", "s"))
    plan = resume.changed(before.plan, {"trials": 18})
    ended = sweep(resume.prepare(before, plan, accept_changes=False), view=lambda status: None)
    assert ended.status.trials["complete"] == 18
    assert counted(folder) == [*KINDS]


def test_a_study_whose_rows_would_be_split_in_another_way_does_not_go_on_unless_told_to(
    swept: tuple[Path, Ended],
) -> None:
    stored_study = study.read(StudyFolder.of(swept[0] / "results", "s"))
    path, plan = stored_study.folder.split, stored_study.plan
    whole, split = path.read_bytes(), Split.load(path)
    replace(split, train=split.validation, validation=split.train).save(path)
    with pytest.raises(RefusedError, match="rows that were sealed would be trained on"):
        resume.prepare(stored_study, plan, accept_changes=False)
    assert resume.prepare(stored_study, plan, accept_changes=True)
    path.write_bytes(whole)


def test_a_worker_opens_without_the_directory_of_what_other_machines_have(tmp_path: Path) -> None:
    import ray

    @ray.remote(num_cpus=0)
    class Gone:
        def have(self, *_: object) -> None:
            os._exit(1)

    store = Store(tmp_path)
    assert announced(store, Gone.remote()).name == store.identity  # type: ignore[attr-defined]


def test_without_keeping_anything_each_trial_computes_and_comes_to_the_same(
    swept: tuple[Path, Ended], tmp_path: Path
) -> None:
    path, flags = laid_out(tmp_path)
    ended = run(path, tmp_path / "results", **flags, cache="none")
    assert len(counted(tmp_path)) == 14
    assert "prepared" not in ended.status.to_json()
    assert not (tmp_path / "results" / "data").exists()
    assert means(stored(tmp_path / "results")) == means(stored(swept[0] / "results"))[:14]


def test_a_worker_that_is_killed_while_it_computes_costs_one_more_computation_and_the_rows_stay(
    swept: tuple[Path, Ended], tmp_path: Path
) -> None:
    path, flags = laid_out(tmp_path)
    (tmp_path / "do-rewrite-a").touch()  # what stands in the data's file
    (tmp_path / "do-kill-b").touch()  # a new worker opens the problem
    ended = run(path, tmp_path / "results", **flags)
    assert ".75" in (tmp_path / "rows.csv").read_text()
    assert ended.status.trials["complete"] == 14
    assert counted(tmp_path) == ["a", "b", "b", "c"]
    assert hows(ended)["made"] == len(KINDS)
    assert means(stored(tmp_path / "results")) == means(stored(swept[0] / "results"))[:14]


def test_a_store_may_lose_its_files_between_two_sweeps(swept: tuple[Path, Ended]) -> None:
    folder, _ = swept
    store = folder / "results" / "data" / ".store"
    entries = [entry for entry in store.iterdir() if not entry.name.startswith(".")]
    assert len(entries) == 1 + len(KINDS)  # the rows, and what was made of them
    for path in store.rglob("*.npy"):
        path.unlink()
    file, flags = laid_out(folder)
    ended = run(file, folder / "results", **{**flags, "study": "u"})
    assert hows(ended)["made"] == len(KINDS)
    assert means(stored(folder / "results", "u")) == means(stored(folder / "results"))[:14]


def test_no_worker_has_a_test_row_anywhere_in_its_memory(tmp_path: Path) -> None:
    """The control is a sweep whose workers open the data themselves."""
    path, flags = laid_out(tmp_path)
    path.write_text(path.read_text() + SCANS)
    split = launch_of(path, tmp_path, **flags).problem.split
    assert split is not None
    test = sorted({*range(200)} - {*split.train.tolist(), *split.validation.tolist()})
    table = pd.read_csv(tmp_path / "rows.csv")
    table["mark"] = "harmless"
    table.loc[test, "mark"] = POISON
    table.to_csv(tmp_path / "rows.csv", index=False)
    again = launch_of(path, tmp_path, **flags).problem.split
    assert again is not None
    assert again.digest() == split.digest()
    seen = {}
    for cache in ("none", "50m"):
        run(path, tmp_path / cache, **{**flags, "trials": 2}, cache=cache)
        seen[cache] = {*(tmp_path / "seen").read_text().split()}
        (tmp_path / "seen").unlink()
    assert seen == {"none": {"poison"}, "50m": {"clean"}}
