"""Rules of files of rows: predicting reads the cells that training reads, and what is written reads back the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from search.bundle.signature import Input, Kind
from search.serve.cells import take
from search.serve.files import open_rows
from search.serve.unpadded import Unpadded
from search.serve.writing import writing
from tests.data.files import load, write

NASTY = {
    "quotes behind blanks": ("n, town, y", ['1, "Köln", no', '2,   "Bonn", yes']),
    "separators in quotes behind blanks": ("n, town, y", ['1, "Bonn, x", no', '2, ", ""y"", ", yes']),
    "line ends in quotes behind blanks": ("n, town, y", ['1, "x\n, y", no', '2, "\n", yes']),
    "blanks in quotes": ("n,town,y", ['1,"  Köln",no', '2," NA",yes', '3,"Bonn ",no']),
    "blanks without quotes": ("  n, town , y", ["  1,  Köln , no", "2, Bonn x,yes", "  ,Bonn,no"]),
    "texts that mean missing": ("n,town,y", ["1, NA,no", '2,"NA",yes', '3, "?",no', "4, ,yes", '5, "",no', "?,x,yes"]),
    "quotes within cells": ("n,town,y", ['1, 5" pipe,no', '2,a "b c",yes', '3,"" x,no']),
    "text behind a closing quote": ("n,town,y", ['1, "a"b"c,no', '2,"a" "b",yes']),
    "blanks behind a closing quote": ("n,town,y", ['1, "a"  ,no', '"2"  ,"b" ,yes']),
    "blank lines": ("n,town,y", ['1, "a",no', "", "   ", "2,b,yes"]),
    "semicolons": ("n; town; y", ['1; "a; b"; no', '2;  "c, d" ;yes']),
    "bars": ("n| town| y", ['1| "a| b"| no', "2| c, d |yes"]),
    "tabs": ("n\t town\t y", ['1\t "a\t b"\t no', '2\t", c"\tyes']),
}


def as_bytes(header: str, lines: Sequence[str], end: str = "\n", start: str = "") -> bytes:
    return (start + "\n".join([header, *list(lines) * 30]) + "\n").replace("\n", end).encode()


@pytest.mark.parametrize(("end", "start"), [("\r\n", "\ufeff"), ("\n", "\n  \n")])
@pytest.mark.parametrize("case", NASTY)
def test_a_text_file_has_the_cells_that_training_reads(tmp_path: Path, case: str, end: str, start: str) -> None:
    path = write(tmp_path, as_bytes(*NASTY[case], end, start))
    trained: Any = load(path).features
    with open_rows(path) as rows:
        table = pa.Table.from_batches(rows.pieces).combine_chunks()
        assert set(trained.columns) == {"n", "town"}
        for name, column in trained.items():
            kind = Kind.NUMBER if column.dtype == np.float64 else Kind.TEXT
            found = take(table.column(rows.names.index(name)).chunk(0), Input(name, kind), separator=rows.separator)
            assert not found.wrong
            expected = column.to_numpy(np.float32) if kind is Kind.NUMBER else column.fillna("").to_numpy(object)
            np.testing.assert_array_equal(found.values, expected)


class InBits(io.BytesIO):
    """Gives three bytes at once."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(3)


@pytest.mark.parametrize("case", NASTY)
def test_where_a_piece_ends_does_not_matter(case: str) -> None:
    text = as_bytes(*NASTY[case], start="\ufeff")
    separator = next(mark for mark in ";|\t," if mark in NASTY[case][0])
    whole = Unpadded(io.BytesIO(text), separator).readall()
    assert Unpadded(InBits(text), separator).readall() == whole
    assert not whole.startswith("\ufeff".encode())


def test_a_file_of_one_column_has_a_row_for_each_line_and_tells_its_line(tmp_path: Path) -> None:
    with open_rows(write(tmp_path, "\na\n1\n\n\nx\n")) as rows:
        assert [cell for piece in rows.pieces for cell in piece.column(0).to_pylist()] == ["1", "", "", "x"]
        assert rows.places([1, 3]) == ["line 4", "line 6"]


def test_a_file_is_closed_however_much_of_it_was_read(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n" + "1,2\n" * 3_000_000)
    with open_rows(path) as rows:
        next(rows.pieces)
    held = [one for one in Path("/proc/self/fd").iterdir() if one.exists() and one.resolve() == path.resolve()]
    assert not held
    assert rows.share() == 1


def test_names_of_parquet_are_read_as_training_reads_them(tmp_path: Path) -> None:
    table = pa.table({"age ": [1.0, 2.0] * 20, "": [3.0, 4.0] * 20, "y": ["a", "b"] * 20})
    parquet.write_table(table, tmp_path / "x.parquet")
    trained: Any = load(tmp_path / "x.parquet").features
    with open_rows(tmp_path / "x.parquet") as rows:
        assert rows.names == (*trained.columns, "y") == ("age", "column 2", "y")


RISKY = ['=cmd|"/C calc"!A0, and', "x\ny", 'say "hi"', "", " padded "]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(RISKY),
        pa.array(RISKY).dictionary_encode(),
        pa.array(RISKY, pa.large_string()),
        pa.array(RISKY, pa.string_view()),
    ],
    ids=lambda column: str(column.type)[:20],
)
@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_texts_of_every_type_read_back_as_they_were(tmp_path: Path, column: pa.Array, names: list[str]) -> None:
    piece = pa.record_batch([column] * len(names), names=names)
    for safe in (False, True):
        with writing(tmp_path / "out.csv", piece.schema, safe=safe) as sink:
            sink.add(piece)
        with (tmp_path / "out.csv").open(newline="") as file:
            found = list(csv.reader(file))
        assert found == [names, *([("'" if safe and one.startswith("=") else "") + one] * len(names) for one in RISKY)]
