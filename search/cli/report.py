"""`sweep report`: all of a study as one page, also while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import click

from search.cli import console, pages, words
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.records.history import History
    from search.report.export import Exported

_LETTERS: Final = 96
"""Of a line of findings, at most."""


@click.command(
    "report",
    short_help="One study as a page that opens anywhere.",
    epilog=example("sweep report tabular-2026 --open", "sweep report tab -o appendix.html --figures figures"),
)
@click.argument("study")
@click.option("-o", "--output", metavar="FILE", help="Page to write (default: results/STUDY/report.html).")
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@click.option("--figures", metavar="DIR", help="Write each figure alone, too: JSON, its data as CSV, PNG.")
@common
def report_command(shared: Common, *, study: str, output: str | None, opens: bool, figures: str | None) -> int:
    """Write a STUDY (a name, the start of one, or a folder) as one page: what is best, why, and what to try next."""
    begun = time.perf_counter()
    target = None if output is None else pages.file_of(output)
    folder_of_figures = _folder(figures)

    from search.output import write_output
    from search.records import find
    from search.records.history import History
    from search.records.study import read

    folder = find.study_folder(shared.results, study)
    shared = shared.at(folder)
    history = History.of(read(folder))

    from search.report import page
    from search.report.export import export

    target = folder.report if target is None else target
    shown = page.payload(history)
    written = page.html(shown).encode()
    write_output(target, written, field="--output")
    exported = None if folder_of_figures is None else export(history, folder_of_figures)
    told = {"study": shown["study"], "file": str(target), "bytes": len(written)}
    told |= {"seconds": round(time.perf_counter() - begun, 3), "figures": _figures(shown["figures"], exported)}
    if shared.json:
        console.out_json(told)
    else:
        console.out(*_lines(told, shown["sections"]))
        _say_next(shared, history, exported)
    if opens:
        pages.show(target.resolve().as_uri(), str(target))
    return ExitCode.DONE


def _folder(figures: str | None) -> Path | None:
    if figures is None:
        return None
    if not figures.strip() or "\0" in figures or Path(figures).is_file():
        raise InputError(f"--figures takes a folder, got {figures!r}", field="--figures")
    return Path(figures)


def _figures(shown: Mapping[str, Any], exported: Exported | None) -> list[dict[str, Any]]:
    """Return what is told of each figure, in the order of the page."""
    figures = []
    for key, one in shown.items():
        told = {"key": key, "name": one["name"], "finding": one["finding"], "empty": one["empty"]}
        if exported is not None:
            told["files"] = [str(path) for path in exported.files.get(key, ())]
        figures.append(told)
    return figures


def _lines(told: Mapping[str, Any], sections: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return where the page is, and what each of its sections found first."""
    drawn = sum(not one["empty"] for one in told["figures"])
    count = f"{drawn} figure{'s'[: drawn != 1]}"
    lines = [f"{told['file']}: {told['bytes'] / 1e6:.1f} MB, {count}, written in {told['seconds']:.1f} s", ""]
    figures = {one["key"]: one for one in told["figures"]}
    headings = [section["heading"] for section in sections if section["figures"]]
    wide = max(map(len, headings), default=0) + 2
    for section in sections:
        found = [figures[key] for key in section["figures"]]
        said = next((one["finding"] for one in found if not one["empty"]), None)
        said = said or next((one["empty"] for one in found), "")
        for place, line in enumerate(wrap(said, _LETTERS)):
            lines.append(f"{'' if place else section['heading']:{wide}}{line}")
    return lines


def _say_next(shared: Common, history: History, exported: Exported | None) -> None:
    if exported is not None:
        count = sum(map(len, exported.files.values()))
        console.say("", f"{count} files of figures" + (f"; {exported.no_pictures}" if exported.no_pictures else ""))
    study = history.folder.name
    if len(history) == 0:
        goes_on = f"watch {study}" if history.status.state == "running" else words.resume(history.status)
        console.say("", "next", f"  {shared.command(goes_on)}")
        return
    number = "last" if history.best is None else "best"
    console.say("", "next", f"  {shared.command(f'show {study} --trial {number}')}")
