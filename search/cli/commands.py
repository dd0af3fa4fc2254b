"""The commands of `sweep`: finds the one that was asked for, runs it, and turns every end into an exit code."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import click

from search import __version__
from search.cli import console, interrupts
from search.cli.usage import told
from search.errors import ExitCode, SurroundingsError, SweepError

COMMANDS: Final = {
    "run": "search.cli.run",
    "resume": "search.cli.resume",
    "stop": "search.cli.steer",
    "enqueue": "search.cli.steer",
    "retry": "search.cli.steer",
    "edit": "search.cli.edit",
    "confirm": "search.cli.confirm",
    "promote": "search.cli.promote",
    "watch": "search.cli.watch",
    "list": "search.cli.studies",
    "show": "search.cli.studies",
    "table": "search.cli.studies",
    "report": "search.cli.report",
    "compare": "search.cli.compare",
    "dashboard": "search.cli.dashboard",
    "models": "search.cli.models",
    "rollback": "search.cli.models",
    "predict": "search.cli.predict",
    "serve": "search.cli.serve",
    "online": "search.cli.online",
    "mobile": "search.cli.mobile",
    "import": "search.cli.importing",
    "collect": "search.cli.collect",
    "data": "search.cli.data",
    "init": "search.cli.init",
    "doctor": "search.cli.doctor",
    "logs": "search.cli.logs",
    "rm": "search.cli.rm",
    "fetch": "search.cli.fetch",
    "cluster": "search.cli.cluster",
}
"""Where each command is declared; its module is imported when it is needed."""

SWEEPING: Final = ("run", "resume", "confirm", "promote")
"""Commands that end at once when they are interrupted before their sweep begins: they hold nothing yet."""


class _Commands(click.Group):
    """The commands, in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), f"{cmd_name}_command")
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example:\n\n\b\n  sweep run tabular --trials 20\n  sweep show tabular --trial best",
)
@click.version_option(__version__, message="sweep %(version)s")
def cli() -> None:
    """Search for the best way to prepare data and train a model, on all CPUs and GPUs there are."""


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    as_json, verbose = "--json" in arguments, "--verbose" in arguments
    console.in_results(Path("results"))  # until a command knows better
    try:
        # not `cli.main`, which makes an exit code of its own of a broken pipe
        with cli.make_context("sweep", list(arguments), obj=tuple(arguments)) as context:
            if not set(SWEEPING) & set(arguments[:1]):
                interrupts.raise_from_here()
            answer: Any = cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except SweepError as fault:
        console.error(fault, as_json=as_json, verbose=verbose)
        return int(fault.code)
    except click.exceptions.NoArgsIsHelpError as asked:
        console.say(asked.format_message())
        return int(ExitCode.INPUT)
    except click.ClickException as fault:
        console.error(told(fault, list(COMMANDS), arguments), as_json=as_json, verbose=verbose)
        return int(ExitCode.INPUT)
    except (KeyboardInterrupt, click.Abort):
        console.restore()
        console.say("interrupted")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        raise
    except OSError as error:
        trouble = SurroundingsError(f"{error.filename or 'a file'}: {error.strerror or error}")
        trouble.__cause__ = error
        console.error(trouble, as_json=as_json, verbose=verbose)
        return int(trouble.code)
    except Exception as fault:
        console.bug(fault, as_json=as_json, verbose=verbose)
        return int(ExitCode.FAILED)
    return int(answer or ExitCode.DONE)
