"""The rows that a sweep's trials see, frozen when it begins: train and validation as files that workers map.

Every worker sees the same bytes, whatever happens to the source meanwhile; none ever holds a test row; and memory does
not grow with the number of workers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.contract import Part, Task
from search.data.folding import Fold
from search.mapped import load, save
from search.problem import Problem, Seen, problem_of
from search.store import Store

_VERSION: Final = 1  # goes into every key; count it up when what is stored changes


def key_of(problem: Problem) -> str:
    """Return the key of a problem's rows: the fingerprint of its data, how it was split, and the types that it has.

    Text of another type, or a column called 0 and not "0", has the same fingerprint, but is not the same to a stage.
    """
    facts = {
        "frozen": _VERSION,
        "data": problem.data_hash,
        "split": problem.split_hash,
        "types": _types(problem.train.features),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def freeze(store: Store, key: str, problem: Problem) -> None:
    """Keep the rows of a problem.

    Raises:
        Unmappable: They are of a kind that cannot be kept.
        OSError: The store cannot be written.
    """
    store.get(key, lambda folder: _write(problem, folder))


def thaw(store: Store, key: str, stages: Any, source: Any, open_again: Callable[[], Problem]) -> Problem:
    """Return a problem with the rows that were kept, mapped into memory.

    Args:
        store: Keeps them.
        key: Of the rows.
        stages: The objective.
        source: The user's data.
        open_again: Opens the problem from its source, where the store has lost the rows.

    Raises:
        OSError: The store cannot be written.
    """
    entry = store.get(key, lambda folder: _write(open_again(), folder))
    kept = load(entry.path)
    seen = Seen(
        name=kept["name"],
        task=Task(kept["task"]),
        classes=tuple(kept["classes"]),
        train=Part(*kept["train"]),
        validation=Part(*kept["validation"]),
        folds=tuple(Fold(*rows) for rows in kept["folds"]),
        data_hash=kept["data_hash"],
        split_hash=kept["split_hash"],
    )
    return problem_of(stages, source, seen)


def _types(features: Any) -> list[list[str]]:
    if isinstance(features, np.ndarray):
        return [["", str(features.dtype)]]
    return [[repr(name), repr(dtype)] for name, dtype in features.dtypes.items()]


def _write(problem: Problem, folder: Path) -> None:
    dataset = problem.dataset
    assert dataset is not None
    save(
        {
            "name": dataset.name,
            "task": str(problem.task),
            "classes": list(problem.classes),
            "train": [problem.train.features, problem.train.target],
            "validation": [problem.validation.features, problem.validation.target],
            "folds": [[fold.train, fold.validation] for fold in problem.folds],
            "data_hash": problem.data_hash,
            "split_hash": problem.split_hash,
        },
        folder,
    )
