"""`sweep collect`: an own collection of data, whose rows come in over HTTP."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli import console
from search.cli.extras import needed
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.data.collect.limits import Limits
    from search.data.collect.place import CollectionFolder
    from search.data.collect.schema import Schema


@dataclass(frozen=True, slots=True)
class _Where:
    """Where a collection is served, and kept."""

    host: str
    port: int
    allowed: tuple[str, ...]
    key_file: Path | None
    segment_bytes: int


@click.command(
    "collect",
    short_help="Take rows over HTTP into a data set.",
    epilog=example(
        "sweep collect visits --schema visits.toml",
        "sweep collect visits --compact",
        "sweep run tabular --data collected:visits",
    ),
)
@click.argument("name")
@click.option("--schema", "schema_file", metavar="FILE", help="TOML with [columns]; needed the first time.")
@click.option("--host", metavar="HOST", default="127.0.0.1", help="Address to listen on (default: 127.0.0.1).")
@click.option("--port", metavar="N", default=8075, type=click.IntRange(0, 65_535), help="Port (default: 8075; 0: any).")
@click.option("--key-file", metavar="FILE", help="File with the key (default: one is made once, in its folder).")
@click.option("--allow-host", metavar="NAME", multiple=True, help="Another name it may be called by (repeatable).")
@click.option(
    "--max-mb-per-request",
    metavar="MB",
    default=4.0,
    type=click.FloatRange(0.001, 256),
    help="Largest request (default: 4).",
)
@click.option(
    "--read-timeout",
    "read_s",
    metavar="SECONDS",
    default=10.0,
    type=click.FloatRange(0.1, 3600),
    help="How long a request may take to come in (default: 10).",
)
@click.option(
    "--segment-mb",
    metavar="MB",
    default=32.0,
    type=click.FloatRange(0.001, 4096),
    help="Compact the log to Parquet each so many MB (default: 32).",
)
@click.option("--compact", "only_compact", is_flag=True, help="Compact what is there to Parquet, and take no rows.")
@common
def collect_command(
    shared: Common,
    *,
    name: str,
    schema_file: str | None,
    host: str,
    port: int,
    key_file: str | None,
    allow_host: tuple[str, ...],
    max_mb_per_request: float,
    read_s: float,
    segment_mb: float,
    only_compact: bool,
) -> int:
    """Collect rows under NAME until Ctrl-C; `--data collected:NAME` then is what has come by then.

    The key that requests bring comes from --key-file, else from SWEEP_COLLECT_KEY, else it is made once.
    """
    from search.data.collect.place import CollectionFolder
    from search.paths import DataFolder, check_name

    check_name(name, what="a collection's name", field="NAME")
    folder = CollectionFolder.of(DataFolder.of(shared.results, name))
    if only_compact:
        if schema_file is not None:
            raise InputError("--compact takes no rows, so it takes no --schema", field="--schema")
        return _compact(shared, folder)
    schema = None
    if schema_file is not None:
        from search.data.collect.schema import read_schema

        schema = read_schema(Path(schema_file))
    from search.data.collect.limits import Limits

    limits = Limits(request_bytes=int(max_mb_per_request * 1e6), read_s=read_s)
    given = Path(key_file) if key_file is not None else None
    return _serve(shared, folder, schema, _Where(host, port, allow_host, given, int(segment_mb * 1e6)), limits)


def _compact(shared: Common, folder: CollectionFolder) -> int:
    from search.data.collect.compact import compact

    parts = compact(folder).parts
    told = {
        "collection": folder.name,
        "state": "compacted",
        "rows": sum(part.rows for part in parts),
        "rejected": sum(part.rejected for part in parts),
        "bytes": sum(part.size for part in parts),
        "files": len(parts),
    }
    if shared.json:
        console.out_json(told)
    else:
        console.out(f"{folder.name}: {told['rows']} rows in {told['files']} Parquet files, {told['bytes']} bytes")
    return ExitCode.DONE


def _serve(shared: Common, folder: CollectionFolder, schema: Schema | None, where: _Where, limits: Limits) -> int:
    with needed("collect", "fastapi", "starlette", "uvicorn", "h11", what="collecting"):
        from search.data.collect.serve import serve
        from search.serving.ports import bind, url_of
    from search.data.collect.collection import Collection
    from search.data.collect.key import VARIABLE, find_key
    from search.data.collect.lock import refuse_second
    from search.serving.hosts import Hosts

    refuse_second(folder)  # or a second one would be told of the port, which the first has
    bound = bind(where.host, where.port)
    try:
        collection = Collection.open(folder, schema, segment_bytes=where.segment_bytes)
        try:
            key = find_key(folder, where.key_file, os.environ.get(VARIABLE))
            url = url_of(bound, where.host)
            hosts = Hosts.of(str(bound.getsockname()[0]), where.host, where.allowed)

            def listening() -> None:
                stats = collection.stats()
                if shared.json:
                    told = {"collection": folder.name, "state": "listening", "url": url}
                    key_file = str(key.file) if key.file else None
                    console.out_json({**told, "key_file": key_file, "rows": stats.rows, "rejected": stats.rejected})
                    sys.stdout.flush()
                    return
                console.say(f"{folder.name} listens on {url}/rows; {stats.rows} rows so far; Ctrl-C ends it")
                console.say(f"the key is in {key.file or VARIABLE}; `collected:{folder.name}` is the data")

            serve(collection, key, bound, limits=limits, hosts=hosts, listening=listening)
        finally:
            collection.close()
    finally:
        bound.close()
    return ExitCode.DONE
