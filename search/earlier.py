"""Finds the earlier studies that a sweep is to learn from, in the results folder or in a database of Optuna's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.errors import InputError
from search.records import find
from search.records.study import read_launch
from search.study.reading import stored_trials
from search.study.storage import check_url, open_for_reading
from search.study.warm import Source, take


def sources(
    given: Sequence[str], *, results: Path, space: Mapping[str, Any], directions: Sequence[str]
) -> tuple[Source, ...]:
    """Return the studies of `--warm-start`.

    Args:
        given: Each a name, the start of one, a folder, or `URL#NAME`.
        results: The results folder.
        space: Every parameter of the new study, with its Optuna distribution.
        directions: Of its metrics.

    Raises:
        InputError: There is no such study, or nothing can be learnt from it.
        SurroundingsError: Its storage is damaged, or cannot be reached.
    """
    found = []
    for text in given:
        if "://" in text:
            check_url(text.partition("#")[0])  # first: what is said below may quote it
        if given.count(text) > 1:
            raise InputError(f"--warm-start {text} is given twice", field="--warm-start", hint="give each study once")
        found.append(_source(text, results, space, directions))
    return tuple(found)


def names(given: Sequence[str], results: Path, *, known: Sequence[str]) -> tuple[str, ...]:
    """Return what the studies of `--warm-start` are called, as a plan keeps them.

    Args:
        given: As of `sources`.
        results: The results folder.
        known: Names that need not be looked for: such a study may be gone.

    Raises:
        InputError: There is no such study.
        SurroundingsError: A database does not answer.
    """
    return tuple(text if text in known else _name(text, results) for text in given)


def _name(text: str, results: Path) -> str:
    if "://" not in text:
        return find.study_folder(results, text).name
    url, _, name = text.partition("#")
    return name or _in_database(check_url(url) or url, name)[0]


def _source(text: str, results: Path, space: Mapping[str, Any], directions: Sequence[str]) -> Source:
    if "://" in text:
        url, _, name = text.partition("#")
        name, trials, theirs = _in_database(check_url(url) or url, name)
        return take(name, trials, theirs, space=space, wanted=directions)
    try:
        folder = find.study_folder(results, text)
    except InputError as error:
        error.field = "--warm-start"
        raise
    _, plan = read_launch(folder)
    trials, _ = stored_trials(folder, plan)
    return take(folder.name, trials, plan.directions, space=space, wanted=directions)


def _in_database(url: str, name: str) -> tuple[str, list[Any], list[str]]:
    """Return a study of a database: its name, its trials and its directions."""
    storage = open_for_reading(url)
    known = {one.study_name: one for one in storage.get_all_studies()}
    if not name and len(known) == 1:
        (name,) = known
    if name not in known:
        listed = ", ".join(sorted(known))[:100] or "none"
        said = f"no study {name!r}" if name else f"{len(known)} studies"
        raise InputError(
            f"--warm-start: the database holds {said}", field="--warm-start", hint=f"write URL#NAME (it has {listed})"
        )
    study = known[name]
    directions = [direction.name.lower() for direction in study.directions]
    return name, storage.get_all_trials(study._study_id, deepcopy=False), directions
