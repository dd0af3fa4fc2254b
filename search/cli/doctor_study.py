"""`sweep doctor STUDY`: whether what is stored of a study is whole, and `--repair`, which makes a journal whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from shlex import quote
from typing import TYPE_CHECKING, Any

from search.cli import console
from search.cli.options import Common
from search.errors import ExitCode, InputError, SurroundingsError, SweepError
from search.paths import StudyFolder

if TYPE_CHECKING:
    from search.study.cut import Mended
    from search.study.peek import Place


def study_doctor(shared: Common, text: str, *, repair: bool) -> int:
    """Examine the study that `text` means, mend it if asked to, and tell what was found.

    Raises:
        InputError: There is no such study, or it is in a database and is to be mended.
        RefusedError: It is to be mended while somebody runs it.
        SurroundingsError: The disk is full, or cannot be read or written.
    """
    from search.records import find

    folder = find.study_folder(shared.results, text)
    place, plan_fault = _place(folder)
    if place.url is not None:
        if repair:
            raise InputError(
                f"study {folder.name!r} is in a database ({_shown(place.url)}), and --repair mends journals only",
                field="--repair",
                hint="restore a backup of the database, or repair it with its own tools",
            )
        found, mended = _of_a_database(folder, place.url, place.study), None
    else:
        mended = _mend(folder, place.study) if repair else None
        found = _of_a_journal(folder, place.study, shared)
    if plan_fault:
        found["problems"].insert(0, plan_fault)
    if shared.json:
        done = {**asdict(mended), "sentences": mended.sentences()} if mended else None
        console.out_json({**found, **({"repair": done} if repair else {})})
    else:
        console.out(*_lines(found))
        if repair:
            console.out("", *(mended.sentences() if mended else [_nothing(folder)]))
    return ExitCode.SURROUNDINGS if found["problems"] else ExitCode.DONE


def _place(folder: StudyFolder) -> tuple[Place, dict[str, str] | None]:
    """Return where a study is stored, and what is wrong with the plan that says so."""
    from search.study import peek

    try:
        return peek.place(folder), None
    except SurroundingsError as fault:
        return peek.Place(None, folder.name), {"problem": fault.message, "remedy": fault.hint}


def _mend(folder: StudyFolder, study: str) -> Mended | None:
    from search.study.cut import mend

    if not folder.journal.exists():
        return None
    return mend(folder.journal, study=study)


def _nothing(folder: StudyFolder) -> str:
    if folder.journal.exists():
        return "nothing is damaged, and nothing was changed"
    return f"there is no {folder.journal.name} to mend"


def _of_a_journal(folder: StudyFolder, study: str, shared: Common) -> dict[str, Any]:
    from search.study import damage

    told: dict[str, Any] = {
        "study": folder.name,
        "folder": str(folder.root),
        "storage": "journal",
        "held_by": _holder(folder),
        "bytes": 0,
        "records": 0,
        "trials": 0,
        "vouched_bytes": 0,
        "torn_bytes": 0,
        "damage": None,
        "problems": [],
        "notes": [],
    }
    if not folder.journal.exists():
        return {**told, **_without_journal(folder)}
    found = damage.examine(folder.journal)
    told |= {"bytes": found.size, "records": found.records, "trials": found.trials(study)}
    told |= {"vouched_bytes": found.vouched, "torn_bytes": found.torn}
    if found.damage is not None:
        one = found.damage
        told["damage"] = {"file": str(folder.journal), "line": one.line, "byte": one.start, "why": one.why}
        told["problems"].append(
            {
                "problem": f"{folder.journal} is damaged in line {one.line} (byte {one.start}): {one.why}",
                "remedy": f"restore a copy, or `{shared.command(f'doctor {quote(folder.name)} --repair')}` keeps what "
                "stands before and puts the rest aside",
            }
        )
    if found.torn and told["held_by"] is None:
        told["notes"].append(f"its last record is torn: opening it cuts off {found.torn} bytes and keeps them aside")
    if found.missing:
        told["notes"].append(f"it is {found.missing} bytes shorter than it was; the trials told last may be lost")
    return told


def _without_journal(folder: StudyFolder) -> dict[str, Any]:
    from search.study import checksum

    lasting = checksum.load(folder.journal)
    if not lasting:
        return {"notes": [f"there is no {folder.journal.name} yet: it was launched and stored no trial"]}
    said = f"{folder.journal} is missing, and had {lasting[-1].offset} bytes"
    return {"problems": [{"problem": said, "remedy": "restore a copy"}]}


def _of_a_database(folder: StudyFolder, url: str, study: str) -> dict[str, Any]:
    from search.study.storage import trials_in

    told: dict[str, Any] = {
        "study": folder.name,
        "folder": str(folder.root),
        "storage": _shown(url),
        "held_by": _holder(folder),
        "trials": 0,
        "problems": [],
        "notes": [],
    }
    try:
        trials = trials_in(url, study)
    except SweepError as fault:
        remedy = fault.hint or "start the database, or restore a backup of it"
        return {**told, "problems": [{"problem": fault.message, "remedy": remedy}]}
    if trials is None:
        said = f"{_shown(url)} holds no study {study!r}"
        return {**told, "problems": [{"problem": said, "remedy": "restore a backup of the database"}]}
    return {**told, "trials": trials}


def _holder(folder: StudyFolder) -> dict[str, Any] | None:
    from search.study.lock import living_holder

    holder = living_holder(folder.root)
    return None if holder is None else {"pid": holder.known_as, "host": holder.host, "since": holder.since}


def _shown(url: str) -> str:
    from search.study.storage import shown

    return shown(url)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"study    {found['study']}   {found['folder']}"
    if found["storage"] == "journal":
        yield f"storage  journal, {found['bytes']:,} bytes, {found['records']} good records"
        yield f"checksum vouches for {found['vouched_bytes']:,} bytes"
    else:
        yield f"storage  {found['storage']}, a database"
    yield f"trials   {found['trials']}"
    held = found["held_by"]
    yield f"held by  pid {held['pid']} on {held['host']}" if held else "held by  nobody"
    yield ""
    for problem in found["problems"]:
        yield f"DAMAGED: {problem['problem']}; {problem['remedy']}"
    yield from (f"note: {note}" for note in found["notes"])
    if not found["problems"]:
        yield "nothing is damaged"
