"""`sweep rm`: deletes studies, after asking."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from search.cli import console
from search.cli.afar import from_afar
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError, SweepError
from search.paths import StudyFolder


@click.command(
    "rm",
    short_help="Delete studies, after asking.",
    epilog=example("sweep rm tabular-2026", "sweep rm tabular-2026 digits-2026 --yes"),
)
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@from_afar("rm")
@common
def rm_command(shared: Common, *, studies: tuple[str, ...], yes: bool) -> int:
    """Delete each STUDY (its exact name, or its folder): its trials, logs, checkpoints and reports.

    Models that were promoted from it stay. Of a study in a database, the study is deleted, and the database stays.
    """
    from search.study import removal
    from search.study.lock import refuse_running

    folders = list(
        {folder.root.resolve(): folder for folder in (_exactly(shared.results, one) for one in studies)}.values()
    )
    for folder in folders:  # all are looked at before the first is deleted
        removal.check_removable(shared.results, folder)
        refuse_running(folder.root, study=folder.name)
    if not yes and not sys.stdin.isatty():
        raise InputError("`sweep rm` asks before it deletes, and nobody can answer here", hint="give --yes to delete")
    removal.clean_up(shared.results)
    removed = []
    for folder in folders:
        if yes or _ask(f"delete study {folder.name!r} {_what(folder)}?"):
            removal.remove(shared.results, folder)
            removed.append(folder.name)
        if not shared.json:
            console.say(f"{'removed' if folder.name in removed else 'kept'} {folder.name}")
    if shared.json:
        console.out_json({"removed": removed})
    return ExitCode.DONE


def _exactly(results: Path, text: str) -> StudyFolder:
    """Return the study of this name or in this folder; the start of a name would delete the wrong one some day."""
    from search.records import find

    known = {folder.name: folder for folder in find.all_studies(results)}
    if text in known:
        return known[text]
    if text and "\0" not in text and "/" in text and StudyFolder(Path(text)).exists():
        return StudyFolder(Path(text.rstrip("/")))
    fitting = [name for name in known if text and name.startswith(text)]
    raise InputError(
        f"no study {text!r} in {results}, and `sweep rm` takes exact names or folders only",
        field="study",
        hint=f"did you mean {fitting[0]!r}?" if len(fitting) == 1 else "`sweep list` shows all",
    )


def _what(folder: StudyFolder) -> str:
    from search.study import removal
    from search.study.peek import Peek
    from search.study.storage import shown

    try:
        count = Peek(folder).count()
        trials = f"with {count} trial{'s'[: count != 1]}"
    except SweepError:
        trials = "with trials that cannot be read"
    url = removal.database_of(folder)
    where = f"{folder.root} and {shown(url)}" if url else str(folder.root)
    return f"{trials}, {removal.size_bytes(folder.root) / 1e6:,.1f} MB, in {where}"


def _ask(question: str) -> bool:
    click.echo(f"{console.one_line(question)} [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
