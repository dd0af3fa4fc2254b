"""Commands about a study that lies at a cluster's home: asked there, by whoever is elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from search.asked import asked_at
from search.cli import console
from search.cli.options import insecure_cluster
from search.errors import ExitCode, InputError, RefusedError

if TYPE_CHECKING:
    from search.tuner.away import Away
    from search.tuner.errands import Output

_Command = TypeVar("_Command", bound=Callable[..., Any])

VARIABLE = "RAY_ADDRESS"
"""Environment variable of Ray that names a cluster."""

_OF_HERE = ("address", "results", "web", "port", "opens")
"""Parameters of a command that are about this machine."""


def address_of_environment() -> str | None:
    """Return the cluster that Ray's own variable names; None if it names none, or this machine."""
    named = os.environ.get(VARIABLE, "").strip()
    return named if named not in ("", "local") else None


def from_afar(command: str) -> Callable[[_Command], Callable[..., Any]]:
    """Add `--address`: the command runs on the head of that cluster, where a study was sent.

    A study of this machine's results folder is meant first, unless it is a copy. So `--address` of a cluster that this
    machine is part of stays what it is to `sweep edit`: a choice of the study's plan.
    """

    def decorate(function: _Command) -> Callable[..., Any]:
        @wraps(function)
        def here_or_there(*, address: str | None, **others: Any) -> Any:
            there = address
            if address is None and command != "list" and not asked_at() and (named := address_of_environment()):
                known = _is_here(others, copies=True) or (command == "watch" and _keeps_learning(others))
                there = None if known else named
            if command == "edit":
                own = address is not None and not address.startswith("ray://") and _is_here(others, copies=False)
                return function(address=address, **others) if there in (None, "local") or own else ask(there, command)
            return function(**others) if there in (None, "local") else ask(there, command)

        if command != "edit":
            here_or_there = click.option(
                "--address", metavar="ADDR", help="Of a cluster that the study was sent to (docs/cluster.md)."
            )(here_or_there)
        return insecure_cluster(here_or_there)

    return decorate


def ask(address: str, command: str) -> int:
    """Have the command of this process run at the home of a cluster, and return its exit code."""
    from search.tuner import cluster
    from search.tuner.away import reached

    context = click.get_current_context()
    studies, arguments = passed_on(context)
    _check(command, context)
    cluster.set_environment(address)
    with reached(address) as away:
        if command == "resume":
            from search.cli.leaving import resume_afar

            return resume_afar(away, studies[0], arguments)
        if command == "watch" and "--json" not in arguments:
            from search.cli.leaving import watch_afar

            return watch_afar(away, studies[0])
        if command == "rm" and "--yes" not in arguments:
            _ask_before(away, studies)
            arguments.append("--yes")
        return away.run(command, studies, arguments, hear)


def hear(output: Output) -> None:
    """Print what a command at home has printed."""
    for stream, text in ((sys.stdout, output.out), (sys.stderr, output.err)):
        if text:  # which may end amid a letter
            stream.flush()
            stream.buffer.write(text)
            stream.buffer.flush()


def passed_on(context: click.Context) -> tuple[list[str], list[str]]:
    """Return what a command line says, without where the study is: the studies that it names, and all else."""
    studies, options, others = list[str](), list[str](), list[str]()
    for one in context.command.params:
        source = context.get_parameter_source(one.name or "")
        value = context.params.get(one.name or "")
        if isinstance(one, click.Argument):
            values = [*value] if isinstance(value, tuple) else [value]
            (studies if one.name in ("study", "studies") else others).extend(str(part) for part in values)
        elif source is click.core.ParameterSource.COMMANDLINE and one.name not in _OF_HERE:
            assert isinstance(one, click.Option)
            if one.is_flag:
                options += [one.opts[-1]] * bool(value)
            else:
                values = [*value] if isinstance(value, tuple) else [value]
                options += [f"{one.opts[-1]}={part}" for part in values]
    return studies, [*options, *(["--", *others] if others else [])]


def _check(command: str, context: click.Context) -> None:
    """Refuse what cannot be asked from elsewhere, before anybody is asked.

    Raises:
        InputError: It is of this machine.
        RefusedError: It would have to be sent.
    """
    if command == "watch" and context.params.get("web"):
        raise InputError(
            "--web serves the page of a study on this machine", field="--web", hint="`sweep fetch` it first"
        )
    space = context.params.get("space")
    if command == "edit" and isinstance(space, str):
        raise RefusedError(
            f"--space {space} is a file of this machine, and a study on a cluster keeps the code that it was sent with",
            field="--space",
            hint="`sweep fetch` it and edit it here, or launch a sweep with --warm-start",
        )


def _ask_before(away: Away, studies: list[str]) -> None:
    """Ask whether studies are to be deleted.

    Raises:
        InputError: Nobody can answer.
        KeyboardInterrupt: No.
    """
    if not sys.stdin.isatty():
        raise InputError("`sweep rm` asks before it deletes, and nobody can answer here", hint="give --yes to delete")
    names = " and ".join(repr(study) for study in studies)
    click.echo(f"delete {console.one_line(names)} on {away.address}? [y/N] ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        console.say(f"kept {names}")
        raise click.exceptions.Exit(ExitCode.DONE)


def _keeps_learning(given: dict[str, Any]) -> bool:
    """Tell whether `sweep watch` names a model that a server on this machine's results folder teaches."""
    from pathlib import Path

    from search.cli import watch_online

    return watch_online.meant(Path(given.get("results", "results")), given["study"]) is not None


def _is_here(given: dict[str, Any], *, copies: bool) -> bool:
    """Tell whether a study that a command names lies in this machine's results folder.

    Args:
        given: To the command.
        copies: Whether one that is a copy of a cluster's counts.
    """
    from pathlib import Path

    from search import copied
    from search.records import find

    names = [given["study"]] if "study" in given else [*given.get("studies", ())]
    for name in names:
        with suppress(InputError):
            folder = find.study_folder(Path(given.get("results", "results")), name)
            return copies or copied.origin(folder) is None
    return not names
