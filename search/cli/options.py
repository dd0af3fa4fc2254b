"""The options that every command takes, and what is made of them: the `Common`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import click

from search.errors import InputError

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Common:
    """What every command is told.

    Attributes:
        results: The results folder, as given.
        json: Whether stdout carries one JSON object.
        verbose: Whether errors show a traceback.
    """

    results: Path
    json: bool
    verbose: bool

    def command(self, text: str) -> str:
        """Return a next command to type, in the same results folder."""
        return (
            f"sweep {text}" if str(self.results) == "results" else f"sweep {text} --results {quote(str(self.results))}"
        )


def common(function: _Command) -> Callable[..., Any]:
    """Add `--results`, `--json` and `--verbose`; the command gets them as its first argument, a `Common`."""

    @wraps(function)
    def with_common(*, results: str, as_json: bool, verbose: bool, **others: Any) -> Any:
        if not results.strip() or "\0" in results:
            raise InputError(f"--results must be a folder, got {results!r}", field="--results")
        return function(Common(Path(results), as_json, verbose), **others)

    for decorate in (
        click.option("--verbose", is_flag=True, help="Show the traceback of an error."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
        click.option(
            "--results",
            metavar="DIR",
            default="results",
            envvar="SWEEP_RESULTS",
            show_envvar=True,
            help="Folder of all studies (default: results).",
        ),
    ):
        with_common = decorate(with_common)
    return with_common


def example(*lines: str) -> str:
    """Return the closing lines of a command's help."""
    return "Example:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)
