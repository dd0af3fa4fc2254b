"""`sweep init`: a new project with one objective and one space, ready to run."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Final

import click

from search.cli import console
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError, RefusedError, SurroundingsError
from search.paths import write_atomic

TEMPLATES: Final = Path(__file__).resolve().parent.parent / "templates"
FILES: Final = ("objectives/digits.py", "spaces/digits.py", "README.md")
RUN: Final = "sweep run objectives/digits.py --trials 20"


@click.command(
    "init",
    short_help="A new project, ready to run.",
    epilog=example("sweep init digits", "cd digits && sweep run objectives/digits.py --trials 20"),
)
@click.argument("folder", metavar="DIR")
@common
def init_command(shared: Common, *, folder: str) -> int:
    """Make a new project in DIR: one objective, one search space, a README; it runs as it is."""
    if not folder.strip() or "\0" in folder:
        raise InputError(f"`sweep init` needs a folder, got {folder!r}", field="DIR", hint="try `sweep init digits`")
    root = Path(folder)
    there = [name for name in FILES if (root / name).exists()]
    if there:
        raise RefusedError(
            f"{root} holds {', '.join(there)} already", field="DIR", hint="choose a new folder; nothing was written"
        )
    try:
        for name in FILES:
            write_atomic(root / name, (TEMPLATES / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise SurroundingsError(f"{root} cannot be written: {error.strerror}", field="DIR") from error
    if shared.json:
        console.out_json({"folder": str(root), "files": list(FILES), "run": RUN})
        return ExitCode.DONE
    console.out(f"made {root}", *(f"  {name}" for name in FILES))
    console.say("", "next", f"  cd {quote(str(root))}", f"  {RUN}")
    return ExitCode.DONE
