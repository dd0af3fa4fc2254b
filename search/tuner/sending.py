"""How a study gets to its home: what cannot go there is refused before anything is sent."""

from __future__ import annotations

import json
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from search import frozen
from search.asked import FILES
from search.errors import RefusedError, SweepError
from search.launch import Launch
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.store import Store
from search.tuner import preflight, shipping
from search.tuner.away import Away
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
    plan = launch.plan
    away.aside(partial(of_cluster, plan.cpus, plan.gpus, plan.memory_bytes))
    differs = away.aside(partial(preflight.check, plan, head=True))
    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as scratch:
        upload = uuid.uuid4().hex
        folder, left = put_together(launch, Path(scratch))
        files = {path: path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()}
        size = sum(path.stat().st_size for path in files)
        away.call("begin", upload, plan.study, size, _needs(plan), rename)
        try:
            for path, name in files.items():
                for offset, data in _parts(path):
                    away.call("receive", upload, name, offset, data)
            study: str = away.call("launch", upload, plan.study, away.address, rename)
        except BaseException:
            with suppress(SweepError):  # else it is removed there in a day
                away.call("forget", upload)
            raise
    return Sent(study, (*left, *differs))


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
    sent |= {"rows": key, "warm_start": list(launch.warm_start)}
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
