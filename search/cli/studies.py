"""`sweep list`, `sweep show` and `sweep table`: look at studies, also while they run."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from search.asked import asked_at
from search.cli import console, words
from search.cli.afar import VARIABLE, address_of_environment, from_afar
from search.cli.options import Common, common, example
from search.durations import duration
from search.errors import ExitCode, InputError, SweepError

if TYPE_CHECKING:
    from search.records.importances import Importances
    from search.records.study import StoredStudy

_LEADERS = 10
_PARAMETERS = 15


@click.command(
    "list",
    short_help="All studies: state, trials, best.",
    epilog=example("sweep list", "sweep list --json --results /data/results"),
)
@from_afar("list")
@common
def list_command(shared: Common) -> int:
    """List all studies: where each stands, its trials and its best value."""
    from search.records import find, study

    found, unreadable = [], []
    for folder in find.all_studies(shared.results):
        try:
            found.append(study.status(study.read(folder)))
        except SweepError as fault:
            unreadable.append((folder.name, fault.sentence()))
    if shared.json:
        told: dict[str, Any] = {"studies": [status.to_json() for status in found]}
        if unreadable:
            told["unreadable"] = [{"study": name, "message": said} for name, said in unreadable]
        console.out_json(told)
        return ExitCode.DONE
    ranked = any(status.priority for status in found)
    rows = [
        (
            status.study,
            words.state(status),
            *([status.priority] if ranked else []),
            words.ended(status),
            " ".join(status.metrics),
            words.number(status.best.values[0] if status.best else None),
            duration(status.seconds),
        )
        for status in found
    ]
    if rows:
        headers = ["study", "state", *(["priority"] if ranked else []), "trials", "metric", "best", "time"]
        console.out(*console.table(headers, rows, columns=console.width(sys.stdout)))
    for _, said in unreadable:
        console.say(f"cannot be read: {said}")
    if not found and not unreadable:
        console.say(f"no studies in {shared.results}; `{shared.command('run tabular')}` makes one")
    if (named := address_of_environment()) is not None and not asked_at():
        console.say(f"{VARIABLE} names a cluster: `sweep list --address {quote(named)}` shows the studies there")
    return ExitCode.DONE


@click.command(
    "show",
    short_help="One study, or one of its trials.",
    epilog=example(
        "sweep show tabular-2026", "sweep show tabular-2026 --trial best", "sweep show tab --trial 7 --json"
    ),
)
@click.argument("study")
@click.option("--trial", "which", metavar="N|best|last", help="Show one trial: parameters, curve, log, error, why.")
@from_afar("show")
@common
def show_command(shared: Common, *, study: str, which: str | None) -> int:
    """Show a STUDY (a name, the start of one, or a folder): leaderboard and states, or one of its trials."""
    from search.records import find
    from search.records import study as records

    stored = records.read(find.study_folder(shared.results, study))
    shared = shared.at(stored.folder)
    if which is not None:
        from search.cli import trial

        described = trial.describe(stored, records.trial(stored, which))
        if shared.json:
            console.out_json(described.to_json())
        else:
            console.out(*trial.lines(described, shared))
        return ExitCode.DONE
    from search.records import importances
    from search.study import edits

    important = importances.of(stored)
    if shared.json:
        told = {**records.status(stored).to_json(), "importances": important.shares}
        told["edits"] = [edit.to_json() for edit in edits.stored(stored.attributes)]
        told["importances_intervals"] = {one.name: [one.low, one.high] for one in important.parameters}
        told["importances_by_chance"] = [one.name for one in important.parameters if not one.is_told]
        if important.is_sample:
            told["importances_from"] = {"trials": important.trials, "of": important.of}
        console.out_json(told)
    else:
        _show_study(shared, stored, important)
    return ExitCode.DONE


def _show_study(shared: Common, stored: StoredStudy, important: Importances) -> None:
    from search.cli.edit import told_later as edit_lines
    from search.records.failures import in_common
    from search.records.leaderboard import leaders
    from search.records.study import status as status_of
    from search.study import edits

    status = status_of(stored)
    console.out(*words.summary(status))
    columns = console.width(sys.stdout)
    if board := words.leaderboard(leaders(stored, _LEADERS), status.metrics, columns=columns):
        console.out("", *board)
    if important.parameters:
        console.out("", *_importances(important, columns))
    if edited := edits.stored(stored.attributes):
        console.out("", *(line for edit in edited for line in edit_lines(edit)))
    if failed := in_common(stored.records):
        console.out("", *failed)
    if stored.holder is not None:
        console.out("", f"run by pid {stored.holder.known_as} on {stored.holder.host}")
        console.out(*(line for line in words.live(status, columns=columns or 120, rows=24) if line.startswith("  ")))
    number = "best" if status.best else "last"
    if stored.records:
        console.say("", "next", f"  {shared.command(f'show {status.study} --trial {number}')}")


def _importances(important: Importances, columns: int | None) -> list[str]:
    """Return the importances as lines: those that are worth one, with what makes them believed."""
    told = [one for one in important.parameters if one.is_told or one.share >= 0.005][:_PARAMETERS]
    rows = [
        (
            one.name,
            f"{one.share:.0%}",
            f"{one.low:.0%} to {one.high:.0%}",
            f"with {one.condition}" if one.condition else "",
            one.verdict,
        )
        for one in told
    ]
    lines = console.table(["what mattered", "share", "90% interval", "only", ""], rows, columns=columns)
    if rest := len(important.parameters) - len(told):
        lines.append(f"({rest} more: {sum(one.share for one in important.parameters if one not in told):.0%} together)")
    lines.append("(by PED-ANOVA; the report adds fANOVA: what explains the variance)")
    if important.is_sample:
        lines.append(f"(from {important.trials} of {important.of} {'trials' if important.resting else 'ended trials'})")
    return lines


@click.command(
    "table",
    short_help="Trials or reports as CSV, Parquet or JSON.",
    epilog=example("sweep table tabular-2026 -o trials.csv", "sweep table tabular-2026 --reports -o reports.parquet"),
)
@click.argument("study")
@click.option("-o", "--output", metavar="FILE", required=True, help="File to write: .csv, .parquet or .json.")
@click.option("--reports", is_flag=True, help="One row per reported step, and not per trial.")
@common
def table_command(shared: Common, *, study: str, output: str, reports: bool) -> int:
    """Write the trials of a STUDY, or all their reports, as CSV, Parquet or JSON."""
    from search.records import find
    from search.records import study as records

    path = Path(output)
    if "\0" in output or path.suffix.lower() not in (".csv", ".parquet", ".json"):
        raise InputError(f"-o takes a .csv, .parquet or .json file, got {output!r}", field="--output")
    stored = records.read(find.study_folder(shared.results, study))

    from search.records import tables

    frame = tables.reports(stored) if reports else tables.trials(stored)
    tables.write(frame, path)
    told = {"study": stored.plan.study, "file": str(path), "rows": len(frame), "columns": list(frame.columns)}
    if shared.json:
        console.out_json(told)
    else:
        console.out(f"{path}: {len(frame)} rows, {len(frame.columns)} columns")
    return ExitCode.DONE
