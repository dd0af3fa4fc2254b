"""`sweep fetch`: bring a study that ran on a cluster into the results folder of this machine."""

from __future__ import annotations

import click

from search.cli import console
from search.cli.afar import address_of_environment
from search.cli.options import Common, common, example, insecure_cluster
from search.cli.stored import is_meant
from search.errors import ExitCode, InputError, RefusedError


@click.command(
    "fetch",
    short_help="Bring a study home from a cluster, or an object store.",
    epilog=example(
        "sweep fetch rain-20260102-1500 --address ray://10.0.0.1:10001",
        "sweep fetch rain-20260102-1500 --refresh --address ray://10.0.0.1:10001",
        "sweep fetch s3://bucket/sweeps/rain-20260102-1500",
    ),
)
@click.argument("study")
@click.option("--address", metavar="ADDR", help="Of the cluster that the study was sent to (default: RAY_ADDRESS).")
@click.option("--refresh", is_flag=True, help="Bring a copy that is here up to date.")
@insecure_cluster
@common
def fetch_command(shared: Common, *, study: str, address: str | None, refresh: bool) -> int:
    """Bring a STUDY home from the cluster that it was sent to, or by its URL: its trials, checkpoints and logs.

    It arrives whole or not at all; a fetch that was cut off goes on where it was. What arrives is a copy, also of a
    study that still runs: `sweep resume` goes on with the one on the cluster.
    """
    if is_meant(study):
        return _from_store(shared, study, refresh=refresh)
    from search.tuner import cluster
    from search.tuner.away import reached
    from search.tuner.fetching import fetch

    address = address or address_of_environment()
    if address is None:
        raise InputError(
            "`sweep fetch` needs the cluster that has the study", field="--address", hint="ray://HOST:10001"
        )
    cluster.set_environment(address)
    with reached(address) as away:
        folder = fetch(away, study, shared.results, refresh=refresh)
        running = away.call("look", folder.name).begun
    if shared.json:
        console.out_json({"study": folder.name, "results": str(folder.root), "running": running})
    else:
        console.out(str(folder.root))
    if running:
        console.say(f"it still runs on {address}; --refresh brings what has grown")
    texts = (
        [f"show {folder.name}", f"report {folder.name}"]
        if running
        else [f"show {folder.name}", f"promote {folder.name}"]
    )
    console.say("", "next", *(f"  {shared.command(text)}" for text in texts))
    return ExitCode.DONE


def _from_store(shared: Common, url: str, *, refresh: bool) -> int:
    """Bring a study from an object store."""
    from search.paths import StudyFolder
    from search.remote.copies import bring
    from search.remote.place import Place

    where, _, study = url.rstrip("/").rpartition("/")
    place, folder = Place.at(where), StudyFolder.of(shared.results, study)
    if folder.exists() and not refresh:
        raise RefusedError(f"{folder.root} exists already", field="STUDY", hint="--refresh brings it up to date")
    bring(place, study, shared.results, whole=True)
    if shared.json:
        console.out_json({"study": study, "results": str(folder.root), "running": None})
    else:
        console.out(str(folder.root))
    console.say("", "next", *(f"  {shared.command(text)}" for text in (f"show {study}", f"promote {study}")))
    return ExitCode.DONE
