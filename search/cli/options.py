"""The options that every command takes, and what is made of them: the `Common`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from search.asked import asked_at
from search.choosing import BY_NAME, RESUMABLE
from search.cli import console
from search.errors import InputError

if TYPE_CHECKING:
    from search.paths import StudyFolder
    from search.remote.place import Place

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Common:
    """What every command is told.

    Attributes:
        results: The results folder, as given.
        json: Whether stdout carries one JSON object.
        verbose: Whether errors show a traceback.
        remote: The object store that `--results` names; `results` is then this machine's copy of it.
    """

    results: Path
    json: bool
    verbose: bool
    remote: Place | None = None

    def at(self, folder: StudyFolder) -> Common:
        """Return the same for a study that lies in another results folder, so that next commands name that one."""
        if folder.root.resolve().parent == self.results.resolve():
            return self
        moved = replace(self, results=folder.root.parent)
        console.in_results(moved.results)
        return moved

    def command(self, text: str) -> str:
        """Return a next command to type, in the same results folder; for whoever asked from elsewhere, there."""
        if address := asked_at():
            return f"sweep {text} --address {quote(address)}"
        if self.remote is not None:
            return f"sweep {text} --results {quote(self.remote.url)}"
        return (
            f"sweep {text}" if str(self.results) == "results" else f"sweep {text} --results {quote(str(self.results))}"
        )


def common(function: _Command) -> Callable[..., Any]:
    """Add `--results`, `--json` and `--verbose`; the command gets them as its first argument, a `Common`."""

    @wraps(function)
    def with_common(*, results: str, as_json: bool, verbose: bool, **others: Any) -> Any:
        if not results.strip() or "\0" in results:
            raise InputError(f"--results must be a folder, got {results!r}", field="--results")
        from search.cli import stored

        if stored.is_meant(results):
            console.in_results(results)
            there, here = stored.opened(results, click.get_current_context().info_name or "", others)
            return function(Common(here, as_json, verbose, there), **others)
        console.in_results(Path(results))
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
            help="Folder of all studies, or a URL (default: results).",
        ),
    ):
        with_common = decorate(with_common)
    return with_common


def insecure_cluster(function: _Command) -> _Command:
    """Add `--insecure-cluster`, for commands that take `--address`; only who types it accepts an open cluster."""

    def accept(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001
        if value:
            from search.tuner.door import accept_open

            accept_open()

    return click.option(
        "--insecure-cluster",
        is_flag=True,
        expose_value=False,
        callback=accept,
        help="Use a cluster that asks for no token, where anybody runs code.",
    )(function)


def example(*lines: str) -> str:
    """Return the closing lines of a command's help."""
    return "Example:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)


def changeable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a plan that may change while a study goes on, as raw text."""
    for name in reversed([*RESUMABLE]):
        option = BY_NAME[name]
        function = click.option(
            option.flag, option.key, metavar=option.placeholder, multiple=option.many, help=option.help
        )(function)
    return function
