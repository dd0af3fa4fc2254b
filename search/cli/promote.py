"""`sweep promote`: make the best of a study a version of a model that others use."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from search import extras
from search.cli import console, sweeping, words
from search.cli.options import Common, common, example
from search.errors import ExitCode

if TYPE_CHECKING:
    from search.promote.estimates import Estimate
    from search.promote.promoted import Promoted


@click.command(
    "promote",
    short_help="Make the best of a study a model that others use.",
    epilog=example(
        "sweep promote rain --as rain",
        "sweep promote rain --as rain --top 5 --seeds 5 --refit --calibrate",
        "sweep promote churn --as churn --cost fn=5,fp=1 --group town --worst-group town:accuracy=0.7",
        "sweep promote rain --as rain --candidate",
    ),
)
@click.argument("study")
@click.option("--as", "name", metavar="NAME", required=True, help="Name of the model that it is a version of.")
@click.option("--top", metavar="K", default="3", help="How many of the best trials are confirmed (default 3).")
@click.option("--seeds", metavar="S", default="3", help="Trainings of each, with fresh seeds (default 3).")
@click.option("--trial", metavar="N", help="Promote this trial, without confirming any.")
@click.option("--refit", is_flag=True, help="Train it on train and validation rows, as long as was best.")
@click.option("--ensemble", is_flag=True, help="Let all confirmed trials vote, in one graph.")
@click.option("--calibrate", is_flag=True, help="Soften or sharpen probabilities until they mean what they say.")
@click.option("--cost", metavar="fn=5,fp=1", help="Of two classes: choose the threshold that costs least.")
@click.option("--group", metavar="COLUMN", help="Score each value of a column as well.")
@click.option("--min-gain", metavar="X", help="Gain over production that is asked for; below 0: what may be lost.")
@click.option("--max-latency", metavar="30ms", help="What 95 of 100 single rows may take.")
@click.option("--max-size", metavar="10m", help="What the bundle's files may take.")
@click.option("--floor", metavar="METRIC=X", multiple=True, help="Worst value of a metric (repeatable).")
@click.option("--worst-group", metavar="COLUMN:METRIC=X", help="Worst value of a metric for any value of a column.")
@click.option("--worst-class", metavar="recall=X", help="Worst recall or precision of any class.")
@click.option("--no-comparison", is_flag=True, help="Do not compare it with what is in production.")
@click.option("--candidate", is_flag=True, help="Register it as candidate; production stays as it is.")
@click.option("--again", metavar="REASON", help="Open the test part once more; the card says so.")
@click.option("--why", metavar="TEXT", help="Why, for the history.")
@click.option("--accept-changes", is_flag=True, help="Go on although the code changed since the study's last run.")
@click.option("--quiet", is_flag=True, help="Show nothing while it runs.")
@common
def promote_command(shared: Common, *, study: str, name: str, accept_changes: bool, quiet: bool, **flags: Any) -> int:
    """Confirm the best trials of a STUDY, test the winner once, and register it as a version of a model.

    Whatever it lacks is refused, with the figures: parity of the bundle with the trained pipeline, a gain over the
    naive baseline and over what is in production, and every bound that is given.
    """
    extras.check_promotion()
    from search.promote.choices import Promotion
    from search.promote.promoting import promote

    choices = Promotion.of(name, flags)
    stored, shared = sweeping.read_study(shared, study)
    promoted = promote(stored, choices, sweeping.manner(quiet=quiet, accept_changes=accept_changes))
    if shared.json:
        console.out_json(promoted.to_json())
    else:
        console.out("", *lines(promoted, columns=console.width(sys.stdout)))
    if not quiet and not shared.json:
        model = promoted.name if promoted.production else f"{promoted.name}@candidate"
        moves = [] if promoted.production else [f"models {promoted.name} --move production={promoted.version}"]
        texts = [f"serve {model}", f"predict {model} INPUT -o OUTPUT", f"mobile {model} -o DIR", *moves]
        console.say("", "next", *(f"  {shared.command(text)}" for text in texts))
    return ExitCode.DONE


def lines(promoted: Promoted, *, columns: int | None = None) -> list[str]:
    """Return a promotion as text."""
    scores, members = promoted.scores, promoted.manifest.members
    alias = "production" if promoted.production else "candidate"
    of = f"trial{'s'[: len(members) > 1]} {', '.join(str(one.number) for one in members)}"
    told = [
        f"model    {promoted.name}:{promoted.version}   {alias}   {of} of {promoted.manifest.study}",
        f"bundle   {promoted.folder}   {promoted.size_bytes / 1e3:,.0f} kB",
        f"tested   on {scores.rows:,} rows that neither the search nor the training saw" + _used(promoted.tests_before),
        "",
    ]
    order = sorted(scores.metrics, key=lambda name: name != scores.main)
    rows = [
        [name, words.number(found.value), _interval(found), words.number(scores.baseline.get(name))]
        for name in order
        for found in (scores.metrics[name],)
    ]
    told += console.table(["on test rows", "value", "95% interval", "naive baseline"], rows, columns=columns)
    if scores.groups is not None:
        of_groups = [
            [
                one.name,
                str(one.rows),
                "-" if one.score is None else words.number(one.score.value),
                "-" if one.score is None else _interval(one.score),
            ]
            for one in scores.groups.groups
        ]
        heads = [scores.groups.column, "rows", scores.groups.metric, "95% interval"]
        told += ["", *console.table(heads, of_groups, columns=columns)]
    optimism = scores.optimism
    if optimism is not None and optimism.gap is not None and optimism.test is not None:
        way = "better than" if optimism.gap > 0 else "worse than"
        apart = f"by {words.number(abs(optimism.gap))} {way}" if optimism.gap else "the same as"
        told += ["", f"the search's best {optimism.searched} was {words.number(optimism.found)}: {apart} on test rows"]
    return [*told, *([""] if promoted.notes or scores.notes else []), *promoted.notes, *scores.notes]


def _used(before: int) -> str:
    return f", but {before} earlier test{'s'[: before != 1]} did" if before else ""


def _interval(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return "-"
    return f"{words.number(found.low)} to {words.number(found.high)}"
