"""`FileSource`: the data that the user names, or the objective's default, loaded as a `Dataset`."""

from __future__ import annotations

from pathlib import Path

from search.contract import Dataset
from search.data.fetch import Fetched, Say, fetch, quiet
from search.data.reference import Reference, parse_reference
from search.errors import InputError


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
        from search.data import packaged, tables
        from search.data.formats import read_table

        reference = self._parse(default)
        notes: tuple[str, ...] = ()
        own_target: str | None = packaged.TARGET
        if reference.kind == "sklearn" and reference.location in packaged.TABLES:
            reference.accept("task", "drop")
            frame = packaged.load_table(str(reference.location))
        else:
            found = self._fetch(reference)
            frame, notes, own_target = read_table(found.path, reference), found.notes, found.target
        made = tables.make_dataset(
            frame,
            self._target or own_target,
            name=reference.name,
            task=reference.option("task"),
            drop=tuple(filter(None, (reference.option("drop") or "").split(","))),
        )
        self.notes = (*notes, *made.notes)
        return made.dataset

    def images(self, default: str) -> Dataset:
        """Load images: `sklearn:digits`, a folder `class/*.png`, a ZIP of one, or an `.npz` with `x` and `y`.

        Raises:
            InputError: There is no such data, or nothing can be learned from it.
            SurroundingsError: It cannot be fetched, or a folder of images needs Pillow, which is not installed.
        """
        from search.data import packaged, pictures

        reference = self._parse(default)
        if self._target is not None:
            raise InputError(
                f"--target names a column of a table, but {reference.name} is read as images, which have none",
                field="target",
            )
        self.notes = ()
        if reference.kind == "sklearn" and reference.location in packaged.IMAGES:
            reference.accept()
            return packaged.load_images(str(reference.location))
        found = self._fetch(reference)
        self.notes = found.notes
        return pictures.read_images(found.path, task=reference.option("task"))

    def _parse(self, default: str) -> Reference:
        return parse_reference(default if self._reference is None else self._reference, self._folder)

    def _fetch(self, reference: Reference) -> Fetched:
        found = fetch(reference, self._folder, self._results, refresh=self._refresh, say=self._say)
        self.pinned = found.pinned
        return found
