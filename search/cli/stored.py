"""`--results URL`: the commands that take an object store for a results folder, and this machine's copy of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.cli import console
from search.errors import InputError, SweepError

if TYPE_CHECKING:
    from search.paths import StudyFolder
    from search.remote.place import Place

_LOOKING: Final = ("list", "show", "table", "report", "logs", "compare", "why")
"""Commands that look at studies: checkpoints stay where they are."""

_TAKING: Final = ("run", "resume", *_LOOKING)


def is_meant(results: str) -> bool:
    """Tell whether a results folder is named by a URL."""
    return "://" in results


def opened(url: str, command: str, given: Mapping[str, Any]) -> tuple[Place, Path]:
    """Return the object store, and the folder of this machine that has of it what a command needs.

    Args:
        url: As the user wrote it.
        command: That is run.
        given: To it.

    Raises:
        InputError: The command takes a folder only.
        SurroundingsError: The store cannot be used.
    """
    from search.remote.place import Place, cache_folder

    if command not in _TAKING:
        hint = "`sweep fetch URL/STUDY` brings a study to a folder"
        raise InputError(f"`sweep {command}` takes a folder for --results, not a URL", field="--results", hint=hint)
    if given.get("detach") or str(given.get("address") or "").startswith("ray://"):
        raise refused_afar()
    place = Place.at(url)
    results = cache_folder(place)
    results.mkdir(mode=0o700, parents=True, exist_ok=True)
    if command != "run":
        _bring(place, results, command, given)
    return place, results


def refused_afar() -> InputError:
    """Return the error of a sweep that is to be sent to a cluster, and its results to a store."""
    said = "a sweep that is sent to a cluster keeps its results there, and not at a URL"
    return InputError(said, field="--results", hint="run it on a machine of the cluster, with --address HOST:PORT")


def beside(place: Place | None) -> Callable[[StudyFolder], AbstractContextManager[None]]:
    """Return what keeps a store near a study's folder while it runs; nothing does where results are a folder."""
    if place is None:
        return lambda _: nullcontext()
    from search.remote.mirror import mirrored

    return partial(mirrored, place, say=console.say)


def _bring(place: Place, results: Path, command: str, given: Mapping[str, Any]) -> None:
    from search.remote.copies import bring, send_rest, studies

    named = [str(given["study"])] if "study" in given else [str(one) for one in given.get("studies", ())]
    there = studies(place)
    for one in named:
        if not any(study.startswith(one) for study in there):
            raise InputError(f"no study {one[:60]!r} at {place.url}", field="study", hint="`sweep list` shows all")
    for study in there:
        if named and not any(study.startswith(one) for one in named):
            continue
        whole = command == "resume" and (study in named or [study] == there or not set(named) & set(there))
        try:
            folder = bring(place, study, results, whole=whole)
        except SweepError as error:
            if named:
                raise
            console.say(error.sentence())  # `sweep list` shows the others
            continue
        if command == "resume":
            send_rest(place, folder)
