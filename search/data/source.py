"""`FileSource`: the data that the user names, or the objective's default, loaded as a `Dataset`."""

from __future__ import annotations

from pathlib import Path

from search.contract import Dataset
from search.data.reference import Reference, parse_reference
from search.errors import InputError


class FileSource:
    """Data from a packaged set, a file or a folder; cheap to make and to send to another process.

    Args:
        reference: The user's `--data`, or None for the objective's default.
        target: The user's `--target`: the column to predict, or None.
        folder: Where relative paths start.

    Attributes:
        notes: One sentence for each thing that the last load did to the data: rows dropped, columns left out.
    """

    def __init__(self, reference: str | None, target: str | None, folder: Path) -> None:
        self._reference = reference
        self._target = target
        self._folder = folder
        self.notes: tuple[str, ...] = ()

    def table(self, default: str) -> Dataset:
        """Load a table: `sklearn:NAME`, a CSV or a Parquet file.

        Raises:
            InputError: There is no such data, or nothing can be learned from it.
        """
        # pandas takes half a second to import, which a command that reads no data should not wait for
        from search.data import packaged, tables

        reference = self._parse(default)
        if isinstance(reference.location, Path):
            reference.accept("encoding", "task")
            frame = tables.read_table(_table_file(reference.location), encoding=reference.option("encoding"))
            target = self._target
        else:
            reference.accept("task")
            frame = packaged.load_table(reference.location)
            target = self._target or packaged.TARGET
        made = tables.make_dataset(frame, target, name=reference.name, task=reference.option("task"))
        self.notes = made.notes
        return made.dataset

    def images(self, default: str) -> Dataset:
        """Load images: `sklearn:digits`, a folder `class/*.png`, or an `.npz` with `x` and `y`.

        Raises:
            InputError: There is no such data, or nothing can be learned from it.
            SurroundingsError: A folder of images needs Pillow, which is not installed.
        """
        from search.data import packaged, pictures

        reference = self._parse(default)
        if self._target is not None:
            raise InputError(
                f"--target names a column of a table, but {reference.name} is read as images, which have none",
                field="target",
            )
        self.notes = ()
        path = reference.location
        if not isinstance(path, Path):
            reference.accept()
            return packaged.load_images(path)
        if path.is_dir():
            reference.accept()
            return pictures.read_folder(path)
        if path.suffix.lower() == ".npz":
            reference.accept("task")
            return pictures.read_npz(path, task=reference.option("task"))
        raise InputError(f"{path.name} holds no images; images are a folder class/*.png or an .npz file", field="data")

    def _parse(self, default: str) -> Reference:
        return parse_reference(default if self._reference is None else self._reference, self._folder)


def _table_file(path: Path) -> Path:
    kind = "a folder" if path.is_dir() else "a file of arrays" if path.suffix.lower() == ".npz" else ""
    if not kind and not path.is_file():
        kind = "a pipe or a device"  # it would be empty, or without end, for the next process that reads it
    if kind:
        raise InputError(f"{path.name} is {kind}; a table is a CSV, TSV or Parquet file", field="data")
    return path
