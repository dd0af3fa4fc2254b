from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.contract import Dataset, Task
from search.data.source import FileSource
from search.errors import InputError

from .files import write_images

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def images(path: Path, options: str = "") -> Dataset:
    return FileSource(path.name + options, None, path.parent).images("sklearn:digits")


def features(dataset: Dataset) -> Array:
    assert isinstance(dataset.features, np.ndarray)
    return dataset.features


def test_a_folder_of_grey_images_has_one_channel_and_keeps_its_pixels(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "shapes", classes=3)
    dataset = images(folder)
    assert features(dataset).shape == (36, 1, 5, 6)
    assert features(dataset).dtype == np.uint8
    assert (dataset.task, dataset.classes) == (Task.MULTICLASS, ("class0", "class1", "class2"))
    assert dataset.target.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    with Image.open(folder / "class1" / "003.png") as image:
        assert np.array_equal(features(dataset)[15, 0], np.asarray(image))


def test_one_coloured_image_makes_three_channels(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "shapes")
    Image.new("RGBA", (6, 5), (10, 20, 30, 40)).save(folder / "class0" / "000.png")
    dataset = images(folder)
    assert features(dataset).shape == (24, 3, 5, 6)
    assert features(dataset)[0, :, 0, 0].tolist() == [10, 20, 30]


def test_images_of_different_sizes_are_brought_to_one(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "shapes")
    wide = np.zeros((20, 60), dtype=np.uint8)
    wide[:, 20:40] = 200  # the middle that is kept
    Image.fromarray(wide).save(folder / "class1" / "004.png")
    with pytest.raises(InputError) as refusal:
        images(folder)
    assert refusal.value.sentence() == (
        "shapes/class1/004.png is 60x20 pixels where shapes/class0/000.png is 6x5; "
        "bring all to one size, as shapes?size=32 does"
    )
    dataset = images(folder, "?size=10")
    assert features(dataset).shape == (24, 1, 10, 10)
    assert features(dataset).dtype == np.uint8
    assert (features(dataset)[16, :, :, 1:-1] == 200).all()  # at the edges a pixel is mixed with its neighbours


@pytest.mark.parametrize("size", ["0", "-1", "many", "4097", "9" * 5000, "²"])
def test_a_size_is_a_number_of_pixels(tmp_path: Path, size: str) -> None:
    folder = write_images(tmp_path / "shapes")
    with pytest.raises(InputError, match="size is the pixels of a side, 1 to 4096, got"):
        images(folder, f"?size={size}")


def test_arrays_take_no_size(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=GREY, y=LABELS)
    with pytest.raises(InputError, match=r"x\.npz takes no size=: its images are of one size"):
        images(tmp_path / "x.npz", "?size=8")


def test_jpeg_counts_and_other_and_hidden_files_do_not(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "shapes")
    Image.new("L", (6, 5)).save(folder / "class0" / "more.JPG")
    (folder / "class0" / "notes.txt").write_text("x")
    (folder / "class0" / ".hidden.png").write_text("x")
    (folder / ".git").mkdir()
    (folder / "empty").mkdir()
    assert len(images(folder).target) == 25


def spoil_size(folder: Path) -> None:
    Image.new("L", (7, 5)).save(folder / "class1" / "004.png")


def spoil_bytes(folder: Path) -> None:
    (folder / "class1" / "004.png").write_bytes(b"no image")


def spoil_end(folder: Path) -> None:
    path = folder / "class1" / "004.png"
    path.write_bytes(path.read_bytes()[:-30])


def spoil_depth(folder: Path) -> None:
    Image.fromarray(np.zeros((5, 6), dtype=np.float32)).save(folder / "class1" / "004.png", "TIFF")


def spoil_classes(folder: Path) -> None:
    for path in (folder / "class1").iterdir():
        path.unlink()


def spoil_all(folder: Path) -> None:
    spoil_classes(folder)
    (folder / "class0").rename(folder / "class1" / "deeper")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_size, "shapes/class1/004.png is 7x5 pixels where shapes/class0/000.png is 6x5"),
        (spoil_bytes, "shapes/class1/004.png is no image, or damaged"),
        (spoil_end, "shapes/class1/004.png is no image, or damaged"),
        (spoil_depth, "shapes/class1/004.png has pixels of more than 16 bits"),
        (spoil_classes, r"shapes has one class \('class0', 12 images\); a classifier needs two"),
        (spoil_all, r"shapes has no images of the form class/\*.png; it has class1"),
    ],
)
def test_a_wrong_image_is_named(tmp_path: Path, spoil: object, sentence: str) -> None:
    folder = write_images(tmp_path / "shapes")
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(InputError, match=sentence):
        images(folder)


