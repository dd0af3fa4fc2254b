"""A study's folder that is a copy of one at a cluster's home: where it is from, and what was made here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from search.data.reference import parse_reference
from search.errors import InputError, RefusedError
from search.loading import Loaded, code_hash
from search.paths import StudyFolder, write_atomic
from search.usermodules import UserFile

_KEY: Final = "fetched"

STAY: Final = ("study.lock", "held.json", "ended.json", "wishes/")
"""Files that speak of processes and wishes of a machine, and stay there when the study goes."""


def origin(folder: StudyFolder) -> str | None:
    """Return the address of the cluster that a study was fetched from; None if it is no copy."""
    try:
        found = json.loads(folder.plan.read_text(encoding="utf-8")).get(_KEY)
        return str(found["address"]) if found else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def refuse(folder: StudyFolder, *, doing: str, adopts: bool = False) -> None:
    """Refuse to change a copy, which would then differ from the study that it is of.

    Args:
        folder: Of a study.
        doing: The command that would.
        adopts: Whether the command takes `--address local` for a copy to become a study of its own.

    Raises:
        RefusedError: It is one.
    """
    address = origin(folder)
    if address is not None:
        own = "; `--address local` makes the copy a study of its own" if adopts else ""
        raise RefusedError(
            f"study {folder.name!r} is a copy of one on a cluster",
            field="study",
            hint=f"`sweep {doing} {folder.name} --address {address}` is meant for that{own}",
        )


def adopt(folder: StudyFolder) -> None:
    """Make a copy a study of its own."""
    record = json.loads(folder.plan.read_text(encoding="utf-8"))
    if record.pop(_KEY, None) is not None:
        write_atomic(folder.plan, json.dumps(record, indent=1))
        (folder.fetched).unlink(missing_ok=True)


def brought(folder: StudyFolder) -> frozenset[str]:
    """Return the names of the files that were fetched; the others were made here."""
    try:
        return frozenset(json.loads((folder.fetched).read_text(encoding="utf-8"))) | {folder.fetched.name}
    except (OSError, ValueError, TypeError):
        return frozenset((folder.fetched.name,))


def needs_rows(plan: bytes) -> bool:
    """Tell whether the rows of a study have to come along: this machine does not have its data.

    Args:
        plan: Its `plan.json`.
    """
    try:
        sent = json.loads(plan)["sent"]
        return bool(sent["rows"]) and not _has_data(sent["data"])
    except (ValueError, KeyError, TypeError):
        return True


def settle(come: StudyFolder, folder: StudyFolder, files: Sequence[str], *, address: str) -> None:
    """Give a plan's references the places that they have on this machine.

    Objective and space are the files that the study was launched from, where they are there with the same code; else
    those that travelled with it. Data is what it was launched with, where that is there; else its rows came along.

    Args:
        come: What was fetched.
        folder: Where it is to lie.
        files: What was fetched, by name.
        address: Of the cluster.
    """
    record = json.loads(come.plan.read_text(encoding="utf-8"))
    plan, sent = record["plan"], record.get("sent", {})
    references = {name: str(sent.get(name, plan[name])) for name in ("objective", "space")}
    if not _is_same(references, str(record.get("code_hash", ""))):
        home = f"{plan['results']}/{folder.name}/"
        places = {name: str(plan[name]) for name in references}
        references = {
            name: f"{folder.root.resolve()}/{place.removeprefix(home)}" if place.startswith(home) else place
            for name, place in places.items()
        }
    record[_KEY] = {
        "address": address,
        "results": plan["results"],
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    there = sent.get("address", address)
    plan.update(references, results=str(folder.root.resolve().parent), data=sent.get("data", plan["data"]))
    plan["address"] = None if there is None or str(there).startswith("ray://") else there  # no driver runs outside
    if sent.get("rows") and _has_data(sent.get("data")):
        sent["rows"] = ""
    write_atomic(come.plan, json.dumps(record, indent=1))
    write_atomic(come.fetched, json.dumps(list(files)))


def _is_same(references: Mapping[str, str], code: str) -> bool:
    """Tell whether objective and space are on this machine, with just the code that the study was launched with."""
    found = list[Loaded]()
    for reference in references.values():
        place, _, name = reference.rpartition(":")
        path = _file_of(place)
        if path is None or not path.is_file():
            return False
        file = UserFile.of(path)
        found.append(Loaded(name, reference, file.path, file.root))
    try:
        return code_hash(*found) == code
    except OSError:
        return False


def _file_of(place: str) -> Path | None:
    """Return the file of a reference's module; None if there is none on this machine."""
    if place.endswith(".py"):
        return Path(place)
    try:
        found = find_spec(place)
    except Exception:  # of a package that cannot be imported here
        return None
    return None if found is None or found.origin is None else Path(found.origin)


def _has_data(reference: Any) -> bool:
    """Tell whether data that a study was launched with can be had on this machine."""
    if reference is None:
        return True
    try:
        found = parse_reference(str(reference), Path.cwd())
    except InputError:
        return False
    return found.kind != "file" or Path(found.location).exists()
