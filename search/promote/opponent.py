"""What is in production, asked the same test rows: first the `Incumbent`, then the `Opponent`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.bundle.bundle import Bundle
from search.bundle.manifest import Manifest
from search.bundle.model import Model
from search.contract import Dataset, Part
from search.data.splits import Split
from search.errors import InputError, RefusedError, SweepError
from search.paths import StudyFolder
from search.problem import Problem
from search.promote.choices import Promotion
from search.promote.feeding import answers_of, rows_of
from search.promote.paired import Difference, paired
from search.promote.rowprint import hashes_in
from search.registry.entries import PRODUCTION
from search.registry.registry import Registry

Array = np.ndarray[Any, Any]

LEAST_ROWS: Final = 20
"""New to production, that a comparison needs."""

_AT_ONCE: Final = 10_000
_HINT: Final = "--no-comparison does without"


@dataclass(frozen=True, slots=True, eq=False)
class Incumbent:
    """A version in production, as far as it is known before any test row is out.

    Attributes:
        bundle: Of it.
        version: Of it.
        new: (rows,): which test rows it was neither trained nor chosen on.
        note: What people should know of these; "" for nothing.
    """

    bundle: Bundle
    version: int
    new: Array
    note: str


@dataclass(frozen=True, slots=True)
class Opponent:
    """A version in production beside a model that would take its place.

    Attributes:
        version: Of it.
        difference: How much better the model is; None where the two cannot be compared.
        rows: That they were compared on.
        why_not: Why they cannot be compared, after a colon; "" where they can.
        note: What people should know of the comparison; "" for nothing.
    """

    version: int
    difference: Difference | None
    rows: int
    why_not: str = ""
    note: str = ""


def in_production(results: Path, choices: Promotion, problem: Problem) -> Incumbent | None:
    """Return what a model has to beat; None where nothing is, or the model would not take its place.

    Raises:
        RefusedError: The two cannot be compared.
        SurroundingsError: The registry is damaged, or cannot be read.
    """
    registry = Registry.of(results, choices.name)
    version = registry.read().aliases.get(PRODUCTION)
    if version is None or choices.candidate or not choices.bounds.compare:
        return None
    try:
        bundle = registry.bundle(version)
    except RefusedError as error:
        error.hint = _HINT
        raise
    return incumbent(bundle, version, results=results, problem=problem)


def incumbent(bundle: Bundle, version: int, *, results: Path, problem: Problem) -> Incumbent:
    """Return the version in production, which is asked some validation rows; no test row comes out.

    Args:
        bundle: In production.
        version: Of it.
        results: The results folder, where the study that it comes from may lie.
        problem: Of the model that is compared with it.

    Raises:
        RefusedError: The two cannot be compared.
    """
    answers = _unlike(bundle, problem) or _answers(
        bundle, problem, rows_of(problem.validation.features, slice(_AT_ONCE))
    )
    why_not = answers if isinstance(answers, str) else ""
    if not why_not:
        new, note = _new_rows(bundle.manifest, version, results, problem)
        rows = int(new.sum())
        if rows >= LEAST_ROWS:
            return Incumbent(bundle, version, new, note)
        why_not = f"it was trained or chosen on all but {rows} of the {len(new):,} test rows"
    said = f"it cannot be compared with version {version}: {why_not}"
    raise RefusedError(said, field="--no-comparison", hint=_HINT)


def face(
    theirs: Incumbent, *, problem: Problem, part: Part, ours: Array, metric: str, threshold: float | None = None
) -> Opponent:
    """Compare a model with the one in production, on the test rows that this one was not trained or chosen on.

    Args:
        theirs: In production.
        problem: Of the model.
        part: The test rows.
        ours: What the model says of them: (rows, classes) or (rows,).
        metric: That decides.
        threshold: Of the model, where it has one.
    """
    new, rows = theirs.new, int(theirs.new.sum())
    said = _answers(theirs.bundle, problem, part.features)
    if isinstance(said, str):
        return Opponent(theirs.version, None, rows, why_not=said)
    try:
        difference = paired(
            metric,
            ours[new],
            said[new],
            part.target[new],
            task=problem.task,
            variance=problem.target_variance,
            thresholds=(threshold, theirs.bundle.signature.threshold),
        )
    except InputError as error:  # the new rows do not define the metric
        return Opponent(theirs.version, None, rows, why_not=error.message)
    return Opponent(theirs.version, difference, rows, note=theirs.note)


def _unlike(bundle: Bundle, problem: Problem) -> str:
    """Return why production answers another question; "" where it does not."""
    signature = bundle.signature
    if signature.task != problem.task.value:
        return f"it is for {signature.task}, this is {problem.task.value}"
    return "it gives other classes" if set(signature.classes) != set(problem.classes) else ""


def _answers(bundle: Bundle, problem: Problem, features: Any) -> Array | str:
    """Return what production says of the rows, or why it says nothing."""
    signature, model = bundle.signature, Model(bundle)
    try:
        answers = answers_of(model, features)
    except KeyError as error:
        return f"it reads the column {str(error.args[0])[:40]!r}, which is not there"
    except Exception as error:  # onnxruntime's have no common class
        return f"it does not take these rows ({' '.join(str(error).split())[:60]})"
    if wrong := int((~np.isfinite(answers)).reshape(len(answers), -1).any(axis=1).sum()):
        return f"it predicts NaN or infinity for {wrong:,} of {len(answers):,} rows"
    return answers[:, [signature.classes.index(name) for name in problem.classes]] if problem.classes else answers


def _new_rows(manifest: Manifest, version: int, results: Path, problem: Problem) -> tuple[Array, str]:
    """Return (rows,) which test rows production was neither trained nor chosen on, and what to say of the others."""
    assert problem.split is not None
    assert problem.dataset is not None
    test = problem.split.test._sealed()
    everything = np.ones(len(test), dtype=bool)
    if (manifest.data_hash, manifest.split_hash) == (problem.data_hash, problem.split_hash):
        return everything, ""
    seen = _seen(manifest, results, problem, test)
    if seen is None:
        told = f"version {version} comes from other data or another split, and whether it was trained on some of these"
        return everything, f"{told} test rows is not known: if so, it looks better than it is"
    if not seen.any():
        return everything, ""
    told = f"compared on the {int((~seen).sum()):,} of {len(test):,} test rows"
    return ~seen, f"{told} that version {version} was neither trained nor chosen on"


def _seen(manifest: Manifest, results: Path, problem: Problem, test: Array) -> Array | None:
    """Return (rows,) which test rows were in train or validation of production's study; None where nobody knows."""
    try:
        split = Split.load(StudyFolder.of(results, manifest.study).split)
    except SweepError:
        return None  # the study was deleted, or never was in this folder
    if split.digest() != manifest.split_hash:
        return None
    learned = np.concatenate([split.train, split.validation])
    if manifest.data_hash == problem.data_hash:
        return np.isin(test, learned)
    other = _other_data(manifest, results)
    assert problem.dataset is not None
    if other is None or _columns(other) != _columns(problem.dataset):
        return None
    return np.isin(hashes_in(problem.dataset, test), hashes_in(other, learned))


def _other_data(manifest: Manifest, results: Path) -> Dataset | None:
    """Return the data of production's study as it was; None where it cannot be had any more."""
    from search.opening import load_planned, open_planned, users_code
    from search.records.study import read_launch

    try:
        _, plan = read_launch(StudyFolder.of(results, manifest.study))
        objective = load_planned(plan)
        with users_code(objective, "data"):
            found = open_planned(objective, plan, results)
    except SweepError:
        return None
    return found.dataset if found.data_hash == manifest.data_hash else None


def _columns(dataset: Dataset) -> list[str] | tuple[int, ...]:
    features = dataset.features
    return features.shape[1:] if isinstance(features, np.ndarray) else sorted(str(one) for one in features.columns)
