"""Images as a `Dataset`: a folder with one folder per class, or arrays in an `.npz` file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import Dataset, Task
from search.data.onepicture import COLOUR, GREY, SUFFIXES, plain
from search.errors import InputError, SurroundingsError

if TYPE_CHECKING:
    from PIL.Image import Image

_CHANNELS: Final = (1, 3, 4)
_MAX_SIDE: Final = 4096
_ORIENTATION: Final = 0x0112  # of EXIF
_LYING: Final = (5, 6, 7, 8)  # what has these is turned by a quarter

Array = np.ndarray[Any, Any]


def read_images(path: Path, *, task: str | None = None, size: str | None = None, name: str | None = None) -> Dataset:
    """Read a folder of images, or an `.npz` file.

    Args:
        path: Of the folder or file.
        task: `classification` or `regression`, of a file; None to see it from the labels.
        size: Pixels a side that the images of a folder are brought to, as the user wrote it; None to keep theirs.
        name: What people call it; None for the name of the folder or file.

    Raises:
        InputError: It is neither, it is damaged, or an option does not fit: the folders' names are classes, and arrays
            are of one size.
        SurroundingsError: A folder of images needs Pillow, which is not installed.
    """
    name = name or path.name
    if path.is_dir():
        if task is not None:
            raise InputError(f"{name} takes no task=: its folders are the classes", field="data")
        return read_folder(path, side=None if size is None else _side(size), name=name)
    if path.suffix.lower() == ".npz" and path.is_file():
        if size is not None:
            raise InputError(f"{name} takes no size=: its images are of one size", field="data")
        return read_npz(path, task=task, name=name)
    raise InputError(f"{name} holds no images; images are a folder class/*.png or an .npz file", field="data")


def read_folder(folder: Path, *, side: int | None = None, name: str | None = None) -> Dataset:
    """Read `class/*.png` (or .jpg): (rows, channels, height, width), uint8, rows in the order of class and file name.

    There is one channel where all images are grey, else there are three. What becomes of other
    forms of pixels: `onepicture.plain`.

    Args:
        folder: With a folder for each class.
        side: Pixels; each image is scaled until its shorter side has so many, and its middle is cut out. None where
            all have one size.
        name: What people call it; None for the folder's own.

    Raises:
        InputError: There are no such images, they differ in size, or one is damaged.
        SurroundingsError: Pillow is not installed.
    """
    name = name or folder.name
    names, files = _list_images(folder, name)
    headers = [_header(folder, path) for path, _ in files]
    if side is None:
        _check_sizes(folder, [path for path, _ in files], headers)
    mode = "L" if all(mode in GREY for _, _, mode in headers) else "RGB"
    pixels = np.stack([_pixels(folder, path, mode, side) for path, _ in files])
    target = np.array([index for _, index in files], dtype=np.int64)
    return Dataset(name, Task.BINARY if len(names) == 2 else Task.MULTICLASS, pixels, target, names)


def read_npz(path: Path, *, task: str | None = None, name: str | None = None) -> Dataset:
    """Read images `x`, (rows, height, width) or with a channel axis, and labels `y`, (rows,), from an `.npz` file.

    Raises:
        InputError: The file is damaged, or the arrays are not of this form.
    """
    name = name or path.name
    x, y = _read_arrays(path, name)
    pixels = _as_pixels(name, _as_channels_first(name, x))
    if y.shape == (len(y), 1):
        y = y[:, 0]
    if y.shape != (len(pixels),):
        raise InputError(f"{name}: y must be ({len(pixels)},), one label for each image, got {y.shape}", field="y")
    import pandas as pd

    from search.data.cleaning import clean
    from search.data.target import read_target

    labels = clean("y", pd.Series(y)).values
    if labels.isna().any():
        row = int(labels.isna().to_numpy().argmax()) + 1
        raise InputError(f"{name}: y has no finite value in row {row}", field="y")
    target = read_target("y", labels, task)
    return Dataset(name, target.task, pixels, target.values, target.classes)


def _list_images(folder: Path, name: str) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """Return the names of the classes, and each image with the index of its class."""
    try:
        folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        found = {entry.name: _images_in(entry) for entry in folders}
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}", field="data") from error
    names = tuple(name for name, paths in found.items() if paths)
    if not names:
        held = ", ".join(entry.name for entry in folders[:8]) or "no folders"
        held += ", ..." if len(folders) > 8 else ""
        raise InputError(f"{name} has no images of the form class/*.png; it has {held}", field="data")
    if len(names) == 1:
        count = len(found[names[0]])
        raise InputError(f"{name} has one class ({names[0]!r}, {count} images); a classifier needs two", field="data")
    return names, [(path, index) for index, name in enumerate(names) for path in found[name]]


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
    )


def _header(folder: Path, path: Path) -> tuple[int, int, str]:
    """Return width and height as people see it, and Pillow's mode, without reading the pixels."""
    with _open(folder, path) as image:
        if image.mode not in (*GREY, *COLOUR):
            raise InputError(
                f"{_short(folder, path)} has pixels of more than 16 bits ({image.mode}); save it with 8", field="data"
            )
        lies = image.format != "PNG" and image.getexif().get(_ORIENTATION) in _LYING
        width, height = (image.height, image.width) if lies else image.size
        return width, height, image.mode


