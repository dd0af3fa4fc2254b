"""Mistakes in a command line, as click finds them, told in our own sentences."""

from __future__ import annotations

from typing import Final

import click

from search.errors import InputError, did_you_mean

FOREIGN: Final = {
    "--n-trials": "--trials",
    "--num-samples": "--trials",
    "--n-iter": "--trials",
    "--n-jobs": "--concurrency",
    "--jobs": "--concurrency",
    "--workers": "--concurrency",
    "--parallel": "--concurrency",
    "--max-concurrent-trials": "--concurrency",
    "--timeout": "--time or --trial-timeout",
    "--time-budget-s": "--time",
    "--max-time": "--time",
    "--num-epochs": "--max-epochs",
    "--max-t": "--max-epochs",
    "--scheduler": "--pruner",
    "--search-alg": "--sampler",
    "--algorithm": "--sampler",
    "--gpus-per-trial": "--gpus",
    "--cpus-per-trial": "--cpus",
    "--resources-per-trial": "--cpus and --gpus",
    "--mode": "--direction",
    "--study-name": "--study",
    "--name": "--study",
    "--csv": "--data",
    "--label": "--target",
    "--cv": "--folds",
    "--n-folds": "--folds",
    "--n-splits": "--folds",
    "--groups": "--split group:COLUMN",
    "--stratify": "--split stratified",
    "--output-dir": "--results",
    "--out-dir": "--results",
    "--local-dir": "--results",
    "--early-stopping": "--patience",
    "--max-retries": "--retries",
    "--dryrun": "--dry-run",
}
"""What other tools call our options."""


def told(fault: click.ClickException, commands: list[str], arguments: list[str]) -> InputError:
    """Return a mistake of usage as our error.

    Args:
        fault: As click found it.
        commands: All there are.
        arguments: What was typed after `sweep`.
    """
    context: click.Context | None = getattr(fault, "ctx", None)
    typed = f"sweep {arguments[0]}" if arguments and arguments[0] in commands else "sweep"
    command = context.command_path if context else typed
    help_ = f"`{command} --help` shows what it takes"
    if isinstance(fault, click.exceptions.NoSuchCommand):
        return InputError(
            f"no command {fault.command_name!r}", field="command", hint=did_you_mean(fault.command_name, commands)
        )
    if isinstance(fault, click.NoSuchOption):
        return _no_such_option(fault, command, help_)
    if isinstance(fault, click.MissingParameter) and fault.param is not None:
        return _missing(fault, command, help_)
    if isinstance(fault, click.BadOptionUsage) and "requires an argument" in fault.message:
        return InputError(f"{fault.option_name} needs a value", field=fault.option_name, hint=help_)
    return InputError(_sentence(fault.format_message()), hint=help_)


def _no_such_option(fault: click.NoSuchOption, command: str, help_: str) -> InputError:
    name = fault.option_name
    known = [
        option
        for parameter in (fault.ctx.command.get_params(fault.ctx) if fault.ctx else [])
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    ]
    ours, close = FOREIGN.get(name.replace("_", "-"), ""), did_you_mean(name, known)
    nearest = close if close.startswith("did you mean") else help_
    hint = f"here it is {ours}" if ours.split(" ")[0] in known else nearest
    return InputError(f"no option {name!r} of '{command}'", field=name, hint=hint)


def _missing(fault: click.MissingParameter, command: str, help_: str) -> InputError:
    assert fault.param is not None
    what = (fault.param.metavar or fault.param.name or "").upper()
    wanted = f"{fault.param.opts[0]} {what}" if isinstance(fault.param, click.Option) else what
    return InputError(f"`{command}` needs {wanted}", field=what, hint=help_)


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]
