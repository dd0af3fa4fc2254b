from __future__ import annotations

import bz2
import datetime
import gzip
import io
import json
import lzma
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from search.contract import Dataset, Task
from search.data.formats import read_table
from search.data.reference import Reference
from search.data.source import FileSource
from search.errors import InputError, SweepError

from .files import csv, load, mixed_table, write, write_excel


def good(number: int) -> str:
    return f"{number},{'ab'[number % 2]}"


def table(dataset: Dataset) -> pd.DataFrame:
    assert isinstance(dataset.features, pd.DataFrame)
    return dataset.features


def same(one: Dataset, other: Dataset) -> None:
    pd.testing.assert_frame_equal(table(one), table(other))
    assert (one.task, one.classes, one.target.tolist()) == (other.task, other.classes, other.target.tolist())


def as_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def as_json_lines(frame: pd.DataFrame) -> bytes:
    return frame.to_json(orient="records", lines=True).encode()


def as_json_array(frame: pd.DataFrame) -> bytes:
    return b"\n " + json.dumps(json.loads(frame.to_json(orient="records")), indent=2).encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False) or b""


def as_feather(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_feather(buffer)
    return buffer.getvalue()


def as_arrow_stream(frame: pd.DataFrame) -> bytes:
    whole = pa.Table.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    return bytes(sink.getvalue().to_pybytes())


def as_excel(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_excel(buffer, index=False)
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        archive.writestr("folder/x.csv", content)
        archive.writestr("__MACOSX/folder/._x.csv", b"\0")
    return buffer.getvalue()


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(content)
    return bytes(sink.getvalue().to_pybytes())


FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": as_csv,
    "jsonl": as_json_lines,
    "json": as_json_array,
    "parquet": as_parquet,
    "feather": as_feather,
    "arrows": as_arrow_stream,
    "xlsx": as_excel,
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard,
    "zip": zipped,
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_table_under_any_name(tmp_path: Path, suffix: str) -> None:
    known = load(write(tmp_path, as_csv(mixed_table()), "known.csv"), "label")
    content = FORMATS[suffix](mixed_table())
    for name in (f"x.{suffix}", "x.csv", "x"):
        same(load(write(tmp_path, content, name), "label"), known)


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_packed_file_is_read_as_what_is_in_it(tmp_path: Path, suffix: str, packing: str) -> None:
    known = load(write(tmp_path, as_csv(mixed_table()), "known.csv"), "label")
    content = PACKED[packing](FORMATS[suffix](mixed_table()))
    same(load(write(tmp_path, content, f"x.{suffix}.{packing}"), "label"), known)


@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_file_cut_or_damaged_anywhere_is_told_in_one_sentence(tmp_path: Path, packing: str) -> None:
    whole = PACKED[packing](csv("a,y", good).encode())
    known = load(write(tmp_path, whole))
    for position in range(6, len(whole), 7):
        with pytest.raises(InputError) as refusal:
            load(write(tmp_path, whole[:position]))
        check_sentence(refusal.value)
        flipped = bytearray(whole)
        flipped[position] ^= 0x10
        try:
            dataset = load(write(tmp_path, bytes(flipped)))
        except InputError as error:
            check_sentence(error)
        else:  # some bytes are names and times, and zstandard has no checksum by default
            assert packing == "zst" or table(dataset).equals(table(known))


def check_sentence(error: SweepError) -> None:
    sentence = error.sentence()
    assert sentence
    assert len(sentence) <= 300
    assert len(sentence.splitlines()) == 1


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def locked() -> bytes:
    content = bytearray(zip_of({"x.csv": b"a,y\n"}))
    content[6] |= 1  # what says so, in the entry and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


OTHERS: dict[str, tuple[bytes, str]] = {
    "old Feather": (b"FEA1....", "x.csv is a Feather file of version 1; save it as Feather 2 or Parquet"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "x.csv is an HDF5 file; save the table as Parquet"),
    "pickle": (b"\x80\x04\x95\0\0", "x.csv is a Python pickle, which is never loaded; save the table as Parquet"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1", "x.csv is an old Excel file; save it as .xlsx or CSV"),
    "SQLite": (b"SQLite format 3\0", "x.csv is an SQLite database; name it as sql:sqlite:///FILE?query=..."),
    "PDF": (b"%PDF-1.7", "x.csv is a PDF document; export the table as CSV"),
    "picture": (b"\x89PNG\r\n\x1a\n", "x.csv is an image; images are a folder class/*.png"),
    "executable": (b"\x7fELF\x02\x01", "x.csv is an executable, not a table"),
    "executable of Windows": (b"MZ\x90\0\x03", "x.csv is an executable, not a table"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "x.csv is a pointer of Git LFS, not the file itself; try git lfs pull",
    ),
    "XML": (b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "x.csv is an XML document; export the table as CSV"),
    "HTML in gzip": (
        gzip.compress(b"<html>"),
        "x.csv is an HTML page, not a table; was an error page downloaded?",
    ),
    "tar": (b"x" * 257 + b"ustar\0", "x.csv is a tar archive; unpack it first"),
    "packed twice": (gzip.compress(gzip.compress(b"a,y\n")), "x.csv is packed twice; unpack it first"),
    "several files": (
        zip_of({"a.csv": b"a", "b.csv": b"b", "c.csv": b"c", "d.csv": b"d"}),
        "x.csv is a ZIP with 4 files (a.csv, b.csv, c.csv, ...); unpack it and name one",
    ),
    "an empty ZIP": (b"PK\x05\x06" + b"\0" * 18, "x.csv: line 1 has a zero byte"),
    "Word": (zip_of({"word/document.xml": b""}), "x.csv is a file of Word; save the table as .xlsx or CSV"),
    "a locked ZIP": (locked(), "x.csv is locked with a password; unpack it first"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_table_is_named(tmp_path: Path, case: str) -> None:
    content, sentence = OTHERS[case]
    with pytest.raises(InputError) as refusal:
        load(write(tmp_path, content))
    assert refusal.value.sentence().startswith(sentence)
    check_sentence(refusal.value)


def test_a_file_that_unpacks_to_far_more_than_a_table_does_is_refused_early(tmp_path: Path) -> None:
    zeros = gzip.compress(b"0" * 2**24, 9)
    path = write(tmp_path, zeros * 33)  # members one after the other: more than 512 MB in half of one
    with pytest.raises(InputError, match=r"x\.csv unpacks to more than 200 times its size, which no table does"):
        load(path)


def test_nested_objects_become_columns_and_lists_become_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"user": {"age": number, "home": {"city": "ab"[number % 2]}}, "tags": [1, "ü"], "y": number % 2 == 0}
        for number in range(40)
    ]
    rows[3] = {"y": True, "user": {}, "late": None}
    rows[4]["user"] = "gone"
    dataset = load(write(tmp_path, "\n".join(map(json.dumps, rows)), "x.jsonl"))
    features = table(dataset)
    assert list(features.columns) == ["user.age", "user.home.city", "tags", "late", "user"]
    assert features["user.age"].tolist()[5:] == list(range(5, 40))
    assert np.flatnonzero(features["user.age"].isna()).tolist() == [3, 4]
    assert features["tags"].iloc[0] == '[1, "ü"]'
    assert features["user"].dropna().tolist() == ["gone"]
    assert (dataset.task, dataset.classes) == (Task.BINARY, ("0", "1"))


CELLS: dict[str, tuple[list[Any], list[Any]]] = {
    "whole numbers and gaps": ([1, None] * 20, [1.0, np.nan] * 20),
    "truth values": ([True, False] * 20, [1.0, 0.0] * 20),
    "truth values and numbers": ([True, 2] * 20, [1.0, 2.0] * 20),
    "numbers and text": ([1, "two"] * 20, ["1", "two"] * 20),
    "beyond 64 bits": ([2**70, 1] * 20, [2.0**70, 1.0] * 20),
    "beyond a float": ([10**400, 1] * 20, [np.nan, 1.0] * 20),
    "half a character": (["\ud83d", "b"] * 20, ["\N{REPLACEMENT CHARACTER}", "b"] * 20),
    "a whole character": (["\N{GRINNING FACE}", "b"] * 20, ["\N{GRINNING FACE}", "b"] * 20),
    "text that looks like a date": (["2024-01-31", "b"] * 20, ["2024-01-31", "b"] * 20),
    "text that looks missing": (["NA", "b"] * 20, ["NA", "b"] * 20),
    "nothing": ([None] * 40, [np.nan] * 40),
}


@pytest.mark.parametrize("case", CELLS)
def test_a_value_of_json_becomes_a_number_or_text(tmp_path: Path, case: str) -> None:
    cells, expected = CELLS[case]
    lines = [json.dumps({"a": cell, "y": number % 2}) for number, cell in enumerate(cells)]
    column = table(load(write(tmp_path, "\n\n".join(lines), "x.jsonl")))["a"]
    pd.testing.assert_series_equal(column, pd.Series(expected, dtype=column.dtype), check_names=False)


def test_a_long_file_of_json_lines_reads_alike_whatever_comes_late_in_it(tmp_path: Path) -> None:
    rows = 45_000  # more than two chunks
    late: dict[int, dict[str, object]] = {0: {"late": 1}, 44_000: {"late": "text"}, 44_999: {"last": 0.5}}
    text = "\n".join(json.dumps({"a": number, "y": number % 2} | late.get(number, {})) for number in range(rows))
    features = table(load(write(tmp_path, text, "x.jsonl")))
    assert features["a"].tolist() == list(range(rows))
    assert features["late"].dropna().to_dict() == {0: "1", 44_000: "text"}
    assert features["last"].dropna().to_dict() == {44_999: 0.5}


BAD_JSON: dict[str, tuple[str, str]] = {
    "empty": ("", "x.jsonl is empty; training needs at least 20 rows"),
    "an empty array": (" []", "x.jsonl is empty; training needs at least 20 rows"),
    "a line cut short": (
        '{"a": 1}\n{"a": \n',
        "x.jsonl line 2: not JSON (Expecting value: line 2 column 1 (char 7)); a table has one object a line, or is an",
    ),
    "a list a line": ("[1, 2]\n[3, 4]\n", "x.jsonl line 1 is a list; each row of a table is an object"),
    "a number a line": ("1\n2\n", "x.jsonl line 1 is a number; each row of a table is an object"),
    "an array of more than objects": (
        '[{"a": 1}, null]',
        "x.jsonl entry 2 is null; each row of a table is an object",
    ),
    "two meanings": ('{"a.b": 1, "a": {"b": 2}}\n', "x.jsonl line 1: 'a.b' appears twice, once with a dot"),
    "two names alike": ('{"a": 1, " a": 2, "y": 3}\n', "x.jsonl: column 'a' appears twice (1, 2)"),
    "nested without end": ('{"a":' * 10**5, "x.jsonl line 1: nested too deep for a table"),
    "a number without end": ('{"a": ' + "9" * 5000 + "}", "x.jsonl line 1: not JSON (a number is too long)"),
    "names that are values": (
        "\n".join(json.dumps({f"id{line}-{number}": 1 for number in range(1000)}) for line in range(21)),
        "x.jsonl line 21: more than 20000 different names; are they values of a column?",
    ),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_refused_by_its_line(tmp_path: Path, case: str) -> None:
    text, sentence = BAD_JSON[case]
    with pytest.raises(InputError) as refusal:
        load(write(tmp_path, text, "x.jsonl"))
    assert refusal.value.sentence().startswith(sentence)
    check_sentence(refusal.value)


def test_json_lines_can_be_in_another_encoding(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"a": "ö", "y": number % 2}, ensure_ascii=False) for number in range(40))
    for encoding, options in (("latin-1", "?encoding=latin-1"), ("utf-16", ""), ("utf-8-sig", "")):
        assert table(load(write(tmp_path, lines.encode(encoding), "x.jsonl"), options=options))["a"][0] == "ö"


def test_a_sheet_of_excel_is_chosen_where_there_are_several(tmp_path: Path) -> None:
    rows = [("a", "y"), *((number, "ab"[number % 2]) for number in range(40))]
    path = write_excel(tmp_path / "x.xlsx", {"Notes": [], "Data & more": rows})
    assert table(load(path))["a"].tolist() == list(range(40))  # the only one with cells
    path = write_excel(tmp_path / "x.xlsx", {"Notes": [("by me",)], "Data & more": rows})
    with pytest.raises(InputError, match=r"x\.xlsx has 2 sheets \(Notes, Data & more\); choose one, as in x\.xlsx\?sh"):
        load(path)
    assert load(path, options="?sheet=Data+%26+more").classes == ("a", "b")
    with pytest.raises(InputError, match=r"x\.xlsx has no sheet 'Date'") as refusal:
        load(path, options="?sheet=Date")
    assert refusal.value.hint == "known: Data & more, Notes"


def test_cells_of_excel_become_numbers_text_and_missing_values(tmp_path: Path) -> None:
    columns: dict[str, tuple[list[Any], list[Any]]] = {
        "gaps": ([1, None] * 20, [1.0, np.nan] * 20),
        "errors": ([2.5, "#DIV/0!"] * 20, [2.5, np.nan] * 20),
        "truth": ([True, False] * 20, [1.0, 0.0] * 20),
        "as text": (["1.5", " 2 "] * 20, [1.5, 2.0] * 20),
        "mixed": ([1, "two"] * 20, ["1", "two"] * 20),
        "marks": (["?", "b", "NA", "b"] * 10, [np.nan, "b", np.nan, "b"] * 10),
        "day": ([datetime.datetime(2024, 1, 31, 12, 30)] * 40, ["2024-01-31T12:30:00"] * 40),
    }
    cells = [[values[number] for values, _ in columns.values()] + ["ab"[number % 2]] for number in range(40)]
    rows = [(), (None, *columns, "y"), (), *((None, *row) for row in cells), (None, "")]  # blank ones around them
    features = table(load(write_excel(tmp_path / "x.xlsx", {"Sheet": rows})))
    assert list(features.columns) == list(columns)
    for name, (_, expected) in columns.items():
        pd.testing.assert_series_equal(
            features[name], pd.Series(expected, dtype=features[name].dtype), check_names=False
        )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "x.xlsx is empty; training needs at least 20 rows"),
        ([("a", "y")], "x.xlsx has a header and 0 rows; training needs at least 20"),
        ([("y", "y"), (1, 2)], "x.xlsx: column 'y' appears twice (1, 2)"),
    ],
)
def test_a_sheet_that_cannot_be_learned_from_is_refused(
    tmp_path: Path, rows: list[tuple[object, ...]], sentence: str
) -> None:
    with pytest.raises(InputError) as refusal:
        load(write_excel(tmp_path / "x.xlsx", {"Sheet": rows}))
    assert refusal.value.sentence() == sentence


