"""`sweep predict`: a model's predictions for a file of rows, or a folder of images."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from search.cli import console
from search.cli.extras import needed
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.serve.predictions import Done

_EVERY_S: Final = 0.2


@click.command(
    "predict",
    short_help="Predict the rows of a file.",
    epilog=example(
        "sweep predict rain tomorrow.csv -o predicted.csv",
        "sweep predict rain@candidate rows.parquet -o predicted.parquet --keep id",
        "sweep predict digits scans/ -o digits.csv",
    ),
)
@click.argument("model")
@click.argument("source", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    help="File to write: .csv, .tsv (packed, too: .csv.gz) or .parquet; its folder is made.",
)
@click.option(
    "--keep",
    metavar="all|none|COLUMN",
    multiple=True,
    help="Columns of INPUT to write, too (default: all); repeatable.",
)
@click.option("--safe-csv", is_flag=True, help="Write ' before texts that a spreadsheet takes for formulas.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@common
def predict_command(
    shared: Common, *, model: str, source: str, output: str, keep: tuple[str, ...], safe_csv: bool, quiet: bool
) -> int:
    """Predict INPUT (CSV, Parquet; images: a folder or .npz) with MODEL: a name, name@alias, name:3 or a folder."""
    if "\0" in source + output:
        raise InputError("a path holds a zero byte", field="input")
    with needed("serve", "onnxruntime", what="predicting"):
        from search.bundle.model import Model
        from search.registry.resolving import resolve
        from search.serve.keeping import Keep
        from search.serve.predicting import predict_file
        from search.serve.predicting_images import predict_images

    kept = Keep.parse(keep)
    resolved = resolve(shared.results, model)
    loaded = Model(resolved.open(), threads=len(os.sched_getaffinity(0)))
    target = Path(output)
    say: Callable[[str], None] = console.say
    with _progress(quiet=quiet or shared.json) as seen:
        if loaded.signature.takes_images:
            if keep:
                raise InputError("--keep names columns, and the model takes images", field="--keep")
            done = predict_images(loaded, Path(source), target, safe=safe_csv, say=say, seen=seen)
        else:
            done = predict_file(loaded, Path(source), target, keep=kept, safe=safe_csv, say=say, seen=seen)
    _tell(shared, resolved.text, target, done)
    return ExitCode.DONE


def _tell(shared: Common, model: str, target: Path, done: Done) -> None:
    if shared.json:
        told: dict[str, Any] = {"model": model, "file": str(target), "rows": done.rows}
        console.out_json({**told, "seconds": round(done.seconds, 3), "rows_per_s": round(done.rows_per_s, 1)})
        return
    console.out(f"{target}: {done.rows:,} rows by {model}, in {done.seconds:.1f} s ({done.rows_per_s:,.0f} rows/s)")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """Show on a terminal how far it is; nothing elsewhere."""
    if quiet or not console.is_live(sys.stderr):
        yield lambda _rows, _share: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    begun = time.monotonic()
    told = [begun]
    with Live(console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True) as display:

        def seen(rows: int, share: float) -> None:
            now = time.monotonic()
            if now - told[0] >= _EVERY_S:
                told[0] = now
                line = f"{rows:,} rows, {share:.0%}, {rows / (now - begun):,.0f} rows/s"
                display.update(Text(line, no_wrap=True), refresh=True)

        yield seen
