"""A sweep's rows and what is prepared of them, kept in a store that its workers share."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search import frozen, loading
from search.data.source import FileSource
from search.data.splits import Split
from search.errors import RefusedError, SurroundingsError
from search.launch import Launch, versions
from search.mapped import Unmappable
from search.opening import open_planned
from search.paths import StudyFolder, store_folder
from search.plan import SweepPlan
from search.prepared import Preparations
from search.problem import Problem
from search.store import Store

if TYPE_CHECKING:
    from search.tuner.orders import Orders

STORE: Final = "SWEEP_STORE"
"""Environment variable: where this machine keeps prepared data, if not beside the results."""


def freeze(launch: Launch) -> str:
    """Keep the rows that trials will see, and return their key; "" where each worker has to open the data itself."""
    problem, plan = launch.problem, launch.plan
    if problem.split is not None:
        _keep_split(problem.split, launch.folder.split)
    if launch.rows:
        if plan.cache_bytes != 0:
            _store(launch.folder, plan).get(launch.rows, partial(_copy, launch.folder.rows / launch.rows))
        return launch.rows
    if problem.dataset is None or not _keeps_rows(plan):
        return ""
    key = frozen.key_of(problem)
    try:
        frozen.freeze(_store(launch.folder, plan), key, problem)
    except (OSError, Unmappable):
        return ""  # a disk without room for them may have some for trials
    return key


def tell(directory: Any, launch: Launch) -> None:
    """Let the machines of a cluster know what this one keeps, the rows that trials will see among it."""
    from search.tuner.shelves import announced

    if _keeps_rows(launch.plan):
        with suppress(OSError):  # then it keeps nothing
            announced(_store(launch.folder, launch.plan), directory)


def open_kept(orders: Orders, objective: loading.Loaded, directory: Any = None) -> Problem:
    """Open the problem of a sweep in one of its workers.

    Args:
        orders: Of the sweep.
        objective: As its plan names it.
        directory: Handle of the actor that knows what other machines have, or None where there are none.

    Raises:
        SweepError: The data has to be opened again, and cannot be had.
    """
    plan, folder = orders.plan, StudyFolder(orders.folder)
    keeps = plan.cache_bytes != 0
    store = _store(folder, plan, directory) if keeps or orders.frozen else None
    problem = _thawed(orders, objective, store)
    if store is None or not keeps or not problem.data_hash:
        return problem
    basis = {
        "data": problem.data_hash,
        "split": problem.split_hash,
        "objective": plan.objective.rpartition(":")[2],
        "code": loading.code_hash(objective),
        # without what tells a build for GPUs from one for CPUs: 2.9.0+cu128 and 2.9.0+cpu
        "versions": {name: version.partition("+")[0] for name, version in versions().items()},
    }
    return replace(problem, preparations=Preparations(store, basis, orders.frozen))


def _keeps_rows(plan: SweepPlan) -> bool:
    """Tell whether rows are kept; of a sweep without a cache, too, where machines see no disk of ours."""
    return plan.cache_bytes != 0 or plan.address is not None


def _copy(entry: Path, folder: Path) -> None:
    shutil.copytree(entry, folder, dirs_exist_ok=True)


def _keep_split(split: Split, path: Path) -> None:
    """Store a split; one that is there already stays."""
    with suppress(SurroundingsError):
        if path.exists() and Split.load(path).digest() == split.digest():
            return
    split.save(path)


def _thawed(orders: Orders, objective: loading.Loaded, store: Store | None) -> Problem:
    plan, results = orders.plan, orders.folder.parent
    if store is None or not orders.frozen:
        return open_planned(objective, plan, results)

    def again() -> Problem:
        problem = open_planned(objective, plan, results)
        if frozen.key_of(problem) != orders.frozen:
            raise RefusedError("the data changed since the sweep began, and its rows are no longer kept")
        return problem

    source = FileSource(plan.data, plan.target, Path.cwd(), results=results)
    try:
        return frozen.thaw(store, orders.frozen, objective.value, source, again)
    except (OSError, Unmappable):
        return again()


def _store(folder: StudyFolder, plan: SweepPlan, directory: Any = None) -> Store:
    limit = plan.cache_bytes or None  # nothing but its rows is kept where it is 0, and nothing thrown out for them
    store = Store(_root(folder, plan), limit)
    if directory is None:
        return store
    from search.tuner.shelves import OtherMachines, announced

    try:
        shelf = announced(store, directory)
    except OSError:
        return store  # it cannot be written: others have nothing to take from it, nor it a place for what they have
    return Store(store.root, limit, elsewhere=OtherMachines(directory, shelf))


def _root(folder: StudyFolder, plan: SweepPlan) -> Path:
    """Return where this machine keeps its entries: beside the results, if it sees them."""
    if plan.cache_bytes == 0 and folder.exists():
        return folder.rows
    chosen = os.environ.get(STORE)
    if chosen:
        return Path(chosen).absolute()
    if folder.exists():
        return store_folder(folder.root.parent)
    own = Path(tempfile.gettempdir()) / f"sweep-store-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.is_symlink() or own.stat().st_uid != os.getuid():
        said = f"{own} is not a folder of this user"
        raise SurroundingsError(said, field=STORE, hint=f"set {STORE} to one that is")
    return own