def test_bytes_flipped_in_an_excel_file_never_raise_anything_else(tmp_path: Path) -> None:
    whole = write_excel(tmp_path / "x.xlsx", {"Sheet": [("a", "y"), *[(1, 2)] * 3]}).read_bytes()
    for position in range(0, len(whole), 41):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        with pytest.raises(InputError) as refusal:
            load(write(tmp_path, bytes(broken), "x.xlsx"))
        check_sentence(refusal.value)


def test_without_openpyxl_the_extra_is_named(tmp_path: Path) -> None:
    path = write_excel(tmp_path / "x.xlsx", {"Sheet": [("a", "y")]})
    check = (
        "import sys; sys.modules['openpyxl'] = None\n"  # what the import system does with a package that is not there
        "from pathlib import Path; from search.data.source import FileSource\n"
        "from search.errors import SurroundingsError\n"
        "try: FileSource(sys.argv[1], None, Path()).table('')\n"
        "except SurroundingsError as error: print(error.sentence())"
    )
    done = subprocess.run([sys.executable, "-c", check, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "an Excel file needs openpyxl, which is not installed; pip install 'sweep-search[excel]'"
    )


@pytest.mark.parametrize(
    ("suffix", "names"),
    [
        ("csv", ["part-00000-a.csv", "part-00001-a.csv", "part-00002-a.csv"]),
        ("parquet", ["part.2.parquet", "part.10.parquet", "part.²1.parquet"]),
        ("jsonl", ["1.jsonl", "2.jsonl", "3.jsonl"]),
        ("feather", ["a.feather", "b.feather", "c.feather"]),
        ("csv.gz", ["a.csv.gz", "b.csv.gz", "c.csv.gz"]),
    ],
)
def test_a_folder_of_parts_is_the_table_that_was_split(tmp_path: Path, suffix: str, names: list[str]) -> None:
    frame = mixed_table(120)
    frame.loc[frame.index[:40], "age"] = 7  # whole numbers in one part alone
    known = load(write(tmp_path, as_csv(frame), "known.csv"), "label")
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, start in zip(names, (0, 40, 80), strict=True):
        content = FORMATS[suffix.removesuffix(".gz")](frame.iloc[start : start + 40])
        write(folder, gzip.compress(content) if suffix.endswith("gz") else content, name)
    for name in ("_SUCCESS", ".part-00000-a.csv.crc", "_metadata"):
        write(folder, b"\0", name)
    same(load(folder, "label"), known)


def test_parts_of_csv_are_read_as_one_file_would_be(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder, csv('"a\nb",y', lambda n: f"0{n},1"), "1.csv")
    write(folder, b"", "2.csv")
    write(folder, '"a\nb",y\r\n', "3.csv")  # Spark writes parts without rows
    write(folder, csv('"a\nb",y', lambda n: f"x{n},2").strip(), "4.csv")
    features = table(load(folder))
    assert features["a\nb"].tolist() == [f"0{number}" for number in range(40)] + [f"x{number}" for number in range(40)]


def text_part(folder: Path) -> None:
    write(folder, as_json_lines(mixed_table()), "2.jsonl")


def other_header(folder: Path) -> None:
    write(folder, as_csv(mixed_table().rename(columns={"age": "years"})), "2.csv")


def ragged(folder: Path) -> None:
    write(folder, as_csv(mixed_table()) + b"1,2,3,4\n", "2.csv")


def nested(folder: Path) -> None:
    (folder / "year=2024").mkdir()


def pictures(folder: Path) -> None:
    Image.new("L", (3, 3)).save(folder / "2.png")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            text_part,
            "parts holds 1.csv, which is CSV, and 2.jsonl, which is JSON; the parts of a table are of one kind",
        ),
        (other_header, "2.csv has another header than 1.csv; parts have equal columns"),
        (ragged, "2.csv line 102 has 4 fields where the header has 3"),
        (nested, "parts is a folder of folders (year=2024)"),
        (pictures, "2.png is an image; images are a folder class/*.png"),
    ],
)
def test_parts_that_do_not_make_a_table_are_refused(
    tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder, as_csv(mixed_table()), "1.csv")
    spoil(folder)
    with pytest.raises(InputError) as refusal:
        load(folder, "label")
    assert refusal.value.sentence().startswith(sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"age": "years"}, "2.parquet has other columns than 1.parquet; parts have equal columns"),
        ({}, "the parts of parts have columns of different types: "),
    ],
)
def test_parts_of_parquet_have_equal_columns(tmp_path: Path, change: dict[str, str], sentence: str) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    mixed_table().to_parquet(folder / "1.parquet")
    mixed_table().astype({"age": str}).rename(columns=change).to_parquet(folder / "2.parquet")
    with pytest.raises(InputError) as refusal:
        load(folder, "label")
    assert refusal.value.sentence().startswith(sentence)
    check_sentence(refusal.value)


