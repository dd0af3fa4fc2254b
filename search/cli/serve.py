"""`sweep serve`: a promoted model as a web API."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from search.cli import console
from search.cli.extras import needed
from search.cli.options import Common, common, example, insecure_cluster
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.serve.backend import Served
    from search.serving.hosts import Hosts
    from search.serving.key import Key

_Command = TypeVar("_Command", bound=Callable[..., Any])

_VARIABLE: Final = "SWEEP_TOKEN"
LIBRARIES: Final = ("httptools", "onnxruntime", "prometheus_client", "starlette", "uvicorn", "uvloop", "h11")
_SHOWN: Final = 1000
"""Characters of an example that a terminal takes."""


def limited(command: _Command) -> _Command:
    """Add what a client of the web API may do, and how many threads answer it."""
    options = (
        click.option(
            "--threads",
            metavar="N",
            default=1,
            type=click.IntRange(1, 256),
            help="Threads of one prediction (default: 1).",
        ),
        click.option("--max-body", metavar="SIZE", default="8m", help="Largest request (default: 8m)."),
        click.option(
            "--max-rows",
            metavar="N",
            default=10_000,
            type=click.IntRange(1, 10_000_000),
            help="Most rows of a request (default: 10000).",
        ),
        click.option(
            "--rate",
            metavar="N",
            default=0.0,
            type=click.FloatRange(0, 1e6),
            help="Requests a second that one client may send (default: 0, any number).",
        ),
        click.option(
            "--timeout",
            metavar="TIME",
            default="30s",
            help="How long a request may take to come in, and again to be answered (default: 30s).",
        ),
    )
    for option in reversed(options):  # a decorator that comes first stands below
        command = option(command)
    return command


@click.command(
    "serve",
    short_help="A promoted model as a web API.",
    epilog=example(
        "sweep serve rain",
        "sweep serve rain@candidate --port 8001",
        "SWEEP_TOKEN=$(openssl rand -hex 32) sweep serve rain --host 0.0.0.0 --workers 4",
        "sweep serve rain --address 10.0.0.1:6379 --replicas 2 --max-replicas 8",
    ),
)
@click.argument("model")
@click.option("--host", metavar="HOST", default="127.0.0.1", help="Address to listen on (default: 127.0.0.1).")
@click.option("--port", metavar="N", default=8000, type=click.IntRange(0, 65_535), help="Port (default: 8000; 0: any).")
@click.option("--token-file", metavar="FILE", help="File with the token that requests bring.")
@click.option("--allow-host", metavar="NAME", multiple=True, help="Another name it may be called by (repeatable).")
@click.option(
    "--workers", metavar="N", default=1, type=click.IntRange(1, 256), help="Processes that predict (default: 1)."
)
@limited
@click.option("--address", metavar="ADDR", help="Serve on this Ray cluster, by Ray Serve.")
@insecure_cluster
@click.option(
    "--replicas", metavar="N", type=click.IntRange(1, 1000), help="With --address: processes that predict (default: 1)."
)
@click.option(
    "--max-replicas", metavar="N", type=click.IntRange(1, 1000), help="With --address: grow to so many under load."
)
@common
def serve_command(
    shared: Common,
    *,
    model: str,
    host: str,
    port: int,
    token_file: str | None,
    allow_host: tuple[str, ...],
    workers: int,
    threads: int,
    max_body: str,
    max_rows: int,
    rate: float,
    timeout: str,
    address: str | None,
    replicas: int | None,
    max_replicas: int | None,
) -> int:
    """Answer predictions of MODEL over HTTP until Ctrl-C; MODEL is a name, name@alias, name:version or a folder.

    A model that is asked for by an alias (a bare name is its alias `production`) is followed: when the alias moves, the
    new version answers. A host that others reach needs a token: from --token-file, else from SWEEP_TOKEN.
    """
    from search import parsers
    from search.cli.serve_cluster import check_replicas, serve_there
    from search.serving.hosts import Hosts
    from search.serving.ports import address_of, bind, url_at, url_of

    check_replicas(address, port, workers, rate, replicas, max_replicas)
    limit = body_bytes(max_body)
    timeout_s = parsers.seconds("--timeout", timeout)
    key = _key(token_file)
    with needed("serve", *LIBRARIES, what="serving"):
        from search.registry.resolving import resolve
        from search.serve import serving
        from search.serve.backend import Served
        from search.serve.limits import Limits
        from search.serve.swapping import Followed

    resolved = resolve(shared.results, model)
    served = Served(resolved.open(), resolved.name, resolved.version)
    limits = Limits(body_bytes=limit, rows=max_rows, timeout_s=timeout_s, rate=rate)
    if address is not None:
        from search.serve.cluster import Site

        hosts, url = Hosts.of(address_of(host), host, allow_host), url_at(host, port)
        _refuse_open(host, hosts, key)
        site = Site(host, port, replicas or 1, max_replicas or replicas or 1, threads, limits, hosts, key)
        asked = model if resolved.alias else None
        serve_there(shared, served, site, address, asked, lambda: _tell(shared, served, url, key))
        return ExitCode.DONE
    with bind(host, port) as bound:
        hosts = Hosts.of(str(bound.getsockname()[0]), host, allow_host)
        _refuse_open(host, hosts, key)
        url = url_of(bound, host)
        serving.serve(
            serving.backend_of(served, limits, workers, threads, console.say),
            bound,
            limits=limits,
            hosts=hosts,
            key=key,
            followed=Followed(shared.results, model, console.say) if resolved.alias else None,
            listening=lambda: _tell(shared, served, url, key),
        )
    return ExitCode.DONE


def body_bytes(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([km])b?", text.strip().lower())
    size = int(float(match[1]) * {"k": 1e3, "m": 1e6}[match[2]]) if match else 0
    if not 1000 <= size <= 1_000_000_000:
        said = f"--max-body must be a size between 1k and 1000m, got {text[:40]!r}"
        raise InputError(said, field="--max-body", hint="try 8m")
    return size


def _key(file: str | None) -> Key | None:
    from search.serving.key import key_of, read_key

    if file is not None:
        return read_key(Path(file), flag="--token-file")
    variable = os.environ.get(_VARIABLE)
    return None if variable is None else key_of(variable, _VARIABLE, flag="--token-file")


def _refuse_open(host: str, hosts: Hosts, key: Key | None) -> None:
    """Refuse to let strangers in without a token.

    Raises:
        InputError: They would get in.
    """
    if key is None and not hosts.loopback:
        hint = f"set {_VARIABLE}, or name a file with --token-file"
        raise InputError(f"--host {host} lets other machines in, so requests need a token", field="--host", hint=hint)


def _tell(shared: Common, served: Served, url: str, key: Key | None) -> None:
    if shared.json:
        told = {"model": served.label, "state": "listening", "url": url, "digest": served.bundle.digest}
        console.out_json({**told, "token": key is not None})
        sys.stdout.flush()
        return
    from search.serve.examples import example_row

    console.say(f"{served.label} answers on {url}/predict; {url} tries it by hand; Ctrl-C ends it")
    body = json.dumps(example_row(served.bundle.signature), ensure_ascii=False)
    if len(body) > _SHOWN:
        return
    token = ""
    if key is not None:
        token = f' -H "Authorization: Bearer $(cat {quote(str(key.file))})"' if key.file else ""
        token = token or f' -H "Authorization: Bearer ${_VARIABLE}"'
    console.say("", f'  curl {url}/predict -H "Content-Type: application/json"{token} -d {quote(body)}')
