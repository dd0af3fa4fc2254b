"""`sweep mobile`: a promoted model on a phone: its small form, and the apps around it."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import click

from search import parsers
from search.cli import console
from search.cli.extras import needed
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.bundle.bundle import Bundle
    from search.serve.mobile.variants import Choice, Sample, Variant

_PRECISIONS: Final = ("auto", "fp32", "fp16", "int8")
_DRAWN: Final = 1000
_MOST: Final = 20_000
"""Rows of data that variants are compared on."""


@click.command(
    "mobile",
    short_help="A promoted model on a phone.",
    epilog=example("sweep mobile rain -o rain-app", "sweep mobile rain -o rain-app --data rain.csv --precision int8"),
)
@click.argument("model")
@click.option("-o", "--output", metavar="DIR", required=True, help="Folder to write.")
@click.option(
    "--precision",
    metavar="WHICH",
    default="auto",
    type=click.Choice(_PRECISIONS),
    help="Numbers of the model: auto, fp32, fp16 or int8 (default: auto, the smallest within --max-loss).",
)
@click.option("--max-loss", metavar="X", default="0.01", help="What a smaller form may lose (default 0.01).")
@click.option("--data", metavar="REF", help="Data with the target, to measure the loss on (default: drawn rows).")
@click.option("--executorch", is_flag=True, help="Write the networks for ExecuTorch, too (.pte).")
@click.option("--force", is_flag=True, help="Replace the app that is in the folder already.")
@common
def mobile_command(
    shared: Common,
    *,
    model: str,
    output: str,
    precision: str,
    max_loss: str,
    data: str | None,
    executorch: bool,
    force: bool,
) -> int:
    """Write a MODEL (a name, name@alias, name:version, or a bundle's folder) for phones, with an app for each kind."""
    most = parsers.number(0, above=False)("--max-loss", max_loss)
    if not output.strip():
        raise InputError("--output takes a folder, got nothing", field="--output")
    target = Path(output)
    from search.registry.resolving import resolve

    found = resolve(shared.results, model)
    bundle = found.open()
    with needed("promote", "onnx", "onnxruntime", what="`sweep mobile`"):
        from search.serve.mobile import folder
        from search.serve.mobile.app import App
        from search.serve.mobile.shrinking import Precision
        from search.serve.mobile.variants import choose

        folder.check(target, force=force)
        rows = _rows(shared, bundle, data)
        choice = choose(bundle, None if precision == "auto" else Precision(precision), rows, most)
    programs = _programs(bundle, rows) if executorch else {}
    app = App(bundle, found.name, choice.file.content, str(choice.taken.precision))
    files = {**folder.files_of(app, choice), **programs}
    folder.write(target, files)
    sizes = {
        part: sum(len(files[path]) for path in files if path.split("/")[0] == part)
        for part in folder.PARTS
        if executorch or part != folder.PROGRAMS
    }
    server = f"python -m http.server -d {quote(str(target / 'web'))} 8080"
    if shared.json:
        told: dict[str, Any] = {"model": found.text, "folder": str(target), "precision": str(choice.taken.precision)}
        measured = {"rows": choice.rows, "source": choice.source, "loss_unit": choice.loss_unit, "max_loss": most}
        told |= {"variants": [one.to_json() for one in choice.variants], "measured": measured}
        console.out_json({**told, "bytes": sizes, "try": server})
        return ExitCode.DONE
    console.out(*_table(choice), "", f"made {target}", *_parts(sizes, len(bundle.model)))
    console.say("", "next", f"  {server}", "  then open http://localhost:8080")
    console.say(f"  {target / 'README.md'} says how to build the apps for Android and iOS")
    return ExitCode.DONE


def _rows(shared: Common, bundle: Bundle, data: str | None) -> Sample:
    """Return what variants are compared on."""
    from search.serve.mobile.drawn import drawn
    from search.serve.mobile.variants import Sample

    signature = bundle.signature
    if data is None:
        return Sample(drawn(signature, _DRAWN), None, "rows drawn from the signature")
    from search.data.source import FileSource

    source = FileSource(data, None if signature.takes_images else signature.target, Path.cwd(), results=shared.results)
    dataset = source.images("") if signature.takes_images else source.table("")
    from search.promote.feeding import columns_of

    some = slice(0, _MOST)
    features = dataset.features[some] if signature.takes_images else dataset.features.iloc[some]  # type: ignore[union-attr]
    try:
        columns = columns_of(features, signature)
    except KeyError as error:
        raise InputError(
            f"{dataset.name} has no column {error.args[0]!r}, which the model reads", field="--data"
        ) from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{dataset.name} is not what the model reads: {str(error)[:80]}", field="--data") from error
    shape = next((one.shape for one in signature.inputs if one.shape), ())
    if shape and next(iter(columns.values())).shape[1:] != shape:
        got = "x".join(map(str, next(iter(columns.values())).shape[1:]))
        raise InputError(
            f"{dataset.name} has images of {got}, the model reads {'x'.join(map(str, shape))}", field="--data"
        )
    return Sample(columns, _target(dataset, signature.classes)[some], dataset.name)


def _programs(bundle: Bundle, rows: Sample) -> dict[str, bytes]:
    """Return the networks for ExecuTorch."""
    from search.serve.mobile.programs import programs

    with needed("executorch", "executorch", "torchao", what="--executorch"):
        return programs(bundle, rows.columns)


def _target(dataset: Any, classes: tuple[str, ...]) -> Any:
    """Return the target by the model's classes."""
    import numpy as np

    if bool(classes) != bool(dataset.classes):
        kinds = "classes" if classes else "numbers"
        raise InputError(
            f"the model gives {kinds}, and the target of {dataset.name} is taken for another kind",
            field="--data",
            hint="name it in the reference, as in rows.csv?task=regression",
        )
    if not classes:
        return dataset.target
    strange = sorted(set(dataset.classes) - set(classes))
    if strange:
        raise InputError(f"{dataset.name} has the class {strange[0]!r}, which the model does not know", field="--data")
    return np.array([classes.index(name) for name in dataset.classes])[dataset.target]


def _table(choice: Choice) -> list[str]:
    heads = ["precision", "bytes", "worst", "mean", "same label", "loss", "at most", ""]
    rows = [_cells(one) for one in choice.variants]
    if all(row[4] == "-" for row in rows):
        heads, rows = [*heads[:4], *heads[5:]], [[*row[:4], *row[5:]] for row in rows]
    where = f"differences on {choice.rows} {choice.source}" if "drawn" in choice.source else ""
    where = where or f"differences on {choice.rows} rows of {choice.source}"
    return [
        *console.table(heads, rows, columns=console.width(sys.stdout)),
        f"{where}; loss: {choice.loss_unit}, allowed {choice.most:g}",
    ]


def _cells(one: Variant) -> list[object]:
    if one.file is None or one.difference is None:
        return [str(one.precision), *["-"] * 6, one.why]
    found = one.difference
    same = "-" if found.same is None else f"{100 * found.same:.1f}%"
    size = len(one.file.content)
    return [str(one.precision), size, *(f"{x:.2g}" for x in (found.worst, found.mean)), same,
            f"{found.loss:.2g}", f"{found.bound:.2g}", one.why]  # fmt: skip


def _parts(sizes: dict[str, int], original: int) -> list[str]:
    told = []
    for part, size in sizes.items():
        note = f"  (model.onnx: {_size(original)})" if part == "model.ort" else ""
        told.append(f"  {part:<26} {_size(size):>10}{note}")
    return told


def _size(size: int) -> str:
    return f"{size / 1000:,.1f} kB"
