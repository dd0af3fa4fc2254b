"""A sweep on a cluster that this machine is no part of: launched, shown, asked about, brought home."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from search.cli import console
from search.cli.options import Common
from search.errors import ExitCode

if TYPE_CHECKING:
    from search.launch import Launch
    from search.tuner.away import Away
    from search.tuner.home import Output

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OF_HERE = ("--address", "--results")
"""Options that say where a study is: at its home they are not passed on."""

_LOOK_EVERY_S = 0.5


def from_afar(command: str) -> Callable[[_Command], Callable[..., Any]]:
    """Add `--address`: the command runs on the head of that cluster, where a study was sent."""

    def decorate(function: _Command) -> Callable[..., Any]:
        @wraps(function)
        def here_or_there(*, address: str | None, **others: Any) -> Any:
            if address is None:
                return function(**others)
            return ask(address, command)

        return click.option(
            "--address", metavar="ADDR", help="Of a cluster that the study was sent to (docs/cluster.md)."
        )(here_or_there)

    return decorate


def launch_afar(shared: Common, launch: Launch, *, detach: bool, quiet: bool) -> int:
    """Send a sweep to a cluster; show it from here to its end and bring it home, unless it is left to itself."""
    from search.tuner import cluster
    from search.tuner.away import fetch, reached, send

    plan = launch.plan
    assert plan.address is not None
    cluster.set_environment(plan.address)
    if not quiet:
        console.say(f"study {plan.study}: {plan.objective}", *launch.notes, f"sending it to {plan.address} ...")
    with reached(plan.address) as away:
        send(launch, away)
        if detach:
            _say_detached(shared, plan.study, plan.address)
            return ExitCode.DONE
        code = _follow(away, plan.study, as_json=shared.json, quiet=quiet)
        folder = fetch(away, plan.study, shared.results)
    console.say("", f"the study is in {folder.root}")
    return code


def _say_detached(shared: Common, study: str, address: str) -> None:
    if shared.json:
        console.out_json({"study": study, "address": address, "state": "running"})
    at = f"--address {address}"
    console.say("", "next", f"  sweep watch {study} {at}", f"  sweep fetch {study} {at}")


def _follow(away: Away, study: str, *, as_json: bool, quiet: bool) -> int:
    """Show a sweep that runs at home until it ends; Ctrl-C here asks it to pause."""

    def silent(_: Output) -> None:
        """Show nothing."""

    try:
        while away.call("is_held", study):
            while not away.call("has_begun", study):
                time.sleep(_LOOK_EVERY_S)
            away.run("watch", [study], silent if quiet or as_json else _hear)
    except KeyboardInterrupt:
        console.say("asking the sweep to pause ...")
        away.run("stop", [study], silent)
        away.run("watch", [study], silent)
    return away.run("show", [study, "--json"] if as_json else [study], _hear)


def ask(address: str, command: str) -> int:
    """Have the command line of this process run at the home of a cluster, and return its exit code."""
    from search.tuner import cluster
    from search.tuner.away import reached

    given: tuple[str, ...] = click.get_current_context().find_root().obj
    arguments = _passed_on(given[1:])
    cluster.set_environment(address)
    with reached(address) as away:
        if command == "resume":
            study, *others = arguments
            away.call("hold", study, others)
            return away.run("watch", [study], _hear)
        return away.run(command, arguments, _hear)


def _hear(output: Output) -> None:
    with suppress(ValueError):  # a closed stream
        for stream, text in ((sys.stdout, output.out), (sys.stderr, output.err)):
            stream.buffer.write(text)
            stream.flush()


def _passed_on(given: Sequence[str]) -> list[str]:
    """Return arguments without those that say where a study is."""
    kept, waiting = [], iter(given)
    for one in waiting:
        if one in _OF_HERE:
            next(waiting, None)
        elif not one.startswith(tuple(f"{name}=" for name in _OF_HERE)):
            kept.append(one)
    return kept
