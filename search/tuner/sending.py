"""How a study gets to its home: what cannot go there is refused before anything is sent."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from search import frozen
from search.asked import FILES
from search.errors import RefusedError, SurroundingsError, SweepError
from search.launch import Launch
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.store import Store
from search.tuner import preflight, shipping, temporary, unseen
from search.tuner.away import Away, LineLost
from search.tuner.capacity import of_cluster
from search.tuner.errands import CHUNK_BYTES

_SECRET: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def check(launch: Launch) -> None:
    """Refuse a study that could not run at its home.

    Raises:
        RefusedError: Something of it stays on this machine.
    """
    if launch.brought:
        raise RefusedError(
            "what stands in a script or notebook cannot be left to a cluster",
            field="objective",
            hint="put it in a file",
        )
    plan = launch.plan
    for flag, place in (("--storage", plan.storage), *(("--track", one) for one in plan.track)):
        if place is not None and place.startswith(FILES):
            hint = "leave it out, or name a server that the cluster reaches"
            raise RefusedError(
                f"{flag} names a file of this machine, which the cluster does not have", field=flag, hint=hint
            )


@dataclass(frozen=True, slots=True)
class Sent:
    """A study that is at its home.

    Attributes:
        study: Its name there.
        notes: What was left behind, and where the cluster differs from this machine, a sentence each.
    """

    study: str
    notes: tuple[str, ...] = ()


def send(launch: Launch, away: Away, *, rename: bool = False) -> Sent:
    """Send a study to its home, where it begins.

    Args:
        launch: The study.
        away: Leads to its home.
        rename: Whether it may get another name where its own is taken.

    Raises:
        RefusedError: There is such a study, or it cannot run there.
        SurroundingsError: The home has no room for it, or lacks a secret; no node is large enough, or one lacks what
            trials import.
    """
    check(launch)
    plan, upload, is_whole = launch.plan, uuid.uuid4().hex, False
    try:
        away.aside(partial(of_cluster, plan.cpus, plan.gpus, plan.memory_bytes))
        differs = away.aside(partial(preflight.check, plan, head=True))
        with temporary.folder() as scratch:
            folder, left = put_together(launch, scratch)
            with _taken_back(away, upload):
                _send_files(away, upload, plan, folder, rename=rename)
                is_whole = True
                study: str = away.call("launch", upload, plan.study, away.address, rename)
    except LineLost as error:
        raise _cut_off(plan.study, away.address, is_whole=is_whole) from error
    return Sent(study, (*left, *differs))


@contextmanager
def _taken_back(away: Away, upload: str) -> Iterator[None]:
    """Have removed what has come of a study that does not come whole; where nobody answers, it is in a day."""
    try:
        yield
    except LineLost:
        raise
    except BaseException:
        with suppress(SweepError):
            away.call("forget", upload)
        raise


def _send_files(away: Away, upload: str, plan: SweepPlan, folder: Path, *, rename: bool) -> None:
    files = {path: path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()}
    size = sum(path.stat().st_size for path in files)
    away.call("begin", upload, plan.study, size, _needs(plan), rename)
    for path, name in files.items():
        for offset, data in _parts(path):
            away.call("receive", upload, name, offset, data)


def _cut_off(study: str, address: str, *, is_whole: bool) -> SurroundingsError:
    """Return the error of a line that broke while a study was sent: before all of it had come, nothing begins."""
    if is_whole:
        said, hint = "arrived", f"`sweep list --address {address}` says whether it runs"
    else:
        said, hint = "was being sent; it does not run there", "launch it again"
    return SurroundingsError(
        f"the connection to {address} was lost as study {study!r} {said}", field="--address", hint=hint
    )


def _needs(plan: SweepPlan) -> list[str]:
    """Return the environment variables that a sweep reads its secrets from."""
    places = [plan.storage or "", plan.notify or "", *plan.track]
    return sorted({name for place in places for name in _SECRET.findall(place)})


def put_together(launch: Launch, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """Make the folder of a study that has yet to begin, as its home is to have it; say what was left out."""
    plan, folder = launch.plan, StudyFolder(scratch / "study")
    references = shipping.pack_projects(plan, folder.root)
    key = ""
    if launch.problem.dataset is not None:
        key = frozen.key_of(launch.problem)
        frozen.freeze(Store(folder.rows), key, launch.problem)
    if launch.problem.split is not None:
        launch.problem.split.save(folder.split)
    there = replace(plan, objective=references.objective, space=references.space, address="auto", data=None)
    sent = {name: getattr(plan, name) for name in ("objective", "space", "data", "address", "results")}
    sent |= {"rows": key, "warm_start": list(launch.warm_start), "hidden": unseen.of_data(plan)}
    record = {**replace(launch, plan=there).record(), "sent": sent}
    folder.plan.write_text(json.dumps(record, indent=1, default=str))
    return folder.root, references.notes


def _parts(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield a file in pieces, each with where it begins; an empty file is one empty piece."""
    with path.open("rb") as file:
        offset = 0
        while (data := file.read(CHUNK_BYTES)) or not offset:
            yield offset, data
            if not data:
                return
            offset += len(data)
