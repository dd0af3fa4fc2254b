"""`sweep online`: a promoted model as a web API that keeps learning from the labels that come in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import click

from search.cli import console
from search.cli.extras import needed
from search.cli.options import Common, common, example
from search.cli.serve import LIBRARIES, body_bytes, limited
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.online.known import Known
    from search.online.serving import Site
    from search.registry.resolving import Resolved
    from search.serve.backend import Served
    from search.serving.key import Key

_LIBRARIES: Final = (*LIBRARIES, "river")
_SHOWN: Final = 1000
"""Characters of an example that a terminal takes."""


@click.command(
    "online",
    short_help="A promoted model as a web API that keeps learning.",
    epilog=example(
        "sweep online rain",
        "sweep online rain --frozen",
        "sweep online rain --host 0.0.0.0 --token-file t --label-token-file l --admin-token-file a",
    ),
)
@click.argument("model")
@click.option("--host", metavar="HOST", default="127.0.0.1", help="Address to listen on (default: 127.0.0.1).")
@click.option("--port", metavar="N", default=8000, type=click.IntRange(0, 65_535), help="Port (default: 8000; 0: any).")
@click.option("--token-file", metavar="FILE", help="File with the token that predictions need.")
@click.option(
    "--label-token-file", metavar="FILE", help="File with the token that labels need, or lines of NAME TOKEN."
)
@click.option("--admin-token-file", metavar="FILE", help="File with the token that administration needs.")
@click.option("--allow-host", metavar="NAME", multiple=True, help="Another name it may be called by (repeatable).")
@limited
@click.option("--wait", metavar="TIME", default="7d", help="How long the label of a row may come (default: 7d).")
@click.option(
    "--max-waiting",
    metavar="N",
    default=200_000,
    type=click.IntRange(1, 100_000_000),
    help="Most rows that wait for labels; the oldest are forgotten (default: 200000).",
)
@click.option(
    "--source-rate",
    metavar="N",
    default=0.0,
    type=click.FloatRange(0, 1e9),
    help="Labelled rows a minute that one source may send (default: 0, any number).",
)
@click.option("--resweep", is_flag=True, help="Sweep over the newest rows where a drift lasts.")
@click.option(
    "--resweep-trials", metavar="N", type=click.IntRange(1, 100_000), help="With --resweep: most trials (default: 30)."
)
@click.option("--resweep-time", metavar="TIME", help="With --resweep: longest time (default: 15m).")
@click.option("--address", metavar="ADDR", help="With --resweep: the Ray cluster it runs on.")
@click.option("--accept-changes", is_flag=True, help="Learn on although the code of the model's study has changed.")
@click.option("--frozen", is_flag=True, help="Answer and log, and learn nothing.")
@common
def online_command(
    shared: Common,
    *,
    model: str,
    host: str,
    port: int,
    token_file: str | None,
    label_token_file: str | None,
    admin_token_file: str | None,
    allow_host: tuple[str, ...],
    threads: int,
    max_body: str,
    max_rows: int,
    rate: float,
    timeout: str,
    wait: str,
    max_waiting: int,
    source_rate: float,
    resweep: bool,
    resweep_trials: int | None,
    resweep_time: str | None,
    address: str | None,
    accept_changes: bool,
    frozen: bool,
) -> int:
    """Answer predictions of MODEL over HTTP until Ctrl-C, and learn from the labels that come to /feedback.

    MODEL is the name of a promoted model: what its alias `production` names answers. A challenger learns beside it, and
    takes over where it is better on rows that both answered before their labels came. A host that others reach needs
    tokens for predictions and for labels: from files, else from SWEEP_TOKEN, SWEEP_LABEL_TOKEN and SWEEP_ADMIN_TOKEN.
    """
    from search import parsers

    limit = body_bytes(max_body)
    sweep = {
        "trials": resweep_trials,
        "time_s": None if resweep_time is None else parsers.seconds("--resweep-time", resweep_time),
        "address": address,
    }
    _check_resweep(sweep, resweep=resweep, frozen=frozen)
    timeout_s, wait_s = parsers.seconds("--timeout", timeout), parsers.seconds("--wait", wait)
    with needed("online", *_LIBRARIES, what="learning online"):
        from search.online import lock, serving
        from search.online.tokens import Tokens
        from search.paths import OnlineFolder
        from search.serve.backend import Served
        from search.serve.limits import Limits
        from search.serve.swapping import Followed
    from search.serving.hosts import Hosts
    from search.serving.ports import address_of, bind, url_of

    tokens = Tokens.read(token_file, label_token_file, admin_token_file, os.environ)
    resolved = _named(shared, model)
    served = Served(resolved.open(), resolved.name, resolved.version)
    folder = OnlineFolder.of(shared.results, resolved.name)
    hosts = Hosts.of(address_of(host), host, allow_host)
    tokens.check_open(host, loopback=hosts.loopback)
    limits = Limits(body_bytes=limit, rows=max_rows, timeout_s=timeout_s, rate=rate)
    site = serving.Site(limits, hosts, tokens, threads, wait_s, max_waiting, source_rate)
    held = lock.hold(folder)  # before the port, or a second one would be told of that
    try:
        bound = bind(host, port)
    except BaseException:
        held.release()
        raise
    choices = {"wait_s": wait_s, "most_waiting": max_waiting, "resweep": resweep, "accept_changes": accept_changes}
    learner = ["--results", str(shared.results), "--name", resolved.name, "--choices", json.dumps(choices)]
    learner += ["--sweep", json.dumps(sweep)]
    with bound:
        url = url_of(bound, host)
        serving.serve(
            served,
            folder,
            held,
            bound,
            site,
            Followed(shared.results, resolved.name, console.say),
            learner=None if frozen else learner,
            listening=lambda known: _tell(shared, served, url, site, known, learns=not frozen),
        )
    return ExitCode.DONE


def _check_resweep(sweep: Mapping[str, Any], *, resweep: bool, frozen: bool) -> None:
    """Refuse options that would do nothing.

    Raises:
        InputError: One would.
    """
    flags = {"trials": "--resweep-trials", "time_s": "--resweep-time", "address": "--address"}
    given = [flags[name] for name, value in sweep.items() if value is not None]
    if given and not resweep:
        raise InputError(f"{given[0]} is for sweeps over the newest rows", field=given[0], hint="add --resweep")
    if resweep and frozen:
        raise InputError("--frozen learns nothing, so it notices no drift", field="--resweep", hint="leave one out")


def _named(shared: Common, model: str) -> Resolved:
    """Return what is in production of a model.

    Raises:
        InputError: It is no name of a model, or nothing is in production.
    """
    from search.registry.entries import PRODUCTION
    from search.registry.resolving import resolve

    resolved = None if os.sep in model or ":" in model or "@" in model else resolve(shared.results, model)
    if resolved is None or resolved.alias != PRODUCTION:
        said = f"`sweep online` takes the name of a promoted model, whose production it moves, got {model[:60]!r}"
        raise InputError(said, field="MODEL", hint="`sweep models` lists them; `sweep serve` takes the others")
    return resolved


def _tell(shared: Common, served: Served, url: str, site: Site, known: Known, *, learns: bool) -> None:
    tokens = site.tokens
    if shared.json:
        told: dict[str, Any] = {"model": served.label, "state": "listening", "url": url}
        there = {"predict": tokens.predict is not None, "label": bool(tokens.label), "admin": tokens.admin is not None}
        told |= {"digest": served.bundle.digest, "tokens": there, "learning": learns, "waiting": known.rows}
        console.out_json(told)
        sys.stdout.flush()
        return
    from search.online.tokens import LABEL, PREDICT
    from search.serve.examples import example_row

    learning = "and learns from labels" if learns else "and learns nothing"
    console.say(f"{served.label} answers on {url}/predict {learning}; {url}/online shows it; Ctrl-C ends it")
    body = json.dumps(example_row(served.bundle.signature), ensure_ascii=False)
    if len(body) > _SHOWN:
        return
    classes = served.bundle.signature.classes
    label = json.dumps({"id": "ID", "label": classes[0] if classes else 1.5}, ensure_ascii=False)
    name, label_key = next(iter(tokens.label.items()), ("", None))
    console.say(
        "",
        f"  curl {url}/predict{_head(tokens.predict, PREDICT)} -d {quote(body)}",
        f"  curl {url}/feedback{_head(label_key, LABEL, of=name)} -d {quote(label)}",
    )


def _head(key: Key | None, variable: str, *, of: str = "") -> str:
    """Return the headers that a request needs, for a shell.

    Args:
        key: That it brings, if it needs one.
        variable: Of the environment, that may hold it.
        of: Name of the key in its file, which holds others then.
    """
    kind = ' -H "Content-Type: application/json"'
    if key is None:
        return kind
    value = f"${variable}" if key.file is None else f"$(cat {quote(str(key.file))})"
    if of:
        value = f"$(awk '$1 == \"{of}\" {{print $2}}' {quote(str(key.file))})"
    return f'{kind} -H "Authorization: Bearer {value}"'
