"""One writer per collection: an flock, which the kernel lets go of when its holder dies."""

from __future__ import annotations

from pathlib import Path

from search.data.collect.place import CollectionFolder, cannot_write
from search.errors import RefusedError
from search.pidlock import PidLock


def hold(folder: CollectionFolder, *, serving: bool = False) -> WriterLock:
    """Become the one writer of a collection, whose folder is made if it is missing.

    Args:
        folder: Of the collection.
        serving: It is to take rows, and not only to be compacted.

    Raises:
        RefusedError: A living process is.
        SurroundingsError: The folder cannot be written.
    """
    try:
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return WriterLock(folder.lock, serving=serving)
    except OSError as error:
        raise cannot_write(folder.lock, error) from error


def refuse_second(folder: CollectionFolder) -> None:
    """Make sure that a collection has no writer yet, before anything else is tried for it; nothing is made.

    Raises:
        RefusedError: A living process writes it.
    """
    if folder.lock.exists():
        hold(folder, serving=True).release()


class WriterLock(PidLock):
    """The right to write one collection, until `release` or the end of this process."""

    def __init__(self, path: Path, *, serving: bool = False) -> None:
        """Take the lock.

        Args:
            path: Of the file that is locked.
            serving: As for `hold`.

        Raises:
            RefusedError: A living process has it.
            OSError: The file cannot be made.
        """
        super().__init__(path, lambda holder: _refusal(path.parent.name, holder, serving=serving))


def _refusal(name: str, holder: str, *, serving: bool) -> RefusedError:
    said = f"collection {name!r} is being written by pid {holder}"
    hint = "stop that one first; it compacts by itself, and `collected:` reads while it runs"
    if serving:
        said = f"{name} is being collected by pid {holder}"
        hint = "send rows there, stop that one first, or collect under another NAME"
    return RefusedError(said, field="NAME", hint=hint)
