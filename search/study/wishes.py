"""What the user asks of a study from another terminal: a file per wish in its folder, which its owner grants.

A wish is there until it has been granted, so it survives whatever dies meanwhile; granting it twice changes nothing.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from search.contract import Space
from search.errors import InputError, RefusedError
from search.paths import StudyFolder, write_atomic
from search.plan import SweepPlan
from search.study import edits
from search.study.disk import cannot_write
from search.study.edits import Edit
from search.study.owner import StudyOwner
from search.study.steering import space_of

Kind = Literal["stop", "enqueue", "retry", "edit"]


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish.

    Attributes:
        id: Unique, and in the order in which they were made.
        kind: `stop` (body: `now`), `enqueue` (body: `points`), `retry` (body: `numbers`) or `edit` (body: an `Edit`).
    """

    id: str
    kind: Kind
    body: Mapping[str, Any]


_IS_SOUND: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "stop": lambda _: True,
    "enqueue": lambda body: (
        isinstance(body.get("points"), list) and all(isinstance(one, dict) for one in body["points"])
    ),
    "retry": lambda body: isinstance(body.get("numbers"), list) and all(type(one) is int for one in body["numbers"]),
    "edit": edits.is_sound,
}
"""Whether a body is one of its kind: the folder may hold what another program wrote."""


def post(folder: StudyFolder, kind: Kind, **body: Any) -> str:
    """Leave a wish for the study's owner; return its id.

    Raises:
        OSError: The folder cannot be written.
    """
    wish = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    write_atomic(_path(folder, wish), json.dumps({"kind": kind, "body": body}))
    return wish


def is_pending(folder: StudyFolder, wish: str) -> bool:
    """Tell whether a wish has not been granted yet."""
    return _path(folder, wish).exists()


def grant(folder: StudyFolder, owner: StudyOwner) -> bool:
    """Grant all wishes that are there; tell whether the sweep is to end at once.

    A wish to stop stays until the run has ended, since a study server that restarts must find it again.
    """
    at_once = False
    for wish in _pending(folder):
        if wish.kind == "stop":
            at_once = at_once or wish.body.get("now") is True
            owner.stop("stopped", "it was asked to, by `sweep stop` or from where it was shown")
            continue
        if wish.kind == "enqueue":
            for index, point in enumerate(wish.body["points"]):
                owner.steering.enqueue(point, wish=f"{wish.id}:{index}")
        elif wish.kind == "retry":
            owner.steering.retry(wish.body["numbers"], wish=wish.id)
        else:
            _edit(folder, owner, wish)
        owner.sync()
        take_back(folder, wish.id)
    return at_once


def grant_here(folder: StudyFolder, plan: SweepPlan, space: Space) -> None:
    """Open a study that nobody runs, and grant what is wished.

    Raises:
        RefusedError: Somebody runs it after all.
        SurroundingsError: Its storage cannot be written, or is damaged.
    """
    owner = StudyOwner.open(plan, folder.root, space, slots=0, run=None)
    try:
        grant(folder, owner)
    finally:
        owner.close()


def _edit(folder: StudyFolder, owner: StudyOwner, wish: Wish) -> None:
    """Grant an edit; one that cannot be granted leaves a word in its place, for whoever wished it."""
    if owner.steering.has_made(wish.id):  # its owner was killed before it could take the wish back
        return
    edit = Edit.from_json({**wish.body, "wish": wish.id})
    try:
        owner.steering.edit(edit, None if edit.space is None else space_of(edit.space))
    except (InputError, RefusedError) as fault:
        write_atomic(_refusal(folder, wish.id), json.dumps({"message": fault.message, "hint": fault.hint}))


def take_refusal(folder: StudyFolder, wish: str) -> RefusedError | None:
    """Return why a wish was not granted, and take that word away; None if it was."""
    path = _refusal(folder, wish)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    return RefusedError(found["message"], field="study", hint=found["hint"])


def pending_edits(folder: StudyFolder) -> tuple[str, ...]:
    """Return the edits that have not been granted, in the order in which they were wished."""
    return tuple(wish.id for wish in _pending(folder) if wish.kind == "edit")


def take_back(folder: StudyFolder, wish: str) -> None:
    """Take a wish away: it has been granted, or nobody could.

    Raises:
        SurroundingsError: It cannot be.
    """
    path = _path(folder, wish)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def forget_stops(folder: StudyFolder, *, before_ns: int | None = None) -> None:
    """Take back wishes to stop: they were for a run that has ended.

    Args:
        folder: The study's.
        before_ns: Only those made before this time, in unix nanoseconds; None for all.
    """
    for wish in _pending(folder):
        if wish.kind == "stop" and (before_ns is None or wish.id < f"{before_ns:020d}"):
            take_back(folder, wish.id)


def _pending(folder: StudyFolder) -> Iterator[Wish]:
    try:
        paths = sorted(path for path in folder.wishes.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(folder.wishes, error) from error
    for path in paths:
        wish = _read(path)
        if wish is not None:
            yield wish


def _read(path: Path) -> Wish | None:
    """Read a wish; what is none (another program's file, a newer version's wish) is left alone."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kind, body = found["kind"], dict(found["body"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sound = kind in get_args(Kind) and _IS_SOUND[kind](body)
    return Wish(path.stem, kind, body) if sound else None


def _refusal(folder: StudyFolder, wish: str) -> Path:
    return folder.wishes / f"{wish}.refused"


def _path(folder: StudyFolder, wish: str) -> Path:
    return folder.wishes / f"{wish}.json"
