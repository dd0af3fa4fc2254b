"""Takes a study's name by writing its plan, and gives it back where the study never opened."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace

from search.errors import RefusedError, SweepError
from search.launch import Launch
from search.paths import write_atomic
from search.study.disk import cannot_write
from search.study.lock import FILE_NAME as LOCK
from search.study.lock import acquire, announce, read_holder, withdraw


def refuse_read_only(launch: Launch) -> None:
    """Refuse a folder that cannot be written, before anything is started.

    Raises:
        SurroundingsError: It is read-only, or somebody else's.
    """
    place = launch.folder.root
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        number = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
        raise cannot_write(launch.folder.root, OSError(number, os.strerror(number)))


def take_name(launch: Launch) -> Launch:
    """Write the plan, which takes the study's name; one that the user did not choose may be taken meanwhile.

    A study that is resumed has its name; it must not be running.

    Raises:
        RefusedError: There is such a study, or it is being run.
        SurroundingsError: The folder cannot be written.
    """
    if launch.resumed:
        announce(launch.folder.root, study=launch.plan.study)
        return launch
    name = launch.plan.study
    for count in range(2, 100):
        try:
            _take(launch)
        except RefusedError:
            if launch.plan.origins.get("study") != "default":
                raise
            launch = replace(launch, plan=replace(launch.plan, study=f"{name}-{count}"))
        else:
            return launch
    raise _taken(name)


def _take(launch: Launch) -> None:
    """Announce the study, so that who comes second is told who came first, and write its plan."""
    folder, name = launch.folder, launch.plan.study
    announce(folder.root, study=name)
    try:
        write_atomic(folder.plan, json.dumps(launch.record(), indent=1, default=str), new=True)
    except FileExistsError as error:
        withdraw(folder.root)
        raise _taken(name) from error
    except OSError as error:
        withdraw(folder.root)
        with suppress(OSError):
            folder.root.rmdir()
        raise cannot_write(folder.plan, error) from error


def give_name_back(launch: Launch) -> None:
    """Take the plan away again if the study never opened: it has left nothing else in its folder.

    The lock of one that was ended while it opened, or ran, is taken away in any case.
    """
    root = launch.folder.root
    withdraw(root)
    with suppress(OSError, SweepError):
        if (root / LOCK).exists():
            holder = read_holder(root)
            if holder is None or (holder.driver == os.getpid() and holder.is_alive() is False):
                acquire(root, study=launch.plan.study).release()
        folder = launch.folder
        written = {folder.plan, folder.split, folder.rows}  # before it opens
        if launch.resumed or any(path not in written for path in root.iterdir()):
            return
        shutil.rmtree(folder.rows, ignore_errors=True)
        folder.split.unlink(missing_ok=True)
        folder.plan.unlink()
        root.rmdir()


def _taken(name: str) -> RefusedError:
    return RefusedError(f"study {name!r} exists already", hint="choose another --study")
