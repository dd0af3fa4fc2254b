"""A folder of pictures, or an `.npz` file, as images for a model, some hundreds at once: the `Pictures`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.data.onepicture import SUFFIXES, plain
from search.errors import InputError, SurroundingsError

_AT_ONCE: Final = 256
_CHANNELS: Final = (1, 3, 4)
_MOST_TOLD: Final = 20

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Some images.

    Attributes:
        names: Of their files, or their rows.
        pixels: (rows, channels, height, width) float32 in [0, 1].
        share: Of all images, these included.
    """

    names: list[str]
    pixels: Array
    share: float


def pictures(source: Path, shape: tuple[int, ...], say: Callable[[str], None] = lambda _: None) -> Iterator[Pictures]:
    """Yield the images of a folder (with those of its folders), or of the array `x` of an `.npz` file.

    A picture of another size is scaled as those of a training with `?size=` are: until it fills the shape, and its
    middle is cut out. A JPEG is turned as the camera noted.

    Args:
        source: Folder or file.
        shape: Channels, height, width that the model takes.
        say: Takes a sentence for people.

    Raises:
        InputError: There are none, one is damaged, or the array has another shape.
        SurroundingsError: A folder of images needs Pillow, which is not installed.
    """
    if source.is_dir():
        yield from _folder(source, shape, say)
    elif source.suffix.lower() == ".npz" and source.is_file():
        yield from _arrays(source, shape)
    else:
        if not source.exists():
            raise InputError(f"there is no file or folder {str(source)!r}", field="input")
        is_one = source.suffix.lower() in SUFFIXES
        said = f"the model takes images, and {source.name} is neither a folder of them nor an .npz file"
        raise InputError(said, field="input", hint="give the folder that the picture is in" if is_one else "")


def _folder(folder: Path, shape: tuple[int, ...], say: Callable[[str], None]) -> Iterator[Pictures]:
    try:
        from PIL import Image, ImageOps
        from PIL.Image import Resampling
    except ImportError as error:
        hint = "pip install 'sweep-search[images]'"
        raise SurroundingsError("a folder of images needs Pillow, which is not installed", hint=hint) from error
    channels, height, width = shape
    if channels not in (1, 3):
        raise InputError(f"the model takes {channels} channels, which no picture has; give an .npz file", field="input")
    found_there = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    files = [path for path in found_there if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not files:
        raise InputError(f"{folder} holds no .png and no .jpg file", field="input")
    if others := len(found_there) - len(files):
        say(f"passed over in {folder}: {others:,} that are no .png or .jpg files (linked folders count as one)")
    damaged = []
    for start in range(0, len(files), _AT_ONCE):
        pixels, names = [], []
        for path in files[start : start + _AT_ONCE]:
            name = path.relative_to(folder).as_posix()
            try:
                with Image.open(path) as image:
                    whole = plain(image, "L" if channels == 1 else "RGB")
                    sized = (
                        whole
                        if whole.size == (width, height)
                        else ImageOps.fit(whole, (width, height), Resampling.BILINEAR)
                    )
                    found = np.asarray(sized, dtype=np.uint8)
            except Exception:  # Pillow has a dozen ways to say that a file is cut short or damaged
                damaged.append(name)
                continue
            pixels.append(found[None] if channels == 1 else found.transpose(2, 0, 1))
            names.append(name)
        if names and not damaged:
            yield Pictures(names, _unit(np.stack(pixels)), min(1.0, (start + _AT_ONCE) / len(files)))
    if damaged:
        told = [f"{folder.name}/{name} is no image, or damaged" for name in damaged[:_MOST_TOLD]]
        more = [f"and {len(damaged) - _MOST_TOLD} more; nothing was written"] if len(damaged) > _MOST_TOLD else []
        raise InputError("\n".join([*told, *more]), field="input")


def _arrays(path: Path, shape: tuple[int, ...]) -> Iterator[Pictures]:
    try:
        with np.load(path, allow_pickle=False) as loaded:
            names = list(loaded)
            x = loaded["x"] if "x" in names else None
    except Exception as error:  # numpy and zipfile have a dozen ways to say that a file is damaged
        said = "it holds Python objects, which are never loaded" if "pickle" in str(error) else "it is damaged"
        raise InputError(f"{path.name} cannot be read as .npz: {said}", field="input") from error
    if x is None:
        raise InputError(f"{path.name} has no array 'x'; it has {', '.join(names)[:80] or 'none'}", field="x")
    found = _channels_first(x, shape)
    if found is None or x.dtype.kind not in "biuf":
        wanted = "x".join(map(str, shape))
        said = f"{path.name}: x must hold images of {wanted}, got {x.dtype} of shape {x.shape}"
        raise InputError(said[:190], field="x")
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):  # NaN is in no range
        raise InputError(f"{path.name}: x must lie in 0 to 1 or 0 to 255, got {low:g} to {high:g}", field="x")
    scale = np.float32(255 if x.dtype == np.uint8 or high > 1 else 1)
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        rows = [str(start + row) for row in range(len(part))]
        yield Pictures(rows, np.ascontiguousarray(part, dtype=np.float32) / scale, (start + len(part)) / len(found))


def _channels_first(x: Array, shape: tuple[int, ...]) -> Array | None:
    """Return images with their channels first, as training reads them; None if they have another shape."""
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in _CHANNELS and x.shape[3] in _CHANNELS:
        x = x.transpose(0, 3, 1, 2)
    return x if x.ndim == 4 and x.shape[1:] == shape else None


def _unit(pixels: Array) -> Array:
    return pixels.astype(np.float32) / np.float32(255)
