"""`sweep logs`: what one trial printed, also while it prints."""

from __future__ import annotations

import codecs
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from search.cli import console
from search.cli.afar import from_afar
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError
from search.paths import StudyFolder

POLL_S: Final = 0.25


@click.command(
    "logs",
    short_help="What a trial printed.",
    epilog=example("sweep logs tabular-2026 42", "sweep logs tabular-2026 last -f", "sweep logs tab best -n 20"),
)
@click.argument("study")
@click.argument("number", metavar="N")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the trial has ended, or nobody runs it.")
@click.option("-n", "--lines", "count", metavar="LINES", type=click.IntRange(min=0), help="Only the last lines.")
@from_afar("logs")
@common
def logs_command(shared: Common, *, study: str, number: str, follow: bool, count: int | None) -> int:
    """Print what trial N of a STUDY printed: a number, `best`, or `last`, the one that began last."""
    from search.records import find

    if shared.json and follow:
        raise InputError("--follow prints lines as they come, and --json one object", field="--follow")
    folder = find.study_folder(shared.results, study)
    chosen = _number(folder, number)
    log = folder.trial(chosen).log
    if not log.exists():
        _check_trial(folder, chosen, coming=follow)
    if shared.json:
        console.out_json({"study": folder.name, "number": chosen, "log": _last(_read(log), count)})
        return ExitCode.DONE
    if follow:
        try:
            printed = _follow(log, _until_its_end(folder, chosen), count)
        except KeyboardInterrupt:  # how one stops to follow: nothing to tell
            return ExitCode.INTERRUPTED
    else:
        lines = _read(log)
        console.out(*_last(lines, count))
        printed = bool(lines)
    if not printed:
        console.say(f"trial {chosen} of {folder.name} printed nothing")
    return ExitCode.DONE


def _number(folder: StudyFolder, text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    if text not in ("best", "last"):
        raise InputError(f"`sweep logs` takes a trial's number, best or last, got {text!r}", field="N")
    from search.records import study

    return study.trial(study.read(folder), text).number


def _check_trial(folder: StudyFolder, number: int, *, coming: bool) -> None:
    """Refuse a trial that is not there; with `coming`, one of a study that runs may still come."""
    from search.study.lock import living_holder
    from search.study.peek import Peek

    count = Peek(folder).count()
    if number < count or (coming and living_holder(folder.root) is not None):
        return
    has = f"its trials are 0 to {count - 1}" if count else "it has none yet"
    raise InputError(f"study {folder.name!r} has no trial {number}", field="N", hint=has)


def _read(log: Path) -> list[str]:
    try:
        text = log.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _last(lines: list[str], count: int | None) -> list[str]:
    return lines if count is None else lines[max(0, len(lines) - count) :]


def _until_its_end(folder: StudyFolder, number: int) -> Callable[[], bool]:
    """Return what tells whether nothing more will be printed."""
    from search.study.lock import living_holder
    from search.study.peek import Peek

    peek = Peek(folder)
    return lambda: living_holder(folder.root) is None or peek.stage(number) == "ended"


def _follow(log: Path, is_over: Callable[[], bool], count: int | None) -> bool:
    """Print a log from its last `count` lines on, as it grows; tell whether there was anything."""
    lines = _growing(log, is_over)
    first = next(lines)  # what stands there already
    console.out(*_last(first, count))
    printed = bool(first)
    for more in lines:
        console.out(*more)
        printed = printed or bool(more)
        sys.stdout.flush()
        _end_with_the_reader()
    return printed


def _growing(log: Path, is_over: Callable[[], bool]) -> Iterator[list[str]]:
    """Yield the lines that have come, a few times a second; the last one as it stands at the end."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    at, rest, over = 0, "", False
    while not over:
        over = is_over()  # asked first: what was printed before the end is read after it
        data = _behind(log, at)
        at += len(data)
        *lines, rest = (rest + decoder.decode(data, final=over)).split("\n")
        if over and rest:
            lines.append(rest)
        yield [line.removesuffix("\r") for line in lines]
        if not over:
            time.sleep(POLL_S)


def _behind(log: Path, start: int) -> bytes:
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read()
    except FileNotFoundError:
        return b""


def _end_with_the_reader() -> None:
    """Notice that the reader of our output has gone, though there is nothing to write.

    Raises:
        BrokenPipeError: It has.
    """
    try:
        fd = sys.stdout.fileno()
    except (OSError, ValueError):  # no file: a test's
        return
    poll = select.poll()
    poll.register(fd, 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        raise BrokenPipeError