def test_without_pillow_the_extra_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "shapes")
    check = (
        "import sys; sys.modules['PIL'] = None\n"  # what the import system does with a package that is not there
        "from pathlib import Path; from search.data.source import FileSource\n"
        "from search.errors import SurroundingsError\n"
        "try: FileSource(sys.argv[1], None, Path()).images('')\n"
        "except SurroundingsError as error: print(error.sentence())"
    )
    done = subprocess.run([sys.executable, "-c", check, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "a folder of images needs Pillow, which is not installed; pip install 'sweep-search[images]'"
    )


RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (30, 5, 6), dtype=np.uint8)
LABELS = np.arange(30) % 3

FORMS: dict[str, tuple[Array, tuple[int, ...], type]] = {
    "grey bytes": (GREY, (30, 1, 5, 6), np.uint8),
    "a channel axis": (GREY[:, None], (30, 1, 5, 6), np.uint8),
    "channels last": (np.repeat(GREY[..., None], 3, axis=3), (30, 3, 5, 6), np.uint8),
    "floats to 1": (GREY / 255, (30, 1, 5, 6), np.float32),
    "floats to 255": (GREY.astype(np.float64), (30, 1, 5, 6), np.float32),
    "whole numbers": (GREY.astype(np.int64), (30, 1, 5, 6), np.uint8),
    "truth values": (GREY > 100, (30, 1, 5, 6), np.float32),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_become_pixels_channels_first(tmp_path: Path, form: str) -> None:
    x, shape, kind = FORMS[form]
    np.savez(tmp_path / "x.npz", x=x, y=LABELS)
    dataset = images(tmp_path / "x.npz")
    assert features(dataset).shape == shape
    assert features(dataset).dtype == kind
    assert features(dataset).max() <= (255 if kind is np.uint8 else 1)
    assert (dataset.task, dataset.classes) == (Task.MULTICLASS, ("0", "1", "2"))


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (np.array(["cat", "dog"] * 15), Task.BINARY, ("cat", "dog")),
        ((np.arange(30) % 2 == 0)[:, None], Task.BINARY, ("0", "1")),
        (np.arange(30) + 0.5, Task.REGRESSION, ()),
    ],
)
def test_labels_make_the_task(tmp_path: Path, labels: Array, task: Task, classes: tuple[str, ...]) -> None:
    np.savez(tmp_path / "x.npz", x=GREY, y=labels)
    dataset = images(tmp_path / "x.npz")
    assert (dataset.task, dataset.classes) == (task, classes)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": GREY}, "x.npz has no array 'y'; it has x"),
        ({"images": GREY, "labels": LABELS}, "x.npz has no array 'x'; it has images, labels"),
        ({"x": GREY, "y": LABELS[:-1]}, r"x.npz: y must be \(30,\), one label for each image, got \(29,\)"),
        ({"x": GREY.reshape(30, -1), "y": LABELS}, r"x.npz: x must be .*, got \(30, 30\)"),
        ({"x": GREY - 300.0, "y": LABELS}, "x.npz: x must lie in 0 to 1 or 0 to 255, got -300 to"),
        ({"x": np.where(GREY > 250, np.nan, 0.5), "y": LABELS}, "x.npz: x must lie in 0 to 1 or 0 to 255, got nan"),
        ({"x": GREY.astype(str), "y": LABELS}, "x.npz: x must hold numbers, got <U3"),
        ({"x": GREY, "y": np.where(LABELS == 1, np.nan, LABELS)}, "x.npz: y has no finite value in row 2"),
        ({"x": GREY, "y": LABELS * 0}, "target 'y' has one value"),
        (
            {"x": GREY, "y": np.array([{}] * 30)},
            "x.npz cannot be read as .npz: it holds Python objects, which are never",
        ),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, arrays: dict[str, Array], sentence: str) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=True, **arrays)
    with pytest.raises(InputError, match=sentence):
        images(tmp_path / "x.npz")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 no zip"])
def test_a_damaged_file_of_arrays_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npz cannot be read as \.npz"):
        images(tmp_path / "x.npz")


def test_one_array_without_a_name_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "x.npz").open("wb") as file:
        np.save(file, GREY)
    with pytest.raises(InputError, match=r"x\.npz has no array 'x'; it has none"):
        images(tmp_path / "x.npz")


def test_a_file_of_arrays_cut_anywhere_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", x=GREY, y=LABELS)
    whole = (tmp_path / "whole.npz").read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "x.npz").write_bytes(whole[:length])
        with pytest.raises(InputError):
            images(tmp_path / "x.npz")


def test_bytes_flipped_in_a_file_of_arrays_never_raise_anything_else(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", x=GREY, y=LABELS)
    whole = bytearray((tmp_path / "whole.npz").read_bytes())
    for position in range(0, len(whole), 11):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        (tmp_path / "x.npz").write_bytes(broken)
        with suppress(InputError):
            images(tmp_path / "x.npz")


def test_a_list_that_leaves_something_out_says_so(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / "shapes" / f"c{number}").mkdir(parents=True)
    with pytest.raises(InputError, match=r"it has c0, c1, c2, c3, c4, c5, c6, c7, \.\.\.$"):
        FileSource("shapes", None, tmp_path).images("")