@pytest.mark.parametrize(
    ("suffix", "options", "sentence"),
    [
        ("parquet", "encoding=latin-1", "x.parquet is Parquet, which takes no encoding="),
        ("feather", "encoding=latin-1", "x.feather is Feather, which takes no encoding="),
        ("xlsx", "encoding=latin-1", "x.xlsx is Excel, which takes no encoding="),
        ("csv", "sheet=A", "x.csv is CSV, which takes no sheet="),
        ("jsonl", "sheet=A", "x.jsonl is JSON, which takes no sheet="),
        ("csv", "query=SELECT+1", "x.csv takes no query=; "),
    ],
)
def test_an_option_that_does_not_fit_the_format_is_refused(
    tmp_path: Path, suffix: str, options: str, sentence: str
) -> None:
    path = write(tmp_path, FORMATS[suffix](mixed_table()), f"x.{suffix}")
    with pytest.raises(InputError) as refusal:
        load(path, "label", options="?" + options)
    assert refusal.value.sentence().startswith(sentence)


def test_a_fetched_file_is_called_by_the_name_it_was_fetched_by(tmp_path: Path) -> None:
    path = write(tmp_path, "a,y\n1,2,3\n", f"{'0a' * 32}.csv")
    for name, shown in (("train.csv", "train.csv"), ("train", "train.csv")):
        url = f"https://example.org/{name}"
        with pytest.raises(InputError, match=f"^{shown} line 2 has 3 fields where the header has 2"):
            read_table(path, Reference(url, "https", url))


