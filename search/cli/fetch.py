"""`sweep fetch`: bring a study that ran on a cluster into the results folder of this machine."""

from __future__ import annotations

import click

from search.cli import console
from search.cli.options import Common, common, example
from search.errors import ExitCode


@click.command(
    "fetch",
    short_help="Bring a study home from a cluster.",
    epilog=example("sweep fetch rain-20260102-1500 --address ray://10.0.0.1:10001"),
)
@click.argument("study")
@click.option("--address", metavar="ADDR", required=True, help="Of the cluster that the study was sent to.")
@common
def fetch_command(shared: Common, *, study: str, address: str) -> int:
    """Bring a STUDY home from the cluster that it was sent to: its trials, checkpoints and logs."""
    from search.tuner import cluster
    from search.tuner.away import fetch, reached

    cluster.set_environment(address)
    with reached(address) as away:
        folder = fetch(away, study, shared.results)
    if shared.json:
        console.out_json({"study": study, "results": str(folder.root)})
    else:
        console.out(str(folder.root))
    console.say("", "next", f"  {shared.command(f'show {study}')}", f"  {shared.command(f'promote {study}')}")
    return ExitCode.DONE
