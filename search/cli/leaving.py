"""A sweep that is left to a cluster's home: sent there, shown from here, paused by a Ctrl-C here, brought home."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from search.cli import console, interrupts, progress, stored, words
from search.cli.afar import hear
from search.cli.options import Common
from search.cli.sweeping import close, code_of
from search.errors import ExitCode, InputError, RefusedError, SurroundingsError, SweepError

if TYPE_CHECKING:
    from search.launch import Launch
    from search.tuner.away import Away
    from search.tuner.ends import End

_LOOK_EVERY_S: Final = 0.5

_KINDS: Final = {one.code: one for one in (InputError, SurroundingsError, RefusedError)}


def launch_afar(shared: Common, launch: Launch, *, detach: bool, quiet: bool) -> int:
    """Send a sweep to a cluster; show it from here to its end and bring it home, unless it is left to itself."""
    from search.tuner import cluster, sending
    from search.tuner.away import reached
    from search.tuner.fetching import fetch

    plan = launch.plan
    assert plan.address is not None
    if shared.remote is not None:  # named in a file, or by Ray's own variable
        raise stored.refused_afar()
    sending.check(launch)
    cluster.set_environment(plan.address)
    if not quiet:
        console.say(f"study {plan.study}: {plan.objective}", *launch.notes, f"sending it to {plan.address} ...")
    with reached(plan.address) as away:
        sent = sending.send(launch, away, rename=plan.origins.get("study", "default") == "default")
        console.say(*sent.notes)
        interrupts.raise_from_here()  # it is there: a Ctrl-C pauses it
        study = sent.study
        if study != plan.study and not quiet:
            console.say(f"there is a {plan.study} already: it is called {study}")
        try:
            end = _follow(away, study, quiet=quiet or detach, until_begun=detach)
        except KeyboardInterrupt:
            if detach:
                raise
            return _pause(away, study, as_json=shared.json)
        if detach and end is None:
            return _say_detached(study, away, as_json=shared.json)
        assert end is not None
        console.say(*end.said)
        status = away.call("look", study).status
        if status is None or status.state in ("interrupted", "stopped"):
            away.call("withdraw", study)  # if it could not even begin
            _raise(end)
            return _say_paused(away, study, as_json=shared.json)
        folder = fetch(away, study, shared.results)
    _raise(end)
    status = replace(status, results=str(shared.results / study))
    close(shared, status, quiet=quiet)
    if not quiet:
        console.say(
            "", f"the study is in {folder.root}, and stays on {plan.address}: {_command('rm', study, plan.address)}"
        )
    return code_of(status) if end.code is None else end.code


def resume_afar(away: Away, text: str, arguments: Sequence[str]) -> int:
    """Have a study go on at its home, and show it, unless it is left to itself."""
    study = away.call("name_of", text)
    as_json, quiet, detach = (flag in arguments for flag in ("--json", "--quiet", "--detach"))
    away.hold(study, [one for one in arguments if one not in ("--json", "--quiet", "--verbose", "--detach")])
    try:
        interrupts.raise_from_here()
        end = _follow(away, study, quiet=quiet or detach, until_begun=detach)
    except KeyboardInterrupt:
        if detach:
            raise
        return _pause(away, study, as_json=as_json)
    if detach and end is None:
        return _say_detached(study, away, as_json=as_json)
    assert end is not None
    console.say(*end.said)
    _raise(end)
    look = away.call("look", study)
    if look.status is not None and look.status.state in ("interrupted", "stopped"):
        return _say_paused(away, study, as_json=as_json)
    away.run("show", [study], ["--json"] if as_json else [], hear)
    console.say("", "next", f"  {_command('fetch', study, away.address)}")
    return int(end.code or ExitCode.DONE)


def watch_afar(away: Away, text: str) -> int:
    """Show a study that runs at its home; a Ctrl-C leaves it alone."""
    study = away.call("name_of", text)
    try:
        _follow(away, study, quiet=False)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return away.run("watch", [study], [], hear)  # it is over: this tells how


def _follow(away: Away, study: str, *, quiet: bool, until_begun: bool = False) -> End | None:
    """Show a sweep that runs at home until its driver ends, and return how; with `until_begun`, None when it runs."""
    with progress.view(quiet=quiet) as update:
        while True:
            look: Any = away.call("look", study)
            if look.status is not None and (look.begun or not look.held):
                update(look.status)
            if not look.held and not look.begun:
                return look.end  # type: ignore[no-any-return]
            if until_begun and look.begun:
                return None
            time.sleep(_LOOK_EVERY_S)


def _pause(away: Away, study: str, *, as_json: bool) -> int:
    """Ask a sweep to pause, and wait until it has; the second Ctrl-C ends this process, and the sweep pauses."""
    console.say("pausing the sweep where it runs; to leave it to itself meanwhile, press Ctrl-C ...")
    stop = uuid.uuid4().hex
    away.call("ask", stop, "stop", [study], [], away.address)
    while (output := away.call("output", stop, 0, 0)).code is None:
        time.sleep(_LOOK_EVERY_S)
    if output.code != ExitCode.DONE:
        console.say(output.err.decode(errors="replace").rstrip())
        return int(output.code)
    while away.call("look", study).held:
        time.sleep(_LOOK_EVERY_S)
    return _say_paused(away, study, as_json=as_json)


def _say_paused(away: Away, study: str, *, as_json: bool) -> int:
    look = away.call("look", study)
    status = look.status
    if look.end is not None:
        _raise(look.end)  # it was not paused: its driver could not go on, and says why
    over = status is not None and status.state in ("finished", "failed")
    if status is not None:
        if as_json:
            console.out_json(status.to_json())
        else:
            console.out("", *words.summary(status))
    console.say(
        "",
        f"the study is {'over' if over else 'paused'} on {away.address}",
        "next",
        *(f"  {_command(name, study, away.address)}" for name in (("fetch",) if over else ("resume", "fetch"))),
    )
    return ExitCode.INTERRUPTED


def _say_detached(study: str, away: Away, *, as_json: bool) -> int:
    if as_json:
        where = f"{away.call('results')}/{study}"
        console.out_json({"study": study, "address": away.address, "state": "running", "results": where})
    else:
        console.say(f"{study} runs on {away.address}")
        if not sys.stdout.isatty():  # a script, which wants the name
            console.out(study)
    console.say("", "next", *(f"  {_command(name, study, away.address)}" for name in ("watch", "stop", "fetch")))
    return ExitCode.DONE


def _command(name: str, study: str, address: str) -> str:
    return f"sweep {name} {study} --address {quote(address)}"


def _raise(end: End) -> None:
    """Raise the error that a driver told.

    Raises:
        SweepError: It.
    """
    told = end.error
    if not told:
        return
    kind: type[SweepError] = _KINDS.get(ExitCode(int(told["code"])), SurroundingsError)
    raise kind(str(told["message"]), field=str(told["field"]), hint=str(told["hint"]))
