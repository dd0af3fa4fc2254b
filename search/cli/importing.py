"""`sweep import`: take over a search space, or a study, from another tool."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from search.choosing import BY_NAME
from search.cli import console
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError
from search.paths import StudyFolder

if TYPE_CHECKING:
    from search.adopt.spaces.space import ForeignSpace

_SHARED: Final = ("data", "target", "metric", "direction", "sampler", "pruner", "max-epochs")
"""Options of `sweep run` that an imported study may have, too."""


def _planned(function: Any) -> Any:
    """Add the options of a plan, as raw text."""
    for name in reversed(_SHARED):
        one = BY_NAME[name]
        add = click.option(one.flag, one.key, metavar=one.placeholder, multiple=one.many, help=one.help)
        function = add(function)
    return function


@click.command(
    "import",
    short_help="Take over a study or a search space of another tool.",
    epilog=example(
        "sweep import sqlite:///old.db --as rain",
        "sweep import ~/ray_results/exp --metric loss --direction minimize",
        "sweep import sweep.yaml > spaces/mine.py",
    ),
)
@click.argument("source")
@click.option("--as", "name", metavar="NAME", help="Name of the study here (default: its own).")
@click.option("--study-name", "wanted", metavar="NAME", help="Which study of the storage, if it holds several.")
@click.option("--objective", metavar="REF", help="Objective that a `sweep resume` goes on with (default: none).")
@click.option("--space", metavar="SPACE", help="Search space (default: the objective's own, or the values seen).")
@_planned
@click.option("-o", "--output", metavar="FILE", help="File for a search space (default: stdout).")
@common
def import_command(shared: Common, *, source: str, output: str | None, **flags: Any) -> int:
    """Take over SOURCE: trials, which become a study here, or a search space, which is printed as Python.

    A study is an Optuna storage (a journal or SQLite file, or a URL) or the folder of a Ray Tune experiment. A space is
    a W&B sweep, a Katib experiment, an NNI search space, or a Python file with a param_space of Ray Tune's.
    """
    from search.adopt.spaces import read as spaces

    if (found := spaces.read(source)) is not None:
        return _print_space(shared, found, output, flags)
    if output is not None:
        raise InputError("-o is for a search space, and SOURCE is a study", field="--output", hint="--as names it")
    return _import_study(shared, source, flags)


def _print_space(shared: Common, found: ForeignSpace, output: str | None, flags: dict[str, Any]) -> int:
    given = [f"--{name.replace('_', '-')}" for name, value in flags.items() if value not in (None, ())]
    if given:
        listed = ", ".join("--as" if flag == "--name" else flag for flag in given)
        raise InputError(
            f"SOURCE is a search space, which takes no {listed}", field=listed, hint="give them to `sweep run`"
        )
    if output is not None:
        path = Path(output)
        if path.exists():
            raise InputError(f"{path} exists already", field="--output", hint="choose another file, or remove it")
        path.write_text(found.python(), encoding="utf-8")
    if shared.json:
        console.out_json(found.to_json())
    elif output is None:
        console.out(*found.python().rstrip("\n").split("\n"))
    console.say(*found.notes)
    return ExitCode.DONE


def _import_study(shared: Common, source: str, flags: dict[str, Any]) -> int:
    from search.adopt.importing.study import Wanted, take_over

    wanted = Wanted(
        name=flags.pop("name"),
        study=flags.pop("wanted"),
        objective=flags.pop("objective"),
        space=flags.pop("space"),
        options={option: flags[BY_NAME[option].key] for option in _SHARED},
    )
    with redirect_stdout(sys.stderr):  # what the user's code prints is talk
        folder, notes = take_over(source, wanted, shared.results, Path.cwd(), say=console.say)
    folder = StudyFolder(shared.results / folder.name)  # as the user wrote it
    _show(shared, folder, has_objective=wanted.objective is not None)
    console.say(*notes)
    _say_next(shared, folder, has_objective=wanted.objective is not None)
    return ExitCode.DONE


def _show(shared: Common, folder: StudyFolder, *, has_objective: bool) -> None:
    from search.cli import words
    from search.records import study as records

    status = records.status(records.read(folder))
    if shared.json:
        console.out_json({**status.to_json(), "objective": has_objective})
    else:
        console.out(*words.summary(status))


def _say_next(shared: Common, folder: StudyFolder, *, has_objective: bool) -> None:
    name = folder.name
    commands = [f"show {name}", f"table {name} -o {name}.csv"]
    if has_objective:
        commands.append(f"resume {name} --trials +20")
    console.say("", "next", *(f"  {shared.command(text)}" for text in commands))