def _side(size: str) -> int:
    if not (size.isascii() and size.isdigit() and 1 <= int(size[:9]) <= _MAX_SIDE):
        raise InputError(f"size is the pixels of a side, 1 to {_MAX_SIDE}, got {size[:40]!r}", field="size")
    return int(size)


def _check_sizes(folder: Path, files: list[Path], headers: list[tuple[int, int, str]]) -> None:
    first = headers[0]
    for path, (width, height, _) in zip(files, headers, strict=True):
        if (width, height) != first[:2]:
            raise InputError(
                f"{_short(folder, path)} is {width}x{height} pixels where {_short(folder, files[0])} is "
                f"{first[0]}x{first[1]}",
                field="data",
                hint=f"bring all to one size, as {folder.name}?size=32 does",
            )


def _pixels(folder: Path, path: Path, mode: str, side: int | None) -> Array:
    """Return one image: (channels, height, width), uint8, turned as the camera noted."""
    try:
        with _open(folder, path) as image:
            converted = plain(image, mode)
            pixels = np.asarray(converted if side is None else _fitted(converted, side), dtype=np.uint8)
    except Exception as error:  # Pillow has a dozen ways to say that a file is cut short or damaged
        raise _damaged(folder, path) from error
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def _fitted(image: Image, side: int) -> Image:
    from PIL import ImageOps
    from PIL.Image import Resampling

    return ImageOps.fit(image, (side, side), Resampling.BILINEAR)


def _open(folder: Path, path: Path) -> Image:
    try:
        from PIL import Image
    except ImportError as error:
        raise SurroundingsError(
            "a folder of images needs Pillow, which is not installed",
            field="data",
            hint="pip install 'sweep-search[images]'",
        ) from error
    try:
        return Image.open(path)
    except Exception as error:  # as in _pixels
        raise _damaged(folder, path) from error


def _damaged(folder: Path, path: Path) -> InputError:
    return InputError(f"{_short(folder, path)} is no image, or damaged; drop it or save it anew", field="data")


def _short(folder: Path, path: Path) -> str:
    return path.relative_to(folder.parent).as_posix()


def _read_arrays(path: Path, called: str) -> tuple[Array, Array]:
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            names = [] if isinstance(loaded, np.ndarray) else list(loaded)  # one array without a name
            arrays = {name: loaded[name] for name in ("x", "y") if name in names}
    except Exception as error:  # numpy and zipfile have a dozen ways to say that a file is damaged
        why = "it is damaged, or too large for the memory"
        if "pickle" in str(error):
            why = "it holds Python objects, which are never loaded"
        raise InputError(f"{called} cannot be read as .npz: {why}", field="data") from error
    for name in ("x", "y"):
        if name not in arrays:
            has = (", ".join(names[:8]) or "none") + (", ..." if len(names) > 8 else "")
            raise InputError(f"{called} has no array {name!r}; it has {has}", field=name)
    return arrays["x"], arrays["y"]


def _as_channels_first(name: str, x: Array) -> Array:
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] in _CHANNELS:
        return x
    if x.ndim == 4 and x.shape[3] in _CHANNELS:
        return x.transpose(0, 3, 1, 2)
    raise InputError(
        f"{name}: x must be (rows, height, width) or (rows, 1, 3 or 4 channels, height, width), got {x.shape}",
        field="x",
    )


def _as_pixels(name: str, x: Array) -> Array:
    """Return pixels as uint8, or as float32 in [0, 1]."""
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name}: x must hold numbers, got {x.dtype}", field="x")
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):  # NaN is in no range
        raise InputError(f"{name}: x must lie in 0 to 1 or 0 to 255, got {low:g} to {high:g}", field="x")
    if x.dtype.kind in "iu" and high > 1:
        return np.ascontiguousarray(x, dtype=np.uint8)
    return np.ascontiguousarray(x, dtype=np.float32) / np.float32(255 if high > 1 else 1)