def test_structs_of_parquet_become_columns_with_a_dot(tmp_path: Path) -> None:
    rows = [{"a": {"b": number, "c": {"d": "x"}}, "y": number % 2} for number in range(40)]
    pd.DataFrame(rows).to_parquet(tmp_path / "x.parquet")
    assert list(table(load(tmp_path / "x.parquet")).columns) == ["a.b", "a.c.d"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pd.date_range("2024-01-31", periods=40, freq="s"), "2024-01-31T00:00:01"),
        (pd.date_range("2024-01-31", periods=40, freq="ms"), "2024-01-31T00:00:00.001000"),
        (pd.date_range("2024-01-31", periods=40, freq="s", tz="Europe/Berlin"), "2024-01-31T00:00:01+01:00"),
        (pd.Series([datetime.date(2024, 1, 31)] * 40), "2024-01-31"),
    ],
)
def test_dates_are_iso_text(tmp_path: Path, values: Any, text: str) -> None:
    frame = pd.DataFrame({"when": values, "y": [0, 1] * 20})
    frame.loc[5, "when"] = None
    frame.to_parquet(tmp_path / "x.parquet")
    column = table(load(tmp_path / "x.parquet"))["when"]
    assert column[1] == text
    assert np.flatnonzero(column.isna()).tolist() == [5]


