"""`sweep run`: launch a sweep, show it while it runs, and say what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.choosing import OPTIONS, choose, read_config
from search.cli import console, words
from search.cli.afar import address_of_environment
from search.cli.options import Common, common, example, insecure_cluster
from search.cli.sweeping import run_sweep
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.launch import Launch


def _plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add every option of a plan, as raw text: `choosing.choose` parses it, wherever it comes from."""
    for option in reversed(OPTIONS):
        function = click.option(
            option.flag, option.key, metavar=option.placeholder, multiple=option.many, help=option.help
        )(function)
    return function


@click.command(
    "run",
    short_help="Launch a sweep and show it while it runs.",
    epilog=example(
        "sweep run tabular --data rain.csv --target rained --trials 50",
        "sweep run objectives/rain.py:Rain --time 30m --set train.lr=0.01",
        "sweep run images --dry-run",
        "sweep run --repeat images-20260102-1500:7",
    ),
)
@click.argument("objective", required=False)
@_plan_options
@click.option("--config", metavar="FILE", help="TOML file of these options; the command line wins.")
@click.option("--repeat", metavar="STUDY:N", help="Run trial N of a study again, alone: same parameters and seeds.")
@click.option("--dry-run", is_flag=True, help="Show the plan, the data and one configuration; run and write nothing.")
@click.option("--accept-changes", is_flag=True, help="Go on although code or data change while the sweep runs.")
@click.option("--quiet", is_flag=True, help="Show nothing while the sweep runs.")
@insecure_cluster
@click.option("--detach", is_flag=True, help="Leave the sweep to the cluster at --address, and return.")
@common
def run_command(
    shared: Common,
    *,
    objective: str | None,
    config: str | None,
    repeat: str | None,
    dry_run: bool,
    accept_changes: bool,
    quiet: bool,
    detach: bool,
    **flags: Any,
) -> int:
    """Launch a sweep of OBJECTIVE: a name of the library (tabular, images), FILE.py:NAME or package.module:NAME."""
    if repeat is not None:
        others = [option.flag for option in OPTIONS if flags[option.key] not in (None, ())]
        others += ["--config"] * (config is not None) + ["--dry-run"] * dry_run + ["--accept-changes"] * accept_changes
        return _repeat(shared, repeat, objective, others)
    given = read_config(Path(config)) if config is not None else {}
    reference = objective or given.pop("objective", None)
    given.pop("objective", None)
    choices = choose({option.name: flags[option.key] for option in OPTIONS}, given)
    if (named := address_of_environment()) is not None:
        choices = choices.with_defaults({"address": named}, "environment")
    if detach and choices["address"] is None:
        raise InputError("--detach leaves a sweep to a cluster", field="--detach", hint="name it: --address HOST:PORT")
    if not isinstance(reference, str) or not reference.strip():
        raise InputError(
            "`sweep run` needs an objective", field="OBJECTIVE", hint="try `sweep run tabular`, or `sweep init DIR`"
        )
    from search.launch import prepare
    from search.tuner.cluster import is_outside

    is_left = detach or is_outside(choices["address"])
    with redirect_stdout(sys.stderr):  # what the user's code prints is talk
        launch = prepare(
            reference,
            choices,
            results=shared.results,
            folder=Path.cwd(),
            accept_changes=accept_changes,
            say=console.say,
            elsewhere=is_left,
        )
    if dry_run:
        return _show_plan(shared, launch)
    if is_left:
        from search.cli.leaving import launch_afar

        return launch_afar(shared, launch, detach=detach, quiet=quiet)
    return run_sweep(shared, launch, quiet=quiet)


def _show_plan(shared: Common, launch: Launch) -> int:
    from search.launch import describe_launch
    from search.tuner.capacity import of_this_machine

    plan, described = launch.plan, describe_launch(launch)
    resources = None
    if plan.address is None:
        have = of_this_machine(plan.cpus, plan.gpus, plan.memory_bytes)
        resources = {"cpus": have.cpus, "gpus": have.gpus, "trials_at_once": min(have.slots, plan.concurrency or 10**9)}
    if shared.json:
        console.out_json({"plan": plan.to_json(), **described, "resources": resources})
        return ExitCode.DONE
    chosen = {
        name: value for name, value in plan.to_json().items() if name != "origins" and value not in (None, [], {})
    }
    origins = {key.replace("-", "_"): origin for key, origin in plan.origins.items()}
    origins |= {"metrics": origins.get("metric", ""), "directions": origins.get("direction", "")}
    rows = [(name, _text(value), origins.get(name.removesuffix("_s"), "")) for name, value in chosen.items()]
    console.out("plan", *(f"  {line}" for line in console.table(["choice", "value", "from"], rows)[1:]))
    for title in ("data", "baseline", "parameters", "example"):
        if described[title]:
            console.out("", title, *(f"  {name} = {_text(value)}" for name, value in described[title].items()))
    if resources is not None:
        console.out("", "resources", *(f"  {name} = {_text(value)}" for name, value in resources.items()))
    console.say("", *launch.notes, "nothing was run or written")
    return ExitCode.DONE


def _text(value: object) -> str:
    return words.number(value) if isinstance(value, float) else str(value)


def _repeat(shared: Common, given: str, objective: str | None, others: list[str]) -> int:
    """Run one stored trial again, in this process; `others` are the flags that would have no effect."""
    from search.records import find, study
    from search.repeat import repeat

    name, colon, text = given.rpartition(":")
    if not colon or not (text.isdecimal() or text in ("best", "last")):
        raise InputError(f"--repeat takes STUDY:N, got {given!r}", field="--repeat", hint="try --repeat STUDY:best")
    if objective is not None:
        raise InputError(
            "--repeat takes its objective from the study", field="OBJECTIVE", hint=f"leave out {objective!r}"
        )
    if others:
        raise InputError(
            "--repeat takes every choice from the study",
            field=", ".join(others),
            hint=f"leave out {', '.join(others)}",
        )
    stored = study.read(find.study_folder(shared.results, name))
    with redirect_stdout(sys.stderr):
        result = repeat(stored, study.trial(stored, text))
    if shared.json:
        console.out_json(result.to_json())
    else:
        console.out(*result.lines())
    return ExitCode.DONE if result.equal else ExitCode.FAILED
