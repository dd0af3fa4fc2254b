"""`FileSource`: the data that the user names, or the objective's default, loaded as a `Dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from search.contract import Dataset
from search.data.fetch import Fetched, Say, fetch, quiet
from search.data.reference import OPTIONS, TABLE_OPTIONS, Reference, parse_reference
from search.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


class FileSource:
    """Data from a packaged set, a file, a folder, or from wherever a reference says; cheap to make and to send.

    Args:
        reference: The user's `--data`, or None for the objective's default.
        target: The user's `--target`: the column to predict, or None.
        folder: Where relative paths start.
        results: The results folder: what is fetched is kept there.
        refresh: Ask the other side again, even if something was fetched before.
        say: Hears of progress.

    Attributes:
        notes: One sentence for each thing that the last load did to the data: rows dropped, columns left out.
        pinned: A reference to exactly the content of the last load; None before, and for what comes with scikit-learn.
    """

    def __init__(
        self,
        reference: str | None,
        target: str | None,
        folder: Path,
        *,
        results: Path = Path("results"),
        refresh: bool = False,
        say: Say = quiet,
    ) -> None:
        self._reference = reference
        self._target = target
        self._folder = folder
        self._results = results
        self._refresh = refresh
        self._say = say
        self.notes: tuple[str, ...] = ()
        self.pinned: str | None = None

    def table(self, default: str) -> Dataset:
        """Load a table, from wherever the reference says.

        Raises:
            InputError: There is no such data, or nothing can be learned from it.
            SurroundingsError: It cannot be fetched.
        """
        # pandas takes half a second to import, which a command that reads no data should not wait for
        from search.data import packaged
        from search.data.formats import read_table

        reference = self._parse(default)
        self.pinned = None
        if reference.kind == "sklearn" and reference.location in packaged.TABLES:
            reference.accept("task", "drop")
            return self._made(reference, packaged.load_table(str(reference.location)), packaged.TARGET, ())
        found = self._fetch(reference)
        return self._made(reference, read_table(found.path, reference), found.target, found.notes)

    def images(self, default: str) -> Dataset:
        """Load images: `sklearn:digits`, a folder `class/*.png`, a ZIP of one, or an `.npz` with `x` and `y`.

        Raises:
            InputError: There is no such data, or nothing can be learned from it.
            SurroundingsError: It cannot be fetched, or a folder of images needs Pillow, which is not installed.
        """
        from search.data import packaged

        reference = self._parse(default)
        self._refuse_target(reference)
        self.notes, self.pinned = (), None
        if reference.kind == "sklearn" and reference.location in packaged.IMAGES:
            reference.accept()
            return packaged.load_images(str(reference.location))
        reference.accept(*(name for name in OPTIONS if name not in TABLE_OPTIONS))
        found = self._fetch(reference)
        self.notes = found.notes
        return _pictures(found, reference)

    def look(self) -> Dataset | pd.DataFrame:
        """Load whatever the reference names, to be looked at; a table of which no target is known as clean columns.

        A folder of folders and an `.npz` file are images; what can be both is a table.

        Raises:
            InputError: There is no such data, or it cannot be read.
            SurroundingsError: It cannot be fetched.
        """
        from search.data import packaged, tables
        from search.data.formats import read_table

        reference = self._parse("")
        if reference.kind == "sklearn" and reference.location in packaged.TABLES:
            return self.table("")
        self.pinned = None
        found = self._fetch(reference)
        if found.path.suffix.lower() == ".npz" or _holds_folders(found.path):
            self._refuse_target(reference)
            self.notes = found.notes
            return _pictures(found, reference)
        frame = read_table(found.path, reference)
        if self._target or found.target:
            return self._made(reference, frame, found.target, found.notes)
        table, notes = tables.clean_columns(tables.without(frame, reference.listed("drop"), None, reference.name))
        if not len(table) or not table.shape[1]:
            raise InputError(
                f"{reference.name} has a header and no rows, or no columns: there is nothing to see", field="data"
            )
        self.notes = (*found.notes, *notes)
        return table

    @property
    def name(self) -> str:
        """What people call the data; without what may be secret in it."""
        return self._parse("").name

    def _made(
        self, reference: Reference, frame: pd.DataFrame, own_target: str | None, notes: tuple[str, ...]
    ) -> Dataset:
        from search.data import tables

        made = tables.make_dataset(
            frame,
            self._target or own_target,
            name=reference.name,
            task=reference.option("task"),
            drop=reference.listed("drop"),
        )
        self.notes = (*notes, *made.notes)
        return made.dataset

    def _refuse_target(self, reference: Reference) -> None:
        if self._target is not None:
            raise InputError(
                f"--target names a column of a table, but {reference.name} is read as images, which have none",
                field="target",
            )

    def _parse(self, default: str) -> Reference:
        return parse_reference(default if self._reference is None else self._reference, self._folder)

    def _fetch(self, reference: Reference) -> Fetched:
        found = fetch(reference, self._folder, self._results, refresh=self._refresh, say=self._say)
        self.pinned = found.pinned
        return found


def _pictures(found: Fetched, reference: Reference) -> Dataset:
    from search.data.pictures import read_images

    path, task, size = found.path, reference.option("task"), reference.option("size")
    return read_images(path, task=task, size=size, name=reference.name)


def _holds_folders(path: Path) -> bool:
    try:
        entries = list(path.iterdir()) if path.is_dir() else []
    except OSError:  # reading it will tell
        return False
    return any(entry.is_dir() and not entry.name.startswith((".", "_")) for entry in entries)
