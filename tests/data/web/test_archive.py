from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from search.data.source import FileSource
from search.data.web.archive import unpack
from search.errors import InputError, RefusedError, SweepError
from search.paths import DataFolder

from .servers import file_of, serve

TABLE = "a,b,label\n" + "".join(f"{row},{row % 7},{'yn'[row % 2]}\n" for row in range(60))
NAMES = [
    "../evil",
    "../../evil",
    "a/../../evil",
    "a/../../../../../../../../../../tmp/evil",
    "./../evil",
    "a/./../../evil",
    "..",
    "../",
    "a/..",
    "a/../b",
    "/evil",
    "//evil",
    "///etc/evil",
    "/../evil",
    "..\\evil",
    "a\\..\\..\\evil",
    "\\evil",
    "\\\\host\\share\\evil",
    "C:\\evil",
    "C:/evil",
    "c:evil",
    "a/..\\../evil",
    "..\\/evil",
    "a\nb",
    "a\x1b[31mb",
    "a\u202eb",
    "x" * 300,
    "é" * 150,
    "d/" * 40 + "x",
    "y/" * 20 + "z" * 1000,
]
KINDS = {
    "symlink out": (tarfile.SYMTYPE, "../../evil"),
    "symlink absolute": (tarfile.SYMTYPE, "/etc/passwd"),
    "symlink inside": (tarfile.SYMTYPE, "good.csv"),
    "hard link out": (tarfile.LNKTYPE, "../../evil"),
    "hard link absolute": (tarfile.LNKTYPE, "/etc/passwd"),
    "character device": (tarfile.CHRTYPE, ""),
    "block device": (tarfile.BLKTYPE, ""),
    "pipe": (tarfile.FIFOTYPE, ""),
    "unknown": (b"9", ""),
}


def zipped(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # the constructor would clean it
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def attack(tmp_path: Path, path: Path) -> SweepError:
    """Unpack a hostile archive, and return how it was refused; nothing may have been written."""
    before = everything(tmp_path)
    with pytest.raises((RefusedError, InputError)) as refusal:
        unpack(path, DataFolder(tmp_path / "place"))
    assert everything(tmp_path) - before <= {"place"}
    return refusal.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", [zipped, tarred])
def test_a_member_that_leads_elsewhere_is_refused(tmp_path: Path, write: Callable[..., Path], name: str) -> None:
    path = write(tmp_path / "x.zip", {"good.csv": TABLE.encode(), name: b"evil", "also.csv": b"a\n1\n"})
    refusal = attack(tmp_path, path)
    assert isinstance(refusal, RefusedError)
    assert refusal.message.startswith("x.zip is not unpacked: its member ")
    assert len(refusal.sentence()) <= 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = KINDS[kind]
        archive.addfile(link)
        through = tarfile.TarInfo("link/evil.csv")
        through.size = 4
        archive.addfile(through, io.BytesIO(b"evil"))
    assert "is a link or a device" in attack(tmp_path, tmp_path / "x.tar").message


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_link_or_device_in_a_zip_is_refused(tmp_path: Path, kind: int) -> None:
    path = zipped(tmp_path / "x.zip", {"link": b"/etc/passwd", "a.csv": b"a\n"}, kind | 0o777)
    assert "is a link or a device" in attack(tmp_path, path).message


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {f"{number}.png": b"\0" * (10 << 20) for number in range(3)})
    assert "unpacks to more than 100 times its size" in attack(tmp_path, path).message


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_packed_tar_that_is_a_bomb_is_refused(tmp_path: Path, mode: str) -> None:
    path = tarred(tmp_path / "x.tgz", {"a.png": b"\0" * (30 << 20), "b.png": b""}, mode)
    assert "unpacks to more than 100 times its size" in attack(tmp_path, path).message


def test_a_tar_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    import gzip

    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 200 << 20
    (tmp_path / "x.tgz").write_bytes(gzip.compress(header.tobuf() + b"\0" * (20 << 20), 1))
    assert "larger than any is" in attack(tmp_path, tmp_path / "x.tgz").message


@pytest.mark.parametrize("lie", [0, 5, 1 << 20, (1 << 32) - 2])
def test_a_zip_that_lies_about_a_size_is_refused(tmp_path: Path, lie: int) -> None:
    path = zipped(tmp_path / "x.zip", {"a.csv": TABLE.encode(), "README": b"x"})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", lie)
    path.write_bytes(data)
    attack(tmp_path, path)


@pytest.mark.parametrize("write", [zipped, tarred])
def test_the_same_name_twice_or_a_file_as_a_folder_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    images = {"a/1.png": b"1", "a/./1.png": b"2"}
    assert "twice" in attack(tmp_path, write(tmp_path / "x.zip", images)).message
    images = {"a/1.png": b"1", "a/1.png/2.png": b"2"}
    assert "twice" in attack(tmp_path, write(tmp_path / "y.zip", images)).message


