"""`sweep models` and `sweep rollback`: what is registered, what serves, and the way back."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from search.cli import console, words
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError, SurroundingsError, did_you_mean

if TYPE_CHECKING:
    from search.registry.entries import Contents, Move, Score, Version
    from search.registry.registry import Registry


@click.command(
    "models",
    short_help="Show promoted models: versions, aliases, scores, history; move an alias.",
    epilog=example(
        "sweep models", "sweep models churn", "sweep models churn --move production=4 --why 'tested by hand'"
    ),
)
@click.argument("name", required=False)
@click.option("--move", metavar="ALIAS=VERSION", help="Point an alias at a version, which is checked first.")
@click.option("--why", metavar="TEXT", help="Why, for the history.")
@click.option("--push", metavar="mlflow:URI", help="Give a version to an MLflow registry as well.")
@click.option("--version", metavar="N", help="Version to push (default: the one in production).")
@common
def models_command(
    shared: Common, *, name: str | None, move: str | None, why: str | None, push: str | None, version: str | None
) -> int:
    """List all models, or show model NAME: its versions, what its aliases point at, and what served when.

    NAME:VERSION and NAME@ALIAS show that version's scores, and where its card is.
    """
    _check_flags(name, move=move, why=why, push=push, version=version)
    if name is None:
        return _list(shared)
    if move is None and push is None and (":" in name or "@" in name) and os.sep not in name:
        return _show_version(shared, name)
    registry = _known(shared, name)
    if move is not None:
        alias, to = _target(move)
        moved = registry.move(alias, to, why or "moved by hand")
        return _tell_move(shared, registry, moved, alias=alias, to=to)
    if push is not None:
        return _push(shared, registry, push, version)
    return _show(shared, registry)


@click.command(
    "rollback",
    short_help="Put the production version back that served before.",
    epilog=example("sweep rollback churn --why 'too slow'", "sweep rollback churn --to 2"),
)
@click.argument("name")
@click.option("--to", metavar="VERSION", help="Version to go back to (default: the one before).")
@click.option("--why", metavar="TEXT", help="Why, for the history.")
@common
def rollback_command(shared: Common, *, name: str, to: str | None, why: str | None) -> int:
    """Point `production` of model NAME at what it was before; once more, and it goes further back.

    The version is checked first. A server that follows `production` takes it over without losing a request.
    """
    registry = _known(shared, name)
    target = None if to is None else _version("--to", to)
    moved = registry.rollback(why or "rolled back", to=target)
    return _tell_move(shared, registry, moved, alias="production", to=target or 0)


def _check_flags(name: str | None, **given: str | None) -> None:
    """Refuse flags that would do nothing."""
    flags = {f"--{flag}": value for flag, value in given.items() if value is not None}
    if name is None and flags:
        flag = next(iter(flags))
        raise InputError(f"{flag} needs the model's NAME", field=flag, hint=f"sweep models NAME {flag} ...")
    for flag, other in (("--why", "--move"), ("--version", "--push")):
        if flag in flags and other not in flags:
            raise InputError(f"{flag} goes with {other} only", field=flag)
    if "--move" in flags and "--push" in flags:
        raise InputError("--move and --push are two commands", field="--push", hint="move first, then push")


def _known(shared: Common, name: str) -> Registry:
    from search.registry.registry import Registry
    from search.registry.resolving import all_models

    registry = Registry.of(shared.results, name)
    if not registry.exists():
        where, names = shared.results / "models", all_models(shared.results)
        hint = did_you_mean(name, names) if names else f"`{shared.command('promote STUDY --as NAME')}` makes one"
        raise InputError(f"there is no model {name!r} in {where}", field="NAME", hint=hint)
    return registry


def _list(shared: Common) -> int:
    """Print a line for each model; a damaged one is told beside the others."""
    from search.registry.registry import Registry
    from search.registry.resolving import all_models

    found: dict[str, Contents] = {}
    faults: list[SurroundingsError] = []
    for name in all_models(shared.results):
        try:
            found[name] = Registry.of(shared.results, name).read()
        except SurroundingsError as fault:
            faults.append(fault)
    if shared.json:
        console.out_json({"models": [_summary(name, contents) for name, contents in found.items()]})
    elif found:
        heads = ["model", "production", "candidate", "test score", "study", "since", "size"]
        rows = [_row(name, contents) for name, contents in found.items()]
        console.out(*console.table(heads, rows, columns=console.width(sys.stdout)))
        console.say(f"next: {shared.command(f'models {next(iter(found))}')}")
    elif not faults:
        console.say(f"no models in {shared.results / 'models'}; next: {shared.command('promote STUDY --as NAME')}")
    for one in faults:
        console.error(one, as_json=shared.json, verbose=shared.verbose)
    return ExitCode.SURROUNDINGS if faults else ExitCode.DONE


def _row(name: str, contents: Contents) -> list[object]:
    number = _shown_version(contents)
    version = contents.versions.get(number) if number else None
    places = [contents.aliases.get(alias, "-") for alias in ("production", "candidate")]
    if version is None:
        return [name, *places, "-", "-", "-", "-"]
    return [name, *places, _score(version), _origin(version), _since(contents, version), _size(version.size)]


def _summary(name: str, contents: Contents) -> dict[str, Any]:
    number = _shown_version(contents)
    shown = asdict(contents.versions[number]) if number else None
    return {
        "name": name,
        "aliases": contents.aliases,
        "versions": len(contents.versions),
        "shown": number,
        **_of(shown),
    }


def _of(shown: dict[str, Any] | None) -> dict[str, Any]:
    return {} if shown is None else {name: shown[name] for name in ("study", "trials", "scores", "size", "digest")}


def _show(shared: Common, registry: Registry) -> int:
    contents = registry.read()
    if shared.json:
        console.out_json({"name": registry.name, **contents.to_json()})
        return ExitCode.DONE
    columns = console.width(sys.stdout)
    rows = [_version_row(registry, number, contents) for number in sorted(contents.versions, reverse=True)]
    heads = ["version", "aliases", "test score", "ms a row", "study", "registered", "size"]
    console.out(f"model    {registry.name}   in {registry.folder.root}", "")
    console.out(*console.table(heads, rows, columns=columns), "")
    if number := _shown_version(contents):
        console.out(*_scores(number, contents.versions[number]))
    moves = [[_when(one.when), one.by, _course(one), one.why] for one in reversed(contents.history)]
    console.out(*console.table(["when (UTC)", "who", "what", "why"], moves, columns=columns))
    production = contents.aliases.get("production")
    alias = registry.name if production else f"{registry.name}:{max(contents.versions, default=1)}"
    console.say(f"next: {shared.command(f'serve {alias}')}")
    return ExitCode.DONE


def _show_version(shared: Common, text: str) -> int:
    """Show one version: its scores, and where its card is."""
    from search.bundle.bundle import CARD
    from search.registry.registry import Registry
    from search.registry.resolving import resolve

    found = resolve(shared.results, text)
    assert found.version is not None  # no folder was asked for
    registry = Registry.of(shared.results, found.name)
    version, card = registry.find(found.version), found.root / CARD
    if shared.json:
        console.out_json({"name": found.name, "version": found.version, "card": str(card), **asdict(version)})
        return ExitCode.DONE
    console.out(f"model    {found.text}   of {_origin(version)}   {_when(version.registered)} by {version.by}")
    console.out(f"card     {card if card.exists() else 'gone'}", "", *_scores(found.version, version))
    console.say(f"next: {shared.command(f'serve {text}')}")
    return ExitCode.DONE


def _scores(number: int, version: Version) -> list[str]:
    """Return the scores of a version as a table with a line after it; nothing where there are none."""
    if not version.scores:
        return []
    told = [[score.name, _interval(score)] for score in version.scores]
    heads = [f"version {number}", "on test rows [95% interval]"]
    return [*console.table(heads, told, columns=console.width(sys.stdout)), ""]


def _version_row(registry: Registry, number: int, contents: Contents) -> list[object]:
    one = contents.versions[number]
    size = _size(one.size) if registry.folder.version(number).is_dir() else "gone"
    aliases = ", ".join(sorted(alias for alias, to in contents.aliases.items() if to == number)) or "-"
    latency = words.number(one.latency_ms)
    return [number, aliases, _score(one), latency, _origin(one), _when(one.registered), size]


def _push(shared: Common, registry: Registry, target: str, version: str | None) -> int:
    from search.registry.mlflow import push
    from search.trackers import chosen

    place = chosen.option("--push", target) if target.partition(":")[0] == "mlflow" else None
    if place is None:
        raise InputError(f"--push takes mlflow:URI, got {target[:60]!r}", field="--push")
    number = registry.read().aliases.get("production") if version is None else _version("--version", version)
    if number is None:
        raise InputError(f"{registry.name} has no production version", field="--version", hint="say --version N")
    pushed = push(registry, number, chosen.Chosen.of(place).where)
    if shared.json:
        console.out_json({"name": registry.name, "version": number, "mlflow": asdict(pushed)})
        return ExitCode.DONE
    aliases = f", {' and '.join(pushed.aliases)} there" if pushed.aliases else ""
    console.out(f"{registry.name}:{number} is version {pushed.version} of {pushed.name} in MLflow{aliases}")
    return ExitCode.DONE


def _tell_move(shared: Common, registry: Registry, moved: Move | None, *, alias: str, to: int) -> int:
    if shared.json:
        told = None if moved is None else moved.to_json()
        console.out_json({"name": registry.name, "alias": alias, "version": moved.to if moved else to, "move": told})
        return ExitCode.DONE
    if moved is None:
        console.out(f"{alias} of {registry.name} is version {to} already")
    else:
        console.out(f"{registry.name}: {_course(moved)}   {moved.study} #{moved.trial}")
    serving = registry.name if alias == "production" else f"{registry.name}@{alias}"
    console.say(f"next: {shared.command(f'serve {serving}')}")
    return ExitCode.DONE


def _target(text: str) -> tuple[str, int]:
    alias, equals, number = text.partition("=")
    if not equals or not alias:
        raise InputError(f"--move takes ALIAS=VERSION, got {text[:60]!r}", field="--move", hint="try production=1")
    return alias, _version("--move", number)


def _version(flag: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise InputError(f"{flag} takes the number of a version, got {text[:60]!r}", field=flag)
    return int(text)


def _shown_version(contents: Contents) -> int | None:
    """Return the version that a line of the list tells of: what serves, or else the newest."""
    for alias in ("production", "candidate"):
        if alias in contents.aliases:
            return contents.aliases[alias]
    return max(contents.versions, default=None)


def _score(version: Version) -> str:
    return f"{version.scores[0].name} {_interval(version.scores[0])}" if version.scores else "-"


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return words.number(score.value)
    return f"{words.number(score.value)} [{words.number(score.low)}, {words.number(score.high)}]"


def _origin(version: Version) -> str:
    others = f" +{len(version.trials) - 1}" if len(version.trials) > 1 else ""
    return f"{version.study} #{version.trials[0]}{others}"


def _since(contents: Contents, version: Version) -> str:
    moves = [move.when for move in contents.history if move.alias == "production"]
    return _when(moves[-1] if moves else version.registered)


def _when(text: str) -> str:
    return text[:16].replace("T", " ")


def _course(move: Move) -> str:
    how = {"rollback": "rollback: "}.get(move.how, "")
    return f"{how}{move.alias} {move.was or 'none'} -> {move.to}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