def test_a_source_of_any_format_travels_by_its_absolute_reference(tmp_path: Path) -> None:
    path = write_excel(tmp_path / "x.xlsx", {"A": [("by me",)], "B": [("a", "y"), *[(1, 2), (3, 4)] * 20]})
    source = FileSource("x.xlsx?sheet=B", "y", path.parent)
    known = source.table("")
    assert source.pinned is not None
    same(FileSource(source.pinned, "y", Path("/")).table(""), known)


def test_a_sheet_is_as_wide_as_its_cells_whatever_the_file_claims(tmp_path: Path) -> None:
    path = write_excel(tmp_path / "x.xlsx", {"Sheet": [("a", "y"), *[(row, row % 2) for row in range(40)]]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    sheet = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', members[name])
    far = b'<row r="60000"><c r="A60000"><v>1</v></c><c r="B60000"><v>1</v></c></row></sheetData>'
    members[name] = sheet.replace(b"</sheetData>", far)
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    assert table(load(path, "y")).shape == (41, 1)  # padded to the claim, it would be a thousand million cells


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**30] * 40, pa.date32()),
        pa.UnionArray.from_sparse(pa.array([0] * 40, pa.int8()), [pa.array(range(40)), pa.array(["a"] * 40)]),
    ],
)
def test_what_only_arrow_can_hold_is_refused(tmp_path: Path, column: Any) -> None:
    with (
        pa.OSFile(str(tmp_path / "x.arrow"), "wb") as file,
        pa.ipc.new_file(file, pa.schema([("a", column.type)])) as to,
    ):
        to.write_table(pa.table({"a": column}))
    with pytest.raises(InputError, match=r"^x\.arrow holds what no table can: "):
        load(tmp_path / "x.arrow", "a")