def test_a_damaged_archive_is_one_sentence_wherever_it_was_hit(tmp_path: Path) -> None:
    members = {f"part-{number}.csv": os.urandom(50) for number in range(4)}
    sentences: list[str] = []
    for path in (
        zipped(tmp_path / "x.zip", members),
        tarred(tmp_path / "x.tgz", members),
        tarred(tmp_path / "x.tar", members, "w"),
    ):
        whole = path.read_bytes()
        for at in range(0, min(len(whole), 1200), 23):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
            try:
                unpack(path, DataFolder(tmp_path / "place"))
            except SweepError as error:
                sentences.append(error.sentence())
        for length in range(0, len(whole), max(1, len(whole) // 20)):
            path.write_bytes(whole[:length])
            try:
                unpack(path, DataFolder(tmp_path / "place"))
            except SweepError as error:
                sentences.append(error.sentence())
    assert len(sentences) > 50
    assert max(map(len, sentences)) <= 200
    assert everything(tmp_path) - everything(tmp_path / "place") <= {
        "x.zip", "x.tgz", "x.tar", "place", *(f"place/{name}" for name in everything(tmp_path / "place")),
    }  # fmt: skip


def test_a_locked_zip_is_told(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.csv": b"a\n1\n", "README": b"x"})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark) + offset
        data[at] |= 1
    path.write_bytes(data)
    assert "locked with a password" in attack(tmp_path, path).message


def images(count: int = 12) -> dict[str, bytes]:
    made = {}
    for number in range(count):
        for shade, name in ((30, "dark"), (220, "light")):
            buffer = io.BytesIO()
            Image.fromarray(np.full((6, 6), shade + number, dtype=np.uint8)).save(buffer, "PNG")
            made[f"{name}/{number}.png"] = buffer.getvalue()
    return made


@pytest.mark.parametrize("top", ["", "shapes/", "deep/down/"])
@pytest.mark.parametrize("write", [zipped, tarred])
def test_an_archive_of_images_is_a_data_set(tmp_path: Path, write: Callable[..., Path], top: str) -> None:
    extras = {"__MACOSX/._x": b"", f"{top}.DS_Store": b"", f"{top}README.txt": b"words"}
    path = write(tmp_path / "x.tar.gz", {**extras, **{top + name: content for name, content in images().items()}})
    dataset = FileSource("x.tar.gz", None, tmp_path, results=tmp_path / "results").images("sklearn:digits")
    assert dataset.classes == ("dark", "light")
    assert len(dataset.target) == 24
    with serve(**{"x.zip": file_of(path.read_bytes())}) as server:
        source = FileSource(f"{server.url}/x.zip", None, tmp_path, results=tmp_path / "results")
        assert len(source.images("sklearn:digits").target) == 24
    assert source.pinned is not None
    again = FileSource(source.pinned, None, tmp_path, results=tmp_path / "results")  # the server is gone
    assert len(again.images("sklearn:digits").target) == 24


@pytest.mark.parametrize(
    "members",
    [
        {"t.csv": TABLE.encode()},
        {"t.csv": TABLE.encode(), "README.md": b"words", "LICENSE": b"words"},
        {"deep/down/t.csv": TABLE.encode(), "logo.png": b"no image"},
        {"iris.data": TABLE.encode(), "Index": b"words"},
        {"t/part-0.csv": TABLE.encode(), "t/part-1.csv": TABLE.encode(), "t/_SUCCESS": b""},
    ],
)
def test_an_archive_with_one_table_is_a_data_set(tmp_path: Path, members: dict[str, bytes]) -> None:
    zipped(tmp_path / "x.zip", members)
    source = FileSource("x.zip", "label", tmp_path, results=tmp_path / "results")
    assert len(source.table("sklearn:wine").target) == (120 if "t/part-0.csv" in members else 60)
    assert source.pinned == str(tmp_path / "x.zip")


def test_several_tables_are_listed(tmp_path: Path) -> None:
    zipped(tmp_path / "x.zip", {"train.csv": TABLE.encode(), "test.csv": TABLE.encode()})
    with pytest.raises(InputError, match=r"x\.zip is an archive with 2 tables \(train\.csv, test\.csv\); unpack it"):
        FileSource("x.zip", "label", tmp_path, results=tmp_path / "results").table("sklearn:wine")


def test_an_archive_of_neither_says_what_it_has(tmp_path: Path) -> None:
    zipped(tmp_path / "x.zip", {"a.exe": b"x", "b.exe": b"y"})
    with pytest.raises(InputError, match=r"without a table or images; it has a\.exe, b\.exe"):
        FileSource("x.zip", "label", tmp_path, results=tmp_path / "results").table("sklearn:wine")


def test_files_that_are_zips_underneath_are_read_as_they_are(tmp_path: Path) -> None:
    pd.read_csv(io.StringIO(TABLE)).to_excel(tmp_path / "x.xlsx", index=False)
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2, 2)), y=np.zeros(3))
    for name in ("x.xlsx", "x.npz"):
        path = tmp_path / name
        assert unpack(path, DataFolder(tmp_path / "place")) == path
    assert not (tmp_path / "place").exists()


def test_the_same_archive_is_unpacked_once_and_another_beside_it(tmp_path: Path) -> None:
    place = DataFolder(tmp_path / "place")
    path = zipped(tmp_path / "x.zip", images())
    first = unpack(path, place)
    begun = first.stat().st_mtime_ns
    assert unpack(path, place) == first
    assert first.stat().st_mtime_ns == begun
    zipped(path, images(13))
    assert unpack(path, place) != first
    assert first.exists()


def test_a_member_with_holes_is_refused(tmp_path: Path) -> None:
    """It would take nothing in the archive, and all of the disk."""
    info = tarfile.TarInfo("a.csv")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = header[483:495] = f"{1 << 32:011o}\0".encode()  # where the only piece is, and the size of all
    header[398:410] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "x.tar").write_bytes(bytes(header) + b"\0" * 1024)
    assert "has holes" in attack(tmp_path, tmp_path / "x.tar").message
