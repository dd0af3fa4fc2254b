"""Who asked: what a command that runs at a cluster's home, for somebody elsewhere, calls the cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from search.errors import InputError, RefusedError
from search.paths import check_study_name

VARIABLE: Final = "SWEEP_ASKED_AT"
"""Environment variable by which a home tells its commands what their asker calls the cluster."""

COMMANDS: Final = ("list", "show", "watch", "logs", "stop", "enqueue", "retry", "edit", "resume", "rm")
"""What may be asked from outside."""

_OF_THE_HEAD: Final = ("--address", "--results", "--web", "--open", "--port", "--space")
"""Options that would lead out of the head's results folder, or are for whoever sits there."""

FILES: Final = ("tensorboard:", "mlflow:/", "mlflow:file:", "mlflow:sqlite:", "sqlite:")
"""How trackers and storages begin that are files of the machine that named them."""

_WITH_MORE: Final = ("logs", "enqueue", "retry")
"""Commands that take more than studies and options, which comes after `--`."""

_MOST: Final = 100_000


def check(command: str, studies: Sequence[str], arguments: Sequence[str]) -> None:
    """Refuse what would lead out of the results folder of a home.

    Args:
        command: Of `sweep`.
        studies: Names, or starts of names, that it is about.
        arguments: Options, each as one with its value; and, after `--`, all else.

    Raises:
        InputError: A study is none of a results folder, or an argument is none.
        RefusedError: It is none of those that may be asked, or not so.
    """
    if command not in COMMANDS:
        raise RefusedError(f"`sweep {command[:20]}` does not run on a cluster")
    for study in studies:
        if "/" in study:
            raise InputError(f"from elsewhere a study has a name, got {study[:120]!r}", field="study")
        check_study_name(study)
    if any("\0" in one for one in arguments) or sum(map(len, arguments)) > _MOST:
        raise InputError(f"`sweep {command}` takes no such arguments on a cluster", field="arguments")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    plain = [*arguments[end:], *(one for one in arguments[:end] if not one.startswith("-"))]
    if plain and (command not in _WITH_MORE or len(plain) > len(arguments[end:])):
        raise InputError(f"from elsewhere `sweep {command}` takes studies by name, got {plain[-1][:120]!r}")
    for one in arguments[:end]:
        name, _, value = one.partition("=")
        if name in _OF_THE_HEAD or value.startswith(FILES):
            raise RefusedError(f"`sweep {command} {one[:60]}` does not run on a cluster", field=name)


def asked_at() -> str:
    """Return the address under which somebody elsewhere asked for this command; "" if it was typed here."""
    return os.environ.get(VARIABLE, "")
