"""Every command and flag has help with an example, and stands in the reference."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from search.cli.commands import COMMANDS, cli
from search.cli.usage import FOREIGN

REFERENCE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")

GROUP = click.Context(cli, info_name="sweep", **cli.context_settings)


def command(name: str) -> click.Command:
    found: click.Command | None = cli
    for part in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(GROUP, part)
    assert found is not None
    return found


GROUPS = [name for name in COMMANDS if isinstance(command(name), click.Group)]
"""Commands that are only the start of others."""

NAMES = [name for name in COMMANDS if name not in GROUPS]
for group in GROUPS:
    NAMES += [f"{group} {name}" for name in getattr(command(group), "commands", ())]


def options(name: str) -> list[click.Option]:
    return [one for one in command(name).params if isinstance(one, click.Option)]


@pytest.mark.parametrize("name", [*GROUPS, *NAMES])
def test_every_command_has_help_with_an_example(name: str) -> None:
    text = command(name).get_help(click.Context(command(name), info_name=name, parent=GROUP))
    assert command(name).help
    assert command(name).short_help
    assert re.search(rf"Example:\n\n +sweep {name}\b", text)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_takes_results_json_and_help(name: str) -> None:
    flags = {flag for option in options(name) for flag in option.opts}
    assert {"--results", "--json", "--verbose"} <= flags
    assert "--help" in command(name).get_help(click.Context(command(name), info_name=name, parent=GROUP))


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_has_help_and_stands_in_the_reference(name: str) -> None:
    part = (
        REFERENCE.split(f"## sweep {name}\n")[1].split("\n## ")[0] + REFERENCE.split("## Options of every command")[1]
    )
    for option in options(name):
        assert option.help, option.name
        value = f" {option.metavar}".replace("|", "\\|") if option.metavar else ""
        assert f"| `{', '.join(option.opts)}{value}` | {option.help} |" in part


def test_the_reference_names_no_flag_that_is_not_there() -> None:
    there = {flag for name in NAMES for option in options(name) for flag in option.opts} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", REFERENCE)) <= there


def test_what_other_tools_call_our_flags_leads_to_flags_that_are_there() -> None:
    there = {flag for option in options("run") for flag in option.opts}
    meant = {word for text in FOREIGN.values() for word in text.split() if word.startswith("--")}
    assert meant <= there
    assert not there & set(FOREIGN)
