"""Predictions for a whole file of rows, piece by piece, so that it may be larger than memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.model import Model
from search.bundle.signature import Input, Kind, Signature
from search.errors import InputError, did_you_mean
from search.serve.cells import Taken, take
from search.serve.files import PARQUET_SUFFIXES, RowFile, open_rows, plain_suffix
from search.serve.keeping import Keep
from search.serve.predictions import (
    Done,
    number_column,
    prediction_columns,
    prediction_names,
    prediction_types,
    run_in_parts,
)
from search.serve.writing import Sink, check_output, writing

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]

_MOST_TOLD: Final = 20


@dataclass(slots=True)
class _Wrong:
    """What is wrong with cells: the first of it as sentences, the rest as a count."""

    told: list[tuple[int, str, str]] = field(default_factory=list)
    count: int = 0

    def add(self, name: str, taken: Taken, first: int) -> None:
        self.count += len(taken.wrong)
        for row, said in list(taken.wrong.items())[:_MOST_TOLD]:
            self.told.append((first + row, name, said))
        self.told = sorted(self.told, key=lambda one: one[0])[:_MOST_TOLD]

    def error(self, rows: RowFile) -> InputError:
        places = rows.places([row for row, _, _ in self.told])
        sentences = [
            f"{rows.path.name} {place}, column {name[:60]}: {said}"
            for place, (_, name, said) in zip(places, self.told, strict=True)
        ]
        if self.count > len(sentences):
            sentences.append(f"and {self.count - len(sentences)} more; nothing was written")
        return InputError("\n".join(sentences), field="input")


def predict_file(
    model: Model,
    source: Path,
    target: Path,
    *,
    keep: Keep,
    safe: bool = False,
    say: Callable[[str], None] = lambda _: None,
    seen: Callable[[int, float], None] = lambda _rows, _share: None,
) -> Done:
    """Predict every row of a CSV or Parquet file, and write the file of predictions once all is well.

    Args:
        model: Takes the columns that its signature names; others are passed on.
        source: Read piece by piece.
        target: Written under a temporary name until it is whole.
        keep: Columns of the input that are written, too.
        safe: As in `writing`.
        say: Takes a sentence for people.
        seen: Takes the rows that are done, and the share of the file.

    Raises:
        InputError: The file lacks a column, or holds what the model cannot take; the sentences name the places.
        SurroundingsError: The disk does not take it.
    """
    check_output(target, source)
    begun = time.perf_counter()
    with open_rows(source) as rows:
        inputs = _inputs(rows, model.signature, say)
        kept = keep.of(rows)
        names = prediction_names(model.signature)
        if clash := [name for name in names if name in kept]:
            said = f"{source.name} has a column {clash[0]!r} already, as the predictions do"
            raise InputError(said, field="input", hint="give --keep none, or the columns to keep")
        _check_kept(rows, kept, target)
        count = _predict(model, rows, target, inputs, kept, safe=safe, seen=seen)
    return Done(count, time.perf_counter() - begun)


def _check_kept(rows: RowFile, kept: Sequence[str], target: Path) -> None:
    """Refuse to write lists and the like into a text file."""
    import pyarrow as pa

    if plain_suffix(target) in PARQUET_SUFFIXES:
        return
    written = set(kept)
    for name, kind in zip(rows.names, rows.types, strict=True):
        if name in written and (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            said = f"{rows.path.name}, column {name[:60]}: values of type {str(kind)[:40]} do not go into a text file"
            raise InputError(said, field=name, hint="write .parquet, or give --keep")


def _inputs(rows: RowFile, signature: Signature, say: Callable[[str], None]) -> list[Input]:
    """Return what the model reads of a file.

    Raises:
        InputError: It is not there, or the model takes images.
    """
    if signature.takes_images:
        hint = "give a folder of images, or an .npz file with an array x"
        raise InputError(f"the model takes images, and {rows.path.name} is a table", field="input", hint=hint)
    read = [one for one in signature.inputs if one.used]
    there = set(rows.names)
    if missing := [one.name for one in read if one.name not in there]:
        wanted = {one.name for one in read}
        others = [name for name in rows.names if name not in wanted]
        said = f"{rows.path.name} has no column {missing[0][:60]!r}, which the model reads"
        more = f"; {len(missing) - 1} others are missing, too" if len(missing) > 1 else ""
        raise InputError(said + more, field=missing[0], hint=did_you_mean(missing[0], others)[:100])
    known = {one.name for one in signature.inputs}
    if extra := [name for name in rows.names if name not in known and name != signature.target]:
        shown = ", ".join(name[:40] for name in extra[:5]) + (", ..." if len(extra) > 5 else "")
        say(f"columns that the model does not know: {shown}")
    return read


def _predict(
    model: Model,
    rows: RowFile,
    target: Path,
    inputs: Sequence[Input],
    kept: Sequence[str],
    *,
    safe: bool,
    seen: Callable[[int, float], None],
) -> int:
    """Write the predictions of all rows; return how many there are."""
    wrong = _Wrong()
    as_numbers = {one.name for one in inputs if one.kind is Kind.NUMBER and rows.separator}
    as_numbers = as_numbers if plain_suffix(target) in PARQUET_SUFFIXES else set()
    pieces = _pieces(model, rows, inputs, kept, as_numbers, wrong)
    first = next(pieces, None)
    if wrong.count and first is None:
        raise wrong.error(rows)
    schema = _schema(rows, model.signature, kept, as_numbers) if first is None else first.schema
    with writing(target, schema, safe=safe) as sink:
        return _write(sink, first, pieces, rows, wrong, seen)


def _write(
    sink: Sink,
    first: pa.RecordBatch | None,
    pieces: Iterator[pa.RecordBatch],
    rows: RowFile,
    wrong: _Wrong,
    seen: Callable[[int, float], None],
) -> int:
    count = 0
    piece = first
    while piece is not None:
        sink.add(piece)
        count += piece.num_rows
        seen(count, rows.share())
        piece = next(pieces, None)
    if wrong.count:
        raise wrong.error(rows)
    return count


def _pieces(
    model: Model, rows: RowFile, inputs: Sequence[Input], kept: Sequence[str], as_numbers: set[str], wrong: _Wrong
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that are written; once a cell is wrong the others are only read."""
    import pyarrow as pa

    done = 0
    places = {name: place for place, name in enumerate(rows.names)}
    for piece in rows.pieces:
        columns: dict[str, Array] = {}
        exact: dict[str, Array] = {}
        for one in inputs:
            column = piece.column(places[one.name])
            try:
                taken = take(column, one, separator=rows.separator)
            except TypeError as error:
                said = f"{rows.path.name}, column {one.name[:60]}: expected {one.kind}s, got values of type {error}"
                raise InputError(said[:190], field=one.name) from error
            wrong.add(one.name, taken, done)
            columns[one.name] = taken.values
            if taken.exact is not None:
                exact[one.name] = taken.exact
        done += piece.num_rows
        if wrong.count or not piece.num_rows:
            continue
        predicted = run_in_parts(model, columns, piece.num_rows)
        cells = [number_column(exact[name]) if name in as_numbers else piece.column(places[name]) for name in kept]
        names = [*kept, *prediction_names(model.signature)]
        yield pa.record_batch([*cells, *prediction_columns(predicted)], names=names)


def _schema(rows: RowFile, signature: Signature, kept: Sequence[str], as_numbers: set[str]) -> pa.Schema:
    """Return the schema of a file without a row."""
    import pyarrow as pa

    known = dict(zip(rows.names, rows.types, strict=True))
    types = [pa.float64() if name in as_numbers else known[name] for name in kept]
    return pa.schema(zip([*kept, *prediction_names(signature)], [*types, *prediction_types(signature)], strict=True))
