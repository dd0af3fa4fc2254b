"""The terminal: what goes to stdout (results) and to stderr (talk), and how text is made safe for both."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any, Final, TextIO

from search.asked import asked_at
from search.errors import ExitCode, SweepError

_NAMED: Final = re.compile(
    r"`(sweep (?:list|(?:collect|confirm|doctor|enqueue|logs|resume|retry|rm|show|stop|table|watch) (?![A-Z]))"
    r"(?![^`]*--(?:results|address))[^`]*)`"
)
_where: list[str] = []  # the results folder, if it is not the usual one

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def prepare() -> None:
    """Let no character of a user's text fail to print."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def clean(text: object) -> str:
    """Return text with its control and direction characters spelled out, so that it cannot steer a terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(text).replace("\r\n", "\n"))


def one_line(text: object) -> str:
    """Return text on a single line, made safe."""
    return clean(text).replace("\n", "\\n").replace("\t", " ")


def out(*lines: object) -> None:
    """Write lines of a result to stdout."""
    for line in lines:
        print(clean(line))


def out_json(value: Any) -> None:
    """Write the one JSON object of a command to stdout."""
    print(json.dumps(value, ensure_ascii=False, default=str, allow_nan=False))


def say(*lines: object) -> None:
    """Write lines to stderr; a reader that has gone away does not end a sweep."""
    try:
        for line in lines:
            print(clean(line), file=sys.stderr, flush=True)
    except BrokenPipeError:
        silence(sys.stderr)


def restore() -> None:
    """Show the terminal's cursor again, which a display that was broken off has hidden."""
    if is_live(sys.stderr):
        _write_raw("\x1b[?25h", end="")


def in_results(folder: Path | str) -> None:
    """Have commands that errors name be those for this results folder."""
    _where[:] = [] if str(folder) == "results" else [str(folder)]


def _as_typed(text: str) -> str:
    """Return a text whose `sweep ...` commands work as they stand."""
    if address := asked_at():
        return _NAMED.sub(lambda found: f"`{found[1]} --address {quote(address)}`", text)
    if not _where:
        return text
    return _NAMED.sub(lambda found: f"`{found[1]} --results {quote(_where[0])}`", text)


def error(fault: SweepError, *, as_json: bool, verbose: bool) -> None:
    """Tell what went wrong; with the user's own traceback where it is their code, with ours only on demand."""
    if as_json:
        told = {"code": int(fault.code), "field": fault.field, "message": fault.message, "hint": _as_typed(fault.hint)}
        say(json.dumps({"error": told}, ensure_ascii=False))
        return
    for note in getattr(fault, "__notes__", ()):
        say(note)
    mark = "\x1b[1;31merror:\x1b[0m" if is_colourful(sys.stderr) else "error:"
    for line in _as_typed(fault.sentence()).splitlines():
        _write_raw(f"{mark} {clean(line)}")
    if verbose:
        say("".join(traceback.format_exception(fault)).rstrip())


def bug(fault: BaseException, *, as_json: bool, verbose: bool) -> None:
    """Tell of an exception that nothing expected."""
    message = f"{type(fault).__name__}: {fault}".splitlines()[0]
    hint = "this is a fault of sweep itself; --verbose shows where"
    if as_json:
        told = {"code": int(ExitCode.FAILED), "field": "", "message": message, "hint": hint}
        say(json.dumps({"error": told}, ensure_ascii=False))
        return
    if verbose:
        say("".join(traceback.format_exception(fault)).rstrip())
    say(f"error: {message}; {hint}")


def silence(stream: TextIO) -> None:
    """Point a stream whose reader has gone at nothing, so that no later flush can fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def is_live(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that lines can be redrawn on."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def is_colourful(stream: TextIO) -> bool:
    return is_live(stream) and not os.environ.get("NO_COLOR")


def width(stream: TextIO) -> int | None:
    """Return the columns of a terminal; None where nobody looks on and nothing needs cutting."""
    return shutil.get_terminal_size((80, 24)).columns if stream.isatty() else None


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, columns: int | None = None) -> list[str]:
    """Return a table as lines: numbers to the right, text to the left, cut at `columns`."""
    cells = [[one_line(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(headers))]
    right = [bool(rows) and all(_is_number(row[index]) for row in rows) for index in range(len(headers))]
    lines = []
    for row in cells:
        padded = (
            cell.rjust(wide) if to_right else cell.ljust(wide)
            for cell, wide, to_right in zip(row, widths, right, strict=True)
        )
        lines.append(cut("  ".join(padded).rstrip(), columns))
    return lines


def cut(line: str, columns: int | None) -> str:
    """Shorten a line to a terminal's columns."""
    return line if columns is None or len(line) <= columns else line[: max(1, columns - 1)] + "…"


def _is_number(cell: object) -> bool:
    return bool(re.fullmatch(r"#?-?[\d.]+(e[+-]?\d+)?%?|-|inf|", str(cell)))


def _write_raw(line: str, *, end: str = "\n") -> None:
    try:
        print(line, end=end, file=sys.stderr, flush=True)
    except BrokenPipeError:
        silence(sys.stderr)
